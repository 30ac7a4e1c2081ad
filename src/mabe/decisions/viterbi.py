"""Two-state Viterbi paths, for every threshold at once.

An action either goes on or does not. A frame spent in the state that its evidence
speaks against costs that evidence (log-odds, counted from a threshold), and each change
of state costs a fixed sum. The cheapest path is that of Viterbi (IEEE Trans. Inf. Theory
1967).

`steady_levels` returns the *level* of each frame: the highest threshold at which the
cheapest path is still "on". A threshold can then be moved without another search. (The
signal of levels is also what total variation denoising gives; Chambolle, "Total
variation minimization and a class of binary MRF models", 2005, shows why.)

Recordings lie end to end on one time axis; where one ends, a change is free. Inside,
time is *folded* into columns, since numpy is fast across an array and slow along it: a
walk of 128 rows instead of one of 600,000 frames.
"""

import numpy as np
from jaxtyping import Float

LEVEL_LIMIT = 8.0
"""Levels lie within ± this; chances of 0.9997 and 0.99999 say the same."""
_HALVINGS = 10
"""Levels are right to 8 / 2^10 = 0.008."""
_ROWS = 128
_OVERRULING = 1e6
"""Evidence above any other, in log-odds."""
_SAME = 1e-4

Folded = Float[np.ndarray, "row column"]


def steady_levels(
    evidence: Float[np.ndarray, " time"], change_cost: Float[np.ndarray, " time"]
) -> Float[np.ndarray, " time"]:
    """Return the highest threshold at which the best path is "on", for each frame.

    Both are in log-odds; `change_cost` is that of a change between a frame and the
    next. A frame without evidence (NaN) goes with its neighbours.
    """
    if len(evidence) == 0:
        return evidence
    known = _fold(np.isfinite(evidence))
    folded = _fold(np.nan_to_num(evidence))
    search = _Search(_fold(np.append(change_cost[:-1], 0.0)))
    level = np.zeros_like(folded)
    # Each search tells the frames above their level from those below, and the next
    # one searches both halves at the same time.
    for halving in range(1, _HALVINGS + 1):
        on = search.best_path((folded - level) * known, level)
        level += np.where(on, LEVEL_LIMIT, -LEVEL_LIMIT) / 2**halving
    return _unfold(level)[: len(evidence)]


class _Search:
    """Searches on one time axis; each starts from what the last one found."""

    def __init__(self, cost: Folded) -> None:
        self._cost = cost
        self._cost_backwards = _turn(_shift_later(cost))
        self._entry = np.zeros(cost.shape[1], np.float32)
        self._entry_backwards = np.zeros(cost.shape[1], np.float32)

    def best_path(self, evidence: Folded, level: Folded) -> np.ndarray:
        """Return where the best path is "on".

        A neighbour of another level is known to be on (if higher) or off (if lower).
        """
        before = _pass_on(evidence, level, self._cost, self._entry)
        after = _pass_on(
            _turn(evidence), _turn(level), self._cost_backwards, self._entry_backwards
        )
        return before + evidence + _turn(after) >= 0


def _pass_on(
    evidence: Folded, level: Folded, cost: Folded, entry: np.ndarray
) -> Folded:
    """Return how far all that came before speaks for "on" in each frame.

    Nothing before can matter more than a change costs, so a message is the one before,
    plus the evidence there, held within ± the cost. The columns are walked side by
    side, each entered with a guess; those whose guess was wrong are walked again,
    until none is. `entry` holds the guesses and is left with what was right.
    """
    pushed = evidence - np.float32(_OVERRULING) * np.sign(_shift_earlier(level) - level)
    messages = np.empty_like(pushed)
    stale = np.arange(len(entry))
    while len(stale):
        every = slice(None) if len(stale) == len(entry) else stale
        leaving = _walk(pushed[:, every], cost[:, every], entry[every], messages, every)
        is_last = stale == len(entry) - 1
        following, arriving = stale[~is_last] + 1, leaving[~is_last]
        is_new = np.abs(arriving - entry[following]) > _SAME
        entry[following] = arriving
        stale = following[is_new]
    return messages


def _walk(
    pushed: Folded,
    cost: Folded,
    entry: np.ndarray,
    messages: Folded,
    columns: "slice | np.ndarray",
) -> np.ndarray:
    """Fill some columns of `messages`, and return what the next are entered with."""
    least = -cost
    walked = np.empty_like(pushed)
    now = entry.copy()
    for row in range(len(pushed)):
        walked[row] = now
        now += pushed[row]
        np.maximum(now, least[row], out=now)
        np.minimum(now, cost[row], out=now)
    messages[:, columns] = walked
    return now


def _fold(frames: Float[np.ndarray, " time"]) -> Folded:
    """Return time in columns, filled up with zeros."""
    columns = -(-len(frames) // _ROWS)
    padded = np.zeros(columns * _ROWS, np.float32)
    padded[: len(frames)] = frames
    return np.ascontiguousarray(padded.reshape(columns, _ROWS).T)


def _unfold(folded: Folded) -> Float[np.ndarray, " time"]:
    return folded.T.reshape(-1)


def _turn(folded: Folded) -> Folded:
    """Return the same, backwards in time."""
    return folded[::-1, ::-1]


def _shift_earlier(folded: Folded) -> Folded:
    """Return what the next frame holds; the last frame is its own next."""
    shifted = np.empty_like(folded)
    shifted[:-1] = folded[1:]
    shifted[-1, :-1] = folded[0, 1:]
    shifted[-1, -1] = folded[-1, -1]
    return shifted


def _shift_later(folded: Folded) -> Folded:
    """Return what the frame before holds; before the first there is zero."""
    return _turn(_shift_earlier(_turn(folded)))
