"""The history of a run: one record for each finished epoch, in `history.json`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.errors import RunError
from mabe.metrics.summary import ScoreSummary
from mabe.runtime.console import finite_or_none
from mabe.runtime.documents import read_json, shorten_value
from mabe.runtime.files import write_json

HISTORY_NAME = "history.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One finished epoch; trees, which are grown in one go, are one epoch."""

    number: int
    """Counted from 1."""
    step: int
    """Steps (or rounds of trees) taken so far."""
    learning_rate: float
    """That of the last step."""
    train_loss: float
    """NaN for trees."""
    val_loss: float
    """On the recordings held out, weighted as the training loss is."""
    scores: ScoreSummary
    """On the recordings held out."""
    seconds: float

    @property
    def macro_f1(self) -> float | None:
        """Macro F1 on the recordings held out; None where nothing can be scored."""
        return self.scores.macro_f1

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `history.json` holds them."""
        return {
            "epoch": self.number,
            "step": self.step,
            "learning_rate": self.learning_rate,
            "train_loss": finite_or_none(self.train_loss),
            "val_loss": self.val_loss,
            **self.scores.to_json(),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Epoch":
        """Return the epoch of `to_json`.

        Raises `KeyError`, `TypeError` or `ValueError` where it is none.
        """
        train_loss = values["train_loss"]
        epoch = cls(
            number=int(values["epoch"]),
            step=int(values["step"]),
            learning_rate=float(values["learning_rate"]),
            train_loss=math.nan if train_loss is None else float(train_loss),
            val_loss=float(values["val_loss"]),
            scores=ScoreSummary.from_json(values),
            seconds=float(values["seconds"]),
        )
        if not math.isfinite(epoch.val_loss) or math.isinf(epoch.train_loss):
            raise ValueError(f"losses {train_loss} and {epoch.val_loss}")
        return epoch


def write_history(run_dir: Path, history: Sequence[Epoch]) -> None:
    """Write the epochs of a run."""
    write_json(run_dir / HISTORY_NAME, [epoch.to_json() for epoch in history])


def read_history(run_dir: Path) -> tuple[Epoch, ...]:
    """Return the finished epochs of a run, at least one.

    Raises `RunError` where there is none, or the file is damaged.
    """
    path = run_dir / HISTORY_NAME
    try:
        records = read_json(path)
        epochs = tuple(Epoch.from_json(record) for record in records)
    except FileNotFoundError:
        raise RunError(_no_epoch(run_dir, "it is absent")) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{path}: expected a list of epochs as `mabe train` writes it, found "
            f"something else ({shorten_value(error)}); restore the file, or train again"
        ) from None
    if not epochs:
        raise RunError(_no_epoch(run_dir, "it is empty"))
    return epochs


def _no_epoch(run_dir: Path, found: str) -> str:
    return (
        f"{run_dir}: expected a {HISTORY_NAME} with at least one epoch, but {found}; "
        f"`mabe train --checkpoint-dir {run_dir} --resume` continues the run"
    )
