"""Scores and calibration of a run, from its out-of-fold predictions.

Rules score too high on the predictions that they were tuned on. So where `tuning.json`
has nested figures (each fold scored by rules that the others chose), these are used.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from mabe.decoding.calibration import measure_reliability
from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import (
    OutOfFold,
    ViewPredictions,
    count_by_track,
    tally_views,
)
from mabe.experiments.checklist.facts import (
    CalibrationFacts,
    ClassCalibration,
    ClassScore,
    ScoreFacts,
)
from mabe.experiments.fold_runs import holds_several_runs
from mabe.experiments.out_of_fold import FILE_NAME, read_out_of_fold
from mabe.experiments.rule_tuning import NestedTuning, read_tuning
from mabe.metrics.frame_scores import HITS, LABELLED, PREDICTED, f1_scores, macro_f1
from mabe.models.checkpoint import Checkpoint, plain_rules
from mabe.runtime.console import finite_or_none
from mabe.scene_task import TaskKind


def read_answers(checkpoint: Checkpoint) -> OutOfFold | None:
    """Return the out-of-fold answers of a checkpoint, None where none are its own.

    Beside a single run they may be those of another of its epochs, unless they have
    tuned it.
    """
    path = checkpoint.path.parent / FILE_NAME
    if not path.is_file():
        return None
    answers = read_out_of_fold(path)
    is_own = (
        len(checkpoint.members) > 1
        or holds_several_runs(path.parent)
        or set(answers.tracks) <= set(checkpoint.tuned_on)
    )
    return answers if is_own else None


def gather_scores(
    checkpoint: Checkpoint, answers: OutOfFold | None
) -> ScoreFacts | None:
    """Return out-of-fold scores, else those of the epoch; None for other ensembles."""
    if answers:
        is_tuned = checkpoint.rules != plain_rules(checkpoint.model.task)
        tuning = read_tuning(checkpoint.path.parent) if is_tuned else None
        return score_answers(answers, checkpoint.rules, is_tuned, tuning)
    if len(checkpoint.members) > 1:
        return None
    provenance = checkpoint.members[0].provenance
    where = f"on what it held out, in epoch {provenance.epoch}"
    return ScoreFacts(
        macro_f1=provenance.validation["f1_macro"],
        macro_from=where,
        classes=tuple(
            ClassScore(
                name=name,
                f1=scores["f1"],
                recall=scores["recall"],
                labelled=scores["support"],
                is_predicted=scores["precision"] is not None,
            )
            for name, scores in provenance.validation["per_class"].items()
        ),
        classes_from=where,
    )


def score_answers(
    answers: OutOfFold,
    rules: DecisionRules,
    is_tuned: bool,
    tuning: NestedTuning | None,
) -> ScoreFacts:
    """Return scores of the answers as the rules decide."""
    counts = count_by_track(answers.views, rules).sum(axis=0)
    macro = finite_or_none(float(macro_f1(counts, answers.kind)))
    macro_from = classes_from = "out of fold"
    if is_tuned:
        macro_from = classes_from = "out of fold, by rules tuned on the same recordings"
        if tuning:
            macro, macro_from = tuning.score, "out of fold, nested: tuned on others"
    return ScoreFacts(
        macro_f1=macro,
        macro_from=macro_from,
        classes=_class_scores(counts.sum(axis=0), answers),
        classes_from=classes_from,
    )


def _class_scores(
    counts: Int[np.ndarray, "classes 3"], answers: OutOfFold
) -> tuple[ClassScore, ...]:
    labelled = counts[:, LABELLED]
    # An action without annotated bouts has no F1 here; the challenge may give it 0.
    f1 = f1_scores(counts, TaskKind.SCENE)
    return tuple(
        ClassScore(
            name=name,
            f1=finite_or_none(f1[i]),
            recall=float(counts[i, HITS] / labelled[i]) if labelled[i] else None,
            labelled=int(labelled[i]),
            is_predicted=bool(counts[i, PREDICTED]),
        )
        for i, name in enumerate(answers.classes)
    )


def calibrate(
    answers: OutOfFold, rules: DecisionRules, tuning: NestedTuning | None
) -> CalibrationFacts:
    """Return the expected error of each class, as given and as the rules refine it."""
    plain_rules = answers.plain_rules
    given = _expected_errors(answers.views, plain_rules)
    is_tuned = rules != plain_rules
    refined: Mapping[str, float | None] = {}
    if is_tuned:
        refined = tuning.errors if tuning else _expected_errors(answers.views, rules)
    return CalibrationFacts(
        classes=tuple(
            ClassCalibration(name, given[name], refined.get(name))
            for name in answers.classes
        ),
        is_tuned=is_tuned,
    )


def _expected_errors(
    views: Sequence[ViewPredictions], rules: DecisionRules
) -> dict[str, float | None]:
    tallies = tally_views(views, rules)
    return {
        rule.name: finite_or_none(measure_reliability(tally).expected_error)
        for rule, tally in zip(rules.classes, tallies, strict=True)
    }
