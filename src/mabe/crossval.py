"""Cross-validation: every recording is marked once by recognisers that never saw it.

A directory holds one run for each seed and fold (``seed42/fold0`` …), what they say of
what they never saw (``out_of_fold.npz``, averaged over seeds), the scores
(``crossval.json``), and all runs as one recogniser (``best.safetensors``). What is
finished is not repeated, and a run that was stopped goes on.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mabe.checkpoint import SUFFIX, load_checkpoint, save_ensemble
from mabe.config import RunConfig, dump_config
from mabe.console import show, tell
from mabe.decisions.confidence import score_with_confidence
from mabe.decisions.rules import DecisionRules
from mabe.errors import ConfigError, RunError
from mabe.evaluation import plain
from mabe.files import write_json
from mabe.lessons import TrainingData, make_lesson
from mabe.out_of_fold import (
    FILE_NAME,
    OutOfFold,
    answer_held_out,
    blend,
    join,
    read_out_of_fold,
    write_out_of_fold,
)
from mabe.run_directory import FREE_TO_CHANGE, is_documented
from mabe.runs import load_training_data, train
from mabe.splits import find_groups

REPORT_NAME = "crossval.json"


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a cross-validation."""

    seed: int
    fold: int
    run_dir: Path


def crossval(
    config: RunConfig, *, folds: int, seeds: int, skip_bad: bool = False
) -> dict[str, Any]:
    """Train every fold with every seed, and score all of it; return the report.

    Seeds are those from ``config.seed`` on. Raises `RunError` where the directory holds
    another cross-validation, and `ConfigError` where there are more folds than pieces
    to deal.
    """
    root = config.checkpoint_dir
    data = load_training_data(config, skip_bad=skip_bad)
    check_folds(config, data, folds)
    about = settings(config, data, folds)
    check_same(root, about)
    plan = [
        Trial(seed, fold, root / f"seed{seed}" / f"fold{fold}")
        for seed in range(config.seed, config.seed + seeds)
        for fold in range(folds)
    ]
    by_seed: dict[int, list[OutOfFold]] = {}
    for number, trial in enumerate(plan, start=1):
        tell(f"── run {number} of {len(plan)}: seed {trial.seed}, fold {trial.fold}")
        answers = run_trial(config, trial, folds=folds, skip_bad=skip_bad)
        by_seed.setdefault(trial.seed, []).append(answers)
    joined = {seed: join(parts) for seed, parts in by_seed.items()}
    blended = blend(list(joined.values()), [1.0] * len(joined))
    write_out_of_fold(root / FILE_NAME, blended)
    report = {
        **about,
        "answers": list(blended.answers),
        "seeds": {
            str(seed): {
                **score(answers),
                "folds": [score(part)["score"] for part in by_seed[seed]],
            }
            for seed, answers in joined.items()
        },
        "all_seeds": score(blended),
    }
    write_json(root / REPORT_NAME, report)
    members = [load_checkpoint(final_model(config, each)).members[0] for each in plan]
    save_ensemble(root / f"best{SUFFIX}", members, [1.0] * len(members))
    return report


def run_trial(
    config: RunConfig, trial: Trial, *, folds: int, skip_bad: bool
) -> OutOfFold:
    """Train one run unless it is finished, and return its out-of-fold answers."""
    own = config.model_copy(
        update={
            "folds": folds,
            "fold": trial.fold,
            "seed": trial.seed,
            "checkpoint_dir": trial.run_dir,
        }
    )
    path = trial.run_dir / FILE_NAME
    if path.is_file():
        tell(f"✓ {trial.run_dir} is finished")
        return read_out_of_fold(path)
    train(own, resume=is_documented(trial.run_dir), skip_bad=skip_bad)
    lesson = make_lesson(own, load_training_data(own, skip_bad=skip_bad))
    model = load_checkpoint(final_model(own, trial))
    answers = answer_held_out(model.recogniser, lesson)
    write_out_of_fold(path, answers)
    return answers


