"""How well predicted classes agree with people's, by frame and by bout.

Task: one class for each frame of a recording. Labels and predictions are class
indices; frames labelled `NOT_COUNTED` (-1) are left out before anything is counted.

Conventions:
1. A confusion matrix has people's classes in rows and predictions in columns.
2. Counts are pooled over all frames first, F1 is taken once (not averaged over videos).
3. A class that never occurs has no F1 (NaN) and is left out of the mean, so that the
   mean is over the same classes whatever is predicted. Frames wrongly given to it are
   missed by their own class.
4. Bouts are matched one to one where they overlap by an intersection over union above
   one half, which makes the match unique (F1@50 of Lea et al., CVPR 2017).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import Spans, find_spans
from mabe.metrics.intervals import find_overlaps, match_bouts

Labels = Int[np.ndarray, " time"]


Confusion = Int[np.ndarray, "true predicted"]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Precision, recall and F1 of each class, NaN where there is nothing to score."""

    precision: Float[np.ndarray, " classes"]
    recall: Float[np.ndarray, " classes"]
    f1: Float[np.ndarray, " classes"]
    support: Int[np.ndarray, " classes"]
    """Frames (or bouts) that people gave the class."""

    @property
    def f1_macro(self) -> float:
        """Mean F1 over the classes that have one; NaN if none has."""
        return float(np.nanmean(self.f1)) if np.isfinite(self.f1).any() else np.nan


def confusion_matrix(labels: Labels, predicted: Labels, classes: int) -> Confusion:
    """Count frames by people's class (row) and predicted class (column)."""
    counted = labels >= 0
    cells = labels[counted].astype(np.int64) * classes + predicted[counted]
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def scores_of_confusion(confusion: Confusion) -> ClassScores:
    """Return per-class scores from pooled counts."""
    hits = np.diag(confusion)
    return scores_of_counts(
        hits, missed=confusion.sum(1) - hits, wrong=confusion.sum(0) - hits
    )


def scores_of_counts(
    hits: Int[np.ndarray, " classes"],
    *,
    missed: Int[np.ndarray, " classes"],
    wrong: Int[np.ndarray, " classes"],
) -> ClassScores:
    """Return per-class scores from true positives, false negatives and positives."""
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / (2 * hits + missed + wrong)
        return ClassScores(
            precision=hits / (hits + wrong),
            recall=hits / (hits + missed),
            f1=np.where(hits + missed > 0, f1, np.nan),
            support=hits + missed,
        )


def accuracy(confusion: Confusion) -> float:
    """Return the share of counted frames given the right class."""
    total = confusion.sum()
    return float(np.trace(confusion) / total) if total else np.nan


def bout_counts(
    labels: Labels, predicted: Labels, classes: int
) -> Int[np.ndarray, "classes 3"]:
    """Return, for each class, the number of bouts hit, missed and wrongly predicted."""
    counts = np.zeros((classes, 3), np.int64)
    counted = labels >= 0
    for index in range(classes):
        true = find_spans(labels == index)
        found = find_spans((predicted == index) & counted)
        hits = count_matches(true, found)
        counts[index] = hits, len(true) - hits, len(found) - hits
    return counts


def count_matches(true: Spans, found: Spans) -> int:
    """Return how many pairs of spans overlap by more than half of their union."""
    overlaps = find_overlaps(true, found)
    return int(match_bouts(true, found, overlaps).sum())
