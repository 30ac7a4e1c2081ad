"""Cross-validation: every recording is marked once by models that never saw it.

A directory holds one run for each seed and fold (``seed42/fold0`` …), what they say of
what they never saw (``out_of_fold.npz``, averaged over seeds), the scores
(``crossval.json``), and all runs as one model (``best.safetensors``). What is
finished is not repeated, and a run that was stopped goes on.

Runs of a cross-validation, one after the other or several at once.

A fold run is one seed and one fold. Its directory says when it is finished: it holds
what its model says of what it never saw. A fold_run that was stopped goes on, on
whatever machine. Several at once have one thread each, in workers of their own, and
tell their story in a file beside their directory (``fold0.log``); results do not depend
on how many run at once.
"""

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mabe.config import RunConfig, dump_config, load_config
from mabe.data.splits import find_groups
from mabe.decoding.bootstrap import score_with_confidence
from mabe.decoding.rules import DecisionRules
from mabe.decoding.views import OutOfFold
from mabe.errors import ConfigError, MabeError, RunError
from mabe.experiments.out_of_fold import (
    FILE_NAME,
    answer_held_out,
    blend,
    join,
    read_out_of_fold,
    write_out_of_fold,
)
from mabe.metrics.summary import plain
from mabe.models.checkpoint import SUFFIX, load_checkpoint, save_ensemble
from mabe.runtime.console import show, tell
from mabe.runtime.executors import HERE, Executor
from mabe.runtime.files import write_json
from mabe.runtime.process_group import Team
from mabe.training.objectives import TrainingData, load_training_data
from mabe.training.run import train
from mabe.training.run_directory import FREE_TO_CHANGE, is_documented, wait_for_run


