"""F1 over frames, from counts of frames.

Counts have a last axis of three: frames labelled with a class, frames predicted as it
(where the label is known), and frames where both agree.
"""

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import NO_ACTION
from mabe.scene_task import TaskKind

LABELLED, PREDICTED, HITS = range(3)


def f_scores(
    counts: Int[np.ndarray, "*axes 3"], kind: TaskKind
) -> Float[np.ndarray, "*axes"]:
    """Return F1, NaN for what is no part of the mean.

    A class without labels is none, but where pairs are scored (as in the challenge) it
    is, with F1 = 0, as soon as it is predicted.
    """
    labelled, predicted = counts[..., LABELLED], counts[..., PREDICTED]
    total = labelled + predicted
    is_scored = (labelled if kind == "scene" else total) > 0
    return np.where(is_scored, 2 * counts[..., HITS] / np.maximum(total, 1), np.nan)


def score_of(
    counts: Int[np.ndarray, "labs *more classes 3"], kind: TaskKind
) -> np.ndarray:
    """Return the score that the task is judged by."""
    if kind == "scene":
        counts = counts.sum(axis=0, keepdims=True)
    return _mean_of_known(_mean_of_known(f_scores(counts, kind), -1), 0)


def count_frames(
    chosen: Int[np.ndarray, " time"], labels: Int[np.ndarray, "time classes"]
) -> Int[np.ndarray, "classes 3"]:
    """Count the frames labelled, predicted and hit, for each class."""
    classes = labels.shape[1]
    some = np.flatnonzero(chosen != NO_ACTION)
    picked = chosen[some]
    states = labels[some, picked]
    return np.stack(
        [
            # a sum along the long axis takes ten times as long
            [np.count_nonzero(column == 1) for column in labels.T],
            np.bincount(picked[states >= 0], minlength=classes),
            np.bincount(picked[states == 1], minlength=classes),
        ],
        axis=1,
    )


def _mean_of_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    number = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
