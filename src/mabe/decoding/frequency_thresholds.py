"""Thresholds by how frequent each class is: two numbers for all classes together.

A rare action has too few bouts to choose a threshold by. Models give it too little
probability or, trained with weights for rare classes, too much, and by an amount that
follows its frequency. So the threshold of a class, in log-odds, is

    slope · (log-odds of its frequency − those of the background) + level

where *slope* and *level* are shared by all classes. Without a background its term is
0; a background itself has the threshold 0. With slope and level 0 these are the plain
decisions. Adjusting logits by the logarithm of the frequency is from Menon et al.,
Long-tail learning via logit adjustment (ICLR 2021).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from jaxtyping import Float

from mabe.decoding.calibration import log_odds
from mabe.decoding.choose_class import choose
from mabe.decoding.fit_rules import (
    SearchSpace,
    Thresholds,
    fit_rules,
    frames_of_labs,
    with_thresholds,
)
from mabe.decoding.rules import DecisionRules
from mabe.decoding.thresholds import LabFrames
from mabe.decoding.tuning_folds import OFF_S, ON_S, FoldSubset
from mabe.metrics.frame_scores import count_frames, macro_f1
from mabe.scene_task import TaskKind

SLOPES = tuple(tenths / 10 for tenths in range(-3, 11))
LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)

_LIMIT = 10.0
"""Thresholds are within ± this: a frequency of 0 has infinite log-odds."""


def fit_by_frequency(
    subset: FoldSubset, names: Sequence[str], search: SearchSpace
) -> DecisionRules:
    """Return the rules with the best slope and level, without smoothing.

    Of equally good ones those nearest to plain decisions are chosen.
    """
    bare = replace(search, smoothings=(("none", 0.0),), thresholds=False, tidied=False)
    rules = fit_rules(subset, names, bare)
    labs = frames_of_labs(subset, rules)
    relative = relative_log_odds(subset)
    candidates = [
        _thresholds(relative, slope, level, subset.kind)
        for slope, level in sorted(product(SLOPES, LEVELS), key=_distance_from_plain)
    ]
    scores = [_score(labs, thresholds, subset.kind) for thresholds in candidates]
    shared = candidates[int(np.argmax(scores))]
    return with_thresholds(
        subset, rules, Thresholds(shared, np.tile(shared, (len(labs), 1)))
    )


def relative_log_odds(subset: FoldSubset) -> Float[np.ndarray, " classes"]:
    """Return the log-odds of each class's frequency, less those of a background."""
    on_s, off_s = (
        subset.label_counts[..., state].sum(axis=(0, 1)) for state in (ON_S, OFF_S)
    )
    watched_s = on_s + off_s
    frequency = np.divide(on_s, watched_s, out=np.zeros_like(on_s), where=watched_s > 0)
    of_each = log_odds(frequency)
    nothing = subset.kind.nothing
    return of_each - of_each[nothing] if subset.kind.has_background else of_each


def _distance_from_plain(slope_and_level: tuple[float, float]) -> float:
    return sum(map(abs, slope_and_level))


def _thresholds(
    relative: Float[np.ndarray, " classes"], slope: float, level: float, kind: TaskKind
) -> Float[np.ndarray, " classes"]:
    thresholds = (slope * relative + level).clip(-_LIMIT, _LIMIT)
    if kind.has_background:
        thresholds[kind.nothing] = 0.0
    return thresholds


def _score(
    labs: Sequence[LabFrames], thresholds: Float[np.ndarray, " classes"], kind: TaskKind
) -> float:
    """Return the score of decisions by thresholds; -1 where nothing can be scored."""
    counts = np.zeros((len(labs), len(thresholds), 3), int)
    for place, lab in enumerate(labs):
        margins = lab.log_odds - thresholds[lab.columns].astype(np.float32)
        counts[place, lab.columns] = count_frames(choose(margins, kind), lab.labels)
    score = float(macro_f1(counts, kind))
    return score if np.isfinite(score) else -1.0
