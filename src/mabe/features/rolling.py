"""Rolling statistics of signals, over windows of several lengths.

Trees predict from one row of numbers at a time, so these statistics are their only
information about the time around it. Signals have the axes ``[time, feature]``, NaN
where missing. Missing values are left out of each statistic; a window without any other
values has none (NaN). Windows are in seconds, centred on a frame or to one side of it,
the frame included; at the ends of a recording they are cut.

*Blocks.* Statistics are of means over short blocks of frames (`block_s`). Annotations
are not more precise than that, and it is a few times quicker.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mabe.errors import ConfigError

Signals = Float[np.ndarray, "time feature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingConfig:
    """Lengths of the windows of each statistic, in seconds."""

    block_s: float = 0.1
    """Frames are averaged over blocks of this length first."""
    mean_s: tuple[float, ...] = (0.6, 1.8, 6.0, 20.0)
    """Mean of a centred window: from a jerk to an encounter."""
    deviation_s: tuple[float, ...] = (0.6, 1.8, 6.0, 20.0)
    """Standard deviation of a centred window: a fight is unsteady rather than fast."""
    extreme_s: tuple[float, ...] = (0.6, 1.8, 6.0)
    """Smallest and largest value of a centred window, such as the closest approach."""
    side_s: tuple[float, ...] = (1.0, 4.0)
    """Mean of the window before and of that after: beginnings and ends."""

    def __post_init__(self) -> None:
        windows = (*self.mean_s, *self.deviation_s, *self.extreme_s, *self.side_s)
        for length_s in (self.block_s, *windows):
            if not (math.isfinite(length_s) and length_s > 0):
                raise ConfigError(
                    f"windows of statistics have to be longer than 0 s, got "
                    f"{length_s} s in {self}"
                )

    def block_frames(self, rate_fps: float) -> int:
        """Return the number of frames in a block, at least one."""
        return max(1, round(self.block_s * rate_fps))

    def names(self, of: tuple[str, ...]) -> tuple[str, ...]:
        """Return the statistics' names in order, such as ``gap_cm.mean.6s``."""
        kinds = [""]
        kinds += [f".mean.{length:g}s" for length in self.mean_s]
        kinds += [f".deviation.{length:g}s" for length in self.deviation_s]
        for side in ("before", "after"):
            kinds += [f".{side}.{length:g}s" for length in self.side_s]
        for side in ("smallest", "largest"):
            kinds += [f".{side}.{length:g}s" for length in self.extreme_s]
        return tuple(name + kind for kind in kinds for name in of)


class WindowSums:
    """Sums over windows of any length, each as one difference of running sums."""

    def __init__(self, values: Signals) -> None:
        known = np.isfinite(values)
        self.middle = np.where(known, values, 0).sum(0) / known.sum(0).clip(min=1)
        """Running sums are of differences from this mean, which keeps them exact."""
        away = np.where(known, values - self.middle, 0.0)
        self._count = _running_sum(known)
        self._sum = _running_sum(away)
        self._squares = _running_sum(away**2)

    def mean(self, before: int, after: int) -> Signals:
        """Return the mean from `before` frames earlier to `after` frames later."""
        count, total, _ = self._over(before, after)
        return _ratio(total, count) + self.middle

    def deviation(self, before: int, after: int) -> Signals:
        """Return the standard deviation over the same window."""
        count, total, squares = self._over(before, after)
        variance = _ratio(squares, count) - _ratio(total, count) ** 2
        return np.sqrt(variance.clip(min=0))

    def _over(self, before: int, after: int) -> tuple[Signals, Signals, Signals]:
        time = np.arange(len(self._count) - 1)
        start = (time - before).clip(min=0)
        stop = (time + after + 1).clip(max=len(time))
        return (
            self._count[stop] - self._count[start],
            self._sum[stop] - self._sum[start],
            self._squares[stop] - self._squares[start],
        )


def rolling_statistics(
    values: Signals, rate_fps: float, config: RollingConfig
) -> Float[np.ndarray, "block statistic"]:
    """Return the statistics of every block of frames, in the order of `names`.

    Block *b* has the frames ``[b · block_frames, (b + 1) · block_frames)``.
    """
    size = config.block_frames(rate_fps)
    blocks = block_means(values, size)
    parts = _statistics(blocks, rate_fps / size, config)
    return np.concatenate([part.astype(np.float32) for part in parts], axis=1)


def block_means(values: Signals, size: int) -> Float[np.ndarray, "block feature"]:
    """Return the mean of the known values of each block; the last may be shorter."""
    padded = np.pad(values, [(0, -len(values) % size), (0, 0)], constant_values=np.nan)
    blocks = padded.reshape(-1, size, values.shape[1])
    known = np.isfinite(blocks)
    return _ratio(np.where(known, blocks, 0).sum(axis=1), known.sum(axis=1))


def largest(values: Signals, half: int) -> Signals:
    """Return the largest known value from `half` frames before to `half` after.

    Two overlapping windows cover one of up to twice their length, so the number of
    steps is the logarithm of the window's length.
    """
    edge = np.full((half, values.shape[1]), np.nan, values.dtype)
    over = np.concatenate([edge, values, edge])
    width, covered = 2 * half + 1, 1
    while covered < width:
        step = min(covered, width - covered)
        over = np.fmax(over[:-step], over[step:])
        covered += step
    return over


def _statistics(
    values: Signals, rate_fps: float, config: RollingConfig
) -> Iterator[Signals]:
    def frames(length_s: float) -> int:
        return max(1, round(length_s * rate_fps))

    sums = WindowSums(values)
    yield values
    for length_s in config.mean_s:
        yield sums.mean(frames(length_s / 2), frames(length_s / 2))
    for length_s in config.deviation_s:
        yield sums.deviation(frames(length_s / 2), frames(length_s / 2))
    for length_s in config.side_s:
        yield sums.mean(frames(length_s), 0)
    for length_s in config.side_s:
        yield sums.mean(0, frames(length_s))
    for length_s in config.extreme_s:
        yield -largest(-values, frames(length_s / 2))
    for length_s in config.extreme_s:
        yield largest(values, frames(length_s / 2))


def _running_sum(values: Float[np.ndarray, "_ _"] | np.ndarray) -> Signals:
    """Return the sum of all earlier frames."""
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    return total


def _ratio(total: np.ndarray, count: np.ndarray) -> Signals:
    """Return total / count, NaN where the count is 0."""
    return np.divide(
        total, count, out=np.full(total.shape, np.nan), where=np.asarray(count > 0)
    )
