"""Chooses how decision rules are fitted, by cross-validation within the data.

Rules with settings for each class gain where its bouts are many, and lose where they
are few: they fit the chance of some recordings. Thresholds that follow the classes'
frequencies have two settings in all. Which kind is better is found on folds that did
not fit the rules.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mabe.decoding.fit_rules import SearchSpace, count_labs, fit_rules
from mabe.decoding.frequency_thresholds import fit_by_frequency
from mabe.decoding.rules import DecisionRules
from mabe.decoding.tuning_folds import FoldSubset
from mabe.metrics.frame_scores import macro_f1

Fit = Callable[[FoldSubset, Sequence[str], SearchSpace], DecisionRules]


def fit_best_rules(
    subset: FoldSubset, names: Sequence[str], search: SearchSpace
) -> DecisionRules:
    """Return rules fitted to some folds, in the way that scores best on others.

    Without thresholds in the search, or with a single fold, there is no choice.
    """
    if not (search.thresholds and search.by_frequency) or len(subset.folds) < 2:
        return fit_rules(subset, names, search)
    ways: tuple[Fit, ...] = (fit_by_frequency, fit_rules)
    scores = [_cross_validated(way, subset, names, search) for way in ways]
    return ways[int(np.argmax(scores))](subset, names, search)


def _cross_validated(
    fit: Fit, subset: FoldSubset, names: Sequence[str], search: SearchSpace
) -> float:
    """Return the score of rules on each fold, fitted to the others."""
    counts = sum(
        count_labs(
            subset.only([fold]),
            fit(subset.only([o for o in subset.folds if o != fold]), names, search),
        )
        for fold in subset.folds
    )
    score = float(macro_f1(np.asarray(counts), subset.kind))
    return score if np.isfinite(score) else -1.0
