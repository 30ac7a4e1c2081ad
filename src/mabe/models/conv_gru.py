"""A small network with a long memory: a convolution, then a two-way GRU at a low rate.

Dimension key: B batch, T time, U time after pooling, C channels, N classes.
Context: the whole window, through the GRU. What is brief (an edge, a jerk) goes past
the GRU by the convolution's own head, so that bouts begin and end at the frame rate.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mabe.models.recurrent import through


class ConvGRU(nn.Module):
    """Logits are the sum of a quick head (a few frames) and a slow one (the window)."""

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
        self.look = nn.Conv1d(width, width, kernel, padding=kernel // 2)
        self.look_norm = nn.LayerNorm(width)
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

    def forward(self, x_BTC: Float[Tensor, "b t c"]) -> Float[Tensor, "b t n"]:
        """Return one logit per class at every frame."""
        h_BTC = F.gelu(self.enter_norm(self.enter(x_BTC)))
        h_BTC = h_BTC + F.gelu(self.look_norm(self.look(h_BTC.mT).mT))
        h_BCU = F.avg_pool1d(self.dropout(h_BTC).mT, self.pooling, ceil_mode=True)
        h_BUC = through(self.gru, h_BCU.mT)
        logits_BNU = self.head(self.dropout(h_BUC)).mT.float()
        full = logits_BNU.shape[-1] * self.pooling
        slow_BNT = F.interpolate(logits_BNU, size=full, mode="linear")
        return slow_BNT[..., : x_BTC.shape[1]].mT + self.quick_head(h_BTC).float()
