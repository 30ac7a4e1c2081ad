"""Fits decision rules to predictions: smoothing, calibration, thresholds, bouts.

Each class has rules of its own here; `mabe.decoding.frequency_thresholds` has fewer
settings, and `mabe.decoding.choose_rules` chooses between the two.

1. Smoothing of each class: the candidate with the best cross-validated score, with
   thresholds fitted on all folds but the one that is scored.
2. Calibration of each class: Platt's scaling of the smoothed log-odds. It is used for
   probabilities that are shown; decisions do not depend on it.
3. Thresholds: those with the best score together, shared by all labs and for each lab.
   Those of a lab are shrunk towards the shared ones, most where it has few bouts. The
   amount is chosen by cross-validation, too.
4. Longest gap and shortest bout of each class, with the decisions made so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.decoding.calibration import BINS, Calibration, bin_of, fit_platt
from mabe.decoding.rules import (
    NEVER,
    ClassRule,
    DecisionRules,
    decide_smoothed,
    tidy_by,
    without_nan,
)
from mabe.decoding.smoothing import Method, Smoothing
from mabe.decoding.thresholds import (
    LabFrames,
    improve_thresholds,
    shrink_to_shared,
    single_class_thresholds,
)
from mabe.decoding.tuning_folds import BOUTS, FRAMES, FoldSubset, LabSubset
from mabe.metrics.frame_scores import HITS, LABELLED, PREDICTED, count_frames, macro_f1

CANDIDATES: tuple[tuple[Method, float], ...] = (
    ("none", 0.0),
    *(("median", seconds) for seconds in (0.5, 1.0, 2.0, 4.0, 8.0)),
    *(("gaussian", seconds) for seconds in (0.1, 0.2, 0.4, 0.8, 1.6)),
    *(("viterbi", seconds) for seconds in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)),
)
"""Methods and seconds of smoothing to choose from, the simplest first."""


SHRINKAGES = (5.0, 20.0, 80.0, 320.0)
"""Numbers of bouts at which a lab's threshold is half its own; to choose from."""


BOUT_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Shortest bouts and longest gaps to choose from, beside none."""


_DEFAULT_SHRINKAGE = 20.0


_LEAST_GAIN = 0.0005
"""The least gain in score for which a gap or a shortest bout is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """The choices of a fit; parts can be left out to measure their effect."""

    smoothings: tuple[tuple[Method, float], ...] = CANDIDATES
    calibrated: bool = True
    thresholds: bool = True
    tidied: bool = True
    by_frequency: bool = True
    """Thresholds by the classes' frequencies are among the choices."""


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Thresholds in log-odds: shared by all labs, and each lab's."""

    shared: Float[np.ndarray, " classes"]
    own: Float[np.ndarray, "labs classes"]


def fit_rules(
    subset: FoldSubset, names: Sequence[str], search: SearchSpace
) -> DecisionRules:
    """Return the rules fitted to some folds."""
    rules = DecisionRules(
        kind=subset.kind,
        classes=tuple(
            _fit_class(subset, index, name, search) for index, name in enumerate(names)
        ),
    )
    if search.thresholds:
        rules = _fit_thresholds(subset, rules)
    return _fit_bouts(subset, rules) if search.tidied else rules


def refit_thresholds(subset: FoldSubset, rules: DecisionRules) -> DecisionRules:
    """Return rules with new calibrations and thresholds, and all else as it was."""
    classes = []
    for index, rule in enumerate(rules.classes):
        tally = subset.tally(index, rule.smoothing).sum(axis=(0, 1))
        calibration = fit_platt(tally) if tally.sum() else rule.calibration
        classes.append(replace(rule, calibration=calibration))
    return _fit_thresholds(subset, replace(rules, classes=tuple(classes)))


def decide_lab(lab: LabSubset, rules: DecisionRules) -> Int[np.ndarray, " time"]:
    """Return the choice of each frame of a lab, as an index into its columns."""
    own = _rules_of_columns(lab, rules)
    log_odds = smooth_lab(lab, rules)
    return decide_smoothed(log_odds, lab.timeline, own, own.thresholds(lab.lab))


def smooth_lab(
    lab: LabSubset, rules: DecisionRules
) -> Float[np.ndarray, "time columns"]:
    """Return smoothed log-odds, minus infinity where unknown."""
    columns = [
        lab.smoothed(column, rules.classes[index].smoothing)
        for column, index in enumerate(lab.columns)
    ]
    return without_nan(np.stack(columns, axis=1))


