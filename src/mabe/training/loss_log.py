"""The losses of steps, read some steps late so that the host does not wait for a GPU.

Reading a number from a GPU waits for all of its queued work. So a loss is copied to
the host in the background and read `behind` steps later; on a CPU at once. A loss that
is not finite stops the run when it is read. `read_all` is called before anything is
saved, so nothing that is saved comes from after such a step.
"""

import math
from collections import deque
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mabe.errors import RunError

STEPS_BEHIND = 8
"""How many steps a GPU may be behind the host."""


@dataclass(frozen=True, slots=True)
class SentLoss:
    """A loss on its way to the host."""

    step: int
    learning_rate: float
    value: Tensor
    arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, loss: Tensor, *, step: int, learning_rate: float) -> "SentLoss":
        """Send a loss off."""
        if not loss.is_cuda:
            return cls(step, learning_rate, loss, None)
        value = torch.empty((), dtype=loss.dtype, pin_memory=True)
        value.copy_(loss, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        return cls(step, learning_rate, value, arrived)

    def read(self) -> float:
        """Return the loss; wait for it where it is not there yet."""
        if self.arrived:
            self.arrived.synchronize()
        loss = self.value.item()
        if not math.isfinite(loss):
            raise RunError(
                f"step {self.step}: the loss is {loss}; lower learning_rate (now "
                f"{self.learning_rate:.1e}), or continue from before with --resume"
            )
        return loss


@dataclass(slots=True)
class LossLog:
    """Sums up the losses of an epoch, in the order of its steps."""

    behind: int
    """So many losses may be on their way; 0 reads each at once."""
    total: float = 0.0
    """Sum of what was read in this epoch."""
    last: float | None = None
    """What was read last."""
    _sent: deque[SentLoss] = field(default_factory=deque)

    @classmethod
    def of_device(cls, device: torch.device) -> "LossLog":
        """Return a log that does not make a GPU's host wait."""
        return cls(STEPS_BEHIND if device.type == "cuda" else 0)

    def add(self, loss: Tensor, *, step: int, learning_rate: float) -> None:
        """Take in the loss of a step, and read those that have had their time.

        Raises `RunError` for one that is no number.
        """
        self._sent.append(SentLoss.of(loss, step=step, learning_rate=learning_rate))
        self._read(keep=self.behind)

    def read_all(self) -> float:
        """Wait for all losses and return their sum in this epoch."""
        self._read(keep=0)
        return self.total

    def start(self, total: float = 0.0) -> None:
        """Begin an epoch, or continue one whose losses so far have this sum."""
        self._sent.clear()
        self.total, self.last = total, None

    def _read(self, *, keep: int) -> None:
        while len(self._sent) > keep:
            self.last = self._sent.popleft().read()
            self.total += self.last
