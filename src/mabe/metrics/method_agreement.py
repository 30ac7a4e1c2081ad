"""How far one way of measuring is from another: Bland-Altman limits, and the ICC.

Both ways measure the same units; differences are of the second minus the first.

- Bias and limits of agreement: mean of the differences, and 1.96 of their standard
  deviations to each side (Bland & Altman, Lancet 1986), with the 95 % interval of the
  bias by Student's t.
- ICC(A,1): absolute agreement of single measurements in a two-way model (McGraw & Wong,
  Psychological Methods 1996; ICC(2,1) of Shrout & Fleiss, 1979), with its 95 % interval
  from the same paper.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

FEWEST_UNITS = 3
"""With fewer units there are neither limits nor an ICC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAgreement:
    """Agreement of two ways of measuring; NaN with too few units."""

    n: int
    mean_annotated: float
    mean_predicted: float
    bias: float
    bias_low: float
    bias_high: float
    limit_low: float
    limit_high: float
    slope: float
    """Of the difference on the mean of both: 0 where the bias is the same for small and
    large values."""
    icc: float
    icc_low: float
    icc_high: float


Units = Float[np.ndarray, " unit"]


def compare_methods(annotated: Units, predicted: Units) -> MethodAgreement:
    """Return the agreement over the units that both have a value of."""
    known = np.isfinite(annotated) & np.isfinite(predicted)
    annotated, predicted = annotated[known], predicted[known]
    number, differences = len(annotated), predicted - annotated
    nan = float("nan")
    if not number:
        return MethodAgreement(n=0, **dict.fromkeys(MethodAgreement.__slots__[1:], nan))
    bias = float(differences.mean())
    sd = error = slope = nan
    icc = (nan, nan, nan)
    if number >= FEWEST_UNITS:
        sd = float(differences.std(ddof=1))
        error = float(stats.t.ppf(0.975, number - 1)) * sd / np.sqrt(number)
        means = (annotated + predicted) / 2
        if np.ptp(means) > 0:
            slope = float(np.polyfit(means, differences, 1)[0])
        icc = _icc(np.stack([annotated, predicted], axis=1))
    return MethodAgreement(
        n=number,
        mean_annotated=float(annotated.mean()),
        mean_predicted=float(predicted.mean()),
        bias=bias,
        bias_low=bias - error,
        bias_high=bias + error,
        limit_low=bias - 1.96 * sd,
        limit_high=bias + 1.96 * sd,
        slope=slope,
        icc=icc[0],
        icc_low=icc[1],
        icc_high=icc[2],
    )


def _icc(values: Float[np.ndarray, "unit method"]) -> tuple[float, float, float]:
    """Return ICC(A,1) and its interval; NaN where no unit differs from another."""
    n, k = values.shape
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    ms_rows = k * rows.var(ddof=1)
    ms_columns = n * columns.var(ddof=1)
    rest = values - rows[:, None] - columns + values.mean()
    ms_error = (rest**2).sum() / ((n - 1) * (k - 1))
    scale = ms_rows + (k - 1) * ms_error + k / n * (ms_columns - ms_error)
    if scale <= 0:
        return np.nan, np.nan, np.nan
    icc = float((ms_rows - ms_error) / scale)
    if icc >= 1 or ms_error == 0:
        return icc, np.nan, np.nan
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    freedom = (a * ms_columns + b * ms_error) ** 2 / (
        (a * ms_columns) ** 2 / (k - 1) + (b * ms_error) ** 2 / ((n - 1) * (k - 1))
    )
    f_low = stats.f.ppf(0.975, n - 1, freedom)
    f_high = stats.f.ppf(0.975, freedom, n - 1)
    spread = k * ms_columns + (k * n - k - n) * ms_error
    low = n * (ms_rows - f_low * ms_error) / (f_low * spread + n * ms_rows)
    high = n * (f_high * ms_rows - ms_error) / (spread + n * f_high * ms_rows)
    return icc, float(low), float(high)
