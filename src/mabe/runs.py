"""A training run: from a config to a run directory that documents itself.

A run directory holds
- ``best.safetensors``, ``last.safetensors``, ``epoch_005.safetensors`` …: recognisers,
- ``history.json``: one record per epoch,
- ``config.yaml`` and ``run.json``: every setting, versions, data, who was held out,
- ``state.pt``: what `--resume` goes on from; written last, so that a run killed at any
  moment repeats at most the work since then and ends the same.
"""

import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
import yaml
from lightning_fabric import Fabric
from tqdm import tqdm

from mabe import __version__
from mabe.config import RunConfig, build_config, dump_config
from mabe.decoding import choose_classes
from mabe.devices import choose_device, choose_precision, describe_device, make_fabric
from mabe.errors import ConfigError, DataError, RunError
from mabe.evaluation import frame_summary
from mabe.files import write_atomically, write_json, write_text
from mabe.inference import Tracks, frame_probabilities
from mabe.metrics import confusion_matrix
from mabe.preparing import default_store_path, prepare
from mabe.recogniser import SUFFIX, Provenance, Recogniser, save_checkpoint
from mabe.splits import split_train_validation, spread_over_labs
from mabe.store import PoseStore, is_store, open_store
from mabe.training import (
    TrainingState,
    averaged_model,
    epoch_scores,
    epochs_since_best,
    is_finished,
    learning_rate,
    restore_state,
    start_state,
    state_values,
    steps_in_epoch,
    train_epoch,
)
from mabe.windows import LabelledStore, WindowSampler, label_store

