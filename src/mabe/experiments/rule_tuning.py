"""Tuning of a run: decision rules from its predictions of recordings held out.

A run directory predicts the recordings that it held out, a cross-validation all of
them. The rules are saved in the run's model, and their scores in ``tuning.json``. The
nested score is the one to report: each fold is scored by rules that others chose.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mabe.config import load_config
from mabe.decoding.calibration import Reliability
from mabe.decoding.nested_tuning import Tuned, tune
from mabe.decoding.rules import ClassRule
from mabe.decoding.view_predictions import OutOfFold
from mabe.errors import RunError
from mabe.experiments.fold_runs import holds_several_runs
from mabe.experiments.out_of_fold import FILE_NAME, predict_held_out, read_out_of_fold
from mabe.models.checkpoint import Checkpoint, load_checkpoint, save_rules
from mabe.runtime.console import count, finite_or_none, format_score, print_lines
from mabe.runtime.documents import read_json
from mabe.runtime.files import write_json
from mabe.training.objectives import load_training_data

REPORT_NAME = "tuning.json"


def tune_run(
    run: Path,
    *,
    folds: int = 5,
    seed: int = 0,
    if_better: bool = False,
    predictions: OutOfFold | None = None,
) -> Tuned:
    """Tune the rules of a run's model and save them in it.

    With `if_better` they are saved only where they score higher than plain decisions on
    recordings that did not choose them. `predictions` are those of recordings not
    learned from; by default the run's own. Raises `RunError` where it has none.
    """
    checkpoint = load_checkpoint(run)
    predictions = predictions or find_predictions(run, checkpoint)
    tuned = tune(predictions.views, folds=folds, seed=seed)
    if tuned.nested > tuned.plain or not if_better:
        save_rules(checkpoint, tuned.rules, tuned_on=predictions.tracks)
    write_json(checkpoint.path.parent / REPORT_NAME, tuning_json(tuned))
    return tuned


def find_predictions(run: Path, checkpoint: Checkpoint) -> OutOfFold:
    """Return a run's predictions of recordings that it did not learn from.

    A directory of several runs holds them as a file. The model of a single run
    predicts now: its predictions are not written, as the file would be that of one
    epoch, and would mark a run of a cross-validation as finished.
    """
    path = checkpoint.path.parent / FILE_NAME
    config_path = checkpoint.path.parent / "config.yaml"
    is_single = (
        len(checkpoint.members) == 1
        and config_path.is_file()
        and not holds_several_runs(config_path.parent)
    )
    if not is_single and path.is_file():
        return read_out_of_fold(path)
    if not is_single:
        raise RunError(
            f"{run}: no {FILE_NAME}, and no config.yaml to make it from; give a run "
            "directory, or that of a cross-validation"
        )
    config = load_config(config_path)
    objective = load_training_data(config).objective(config)
    held_out = set(objective.data.tracks(objective.data.held_out))
    if checkpoint.trained_on & held_out or not held_out <= checkpoint.validated_on:
        raise RunError(
            f"{run}: its recordings are split otherwise now than when it was trained, "
            "so it would be tuned on recordings that it learned from; train again"
        )
    number = count(len(objective.data.held_out), "held-out recording")
    print_lines(f"Predicting {number} with {checkpoint.path}")
    return predict_held_out(checkpoint.model, objective)


def tuning_json(tuned: Tuned) -> dict[str, Any]:
    """Return plain values, as `tuning.json` holds them."""
    return {
        "score": {
            "plain": finite_or_none(tuned.plain),
            "in_sample": finite_or_none(tuned.in_sample),
            "nested": finite_or_none(tuned.nested),
        },
        "per_lab_and_class": [
            {
                key: finite_or_none(value) if isinstance(value, float) else value
                for key, value in asdict(line).items()
            }
            for line in tuned.lines
        ],
        "reliability": {
            name: {
                "given": _reliability_json(given),
                "refined": _reliability_json(refined),
            }
            for name, (given, refined) in tuned.reliability.items()
        },
    }


def _reliability_json(reliability: Reliability) -> dict[str, Any]:
    return {
        "predicted": [finite_or_none(value) for value in reliability.predicted],
        "observed": [finite_or_none(value) for value in reliability.observed],
        "frames": reliability.frames.tolist(),
        "expected_error": finite_or_none(reliability.expected_error),
    }


@dataclass(frozen=True, slots=True)
class NestedTuning:
    """The nested figures of a tuning: by rules that other recordings chose."""

    score: float | None
    errors: Mapping[str, float | None]
    """Expected calibration error of each class."""


def read_tuning(run_dir: Path) -> NestedTuning | None:
    """Return the nested figures of a run directory, None where there are none.

    Raises `RunError` where the file is damaged.
    """
    path = run_dir / REPORT_NAME
    if not path.is_file():
        return None
    try:
        values = read_json(path)
        return NestedTuning(
            values["score"]["nested"],
            {
                name: each["refined"]["expected_error"]
                for name, each in values["reliability"].items()
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path}: expected the figures of a tuning, found something else "
            f"({error!r}); `mabe tune` writes it again"
        ) from None


def format_tuned(tuned: Tuned) -> str:
    """Return scores and rules for the terminal."""
    lines = [
        f"plain decisions            {format_score(tuned.plain)}",
        f"tuned, nested              {format_score(tuned.nested)}   the one to report",
        f"tuned, on the same videos  {format_score(tuned.in_sample)}   too high",
        "",
        f"{'':<20}{'smoothing':<16}{'threshold':>10}{'labs':>14}{'min bout':>10}"
        f"{'max gap':>9}{'error':>8}",
    ]
    lines += [
        _rule_line(rule, tuned.reliability[rule.name][1])
        for rule in tuned.rules.classes
    ]
    return "\n".join(
        [
            *lines,
            "",
            "error: mean difference between calibrated probability and frequency",
        ]
    )


def _rule_line(rule: ClassRule, refined: Reliability) -> str:
    smoothing = str(rule.smoothing.method)
    if rule.smoothing.seconds:
        smoothing += f" {rule.smoothing.seconds:g} s"
    own = rule.lab_thresholds.values()
    labs = f"{min(own):.2f}–{max(own):.2f}" if own else "-"
    return (
        f"{rule.name:<20}{smoothing:<16}{rule.threshold:>10.2f}{labs:>14}"
        f"{rule.min_bout_s:>9.1f}s{rule.max_gap_s:>8.1f}s{refined.expected_error:>8.3f}"
    )
