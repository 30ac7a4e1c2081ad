"""Resampling between a recording's own frame rate and the working rate.

Frame ``f`` at ``r`` frames per second is at time ``f / r``, so frame 0 is the same
moment at every rate. Of two equally near frames the earlier one is the nearest. At a
rate up to half as high as the input's, a point is the mean of the input frames that are
nearest to it, and missing where it is missing in all of them. At any other rate a point
is interpolated linearly between its two neighbours in time, and missing exactly where
it is missing in the nearest input frame.
"""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int

_ROUNDING = 1e-6
"""A frame this close after the last input frame is treated as the last input frame:
quotients of rates such as 33.3 / 30 are not exact."""


LEAST_AVERAGED = 2.0
"""Number of input frames per output frame from which on points are means."""


_PIECE_VALUES = 1 << 18
"""Number of coordinates resampled at a time: a few such arrays fit the cache, and there
are few calls at which one of two threads waits for the other."""


def resampled_length(length: int, *, from_fps: float, to_fps: float) -> int:
    """Return the number of frames from the first to the last one at a new rate."""
    if length == 0 or from_fps == to_fps:
        return length
    return math.floor((length - 1) * to_fps / from_fps + _ROUNDING) + 1


def nearest_frames(
    length: int, *, from_fps: float, to_fps: float, from_length: int
) -> Int[np.ndarray, " length"]:
    """Return for each of `length` output frames the nearest of `from_length` frames.

    Indexing with it resamples labels, or predictions to a recording's own frames. For
    output frames after the last input frame it is the last one.
    """
    if length and not from_length:
        raise ValueError(f"cannot resample 0 frames to {length}")
    positions = np.arange(length) * (from_fps / to_fps)
    nearest = np.ceil(positions - 0.5 - _ROUNDING).astype(np.int64)
    return np.clip(nearest, 0, max(from_length - 1, 0))


def resampled_pieces(
    xy: Float[np.ndarray, "time slot c"], *, from_fps: float, to_fps: float
) -> Iterator[Float[np.ndarray, "_ slot c"]]:
    """Yield the points at a new rate: means of several frames, or interpolated.

    Consecutive pieces, so that a long recording is never in memory twice; where the
    rates are equal they are views of the input.
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
    xy: Float[np.ndarray, "time slot c"], start: int, stop: int, ratio: float
) -> Float[np.ndarray, "out slot c"]:
    """Return the means of the input frames nearest to output frames [start, stop)."""
    edges = np.ceil((np.arange(start, stop + 1) - 0.5) * ratio - _ROUNDING)
    edges = edges.astype(np.int64).clip(0, len(xy))
    frames = xy[edges[0] : edges[-1]]
    known = ~np.isnan(frames)
    # Means as differences of cumulative sums would not be exact.
    total = np.add.reduceat(np.where(known, frames, 0), edges[:-1] - edges[0], axis=0)
    count = np.add.reduceat(known, edges[:-1] - edges[0], axis=0, dtype=xy.dtype)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _between_neighbours(
    xy: Float[np.ndarray, "time slot c"], positions: Float[np.ndarray, " out"]
) -> Float[np.ndarray, "out slot c"]:
    """Return the points interpolated at fractional input frames.

    Where one neighbour is missing (NaN), the other one is used if it is the nearest.
    """
    last = len(xy) - 1
    before = np.clip(np.floor(positions + _ROUNDING).astype(np.int64), 0, last)
    after = np.minimum(before + 1, last)
    share = np.clip(positions - before, 0, 1).astype(xy.dtype)

    earlier, between = xy.take(before, axis=0), xy.take(after, axis=0)
    between -= earlier
    between *= np.repeat(share, xy[:1].size).reshape(between.shape)
    between += earlier
    # The nearest frame decides what is missing: as 0 × NaN is NaN, this also restores
    # points at exactly an input frame.
    missing = np.isnan(between)
    if missing.any():
        nearest = np.where(share > 0.5 + _ROUNDING, after, before)
        _replace(between, xy.take(nearest, axis=0), where=missing)
    return between


def _replace(
    values: Float[np.ndarray, "*any"],
    others: Float[np.ndarray, "*any"],
    *,
    where: Bool[np.ndarray, "*any"],
) -> None:
    """Put others into the place of some values; the others are changed too.

    It selects by bits, because a masked copy of scattered values takes twice the time.
    """
    bits = np.dtype(f"i{values.itemsize}")
    replaced = np.negative(where.view(np.int8), dtype=bits)  # all bits, or none
    others.view(bits)[...] &= replaced
    values.view(bits)[...] &= np.invert(replaced, out=replaced)
    values.view(bits)[...] |= others.view(bits)
