"""How features meet the network: scaled, tails tamed, missing values replaced.

Dimension key: B batch, T time, S slot (one keypoint of one animal), F feature.
This is the one place that decides what the network gets for a missing value: zero,
together with a channel for each slot that says whether its point is there (1) or
not (0). Zero alone would be a lie, since zero is also a place in the arena.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mabe.features.motion import COORDINATES
from mabe.skeleton import SLOTS

COORDINATE_UNIT_CM = 10.0
SPEED_UNIT_CM_PER_S = 10.0
ACCELERATION_UNIT_CM_PER_S2 = 100.0


class FeatureEntry(nn.Module):
    """Turn named features into well-scaled channels without missing values.

    Coordinates are divided by a fixed length. Speeds and accelerations pass through
    asinh, which is linear for small values and logarithmic for large ones: one
    swapped identity makes a speed of a metre per frame, and must not drown the rest.
    """

    scale_F: Tensor

    def __init__(self, *, features: int) -> None:
        super().__init__()
        scale = torch.full((features,), COORDINATE_UNIT_CM)
        scale[COORDINATES : COORDINATES + SLOTS] = SPEED_UNIT_CM_PER_S
        scale[COORDINATES + SLOTS :] = ACCELERATION_UNIT_CM_PER_S2
        self.register_buffer("scale_F", scale, persistent=False)
        self.channels = features + SLOTS

    def forward(self, x_BTF: Float[Tensor, "b t f"]) -> Float[Tensor, "b t c"]:
        """Return scaled values, then one channel per slot: 1 where it is seen."""
        seen_BTS = x_BTF[..., 0:COORDINATES:2].isfinite().to(x_BTF.dtype)
        x_BTF = (x_BTF / self.scale_F).nan_to_num(nan=0.0)
        place_BTC = x_BTF[..., :COORDINATES]
        motion_BTC = x_BTF[..., COORDINATES:].asinh()
        return torch.cat([place_BTC, motion_BTC, seen_BTS], dim=2)
