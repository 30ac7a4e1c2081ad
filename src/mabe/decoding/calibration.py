"""Calibration: probabilities that agree with observed frequencies.

Log-odds are counted in bins (`Tally`), so that a fit or a curve over millions of frames
uses a few hundred numbers, and the tallies of folds add up.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from pydantic import ConfigDict

from mabe.decoding.viterbi import LEVEL_LIMIT
from mabe.errors import ConfigError
from mabe.runtime.disk_arrays import row_blocks

BIN_LOG_ODDS = 0.05


BINS = round(2 * LEVEL_LIMIT / BIN_LOG_ODDS)
"""Bin b holds log-odds from `bin_floors()[b]` up; others go to the nearest end."""


_LEAST_PROBABILITY = 1e-9


_LEAST_SLOPE = 0.05


_NEWTON_STEPS = 50


Tally = Int[np.ndarray, "*axes bins happening"]
"""Counted frames by bin, and whether it happened (1) or not (0)."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibrated log-odds are ``slope * log-odds + offset`` (Platt's scaling)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    slope: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope > 0):
            raise ConfigError(f"calibration: slope must be > 0, found {self.slope}")
        if not np.isfinite(self.offset):
            raise ConfigError(
                f"calibration: offset must be finite, found {self.offset}"
            )

    def __call__(
        self, log_odds: Float[np.ndarray, "*axes"]
    ) -> Float[np.ndarray, "*axes"]:
        """Return calibrated log-odds."""
        return self.slope * log_odds + self.offset


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Predicted probabilities and observed frequencies, by tenths of probability."""

    predicted: Float[np.ndarray, " tenths"]
    """Mean probability of the frames, NaN without frames."""
    observed: Float[np.ndarray, " tenths"]
    """Share of those frames in which the class happened."""
    frames: Int[np.ndarray, " tenths"]

    @property
    def expected_error(self) -> float:
        """Expected calibration error: the mean gap, weighted by frames."""
        if not self.frames.sum():
            return np.nan
        gaps = np.abs(np.nan_to_num(self.predicted - self.observed))
        return float((gaps * self.frames).sum() / self.frames.sum())


def log_odds(probabilities: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """Return log(p / (1 - p)), NaN where p is NaN; 0 and 1 become ± 21."""
    odds = probabilities.astype(np.float64, order="C")
    flat = odds.reshape(-1)
    for some in row_blocks(flat):
        held = np.clip(flat[some], _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
        flat[some] = np.log(held) - np.log1p(-held)
    return odds


def bin_of(log_odds: Float[np.ndarray, "*axes"]) -> Int[np.ndarray, "*axes"]:
    """Return the bin of each value."""
    bins = np.floor((log_odds + LEVEL_LIMIT) / BIN_LOG_ODDS)
    return np.clip(bins, 0, BINS - 1).astype(np.int32)


def bin_floors() -> Float[np.ndarray, " bins"]:
    """Return the least log-odds of each bin."""
    return np.arange(BINS) * BIN_LOG_ODDS - LEVEL_LIMIT


def tally_frames(
    log_odds: Float[np.ndarray, " time"],
    labels: Int[np.ndarray, " time"],
    part: Int[np.ndarray, " time"],
    parts: int,
) -> Int[np.ndarray, "parts bins 2"]:
    """Count the frames with a label and a value, for each part of the data."""
    counted = (labels >= 0) & np.isfinite(log_odds)
    cell = part[counted] * BINS + bin_of(log_odds[counted])
    counts = np.bincount(cell * 2 + labels[counted], minlength=parts * BINS * 2)
    return counts.reshape(parts, BINS, 2)


def fit_platt(tally: Int[np.ndarray, "bins 2"]) -> Calibration:
    """Return the slope and offset of maximum likelihood.

    Newton's method, with a prior for no change that weighs as much as one frame. The
    slope is kept above zero, also where predictions are worse than random.
    """
    centre = bin_floors() + BIN_LOG_ODDS / 2
    design = np.stack([centre, np.ones(BINS)], axis=1)
    frames, happened = tally.sum(axis=1), tally[:, 1]
    unchanged = np.array([1.0, 0.0])
    weights = unchanged.copy()
    for _ in range(_NEWTON_STEPS):
        probability = 1 / (1 + np.exp(-design @ weights))
        gradient = design.T @ (frames * probability - happened) + weights - unchanged
        bend = (
            design.T * (frames * probability * (1 - probability))
        ) @ design + np.eye(2)
        step = np.clip(np.linalg.solve(bend, gradient), -1, 1)
        weights = np.maximum(weights - step, [_LEAST_SLOPE, -np.inf])
        if np.abs(step).max() < 1e-6:
            break
    slope, offset = weights.tolist()
    return Calibration(round(slope, 4), round(offset, 4))


def measure_reliability(tally: Int[np.ndarray, "bins 2"]) -> Reliability:
    """Return predicted and observed frequencies by tenths of probability."""
    probability = 1 / (1 + np.exp(-(bin_floors() + BIN_LOG_ODDS / 2)))
    tenth = np.minimum((probability * 10).astype(int), 9)
    frames = tally.sum(axis=1)

    def sum_tenths(weights: Float[np.ndarray, " bins"]) -> Float[np.ndarray, " tenths"]:
        return np.bincount(tenth, weights, minlength=10)

    total = sum_tenths(frames.astype(float))
    with np.errstate(invalid="ignore"):
        return Reliability(
            predicted=sum_tenths(frames * probability) / total,
            observed=sum_tenths(tally[:, 1].astype(float)) / total,
            frames=total.astype(int),
        )
