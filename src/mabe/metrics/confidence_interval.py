"""Confidence interval of a score over recordings.

Recordings are drawn with replacement (bootstrap; Efron, Annals of Statistics 1979),
copies of one track together. The interval holds 95 % of the scores of such draws. It
does not include the variation between training runs, which other seeds show.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.metrics.frame_scores import LABELLED, f1_scores, macro_f1
from mabe.scene_task import TaskKind

RESAMPLES = 1000


FEWEST_TRACKS = 5
"""With fewer recordings there is no interval: draws of them are too alike."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """A score and its 95 % interval over recordings."""

    score: float
    low: float
    high: float
    f1: Float[np.ndarray, " classes"]
    """Of each class, labs pooled; NaN where there is nothing to score."""
    f1_interval: Float[np.ndarray, "classes 2"]
    """The interval of each class's F1; NaN where too few tracks contain the class."""
    tracks: int
    """How many tracks there are."""
    tracks_with: Int[np.ndarray, " classes"]
    """How many of them contain each class."""

    def __str__(self) -> str:
        if np.isfinite(self.low):
            return f"{self.score:.3f} ({self.low:.3f} to {self.high:.3f})"
        return (
            f"{self.score:.3f} (no interval: it needs {FEWEST_TRACKS} recordings, "
            f"there {'is' if self.tracks == 1 else 'are'} {self.tracks})"
        )


def confidence_of_counts(
    counts: Int[np.ndarray, "tracks labs classes 3"], kind: TaskKind, *, seed: int = 0
) -> Confidence:
    """Return the score of counted frames, and its 95 % interval over tracks.

    There is no interval (NaN) with fewer than `FEWEST_TRACKS` tracks; that of a class
    needs as many tracks that contain it.
    """
    tracks = len(counts)
    tracks_with = (counts[..., LABELLED].sum(axis=1) > 0).sum(axis=0)
    draws = np.random.default_rng(seed).integers(0, tracks, (RESAMPLES, tracks))
    drawn = [counts[draw].sum(axis=0) for draw in draws]
    low, high = _interval(
        np.array([float(macro_f1(each, kind)) for each in drawn]), tracks
    )
    total = counts.sum(axis=0)
    of_classes = np.array([f1_scores(each.sum(axis=0), kind) for each in drawn])
    return Confidence(
        float(macro_f1(total, kind)),
        low,
        high,
        f1_scores(total.sum(axis=0), kind),
        np.array(
            [
                _interval(column, number)
                for column, number in zip(
                    of_classes.T, tracks_with.tolist(), strict=True
                )
            ]
        ),
        tracks,
        tracks_with,
    )


def interval_of_difference(
    before: Int[np.ndarray, "tracks labs classes 3"],
    after: Int[np.ndarray, "tracks labs classes 3"],
    kind: TaskKind,
    *,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % interval of a gain in score, of two ways on the same tracks.

    Each draw has the same tracks for both. NaN with fewer than `FEWEST_TRACKS` tracks.
    """
    tracks = len(before)
    draws = np.random.default_rng(seed).integers(0, tracks, (RESAMPLES, tracks))
    gains = [
        float(macro_f1(after[draw].sum(axis=0), kind))
        - float(macro_f1(before[draw].sum(axis=0), kind))
        for draw in draws
    ]
    return _interval(np.array(gains), tracks)


def _interval(scores: Float[np.ndarray, " draws"], tracks: int) -> tuple[float, float]:
    """Return the bounds of 95 % of the scores; NaN with too few tracks or scores."""
    known = scores[np.isfinite(scores)]
    if tracks < FEWEST_TRACKS or not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
