"""What a model said of recordings it never saw, beside what people saw.

Evidence is of one view: a scene, or one agent and one target. Probabilities and labels
have the axes ``[time, class]``; NaN is "the model says nothing", for single frames or
for a class that is impossible here. A label is 1 (happens), 0 (does not) or -1 (nobody
looked, so it does not count).

A scene shows *one of* its classes, the first of which is "nothing of interest"; a pair
does *at most one of* its actions.

What people saw beside what was found: a lane for each scene, or agent and target.

Frames are the lane's own, `fps` a second, and spans half-open. Labels have three
states: 1 it happens, 0 it does not, -1 nobody looked. A scene shows one of its answers,
the first of which is "nothing of interest"; a pair does at most one of its answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from mabe.bouts import NO_ACTION, Spans, find_spans, name_animal
from mabe.errors import DataError
from mabe.metrics.frame_scores import Confusion, confusion_matrix
from mabe.runtime.disk_arrays import walk
from mabe.scene_task import TaskKind

_LEAST_PROBABILITY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """Probabilities and labels of one view; raises `DataError` where they disagree."""

    lab: str
    group: str
    """What a split must not divide: the recording, or the hash of its track."""
    fps: float
    probabilities: Float[np.ndarray, "time classes"]
    labels: Int[np.ndarray, "time classes"]

    def __post_init__(self) -> None:
        where = f"evidence of {self.lab}/{self.group}"
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise DataError(f"{where}: frames per second must be > 0, found {self.fps}")
        if self.probabilities.shape != self.labels.shape:
            raise DataError(
                f"{where}: expected one label for each probability, found shapes "
                f"{self.labels.shape} and {self.probabilities.shape}; are both at the "
                "same frames?"
            )
        given = self.probabilities[np.isfinite(self.probabilities)]
        if len(given) and not (given.min() >= 0 and given.max() <= 1):
            raise DataError(
                f"{where}: expected probabilities from 0 to 1, found {given.min()} to "
                f"{given.max()}; are these logits?"
            )
        if self.labels.size and not (
            self.labels.min() >= -1 and self.labels.max() <= 1
        ):
            raise DataError(
                f"{where}: expected labels -1, 0 or 1, found {self.labels.min()} to "
                f"{self.labels.max()}; for class indices use `Evidence.of_scene`."
            )

    @classmethod
    def of_scene(
        cls,
        *,
        lab: str,
        group: str,
        fps: float,
        probabilities: Float[np.ndarray, "time classes"],
        labels: Int[np.ndarray, " time"],
    ) -> "Evidence":
        """Return the evidence of a scene; labels are class indices, -1: not counted."""
        classes = np.arange(probabilities.shape[1])
        one_of = (labels[:, None] == classes).astype(np.int8)
        one_of[labels < 0] = -1
        return cls(
            lab=lab, group=group, fps=fps, probabilities=probabilities, labels=one_of
        )


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Recordings laid end to end, so that one pass serves them all."""

    lengths: Int[np.ndarray, " recordings"]
    fps: Float[np.ndarray, " recordings"]

    @classmethod
    def of(cls, views: Sequence[Evidence]) -> "Timeline":
        """Lay views end to end."""
        return cls(
            np.array([len(view.labels) for view in views], int),
            np.array([view.fps for view in views], float),
        )

    @classmethod
    def of_one(cls, length: int, fps: float) -> "Timeline":
        """Return the timeline of a single recording."""
        return cls(np.array([length]), np.array([float(fps)]))

    @property
    def slices(self) -> list[slice]:
        """The frames of each recording."""
        stops = np.cumsum(self.lengths)
        return [
            slice(int(stop - length), int(stop))
            for stop, length in zip(stops, self.lengths, strict=True)
        ]

    @property
    def frame_fps(self) -> Float[np.ndarray, " time"]:
        """Frames per second of the recording each frame is of."""
        return np.repeat(self.fps, self.lengths)

    @property
    def is_last(self) -> Bool[np.ndarray, " time"]:
        """True for the last frame of each recording."""
        last = np.zeros(int(self.lengths.sum()), bool)
        last[np.cumsum(self.lengths)[self.lengths > 0] - 1] = True
        return last


