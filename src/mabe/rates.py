"""Going between a recording's own frame rate and the working rate.

Frame ``f`` at ``r`` frames per second happens at time ``f / r``, so frame 0 is the
same moment at every rate. Nothing is invented: a resampled point is missing exactly
where the input frame nearest to it is missing. Of two equally near frames the earlier
one counts as the nearest.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

_ROUNDING = 1e-6
"""A frame this close after the last input frame is the last input frame: quotients of
rates such as 33.3 / 30 are not exact."""
_PIECE_VALUES = 1 << 16
"""Coordinates resampled at a time: a few arrays of this size fit a core's cache."""


def resampled_length(length: int, *, from_fps: float, to_fps: float) -> int:
    """Return how many frames fit between the first and the last one at a new rate."""
    if length == 0 or from_fps == to_fps:
        return length
    return math.floor((length - 1) * to_fps / from_fps + _ROUNDING) + 1


def nearest_frames(
    length: int, *, from_fps: float, to_fps: float, from_length: int
) -> Int[np.ndarray, " length"]:
    """Return for each of `length` output frames the nearest of `from_length` frames.

    Indexing with it resamples labels, or brings predictions back to a recording's own
    frames. Output frames behind the last input frame get the last one.
    """
    if length and not from_length:
        raise ValueError(f"cannot make {length} frames out of none")
    positions = np.arange(length) * (from_fps / to_fps)
    nearest = np.ceil(positions - 0.5 - _ROUNDING).astype(np.int64)
    return np.clip(nearest, 0, max(from_length - 1, 0))


def linear_pieces(
    xy: Float[np.ndarray, "time slot 2"], *, from_fps: float, to_fps: float
) -> Iterator[Float[np.ndarray, "_ slot 2"]]:
    """Yield the points at a new rate, each between its two neighbours in time.

    Where one neighbour is missing (NaN) the other stands in if it is the nearer one.
    The pieces follow each other, so that a long recording is never held twice; where
    the rates agree they are views of the input.
    """
    length = resampled_length(len(xy), from_fps=from_fps, to_fps=to_fps)
    piece_frames = max(1, _PIECE_VALUES // max(1, xy[:1].size))
    for start in range(0, length, piece_frames):
        stop = min(start + piece_frames, length)
        if from_fps == to_fps:
            yield xy[start:stop]
        else:
            yield _between_neighbours(xy, np.arange(start, stop) * (from_fps / to_fps))


def _between_neighbours(
    xy: Float[np.ndarray, "time slot 2"], positions: Float[np.ndarray, " out"]
) -> Float[np.ndarray, "out slot 2"]:
    """Return the points at fractional input frames."""
    last = len(xy) - 1
    before = np.clip(np.floor(positions + _ROUNDING).astype(np.int64), 0, last)
    after = np.minimum(before + 1, last)
    share = np.clip(positions - before, 0, 1).astype(xy.dtype)

    earlier, later = xy[before], xy[after]
    between = later - earlier
    between *= share[:, None, None]
    between += earlier

    # The nearest frame decides what is missing: 0 × NaN is NaN, so a frame that is
    # hit exactly comes back here too.
    is_later = share > 0.5 + _ROUNDING
    nearest = earlier
    nearest[is_later] = later[is_later]
    np.copyto(between, nearest, where=np.isnan(between))
    return between
