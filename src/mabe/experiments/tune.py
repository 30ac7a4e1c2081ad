"""Tuning a run: thresholds and smoothing from what it says of unseen recordings.

A run directory has the recordings it held out, a cross-validation all of them. The
rules found are saved in the run's model; what they are worth stands in
``tuning.json``, with the nested score as the one to report.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from mabe.config import load_config
from mabe.decoding.calibration import Reliability
from mabe.decoding.rules import ClassRule
from mabe.decoding.tune import Tuned, tune
from mabe.decoding.views import OutOfFold
from mabe.errors import RunError
from mabe.experiments.out_of_fold import FILE_NAME, answer_held_out, read_out_of_fold
from mabe.metrics.summary import plain
from mabe.models.checkpoint import Checkpoint, load_checkpoint, save_rules
from mabe.runtime.console import show, tell
from mabe.runtime.files import write_json
from mabe.training.objectives import load_training_data

REPORT_NAME = "tuning.json"


def tune_run(
    run: Path, *, folds: int = 5, seed: int = 0, if_better: bool = False
) -> Tuned:
    """Find rules for a run's model and save them in it.

    With `if_better` they are saved only where they score more than plain decisions on
    recordings that did not choose them. Raises `RunError` where the run has no
    recording that it never saw.
    """
    checkpoint = load_checkpoint(run)
    answers = find_answers(run, checkpoint)
    tuned = tune(
        answers.evidence(), answers.answers, answers.kind, folds=folds, seed=seed
    )
    if tuned.nested > tuned.plain or not if_better:
        save_rules(checkpoint, tuned.rules, tuned_on=answers.tracks)
    write_json(checkpoint.path.parent / REPORT_NAME, report(tuned))
    return tuned


def find_answers(run: Path, checkpoint: Checkpoint) -> OutOfFold:
    """Return what a run says of recordings it never saw.

    A directory of several runs keeps that; a single run is asked. Its answers are not
    kept, as they are of one of its epochs, and the file says that a run of a
    cross-validation is finished.
    """
    path = checkpoint.path.parent / FILE_NAME
    config_path = checkpoint.path.parent / "config.yaml"
    is_single = len(checkpoint.members) == 1 and config_path.is_file()
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
            f"{run}: its recordings are dealt otherwise now than when it was trained, "
            "so it has seen what it would be tuned on; train again"
        )
    tell(f"Asking {checkpoint.path} of {len(objective.data.held_out)} recordings")
    return answer_held_out(checkpoint.model, objective)


def report(tuned: Tuned) -> dict[str, Any]:
    """Return all that is known of the rules as plain values."""
    return {
        "score": {
            "plain": plain(tuned.plain),
            "in_sample": plain(tuned.in_sample),
            "nested": plain(tuned.nested),
        },
        "per_lab_and_class": [
            {key: _plain(value) for key, value in asdict(line).items()}
            for line in tuned.lines
        ],
        "reliability": {
            name: {"given": _reliability(given), "refined": _reliability(refined)}
            for name, (given, refined) in tuned.reliability.items()
        },
    }


def format_tuned(tuned: Tuned) -> str:
    """Return scores and rules for the terminal."""
    lines = [
        f"plain decisions            {show(plain(tuned.plain))}",
        f"tuned, nested              {show(plain(tuned.nested))}   the one to report",
        f"tuned, on the same videos  {show(plain(tuned.in_sample))}   flatters",
        "",
        f"{'':<20}{'smoothing':<16}{'threshold':>10}{'labs':>14}{'min bout':>10}"
        f"{'max gap':>9}{'off by':>8}",
    ]
    lines += [
        _rule_line(rule, tuned.reliability[rule.name][1])
        for rule in tuned.rules.classes
    ]
    return "\n".join(
        [
            *lines,
            "",
            "off by: mean gap between probability and share that happened, refined",
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


def _plain(value: Any) -> Any:
    return plain(value) if isinstance(value, float) else value


def _reliability(found: Reliability) -> dict[str, Any]:
    return {
        "predicted": [plain(value) for value in found.predicted],
        "observed": [plain(value) for value in found.observed],
        "frames": found.frames.tolist(),
        "expected_error": plain(found.expected_error),
    }