def count_lab(
    lab: LabSubset, chosen: Int[np.ndarray, " time"], classes: int
) -> Int[np.ndarray, "classes 3"]:
    """Count the frames of all classes; those without a column have none."""
    counts = np.zeros((classes, 3), int)
    counts[lab.columns] = count_frames(chosen, lab.labels)
    return counts


def count_labs(
    subset: FoldSubset, rules: DecisionRules
) -> Int[np.ndarray, "labs classes 3"]:
    """Count the frames labelled, predicted and hit under some rules."""
    number = len(rules.classes)
    return np.stack(
        [count_lab(lab, decide_lab(lab, rules), number) for lab in subset.labs]
    )


def _fit_class(
    subset: FoldSubset, index: int, name: str, search: SearchSpace
) -> ClassRule:
    """Return the smoothing and calibration of one class; none without labels."""
    if not subset.label_counts[:, :, index, FRAMES].any():
        return ClassRule(name=name)
    rate = subset.switches_per_s(index)
    candidates = [
        Smoothing(method, seconds, rate if method == "viterbi" else 0.0)
        for method, seconds in search.smoothings
        if method != "viterbi" or rate > 0
    ]
    scores = [
        _cross_validated_score(subset, index, smoothing, _DEFAULT_SHRINKAGE)
        for smoothing in candidates
    ]
    smoothing = candidates[int(np.argmax(scores))]
    tally = subset.tally(index, smoothing).sum(axis=(0, 1))
    calibration = fit_platt(tally) if search.calibrated else Calibration()
    return ClassRule(name=name, smoothing=smoothing, calibration=calibration)


def _cross_validated_score(
    subset: FoldSubset, index: int, smoothing: Smoothing, shrinkage: float
) -> float:
    """Return the score of one class by itself, with thresholds of the other folds."""
    tally = subset.tally(index, smoothing)
    label_counts = subset.label_counts[:, :, index]
    labs, folds = tally.shape[:2]
    counts = np.zeros((labs, 1, 3), int)
    counts[:, 0, LABELLED] = label_counts[..., FRAMES].sum(axis=1)
    for fold in range(folds):
        others = np.arange(folds) != fold
        fitted = label_counts[:, others].sum(axis=1)
        shared, own = single_class_thresholds(
            tally[:, others].sum(axis=1), fitted[:, FRAMES], subset.kind
        )
        cuts = bin_of(shrink_to_shared(own, shared, fitted[:, BOUTS], shrinkage))
        is_above = np.arange(BINS) >= cuts[:, None]
        above = (tally[:, fold] * is_above[..., None]).sum(axis=1)
        counts[:, 0, PREDICTED] += above.sum(axis=1)
        counts[:, 0, HITS] += above[:, 1]
    counts[counts[:, 0, LABELLED] == 0] = 0  # such a lab never chooses it
    return float(macro_f1(counts, subset.kind))


def _fit_thresholds(subset: FoldSubset, rules: DecisionRules) -> DecisionRules:
    """Return the rules with thresholds."""
    bouts = subset.label_counts[..., BOUTS].sum(axis=1)
    start = _start_thresholds(subset, rules)
    frames = frames_of_labs(subset, rules)
    shared = improve_thresholds(frames, start.shared, subset.kind)
    if len(frames) == 1:
        return with_thresholds(subset, rules, Thresholds(shared, shared[None]))
    own = np.stack(
        [
            improve_thresholds([of_lab], thresholds, subset.kind)
            for of_lab, thresholds in zip(frames, start.own, strict=True)
        ]
    )
    shrunk = shrink_to_shared(own, shared, bouts, _choose_shrinkage(subset, rules))
    return with_thresholds(subset, rules, Thresholds(shared, shrunk))


def _start_thresholds(subset: FoldSubset, rules: DecisionRules) -> Thresholds:
    """Return the thresholds to start from: the best ones of each class by itself.

    Where one class always holds the classes compete, and all start at zero.
    """
    labs, classes = len(subset.labs), len(rules.classes)
    if subset.kind.has_background:
        return Thresholds(np.zeros(classes), np.zeros((labs, classes)))
    shared, own = np.zeros(classes), np.zeros((labs, classes))
    for index, rule in enumerate(rules.classes):
        tally = subset.tally(index, rule.smoothing).sum(axis=1)
        labelled = subset.label_counts[:, :, index, FRAMES].sum(axis=1)
        shared[index], own[:, index] = single_class_thresholds(
            tally, labelled, subset.kind
        )
    return Thresholds(shared, own)


