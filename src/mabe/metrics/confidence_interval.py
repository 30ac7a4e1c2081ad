"""Confidence interval of a score over recordings.

Recordings are drawn with replacement (bootstrap; Efron, Annals of Statistics 1979),
copies of one track together. The interval holds 95 % of the scores of such draws. It
does not include the variation between training runs, which other seeds show.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.metrics.frame_scores import f1_scores, macro_f1
from mabe.scene_task import TaskKind

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Confidence:
    """A score and its 95 % interval over recordings."""

    score: float
    low: float
    high: float
    f1: Float[np.ndarray, " classes"]
    """Of each class, labs pooled; NaN where there is nothing to score."""
    f1_interval: Float[np.ndarray, "classes 2"]
    """The interval of each class's F1."""

    def __str__(self) -> str:
        return f"{self.score:.3f} ({self.low:.3f} to {self.high:.3f})"


def confidence_of_counts(
    counts: Int[np.ndarray, "tracks labs classes 3"], kind: TaskKind, *, seed: int = 0
) -> Confidence:
    """Return the score of counted frames, and its 95 % interval over tracks."""
    tracks = len(counts)
    draws = np.random.default_rng(seed).integers(0, tracks, (RESAMPLES, tracks))
    drawn = [counts[draw].sum(axis=0) for draw in draws]
    low, high = _interval(np.array([float(macro_f1(each, kind)) for each in drawn]))
    total = counts.sum(axis=0)
    of_classes = np.array([f1_scores(each.sum(axis=0), kind) for each in drawn])
    return Confidence(
        float(macro_f1(total, kind)),
        low,
        high,
        f1_scores(total.sum(axis=0), kind),
        np.array([_interval(column) for column in of_classes.T]),
    )


def _interval(scores: Float[np.ndarray, " draws"]) -> tuple[float, float]:
    """Return the bounds of 95 % of the scores; NaN where none is known."""
    known = scores[np.isfinite(scores)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
