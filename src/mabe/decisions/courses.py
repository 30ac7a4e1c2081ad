"""The best course of events: a Viterbi search that also says by how much it is best.

A *state* is what goes on in one frame. What one frame says of the states is `evidence`
(log-likelihoods, any constant apart), what may follow what is `steps` (log-probability
of going from the state in the row to the state in the column, one frame later).
Time runs along the first axis.
"""

import numpy as np
from jaxtyping import Float

Evidence = Float[np.ndarray, "time states"]
Steps = Float[np.ndarray, "states states"]

_CHUNK_FRAMES = 256
_SAME = 1e-9
"""Log-probabilities that close are the same; sums in another order differ so little."""


def course_values(
    evidence: Float[np.ndarray, "time states"], steps: Float[np.ndarray, "states states"]
) -> Float[np.ndarray, "time states"]:
    """Return how good the best course is that has this state in this frame.

    These are the max-marginals of the chain, relative to the best course of all (0): the
    states at 0 are the Viterbi path, and elsewhere the value is what it would cost
    to be there instead. Linear in time and quadratic in states.
    """
    if len(evidence) == 0:
        return evidence
    before = _best_before(evidence, steps)
    after = _best_before(evidence[::-1], steps.T)[::-1]
    total = before + after + evidence
    return total - total.max(axis=1, keepdims=True)


def _best_before(
    evidence: Float[np.ndarray, "time states"], steps: Float[np.ndarray, "states states"]
) -> Float[np.ndarray, "time states"]:
    """Return the value of the best course up to each state, its own evidence excluded.

    The chunks of a recording are walked side by side, each from a guess of what came
    before it; those whose guess was wrong are walked again, until none is. Courses
    forget their beginning within a few bouts, so two or three walks are the rule, and
    the result is exact.
    """
    time, states = evidence.shape
    chunks = -(-time // _CHUNK_FRAMES)
    padded = np.zeros((chunks * _CHUNK_FRAMES, states))
    padded[:time] = evidence
    padded = padded.reshape(chunks, _CHUNK_FRAMES, states)
    value = np.empty_like(padded)
    entry = np.zeros((chunks, states))
    stale = np.arange(chunks)
    while len(stale):
        leaving = _walk(padded, value, entry, stale, steps)
        following = stale[stale + 1 < chunks] + 1
        arriving = leaving[: len(following)]
        # not every walked chunk has a follower, and only the last one lacks it
        changed = ~np.all(np.abs(arriving - entry[following]) <= _SAME, axis=1)
        entry[following] = arriving
        stale = following[changed]
    return value.reshape(-1, states)[:time]


def _walk(
    evidence: Float[np.ndarray, "chunks frames states"],
    value: Float[np.ndarray, "chunks frames states"],
    entry: Float[np.ndarray, "chunks states"],
    walked: np.ndarray,
    steps: Float[np.ndarray, "states states"],
) -> Float[np.ndarray, "walked states"]:
    """Fill `value` of some chunks from their entry; return what the next are entered with."""
    now = entry[walked]
    for frame in range(evidence.shape[1]):
        value[walked, frame] = now
        now = (now + evidence[walked, frame])[:, :, None] + steps
        now = now.max(axis=1)
        now -= now.max(axis=1, keepdims=True)
    return now