@dataclass(frozen=True, slots=True)
class FoldRun:
    """One run of a cross-validation."""

    config: RunConfig
    """With its own fold, seed and directory."""

    @property
    def run_dir(self) -> Path:
        """Where it is kept."""
        return self.config.checkpoint_dir

    @property
    def name(self) -> str:
        """How it is called in messages, such as ``seed42/fold0``."""
        return f"{self.run_dir.parent.name}/{self.run_dir.name}"

    @property
    def is_finished(self) -> bool:
        """Tell whether its answers are there."""
        return (self.run_dir / FILE_NAME).is_file()

    @property
    def answers(self) -> OutOfFold:
        """What it says of what it never saw."""
        return read_out_of_fold(self.run_dir / FILE_NAME)

    @property
    def model(self) -> Path:
        """The model to be used.

        The last one where the number of epochs is fixed, so that no held-out recording
        chooses anything; the best one where held-out recordings end the run anyway.
        """
        name = "best" if self.config.early_stopping_patience else "last"
        return self.run_dir / f"{name}{SUFFIX}"


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
    def fold_runs(self) -> list[FoldRun]:
        """All runs, seed by seed."""
        return [fold_run for seed in self.each_seed for fold_run in self.of_seed(seed)]

    @property
    def each_seed(self) -> range:
        """The seeds, from the config's on."""
        return range(self.config.seed, self.config.seed + self.seeds)

    def of_seed(self, seed: int) -> list[FoldRun]:
        """Return the runs of one seed, fold by fold."""
        return [
            FoldRun(
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

    def after_each(fold_run: FoldRun) -> None:
        score_of = show(score(fold_run.answers)["score"])
        tell(f"✓ {next(done)} of {len(plan.fold_runs)}: {fold_run.name} {score_of}")

    train_fold_runs(
        plan.fold_runs, skip_bad=skip_bad, after_each=after_each, executor=executor
    )
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
        seed: [fold_run.answers for fold_run in plan.of_seed(seed)]
        for seed in plan.each_seed
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
    members = [
        load_checkpoint(fold_run.model).members[0] for fold_run in plan.fold_runs
    ]
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


CROSSVAL_REPORT = "crossval.json"


RECIPE_REPORT = "recipe.json"
"""What the directory of several runs is known by."""


def fold_run_in(run_dir: Path) -> FoldRun:
    """Return the fold_run of a directory, wherever it was moved since it was run."""
    config = load_config(run_dir / "config.yaml")
    return FoldRun(config.model_copy(update={"checkpoint_dir": run_dir}))


def find_fold_runs(run: Path) -> list[FoldRun]:
    """Return the runs of a cross-validation or recipe, none of anything else.

    Raises `RunError` where it is not finished.
    """
    if (run / RECIPE_REPORT).is_file():
        found = run.glob("*/seed*/fold*")
    elif (run / CROSSVAL_REPORT).is_file():
        found = run.glob("seed*/fold*")
    else:
        return []
    fold_runs = [
        fold_run_in(path)
        for path in sorted(found, key=_by_numbers)
        if (path / "config.yaml").is_file()
    ]
    done = [fold_run for fold_run in fold_runs if fold_run.is_finished]
    if len(done) < len(fold_runs) or not (run / FILE_NAME).is_file() or not fold_runs:
        raise RunError(
            f"{run}: expected a finished cross-validation, found {len(done)} finished "
            f"of {len(fold_runs)} runs begun; give the same command again, it goes on"
        )
    return fold_runs


def _by_numbers(path: Path) -> tuple[str, int, int]:
    """Sort by kind, then seed, then fold."""
    seed, fold = (re.sub(r"\D", "", name) for name in (path.parent.name, path.name))
    return path.parent.parent.name, int(seed or 0), int(fold or 0)


def train_fold_run(fold_run: FoldRun, *, skip_bad: bool) -> None:
    """Train one run, or go on with it, and write its out-of-fold answers."""
    config = fold_run.config
    # By itself, even where a launcher has started the process that fold_runs run in.
    resume = is_documented(fold_run.run_dir)
    trained = train(config, resume=resume, skip_bad=skip_bad, team=Team())
    model = load_checkpoint(fold_run.model)
    answers = answer_held_out(model.model, trained.objective)
    write_out_of_fold(fold_run.run_dir / FILE_NAME, answers)


def train_fold_runs(
    fold_runs: Sequence[FoldRun],
    *,
    skip_bad: bool,
    after_each: Callable[[FoldRun], None],
    executor: Executor = HERE,
) -> None:
    """Run what is not finished yet; tell of each that is done.

    Raises what the first fold_run that fails raises, when those beside it have stopped.
    """
    left = [fold_run for fold_run in fold_runs if not fold_run.is_finished]
    for fold_run in fold_runs:
        if fold_run not in left:
            tell(f"✓ {fold_run.name} is finished")
    if not left:
        return
    folders = sorted({fold_run.run_dir.parent for fold_run in left})
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    done = executor.run(
        _run_quietly if executor.threads else _run_telling,
        _How(skip_bad, executor.threads, executor.patience_s),
        left,
        folders=folders,
        wants_gpu=_wants_gpu,
        hears_interrupts=True,
    )
    for place, _ in done:
        after_each(left[place])


@dataclass(frozen=True, slots=True)
class _How:
    """What is the same for all fold runs of a call."""

    skip_bad: bool
    threads: int | None
    patience_s: float


def _wants_gpu(fold_run: FoldRun) -> bool:
    return not fold_run.config.is_grown and fold_run.config.device != "cpu"


def _run_telling(how: _How, fold_run: FoldRun) -> None:
    """Run a fold run in the process that the user sees."""
    tell(f"── {fold_run.name}")
    train_fold_run(fold_run, skip_bad=how.skip_bad)


def _run_quietly(how: _How, fold_run: FoldRun) -> None:
    """Run a fold run whose words go into a file beside its directory."""
    torch.set_num_threads(how.threads or 1)
    log = fold_run.run_dir.with_name(f"{fold_run.run_dir.name}.log")
    with (
        log.open("a", encoding="utf-8", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            wait_for_run(fold_run.run_dir, at_most_s=how.patience_s)
            if not fold_run.is_finished:
                train_fold_run(fold_run, skip_bad=how.skip_bad)
        except MabeError as error:
            print(error, file=sys.stderr)
            raise
