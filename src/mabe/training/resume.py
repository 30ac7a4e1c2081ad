"""Resuming a run (`--resume`): what must be unchanged, and the state restored."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from mabe.config import RunConfig, dump_config, load_config
from mabe.errors import ConfigError, DataError, RunError
from mabe.models.migrations import CARD_FORMAT, migrate_weights
from mabe.runtime.console import count, print_lines
from mabe.runtime.distributed import (
    in_first_process,
)
from mabe.runtime.documents import read_json, shorten_value
from mabe.runtime.versions import is_newer, made_by_newer
from mabe.training.best_epoch import epoch_scores
from mabe.training.early_stopping import is_finished
from mabe.training.history import Epoch
from mabe.training.run_directory import is_begun, state_path
from mabe.training.state import TrainingState, unwrapped

FREE_TO_CHANGE = frozenset(
    {
        "author",
        "checkpoint_dir",
        "cite",
        "cuda_graphs",
        "data_dir",
        "device",
        "early_stopping_patience",
        "from_model",
        "licence",
        "num_workers",
        "save_every_s",
        "save_freq",
        "store_dir",
        "teacher",
    }
)
"""Settings a resumed run may have changed without becoming another run.

`from_model` and `teacher` are places; the hashes of their files may not change.
"""


_OF_DAMAGED_STATES = (
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Errors that values of an unexpected kind lead to."""


def settings_of_run(run_dir: Path) -> Path:
    """Return the file of the settings of a run that is to be resumed.

    Raises `RunError` where there is no run, or one of a later version, whose settings
    this one may not know.
    """
    _read_facts(run_dir)
    return run_dir / "config.yaml"


