"""Going between a recording's own frame rate and the working rate.

Frame ``f`` at ``r`` frames per second happens at time ``f / r``, so frame 0 is the
same moment at every rate. Of two equally near frames the earlier one counts as the
nearest. Nothing is invented. At a rate up to half as high as the input's a point is the
mean of the input frames that are nearest to it, and missing where it is missing in all
of them: jitter is averaged away, and one frame that shows a point is enough. At any
other rate a point lies between its two neighbours in time, and is missing exactly where
the input frame nearest to it is missing.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

_ROUNDING = 1e-6
"""A frame this close after the last input frame is the last input frame: quotients of
rates such as 33.3 / 30 are not exact."""


LEAST_AVERAGED = 2.0
"""From so many input frames for each output frame on, points are means."""


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


def resampled_pieces(
    xy: Float[np.ndarray, "time slot 2"], *, from_fps: float, to_fps: float
) -> Iterator[Float[np.ndarray, "_ slot 2"]]:
    """Yield the points at a new rate: means of several frames, or between neighbours.

    The pieces follow each other, so that a long recording is never held twice; where
    the rates agree they are views of the input.
    """
    ratio = from_fps / to_fps
    length = resampled_length(len(xy), from_fps=from_fps, to_fps=to_fps)
    piece_frames = max(1, _PIECE_VALUES // max(1, xy[:1].size))
    for start in range(0, length, piece_frames):
        stop = min(start + piece_frames, length)
        if from_fps == to_fps:
            yield xy[start:stop]
        elif ratio >= LEAST_AVERAGED:
            yield _mean_of_nearest(xy, start, stop, ratio)
        else:
            yield _between_neighbours(xy, np.arange(start, stop) * ratio)


def _mean_of_nearest(
    xy: Float[np.ndarray, "time slot 2"], start: int, stop: int, ratio: float
) -> Float[np.ndarray, "out slot 2"]:
    """Return the means of the input frames nearest to output frames [start, stop)."""
    edges = np.ceil((np.arange(start, stop + 1) - 0.5) * ratio - _ROUNDING)
    edges = edges.astype(np.int64).clip(0, len(xy))
    frames = xy[edges[0] : edges[-1]]
    known = ~np.isnan(frames)
    # As differences of running sums, means would not be exact.
    total = np.add.reduceat(np.where(known, frames, 0), edges[:-1] - edges[0], axis=0)
    count = np.add.reduceat(known, edges[:-1] - edges[0], axis=0, dtype=xy.dtype)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _between_neighbours(
    xy: Float[np.ndarray, "time slot 2"], positions: Float[np.ndarray, " out"]
) -> Float[np.ndarray, "out slot 2"]:
    """Return the points at fractional input frames.

    Where one neighbour is missing (NaN) the other stands in if it is the nearer one.
    """
    last = len(xy) - 1
    before = np.clip(np.floor(positions + _ROUNDING).astype(np.int64), 0, last)
    after = np.minimum(before + 1, last)
    share = np.clip(positions - before, 0, 1).astype(xy.dtype)

    # The nearest frame decides what is missing: 0 × NaN is NaN, so a frame that is
    # hit exactly comes back here too.
    nearest = xy.take(np.where(share > 0.5 + _ROUNDING, after, before), axis=0)
    earlier, between = xy.take(before, axis=0), xy.take(after, axis=0)
    between -= earlier
    between *= share[:, None, None]
    between += earlier
    np.copyto(between, nearest, where=np.isnan(between))
    return between
