"""Fitting rules to recordings: smoothing, calibration, thresholds, bouts, in order.

1. Smoothing, for each class: the candidate under which thresholds found on all folds
   but one score best on that one, over all folds.
2. Calibration, for each class: Platt's scaling of the smoothed log-odds. Probabilities
   believable by it; decisions are made without.
3. Thresholds: those that score best together, once for all labs and once for each; a
   lab's own are pulled towards the shared ones, most where it has few bouts. How much
   is decided like the smoothing.
4. Longest gap and shortest bout, for each class, on the choices made so far.
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
    nothing_said,
    tidy_by,
)
from mabe.decoding.smoothing import Method, Smoothing
from mabe.decoding.thresholds import Board, alone_thresholds, climb, pull_together
from mabe.decoding.tuning_folds import BOUTS, FRAMES, LabPart, Part
from mabe.metrics.frame_scores import HITS, LABELLED, PREDICTED, count_frames, macro_f1

CANDIDATES: tuple[tuple[Method, float], ...] = (
    ("none", 0.0),
    *(("median", seconds) for seconds in (0.5, 1.0, 2.0, 4.0, 8.0)),
    *(("gaussian", seconds) for seconds in (0.1, 0.2, 0.4, 0.8, 1.6)),
    *(("viterbi", seconds) for seconds in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)),
)
"""Methods and seconds of smoothing to choose from, the simplest first."""


PULLS = (5.0, 20.0, 80.0, 320.0)
"""With so many bouts a lab's threshold is half its own; to choose from."""


BOUT_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Shortest bouts and longest gaps to choose from, beside none."""


_USUAL_PULL = 20.0


_LEAST_GAIN = 0.0005
"""What a gap or a shortest bout must add to the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a fit may choose from; leave something out to see what it is worth."""

    smoothings: tuple[tuple[Method, float], ...] = CANDIDATES
    calibrated: bool = True
    thresholds: bool = True
    tidied: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """Thresholds in log-odds: shared by all labs, and each lab's."""

    shared: Float[np.ndarray, " classes"]
    own: Float[np.ndarray, "labs classes"]


def fit_rules(part: Part, names: Sequence[str], search: Search) -> DecisionRules:
    """Return the rules that some recordings ask for."""
    rules = DecisionRules(
        kind=part.kind,
        classes=tuple(
            _fit_class(part, index, name, search) for index, name in enumerate(names)
        ),
    )
    if search.thresholds:
        rules = _fit_thresholds(part, rules)
    return _fit_bouts(part, rules) if search.tidied else rules


def decide_lab(lab: LabPart, rules: DecisionRules) -> Int[np.ndarray, " time"]:
    """Return the choice of each frame of a lab, as an index into its asked classes."""
    own = _rules_of_asked(lab, rules)
    said = smooth_lab(lab, rules)
    return decide_smoothed(said, lab.timeline, own, own.thresholds(lab.lab))


def smooth_lab(lab: LabPart, rules: DecisionRules) -> Float[np.ndarray, "time asked"]:
    """Return smoothed log-odds, minus infinity where nothing is said."""
    columns = [
        lab.smoothed(column, rules.classes[index].smoothing)
        for column, index in enumerate(lab.asked)
    ]
    return nothing_said(np.stack(columns, axis=1))


def count_lab(
    lab: LabPart, chosen: Int[np.ndarray, " time"], classes: int
) -> Int[np.ndarray, "classes 3"]:
    """Count the frames labelled, predicted and hit of all classes, asked or not."""
    counts = np.zeros((classes, 3), int)
    counts[lab.asked] = count_frames(chosen, lab.labels)
    return counts


def _fit_class(part: Part, index: int, name: str, search: Search) -> ClassRule:
    """Return how one class is smoothed and calibrated; plainly, if nobody saw it."""
    if not part.shown[:, :, index, FRAMES].any():
        return ClassRule(name=name)
    rate = part.switches_per_s(index)
    candidates = [
        Smoothing(method, seconds, rate if method == "viterbi" else 0.0)
        for method, seconds in search.smoothings
        if method != "viterbi" or rate > 0
    ]
    scores = [_cross_score(part, index, how, _USUAL_PULL) for how in candidates]
    smoothing = candidates[int(np.argmax(scores))]
    tally = part.tally(index, smoothing).sum(axis=(0, 1))
    calibration = fit_platt(tally) if search.calibrated else Calibration()
    return ClassRule(name=name, smoothing=smoothing, calibration=calibration)


def _cross_score(part: Part, index: int, how: Smoothing, pull: float) -> float:
    """Return how one class scores alone, each fold by thresholds of the others."""
    tally, shown = part.tally(index, how), part.shown[:, :, index]
    labs, folds = tally.shape[:2]
    counts = np.zeros((labs, 1, 3), int)
    counts[:, 0, LABELLED] = shown[..., FRAMES].sum(axis=1)
    for fold in range(folds):
        others = np.arange(folds) != fold
        seen = shown[:, others].sum(axis=1)
        shared, own = alone_thresholds(
            tally[:, others].sum(axis=1), seen[:, FRAMES], part.kind
        )
        cuts = bin_of(pull_together(own, shared, seen[:, BOUTS], pull))
        is_above = np.arange(BINS) >= cuts[:, None]
        found = (tally[:, fold] * is_above[..., None]).sum(axis=1)
        counts[:, 0, PREDICTED] += found.sum(axis=1)
        counts[:, 0, HITS] += found[:, 1]
    counts[counts[:, 0, LABELLED] == 0] = 0  # such a lab will never choose it
    return float(macro_f1(counts, part.kind))