FREE_TO_CHANGE = frozenset(
    {
        "data_dir", "store_dir", "num_workers", "epochs", "early_stopping_patience",
        "checkpoint_dir", "save_freq", "save_every_s", "device",
    }
)  # fmt: skip
"""Settings a resumed run may have changed without becoming another run."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Labelled recordings, and which of them are held out."""

    labelled: LabelledStore
    learned: list[int]
    held_out: list[int]

    def tracks(self, indices: list[int]) -> tuple[str, ...]:
        """Return the content hashes of some recordings' tracks."""
        recordings = self.labelled.store.recordings
        return tuple(sorted({recordings[i].tracking_hash for i in indices}))


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or ended the job; the state is saved."""


def train(config: RunConfig, *, resume: bool = False, skip_bad: bool = False) -> Path:
    """Train as the config says and return the run directory.

    An earlier run in `checkpoint_dir` is gone on with (`resume`) or set aside under
    another name, never overwritten.
    """
    device = choose_device(config.device)
    _tell(*describe_device(device))
    fabric = make_fabric(device, config.precision)
    data = load_training_data(config, skip_bad=skip_bad)
    sampler = WindowSampler(data.labelled, data.learned, length=config.sequence_length)
    if not sampler.counted_frames:
        raise DataError(
            f"{config.data_dir}: no frame of the {len(data.learned)} recordings to "
            "learn from counts; see `classes` and `ignore` in the config"
        )
    state = start_state(config, fabric)
    run_dir = config.checkpoint_dir
    if resume:
        _resume(state, config, data, run_dir)
    else:
        set_aside(run_dir)
        _document(run_dir, config, data, device)
    _announce(config, data, sampler, state, device)
    _train_epochs(state, sampler, data, config=config, fabric=fabric, run_dir=run_dir)
    return run_dir


def load_training_data(config: RunConfig, *, skip_bad: bool = False) -> TrainingData:
    """Prepare the data where needed, label every frame, and hold recordings out."""
    store = load_store(
        config.data_dir,
        rate_fps=config.fps,
        store_dir=config.store_dir,
        workers=config.num_workers,
        skip_bad=skip_bad,
    )
    labelled = label_store(store, config.task)
    usable = [i for i, labels in enumerate(labelled.labels) if (labels >= 0).any()]
    if not usable:
        raise DataError(
            f"{config.data_dir}: none of the {len(store.recordings)} recordings has a "
            "frame that counts. Were they annotated (`behaviors_labeled`), and do "
            "`classes` and `ignore` in the config name their actions?"
        )
    if config.max_sequences:
        some = [store.recordings[i] for i in usable]
        kept = spread_over_labs(some, most=config.max_sequences)
        usable = [usable[i] for i in kept]
    learned, held_out = split_train_validation(
        [store.recordings[i] for i in usable],
        folds=config.folds or round(1 / config.val_share),
        fold=config.fold,
        seed=config.split_seed,
    )
    return TrainingData(
        labelled, [usable[i] for i in learned], [usable[i] for i in held_out]
    )


def load_store(
    data_dir: Path,
    *,
    rate_fps: float,
    store_dir: Path | None = None,
    workers: int | None = None,
    skip_bad: bool = False,
) -> PoseStore:
    """Open a prepared store, or prepare a folder in the Kaggle layout."""
    if is_store(data_dir):
        store = open_store(data_dir)
        if store.rate_fps != rate_fps:
            raise ConfigError(
                f"{data_dir}: prepared at {store.rate_fps} fps, but {rate_fps} is "
                "wanted; set `fps`, or prepare again with --fps"
            )
        return store
    return prepare(
        data_dir,
        store_dir or default_store_path(data_dir, rate_fps),
        rate_fps=rate_fps,
        skip_bad=skip_bad,
        workers=max(1, min(workers or 1, os.cpu_count() or 1)),
    )


def score_held_out(
    recogniser: Recogniser, data: TrainingData
) -> tuple[dict[str, Any], float]:
    """Return frame scores at the working rate, and the mean loss, on held-out data."""
    classes = recogniser.classes
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    loss, frames = 0.0, 0
    store = data.labelled.store
    for index in data.held_out:
        labels = data.labelled.labels[index]
        probabilities = frame_probabilities(
            recogniser, Tracks.of_stored(store, index), data.labelled.possible[index]
        )
        confusion += confusion_matrix(
            labels, choose_classes(probabilities), len(classes)
        )
        counted = np.flatnonzero(labels >= 0)
        chances = probabilities[counted, labels[counted]]
        loss -= float(np.log(chances.clip(min=1e-7)).sum())
        frames += len(counted)
    return frame_summary(confusion, classes), loss / max(1, frames)


def set_aside(run_dir: Path) -> None:
    """Move an earlier run out of the way, under the first free name."""
    if not run_dir.exists() or not any(run_dir.iterdir()):
        return
    number = 1
    while (kept := run_dir.with_name(f"{run_dir.name}.earlier-{number}")).exists():
        number += 1
    run_dir.rename(kept)
    _tell(
        f"{run_dir} held an earlier run; it is now {kept} (--resume would have gone on)"
    )


def read_history(run_dir: Path) -> list[dict[str, Any]]:
    """Return the records of a run's finished epochs."""
    return list(_read_state(run_dir)["history"])


def _train_epochs(
    state: TrainingState,
    sampler: WindowSampler,
    data: TrainingData,
    *,
    config: RunConfig,
    fabric: Fabric,
    run_dir: Path,
) -> None:
    steps = steps_in_epoch(sampler.counted_frames, config)
    while not is_finished(config, epoch_scores(state.history)):
        epoch = len(state.history) + 1
        with _asked_to_stop() as stop, _progress(epoch, config, steps, state) as bar:
            saved_at = time.monotonic()

            def after_step(loss: float) -> None:
                nonlocal saved_at
                bar.update()
                bar.set_postfix(loss=f"{loss:.3f}", best=_best_text(state))
                if stop() or time.monotonic() - saved_at > config.save_every_s:
                    _save_state(state, config, run_dir)
                    saved_at = time.monotonic()
                if stop():
                    raise StopRequested

            try:
                loss = train_epoch(
                    state,
                    sampler,
                    config=config,
                    fabric=fabric,
                    after_step=after_step,
                )
            except StopRequested:
                bar.close()
                _tell(f"Stopped at step {state.step}; --resume goes on from there")
                raise
        _finish_epoch(
            state, data, config=config, run_dir=run_dir, train_loss=loss, steps=steps
        )
    scores = epoch_scores(state.history)
    best = state.history[len(scores) - 1 - epochs_since_best(scores)]
    _tell(
        f"✓ Best macro F1 on held-out recordings: {_show(best['f1_macro'])} "
        f"(epoch {best['epoch']} of {len(state.history)})",
        f"✓ Recogniser: {run_dir / f'best{SUFFIX}'}",
    )


