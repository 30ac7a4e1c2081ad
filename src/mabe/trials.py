"""Runs of a cross-validation, one after the other or several at once.

A trial is one seed and one fold. Its directory says when it is finished: it then holds
what its recogniser says of what it never saw. A trial that was stopped goes on, on
whatever machine. Several at once have one thread each, in workers of their own, and
tell their story in a file beside their directory (``fold0.log``); results do not depend
on how many run at once.
"""

import contextlib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mabe.checkpoint import SUFFIX, load_checkpoint
from mabe.config import RunConfig, load_config
from mabe.console import tell
from mabe.errors import MabeError, RunError
from mabe.executors import HERE, Executor
from mabe.lessons import make_lesson
from mabe.out_of_fold import (
    FILE_NAME,
    OutOfFold,
    answer_held_out,
    read_out_of_fold,
    write_out_of_fold,
)
from mabe.run_directory import is_documented, wait_for_run
from mabe.runs import load_training_data, train
from mabe.team import Team

CROSSVAL_REPORT = "crossval.json"
RECIPE_REPORT = "recipe.json"
"""What the directory of several runs is known by."""


@dataclass(frozen=True, slots=True)
class Trial:
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


def trial_in(run_dir: Path) -> Trial:
    """Return the trial of a directory, wherever it was moved since it was run."""
    config = load_config(run_dir / "config.yaml")
    return Trial(config.model_copy(update={"checkpoint_dir": run_dir}))


def find_trials(run: Path) -> list[Trial]:
    """Return the runs of a cross-validation or recipe, none of anything else.

    Raises `RunError` where it is not finished.
    """
    if (run / RECIPE_REPORT).is_file():
        found = run.glob("*/seed*/fold*")
    elif (run / CROSSVAL_REPORT).is_file():
        found = run.glob("seed*/fold*")
    else:
        return []
    trials = [
        trial_in(path)
        for path in sorted(found, key=_by_numbers)
        if (path / "config.yaml").is_file()
    ]
    done = [trial for trial in trials if trial.is_finished]
    if len(done) < len(trials) or not (run / FILE_NAME).is_file() or not trials:
        raise RunError(
            f"{run}: expected a finished cross-validation, found {len(done)} finished "
            f"of {len(trials)} runs begun; give the same command again, it goes on"
        )
    return trials


def _by_numbers(path: Path) -> tuple[str, int, int]:
    """Sort by kind, then seed, then fold."""
    seed, fold = (re.sub(r"\D", "", name) for name in (path.parent.name, path.name))
    return path.parent.parent.name, int(seed or 0), int(fold or 0)


def run_trial(trial: Trial, *, skip_bad: bool) -> None:
    """Train one run, or go on with it, and write its out-of-fold answers."""
    config = trial.config
    # By itself, even where a launcher has started the process that trials run in.
    resume = is_documented(trial.run_dir)
    train(config, resume=resume, skip_bad=skip_bad, team=Team())
    lesson = make_lesson(config, load_training_data(config, skip_bad=skip_bad))
    model = load_checkpoint(trial.model)
    answers = answer_held_out(model.recogniser, lesson)
    write_out_of_fold(trial.run_dir / FILE_NAME, answers)


def run_trials(
    trials: Sequence[Trial],
    *,
    skip_bad: bool,
    after_each: Callable[[Trial], None],
    executor: Executor = HERE,
) -> None:
    """Run what is not finished yet; tell of each that is done.

    Raises what the first trial that fails raises, when those beside it have stopped.
    """
    left = [trial for trial in trials if not trial.is_finished]
    for trial in trials:
        if trial not in left:
            tell(f"✓ {trial.name} is finished")
    if not left:
        return
    folders = sorted({trial.run_dir.parent for trial in left})
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
    """What is the same for all trials of a call."""

    skip_bad: bool
    threads: int | None
    patience_s: float


def _wants_gpu(trial: Trial) -> bool:
    return trial.config.model_type != "trees" and trial.config.device != "cpu"


def _run_telling(how: _How, trial: Trial) -> None:
    """Run a trial in the process that the user sees."""
    tell(f"── {trial.name}")
    run_trial(trial, skip_bad=how.skip_bad)


def _run_quietly(how: _How, trial: Trial) -> None:
    """Run a trial whose words go into a file beside its directory."""
    torch.set_num_threads(how.threads or 1)
    log = trial.run_dir.with_name(f"{trial.run_dir.name}.log")
    with (
        log.open("a", encoding="utf-8", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            wait_for_run(trial.run_dir, at_most_s=how.patience_s)
            if not trial.is_finished:
                run_trial(trial, skip_bad=how.skip_bad)
        except MabeError as error:
            print(error, file=sys.stderr)
            raise
