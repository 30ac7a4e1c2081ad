"""What was observed of one recording: bouts, and the frames watched for each action.

An *entry* (`mabe.bouts.Watched`) is an action of an agent to a target. Measures count
watched frames only: a bout is cut to them, and touching bouts of one entry are one.
Spans are half-open, in the observation's own frames, sorted and disjoint.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mabe.bouts import (
    NO_ANIMAL,
    Bout,
    Coverage,
    RecordingBouts,
    Spans,
    Watched,
    spans_of,
)
from mabe.metrics.span_matching import find_overlaps, merge_by_group

ANNOTATED, PREDICTED = "annotated", "predicted"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """The bouts of one recording from one source, annotators or a model."""

    source: str
    """`ANNOTATED` or `PREDICTED`."""
    recording: RecordingBouts
    """Names of the lab and its animals, frame rate and length; its bouts are in
    `spans`."""
    watched: Mapping[Watched, Spans]
    """The frames in which each entry was watched for."""
    spans: Mapping[Watched, Spans]
    """The bouts of each entry of `watched`, within its watched frames."""
    undirected: frozenset[str] = frozenset()
    """Actions in which agent and target have no different roles; their entries have
    ``agent <= target``."""
    track: str = ""
    """Content hash of the tracks; copies of one track have the same."""

    @property
    def key(self) -> tuple[str, str]:
        """Laboratory and video."""
        return self.recording.lab, self.recording.video

    @property
    def entries(self) -> list[Watched]:
        """All entries, sorted."""
        return sorted(self.watched)

    @property
    def actions(self) -> list[str]:
        """The actions watched for, sorted."""
        return sorted({entry.action for entry in self.watched})

    def name_of(self, animal: int) -> str:
        """Return the lab's name of an animal; empty for the scene as a whole."""
        return self.recording.name_of(animal)

    def target_name(self, entry: Watched) -> str:
        """Return the name of an entry's target; ``self`` for an action on oneself."""
        if entry.target == entry.agent != NO_ANIMAL:
            return "self"
        return self.name_of(entry.target)

    def bouts(self, chosen: Callable[[Watched], bool] | None = None) -> list[Bout]:
        """Return the bouts of all entries, or of those chosen, in time order."""
        return sorted(
            Bout(start, stop, entry.action, entry.agent, entry.target)
            for entry, spans in self.spans.items()
            if chosen is None or chosen(entry)
            for start, stop in spans.tolist()
        )

    def joined(self, entries: Iterable[Watched]) -> tuple[Spans, Spans]:
        """Return the frames of the bouts of any entry, and those watched for any."""
        entries = list(entries)
        return (
            join_spans([self.spans[entry] for entry in entries]),
            join_spans([self.watched[entry] for entry in entries]),
        )

    def without_direction(self, actions: Collection[str]) -> "Observation":
        """Return the same with entries of both directions of some actions as one."""
        groups: dict[Watched, list[Watched]] = defaultdict(list)
        for entry in self.watched:
            low, high = sorted((entry.agent, entry.target))
            is_undirected = entry.action in actions
            groups[Watched(low, high, entry.action) if is_undirected else entry].append(
                entry
            )
        joined = {to: self.joined(entries) for to, entries in groups.items()}
        return replace(
            self,
            spans={entry: spans for entry, (spans, _) in joined.items()},
            watched={entry: watched for entry, (_, watched) in joined.items()},
            undirected=self.undirected | frozenset(actions),
        )

    def within(self, watched: Mapping[Watched, Spans]) -> "Observation":
        """Return what lies in frames that were also watched elsewhere, by entry."""
        both = {
            entry: common
            for entry, spans in self.watched.items()
            if entry in watched
            and len(common := intersect_spans(spans, watched[entry]))
        }
        cut = {entry: intersect_spans(self.spans[entry], both[entry]) for entry in both}
        return replace(self, watched=both, spans=cut)


@dataclass(frozen=True, slots=True)
class Actor:
    """Whose actions are one sequence, and one value of a measure.

    An animal, with its directed actions and those on itself; a pair, with the actions
    that have no direction; or a scene.
    """

    animals: tuple[int, ...]
    """One for an animal, two for a pair, none for a scene."""
    entries: tuple[Watched, ...]

    def name_in(self, observation: Observation) -> str:
        """Return the lab's names of the animals; empty for a scene."""
        return " – ".join(map(observation.name_of, self.animals))


def find_actors(observation: Observation) -> list[Actor]:
    """Return the actors of an observation, sorted."""
    found: dict[tuple[int, ...], list[Watched]] = defaultdict(list)
    for entry in observation.entries:
        is_pair = entry.action in observation.undirected
        animals = {entry.agent, entry.target} if is_pair else {entry.agent}
        found[tuple(sorted(animals - {NO_ANIMAL}))].append(entry)
    return [
        Actor(animals, tuple(entries)) for animals, entries in sorted(found.items())
    ]


def observe(
    source: str,
    recording: RecordingBouts,
    entries: Iterable[Watched],
    coverage: Coverage | None = None,
    *,
    track: str = "",
) -> Observation:
    """Return an observation of bouts.

    With coverage None all entries were watched for in all frames. Bouts of entries that
    were not watched for are left out.
    """
    whole = np.array([(0, recording.length)], int).reshape(-1, 2)
    watched = {
        entry: spans
        for entry in entries
        if recording.length
        and len(spans := whole if coverage is None else spans_of(coverage, entry))
    }
    rows: dict[Watched, list[tuple[int, int]]] = defaultdict(list)
    for bout in recording.bouts:
        entry = Watched(bout.agent, bout.target, bout.action)
        rows[entry].append((bout.start, bout.stop))
    cut = {
        entry: intersect_spans(
            join_spans([np.array(rows[entry], int).reshape(-1, 2)]), seen
        )
        for entry, seen in watched.items()
    }
    return Observation(
        source=source,
        recording=replace(recording, bouts=()),
        watched=watched,
        spans=cut,
        track=track,
    )


def join_spans(parts: Sequence[Spans]) -> Spans:
    """Return the frames that are in any of the parts."""
    rows = np.concatenate([np.empty((0, 2), int), *parts])
    return merge_by_group(rows, np.zeros(len(rows), int)).spans


def intersect_spans(one: Spans, other: Spans) -> Spans:
    """Return the frames that are in both; each part of a divided span is a span."""
    shared = find_overlaps(one, other)
    return np.stack(
        [
            np.maximum(one[shared.one, 0], other[shared.other, 0]),
            np.minimum(one[shared.one, 1], other[shared.other, 1]),
        ],
        axis=1,
    )


def count_frames(spans: Spans) -> int:
    """Return the number of frames in spans."""
    return int((spans[:, 1] - spans[:, 0]).sum())


def frames_before(spans: Spans, edges: Any) -> Any:
    """Return how many frames of the spans lie before each edge, an array of frames."""
    edges = np.asarray(edges)[..., None]
    lengths = spans[:, 1] - spans[:, 0]
    return np.clip(edges - spans[:, 0], 0, lengths).sum(axis=-1)
