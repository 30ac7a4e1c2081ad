"""How work on tensors is laid out on a processor, as against a GPU.

Poses are augmented and turned into features in dozens of passes over their windows;
from main memory each pass takes several times as long as from a core's cache. And a
processor can look at values to leave work out, where a GPU's host would have to wait.
"""

from collections.abc import Callable

import torch
from torch import Tensor

CACHE_FRAMES = 800
"""Frames of 72 points, with a few results of that size, fit a core's second cache."""


def is_on_processor(values: Tensor) -> bool:
    """Tell whether values can be looked at without waiting for a device."""
    return values.device.type == "cpu"


def in_cache(work: Callable[[slice], Tensor], windows_B: Tensor) -> Tensor:
    """Return what `work` gives for slices of windows, joined; on a GPU it is one."""
    count = len(windows_B)
    at_once = max(1, CACHE_FRAMES // max(1, windows_B.shape[1]))
    if not is_on_processor(windows_B) or count <= at_once:
        return work(slice(0, count))
    slices = [slice(first, first + at_once) for first in range(0, count, at_once)]
    return torch.cat([work(some) for some in slices])


def has_quick_bf16(device: torch.device) -> bool:
    """Tell whether a processor multiplies matrices of 16 bits (bfloat16) by itself.

    With AMX an LSTM in use takes a quarter of the time, and a step of training half;
    where 16 bits are only unpacked to 32, none is won. torch has no quick GRU of 16.
    """
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))
