"""Smooth noise and smoothing, without a loop over frames."""

import hashlib

import numpy as np
from jaxtyping import Float

Signal = Float[np.ndarray, " time"]


def random_stream(*names: object) -> np.random.Generator:
    """Return a random generator that depends on these names only.

    There is no shared state, so the order of the videos and the number of workers do
    not matter.
    """
    text = "\x1f".join(str(name) for name in names)
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))


def smooth_noise(rng: np.random.Generator, length: int, *, spacing: float) -> Signal:
    """Return noise with a variance of about 1 and knots every `spacing` frames.

    Normal values at the knots with straight lines between them, which costs far less
    than one random number for each frame; signals are smoothed or integrated later.
    """
    spacing = max(spacing, 1.0)
    knots = rng.standard_normal(int(length / spacing) + 3)
    places = np.arange(length) / spacing + rng.random()
    # The mean square between two knots is 2/3 of that at them.
    return np.interp(places, np.arange(len(knots)), knots) * np.sqrt(1.5)


def smooth(values: Float[np.ndarray, "time *any"], *, frames: float) -> np.ndarray:  # noqa: F821 - a shape
    """Return centred means over about this many frames; both ends do not change.

    The window shrinks towards the ends, so that pieces smoothed separately still meet.
    """
    half = round((frames - 1) / 2)
    length = len(values)
    if half < 1 or length < 3:
        return values
    sums = np.zeros((length + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=sums[1:])
    frame = np.arange(length)
    reach = np.minimum(half, np.minimum(frame, length - 1 - frame))
    width = (2 * reach + 1).reshape(-1, *[1] * (values.ndim - 1))
    return (sums[frame + reach + 1] - sums[frame - reach]) / width


def ease(share: Signal) -> Signal:
    """Return a smooth step from 0 to 1, for `share` from 0 to 1."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def hold_last(values: Signal, good: np.ndarray) -> Signal:
    """Return the values with each one that is not good replaced by the last good one.

    The first value is treated as good.
    """
    source = np.where(good, np.arange(len(values)), 0)
    return values[np.maximum.accumulate(source)]
