"""Recurrent layers, in a precision in which their gradients do not vanish.

Dimension key: B batch, U time, C and D channels.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def run_recurrent(
    layers: nn.LSTM | nn.GRU, h_BUC: Float[Tensor, "b u c"]
) -> Float[Tensor, "b u d"]:
    """Return the output of a bidirectional LSTM or GRU at each frame.

    On a GPU it is computed in 32 bits (with products rounded to TF32): torch's autocast
    computes such layers in float16 even where bfloat16 was requested, and the gradients
    of a mean over 100,000 frames are too small for float16.
    """
    if not h_BUC.is_cuda:
        return layers(h_BUC)[0]
    with torch.autocast("cuda", enabled=False):
        return layers(h_BUC.float())[0]
