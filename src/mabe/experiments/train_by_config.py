"""Training by settings: one run, or the automatic recipe (`model_type: auto`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mabe.config import USUAL_OLD_SHARE, build_config, read_settings
from mabe.errors import ConfigError
from mabe.experiments.model_card import write_model_card
from mabe.experiments.train_auto import (
    TrainedRecipe,
    train_recipe,
    with_guessed_task,
    with_task_of_run,
)
from mabe.experiments.train_from import with_source
from mabe.runtime.console import print_lines
from mabe.runtime.executors import Executor
from mabe.runtime.launch_environment import ProcessGroup
from mabe.training.resume import settings_of_run
from mabe.training.run import TrainedRun, train
from mabe.training.training_loop import Watcher

QUICK_EPOCHS = 3
"""Of a quick test (`max_sequences`), unless the user says how many."""


def merge_settings(
    config: Path | None = None,
    *,
    data_dir: Path | None = None,
    run_dir: Path | None = None,
    from_model: Path | None = None,
    max_sequences: int | None = None,
    resume: bool = False,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the settings that are given by a YAML file and by the options beside it.

    Data without a config are trained on by the automatic recipe. A run that is resumed
    without a config has the settings that it was started with. A quick test
    (`max_sequences`) has a run directory of its own, and at most `QUICK_EPOCHS` unless
    `changes` set the epochs. Raises `ConfigError` where a
    setting is wrong.
    """
    settings = dict(changes or {})
    if data_dir and config is None and not resume:
        settings.setdefault("model_type", "auto")
    if resume and config is None and run_dir:
        config = settings_of_run(run_dir)
    options = {
        "data_dir": data_dir,
        "from_model": from_model,
        "max_sequences": max_sequences,
        "checkpoint_dir": run_dir,
    }
    settings |= {key: value for key, value in options.items() if value is not None}
    if max_sequences and "epochs" not in settings:
        epochs = build_config(read_settings(config), where="settings").epochs
        settings["epochs"] = min(epochs, QUICK_EPOCHS)
    return read_settings(config, settings, suffix="quick" if max_sequences else "")


def train_model(
    given: Mapping[str, Any],
    *,
    resume: bool = False,
    skip_bad: bool = False,
    executor: Executor | None = None,
    watcher: Watcher | None = None,
) -> TrainedRun | TrainedRecipe:
    """Train as the given settings say, and return the finished run.

    An executor is for the automatic recipe, a watcher for a single run.
    """
    config = build_config(dict(given), where="settings")
    if config.from_model is not None:
        start = with_source(given, skip_bad=skip_bad)
        print_lines(*(f"• {reason}" for reason in start.reasons))
        given = start.settings
        config = build_config(dict(given), where="settings")
    elif config.keep_actions or config.freeze or config.old_share != USUAL_OLD_SHARE:
        raise ConfigError("--keep-actions, --freeze and old_share are for --from MODEL")
    if config.model_type != "auto":
        run = train(config, resume=resume, skip_bad=skip_bad, watcher=watcher)
        if ProcessGroup.from_environment().is_first:
            print_lines(f"✓ Model card: {write_model_card(run.model_path)}")
        return run
    if config.from_model is not None:
        return train_recipe(given, resume=resume, skip_bad=skip_bad, executor=executor)
    # With a background the task is guessed again, to be compared with that of the run.
    if resume and config.background is None:
        given = with_task_of_run(given, config.checkpoint_dir)
    else:
        given = with_guessed_task(given, skip_bad=skip_bad)
    return train_recipe(given, resume=resume, skip_bad=skip_bad, executor=executor)
