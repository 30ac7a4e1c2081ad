"""How often two tracks look as if they had exchanged their animals.

Trackers lose animals that touch, and go on with the wrong one. Where both centres would
have moved much less had the two been exchanged, they probably were. Exchanges while two
animals lie at one place are not found. Nothing is changed: which of two tracks is right
cannot be told without looking.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from mabe.io.readers.poses import Poses
from mabe.recording import mean_of_tracked
from mabe.runtime.console import count

MARGIN_CM = 4.0
"""Both together would have moved this much less; half of a mouse's body."""


MOST_ANIMALS = 50


LONGEST_GAP_S = 0.5
"""A centre is compared with the last one at most so long before."""


_SHOWN = 3


def note_on_exchanges(poses: Poses, *, fps: float, pixels_per_cm: float) -> str | None:
    """Return a note where identities look exchanged; None where they never do.

    Larger groups than `MOST_ANIMALS` are not looked at: their pairs are too many.
    """
    if len(poses.animals) > MOST_ANIMALS:
        return None
    found = {
        pair: len(frames)
        for pair, frames in exchanges(
            mean_of_tracked(poses.xy_px),
            margin=MARGIN_CM * pixels_per_cm,
            longest_gap=max(1, round(LONGEST_GAP_S * fps)),
        ).items()
        if len(frames)
    }
    if not found:
        return None
    most = sorted(found, key=lambda pair: -found[pair])
    named = [
        f"{poses.animals[a]} and {poses.animals[b]} ({found[a, b]})"
        for a, b in most[:_SHOWN]
    ]
    others = len(most) - _SHOWN
    more = f" and {count(others, 'more pair')}" if others > 0 else ""
    return (
        f"identities look exchanged about {count(sum(found.values()), 'time')}: "
        f"{', '.join(named)}{more}; who does what to whom may be wrong after each"
    )


def exchanges(
    centres: Float[np.ndarray, "time animal 2"], *, margin: float, longest_gap: int
) -> dict[tuple[int, int], Int[np.ndarray, " exchange"]]:
    """Return the frames at which each two animals look exchanged.

    `margin` is in the unit of the centres; animals count from 0.
    """
    before, age = _last_known(centres)
    found = {}
    for pair in combinations(range(centres.shape[1]), 2):
        now, then = centres[1:, pair], before[:-1][:, pair]
        is_known = np.isfinite(now).all(axis=(1, 2)) & np.isfinite(then).all(
            axis=(1, 2)
        )
        is_known &= (age[:-1][:, pair] < longest_gap).all(axis=1)
        straight = np.linalg.norm(now - then, axis=2).sum(axis=1)
        crossed = np.linalg.norm(now[:, ::-1] - then, axis=2).sum(axis=1)
        with np.errstate(invalid="ignore"):
            found[pair] = np.flatnonzero(is_known & (straight - crossed > margin)) + 1
    return found


def _last_known(
    centres: Float[np.ndarray, "time animal 2"],
) -> tuple[Float[np.ndarray, "time animal 2"], Int[np.ndarray, "time animal"]]:
    """Return the last centre up to each frame, and how many frames ago it was."""
    frames = np.arange(len(centres))[:, None]
    is_known = np.isfinite(centres[..., 0])
    last = np.maximum.accumulate(np.where(is_known, frames, -1), axis=0)
    filled = np.take_along_axis(centres, np.maximum(last, 0)[..., None], axis=0)
    filled[last < 0] = np.nan
    return filled, frames - last