def _finish_epoch(
    state: TrainingState,
    data: TrainingData,
    *,
    config: RunConfig,
    run_dir: Path,
    train_loss: float,
    steps: int,
) -> None:
    """Score the epoch, write its record and its models, then the state."""
    began = time.perf_counter()
    recogniser = averaged_model(state)
    scores, loss = score_held_out(recogniser, data)
    rate = learning_rate(
        config,
        step=state.step - 1,
        steps_per_epoch=steps,
        scores=epoch_scores(state.history),
    )
    record = {
        "epoch": len(state.history) + 1,
        "step": state.step,
        "learning_rate": rate,
        "train_loss": train_loss,
        "val_loss": loss,
        **scores,
        "seconds": round(state.epoch_seconds + time.perf_counter() - began, 2),
    }
    state.history.append(record)
    state.epoch_loss, state.epoch_seconds = 0.0, 0.0
    _tell(
        _epoch_line(
            record, config, is_best=epochs_since_best(epoch_scores(state.history)) == 0
        )
    )
    _save_models(state, recogniser, data, config, run_dir)
    _save_state(state, config, run_dir)


def _save_models(
    state: TrainingState,
    recogniser: Recogniser,
    data: TrainingData,
    config: RunConfig,
    run_dir: Path,
) -> None:
    epoch = len(state.history)
    record = state.history[-1]
    names = ["last"]
    if epochs_since_best(epoch_scores(state.history)) == 0:
        names.append("best")
    if config.save_freq and epoch % config.save_freq == 0:
        names.append(f"epoch_{epoch:03d}")
    provenance = Provenance(
        epoch=epoch,
        step=state.step,
        trained_on=data.tracks(data.learned),
        validated_on=data.tracks(data.held_out),
        validation={key: record[key] for key in ("f1_macro", "accuracy", "per_class")},
    )
    for name in names:
        save_checkpoint(
            run_dir / f"{name}{SUFFIX}", config, recogniser.state_dict(), provenance
        )


def _save_state(state: TrainingState, config: RunConfig, run_dir: Path) -> None:
    """Write `history.json`, then what a resumed run goes on from."""
    write_json(run_dir / "history.json", state.history)
    values = {"config": dump_config(config), **state_values(state)}
    write_atomically(run_dir / "state.pt", lambda path: torch.save(values, path))


