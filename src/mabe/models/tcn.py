"""A dilated residual convolutional network at the full frame rate.

Dimension key: B batch, T time, C channels, N classes.
Context: `TCN.receptive_field` frames, half on each side.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mabe.models.model_config import ModelConfig
from mabe.models.network_base import FrameNetwork


class _Residual(nn.Module):
    """A dilated convolution and a pointwise one, added to their input."""

    def __init__(self, width: int, *, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BCT: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        h_BCT = self.conv(self.norm(x_BCT.mT).mT)
        return x_BCT + self.dropout(self.mix(F.gelu(h_BCT)))


class TCN(FrameNetwork):
    """Dilated residual convolutions at the full frame rate.

    Dilations 1, 2, 4 … make the receptive field 2^(layers + 1) - 1 frames.
    After Lea et al., Temporal Convolutional Networks (CVPR 2017).
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        width: int = 96,
        layers: int = 8,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels, width, 1)
        self.blocks = nn.Sequential(
            *(
                _Residual(width, dilation=2**level, dropout=dropout)
                for level in range(layers)
            )
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        self.receptive_field = 2 ** (layers + 1) - 1

    @classmethod
    def of(cls, config: ModelConfig, *, channels: int, classes: int) -> "TCN":
        """Return a new network of the sizes in the settings."""
        return cls(
            channels,
            classes,
            width=config.tcn_width,
            layers=config.tcn_layers,
            dropout=config.dropout,
        )

    def forward(self, x_BTC: Float[Tensor, "b t c"]) -> Float[Tensor, "b t n"]:
        """Return one logit per class at every frame."""
        h_BCT = self.blocks(self.enter(x_BTC.mT))
        return self.head(self.norm(h_BCT.mT)).float()
