"""Poses as 16-bit integers: half the size of float32, and precise enough.

A coordinate is stored as a number of quantization steps of `STEP_CM` from the middle of
a recording's points; `MISSING` is a missing point. Steps of 1/200 cm add little noise
to speeds (those of a float16 at 60 cm are six times as coarse) and reach 163 cm to each
side. A height is a number of such steps above a recording's floor.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int16

from mabe.resampling import resampled_length, resampled_pieces
from mabe.runtime.disk_arrays import Touched, make_array, row_blocks

STEP_CM = 1 / 200
"""The quantization step."""


MISSING = -32768


REACH_CM = 32767 * STEP_CM
"""Points farther than this from a recording's origin, 163 cm, are missing."""


STEP_DTYPE = np.dtype("<i2")


_MISSING_POINT = np.full(2, MISSING, STEP_DTYPE).view(np.int32)[0]


FLOOR_PERCENTILE = 1
"""A recording's floor is this percentile of its heights: paws, belly and tail are near
it most of the time, and a tracker puts few points below it."""


_RUNS = 16
"""Number of consecutive pieces that are reduced at once."""


_ORIGIN_SAMPLES = 20_000
"""Number of frames that the median is computed from, as it needs a sort."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizedPoses:
    """A recording's poses at the working rate, in quantization steps."""

    values: Int16[np.ndarray, "time slot 2"]
    origin_cm: tuple[float, float]
    """The point (0, 0) in the recording's own coordinates."""
    missing_share: float
    """Share of missing points; 0 where there are no points at all."""
    out_of_reach: int
    """Number of points that are missing because they are too far from the origin."""


def quantize_poses(
    xy_px: Float[np.ndarray, "time slot 2"],
    *,
    pixels_per_cm: float,
    from_fps: float,
    to_fps: float,
) -> QuantizedPoses:
    """Return poses in quantization steps at a new rate, computed piece by piece."""
    origin_px = _find_origin_px(xy_px, reach_px=REACH_CM * pixels_per_cm)
    origin_of_row = np.tile(origin_px, xy_px.shape[1])  # a loop over x and y is slow
    steps_per_px = np.float32(1 / (pixels_per_cm * STEP_CM))
    length = resampled_length(len(xy_px), from_fps=from_fps, to_fps=to_fps)
    values = make_array((length, *xy_px.shape[1:]), STEP_DTYPE)
    touched = [Touched(xy_px), Touched(values)]
    done = missing = out_of_reach = 0
    for piece in resampled_pieces(xy_px, from_fps=from_fps, to_fps=to_fps):
        xy = piece.reshape(len(piece), len(origin_of_row)) - origin_of_row
        xy *= steps_per_px
        known, kept = xy == xy, _both(np.abs(xy) <= -MISSING - 1)
        kept_here = int(np.count_nonzero(kept))
        missing += kept.size - kept_here
        made = values[done : done + len(xy)]
        np.fmax(xy, np.float32(MISSING), out=xy)  # the other one of NaN and a number
        with np.errstate(invalid="ignore"):  # what is out of reach may have no integer
            np.rint(xy, out=made.reshape(xy.shape), casting="unsafe")
        if np.count_nonzero(known) > 2 * kept_here:  # else all others are NaN
            out_of_reach += int(np.count_nonzero(_both(known))) - kept_here
            np.putmask(made.view(np.int32)[..., 0], ~kept, _MISSING_POINT)
        done += len(xy)
        for each in touched:
            each.add(xy.nbytes)
    origin_cm = origin_px / pixels_per_cm
    return QuantizedPoses(
        values=values,
        origin_cm=(float(origin_cm[0]), float(origin_cm[1])),
        missing_share=missing / max(1, values[..., 0].size),
        out_of_reach=out_of_reach,
    )


@dataclass(frozen=True, slots=True)
class QuantizedHeights:
    """How high a recording's points are at the working rate, in quantization steps."""

    values: Int16[np.ndarray, "time slot"]
    floor_cm: float
    """Height 0 in the recording's own coordinates."""


