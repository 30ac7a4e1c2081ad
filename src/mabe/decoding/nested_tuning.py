"""Tunes decision rules, and estimates their score on new recordings.

The score in sample is too high, because the same recordings choose the rules and are
scored. So the whole fit, including the choice of its kind and of smoothing, is repeated
without each fold in turn, and the fold is scored by the rules of the others. This
*nested* score is the one to report.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.decoding.calibration import (
    BINS,
    Reliability,
    measure_reliability,
    tally_frames,
)
from mabe.decoding.choose_rules import fit_best_rules
from mabe.decoding.fit_rules import SearchSpace, count_labs, smooth_lab
from mabe.decoding.rules import DecisionRules, calibrate
from mabe.decoding.tuning_folds import BOUTS, FoldSubset, LabSubset, TuningData
from mabe.decoding.view_predictions import ViewPredictions
from mabe.metrics.frame_scores import f1_scores, macro_f1

_WHOLE_SEARCH = SearchSpace()


@dataclass(frozen=True, slots=True)
class ClassLine:
    """F1 of one class in one lab; NaN where there is nothing to score."""

    lab: str
    name: str
    bouts: int
    plain: float
    in_sample: float
    nested: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """Rules, and the scores of plain decisions and of these."""

    rules: DecisionRules
    plain: float
    """Of the most probable class (scene), or action at 0.5 or above (pair)."""
    in_sample: float
    """Of the rules on the recordings that chose them: too good."""
    nested: float
    """Of rules chosen by other recordings: what to expect."""
    lines: tuple[ClassLine, ...]
    reliability: dict[str, tuple[Reliability, Reliability]]
    """For each class: the model's own probabilities, and as the nested rules refine
    them."""


def tune(
    views: Sequence[ViewPredictions],
    *,
    folds: int = 5,
    seed: int = 0,
    search: SearchSpace = _WHOLE_SEARCH,
) -> Tuned:
    """Return the rules that score best, by macro F1 (scene) or the challenge's (pair).

    The model must not have learned from the recordings. Views of one track stay in one
    fold; `seed` deals them. Raises `DataError` where there are too few tracks.
    """
    data = TuningData(views, folds=folds, seed=seed)
    names, kind = data.names, data.kind
    whole = data.part(data.folds)
    plain = DecisionRules.plain(kind, names)
    rules = fit_best_rules(whole, names, search)
    nested = np.zeros((len(data.labs), len(names), 3), int)
    tallies = np.zeros((2, len(names), BINS, 2), int)
    for fold in data.folds:
        others = [other for other in data.folds if other != fold]
        learned = fit_best_rules(data.part(others), names, search)
        scored = data.part([fold])
        nested += count_labs(scored, learned)
        tallies += [tally_subset(scored, plain), tally_subset(scored, learned)]
    counts = {
        "plain": count_labs(whole, plain),
        "in_sample": count_labs(whole, rules),
        "nested": nested,
    }
    return Tuned(
        rules=rules,
        **{name: float(macro_f1(each, kind)) for name, each in counts.items()},
        lines=_lines(whole, names, {n: f1_scores(c, kind) for n, c in counts.items()}),
        reliability={
            name: (measure_reliability(before), measure_reliability(after))
            for name, before, after in zip(names, *tallies, strict=True)
        },
    )


def tally_subset(
    subset: FoldSubset, rules: DecisionRules
) -> Int[np.ndarray, "classes bins 2"]:
    """Return in how many frames each class happened, by its refined log-odds."""
    tally = np.zeros((len(rules.classes), BINS, 2), int)
    for lab in subset.labs:
        for index, log_odds in zip(lab.columns, _refine_lab(lab, rules).T, strict=True):
            labels = lab.labels[:, np.searchsorted(lab.columns, index)]
            tally[index] += tally_frames(
                log_odds, labels, np.zeros(len(labels), int), 1
            )[0]
    return tally


def _refine_lab(
    lab: LabSubset, rules: DecisionRules
) -> Float[np.ndarray, "time columns"]:
    """Return smoothed and calibrated log-odds of a lab's classes."""
    return calibrate(smooth_lab(lab, rules), [rules.classes[i] for i in lab.columns])


def _lines(
    subset: FoldSubset,
    names: Sequence[str],
    scores: dict[str, Float[np.ndarray, "labs classes"]],
) -> tuple[ClassLine, ...]:
    """Return one line for each lab and class that has labels there."""
    bouts = subset.label_counts[..., BOUTS].sum(axis=1).astype(int)
    return tuple(
        ClassLine(
            lab=lab.lab,
            name=names[index],
            bouts=int(bouts[place, index]),
            **{name: float(score[place, index]) for name, score in scores.items()},
        )
        for place, lab in enumerate(subset.labs)
        for index in range(len(names))
        if bouts[place, index]
    )
