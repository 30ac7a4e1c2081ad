"""The pair task: the actions of each agent to each target.

A *view* is one agent and one target; an action on oneself has ``target == agent``.
Animals count from 1, as in the files. In each frame of a view, the label of each action
has three states: 1 it occurs, 0 it does not, and `UNWATCHED` (-1), which counts neither
in the loss nor in the score.

Actions have the names of the data. The actions that occur in a lab's labels are its
*vocabulary*: other actions are never predicted there, as they could only be wrong. Of
actions at zones the vocabulary is apart: they are predicted at the zones alone, by
name, at which they occur.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Int, Int8

from mabe.bouts import (
    Bout,
    Coverage,
    Spans,
    View,
    Watched,
    WatchedSpan,
    covered_bouts,
    find_spans,
    gaps_between,
    spans_of,
)
from mabe.errors import ConfigError, DataError
from mabe.recording import StoredRecording
from mabe.resampling import nearest_frames
from mabe.runtime.console import count
from mabe.scene_task import FrameLabels, TaskKind

Pair = TypeVar("Pair")


UNWATCHED = -1


PAIR_FPS = 15.0
"""The usual rate: attacks and flinches are brief."""


OBJECT_FPS = 30.0
"""The fastest rate where actions are at objects: bouts of a few tenths of a second. On
`mouse_objects` trees scored 0.03 more of frame F1 at 25 than at 15 fps."""


UNKNOWN_LAB = 0
"""The number of all labs that are not in the training data."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near a target has to be for its agent to act towards it."""

    targets: int = 3
    """So many nearest animals may be targets."""
    within_cm: float | None = None
    """Targets farther away may not; None: at any distance."""
    margin_s: float = 2.0
    """Time before and after, which belongs to it: a chase outlasts the nearness."""