def final_model(config: RunConfig, trial: Trial) -> Path:
    """Return the model of a run to be used.

    The last one where the number of epochs is fixed, so that no held-out recording
    chooses anything; the best one where held-out recordings end the run anyway.
    """
    name = "best" if config.early_stopping_patience else "last"
    return trial.run_dir / f"{name}{SUFFIX}"


def settings(config: RunConfig, data: TrainingData, folds: int) -> dict[str, Any]:
    """Return what makes a cross-validation this one, whatever its seeds.

    Other recordings would be dealt otherwise. Patience counts, unlike for a single run,
    as it decides which of a run's models is used.
    """
    free = (FREE_TO_CHANGE | {"seed", "fold", "folds"}) - {"early_stopping_patience"}
    kept = {key: value for key, value in dump_config(config).items() if key not in free}
    content = hashlib.sha256("".join(sorted(data.content)).encode()).hexdigest()[:20]
    return {"config": kept, "number_of_folds": folds, "recordings": content}


def check_folds(config: RunConfig, data: TrainingData, folds: int) -> None:
    """Raise `ConfigError` where there are fewer pieces to deal than folds."""
    recordings = [data.store.recordings[i] for i in (*data.learned, *data.held_out)]
    pieces = len(find_groups(recordings, by=config.split_by))
    if pieces < folds:
        raise ConfigError(
            f"--folds {folds}: the {len(recordings)} recordings that can be learned "
            f"from are {pieces} piece(s), as split_by: {config.split_by} keeps some "
            f"together; give --folds {pieces} or less"
        )


def check_same(root: Path, wanted: dict[str, Any]) -> None:
    """Raise `RunError` where a directory holds something else; else claim it."""
    path = root / REPORT_NAME
    if not path.is_file():
        if root.is_dir() and any(root.iterdir()):
            raise RunError(
                f"{root}: holds something else than a cross-validation; choose another "
                "--checkpoint-dir"
            )
        write_json(path, wanted)
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    before, now = _flat(found), _flat(wanted)
    if changed := sorted(key for key in now if before.get(key) != now[key]):
        raise RunError(
            f"{root}: holds a cross-validation with other settings or data ({changed} "
            "changed); choose another --checkpoint-dir"
        )


def _flat(about: dict[str, Any]) -> dict[str, Any]:
    kept = {key: about.get(key) for key in ("number_of_folds", "recordings")}
    return {**about.get("config", {}), **kept}


def score(answers: OutOfFold) -> dict[str, Any]:
    """Return the score of plain decisions, with its 95 % interval over recordings."""
    rules = DecisionRules.plain(answers.kind, answers.answers)
    confidence = score_with_confidence(answers.evidence(), rules)
    return {
        "score": plain(confidence.score),
        "interval_95": [plain(confidence.low), plain(confidence.high)],
        "f1": {
            name: plain(value)
            for name, value in zip(answers.answers, confidence.f1, strict=True)
        },
    }


def format_report(report: dict[str, Any]) -> str:
    """Return the report as a table for the terminal."""
    lines = [f"{'':<12}{'score':>7}  {'95 % interval':<16}single folds"]
    for seed, scores in report["seeds"].items():
        folds = " ".join(show(fold) for fold in scores["folds"])
        lines.append(f"{'seed ' + seed:<12}{_score(scores)}{folds}")
    single = [scores["score"] for scores in report["seeds"].values()]
    if len(single) > 1:
        line = f"{'averaged':<12}{_score(report['all_seeds'])}"
        if None not in single:
            line += f"(single seeds: {np.mean(single):.3f} ± "
            line += f"{np.std(single, ddof=1):.3f})"
        lines.append(line)
    f1 = report["all_seeds"]["f1"]
    shown = "  ".join(f"{name} {show(value)}" for name, value in f1.items())
    return "\n".join([*lines, "", f"F1: {shown}"])


def _score(scores: dict[str, Any]) -> str:
    low, high = scores["interval_95"]
    return f"{show(scores['score']):>7}  {f'{show(low)} to {show(high)}':<16}"
