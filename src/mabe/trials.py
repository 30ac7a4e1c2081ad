"""Runs of a cross-validation, one after the other or several at once.

A trial is one seed and one fold. Its directory says when it is finished: it then holds
what its recogniser says of what it never saw. A trial that was stopped goes on. Several
at once have one thread each, in processes of their own, and tell their story in a file
beside their directory (``fold0.log``); results do not depend on how many run at once.
"""

import contextlib
import multiprocessing
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from mabe.checkpoint import SUFFIX, load_checkpoint
from mabe.config import RunConfig, load_config
from mabe.console import tell
from mabe.errors import MabeError, RunError, StopRequested
from mabe.lessons import make_lesson
from mabe.out_of_fold import (
    FILE_NAME,
    OutOfFold,
    answer_held_out,
    read_out_of_fold,
    write_out_of_fold,
)
from mabe.processes import end_with_parent
from mabe.run_directory import is_documented
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
    workers: int,
    skip_bad: bool,
    after_each: Callable[[Trial], None],
) -> None:
    """Run what is not finished yet, so many at once; tell of each that is done.

    Raises what the first trial that fails raises, when those beside it have stopped.
    """
    left = [trial for trial in trials if not trial.is_finished]
    for trial in trials:
        if trial not in left:
            tell(f"✓ {trial.name} is finished")
    if workers <= 1:
        for trial in left:
            tell(f"── {trial.name}")
            run_trial(trial, skip_bad=skip_bad)
            after_each(trial)
        return
    _run_at_once(left, workers, skip_bad, after_each)


def _run_at_once(
    trials: Sequence[Trial],
    workers: int,
    skip_bad: bool,
    after_each: Callable[[Trial], None],
) -> None:
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        waiting = {
            executor.submit(_run_with_log, trial, skip_bad): trial for trial in trials
        }
        for future in as_completed(waiting):
            future.result()
            after_each(waiting[future])
    except BrokenProcessPool as error:
        raise RunError(
            "a worker process ended early, perhaps for want of memory: try again with "
            "--workers 1, what is done is kept"
        ) from error
    except KeyboardInterrupt:
        raise StopRequested("stopped; the same command with --resume goes on") from None
    finally:
        executor.shutdown(cancel_futures=True)


_stopped: list[Trial] = []
"""In a worker: the trial in which somebody asked it to stop; it takes up no other."""


def _start_worker() -> None:
    end_with_parent()
    torch.set_num_threads(1)


def _run_with_log(trial: Trial, skip_bad: bool) -> None:
    """Run a trial whose words go into a file beside its directory."""
    if _stopped:
        raise StopRequested("stopped before it began")
    log = trial.run_dir.with_name(f"{trial.run_dir.name}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a", encoding="utf-8", buffering=1) as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            run_trial(trial, skip_bad=skip_bad)
        except StopRequested:
            _stopped.append(trial)
            raise
        except MabeError as error:
            print(error, file=sys.stderr)
            raise
