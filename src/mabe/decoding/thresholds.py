"""Thresholds that score best, found by counting.

Log-odds are in bins (`mabe.decisions.calibration`) and thresholds are bin floors, so
the score at every threshold follows from cumulative counts, and none is tried out.

*Counts* have the axes ``[..., 3]``: frames labelled, predicted, and both (hits), of the
frames that count. A scene is scored by macro F1, pairs as in the challenge: the mean
over labs of the mean over a lab's actions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import NO_ACTION
from mabe.decoding.calibration import BINS, bin_floors, bin_of
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
"""Scores that close to the best are as good."""


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """The frames of one lab: what is said of the classes it asks for, and labels."""

    asked: Int[np.ndarray, " asked"]
    """Which classes the columns stand for."""
    log_odds: Float[np.ndarray, "time asked"]
    """Smoothed and calibrated; minus infinity where nothing is said."""
    labels: Int[np.ndarray, "time asked"]


def choose(
    margins: Float[np.ndarray, "time classes"], kind: TaskKind
) -> Int[np.ndarray, " time"]:
    """Return the class that is furthest above its threshold, or `NO_ACTION`.

    One class of a scene always is (the first, if nothing is said of any).
    """
    return find_holders(margins, kind)[0]


def find_holders(
    margins: Float[np.ndarray, "time classes"], kind: TaskKind
) -> tuple[Int[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    """Return who has each frame, and how far above the threshold that is."""
    best = margins.argmax(axis=1)
    # np.max along so short an axis takes far longer
    margin = np.take_along_axis(margins, best[:, None], axis=1)[:, 0]
    return _hold(best, margin, kind)


def choose_by_column(
    margins: Iterable[Float[np.ndarray, " time"]], length: int, kind: TaskKind
) -> Int[np.ndarray, " time"]:
    """Return the same as `choose` of margins that come class by class.

    So a long recording's are never all in memory.
    """
    best = np.zeros(length, np.int16)
    margin = np.full(length, -np.inf)
    for place, column in enumerate(margins):
        ahead = column > margin
        best[ahead] = place
        np.maximum(margin, column, out=margin)
        del column  # before the next one is made
    return _hold(best.astype(np.int64), margin, kind)[0]


def _hold(
    best: Int[np.ndarray, " time"], margin: Float[np.ndarray, " time"], kind: TaskKind
) -> tuple[Int[np.ndarray, " time"], Float[np.ndarray, " time"]]:
    if kind.has_background:
        return best, margin
    return np.where(margin >= 0, best, NO_ACTION), np.maximum(margin, 0)


def climb(
    boards: Sequence[Board], start: Float[np.ndarray, " classes"], kind: TaskKind
) -> Float[np.ndarray, " classes"]:
    """Return thresholds, the same in all labs, that no single change makes better.

    One class after the other gets its best threshold while the others keep theirs,
    until a round gains nothing.
    """
    thresholds = start.copy()
    floors = bin_floors()
    for _ in range(_MOST_ROUNDS):
        gained = 0.0
        for index in range(len(thresholds)):
            counts = [
                count_by_threshold(board, thresholds, index, kind)
                for board in boards
                if index in board.asked
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
    board: Board, thresholds: Float[np.ndarray, " classes"], index: int, kind: TaskKind
) -> Int[np.ndarray, "bins classes 3"]:
    """Count frames for every threshold of one class, those of the others given.

    The class gets a frame where its log-odds are above its threshold by as much as the
    best of the others is, so each frame has one threshold below which it changes hands.
    """
    column = int(np.flatnonzero(board.asked == index)[0])
    margins = board.log_odds - thresholds[board.asked].astype(np.float32)
    margins[:, column] = -np.inf
    holder, bar = find_holders(margins, kind)
    counts = np.zeros((BINS, len(thresholds), 3), int)
    counts[:, board.asked] = count_frames(holder, board.labels)

    reached = np.flatnonzero(np.isfinite(board.log_odds[:, column]))
    lead = board.log_odds[reached, column] - bar[reached]
    bins = bin_of(np.nan_to_num(lead, posinf=float(np.finfo(np.float32).max)))
    state = board.labels[reached, column]
    counts[:, index, PREDICTED] = _at_least(bins[state >= 0])
    counts[:, index, HITS] = _at_least(bins[state == 1])

    loser = holder[reached]
    has_loser = (loser != NO_ACTION) & (loser != column)
    state = board.labels[reached, loser]
    for what, is_lost in ((PREDICTED, state >= 0), (HITS, state == 1)):
        lost = np.flatnonzero(has_loser & is_lost)
        cells = np.bincount(
            loser[lost] * BINS + bins[lost], minlength=len(board.asked) * BINS
        )
        from_top = cells.reshape(-1, BINS)[:, ::-1].cumsum(axis=1)[:, ::-1]
        counts[:, board.asked, what] -= from_top.T
    return counts


def best_bin(scores: Float[np.ndarray, " bins"]) -> int:
    """Return the middle of the stretch around the best score that is as good.

    The best of many nearly equal thresholds is best by probability, often at an edge.
    """
    best = int(np.nanargmax(scores))
    worse = np.flatnonzero(~(scores >= scores[best] - _PLATEAU))
    left = worse[worse < best].max(initial=-1)
    right = worse[worse > best].min(initial=len(scores))
    return int((left + right) // 2)


def alone_thresholds(
    tally: Int[np.ndarray, "labs bins 2"],
    labelled: Float[np.ndarray, " labs"],
    kind: TaskKind,
) -> tuple[float, Float[np.ndarray, " labs"]]:
    """Return the best threshold of one class as if it were alone: in all labs, in each.

    `labelled` frames are given beside the tally, because those of which nothing is said
    are missed too. Where there are none, the threshold is that of all labs, or 0.
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


def pull_together(
    own: Float[np.ndarray, "labs *classes"],
    shared: float | Float[np.ndarray, " classes"],
    bouts: Float[np.ndarray, "labs *classes"],
    pull: float,
) -> Float[np.ndarray, "labs *classes"]:
    """Return thresholds between a lab's own and the shared one, in log-odds.

    With as many bouts as `pull` a lab is half way; without a bout it has the shared.
    """
    weight = bouts / (bouts + pull)
    return weight * own + (1 - weight) * shared


def _at_least(bins: Int[np.ndarray, " n"]) -> Int[np.ndarray, " bins"]:
    """Return how many are in each bin or a higher one."""
    return np.bincount(bins, minlength=BINS)[::-1].cumsum()[::-1]
