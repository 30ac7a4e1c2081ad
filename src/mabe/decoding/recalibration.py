"""New decision rules for an existing model, from a few scored recordings.

The model's own rules are one of the choices, and win where nothing else scores better
in recordings that did not choose. The whole choice is repeated without each recording
in turn, and that recording is scored by rules of the others: the *nested* score. New
rules take the place of the old ones only if the nested score of all recordings is
higher, and still is whichever recording is left out of it.

Few recordings show little. A gain counts as *shown* only if its 95 % interval over
recordings is above zero, and there is none with fewer than five recordings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int

from mabe.decoding.calibration import Reliability, measure_reliability
from mabe.decoding.fit_rules import (
    SearchSpace,
    count_labs,
    fit_rules,
    refit_thresholds,
)
from mabe.decoding.frequency_thresholds import fit_by_frequency
from mabe.decoding.nested_tuning import tally_subset
from mabe.decoding.rules import NEVER, ClassRule, DecisionRules
from mabe.decoding.tuning_folds import FRAMES, FoldSubset, TuningData
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError
from mabe.metrics.confidence_interval import FEWEST_TRACKS, interval_of_difference
from mabe.metrics.frame_scores import macro_f1
from mabe.runtime.console import count
from mabe.scene_task import TaskKind

FEWEST_RECORDINGS = 3
"""One to fit on, one to choose by, one to score."""
MOST_RECORDINGS_ALONE = 10
"""Of more recordings, some are left out together, in `FOLDS_OF_MANY`."""
FOLDS_OF_MANY = 5
_GROUPS = 3
"""Groups of folds in which a way is chosen: the fits of all of them take the time."""
_SEARCH = SearchSpace()

Counts = Int[np.ndarray, "folds labs classes 3"]
Fit = Callable[[FoldSubset, DecisionRules], DecisionRules]


@dataclass(frozen=True, slots=True)
class FoldGain:
    """The scores of recordings that are left out together; usually one."""

    recordings: tuple[str, ...]
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibrated:
    """New rules for a model, and what they are worth."""

    before: DecisionRules
    found: DecisionRules
    """The new rules, whether or not they are better."""
    way: str
    """How they were found."""
    score_before: float
    """Of the old rules; macro F1 (scene) or the challenge's score (pair)."""
    score_after: float
    """Nested: of rules that the scored recordings had no part in."""
    gain_interval: tuple[float, float]
    """95 % over recordings; NaN with too few."""
    folds: tuple[FoldGain, ...]
    is_better: bool
    """Whether the new rules are used (see the module)."""
    kept_classes: tuple[str, ...]
    """Classes that the recordings do not show, whose old rule is kept."""
    reliability: dict[str, tuple[Reliability, Reliability]]
    """For each class: under the old rules, and nested under the new ones."""

    @property
    def gain(self) -> float:
        """The nested gain in score."""
        return self.score_after - self.score_before

    @property
    def fewest_to_show(self) -> int:
        """So many recordings are needed for an interval of the gain."""
        return FEWEST_TRACKS

    @property
    def rules(self) -> DecisionRules:
        """The rules to use."""
        return self.found if self.is_better else self.before

    @property
    def is_shown(self) -> bool:
        """Whether the gain is more than the variation between recordings."""
        return self.is_better and self.gain_interval[0] > 0


def recalibrate(
    views: Sequence[ViewPredictions], before: DecisionRules, *, seed: int = 0
) -> Recalibrated:
    """Return rules for a model's predictions of recordings it did not learn from.

    Raises `DataError` where there are fewer than three recordings.
    """
    tracks = {view.track for view in views}
    if len(tracks) < FEWEST_RECORDINGS:
        raise DataError(
            f"{count(len(tracks), 'scored recording')}: at least {FEWEST_RECORDINGS} "
            "are needed to tell whether new rules are better than the model's own; "
            "score more of them, a few minutes of each are enough"
        )
    alone = len(tracks) <= MOST_RECORDINGS_ALONE
    folds = len(tracks) if alone else FOLDS_OF_MANY
    data = TuningData(views, folds=folds, seed=seed)
    kind, whole = data.kind, data.part(data.folds)
    found, way = _fit_best(whole, before)
    parts = [data.part([fold]) for fold in data.folds]
    nested = [
        _fit_best(data.part([o for o in data.folds if o != fold]), before)[0]
        for fold in data.folds
    ]
    old = np.stack([count_labs(part, before) for part in parts])
    new = np.stack(
        [count_labs(part, rules) for part, rules in zip(parts, nested, strict=True)]
    )
    return Recalibrated(
        before=before,
        found=found,
        way=way,
        score_before=float(macro_f1(old.sum(axis=0), kind)),
        score_after=float(macro_f1(new.sum(axis=0), kind)),
        gain_interval=interval_of_difference(old, new, kind),
        folds=tuple(
            FoldGain(
                _recordings_in(views, data, fold),
                float(macro_f1(old[fold], kind)),
                float(macro_f1(new[fold], kind)),
            )
            for fold in data.folds
        ),
        is_better=found != before and is_steadily_better(old, new, kind),
        kept_classes=tuple(
            rule.name
            for rule, shown in zip(before.classes, _is_shown(whole), strict=True)
            if not shown
        ),
        reliability=_reliability(parts, before, nested),
    )


