"""Bouts, what was watched for, and the stretches in which frames agree.

A *span array* has one row per stretch, ``[start, stop)``, sorted and disjoint.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

Spans = Int[np.ndarray, "_ 2"]


@dataclass(frozen=True, slots=True, order=True)
class Bout:
    """One uninterrupted stretch of one action, done by an agent to a target.

    Animals count from 1, as in the files; an action on oneself has
    ``target == agent``. Frames are the recording's own.
    """

    start: int
    stop: int
    action: str
    agent: int
    target: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a bout needs 0 <= start < stop, got {self}")


@dataclass(frozen=True, slots=True, order=True)
class Watched:
    """One thing an annotator looked out for: an action of an agent to a target."""

    agent: int
    target: int
    action: str


def find_spans(active: Bool[np.ndarray, " time"]) -> Spans:
    """Return every stretch of true frames."""
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    return edges.reshape(-1, 2)


def label_runs(labels: Int[np.ndarray, " time"]) -> Int[np.ndarray, "_ 3"]:
    """Return every stretch of one label as rows of (start, stop, label)."""
    if len(labels) == 0:
        return np.empty((0, 3), int)
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    stops = np.append(starts[1:], len(labels))
    return np.stack([starts, stops, labels[starts]], axis=1)


@dataclass(frozen=True, slots=True, order=True)
class PairBout:
    """One predicted stretch of one action, done by an agent to a target.

    As in `Bout`, animals count from 1 and an action on oneself has
    ``target == agent``. Frames are the recording's own.
    """

    start: int
    stop: int
    agent: int
    target: int
    action: str
    probability: float
    """Mean probability of the action over the bout."""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a bout needs 0 <= start < stop, got {self}")


def name_animal(animal: int) -> str:
    """Return an animal as the challenge's files write it, ``mouse1``."""
    return f"mouse{animal}"


def name_target(agent: int, target: int) -> str:
    """Return a target as a submission writes it, ``mouse2`` or ``self``."""
    return "self" if target == agent else name_animal(target)


NO_ACTION = -1


@dataclass(frozen=True, slots=True, order=True)
class ClassBout:
    """One stretch of one class in a scene."""

    start: int
    stop: int
    class_index: int
    probability: float
    """Mean probability of the class over the bout."""


def find_bouts(
    chosen: Int[np.ndarray, " time"],
    probabilities: Float[np.ndarray, "time classes"],
) -> list[ClassBout]:
    """Return the bouts of every class but the first, in time order."""
    return [
        ClassBout(
            int(start),
            int(stop),
            int(index),
            float(probabilities[start:stop, index].mean()),
        )
        for start, stop, index in label_runs(chosen)
        if index != 0
    ]


@dataclass(frozen=True, slots=True)
class VideoBouts:
    """The predicted bouts of one recording."""

    lab: str
    video: str
    fps: float
    bouts: tuple[ClassBout, ...]


@dataclass(frozen=True, slots=True)
class DirectedBouts:
    """The predicted bouts of one recording: who does what to whom."""

    video: str
    lab: str
    fps: float
    length: int
    """Number of frames of the recording."""
    bouts: tuple[PairBout, ...]
