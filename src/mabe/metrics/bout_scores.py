"""Agreement of predicted and annotated classes, bout by bout.

Bouts are matched one to one where they overlap by an intersection over union above one
half, which makes the match unique (F1@50 of Lea et al., CVPR 2017). Labels and
predictions are class indices; frames labelled `NOT_COUNTED` (-1) are left out.
"""

import numpy as np
from jaxtyping import Int

from mabe.bouts import Spans, find_spans
from mabe.metrics.frame_scores import Counts
from mabe.metrics.span_matching import find_overlaps, match_bouts


def count_bouts(
    labels: Int[np.ndarray, " time"], predicted: Int[np.ndarray, " time"], classes: int
) -> Counts:
    """Return the bouts of each class: annotated, predicted, and matched."""
    counts = np.zeros((classes, 3), np.int64)
    counted = labels >= 0
    for index in range(classes):
        true = find_spans(labels == index)
        found = find_spans((predicted == index) & counted)
        counts[index] = len(true), len(found), count_matches(true, found)
    return counts


def count_matches(true: Spans, predicted: Spans) -> int:
    """Return how many pairs of spans overlap by more than half of their union."""
    overlaps = find_overlaps(true, predicted)
    return int(match_bouts(true, predicted, overlaps).sum())
