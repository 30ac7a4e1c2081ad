"""The scene task: one class for all animals together in each frame.

A *class* is a group of actions. Frame labels are class indices, or `NOT_COUNTED`
where the frame counts neither in the loss nor in the score: it was not watched, or its
action is one to ignore.

Only classes of which an action was watched are possible in a recording; loss, score
and predictions are restricted to them (see `SceneTask.possible`). Treating "mating was
not watched" as "no mating" would train a model on wrong labels.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int, Int8

from mabe.bouts import (
    NO_ACTION,
    SCENE,
    Bout,
    Coverage,
    View,
    Watched,
    covered_bouts,
    gaps_between,
    spans_of,
)
from mabe.errors import ConfigError
from mabe.recording import StoredRecording

NOT_COUNTED = -1


class TaskKind(StrEnum):
    """What a model predicts: the class of a scene, or the actions of each pair.

    The values are written to config files, checkpoints and predictions.
    """

    SCENE = "scene"
    PAIR = "pair"

    @property
    def has_background(self) -> bool:
        """True: each frame has one of the classes, the first of which is background.

        False: each frame has one of the classes or none.
        """
        return self is TaskKind.SCENE

    @property
    def nothing(self) -> int:
        """The choice for a frame in which nothing of interest happens."""
        return 0 if self.has_background else NO_ACTION

    def bout_classes(self, classes: int) -> range:
        """Return the indices of the classes that make bouts."""
        return range(1 if self.has_background else 0, classes)

    def choice_names(self, classes: Sequence[str]) -> tuple[str, ...]:
        """Return the names of all choices for a frame; without a class, "nothing"."""
        return tuple(classes) if self.has_background else (*classes, "nothing")

    @property
    def is_scored_by_lab(self) -> bool:
        """True: the score is the mean over labs of the mean over their classes.

        As in the challenge, a class that is predicted and never annotated in a lab
        then has F1 = 0 there. False: frames of all labs are pooled, and classes that
        are never annotated have no F1.
        """
        return self is TaskKind.PAIR

    @property
    def is_directed(self) -> bool:
        """Whether it matters which animal of two is the agent."""
        return self is TaskKind.PAIR


@runtime_checkable
class FrameLabels(Protocol):
    """The annotations of one view, frame by frame."""

    def frames(self, start: int, stop: int) -> Int8[np.ndarray, "time classes"]:
        """Return the state of every class in frames [start, stop).

        1: it happens; 0: it does not; -1: not watched, or ignored.
        """


@runtime_checkable
class Task(Protocol):
    """The interface of all tasks, which decoding, inference and viz use."""

    @property
    def kind(self) -> TaskKind:
        """The kind of this task."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the model's outputs."""

    @property
    def actions_of_classes(self) -> tuple[tuple[str, ...], ...]:
        """Of each class the annotated actions that count as it."""

    @property
    def ignored(self) -> frozenset[str]:
        """Actions whose frames count neither in the loss nor in the score."""

    @property
    def undirected(self) -> frozenset[str]:
        """Classes whose labels name two animals, but not which one is the agent."""

    def is_scored(self, action: str) -> bool:
        """Return whether an action counts in labels, and so in a score."""

    def check_actions(self, actions: Iterable[str]) -> None:
        """Raise `ConfigError` where labels have actions that the task excludes."""

    def check_zones(self, recording: StoredRecording) -> None:
        """Raise `DataError` where a recording lacks the zones that are needed."""

    def is_annotated(self, recording: StoredRecording) -> bool:
        """Tell whether any frame of a recording counts in a score."""

    def choices(
        self, recording: StoredRecording
    ) -> Mapping[View, Bool[np.ndarray, " classes"]]:
        """Return the views to predict, and the classes that are possible in each.

        Annotated bouts have no influence, so that scored recordings are treated as
        new ones are.
        """

    def annotations(self, recording: StoredRecording) -> Mapping[View, FrameLabels]:
        """Return the labels of each annotated view, at the recording's own frames."""


@dataclass(frozen=True, slots=True)
class SceneLabels:
    """The class of every frame of a recording, or `NOT_COUNTED`."""

    classes: Int8[np.ndarray, " frame"]
    number: int
    """How many classes there are."""

    def frames(self, start: int, stop: int) -> Int8[np.ndarray, "time classes"]:
        """Return the state of every class in frames [start, stop)."""
        some = self.classes[start:stop]
        states = (some[:, None] == np.arange(self.number)).astype(np.int8)
        states[some == NOT_COUNTED] = NOT_COUNTED
        return states


CHALLENGE_CLASSES = {
    "background": (),
    "social": (
        "sniff",
        "sniffgenital",
        "sniffface",
        "sniffbody",
        "reciprocalsniff",
        "approach",
        "follow",
    ),
    "mating": ("mount", "intromit", "attemptmount", "ejaculate"),
    "aggressive": (
        "attack",
        "chase",
        "chaseattack",
        "bite",
        "dominance",
        "defend",
        "flinch",
    ),
}
"""The V1/V2 groups; any other action is background."""


