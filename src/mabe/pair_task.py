"""What is asked of a frame: the pair task, who does what to whom.

A *view* is one agent and one target; an action on oneself has ``target == agent``.
Animals count from 1, as in the files. Each view of a recording is asked for each
action separately, and the answer has three states: 1 it happens, 0 it does not, and
`UNWATCHED` (-1) where nobody looked, which counts neither in the loss nor in the score.

Actions are the data's own names. What occurs in a lab's labels is its *vocabulary*:
an action a lab watches for and never sees is never predicted there, because it could
only be wrong.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int8

from mabe.bouts import Bout, Spans, Watched, find_spans
from mabe.errors import ConfigError, DataError
from mabe.recording import StoredRecording
from mabe.resampling import nearest_frames
from mabe.scene_task import TaskKind
from mabe.skeleton import animal_of

UNWATCHED = -1


UNKNOWN_LAB = 0
"""Stands for every lab that was not in the training data."""


@dataclass(frozen=True, slots=True, order=True)
class View:
    """One animal, and the one it may act upon: another, or itself."""

    agent: int
    target: int

    @property
    def is_self(self) -> bool:
        """True for actions on oneself."""
        return self.agent == self.target

    @property
    def reverse(self) -> "View":
        """The same two animals in exchanged roles."""
        return View(self.target, self.agent)


@dataclass(frozen=True, slots=True)
class ViewLabels:
    """What people said of one view of one recording, at the working rate."""

    recording: int
    """Place of the recording in its store."""
    view: View
    length: int
    watched: Bool[np.ndarray, " actions"]
    asked: Bool[np.ndarray, " actions"]
    """Watched from this view; the others only by labels without a direction, given
    the other way."""
    bouts: Int[np.ndarray, "_ 3"]
    """Rows of (start, stop, action), in the order of their starts."""
    ignored: Int[np.ndarray, "_ 2"]
    """Spans that count neither in the loss nor in the score."""

    def as_asked(self) -> "ViewLabels":
        """Return what was said from this view, without labels given the other way."""
        is_asked = self.asked[self.bouts[:, 2]]
        return replace(self, watched=self.asked, bouts=self.bouts[is_asked])

    def counted_spans(self) -> Spans:
        """Return the stretches that count."""
        return find_spans(self._counts())

    def marked(self) -> list[int]:
        """Return which actions happen."""
        return np.unique(self.bouts[:, 2]).tolist()

    def happening_spans(self, action: int) -> Spans:
        """Return the stretches that count in which an action happens."""
        happens = np.zeros(self.length, bool)
        for start, stop, _ in self.bouts[self.bouts[:, 2] == action]:
            happens[start:stop] = True
        return find_spans(happens & self._counts())

    def frames(self, start: int, stop: int) -> Int8[np.ndarray, "time actions"]:
        """Return the state of every action in frames [start, stop)."""
        states = np.where(self.watched, 0, UNWATCHED).astype(np.int8)
        labels = np.repeat(states[None], stop - start, axis=0)
        for from_frame, to_frame, action in _touching(self.bouts, start, stop):
            labels[max(from_frame - start, 0) : to_frame - start, action] = 1
        for from_frame, to_frame in _touching(self.ignored, start, stop):
            labels[max(from_frame - start, 0) : to_frame - start] = UNWATCHED
        return labels

    def _counts(self) -> Bool[np.ndarray, " time"]:
        counts = np.ones(self.length, bool)
        for start, stop in self.ignored:
            counts[start:stop] = False
        return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTask:
    """Which actions are told apart, in which labs they occur, and what is left out."""

    actions: tuple[str, ...]
    labs: tuple[str, ...]
    """Labs of the training data; the model knows their habits."""
    vocabulary: Mapping[str, frozenset[tuple[str, bool]]]
    """For each lab, the (action, on oneself) that occur in its labels."""
    ignored: frozenset[str] = frozenset()
    undirected: frozenset[str] = frozenset()
    """Actions whose labels tell the two animals but not who is the agent."""
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
        """Build the task for some labelled recordings; by default of all that occurs.

        `learned` are the places of those that are learned from: they alone decide
        which labs are known, and what occurs there. Raises `ConfigError` where a name
        is in none of the labels, and `DataError` where there are no labels at all.
        """
        ignored, without_direction = frozenset(ignore), frozenset(undirected)
        occurring: dict[str, set[tuple[str, bool]]] = defaultdict(set)
        learned = range(len(recordings)) if learned is None else learned
        for recording in (recordings[place] for place in learned):
            for bout in recording.bouts:
                occurring[recording.lab].add((bout.action, bout.agent == bout.target))
        found = check_names(
            recordings, actions=actions, ignore=ignored, undirected=without_direction
        )
        kept = (set(actions) if actions else found) - ignored
        if not kept:
            raise DataError(
                f"the {len(recordings)} labelled recordings have no action to learn; "
                f"found {sorted(found) or 'no label at all'}"
            )
        return cls(
            actions=tuple(sorted(kept)),
            labs=tuple(sorted({recordings[place].lab for place in learned})),
            vocabulary={
                lab: frozenset(pair for pair in pairs if pair[0] in kept)
                for lab, pairs in sorted(occurring.items())
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
            "ignored": sorted(self.ignored),
            "undirected": sorted(self.undirected),
            "named_actions": None
            if self.named_actions is None
            else sorted(self.named_actions),
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
            ignored=frozenset(values["ignored"]),
            undirected=frozenset(values["undirected"]),
            named_actions=None
            if values["named_actions"] is None
            else frozenset(values["named_actions"]),
        )

    def is_asked(self, action: str) -> bool:
        """Tell whether an action counts in labels, and so in a score."""
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
        return replace(self, labs=tuple(labs), vocabulary=vocabulary)

    def lab_number(self, lab: str) -> int:
        """Return a lab's number from 1, or `UNKNOWN_LAB`."""
        return self.labs.index(lab) + 1 if lab in self.labs else UNKNOWN_LAB

    def can_occur(self, lab: str, view: View) -> Bool[np.ndarray, " actions"]:
        """Return which actions may be predicted for a view in a lab.

        In a lab that is not in the training data, whatever occurs in any of them.
        """
        if lab in self.labs:
            known = self.vocabulary.get(lab, frozenset())
        else:
            known = frozenset().union(*self.vocabulary.values())
        return np.array([(action, view.is_self) in known for action in self.actions])

    def learned_labels(
        self, recording: StoredRecording, index: int, rate_fps: float
    ) -> list[ViewLabels]:
        """Return what people said of each view of a recording that was watched.

        An action that was marked was watched for, whatever the metadata say.
        """
        asked = _looked_for(recording)
        bouts, watched = self._in_both_directions(recording.bouts, asked)
        nearest = nearest_frames(
            recording.length,
            from_fps=recording.fps,
            to_fps=rate_fps,
            from_length=recording.native_length,
        )
        ignored = _spans_at_rate(
            [b for b in recording.bouts if b.action in self.ignored], nearest
        )
        result = []
        for view in self._views(recording, watched):
            of_view = [
                b
                for b in bouts
                if View(b.agent, b.target) == view and b.action in self.actions
            ]
            spans = _spans_at_rate(of_view, nearest)
            which = np.array([self.actions.index(b.action) for b in of_view], int)
            rows = np.column_stack([spans, which])
            result.append(
                ViewLabels(
                    recording=index,
                    view=view,
                    length=recording.length,
                    watched=self._named(watched, view),
                    asked=self._named(asked, view),
                    bouts=rows[spans[:, 1] > spans[:, 0]],
                    ignored=ignored,
                )
            )
        return result

    def choices(
        self, recording: StoredRecording
    ) -> dict[View, Bool[np.ndarray, " actions"]]:
        """Return the views of a recording to be marked, and what may be found there.

        Where the metadata say what was watched, only that; where they say nothing,
        every pair of tracked animals and each animal by itself. Labels have no say,
        so that scored recordings are treated as new ones are.
        """
        possible = {}
        for view in all_views(recording):
            can_occur = self.can_occur(recording.lab, view)
            if recording.watched:
                can_occur &= self._named(recording.watched, view)
            if can_occur.any():
                possible[view] = can_occur
        return possible

    def _views(
        self, recording: StoredRecording, watched: Iterable[Watched]
    ) -> list[View]:
        """Return the views that some action to be learned was watched for."""
        named = {View(w.agent, w.target) for w in watched if w.action in self.actions}
        return sorted(named & set(all_views(recording)))

    def _named(
        self, watched: Iterable[Watched], view: View
    ) -> Bool[np.ndarray, " actions"]:
        """Return which actions were watched for in a view."""
        names = {w.action for w in watched if View(w.agent, w.target) == view}
        return np.array([action in names for action in self.actions])

    def _in_both_directions(
        self, bouts: Iterable[Bout], watched: Iterable[Watched]
    ) -> tuple[list[Bout], set[Watched]]:
        """Add the other direction to labels that have none."""
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


