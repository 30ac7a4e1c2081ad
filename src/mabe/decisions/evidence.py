"""What a model said of recordings it never saw, beside what people saw.

Evidence is of one view: a scene, or one agent and one target. Probabilities and labels
have the axes ``[time, class]``; NaN is "the model says nothing", for single frames or
for a class that is impossible here. A label is 1 (happens), 0 (does not) or -1 (nobody
looked, so it does not count).

A scene shows *one of* its classes, the first of which is "nothing of interest"; a pair
does *at most one of* its actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.errors import DataError
from mabe.spool import walk

Kind = Literal["scene", "pair"]

_LEAST_CHANCE = 1e-9


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


def log_odds(chances: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """Return log(p / (1 - p)), NaN where there is no chance; 0 and 1 become ± 21."""
    odds = chances.astype(np.float64, order="C")
    flat = odds.reshape(-1)
    for some in walk(flat):
        held = np.clip(flat[some], _LEAST_CHANCE, 1 - _LEAST_CHANCE)
        flat[some] = np.log(held) - np.log1p(-held)
    return odds
