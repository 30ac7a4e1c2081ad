"""Smoothing of one class's log-odds over time, by one of four methods.

Durations are in seconds, because laboratories film at different rates. Recordings do
not influence each other. A frame without log-odds (NaN) is filled from the frames
within the reach of the method, and stays NaN where there are none.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import polars as pl
from jaxtyping import Float
from pydantic import ConfigDict

from mabe.decoding.joined_recordings import Timeline
from mabe.decoding.viterbi import LEVEL_LIMIT, steady_levels
from mabe.errors import ConfigError

Method = Literal["none", "median", "gaussian", "viterbi"]


_KERNEL_SIGMAS = 4


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How one class's log-odds are smoothed.

    `seconds` is the window of a median, the sigma of a Gaussian, and for Viterbi the
    time in which all frames together count as one independent observation.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    method: Method = "none"
    seconds: float = 0.0
    switches_per_s: float = 0.0
    """For Viterbi: how often the action starts or stops in the labels."""

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigError(
                f"smoothing: expected a method of {get_args(Method)}, found "
                f"{self.method!r}"
            )
        if not (np.isfinite(self.seconds) and self.seconds >= 0):
            raise ConfigError(f"smoothing: seconds must be >= 0, found {self.seconds}")
        if (self.method == "none") != (self.seconds == 0):
            raise ConfigError(
                f"smoothing: {self.method} with {self.seconds} s; every method but "
                "none needs seconds above 0, and none needs 0"
            )
        if (self.method == "viterbi") != (self.switches_per_s > 0):
            raise ConfigError(
                f"smoothing: {self.method} with {self.switches_per_s} switches per "
                "second; Viterbi needs a rate above 0, the others have none"
            )

    @property
    def reach_s(self) -> float:
        """How far away the frames may be that fill one without log-odds."""
        share = {"none": 0, "median": 0.5, "gaussian": 3, "viterbi": 1}
        return share[self.method] * self.seconds


def smooth(
    log_odds: Float[np.ndarray, " time"], timeline: Timeline, smoothing: Smoothing
) -> Float[np.ndarray, " time"]:
    """Return the smoothed log-odds of one class."""
    if smoothing.method == "none" or not np.isfinite(log_odds).any():
        return log_odds
    held = np.clip(log_odds, -LEVEL_LIMIT, LEVEL_LIMIT)
    if smoothing.method == "viterbi":
        smoothed = steady_levels(held, change_costs(timeline, smoothing))
    else:
        each = _median if smoothing.method == "median" else _gaussian
        smoothed = np.concatenate(
            [
                each(held[frames], fps * smoothing.seconds)
                for frames, fps in zip(timeline.slices, timeline.fps, strict=True)
            ]
        )
    return np.where(
        _is_within_reach(log_odds, timeline, smoothing.reach_s), smoothed, np.nan
    )


def switch_rate(bouts: float, on_s: float, off_s: float) -> float:
    """Return how often an action starts or stops, per second; 0 if it never does.

    This is the geometric mean of two rates: starts per second without it and stops per
    second with it. It is rounded to a power of √2: nothing depends on more, and sets of
    recordings that agree need not be smoothed twice.
    """
    if not (bouts and on_s and off_s):
        return 0.0
    rate = bouts / np.sqrt(on_s * off_s)
    return float(2 ** (np.round(2 * np.log2(rate)) / 2))


def change_costs(
    timeline: Timeline, smoothing: Smoothing
) -> Float[np.ndarray, " time"]:
    """Return the cost of a start or stop after each frame, in log-odds.

    All frames within `smoothing.seconds` count as one independent observation, and the
    cost is that of a change from one such observation to the next. Instead of dividing
    the log-odds by the number of frames, the cost is multiplied by it.
    """
    probability = min(smoothing.switches_per_s * smoothing.seconds, 0.5)
    stretch_frames = np.maximum(timeline.frame_fps * smoothing.seconds, 1)
    return np.where(timeline.is_last, 0, -np.log(probability) * stretch_frames)


def _median(
    log_odds: Float[np.ndarray, " time"], window_frames: float
) -> Float[np.ndarray, " time"]:
    """Return the median of the known values in a centred window of odd length."""
    window = 2 * int(window_frames / 2) + 1
    known = pl.Series(log_odds).fill_nan(None)
    median = known.rolling_median(window, min_samples=1, center=True)
    return median.cast(pl.Float64).fill_null(np.nan).to_numpy()


def _gaussian(
    log_odds: Float[np.ndarray, " time"], sigma_frames: float
) -> Float[np.ndarray, " time"]:
    """Return the mean of the known values, weighted by a Gaussian."""
    from scipy.signal import oaconvolve  # slow to import

    if len(log_odds) == 0:
        return log_odds
    radius = int(np.ceil(_KERNEL_SIGMAS * sigma_frames))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_frames) ** 2)
    known = np.isfinite(log_odds)
    weights = oaconvolve(known.astype(float), kernel, mode="same")
    total = oaconvolve(np.where(known, log_odds, 0), kernel, mode="same")
    return total / np.maximum(weights, 1e-6)


def _is_within_reach(
    log_odds: Float[np.ndarray, " time"], timeline: Timeline, reach_s: float
) -> np.ndarray:
    """Return which frames have log-odds at most so far away in their own recording."""
    within = np.isfinite(log_odds)
    if within.all():
        return within
    for frames, fps in zip(timeline.slices, timeline.fps, strict=True):
        within[frames] = _distance_to(within[frames]) <= reach_s * fps
    return within


def _distance_to(known: np.ndarray) -> Float[np.ndarray, " time"]:
    """Return how many frames away the nearest true frame is; infinite if none is."""
    from scipy.ndimage import distance_transform_edt  # slow to import

    if not known.any():
        return np.full(len(known), np.inf)
    return distance_transform_edt(~known)