def quantize_heights(
    z_px: Float[np.ndarray, "time slot"],
    *,
    pixels_per_cm: float,
    from_fps: float,
    to_fps: float,
) -> QuantizedHeights:
    """Return heights above the recording's own floor in quantization steps."""
    some = z_px[:: max(1, len(z_px) // _ORIGIN_SAMPLES)]
    known = some[np.isfinite(some)]
    floor_px = float(np.percentile(known, FLOOR_PERCENTILE)) if len(known) else 0.0
    above = (z_px - floor_px)[..., None] / (pixels_per_cm * STEP_CM)
    pieces = [
        _whole_steps(piece[..., 0])
        for piece in resampled_pieces(above, from_fps=from_fps, to_fps=to_fps)
    ]
    nothing = np.empty((0, z_px.shape[1]), STEP_DTYPE)
    return QuantizedHeights(
        np.concatenate([nothing, *pieces]), floor_px / pixels_per_cm
    )


def _whole_steps(steps: Float[np.ndarray, "*any"]) -> Int16[np.ndarray, "*any"]:
    with np.errstate(invalid="ignore"):  # NaN has no integer
        is_kept = np.abs(steps) <= -MISSING - 1
    return np.where(is_kept, np.rint(np.nan_to_num(steps)), MISSING).astype(STEP_DTYPE)


def quantize_points(
    xy_cm: Float[np.ndarray, "point 2"],
) -> Int16[np.ndarray, "point 2"]:
    """Return points relative to an origin, in quantization steps."""
    with np.errstate(invalid="ignore"):  # NaN has no integer
        steps = np.rint(xy_cm / STEP_CM)
        is_kept = np.isfinite(steps).all(axis=1, keepdims=True) & (
            np.abs(steps) <= -MISSING - 1
        ).all(axis=1, keepdims=True)
    return np.where(is_kept, steps, MISSING).astype(STEP_DTYPE)


def to_cm(steps: Int16[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return centimetres from the origin, NaN for a missing point."""
    cm = steps * np.float32(STEP_CM)
    np.copyto(cm, np.nan, where=steps == MISSING)
    return cm


def _both(
    each: Bool[np.ndarray, "time coordinate"],
) -> Bool[np.ndarray, "time slot"]:
    """Return for which points it is true of both coordinates; two as one value."""
    return each.view(np.uint16) == 0x0101


def _find_origin_px(
    xy_px: Float[np.ndarray, "time slot 2"], *, reach_px: float
) -> Float[np.ndarray, " 2"]:
    """Return the middle of the range of all points.

    Where the range is too large, because a tracker lost a few points, its middle would
    put the animals out of reach: then it is the median of the points.
    """
    low, high = np.full((2, 2), np.nan, xy_px.dtype)
    for rows in row_blocks(xy_px):
        low = np.fmin(low, _extreme(np.fmin, xy_px[rows]))
        high = np.fmax(high, _extreme(np.fmax, xy_px[rows]))
    origin = np.nan_to_num(low + (high - low) / 2)
    for axis in np.flatnonzero(high - low > 2 * reach_px):
        some = xy_px[:: max(1, len(xy_px) // _ORIGIN_SAMPLES), :, axis]
        origin[axis] = np.nanmedian(some)
    return origin


def _extreme(
    pick: np.ufunc, xy: Float[np.ndarray, "time slot 2"]
) -> Float[np.ndarray, " 2"]:
    """Return the smallest (or largest) x and y, NaN where there is none."""
    # A few long passes through memory are faster than many short rows.
    whole = len(xy) - len(xy) % _RUNS
    runs = xy[:whole].reshape(_RUNS, whole // _RUNS, *xy.shape[1:])
    over_time = [
        pick.reduce(each, initial=np.nan) for each in (pick.reduce(runs), xy[whole:])
    ]
    return pick.reduce(np.stack(over_time).reshape(-1, 2), initial=np.nan)
