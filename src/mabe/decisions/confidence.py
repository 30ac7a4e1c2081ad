"""How sure a score is: what it would be with other recordings of the same kind.

Recordings are drawn anew with replacement (bootstrap; Efron, Annals of Statistics
1979), copies of one track together. The interval holds 95 % of the scores of such
draws. It knows nothing of the luck of training, which other seeds show.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.decisions.evidence import Evidence
from mabe.decisions.rules import DecisionRules, decide
from mabe.decisions.thresholds import NOTHING, count_frames, f_scores, score_of

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Confidence:
    """A score, and where it would be with other recordings."""

    score: float
    low: float
    high: float
    f1: Float[np.ndarray, " classes"]
    """Of each class, all labs together; NaN where there is nothing to score."""

    def __str__(self) -> str:
        return f"{self.score:.3f} ({self.low:.3f} to {self.high:.3f})"


def score_with_confidence(
    views: Sequence[Evidence], rules: DecisionRules, *, seed: int = 0
) -> Confidence:
    """Return the score of some rules, and its 95 % interval over recordings.

    Macro F1 over classes (scene), or the challenge's mean over labs and actions (pair).
    All are NaN where nothing can be scored: no action happened, and none was found.
    """
    counts = count_by_group(views, rules)
    groups = len(counts)
    draws = np.random.default_rng(seed).integers(0, groups, (RESAMPLES, groups))
    scores = [float(score_of(counts[draw].sum(axis=0), rules.kind)) for draw in draws]
    known = [score for score in scores if np.isfinite(score)] or [np.nan]
    low, high = np.quantile(known, [0.025, 0.975])
    total = counts.sum(axis=0)
    return Confidence(
        float(score_of(total, rules.kind)),
        float(low),
        float(high),
        f_scores(total.sum(axis=0), rules.kind),
    )


def count_by_group(
    views: Sequence[Evidence], rules: DecisionRules
) -> Int[np.ndarray, "groups labs classes 3"]:
    """Count frames labelled, predicted and hit of each group of recordings."""
    labs = sorted({view.lab for view in views})
    groups = sorted({view.group for view in views})
    counts = np.zeros((len(groups), len(labs), len(rules.classes), 3), np.int64)
    for view in views:
        chosen = decide(view.probabilities, fps=view.fps, lab=view.lab, rules=rules)
        # A frame of which the model says nothing is not scored as its background.
        chosen = np.where(np.isnan(view.probabilities).all(axis=1), NOTHING, chosen)
        place = groups.index(view.group), labs.index(view.lab)
        counts[place] += count_frames(chosen, view.labels)
    return counts
