"""From probabilities to decisions: one class a frame, then bouts.

Probabilities have the axes ``[time, class]`` at the recording's own frames. Spans
are half-open. The first class means "nothing of interest" and makes no bouts.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import label_runs


@dataclass(frozen=True, slots=True, order=True)
class ClassBout:
    """One stretch of one class in a scene."""

    start: int
    stop: int
    class_index: int
    probability: float
    """Mean probability of the class over the bout."""


def choose_classes(
    probabilities: Float[np.ndarray, "time classes"],
) -> Int[np.ndarray, " time"]:
    """Return the most probable class of each frame."""
    return probabilities.argmax(axis=1)


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