def _fit_thresholds(part: Part, rules: DecisionRules) -> DecisionRules:
    """Return the rules with thresholds."""
    bouts = part.shown[..., BOUTS].sum(axis=1)
    start = _start_thresholds(part, rules)
    boards = [
        _set_up_board(lab, rules, occurs)
        for lab, occurs in zip(part.labs, bouts > 0, strict=True)
    ]
    shared = climb(boards, start.shared, part.kind)
    if len(boards) == 1:
        return _with_thresholds(part, rules, Thresholds(shared, shared[None]))
    own = np.stack(
        [
            climb([board], thresholds, part.kind)
            for board, thresholds in zip(boards, start.own, strict=True)
        ]
    )
    pulled = pull_together(own, shared, bouts, _choose_pull(part, rules))
    return _with_thresholds(part, rules, Thresholds(shared, pulled))


def _start_thresholds(part: Part, rules: DecisionRules) -> Thresholds:
    """Return where to start from: what is best for each class of pairs alone.

    The classes of a scene compete, and start as equals.
    """
    labs, classes = len(part.labs), len(rules.classes)
    if part.kind.has_background:
        return Thresholds(np.zeros(classes), np.zeros((labs, classes)))
    shared, own = np.zeros(classes), np.zeros((labs, classes))
    for index, rule in enumerate(rules.classes):
        tally = part.tally(index, rule.smoothing).sum(axis=1)
        labelled = part.shown[:, :, index, FRAMES].sum(axis=1)
        shared[index], own[:, index] = alone_thresholds(tally, labelled, part.kind)
    return Thresholds(shared, own)


def _set_up_board(
    lab: LabPart, rules: DecisionRules, occurs: Bool[np.ndarray, " classes"]
) -> Board:
    """Return what is said of a lab's classes; of pairs, of those that occur."""
    said = smooth_lab(lab, rules)
    if rules.kind.is_scored_by_lab:
        said[:, ~occurs[lab.asked]] = -np.inf
    return Board(lab.asked, said, lab.labels)


def _choose_pull(part: Part, rules: DecisionRules) -> float:
    """Return the pull that scores best on folds that thresholds were not found on."""

    def mean_score(pull: float) -> float:
        scores = [
            _cross_score(part, index, rule.smoothing, pull)
            for index, rule in enumerate(rules.classes)
        ]
        return float(np.nanmean(scores))

    return max(PULLS, key=mean_score)


def _with_thresholds(
    part: Part, rules: DecisionRules, thresholds: Thresholds
) -> DecisionRules:
    """Return the rules with thresholds as probabilities.

    An action of pairs that a lab looked out for and never saw is never chosen there: in
    the challenge a single frame of it would cost the lab's mean a whole action.
    """
    classes = []
    for index, rule in enumerate(rules.classes):
        own = {
            lab.lab: _to_probability(thresholds.own[place, index])
            if _occurs(part, place, index)
            else NEVER
            for place, lab in enumerate(part.labs)
            if index in lab.asked
        }
        shared = _to_probability(thresholds.shared[index])
        classes.append(replace(rule, threshold=shared, lab_thresholds=own))
    return replace(rules, classes=tuple(classes))


def _occurs(part: Part, place: int, index: int) -> bool:
    """Return whether a lab can show a class: of pairs, whether it did."""
    is_shown = bool(part.shown[place, :, index, FRAMES].any())
    return is_shown or not part.kind.is_scored_by_lab


def _to_probability(log_odds: float) -> float:
    return round(float(1 / (1 + np.exp(-log_odds))), 6)


def _fit_bouts(part: Part, rules: DecisionRules) -> DecisionRules:
    """Return the rules with the longest gap and the shortest bout of each class.

    One number after the other is tried, and kept if the score gains by it.
    """
    chosen = [decide_lab(lab, rules) for lab in part.labs]
    best = _score_tidied(part, chosen, rules)
    for index in range(len(rules.classes)):
        if index == rules.kind.nothing:
            continue
        for change, seconds in product((_with_gap, _with_least), BOUT_SECONDS):
            changed = rules.with_class(index, change(rules.classes[index], seconds))
            score = _score_tidied(part, chosen, changed)
            if score > best + _LEAST_GAIN:
                best, rules = score, changed
    return rules


def _with_gap(rule: ClassRule, seconds: float) -> ClassRule:
    return replace(rule, max_gap_s=seconds)


def _with_least(rule: ClassRule, seconds: float) -> ClassRule:
    return replace(rule, min_bout_s=seconds)


def _score_tidied(
    part: Part, chosen: Sequence[Int[np.ndarray, "_"]], rules: DecisionRules
) -> float:
    """Return the score of choices after gaps are closed and short bouts dropped."""
    counts = [
        count_lab(
            lab,
            tidy_by(_rules_of_asked(lab, rules), each, lab.timeline),
            len(rules.classes),
        )
        for lab, each in zip(part.labs, chosen, strict=True)
    ]
    return float(macro_f1(np.stack(counts), part.kind))


def _rules_of_asked(lab: LabPart, rules: DecisionRules) -> DecisionRules:
    """Return the rules of the classes that a lab has columns for."""
    return replace(rules, classes=tuple(rules.classes[index] for index in lab.asked))
