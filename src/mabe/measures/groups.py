"""Groups compared: means of animals, intervals, permutation tests and effect sizes.

A *unit* is an animal (or a recording); each has one value, so that frames and bouts are
never samples. Units whose value is NaN have none.

- The interval of a mean, and of a difference of means, is the 95 % percentile interval
  of a bootstrap over units (Efron, Annals of Statistics 1979; `scipy.stats.bootstrap`).
- The p-value is two-sided, of the difference of means when units are given to the
  groups anew (Fisher-Pitman permutation test; `scipy.stats.permutation_test`). All
  divisions are used where they are few, else a random sample of them.
- The effect size is Hedges' g (Hedges, Journal of Educational Statistics 1981), and
  Cliff's delta (Psychological Bulletin 1993): the share of pairs of units in which the
  first group's is larger, minus that in which it is smaller.
- p-values are corrected by Holm (Scandinavian Journal of Statistics 1979).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

RESAMPLES = 9999


_CELLS_AT_ONCE = 1 << 22


FEWEST_UNITS = 5
"""With fewer units in a group there is no interval: draws of them are too alike."""


Values = Float[np.ndarray, " _"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMean:
    """The mean of one group."""

    n: int
    mean: float
    sd: float
    low: float
    """Bounds of the 95 % interval of the mean; NaN with too few units."""
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two groups compared; differences are of the first minus the second."""

    n_first: int
    n_second: int
    mean_first: float
    mean_second: float
    difference: float
    low: float
    high: float
    hedges_g: float
    cliffs_delta: float
    p: float
    """NaN where a group has fewer than two units."""


def mean_of_group(values: Values, *, seed: int = 0) -> GroupMean:
    """Return the mean of the units that have a value."""
    known = values[np.isfinite(values)]
    low, high = _interval((known,), lambda a, axis: a.mean(axis=axis), seed)
    return GroupMean(
        n=len(known),
        mean=float(known.mean()) if len(known) else np.nan,
        sd=float(known.std(ddof=1)) if len(known) > 1 else np.nan,
        low=low,
        high=high,
    )


def compare_groups(
    first: Values, second: Values, *, seed: int = 0, resamples: int = RESAMPLES
) -> Difference:
    """Return the difference between two groups of units."""
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    has_means = len(first) > 0 and len(second) > 0
    low, high = _interval((first, second), _difference, seed, resamples)
    return Difference(
        n_first=len(first),
        n_second=len(second),
        mean_first=float(first.mean()) if len(first) else np.nan,
        mean_second=float(second.mean()) if len(second) else np.nan,
        difference=float(first.mean() - second.mean()) if has_means else np.nan,
        low=low,
        high=high,
        hedges_g=hedges_g(first, second),
        cliffs_delta=cliffs_delta(first, second) if has_means else np.nan,
        p=permutation_p(first, second, seed=seed, resamples=resamples),
    )


def permutation_p(
    first: Values, second: Values, *, seed: int = 0, resamples: int = RESAMPLES
) -> float:
    """Return the two-sided p-value of the difference of means.

    NaN where a group has fewer than two units.
    """
    return float(permutation_ps(first[None], second[None], seed, resamples)[0])


def permutation_ps(
    first: Float[np.ndarray, "test _"],
    second: Float[np.ndarray, "test _"],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Float[np.ndarray, " test"]:
    """Return the same of many tests with the same numbers of units, as rows."""
    if min(first.shape[1], second.shape[1]) < 2:
        return np.full(len(first), np.nan)
    result = stats.permutation_test(
        (first, second),
        _difference,
        permutation_type="independent",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, _CELLS_AT_ONCE // (first.size + second.size)),
        alternative="two-sided",
        axis=-1,
        random_state=np.random.default_rng(seed),
    )
    return np.asarray(result.pvalue, float)


def _difference(first: np.ndarray, second: np.ndarray, axis: int) -> Any:
    return first.mean(axis=axis) - second.mean(axis=axis)


def hedges_g(first: Values, second: Values) -> float:
    """Return the difference of means in pooled standard deviations, without bias.

    NaN where a group has fewer than two units, or no unit differs from another.
    """
    if min(len(first), len(second)) < 2:
        return np.nan
    freedom = len(first) + len(second) - 2
    squares = (len(first) - 1) * first.var(ddof=1)
    squares += (len(second) - 1) * second.var(ddof=1)
    if squares == 0:
        return np.nan
    correction = 1 - 3 / (4 * freedom - 1)
    return float(
        correction * (first.mean() - second.mean()) / np.sqrt(squares / freedom)
    )


def cliffs_delta(first: Values, second: Values) -> float:
    """Return how often a unit of the first group is larger, from -1 to 1."""
    return float(np.sign(first[:, None] - second[None, :]).mean())


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Return p-values corrected for their number; NaN is no test."""
    corrected = np.full(len(p), np.nan)
    tests = np.flatnonzero(np.isfinite(p))
    order = tests[np.argsort(p[tests], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(factors * p[order]))
    return corrected


def _interval(
    samples: tuple[Values, ...],
    statistic: Callable[..., Any],
    seed: int,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a statistic; NaN with too few units."""
    if min(map(len, samples)) < FEWEST_UNITS:
        return np.nan, np.nan
    with warnings.catch_warnings():
        # Equal values give an interval of no width, which is right.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            samples,
            statistic,
            n_resamples=resamples,
            vectorized=True,
            method="percentile",
            axis=-1,
            random_state=np.random.default_rng(seed),
        )
    interval = result.confidence_interval
    return float(interval.low), float(interval.high)
