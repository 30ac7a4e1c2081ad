"""Agreement of predicted and annotated classes, frame by frame.

Conventions:
1. *Counts* have a last axis of three: frames annotated with a class, frames predicted
   as it (where the annotation is known), and frames where both agree. Counts of several
   recordings add up, and F1 is computed once from the sum. Counts of bouts have the
   same layout.
2. A class that never occurs has no F1 (NaN) and is left out of the mean, so that the
   mean is over the same classes whatever is predicted. Frames wrongly given to it are
   missed by their own class. By the challenge's rules (`TaskKind.is_scored_by_lab`) a
   class that was predicted counts too, with F1 = 0.
3. A confusion matrix has annotated classes in rows and predicted ones in columns.
   Frames labelled `NOT_COUNTED` (-1) are left out.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import NO_ACTION
from mabe.scene_task import TaskKind

LABELLED, PREDICTED, HITS = range(3)


Counts = Int[np.ndarray, "classes 3"]


Labels = Int[np.ndarray, " time"]


Confusion = Int[np.ndarray, "true predicted"]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Precision, recall and F1 of each class, NaN where there is nothing to score."""

    precision: Float[np.ndarray, " classes"]
    recall: Float[np.ndarray, " classes"]
    f1: Float[np.ndarray, " classes"]
    support: Int[np.ndarray, " classes"]
    """Annotated frames (or bouts)."""

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that have one; NaN if none has."""
        return float(_mean_of_known(self.f1, 0))


def count_frames(
    chosen: Int[np.ndarray, " time"], labels: Int[np.ndarray, "time classes"]
) -> Int[np.ndarray, "classes 3"]:
    """Count the frames of each class.

    A label is 1 (happens), 0 (does not) or -1 (not counted).
    """
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


def f_scores(
    counts: Int[np.ndarray, "*axes 3"], beta: float = 1.0
) -> Float[np.ndarray, "*axes"]:
    """Return F, recall weighing `beta` times precision; NaN where nothing is counted.

    F1 is the one with ``beta=1``.
    """
    weighted = beta**2 * counts[..., LABELLED] + counts[..., PREDICTED]
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = (1 + beta**2) * counts[..., HITS] / weighted
    return np.where(weighted > 0, scores, np.nan)


def f1_scores(
    counts: Int[np.ndarray, "*axes 3"], kind: TaskKind
) -> Float[np.ndarray, "*axes"]:
    """Return F1, NaN for classes that are no part of the mean."""
    if kind.is_scored_by_lab:
        return f_scores(counts)
    return np.where(counts[..., LABELLED] > 0, f_scores(counts), np.nan)


def macro_f1(
    counts: Int[np.ndarray, "labs *more classes 3"], kind: TaskKind
) -> np.ndarray:
    """Return the score of the task (see `TaskKind.is_scored_by_lab`)."""
    if not kind.is_scored_by_lab:
        counts = counts.sum(axis=0, keepdims=True)
    return _mean_of_known(_mean_of_known(f1_scores(counts, kind), -1), 0)


def without_unlearned(
    counts: Int[np.ndarray, "tracks labs classes 3"],
    folds: Int[np.ndarray, " tracks"] | None = None,
) -> Int[np.ndarray, "tracks labs classes 3"]:
    """Return counts on held-out tracks without classes that nothing could learn.

    A class annotated in the tracks of one fold only is learned from nothing when that
    fold is held out. Its counts are zero, so it has no F1 and is no part of the mean.
    `folds` is the fold of each track, by default one of its own.
    """
    folds = np.arange(len(counts)) if folds is None else folds
    is_labelled = counts[..., LABELLED].sum(axis=1) > 0
    folds_with = np.array([len(np.unique(folds[each])) for each in is_labelled.T])
    return np.where((folds_with >= 2)[:, None], counts, 0)


def class_scores(counts: Counts) -> ClassScores:
    """Return the scores of each class; F1 is NaN where nothing is annotated."""
    labelled, predicted, hits = counts.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return ClassScores(
            precision=hits / predicted,
            recall=hits / labelled,
            f1=f1_scores(counts, TaskKind.SCENE),
            support=labelled,
        )


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> Confusion:
    """Count frames by annotated class (row) and predicted class (column)."""
    counted = labels >= 0
    cells = labels[counted].astype(np.int64) * classes + predicted[counted]
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def counts_of_confusion(confusion: Confusion) -> Counts:
    """Return the counts of each class."""
    return np.stack([confusion.sum(1), confusion.sum(0), np.diag(confusion)], axis=1)


def accuracy(confusion: Confusion) -> float:
    """Return the share of counted frames given the right class."""
    total = confusion.sum()
    return float(np.trace(confusion) / total) if total else np.nan


def _mean_of_known(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    number = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)
