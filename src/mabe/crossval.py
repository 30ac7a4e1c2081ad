"""Cross-validation: every recording is marked once by recognisers that never saw it.

A directory holds one run for each seed and fold (``seed42/fold0`` …), what they say of
what they never saw (``out_of_fold.npz``, averaged over seeds), the scores
(``crossval.json``), and all runs as one recogniser (``best.safetensors``). What is
finished is not repeated, and a run that was stopped goes on.
"""

import hashlib
import json
from dataclasses import dataclass
from itertools import count
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
from mabe.executors import HERE, Executor
from mabe.files import write_json
from mabe.lessons import TrainingData
from mabe.out_of_fold import (
    FILE_NAME,
    OutOfFold,
    blend,
    join,
    write_out_of_fold,
)
from mabe.run_directory import FREE_TO_CHANGE
from mabe.runs import load_training_data
from mabe.splits import find_groups
from mabe.trials import CROSSVAL_REPORT, Trial, run_trials


@dataclass(frozen=True, slots=True)
class Plan:
    """What is cross-validated, and how."""

    config: RunConfig
    folds: int
    seeds: int
    about: dict[str, Any]
    """What makes it this one, whatever its seeds."""

    @property
    def root(self) -> Path:
        """Its directory."""
        return self.config.checkpoint_dir

    @property
    def trials(self) -> list[Trial]:
        """All runs, seed by seed."""
        return [trial for seed in self.each_seed for trial in self.of_seed(seed)]

    @property
    def each_seed(self) -> range:
        """The seeds, from the config's on."""
        return range(self.config.seed, self.config.seed + self.seeds)

    def of_seed(self, seed: int) -> list[Trial]:
        """Return the runs of one seed, fold by fold."""
        return [
            Trial(
                self.config.model_copy(
                    update={
                        "folds": self.folds,
                        "fold": fold,
                        "seed": seed,
                        "checkpoint_dir": self.root / f"seed{seed}" / f"fold{fold}",
                    }
                )
            )
            for fold in range(self.folds)
        ]


def crossval(
    config: RunConfig,
    *,
    folds: int,
    seeds: int,
    skip_bad: bool = False,
    executor: Executor = HERE,
) -> dict[str, Any]:
    """Train every fold with every seed, and score all of it; return the report.

    Seeds are those from ``config.seed`` on. Raises `RunError` where the directory holds
    another cross-validation, and `ConfigError` where there are more folds than pieces
    to deal.
    """
    data = load_training_data(config, skip_bad=skip_bad)
    plan = make_plan(config, data, folds=folds, seeds=seeds)
    done = count(1)

    def after_each(trial: Trial) -> None:
        score_of = show(score(trial.answers)["score"])
        tell(f"✓ {next(done)} of {len(plan.trials)}: {trial.name} {score_of}")

    run_trials(plan.trials, skip_bad=skip_bad, after_each=after_each, executor=executor)
    return assemble(plan)


def make_plan(config: RunConfig, data: TrainingData, *, folds: int, seeds: int) -> Plan:
    """Claim a directory for a cross-validation, and say what is to be run."""
    check_folds(config, data, folds)
    plan = Plan(config, folds, seeds, settings(config, data, folds))
    check_same(plan.root, plan.about)
    return plan


def assemble(plan: Plan) -> dict[str, Any]:
    """Write what all runs say together, and all runs as one; return the report."""
    by_seed = {
        seed: [trial.answers for trial in plan.of_seed(seed)] for seed in plan.each_seed
    }
    joined = {seed: join(parts) for seed, parts in by_seed.items()}
    blended = blend(list(joined.values()), [1.0] * len(joined))
    write_out_of_fold(plan.root / FILE_NAME, blended)
    report = {
        **plan.about,
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
    write_json(plan.root / CROSSVAL_REPORT, report)
    members = [load_checkpoint(trial.model).members[0] for trial in plan.trials]
    save_ensemble(plan.root / f"best{SUFFIX}", members, [1.0] * len(members))
    return report


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
    path = root / CROSSVAL_REPORT
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
