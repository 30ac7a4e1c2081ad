"""Scores and calibration from out-of-fold answers.

Rules that were tuned on the answers flatter when judged by them, so where `tuning.json`
has nested figures (each fold judged by the rules of the others) these are told instead.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from mabe.checklist.facts import (
    CalibrationFacts,
    ClassCalibration,
    ClassScore,
    ScoreFacts,
)
from mabe.checkpoint import Checkpoint
from mabe.decisions.calibration import measure_reliability
from mabe.decisions.confidence import count_by_group
from mabe.decisions.evidence import Evidence
from mabe.decisions.reliability import tally_answers
from mabe.decisions.rules import DecisionRules
from mabe.decisions.thresholds import (
    HITS,
    LABELLED,
    PREDICTED,
    f_scores,
    score_of,
)
from mabe.errors import RunError
from mabe.evaluation import plain
from mabe.out_of_fold import OutOfFold
from mabe.tuning import REPORT_NAME


@dataclass(frozen=True, slots=True)
class TuningFacts:
    """The nested figures of a tuning."""

    score: float | None
    errors: dict[str, float | None]
    """Expected calibration error of each class, by rules that others chose."""


def read_tuning(checkpoint: Checkpoint) -> TuningFacts | None:
    """Return the nested figures beside a checkpoint, None where there are none.

    Raises `RunError` where the file is damaged.
    """
    path = checkpoint.path.parent / REPORT_NAME
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return TuningFacts(
            values["score"]["nested"],
            {
                name: each["refined"]["expected_error"]
                for name, each in values["reliability"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path}: expected the figures of a tuning, found something else "
            f"({error!r}); `mabe tune` writes it anew"
        ) from None


def score_answers(
    answers: OutOfFold,
    rules: DecisionRules,
    is_tuned: bool,
    tuning: TuningFacts | None,
) -> ScoreFacts:
    """Return scores of the answers as the rules decide."""
    counts = count_by_group(answers.evidence(), rules).sum(axis=0)
    macro = plain(float(score_of(counts, answers.kind)))
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
    # An action that nobody marked has no F1 here, though the challenge may give it 0.
    f1 = f_scores(counts, "scene")
    return tuple(
        ClassScore(
            name=name,
            f1=plain(f1[i]),
            recall=float(counts[i, HITS] / labelled[i]) if labelled[i] else None,
            labelled=int(labelled[i]),
            is_predicted=bool(counts[i, PREDICTED]),
        )
        for i, name in enumerate(answers.answers)
    )


def calibrate(
    answers: OutOfFold, rules: DecisionRules, tuning: TuningFacts | None
) -> CalibrationFacts:
    """Return the expected error of each class, as given and as the rules refine it."""
    plain_rules = DecisionRules.plain(answers.kind, answers.answers)
    evidence = answers.evidence()
    given = _expected_errors(evidence, plain_rules)
    is_tuned = rules != plain_rules
    refined: dict[str, float | None] = {}
    if is_tuned:
        refined = tuning.errors if tuning else _expected_errors(evidence, rules)
    return CalibrationFacts(
        classes=tuple(
            ClassCalibration(name, given[name], refined.get(name))
            for name in answers.answers
        ),
        is_tuned=is_tuned,
    )


def _expected_errors(
    views: Sequence[Evidence], rules: DecisionRules
) -> dict[str, float | None]:
    tallies = tally_answers(views, rules)
    return {
        rule.name: plain(measure_reliability(tally).expected_error)
        for rule, tally in zip(rules.classes, tallies, strict=True)
    }