def _read_state(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "state.pt"
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise RunError(
            f"{run_dir}: nothing to resume, there is no state.pt; start it without "
            "--resume"
        ) from None
    except Exception as error:  # torch raises many kinds for a damaged file
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: cannot be read: {reason}") from error


def _resume(
    state: TrainingState, config: RunConfig, data: TrainingData, run_dir: Path
) -> None:
    """Bring the state to where the run stopped, if it is the same run."""
    documented_only = (run_dir / "run.json").exists()
    if documented_only and not (run_dir / "state.pt").exists():
        _tell(f"{run_dir}: stopped before anything was saved; starting again")
        return
    values = _read_state(run_dir)
    before = build_config(values["config"], where=str(run_dir / "state.pt"))
    changed = [
        f"{key}: {dump_config(before)[key]} → {value}"
        for key, value in dump_config(config).items()
        if key not in FREE_TO_CHANGE and value != dump_config(before)[key]
    ]
    if changed:
        raise ConfigError(
            f"{run_dir}: cannot go on with other settings ({'; '.join(changed)}); "
            "undo them, or start a new run with another --checkpoint-dir"
        )
    documented = yaml.safe_load((run_dir / "run.json").read_text(encoding="utf-8"))
    if documented["trained_on"] != list(data.tracks(data.learned)):
        raise DataError(
            f"{run_dir}: cannot go on, the data have changed since it began; start a "
            "new run with another --checkpoint-dir"
        )
    restore_state(state, values)


def _document(
    run_dir: Path, config: RunConfig, data: TrainingData, device: torch.device
) -> None:
    """Write down what will be run, on what, with what."""
    recordings = data.labelled.store.recordings
    write_text(
        run_dir / "config.yaml",
        yaml.safe_dump(dump_config(config), sort_keys=False, allow_unicode=True),
    )
    write_json(
        run_dir / "run.json",
        {
            "command": shlex.join(sys.argv),
            "mabe": __version__,
            "git_commit": _git_commit(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "platform": platform.platform(),
            "device": describe_device(device),
            "precision": choose_precision(device, config.precision),
            "data": str(config.data_dir),
            "learned": [recordings[i].name for i in data.learned],
            "held_out": [recordings[i].name for i in data.held_out],
            "trained_on": list(data.tracks(data.learned)),
            "validated_on": list(data.tracks(data.held_out)),
        },
    )


def _git_commit() -> str | None:
    """Return the commit of the code, or None where it is not a git checkout."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # no git on this machine
        return None
    return answer.stdout.strip() or None


def _announce(
    config: RunConfig,
    data: TrainingData,
    sampler: WindowSampler,
    state: TrainingState,
    device: torch.device,
) -> None:
    """Tell what was found, as users of V1/V2 know it."""
    motion = config.use_motion_features
    task = config.task
    counts = np.zeros(len(task.classes), np.int64)
    for index in data.learned:
        labels = data.labelled.labels[index]
        counts += np.bincount(labels[labels >= 0], minlength=len(counts))
    shares = ", ".join(
        f"{name} {count / counts.sum():.1%}"
        for name, count in zip(task.classes, counts, strict=True)
    )
    parameters = sum(p.numel() for p in state.model.parameters())
    _tell(
        f"Precision: {choose_precision(device, config.precision)}",
        "Motion features: "
        + ("Enabled (speed + acceleration)" if motion else "Disabled"),
        f"Input dimension: {config.features}",
        f"Network: {config.model_type}, {parameters:,} parameters",
        f"✓ Training recordings: {len(data.learned)}, "
        f"{sampler.counted_frames:,} frames that count ({shares})",
        f"✓ Held-out recordings: {len(data.held_out)}",
        f"✓ Training batches: {steps_in_epoch(sampler.counted_frames, config)} an "
        f"epoch, of {config.batch_size} windows of "
        f"{config.sequence_length / config.fps:.1f} s",
    )
    if never := [n for n, count in zip(task.classes, counts, strict=True) if not count]:
        _tell(f"! No frame to learn from for: {', '.join(never)}")
    if state.step:
        _tell(f"✓ Going on from step {state.step}, epoch {len(state.history) + 1}")


@contextmanager
def _asked_to_stop() -> Iterator[Any]:
    """Note Ctrl-C and SIGTERM; the loop stops at the next step, not in the middle."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        asked.append(number)

    try:
        before = {
            number: signal.signal(number, note)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:  # not the main thread: whoever started us handles signals
        before = {}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(
    epoch: int, config: RunConfig, steps: int, state: TrainingState
) -> "tqdm[Any]":
    return tqdm(
        total=steps,
        initial=state.step - (epoch - 1) * steps,
        desc=f"Epoch {epoch}/{config.epochs}",
        unit="batch",
        leave=False,
        disable=None,  # no bar where the output is no terminal
    )


def _epoch_line(record: dict[str, Any], config: RunConfig, *, is_best: bool) -> str:
    per_class = "  ".join(
        f"{name} {_show(scores['f1'])}" for name, scores in record["per_class"].items()
    )
    return (
        f"Epoch {record['epoch']:>3}/{config.epochs}  "
        f"loss {record['train_loss']:.3f}/{record['val_loss']:.3f}  "
        f"macro F1 {_show(record['f1_macro'])}{' *' if is_best else '  '}  "
        f"[{per_class}]  lr {record['learning_rate']:.1e}  {record['seconds']:.0f} s"
    )


def _best_text(state: TrainingState) -> str:
    return f"{max(epoch_scores(state.history)):.3f}" if state.history else "-"


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _tell(*lines: str) -> None:
    for line in lines:
        tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()
