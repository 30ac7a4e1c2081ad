"""Predictions of overlapping windows, stitched to those of a recording without a seam.

Windows of a network overlap; their probabilities are blended with weights that fall
linearly to both ends.
"""

import numpy as np
from jaxtyping import Float


class Stitching:
    """Blends the probabilities of overlapping windows into those of a recording."""

    def __init__(self, length: int, classes: int, *, overlap: int) -> None:
        self.total = np.zeros((length, classes), np.float32)
        self.weight = np.zeros((length, 1), np.float32)
        self.overlap = overlap

    def add(self, start: int, window: Float[np.ndarray, "window n"]) -> None:
        """Add the probabilities of the window that begins at `start`."""
        stop = start + len(window)
        share = blend_weights(len(window), self.overlap)[:, None]
        self.total[start:stop] += share * window
        self.weight[start:stop] += share

    def result(self) -> Float[np.ndarray, "time n"]:
        """Return the blended probabilities, once every frame was in some window."""
        self.total /= self.weight
        return self.total


def blend_weights(window: int, overlap: int) -> Float[np.ndarray, " window"]:
    """Return weights that fall over the overlap to each end, never to zero."""
    ramp = np.arange(1, window + 1, dtype=np.float32)
    return np.minimum(ramp, ramp[::-1]).clip(max=max(1, overlap))