def _recordings_in(
    views: Sequence[ViewPredictions], data: TuningData, fold: int
) -> tuple[str, ...]:
    inside = (view.name for view in views if data.fold_of[view.track] == fold)
    return tuple(sorted(set(inside)))


def _reliability(
    parts: Sequence[FoldSubset], before: DecisionRules, nested: Sequence[DecisionRules]
) -> dict[str, tuple[Reliability, Reliability]]:
    """Return each class's reliability under the old rules, and under the nested."""
    old = sum(tally_subset(part, before) for part in parts)
    new = sum(
        tally_subset(part, rules) for part, rules in zip(parts, nested, strict=True)
    )
    return {
        rule.name: (measure_reliability(one), measure_reliability(other))
        for rule, one, other in zip(
            before.classes, np.asarray(old), np.asarray(new), strict=True
        )
    }


def is_steadily_better(old: Counts, new: Counts, kind: TaskKind) -> bool:
    """Return whether the new score is higher, whichever fold is left out of it.

    So no single recording makes the difference.
    """
    everything = range(len(old))
    subsets = [list(everything)] + [
        [fold for fold in everything if fold != left_out] for left_out in everything
    ]
    return all(
        float(macro_f1(new[some].sum(axis=0), kind))
        > float(macro_f1(old[some].sum(axis=0), kind))
        for some in subsets
    )


def _keep(subset: FoldSubset, before: DecisionRules) -> DecisionRules:
    return before


def _by_frequency(subset: FoldSubset, before: DecisionRules) -> DecisionRules:
    return fit_by_frequency(subset, [rule.name for rule in before.classes], _SEARCH)


def _anew(subset: FoldSubset, before: DecisionRules) -> DecisionRules:
    return fit_rules(subset, [rule.name for rule in before.classes], _SEARCH)


_WAYS: dict[str, Fit] = {
    "the model's own rules": _keep,
    "new thresholds and calibration": refit_thresholds,
    "thresholds by the classes' frequencies": _by_frequency,
    "smoothing, thresholds and bouts anew": _anew,
}
"""From few settings to many; of equally good ones the first is chosen."""


def _fit_best(subset: FoldSubset, before: DecisionRules) -> tuple[DecisionRules, str]:
    """Return the rules of the way that scores best on folds it was not fitted to."""
    scores = {way: _cross_validated(way, subset, before) for way in _WAYS}
    best = max(scores, key=scores.__getitem__)
    return _fit(best, subset, before), best


def _cross_validated(way: str, subset: FoldSubset, before: DecisionRules) -> float:
    folds = np.array(subset.folds)
    groups = np.arange(len(folds)) % min(len(folds), _GROUPS)
    counts = [
        count_labs(
            subset.only(folds[groups == group].tolist()),
            _fit(way, subset.only(folds[groups != group].tolist()), before),
        )
        for group in np.unique(groups)
    ]
    score = float(macro_f1(np.sum(counts, axis=0), subset.kind))
    return score if np.isfinite(score) else -1.0


def _fit(way: str, subset: FoldSubset, before: DecisionRules) -> DecisionRules:
    """Return rules fitted to some folds; of classes these do not show, the old ones."""
    found = _WAYS[way](subset, before)
    classes = tuple(
        _merged(old, new) if shown else old
        for old, new, shown in zip(
            before.classes, found.classes, _is_shown(subset), strict=True
        )
    )
    return replace(before, classes=classes)


def _merged(old: ClassRule, new: ClassRule) -> ClassRule:
    """Return a new rule that forbids no lab a class, and forgets no other lab.

    Thresholds of labs without a recording here stay, if they are of the same smoothing.
    """
    others = old.lab_thresholds if old.smoothing == new.smoothing else {}
    own = {
        lab: threshold
        if threshold < NEVER
        else old.lab_thresholds.get(lab, new.threshold)
        for lab, threshold in new.lab_thresholds.items()
    }
    return replace(new, lab_thresholds={**others, **own})


def _is_shown(subset: FoldSubset) -> list[bool]:
    """Return which classes are annotated in some frame."""
    frames = subset.label_counts[..., FRAMES].sum(axis=(0, 1))
    return [bool(number) for number in frames]
