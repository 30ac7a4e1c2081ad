"""Thresholds with the highest score, from cumulative counts.

Log-odds are in bins (`mabe.decoding.calibration`) and thresholds are bin floors, so
the scores at all thresholds follow from one cumulative count. Counts have the layout
of `mabe.metrics.frame_scores`, and the score is that of the task (`macro_f1`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import NO_ACTION
from mabe.decoding.calibration import BINS, bin_floors, bin_of
from mabe.decoding.choose_class import find_winners
from mabe.metrics.frame_scores import (
    HITS,
    LABELLED,
    PREDICTED,
    count_frames,
    f1_scores,
    macro_f1,
)
from mabe.scene_task import TaskKind

_MOST_ROUNDS = 6


_LEAST_GAIN = 1e-5


_PLATEAU = 0.001
"""Scores so close to the best are treated as equal to it."""


@dataclass(frozen=True, slots=True, eq=False)
class LabFrames:
    """The frames of one lab: log-odds and labels of the classes that it has."""

    columns: Int[np.ndarray, " column"]
    """The class of each column."""
    log_odds: Float[np.ndarray, "time column"]
    """Smoothed; minus infinity where unknown."""
    labels: Int[np.ndarray, "time column"]


def improve_thresholds(
    labs: Sequence[LabFrames],
    start: Float[np.ndarray, " classes"],
    kind: TaskKind,
) -> Float[np.ndarray, " classes"]:
    """Return thresholds, shared by all labs, that no single change improves.

    Coordinate ascent: one class after the other gets its best threshold while the
    others keep theirs, until a round gains nothing.
    """
    thresholds = start.copy()
    floors = bin_floors()
    for _ in range(_MOST_ROUNDS):
        gained = 0.0
        for index in range(len(thresholds)):
            counts = [
                count_by_threshold(lab, thresholds, index, kind)
                for lab in labs
                if index in lab.columns
            ]
            if not counts:
                continue
            scores = macro_f1(np.stack(counts), kind)
            if not np.isfinite(scores).any():
                continue
            best = best_bin(scores)
            gain = float(scores[best] - scores[bin_of(thresholds)[index]])
            if gain > _LEAST_GAIN:
                thresholds[index] = floors[best]
                gained += gain
        if gained <= _LEAST_GAIN:
            break
    return thresholds


def count_by_threshold(
    lab: LabFrames,
    thresholds: Float[np.ndarray, " classes"],
    index: int,
    kind: TaskKind,
) -> Int[np.ndarray, "bins classes 3"]:
    """Count frames for every threshold of one class, those of the others being fixed.

    The class is chosen in a frame where its margin is at least that of the best other
    class, so each frame has one threshold below which its choice changes.
    """
    column = int(np.flatnonzero(lab.columns == index)[0])
    margins = lab.log_odds - thresholds[lab.columns].astype(np.float32)
    margins[:, column] = -np.inf
    winner, others_margin = find_winners(margins, kind)
    counts = np.zeros((BINS, len(thresholds), 3), int)
    counts[:, lab.columns] = count_frames(winner, lab.labels)

    reached = np.flatnonzero(np.isfinite(lab.log_odds[:, column]))
    lead = lab.log_odds[reached, column] - others_margin[reached]
    bins = bin_of(np.nan_to_num(lead, posinf=float(np.finfo(np.float32).max)))
    state = lab.labels[reached, column]
    counts[:, index, PREDICTED] = _at_least(bins[state >= 0])
    counts[:, index, HITS] = _at_least(bins[state == 1])

    previous = winner[reached]
    has_previous = (previous != NO_ACTION) & (previous != column)
    state = lab.labels[reached, previous]
    for what, is_lost in ((PREDICTED, state >= 0), (HITS, state == 1)):
        lost = np.flatnonzero(has_previous & is_lost)
        cells = np.bincount(
            previous[lost] * BINS + bins[lost], minlength=len(lab.columns) * BINS
        )
        from_top = cells.reshape(-1, BINS)[:, ::-1].cumsum(axis=1)[:, ::-1]
        counts[:, lab.columns, what] -= from_top.T
    return counts


def best_bin(scores: Float[np.ndarray, " bins"]) -> int:
    """Return the middle of the plateau around the best score.

    Of many nearly equal thresholds the best one is best by chance, often at an edge.
    """
    best = int(np.nanargmax(scores))
    worse = np.flatnonzero(~(scores >= scores[best] - _PLATEAU))
    left = worse[worse < best].max(initial=-1)
    right = worse[worse > best].min(initial=len(scores))
    return int((left + right) // 2)


def single_class_thresholds(
    tally: Int[np.ndarray, "labs bins 2"],
    labelled: Float[np.ndarray, " labs"],
    kind: TaskKind,
) -> tuple[float, Float[np.ndarray, " labs"]]:
    """Return the best threshold of one class without the others: shared, and by lab.

    `labelled` frames are given beside the tally, because frames without a probability
    are missed too. A lab without any has the shared threshold, which is 0 if none has.
    """
    counts = np.zeros((len(tally), BINS, 1, 3), int)
    from_top = tally[:, ::-1].cumsum(axis=1)[:, ::-1]
    counts[..., 0, LABELLED] = labelled[:, None]
    counts[..., 0, PREDICTED] = from_top.sum(axis=2)
    counts[..., 0, HITS] = from_top[..., 1]
    counts = counts[labelled > 0]
    if not len(counts):
        return 0.0, np.zeros(len(tally))
    floors = bin_floors()
    shared = float(floors[best_bin(macro_f1(counts, kind))])
    own = np.full(len(tally), shared)
    own[labelled > 0] = [floors[best_bin(f1_scores(lab, kind)[:, 0])] for lab in counts]
    return shared, own


def shrink_to_shared(
    own: Float[np.ndarray, "labs *classes"],
    shared: float | Float[np.ndarray, " classes"],
    bouts: Float[np.ndarray, "labs *classes"],
    shrinkage: float,
) -> Float[np.ndarray, "labs *classes"]:
    """Return thresholds between a lab's own and the shared one, in log-odds.

    With as many bouts as `shrinkage` a lab is half way; without bouts it has the
    shared one.
    """
    weight = bouts / (bouts + shrinkage)
    return weight * own + (1 - weight) * shared


def _at_least(bins: Int[np.ndarray, " n"]) -> Int[np.ndarray, " bins"]:
    """Return how many are in each bin or a higher one."""
    return np.bincount(bins, minlength=BINS)[::-1].cumsum()[::-1]
