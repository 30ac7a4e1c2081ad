"""One class for each frame, from how far each class is above its threshold."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import NO_ACTION
from mabe.scene_task import TaskKind


def choose(
    margins: Float[np.ndarray, "time classes"], kind: TaskKind
) -> Int[np.ndarray, " time"]:
    """Return the class that is furthest above its threshold, or `NO_ACTION`.

    With a background a class is always chosen (the first one if all are unknown).
    """
    return find_winners(margins, kind)[0]


def find_winners(
    margins: Float[np.ndarray, "time classes"], kind: TaskKind
) -> tuple[Int[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """Return the chosen class of each frame, and how far it is above its threshold."""
    best = margins.argmax(axis=1)
    # np.max along so short an axis takes far longer
    margin = np.take_along_axis(margins, best[:, None], axis=1)[:, 0]
    return _apply_threshold(best, margin, kind)


def choose_by_column(
    margins: Iterable[Float[np.ndarray, " time"]], length: int, kind: TaskKind
) -> Int[np.ndarray, " time"]:
    """Return what `choose` does, from margins that come class by class.

    So the margins of a long recording are never in memory together.
    """
    best = np.zeros(length, np.int16)
    margin = np.full(length, -np.inf)
    for place, column in enumerate(margins):
        ahead = column > margin
        best[ahead] = place
        np.maximum(margin, column, out=margin)
        del column  # before the next one is made
    return _apply_threshold(best.astype(np.int64), margin, kind)[0]


def _apply_threshold(
    best: Int[np.ndarray, " time"], margin: Float[np.ndarray, " time"], kind: TaskKind
) -> tuple[Int[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    if kind.has_background:
        return best, margin
    return np.where(margin >= 0, best, NO_ACTION), np.maximum(margin, 0)
