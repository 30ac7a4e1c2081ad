"""What the networks have in common: channels in, logits at every frame out.

Dimension key: B batch, T time, C channels, N classes (or actions).
"""

from collections.abc import Sequence

from torch import nn

from mabe.models.model_config import ModelConfig


class FrameNetwork(nn.Module):
    """Layers from ``[B, T, C]`` to ``[B, T, N]``, for windows of any length."""

    head: nn.Linear
    """The last layer."""
    use_factor: int = 1
    """Windows in prediction are so many times as long as in training."""
    is_quick_in_bf16: bool = False
    """Whether it is faster in bfloat16 on a CPU that has AMX."""

    can_drop_inputs: bool = False
    """Whether there is a `keep_inputs`."""

    @classmethod
    def of(cls, config: ModelConfig, *, channels: int, classes: int) -> "FrameNetwork":
        """Return a new network of the sizes in the settings."""
        raise NotImplementedError

    def keep_inputs(self, channels: Sequence[int]) -> None:
        """Take only some of the channels from now on; the others were always zero."""
        raise NotImplementedError
