"""The epochs of a run for TensorBoard.

`history.json` stays the record of a run; this is a copy in ``RUN/tensorboard``.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from mabe.errors import ConfigError
from mabe.training.history import Epoch

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

    def __call__(self, history: Sequence[Epoch]) -> None:
        """Write the last epoch; at first all that are finished, as of a resumed run."""
        fresh = history[-1:]
        if self._writer is None:
            # What a run that was killed wrote beyond its history is hidden.
            first = history[0].number
            self._writer = SummaryWriter(str(self._folder), purge_step=first)
            fresh = history
        for epoch in fresh:
            for name, value in scalars(epoch).items():
                self._writer.add_scalar(name, value, epoch.number)
        self._writer.flush()


def scalars(epoch: Epoch) -> dict[str, float]:
    """Return the numbers of an epoch by the name of their chart."""
    values = {
        "loss/learned from": epoch.train_loss,
        "loss/held out": epoch.val_loss,
        "f1/macro": epoch.macro_f1,
        "learning rate": epoch.learning_rate,
        "seconds": epoch.seconds,
    }
    for name, scores in epoch.scores.per_class.items():
        values[f"f1 of classes/{name}"] = scores.f1
    return {
        name: value
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    }
