"""Tuning decision rules, and what they are worth on recordings they never saw.

The score in sample flatters: the same recordings choose the rules and judge them. So
the whole fit, the choice of smoothing included, is repeated without each fold in turn,
and the fold judged by the rules of the others; this *nested* score is the one to
report.
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
from mabe.decoding.fit_rules import Search, count_lab, decide_lab, fit_rules, smooth_lab
from mabe.decoding.rules import DecisionRules, calibrate
from mabe.decoding.tuning_folds import BOUTS, LabPart, Material, Part
from mabe.decoding.views import ViewPredictions
from mabe.metrics.frame_scores import f1_scores, macro_f1

_WHOLE_SEARCH = Search()


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
    search: Search = _WHOLE_SEARCH,
) -> Tuned:
    """Return the rules that score best, by macro F1 (scene) or the challenge's (pair).

    The model must not have learned from the recordings. Views of one track stay in one
    fold; `seed` deals them. Raises `DataError` where there are too few tracks.
    """
    material = Material(views, folds=folds, seed=seed)
    names, kind = material.names, material.kind
    whole = material.part(material.folds)
    plain = DecisionRules.plain(kind, names)
    rules = fit_rules(whole, names, search)
    nested = np.zeros((len(material.labs), len(names), 3), int)
    tallies = np.zeros((2, len(names), BINS, 2), int)
    for fold in material.folds:
        others = [other for other in material.folds if other != fold]
        learned = fit_rules(material.part(others), names, search)
        judged = material.part([fold])
        nested += _count(judged, learned)
        tallies += [_tally(judged, plain), _tally(judged, learned)]
    counts = {
        "plain": _count(whole, plain),
        "in_sample": _count(whole, rules),
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


def _count(part: Part, rules: DecisionRules) -> Int[np.ndarray, "labs classes 3"]:
    """Count the frames labelled, predicted and hit under some rules."""
    number = len(rules.classes)
    return np.stack(
        [count_lab(lab, decide_lab(lab, rules), number) for lab in part.labs]
    )


def _tally(part: Part, rules: DecisionRules) -> Int[np.ndarray, "classes bins 2"]:
    """Return in how many frames each class happened, by its refined log-odds."""
    tally = np.zeros((len(rules.classes), BINS, 2), int)
    for lab in part.labs:
        for index, said in zip(lab.asked, _refine_lab(lab, rules).T, strict=True):
            labels = lab.labels[:, np.searchsorted(lab.asked, index)]
            tally[index] += tally_frames(said, labels, np.zeros(len(labels), int), 1)[0]
    return tally


def _refine_lab(lab: LabPart, rules: DecisionRules) -> Float[np.ndarray, "time asked"]:
    """Return smoothed and calibrated log-odds of a lab's classes."""
    return calibrate(smooth_lab(lab, rules), [rules.classes[i] for i in lab.asked])


def _lines(
    part: Part,
    names: Sequence[str],
    scores: dict[str, Float[np.ndarray, "labs classes"]],
) -> tuple[ClassLine, ...]:
    """Return one line for each lab and class that has labels there."""
    bouts = part.shown[..., BOUTS].sum(axis=1).astype(int)
    return tuple(
        ClassLine(
            lab=lab.lab,
            name=names[index],
            bouts=int(bouts[place, index]),
            **{name: float(score[place, index]) for name, score in scores.items()},
        )
        for place, lab in enumerate(part.labs)
        for index in range(len(names))
        if bouts[place, index]
    )
