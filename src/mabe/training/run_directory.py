"""The run directory: a training run on disk, which documents itself.

It holds
- ``best.safetensors``, ``last.safetensors``, ``epoch_005.safetensors`` …: models,
- ``history.json``: one record for each finished epoch,
- ``config.yaml`` and ``run.json``: every setting, versions, data, who was held out,
- ``state.pt``: the state that `--resume` continues from. It is written last, so a run
  killed at any moment repeats at most the work since then, with the same result.
"""

import contextlib
import io
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from filelock import FileLock, Timeout

from mabe import __version__
from mabe.errors import RunError
from mabe.models.checkpoint import SUFFIX, Provenance, save_checkpoint
from mabe.models.model import Model
from mabe.runtime.files import (
    make_folder,
    remove,
    write_bytes,
    write_json,
    write_text,
)
from mabe.runtime.unfinished import finished_names
from mabe.training.history import HISTORY_NAME, Epoch, write_history

_FACTS = "run.json"
_SETTINGS = "config.yaml"
_STATE = "state.pt"


@contextmanager
def lock_run(run_dir: Path) -> Iterator[None]:
    """Keep a second run from the directory; the lock ends with its process.

    Raises `RunError` where another run writes here, or where something else than a
    run is in the way.
    """
    is_taken = finished_names(run_dir) and not is_documented(run_dir)
    if run_dir.is_file() or is_taken:
        raise RunError(
            f"{run_dir}: holds something else than a run, which is left alone; choose "
            "another --checkpoint-dir"
        )
    lock = FileLock(_lock_path(run_dir))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunError(
            f"{run_dir}: another run is writing here; wait for it, or choose another "
            "--checkpoint-dir"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _lock_path(run_dir: Path) -> Path:
    place = run_dir.resolve()
    make_folder(place.parent)
    return place.with_name(f".{place.name}.lock")


def wait_for_run(run_dir: Path, *, at_most_s: float) -> None:
    """Wait until an earlier attempt at a run has ended, but not for ever.

    A worker that was given up may take a while to die. Its lock ends with it, also for
    other machines where their filesystem has locks.
    """
    with (
        contextlib.suppress(Timeout),  # `lock_run` then raises the error
        FileLock(_lock_path(run_dir), timeout=at_most_s),
    ):
        pass


def set_aside(run_dir: Path) -> Path | None:
    """Move an earlier run out of the way, under the first free name; return that.

    One that was killed before it began, of which nothing but `run.json` is there, is
    not kept.
    """
    if not is_documented(run_dir):
        return None
    if finished_names(run_dir) == {_FACTS}:
        remove(run_dir / _FACTS)
        return None
    place = run_dir.resolve()
    number = 1
    while (kept := place.with_name(f"{place.name}.earlier-{number}")).exists():
        number += 1
    place.rename(kept)
    return kept


def document(
    run_dir: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Write what will be run, on which data, with which versions.

    First the facts: no user has such a file, so a folder with these alone is one of a
    run that was killed here, and may be written.
    """
    versions = {
        "command": shlex.join(sys.argv),
        "mabe": __version__,
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
    write_json(run_dir / _FACTS, {**versions, **facts})
    write_config(run_dir, settings)


def write_config(run_dir: Path, settings: Mapping[str, Any]) -> None:
    """Write settings of the run, as plain values."""
    write_text(
        run_dir / _SETTINGS,
        yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True),
    )


def is_documented(run_dir: Path) -> bool:
    """Return whether this is the directory of a run."""
    return (run_dir / _FACTS).is_file()


def is_begun(run_dir: Path) -> bool:
    """Return whether a run can be resumed here: its facts and settings are there."""
    return is_documented(run_dir) and (run_dir / _SETTINGS).is_file()


def save_models(
    run_dir: Path,
    model: Model,
    provenance: Provenance,
    *,
    is_best: bool,
    save_freq: int,
) -> None:
    """Write the last model, the best if it is, and every so many epochs' one."""
    names = ["last"]
    if is_best:
        names.append("best")
    if save_freq and provenance.epoch % save_freq == 0:
        names.append(f"epoch_{provenance.epoch:03d}")
    for name in names:
        save_checkpoint(run_dir / f"{name}{SUFFIX}", model, provenance)


def is_grown(run_dir: Path) -> bool:
    """Return whether a run of trees is finished: its history is written last."""
    return (run_dir / HISTORY_NAME).is_file()


def state_path(run_dir: Path) -> Path:
    """Return the file of the state that a resumed run continues from."""
    return run_dir / _STATE


def save_state(run_dir: Path, values: dict[str, Any], history: Sequence[Epoch]) -> None:
    """Write `history.json`, then the state that a resumed run continues from."""
    write_history(run_dir, history)
    buffer = io.BytesIO()
    torch.save(values, buffer)
    write_bytes(state_path(run_dir), buffer.getbuffer())


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