def with_settled_batch(
    run_dir: Path, config: RunConfig, *, processes: int
) -> RunConfig:
    """Return the config with the run's own batch size where that is `auto`."""
    total = _read_facts(run_dir).get("windows_per_step")
    if config.batch_size != "auto" or not total:
        return config
    return config.changed(batch_size=max(1, total // processes))


def with_settled_skeleton(run_dir: Path, config: RunConfig) -> RunConfig:
    """Return the config with the run's own skeleton where none is given."""
    path = run_dir / "config.yaml"
    if not path.is_file():
        return config
    begun = load_config(path)
    if config.skeleton is None and begun.skeleton is not None:
        config = config.changed(skeleton=begun.skeleton)
    return config.changed(
        animals=max(config.animals, begun.animals),
        object_targets=config.object_targets or begun.object_targets,
        zone_targets=config.zone_targets or begun.zone_targets,
        heights=config.heights or begun.heights,
    )


def check_same_settings(
    run_dir: Path, config: RunConfig, *, processes: int = 1
) -> None:
    """Refuse to resume a run with other settings.

    What a step learns depends on how many windows its processes have together, so these
    may be shared by another number of processes. Raises `RunError` where there is no
    run, and `ConfigError` where a setting that makes it another run has changed.
    """
    total = _read_facts(run_dir).get("windows_per_step")
    before = dump_config(load_config(run_dir / "config.yaml"))
    # A cosine spans all epochs; other schedules do not depend on their number.
    free = FREE_TO_CHANGE | (set() if config.scheduler == "cosine" else {"epochs"})
    free |= {"batch_size"} if total else set()
    changed = [
        f"{key} was {before[key]} and is {value}"
        for key, value in dump_config(config).items()
        if key not in free and value != before[key]
    ]
    if total and config.windows * processes != total:
        changed.append(
            f"a step saw {count(total, 'window')} and would see "
            f"{config.windows * processes}: batch_size {config.batch_size} in "
            f"{count(processes, 'process')}"
        )
    if changed:
        raise ConfigError(
            f"{run_dir}: cannot be resumed with settings other than its own "
            f"({'; '.join(changed)}); give the same (without --config they are taken "
            "from the run), or start a new run with another --checkpoint-dir"
        )


def check_same_data(run_dir: Path, content: list[str]) -> None:
    """Raise `DataError` where the recordings or their labels have changed."""
    if _read_facts(run_dir).get("content") != content:
        raise DataError(
            f"{run_dir}: cannot be resumed, the recordings or their labels have "
            "changed since it began; start a new run with another --checkpoint-dir"
        )


def read_state(run_dir: Path) -> dict[str, Any] | None:
    """Return what was saved last, or None where the run stopped before that."""
    for half in run_dir.glob(".*.tmp"):  # left by a run that was killed
        half.unlink()
    path = state_path(run_dir)
    if not path.is_file():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise RunError(
            f"{path}: cannot be read: {reason}; restore it, or train again"
        ) from error


def _read_facts(run_dir: Path) -> dict[str, Any]:
    """Return what `document` wrote; raises `RunError` where no run was begun."""
    if not is_begun(run_dir):
        raise RunError(
            f"{run_dir}: nothing to resume, no run was begun here; start it without "
            "--resume"
        )
    path = run_dir / "run.json"
    try:
        facts = read_json(path)
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}; restore it") from None
    if not isinstance(facts, dict):
        raise RunError(
            f"{path}: expected the facts of a run, found {shorten_value(facts)}; "
            "restore it"
        )
    if is_newer(facts.get("mabe")):
        raise RunError(
            f"{run_dir}: cannot be resumed, it was {made_by_newer(facts['mabe'])}"
        )
    if not isinstance(facts.get("windows_per_step"), int | None):
        raise RunError(f"{path}: windows_per_step is no number; restore it")
    return facts


def config_as_begun(config: RunConfig, processes: int) -> RunConfig:
    """Return the config to resume with; raises where it is that of another run."""
    run_dir = config.checkpoint_dir
    config = with_settled_batch(run_dir, config, processes=processes)
    config = with_settled_skeleton(run_dir, config)
    check_same_settings(run_dir, config, processes=processes)
    return config


def resume_state(state: TrainingState, config: RunConfig, fabric: Fabric) -> None:
    """Restore the state in which the run stopped."""
    run_dir = config.checkpoint_dir
    values = in_first_process(fabric, lambda: read_state(run_dir))
    if values is None:
        print_lines(f"{run_dir}: stopped before anything was saved; starting again")
        return
    try:
        restore_state(state, values, fabric)
    except _OF_DAMAGED_STATES as error:
        raise RunError(
            f"{state_path(run_dir)}: is not the state of this run "
            f"({type(error).__name__}: {shorten_value(str(error))}); restore it, or "
            "train again"
        ) from error
    if is_finished(config, epoch_scores(state.history)):
        print_lines(f"✓ {run_dir} is finished: {count(len(state.history), 'epoch')}")
    else:
        print_lines(
            f"✓ Continuing from step {state.step}, in epoch {len(state.history) + 1}"
        )


def state_values(state: TrainingState, fabric: Fabric) -> dict[str, Any]:
    """Return the state as tensors and plain values, fit for a weights-only load.

    All losses are read first: raises `RunError` where one is no number.
    """
    epoch_loss = state.losses.read_all()
    return {
        "format": CARD_FORMAT,
        "model": unwrapped(state.model).state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "average": state.average.state_dict(),
        "step": state.step,
        "micro_batch": state.micro_batch,
        "epoch_loss": epoch_loss,
        "epoch_seconds": state.epoch_seconds,
        "history": [epoch.to_json() for epoch in state.history],
        "precision": fabric.strategy.precision.state_dict(),
    }


def restore_state(state: TrainingState, values: dict[str, Any], fabric: Fabric) -> None:
    """Bring a fresh state to where `state_values` was taken."""
    found = values.get("format", 3)  # format 3 did not note it
    model = migrate_weights(values["model"], found)
    unwrapped(state.model).load_state_dict(model)
    state.optimizer.load_state_dict(values["optimizer"])
    state.average.load_state_dict(migrate_weights(values["average"], found))
    state.step = values["step"]
    state.micro_batch = values["micro_batch"]
    state.losses.start(values["epoch_loss"])
    state.epoch_seconds = values["epoch_seconds"]
    state.history = [Epoch.from_json(each) for each in values["history"]]
    fabric.strategy.precision.load_state_dict(values["precision"])
