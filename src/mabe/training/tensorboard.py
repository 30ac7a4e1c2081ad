"""A run's epochs as TensorBoard shows them, for those who look there.

`history.json` stays the record of a run; this is a copy in ``RUN/tensorboard``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mabe.errors import ConfigError

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError:
    raise ConfigError(
        '--tensorboard: it is not installed; pip install "mabe[tensorboard]"'
    ) from None


class EpochLog:
    """Writes epochs as they are finished."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / "tensorboard"
        self._writer: SummaryWriter | None = None

    def __call__(self, history: Sequence[dict[str, Any]]) -> None:
        """Write the last epoch; at first all that are finished, as of a resumed run."""
        fresh = history[-1:]
        if self._writer is None:
            # What a run that was killed wrote beyond its history is hidden.
            first = history[0]["epoch"]
            self._writer = SummaryWriter(str(self._folder), purge_step=first)
            fresh = history
        for record in fresh:
            for name, value in scalars(record).items():
                self._writer.add_scalar(name, value, record["epoch"])
        self._writer.flush()


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of an epoch by the name of their chart."""
    values = {
        "loss/learned from": record["train_loss"],
        "loss/held out": record["val_loss"],
        "f1/macro": record["f1_macro"],
        "learning rate": record.get("learning_rate"),
        "seconds": record.get("seconds"),
    }
    for name, scores in record["per_class"].items():
        values[f"f1 of classes/{name}"] = scores["f1"]
    return {name: float(v) for name, v in values.items() if v is not None}
