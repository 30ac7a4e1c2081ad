"""From probabilities to decisions: one class or action a frame, then bouts.

Probabilities have the axes ``[time, class]`` (a scene) or ``[time, action]`` (one
agent and one target). Spans are half-open. A scene's first class means "nothing of
interest" and makes no bouts; a pair may do nothing, which is `NO_ACTION`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.bouts import label_runs

NO_ACTION = -1


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


def choose_actions(
    probabilities: Float[np.ndarray, "time actions"],
    possible: Bool[np.ndarray, " actions"],
    *,
    threshold: float = 0.5,
) -> Int[np.ndarray, " time"]:
    """Return the most probable possible action of each frame, or `NO_ACTION`.

    One agent does one thing to one target at a time, as the challenge demands.
    """
    allowed = np.where(possible, probabilities, -np.inf)
    best = allowed.argmax(axis=1)
    is_sure = allowed.max(axis=1, initial=-np.inf) >= threshold
    return np.where(is_sure, best, NO_ACTION)


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