@dataclass(frozen=True, slots=True)
class ViewLabels:
    """The labels of one view of one recording, at the working rate."""

    recording: int
    """Index of the recording in its store."""
    view: View
    length: int
    watched: Bool[np.ndarray, " actions"]
    watched_as_annotated: Bool[np.ndarray, " actions"]
    """Actions watched in this direction; the others of `watched` have no direction and
    were annotated in the other one."""
    bouts: Int[np.ndarray, "_ 3"]
    """Rows of (start, stop, action), in the order of their starts."""
    ignored: Int[np.ndarray, "_ 2"]
    """Spans that count neither in the loss nor in the score."""
    unwatched: Int[np.ndarray, "_ 3"]
    """Rows of (start, stop, action) in which a watched action was not watched for."""

    def as_annotated(self) -> "ViewLabels":
        """Return the labels without those annotated in the other direction."""
        watched = self.watched_as_annotated
        return replace(
            self, watched=watched, bouts=self.bouts[watched[self.bouts[:, 2]]]
        )

    def within(self, spans: Spans, margin: int) -> "ViewLabels":
        """Return the labels with no other frames that count than some spans and bouts.

        Bouts have a margin, so that what is around them counts too.
        """
        looked_at = np.zeros(self.length, bool)
        for start, stop in spans:
            looked_at[start:stop] = True
        for start, stop, _ in self.bouts:
            looked_at[max(0, start - margin) : stop + margin] = True
        ignored = np.concatenate([self.ignored, find_spans(~looked_at)])
        return replace(self, ignored=ignored)

    def counted_spans(self) -> Spans:
        """Return the spans of frames that count for some action."""
        counts = np.zeros(self.length, bool)
        for action in np.flatnonzero(self.watched):
            counts |= self._counts(int(action))
        return find_spans(counts)

    def watched_frames(self, action: int) -> int:
        """Return the number of frames that count for an action."""
        return int(self._counts(action).sum()) if self.watched[action] else 0

    def occurring(self) -> list[int]:
        """Return the actions that occur."""
        return np.unique(self.bouts[:, 2]).tolist()

    def action_spans(self, action: int) -> Spans:
        """Return the spans of frames that count in which an action occurs."""
        occurs = np.zeros(self.length, bool)
        for start, stop, _ in self.bouts[self.bouts[:, 2] == action]:
            occurs[start:stop] = True
        return find_spans(occurs & self._counts(action))

    def frames(self, start: int, stop: int) -> Int8[np.ndarray, "time actions"]:
        """Return the state of every action in frames [start, stop)."""
        states = np.where(self.watched, 0, UNWATCHED).astype(np.int8)
        labels = np.repeat(states[None], stop - start, axis=0)
        for from_frame, to_frame, action in _overlapping(self.bouts, start, stop):
            labels[max(from_frame - start, 0) : to_frame - start, action] = 1
        for from_frame, to_frame, action in _overlapping(self.unwatched, start, stop):
            frames = slice(max(from_frame - start, 0), to_frame - start)
            labels[frames, action] = UNWATCHED
        for from_frame, to_frame in _overlapping(self.ignored, start, stop):
            labels[max(from_frame - start, 0) : to_frame - start] = UNWATCHED
        return labels

    def _counts(self, action: int) -> Bool[np.ndarray, " time"]:
        """Return in which frames an action counts."""
        counts = np.ones(self.length, bool)
        of_action = self.unwatched[self.unwatched[:, 2] == action, :2]
        for start, stop in (*self.ignored, *of_action):
            counts[start:stop] = False
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTask:
    """The actions that are predicted, the labs they occur in, and those left out."""

    actions: tuple[str, ...]
    labs: tuple[str, ...]
    """Labs of the training data, which are an input of the model."""
    vocabulary: Mapping[str, frozenset[tuple[str, bool]]]
    """For each lab, the (action, is on oneself) that occur in its labels."""
    zone_actions: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """For each lab that has some, the (action, zone) that occur in its labels."""
    ignored: frozenset[str] = frozenset()
    undirected: frozenset[str] = frozenset()
    """Actions whose labels name two animals, but not which one is the agent."""
    named_actions: frozenset[str] | None = None
    """The actions that the settings name; None: all that occur in labels. A score
    counts these, also those that the training data lack."""

    @property
    def kind(self) -> TaskKind:
        """The kind of this task."""
        return TaskKind.PAIR

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the model's outputs."""
        return self.actions

    @property
    def actions_of_classes(self) -> tuple[tuple[str, ...], ...]:
        """Of each class the annotated actions that count as it: the one of its name."""
        return tuple((action,) for action in self.actions)

    @classmethod
    def from_recordings(
        cls,
        recordings: Sequence[StoredRecording],
        *,
        learned: Collection[int] | None = None,
        actions: Sequence[str] | None = None,
        ignore: Iterable[str] = (),
        undirected: Iterable[str] = (),
    ) -> "PairTask":
        """Return the task of some labelled recordings; by default all their actions.

        `learned` are the indices of those in the training set: they alone decide which
        labs are known, and what occurs there. Raises `ConfigError` where a name is in
        none of the labels, and `DataError` where there are no labels at all.
        """
        ignored, without_direction = frozenset(ignore), frozenset(undirected)
        occurring: dict[str, set[tuple[str, bool]]] = defaultdict(set)
        at_zones: dict[str, set[tuple[str, str]]] = defaultdict(set)
        learned = range(len(recordings)) if learned is None else learned
        for recording in (recordings[index] for index in learned):
            zones = recording.zone_names
            for bout in recording.bouts:
                if zone := zones.get(bout.target):
                    at_zones[recording.lab].add((bout.action, zone))
                    continue
                occurring[recording.lab].add((bout.action, bout.agent == bout.target))
        occurs = check_actions_occur(
            recordings, actions=actions, ignore=ignored, undirected=without_direction
        )
        kept = (set(actions) if actions else occurs) - ignored
        if not kept:
            raise DataError(
                f"{count(len(recordings), 'labelled recording')}: no action to learn; "
                f"found {sorted(occurs) or 'no label at all'}"
            )
        return cls(
            actions=tuple(sorted(kept)),
            labs=tuple(sorted({recordings[index].lab for index in learned})),
            vocabulary={
                lab: frozenset(pair for pair in pairs if pair[0] in kept)
                for lab, pairs in sorted(occurring.items())
            },
            zone_actions={
                lab: frozenset(pair for pair in pairs if pair[0] in kept)
                for lab, pairs in sorted(at_zones.items())
            },
            ignored=ignored,
            undirected=without_direction,
            named_actions=None if actions is None else frozenset(actions),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain values."""
        return {
            "actions": list(self.actions),
            "labs": list(self.labs),
            "vocabulary": {
                lab: [[action, on_self] for action, on_self in sorted(pairs)]
                for lab, pairs in self.vocabulary.items()
            },
            **({"zone_actions": self._zone_rows()} if self.zone_actions else {}),
            "ignored": sorted(self.ignored),
            "undirected": sorted(self.undirected),
            "named_actions": None
            if self.named_actions is None
            else sorted(self.named_actions),
        }

    def _zone_rows(self) -> dict[str, list[list[str]]]:
        return {
            lab: [[action, zone] for action, zone in sorted(pairs)]
            for lab, pairs in self.zone_actions.items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PairTask":
        """Return the task of `to_json`."""
        return cls(
            actions=tuple(values["actions"]),
            labs=tuple(values["labs"]),
            vocabulary={
                lab: frozenset((action, on_self) for action, on_self in pairs)
                for lab, pairs in values["vocabulary"].items()
            },
            zone_actions={
                lab: frozenset((action, zone) for action, zone in pairs)
                for lab, pairs in values.get("zone_actions", {}).items()
            },
            ignored=frozenset(values["ignored"]),
            undirected=frozenset(values["undirected"]),
            named_actions=None
            if values["named_actions"] is None
            else frozenset(values["named_actions"]),
        )

    def is_scored(self, action: str) -> bool:
        """Return whether an action counts in labels, and so in a score."""
        return action not in self.ignored and (
            self.named_actions is None or action in self.named_actions
        )

    def join(self, tasks: Iterable[Any]) -> "PairTask":
        """Return the task of an ensemble of models for these tasks.

        An action occurs in a lab where it does in the training data of any of them.
        """
        each = list(tasks)
        labs = sorted({lab for task in each for lab in task.labs})
        vocabulary = {
            lab: frozenset().union(*(task.vocabulary.get(lab, ()) for task in each))
            for lab in labs
        }
        zone_actions = {
            lab: frozenset().union(*(task.zone_actions.get(lab, ()) for task in each))
            for lab in sorted({lab for task in each for lab in task.zone_actions})
        }
        return replace(
            self, labs=tuple(labs), vocabulary=vocabulary, zone_actions=zone_actions
        )

    def check_actions(self, actions: Iterable[str]) -> None:
        """Accept all actions; those that are not learned have no label."""

    def check_zones(self, recording: StoredRecording) -> None:
        """Raise `DataError` where an action has none of its zones in a recording.

        Where the metadata list what is watched, that decides which actions are
        predicted, and no zone is needed.
        """
        if recording.watched:
            return
        own = set(recording.zone_names.values())
        needed: dict[str, set[str]] = defaultdict(set)
        for action, zone in self._known(self.zone_actions, recording.lab):
            needed[action].add(zone)
        for action, zones in sorted(needed.items()):
            if zones.isdisjoint(own):
                raise DataError(
                    f"{recording.name}: the model predicts {action} at "
                    f"{_either(zones)}, and the recording has "
                    f"{_either(own) if own else 'no zones'}; give its zone under "
                    "`zones` in project.yaml."
                )

    def is_annotated(self, recording: StoredRecording) -> bool:
        """Tell whether any frame of a recording counts in a score."""
        return any(self.is_scored(each.action) for each in _annotated(recording))

    def annotations(self, recording: StoredRecording) -> dict[View, FrameLabels]:
        """Return the labels of each annotated view, at the recording's own frames."""
        at_own_rate = replace(recording, length=recording.native_length)
        return {
            labels.view: labels.as_annotated()
            for labels in self.view_labels(at_own_rate, 0, recording.fps)
            if labels.watched_as_annotated.any()
        }

    def lab_number(self, lab: str) -> int:
        """Return a lab's number from 1, or `UNKNOWN_LAB`."""
        return self.labs.index(lab) + 1 if lab in self.labs else UNKNOWN_LAB

    def can_occur(
        self, lab: str, view: View, zone: str | None = None
    ) -> Bool[np.ndarray, " actions"]:
        """Return which actions may be predicted for a view in a lab.

        Of a view whose target is a zone, `zone` is its name. In a lab that is not in
        the training data, those that occur in any of its labs.
        """
        if zone is not None:
            at_zones = self._known(self.zone_actions, lab)
            return np.array([(action, zone) in at_zones for action in self.actions])
        known = self._known(self.vocabulary, lab)
        return np.array([(action, view.is_self) in known for action in self.actions])

    def _known(
        self, occurring: Mapping[str, frozenset[Pair]], lab: str
    ) -> frozenset[Pair]:
        """Return what occurs in a lab, or in any where it is not in the data."""
        if lab in self.labs:
            return occurring.get(lab, frozenset())
        return frozenset().union(*occurring.values())

    def view_labels(
        self, recording: StoredRecording, index: int, rate_fps: float
    ) -> list[ViewLabels]:
        """Return the labels of each view of a recording that was watched.

        Annotated actions count as watched, also where the metadata do not list them.
        """
        annotated = _annotated(recording)
        bouts, watched = self._in_both_directions(_covered(recording), annotated)
        nearest = nearest_frames(
            recording.length,
            from_fps=recording.fps,
            to_fps=rate_fps,
            from_length=recording.native_length,
        )
        ignored = _spans_at_rate(
            [b for b in recording.bouts if b.action in self.ignored], nearest
        )
        in_view: dict[View, list[Bout]] = defaultdict(list)
        for bout in bouts:
            if bout.action in self.actions:
                in_view[View(bout.agent, bout.target)].append(bout)
        all_watched = _actions_by_view(watched)
        as_annotated = _actions_by_view(annotated)
        coverage = _coverage_by_view(recording)
        result = []
        for view in self._views(recording, watched):
            of_view = in_view[view]
            spans = _spans_at_rate(of_view, nearest)
            which = np.array([self.actions.index(b.action) for b in of_view], int)
            rows = np.column_stack([spans, which])
            result.append(
                ViewLabels(
                    recording=index,
                    view=view,
                    length=recording.length,
                    watched=self._named(all_watched[view]),
                    watched_as_annotated=self._named(as_annotated[view]),
                    bouts=rows[spans[:, 1] > spans[:, 0]],
                    ignored=ignored,
                    unwatched=self._unwatched(recording, view, nearest, coverage),
                )
            )
        return result

    def choices(
        self, recording: StoredRecording
    ) -> dict[View, Bool[np.ndarray, " actions"]]:
        """Return the views of a recording that are predicted, and their actions.

        Where the metadata list what was watched, only that; where they do not, every
        pair of tracked animals and each animal by itself. Labels do not matter, so that
        scored recordings are treated as new ones are.
        """
        possible, zones = {}, recording.zone_names
        watched = _actions_by_view(recording.watched)
        for view in all_views(recording):
            zone = zones.get(view.target)
            can_occur = self.can_occur(recording.lab, view, zone)
            if recording.watched:
                can_occur &= self._named(watched[view])
            if can_occur.any():
                possible[view] = can_occur
        return possible

    def _views(
        self, recording: StoredRecording, watched: Iterable[Watched]
    ) -> list[View]:
        """Return the views for which an action of the task was watched."""
        named = {View(w.agent, w.target) for w in watched if w.action in self.actions}
        return sorted(named & set(all_views(recording)))

    def _named(self, names: Collection[str]) -> Bool[np.ndarray, " actions"]:
        """Return which actions of the task are named."""
        return np.array([action in names for action in self.actions])

    def _unwatched(
        self,
        recording: StoredRecording,
        view: View,
        nearest: Int[np.ndarray, " time"],
        coverage: Mapping[View, Coverage],
    ) -> Int[np.ndarray, "_ 3"]:
        """Return rows of (start, stop, action) that were not watched in a view.

        An action without a direction was watched for where either direction was.
        """
        rows = [np.empty((0, 3), int)]
        if recording.coverage is None:
            return rows[0]
        for place, action in enumerate(self.actions):
            directions = {view, view.reverse} if action in self.undirected else {view}
            of_directions = [coverage.get(each, ()) for each in directions]
            spans = spans_of(
                tuple(chain.from_iterable(of_directions)),
                *(Watched(each.agent, each.target, action) for each in directions),
            )
            gaps = gaps_between(spans, recording.native_length)
            at_rate = np.searchsorted(nearest, gaps)
            at_rate = at_rate[at_rate[:, 0] < at_rate[:, 1]]
            rows.append(np.insert(at_rate, 2, place, axis=1))
        return np.concatenate(rows)

    def _in_both_directions(
        self, bouts: Iterable[Bout], watched: Iterable[Watched]
    ) -> tuple[list[Bout], set[Watched]]:
        """Add the other direction to labels without one."""
        bouts, watched = list(bouts), set(watched)
        bouts += [
            Bout(b.start, b.stop, b.action, b.target, b.agent)
            for b in bouts
            if b.action in self.undirected and b.agent != b.target
        ]
        watched |= {
            Watched(w.target, w.agent, w.action)
            for w in watched
            if w.action in self.undirected
        }
        return sorted(set(bouts)), watched


def check_actions_occur(
    recordings: Iterable[StoredRecording],
    *,
    actions: Collection[str] | None,
    ignore: Collection[str],
    undirected: Collection[str],
) -> set[str]:
    """Return the actions that occur in labels.

    Raises `ConfigError` where the settings name one that does not.
    """
    occurs = {bout.action for recording in recordings for bout in recording.bouts}
    named = {"actions": actions or (), "ignore": ignore, "undirected": undirected}
    for key, names in named.items():
        if lost := sorted(set(names) - occurs):
            raise ConfigError(
                f"{key}: {lost} occur nowhere in the labels; these do: {sorted(occurs)}"
            )
    return occurs


def watched_in_labels(
    recording: StoredRecording,
    *,
    actions: Collection[str] | None,
    ignore: Collection[str],
) -> set[Watched]:
    """Return what annotators watched for of some actions; of all if `actions` is None.

    Annotated actions count as watched, also where the metadata do not list them.
    """
    return {
        watched
        for watched in _annotated(recording)
        if watched.action not in ignore
        and (actions is None or watched.action in actions)
    }


def all_views(recording: StoredRecording) -> list[View]:
    """Return every animal with each animal, object and zone, and by itself."""
    targets = (*recording.tracked_individuals, *recording.zone_names)
    return [View(a, target) for a in recording.tracked_animals for target in targets]


def _actions_by_view(watched: Iterable[Watched]) -> defaultdict[View, set[str]]:
    """Return the actions that were watched in each view."""
    actions: defaultdict[View, set[str]] = defaultdict(set)
    for each in watched:
        actions[View(each.agent, each.target)].add(each.action)
    return actions


def _coverage_by_view(recording: StoredRecording) -> dict[View, Coverage]:
    """Return when annotators watched each view; none where they always did."""
    spans: defaultdict[View, list[WatchedSpan]] = defaultdict(list)
    for each in recording.coverage or ():
        spans[View(each.agent, each.target)].append(each)
    return {view: tuple(of_view) for view, of_view in spans.items()}


def acts_on_zones(recording: StoredRecording) -> bool:
    """Return whether labels of a recording name a zone as a target."""
    return any(bout.target in recording.zone_names for bout in recording.bouts)


def _either(names: Iterable[str]) -> str:
    return " or ".join(sorted(names))


def _overlapping(
    rows: Int[np.ndarray, "_ columns"], start: int, stop: int
) -> Int[np.ndarray, "_ columns"]:
    """Return the rows (start, stop, …) that share a frame with [start, stop)."""
    return rows[(rows[:, 0] < stop) & (rows[:, 1] > start)]


def _covered(recording: StoredRecording) -> tuple[Bout, ...]:
    """Return the parts of bouts in the frames that were watched for their action."""
    return covered_bouts(recording.bouts, recording.coverage)


def _annotated(recording: StoredRecording) -> set[Watched]:
    occurring = {Watched(b.agent, b.target, b.action) for b in _covered(recording)}
    return set(recording.annotated) | occurring


def _spans_at_rate(
    bouts: Sequence[Bout], nearest: Int[np.ndarray, " time"]
) -> Int[np.ndarray, "_ 2"]:
    """Return the spans of frames whose nearest own frame is in each bout."""
    own = np.array([[bout.start, bout.stop] for bout in bouts], int).reshape(-1, 2)
    return np.searchsorted(nearest, own)
