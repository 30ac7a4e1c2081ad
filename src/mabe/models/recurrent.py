"""Layers that pass through a window frame after frame, where numbers must not vanish.

Dimension key: B batch, U time, C and D channels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def through(
    layers: nn.LSTM | nn.GRU, h_BUC: Float[Tensor, "b u c"]
) -> Float[Tensor, "b u d"]:
    """Return what a two-way LSTM or GRU answers at each frame.

    On a GPU in 32 bits (whose products are rounded to TF32): there torch's autocast
    gives such layers float16 where bfloat16 was asked for, and the gradients of a mean
    over 100,000 frames are smaller than float16 can tell from zero.
    """
    if not h_BUC.is_cuda:
        return layers(h_BUC)[0]
    with torch.autocast("cuda", enabled=False):
        return layers(h_BUC.float())[0]