def frames_of_labs(subset: FoldSubset, rules: DecisionRules) -> list[LabFrames]:
    """Return the smoothed log-odds and labels of each lab.

    Scored by lab, classes that do not occur in a lab are unknown there.
    """
    bouts = subset.label_counts[..., BOUTS].sum(axis=1)
    return [
        _frames_of_lab(lab, rules, occurs)
        for lab, occurs in zip(subset.labs, bouts > 0, strict=True)
    ]


def _frames_of_lab(
    lab: LabSubset, rules: DecisionRules, occurs: Bool[np.ndarray, " classes"]
) -> LabFrames:
    """Return a lab's frames; scored by lab, classes that do not occur are excluded."""
    log_odds = smooth_lab(lab, rules)
    if rules.kind.is_scored_by_lab:
        log_odds[:, ~occurs[lab.columns]] = -np.inf
    return LabFrames(lab.columns, log_odds, lab.labels)


def _choose_shrinkage(subset: FoldSubset, rules: DecisionRules) -> float:
    """Return the shrinkage with the best cross-validated score."""

    def mean_score(shrinkage: float) -> float:
        scores = [
            _cross_validated_score(subset, index, rule.smoothing, shrinkage)
            for index, rule in enumerate(rules.classes)
        ]
        return float(np.nanmean(scores))

    return max(SHRINKAGES, key=mean_score)


def with_thresholds(
    subset: FoldSubset, rules: DecisionRules, thresholds: Thresholds
) -> DecisionRules:
    """Return the rules with thresholds as probabilities.

    In scores by lab, an action that is never annotated in a lab is never chosen there:
    one predicted frame of it would add an action with F1 = 0 to the lab's mean.
    """
    classes = []
    for index, rule in enumerate(rules.classes):
        own = {
            lab.lab: _to_probability(thresholds.own[place, index])
            if _occurs(subset, place, index)
            else NEVER
            for place, lab in enumerate(subset.labs)
            if index in lab.columns
        }
        shared = _to_probability(thresholds.shared[index])
        classes.append(replace(rule, threshold=shared, lab_thresholds=own))
    return replace(rules, classes=tuple(classes))


def _occurs(subset: FoldSubset, place: int, index: int) -> bool:
    """Return whether a class may be chosen in a lab (see `with_thresholds`)."""
    is_annotated = bool(subset.label_counts[place, :, index, FRAMES].any())
    return is_annotated or not subset.kind.is_scored_by_lab


def _to_probability(log_odds: float) -> float:
    return round(float(1 / (1 + np.exp(-log_odds))), 6)


def _fit_bouts(subset: FoldSubset, rules: DecisionRules) -> DecisionRules:
    """Return the rules with the longest gap and the shortest bout of each class.

    One value after the other is tried, and kept if the score increases.
    """
    chosen = [decide_lab(lab, rules) for lab in subset.labs]
    best = _score_tidied(subset, chosen, rules)
    for index in range(len(rules.classes)):
        if index == rules.kind.nothing:
            continue
        for change, seconds in product((_with_gap, _with_least), BOUT_SECONDS):
            changed = rules.with_class(index, change(rules.classes[index], seconds))
            score = _score_tidied(subset, chosen, changed)
            if score > best + _LEAST_GAIN:
                best, rules = score, changed
    return rules


def _with_gap(rule: ClassRule, seconds: float) -> ClassRule:
    return replace(rule, max_gap_s=seconds)


def _with_least(rule: ClassRule, seconds: float) -> ClassRule:
    return replace(rule, min_bout_s=seconds)


def _score_tidied(
    subset: FoldSubset, chosen: Sequence[Int[np.ndarray, "_"]], rules: DecisionRules
) -> float:
    """Return the score of choices after gaps are closed and short bouts dropped."""
    counts = [
        count_lab(
            lab,
            tidy_by(_rules_of_columns(lab, rules), each, lab.timeline),
            len(rules.classes),
        )
        for lab, each in zip(subset.labs, chosen, strict=True)
    ]
    return float(macro_f1(np.stack(counts), subset.kind))


def _rules_of_columns(lab: LabSubset, rules: DecisionRules) -> DecisionRules:
    """Return the rules of the classes in a lab's columns."""
    return replace(rules, classes=tuple(rules.classes[index] for index in lab.columns))
