"""Reading `history.json`, one record for each finished epoch of a run."""

import json
import math
from pathlib import Path
from typing import Any

from mabe.checklist.facts import Epoch
from mabe.errors import RunError

NAME = "history.json"


def read_history(run_dir: Path) -> tuple[Epoch, ...]:
    """Return the finished epochs of a run, at least one.

    Raises `RunError` where none is finished, or the file is damaged.
    """
    path = run_dir / NAME
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        epochs = tuple(_epoch(record) for record in records)
    except FileNotFoundError:
        raise RunError(_no_epoch(run_dir, "it is absent")) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path}: expected a list of epochs, each with train_loss, val_loss and "
            f"f1_macro, found something else ({error!r}); restore it, or train again"
        ) from None
    if not epochs:
        raise RunError(_no_epoch(run_dir, "it is empty"))
    return epochs


def _epoch(record: dict[str, Any]) -> Epoch:
    train, held_out, f1 = (
        None if record[key] is None else float(record[key])
        for key in ("train_loss", "val_loss", "f1_macro")
    )
    if held_out is None or not all(map(math.isfinite, (train or 0.0, held_out))):
        raise ValueError(f"a loss that is no number: {train}, {held_out}")
    return Epoch(math.nan if train is None else train, held_out, f1)


def _no_epoch(run_dir: Path, found: str) -> str:
    return (
        f"{run_dir}: expected a {NAME} with at least one epoch, but {found}; `mabe "
        f"train --checkpoint-dir {run_dir} --resume` goes on with the run"
    )
