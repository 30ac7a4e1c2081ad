"""A small network with long context: a convolution, then a GRU at a low rate.

Dimension key: B batch, T time, U time after pooling, C channels, N classes.
Context: the whole window, through the bidirectional GRU. Brief events (an edge, a jerk)
bypass the GRU through a head of the convolution, so that bouts begin and end at the
frame rate.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mabe.models.model_config import ModelConfig
from mabe.models.network_base import FrameNetwork
from mabe.models.recurrent import run_recurrent


class ConvGRU(FrameNetwork):
    """Logits are the sum of a quick head (a few frames) and a slow one (the window)."""

    use_factor = 4
    """Worth 0.003 in each of four folds of `rat_dyad`; longer windows add nothing."""

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        width: int = 96,
        layers: int = 1,
        kernel: int = 5,
        pooling: int = 4,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.enter = nn.Linear(channels, width)
        self.enter_norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.conv_norm = nn.LayerNorm(width)
        self.gru = nn.GRU(
            width,
            width,
            layers,
            bidirectional=True,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)
        self.quick_head = nn.Linear(width, classes)
        self.head = nn.Linear(2 * width, classes)

    @classmethod
    def of(cls, config: ModelConfig, *, channels: int, classes: int) -> "ConvGRU":
        """Return a new network of the sizes in the settings."""
        return cls(
            channels,
            classes,
            width=config.gru_width,
            layers=config.gru_layers,
            pooling=config.gru_pooling,
            dropout=config.dropout,
        )

    def forward(self, x_BTC: Float[Tensor, "b t c"]) -> Float[Tensor, "b t n"]:
        """Return one logit per class at every frame."""
        h_BTC = F.gelu(self.enter_norm(self.enter(x_BTC)))
        h_BTC = h_BTC + F.gelu(self.conv_norm(self.conv(h_BTC.mT).mT))
        h_BCU = F.avg_pool1d(self.dropout(h_BTC).mT, self.pooling, ceil_mode=True)
        h_BUC = run_recurrent(self.gru, h_BCU.mT)
        logits_BNU = self.head(self.dropout(h_BUC)).mT.float()
        full = logits_BNU.shape[-1] * self.pooling
        slow_BNT = F.interpolate(logits_BNU, size=full, mode="linear")
        return slow_BNT[..., : x_BTC.shape[1]].mT + self.quick_head(h_BTC).float()