@dataclass(frozen=True, slots=True)
class SceneTask:
    """Groups of actions, in order; where several occur at once the last one counts.

    A watched frame without an annotated action has the first class.
    """

    classes: tuple[str, ...]
    class_of: Mapping[str, int]
    """The class of every action that is in a group."""
    ignored: frozenset[str]
    others_are_first: bool
    """Actions in no group belong to the first class; else they are an error."""

    @property
    def kind(self) -> TaskKind:
        """The kind of this task."""
        return TaskKind.SCENE

    @property
    def undirected(self) -> frozenset[str]:
        """Classes whose direction is not annotated: none, a scene has no direction."""
        return frozenset()

    @property
    def actions_of_classes(self) -> tuple[tuple[str, ...], ...]:
        """Of each class the annotated actions that count as it.

        The first class needs none; another without any is an action of its own name.
        """
        return tuple(
            tuple(actions) or ((name,) if place else ())
            for place, (name, actions) in enumerate(self.groups().items())
        )

    def groups(self) -> dict[str, list[str]]:
        """Return the annotated actions of each class by its name, as settings do."""
        groups: dict[str, list[str]] = {name: [] for name in self.classes}
        for action, place in self.class_of.items():
            groups[self.classes[place]].append(action)
        return groups

    @classmethod
    def from_groups(
        cls,
        groups: Mapping[str, Sequence[str]],
        *,
        ignore: Iterable[str] = (),
        others_are_first: bool = True,
    ) -> "SceneTask":
        """Return the task; raises `ConfigError` for an action in two groups."""
        class_of: dict[str, int] = {}
        ignored = frozenset(ignore)
        for index, (name, actions) in enumerate(groups.items()):
            for action in actions:
                if action in class_of or action in ignored:
                    raise ConfigError(
                        f"classes: action '{action}' of class '{name}' is in another "
                        "class or in `ignore` too; name it once"
                    )
                class_of[action] = index
        return cls(tuple(groups), class_of, ignored, others_are_first)

    def to_json(self) -> dict[str, Any]:
        """Return the task as plain values."""
        return {
            "classes": self.groups(),
            "ignored": sorted(self.ignored),
            "others_are_first": self.others_are_first,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "SceneTask":
        """Return the task of `to_json`."""
        return cls.from_groups(
            values["classes"],
            ignore=values["ignored"],
            others_are_first=values["others_are_first"],
        )

    def is_scored(self, action: str) -> bool:
        """Return whether an action counts in labels, and so in a score."""
        return action not in self.ignored

    def join(self, tasks: Iterable[Any]) -> "SceneTask":
        """Return the task of an ensemble of models for these tasks."""
        return self

    def check_zones(self, recording: StoredRecording) -> None:
        """Accept all recordings; a scene has no zones."""

    def check_actions(self, actions: Iterable[str]) -> None:
        """Raise `ConfigError` for actions that are in no group."""
        known = self.class_of.keys() | self.ignored
        lost = sorted(set(actions) - known)
        if lost and not self.others_are_first:
            raise ConfigError(
                f"classes: the data has actions that are in no class: {lost}. Add them "
                "to a class or to `ignore`, or set `other: background` to count them "
                f"as '{self.classes[0]}'"
            )

    def frame_labels(
        self,
        bouts: Iterable[Bout],
        watched: Iterable[Watched],
        length: int,
        coverage: Coverage | None = None,
    ) -> Int[np.ndarray, " time"]:
        """Return the class of each of the recording's own frames (int8).

        With `coverage` a frame counts where everything was watched for that would have
        changed its class: an action of a later class, had it occurred.
        """
        watched = tuple(watched)
        bouts = covered_bouts(bouts, coverage)
        if self.possible(watched, bouts).sum() < 2:
            return np.full(length, NOT_COUNTED, np.int8)
        labels = np.zeros(length, np.int8)
        ignored = np.zeros(length, bool)
        for bout in bouts:
            frames = slice(bout.start, bout.stop)
            if bout.action in self.ignored:
                ignored[frames] = True
            else:
                of_bout = self.class_of.get(bout.action, 0)
                labels[frames] = np.maximum(labels[frames], of_bout)
        if coverage is not None:
            self._leave_out_unwatched(labels, watched, coverage)
        labels[ignored] = NOT_COUNTED
        return labels

    def _leave_out_unwatched(
        self,
        labels: Int[np.ndarray, " time"],
        watched: Iterable[Watched],
        coverage: Coverage,
    ) -> None:
        """Mark frames in which an action of a later class was not watched for."""
        known = labels.copy()
        for entry in watched:
            of_entry = self.class_of.get(entry.action, 0)
            for start, stop in gaps_between(spans_of(coverage, entry), len(labels)):
                could_change = known[start:stop] < of_entry
                labels[start:stop][could_change] = NOT_COUNTED

    def possible(
        self, watched: Iterable[Watched], bouts: Iterable[Bout] = ()
    ) -> Bool[np.ndarray, " classes"]:
        """Return which classes were watched; the first one always if any was.

        Annotated actions count as watched, also where the metadata do not list them.
        All are false where the recording is not annotated.
        """
        actions = {entry.action for entry in watched} | {bout.action for bout in bouts}
        possible = np.zeros(len(self.classes), bool)
        possible[0] = bool(actions)
        for action in actions - self.ignored:
            possible[self.class_of.get(action, 0)] = True
        return possible

    def choices(
        self, recording: StoredRecording
    ) -> dict[View, Bool[np.ndarray, " classes"]]:
        """Return the classes that are possible in the scene.

        Those watched for; where the metadata name none, all.
        """
        possible = self.possible(recording.watched)
        return {SCENE: possible if possible.any() else ~possible}

    def labels_of(self, recording: StoredRecording) -> Int[np.ndarray, " time"]:
        """Return the class of each of a recording's own frames (int8)."""
        return self.frame_labels(
            recording.bouts,
            recording.annotated,
            recording.native_length,
            recording.coverage,
        )

    def annotations(self, recording: StoredRecording) -> dict[View, FrameLabels]:
        """Return the labels of the scene, at the recording's own frames."""
        labels = self.labels_of(recording)
        return {SCENE: SceneLabels(labels, len(self.classes))}

    def is_annotated(self, recording: StoredRecording) -> bool:
        """Tell whether any frame of a recording counts in a score."""
        labels = self.labels_of(recording)
        return bool((labels != NOT_COUNTED).any())
