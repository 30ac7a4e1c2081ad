"""Two-state Viterbi paths, for every threshold at once.

An action is either on or off. A frame in the less probable state costs its log-odds
(counted from a threshold), and each change of state has a fixed cost. The path of least
cost is that of Viterbi (IEEE Transactions on Information Theory 1967).

`steady_levels` returns the *level* of each frame: the highest threshold at which the
cheapest path is still "on". A threshold can then be moved without another search. (The
signal of levels is also what total variation denoising gives; Chambolle, "Total
variation minimization and a class of binary MRF models", 2005, shows why.)

Recordings are concatenated on one time axis; a change of state between two of them
costs nothing. Internally the time axis is *folded* into columns of 128 rows, because a
loop over 128 rows of an array is much faster than one over 600,000 frames.
"""

import numpy as np
from jaxtyping import Bool, Float

LEVEL_LIMIT = 8.0
"""Levels lie within ± this; probabilities of 0.9997 and above are treated alike."""


_HALVINGS = 10
"""Levels are right to 8 / 2^10 = 0.008."""


_ROWS = 128


_OVERRULING = 1e6
"""Log-odds above any other."""


Folded = Float[np.ndarray, "row column"]


def steady_levels(
    log_odds: Float[np.ndarray, " time"], change_cost: Float[np.ndarray, " time"]
) -> Float[np.ndarray, " time"]:
    """Return the highest threshold at which the best path is "on", for each frame.

    Both are in log-odds; `change_cost` is that of a change between a frame and the
    next. A frame without log-odds (NaN) follows its neighbours.
    """
    if len(log_odds) == 0:
        return log_odds
    known = _fold(np.isfinite(log_odds).astype(float))
    folded = _fold(np.nan_to_num(log_odds))
    search = _Search(_fold(np.append(change_cost[:-1], 0.0)))
    level = np.zeros_like(folded)
    # Each search separates the frames above their level from those below, and the next
    # one searches both halves at the same time.
    for halving in range(1, _HALVINGS + 1):
        on = search.best_path((folded - level) * known, level)
        level += np.where(on, LEVEL_LIMIT, -LEVEL_LIMIT) / 2**halving
    return _unfold(level)[: len(log_odds)]


class _Search:
    """Searches on one time axis."""

    def __init__(self, cost: Folded) -> None:
        self._cost = cost
        self._cost_backwards = _turn(_shift_later(cost))

    def best_path(
        self, log_odds: Folded, level: Folded
    ) -> Bool[np.ndarray, "row column"]:
        """Return where the best path is "on".

        A neighbour of another level is known to be on (if higher) or off (if lower).
        """
        before = _pass_on(log_odds, level, self._cost)
        after = _pass_on(_turn(log_odds), _turn(level), self._cost_backwards)
        return before + log_odds + _turn(after) >= 0


def _pass_on(log_odds: Folded, level: Folded, cost: Folded) -> Folded:
    """Return the message of all earlier frames for "on" to each frame.

    A message cannot exceed the cost of a change: it is the one before, plus the
    log-odds there, clipped to ± the cost. Many such steps in a row are one of
    the same kind, entry + shift held within bounds: so the columns are walked side by
    side without knowing what they are entered with, which is filled in at the end.
    """
    known = np.float32(_OVERRULING) * np.sign(_shift_earlier(level) - level)
    pushed = log_odds - known
    shift = np.zeros((len(pushed) + 1, pushed.shape[1]), np.float32)
    np.cumsum(pushed, axis=0, out=shift[1:])
    bounds = _walk(pushed, cost)
    entry = _chain(shift[-1], bounds[-1])
    messages = entry + shift[:-1]
    np.maximum(messages, bounds[:-1, 0], out=messages)
    np.minimum(messages, bounds[:-1, 1], out=messages)
    return messages


def _walk(pushed: Folded, cost: Folded) -> Float[np.ndarray, "row_and_end 2 column"]:
    """Return the bounds of the messages into each row, and of those that leave."""
    rows, columns = pushed.shape
    bounds = np.empty((rows + 1, 2, columns), np.float32)
    bounds[0] = np.array([-np.inf, np.inf], np.float32)[:, None]
    least = -cost
    for row in range(rows):
        following = bounds[row + 1]
        np.add(bounds[row], pushed[row], out=following)
        np.maximum(following, least[row], out=following)
        np.minimum(following, cost[row], out=following)
    return bounds


def _chain(
    shift: Float[np.ndarray, " column"], bounds: Float[np.ndarray, "2 column"]
) -> Float[np.ndarray, " column"]:
    """Return what each column is entered with: what the one before it leaves with.

    Columns are joined in pairs, fours, eights: two steps of the kind are one of it.
    """
    shift, (low, high) = shift.astype(np.float64), bounds.astype(np.float64)
    reach = 1
    while reach < len(shift):
        by, least, most = shift[reach:], low[reach:].copy(), high[reach:].copy()
        low[reach:] = np.clip(low[:-reach] + by, least, most)
        high[reach:] = np.clip(high[:-reach] + by, least, most)
        shift[reach:] = shift[:-reach] + by
        reach *= 2
    leaving = np.clip(shift, low, high)
    return np.append(0, leaving[:-1]).astype(np.float32)


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