def log_odds(probabilities: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """Return log(p / (1 - p)), NaN where p is NaN; 0 and 1 become ± 21."""
    odds = probabilities.astype(np.float64, order="C")
    flat = odds.reshape(-1)
    for some in walk(flat):
        held = np.clip(flat[some], _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        flat[some] = np.log(held) - np.log1p(-held)
    return odds


SCENE = 0
"""The agent and target of a lane that is a whole scene."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lane:
    """One view of one recording, with labels, probabilities and decisions."""

    lab: str
    video: str
    agent: int
    """Animals count from 1; `SCENE` of a scene."""
    target: int
    track: str
    """Content hash of the track."""
    fps: float
    probabilities: Float[np.ndarray, "frame answers"]
    """NaN where an answer is impossible."""
    labels: Int8[np.ndarray, "frame answers"]
    chosen: Int[np.ndarray, " frame"]
    """The answer of each frame, or -1."""

    @property
    def name(self) -> str:
        """The recording as messages and outputs name it."""
        return f"{self.lab}/{self.video}"

    @property
    def who(self) -> str:
        """Agent and target in words; empty for a scene."""
        return name_pair(self.agent, self.target)

    @property
    def duration_s(self) -> float:
        """How long the recording is."""
        return len(self.chosen) / self.fps

    @property
    def counted(self) -> Bool[np.ndarray, " frame"]:
        """The frames that somebody watched for something, and that are not ignored."""
        return np.any(self.labels >= 0, axis=1)

    def seen(self, answer: int) -> Spans:
        """Return the bouts that people marked."""
        return find_spans(self.labels[:, answer] == 1)

    def found(self, answer: int) -> Spans:
        """Return the bouts that were found, also where nobody looked."""
        return find_spans(self.chosen == answer)

    def judged(self, answer: int) -> Spans:
        """Return the bouts that were found, cut to the frames that count for it."""
        return find_spans((self.chosen == answer) & (self.labels[:, answer] >= 0))

    def evidence(self) -> Evidence:
        """Return probabilities and labels as material for scores."""
        return Evidence(
            lab=self.lab,
            group=self.track,
            fps=self.fps,
            probabilities=self.probabilities,
            labels=self.labels,
        )


def name_pair(agent: int, target: int) -> str:
    """Return who does something to whom, in words; empty for a scene."""
    if agent == SCENE:
        return ""
    if agent == target:
        return f"{name_animal(agent)} itself"
    return f"{name_animal(agent)} → {name_animal(target)}"


def count_confusion(lane: Lane, kind: TaskKind) -> Confusion:
    """Count frames by annotated class (row) and predicted class (column).

    Rows and columns are those of `TaskKind.choice_names`. A frame with two annotated
    classes counts in both rows. A predicted class that was not watched for counts
    neither as right nor as wrong.
    """
    classes = lane.labels.shape[1]
    size = classes if kind.has_background else classes + 1
    counted, happens = lane.counted[:, None], lane.labels == 1
    is_known = np.concatenate([lane.labels >= 0, counted], axis=1)
    is_nothing = counted & ~happens.any(axis=1, keepdims=True)
    frames, true = np.nonzero(np.concatenate([happens, is_nothing], axis=1)[:, :size])
    predicted = np.where(lane.chosen == NO_ACTION, classes, lane.chosen)[frames]
    judged = is_known[frames, predicted] & (predicted < size)
    return confusion_matrix(true[judged], predicted[judged], size)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewAnswers:
    """A model's answers of one view, beside what people say."""

    lab: str
    video: str
    agent: int
    """0 of a scene."""
    target: int
    track: str
    """Content hash of the track."""
    fps: float
    probabilities: Float[np.ndarray, "time answers"]
    labels: Int[np.ndarray, "time answers"]

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What it is of."""
        return self.lab, self.video, self.agent, self.target

    def evidence(self) -> Evidence:
        """Return it as material for tuning."""
        return Evidence(
            lab=self.lab,
            group=self.track,
            fps=self.fps,
            probabilities=self.probabilities.astype(np.float32),
            labels=self.labels,
        )


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Answers of many views, all to the same question."""

    kind: TaskKind
    answers: tuple[str, ...]
    """Names of classes, or actions."""
    views: tuple[ViewAnswers, ...]

    def evidence(self) -> list[Evidence]:
        """Return all of it as material for tuning."""
        return [view.evidence() for view in self.views]

    @property
    def tracks(self) -> tuple[str, ...]:
        """Content hashes of all tracks."""
        return tuple(sorted({view.track for view in self.views}))