def check_names(
    recordings: Iterable[StoredRecording],
    *,
    actions: Collection[str] | None,
    ignore: Collection[str],
    undirected: Collection[str],
) -> set[str]:
    """Return the actions that occur in labels.

    Raises `ConfigError` where the settings name one that does not.
    """
    found = {bout.action for recording in recordings for bout in recording.bouts}
    named = {"actions": actions or (), "ignore": ignore, "undirected": undirected}
    for key, names in named.items():
        if lost := sorted(set(names) - found):
            raise ConfigError(
                f"{key}: {lost} occur nowhere in the labels; these do: {sorted(found)}"
            )
    return found


def asked_for(
    recording: StoredRecording,
    *,
    actions: Collection[str] | None,
    ignore: Collection[str],
) -> set[Watched]:
    """Return what labels answer of what is asked; all actions where none are named.

    An action that was marked was watched for, whatever the metadata say.
    """
    return {
        watched
        for watched in _looked_for(recording)
        if watched.action not in ignore
        and (actions is None or watched.action in actions)
    }


def all_views(recording: StoredRecording) -> list[View]:
    """Return every pair of animals that are tracked, and each animal by itself."""
    animals = sorted({animal_of(slot) + 1 for slot in recording.slots})
    return [View(agent, target) for agent in animals for target in animals]


def _touching(
    rows: Int[np.ndarray, "_ columns"], start: int, stop: int
) -> Int[np.ndarray, "_ columns"]:
    """Return the rows (start, stop, …) that share a frame with [start, stop)."""
    return rows[(rows[:, 0] < stop) & (rows[:, 1] > start)]


def _looked_for(recording: StoredRecording) -> set[Watched]:
    marked = {Watched(b.agent, b.target, b.action) for b in recording.bouts}
    return set(recording.looked_for) | marked


def _spans_at_rate(
    bouts: Sequence[Bout], nearest: Int[np.ndarray, " time"]
) -> Int[np.ndarray, "_ 2"]:
    """Return the frames at the working rate whose nearest own frame is in each bout."""
    own = np.array([[bout.start, bout.stop] for bout in bouts], int).reshape(-1, 2)
    return np.searchsorted(nearest, own)
