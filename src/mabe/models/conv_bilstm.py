"""The V1/V2 network: convolutions, each halving the rate, then a bidirectional LSTM.

Dimension key: B batch, T time, U time after pooling, C channels, N classes.
Context: the whole window, through the LSTM.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mabe.models.model_config import ModelConfig
from mabe.models.network_base import FrameNetwork
from mabe.models.recurrent import run_recurrent
from mabe.runtime import tensors

LSTM_WINDOWS = 16
"""On a CPU in 16 bits, batches of the LSTM are padded to a multiple of so many windows:
oneDNN takes four times as long for 79 windows as for 80."""


class ConvStage(nn.Module):
    """Convolution, norm over channels, ReLU, and half the frames.

    The norm is over the channels of one frame (not over the batch), so a frame's
    result does not depend on what else is in the batch, on one device or on many.
    """

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, dropout: float
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
        self.norm = nn.LayerNorm(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BCT: Float[Tensor, "b c t"]) -> Float[Tensor, "b d u"]:
        """Return twice shorter signals; an odd last frame is pooled alone."""
        h_BCT = self.norm(self.conv(x_BCT).mT).mT
        return self.dropout(F.max_pool1d(F.relu(h_BCT), 2, ceil_mode=True))


class ConvBiLSTM(FrameNetwork):
    """Conv1D (pooled by 2 each) → bidirectional LSTM → logits at the frame rate.

    The head is linear, so it is applied at the pooled rate and its logits are
    interpolated: the same result as in the other order, for less work.
    """

    is_quick_in_bf16 = True
    can_drop_inputs = True

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        conv_channels: tuple[int, ...] = (64, 128, 256),
        conv_kernel: int = 5,
        lstm_hidden: int = 256,
        lstm_layers: int = 2,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        widths = [channels, *conv_channels]
        self.stages = nn.Sequential(
            *(
                ConvStage(a, b, kernel=conv_kernel, dropout=dropout / 2)
                for a, b in pairwise(widths)
            )
        )
        self.lstm = nn.LSTM(
            widths[-1],
            lstm_hidden,
            lstm_layers,
            bidirectional=True,
            batch_first=True,
            dropout=dropout if lstm_layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * lstm_hidden, classes)
        self.pooling = 2 ** len(conv_channels)

    @classmethod
    def of(cls, config: ModelConfig, *, channels: int, classes: int) -> "ConvBiLSTM":
        """Return a new network of the sizes in the settings."""
        return cls(
            channels,
            classes,
            conv_channels=config.conv_channels,
            conv_kernel=config.conv_kernel,
            lstm_hidden=config.lstm_hidden,
            lstm_layers=config.lstm_layers,
            dropout=config.dropout,
        )

    def forward(self, x_BTC: Float[Tensor, "b t c"]) -> Float[Tensor, "b t n"]:
        """Return one logit per class at every frame."""
        length = x_BTC.shape[1]
        h_BCU = self.stages(x_BTC.mT)
        h_BUC = self._through_lstm(h_BCU.mT)
        logits_BNU = self.head(self.dropout(h_BUC)).mT
        full = logits_BNU.shape[-1] * self.pooling
        stretched = F.interpolate(logits_BNU.float(), size=full, mode="linear")
        return stretched[..., :length].mT

    def _through_lstm(self, h_BUC: Float[Tensor, "b u c"]) -> Float[Tensor, "b u d"]:
        windows = len(h_BUC)
        if tensors.is_on_cpu(h_BUC) and self._in_16_bits():
            h_BUC = F.pad(h_BUC, (0, 0, 0, 0, 0, -windows % LSTM_WINDOWS))
        return run_recurrent(self.lstm, h_BUC)[:windows]

    def _in_16_bits(self) -> bool:
        return self.head.weight.dtype == torch.bfloat16 or (
            torch.is_autocast_enabled("cpu")
            and torch.get_autocast_dtype("cpu") == torch.bfloat16
        )

    def keep_inputs(self, channels: Sequence[int]) -> None:
        """Take only some of the channels from now on; the others were always zero."""
        conv = self.stages[0].conv
        assert isinstance(conv, nn.Conv1d)
        conv.weight = nn.Parameter(conv.weight[:, channels])
        conv.in_channels = len(channels)
