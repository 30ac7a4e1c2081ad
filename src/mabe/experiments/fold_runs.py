"""Fold runs: one training run for one fold and one seed.

A fold run is finished when its directory holds its out-of-fold predictions; these are
written last. A fold run that was stopped is resumed, on any machine. A run that learns
from all recordings is kept the same way: its file of predictions is empty.

Fold runs are done one after the other in this process, or several at once in worker
processes of one thread each. What a worker prints goes into a file beside the run
directory (``fold0.log``). Results do not depend on how many run at once.
"""

import contextlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mabe.config import RunConfig, load_config
from mabe.decoding.view_predictions import OutOfFold
from mabe.errors import MabeError, RunError
from mabe.experiments.out_of_fold import (
    FILE_NAME,
    predict_held_out,
    read_out_of_fold,
    write_out_of_fold,
)
from mabe.models.checkpoint import SUFFIX, load_checkpoint
from mabe.runtime.console import count, print_lines
from mabe.runtime.executors import HERE, Executor
from mabe.runtime.files import make_folder
from mabe.runtime.launch_environment import ProcessGroup
from mabe.training.run import train
from mabe.training.run_directory import is_begun, wait_for_run

CROSSVAL_REPORT = "crossval.json"
"""Identifies the directory of a cross-validation."""
RECIPE_REPORT = "recipe.json"
"""Identifies the directory of an automatic recipe, with a cross-validation for each
kind of model."""


def holds_several_runs(folder: Path) -> bool:
    """Return whether a folder is that of a cross-validation or automatic recipe.

    Its predictions are those of the models of its folds, whatever model lies there.
    """
    return any((folder / name).is_file() for name in (RECIPE_REPORT, CROSSVAL_REPORT))


@dataclass(frozen=True, slots=True)
class FoldRun:
    """One run of a cross-validation, or one that learns from all recordings."""

    config: RunConfig
    """With its own fold, seed and directory."""

    @classmethod
    def of_all(cls, config: RunConfig, root: Path, *, seed: int) -> "FoldRun":
        """Return the run of a seed that learns from all recordings."""
        place = root / "all" / f"seed{seed}"
        return cls(
            config.changed(
                folds=None, fold=0, hold_out=False, seed=seed, checkpoint_dir=place
            )
        )

    @property
    def run_dir(self) -> Path:
        """The run directory."""
        return self.config.checkpoint_dir

    @property
    def name(self) -> str:
        """The name in messages, such as ``seed42/fold0`` or ``all/seed42``."""
        return f"{self.run_dir.parent.name}/{self.run_dir.name}"

    @property
    def kind(self) -> str:
        """The kind of model in a recipe, such as ``trees``."""
        return self.run_dir.parent.parent.name

    @property
    def is_finished(self) -> bool:
        """Whether the out-of-fold predictions are there."""
        return (self.run_dir / FILE_NAME).is_file()

    @property
    def predictions(self) -> OutOfFold:
        """The predictions of the recordings held out."""
        return read_out_of_fold(self.run_dir / FILE_NAME)

    @property
    def model(self) -> Path:
        """The model to use.

        The last one where the number of epochs is fixed, so that no held-out recording
        chooses anything; the best one where held-out recordings end the run anyway.
        """
        name = "best" if self.config.early_stopping_patience else "last"
        return self.run_dir / f"{name}{SUFFIX}"


def fold_run_in(run_dir: Path) -> FoldRun:
    """Return the fold run of a directory, which may have been moved since."""
    config = load_config(run_dir / "config.yaml")
    return FoldRun(config.changed(checkpoint_dir=run_dir))


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
    finished = [fold_run for fold_run in fold_runs if fold_run.is_finished]
    is_complete = fold_runs and len(finished) == len(fold_runs)
    if not is_complete or not (run / FILE_NAME).is_file():
        raise RunError(
            f"{run}: expected a finished cross-validation, found {len(finished)} "
            f"finished of {count(len(fold_runs), 'run')}; the same command continues it"
        )
    return fold_runs


def _by_numbers(path: Path) -> tuple[str, int, int]:
    """Sort by kind, then seed, then fold."""
    seed, fold = (re.sub(r"\D", "", name) for name in (path.parent.name, path.name))
    return path.parent.parent.name, int(seed or 0), int(fold or 0)


def train_fold_run(fold_run: FoldRun, *, skip_bad: bool) -> None:
    """Train one run, or resume it, and write its out-of-fold predictions."""
    resume = is_begun(fold_run.run_dir)
    # A group of one, even where a launcher has started the process.
    trained = train(
        fold_run.config, resume=resume, skip_bad=skip_bad, group=ProcessGroup()
    )
    model = load_checkpoint(fold_run.model).model
    predictions = predict_held_out(model, trained.objective)
    write_out_of_fold(fold_run.run_dir / FILE_NAME, predictions)


def train_fold_runs(
    fold_runs: Sequence[FoldRun],
    *,
    skip_bad: bool,
    after_each: Callable[[FoldRun], None],
    executor: Executor = HERE,
) -> None:
    """Do the runs that are not finished; call `after_each` when one is.

    Raises the error of the first run that fails, when those beside it have stopped.
    """
    for fold_run in fold_runs:
        if fold_run.is_finished:
            print_lines(f"✓ {fold_run.name} is finished")
    left = [fold_run for fold_run in fold_runs if not fold_run.is_finished]
    if not left:
        return
    folders = sorted({fold_run.run_dir.parent for fold_run in left})
    for folder in folders:
        make_folder(folder)
    done = executor.run(
        _run_in_worker if executor.threads else _run_here,
        _Shared(skip_bad, executor.threads, executor.patience_s),
        left,
        folders=folders,
        wants_gpu=_wants_gpu,
        hears_interrupts=True,
    )
    for place, _ in done:
        after_each(left[place])


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all fold runs of a call have in common."""

    skip_bad: bool
    threads: int | None
    patience_s: float


def _wants_gpu(fold_run: FoldRun) -> bool:
    return not fold_run.config.is_grown and fold_run.config.device != "cpu"


def _run_here(shared: _Shared, fold_run: FoldRun) -> None:
    """Do a fold run in this process and print its progress."""
    print_lines(f"── {fold_run.name}")
    train_fold_run(fold_run, skip_bad=shared.skip_bad)


def _run_in_worker(shared: _Shared, fold_run: FoldRun) -> None:
    """Do a fold run and print into a file beside its directory."""
    torch.set_num_threads(shared.threads or 1)
    log = fold_run.run_dir.with_name(f"{fold_run.run_dir.name}.log")
    with (
        log.open("a", encoding="utf-8", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            wait_for_run(fold_run.run_dir, at_most_s=shared.patience_s)
            if not fold_run.is_finished:
                train_fold_run(fold_run, skip_bad=shared.skip_bad)
        except MabeError as error:
            print(error, file=sys.stderr)
            raise
