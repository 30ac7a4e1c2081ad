"""How work on tensors is laid out on a processor, as against a GPU.

A processor moves 64 bits as quickly as 32, passes over a core's cache more quickly than
over main memory, and can look at values to leave work out, where a GPU's host would
have to wait for them.

Arrays on their way to the device, without making the host wait for it.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

CACHE_BYTES = 1 << 20
"""So many, with a result of that size, fit a core's second cache."""


_TWICE_AS_WIDE = {torch.float32: torch.int64, torch.float64: torch.complex128}


def is_on_processor(values: Tensor) -> bool:
    """Tell whether values can be looked at without waiting for a device."""
    return values.device.type == "cpu"


def as_pairs(points_2: Float[Tensor, "*point 2"]) -> Shaped[Tensor, "*point"]:
    """Return a view of (x, y) points in which each is one number of twice the width.

    To pick and move those takes a processor a third to a tenth of the time; they mean
    nothing.
    """
    if points_2.stride(-1) != 1:
        points_2 = points_2.contiguous()
    return points_2.view(_TWICE_AS_WIDE[points_2.dtype]).squeeze(-1)


def as_points(
    pairs: Shaped[Tensor, "*point"], dtype: torch.dtype
) -> Float[Tensor, "*point 2"]:
    """Return the points again, of which `as_pairs` made single numbers."""
    return pairs[..., None].view(dtype)


def in_cache(work: Callable[[slice], Tensor], windows_B: Tensor) -> Tensor:
    """Return what `work` gives for slices of windows, joined; on a GPU it is one."""
    count = len(windows_B)
    at_once = max(1, CACHE_BYTES // max(1, windows_B[:1].nbytes))
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


def to_device(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Return an array as a tensor on the device, or a tensor that may be there already.

    A GPU fetches it by itself from memory that stays in place ("pinned"), while the
    host goes on; from other memory the host would wait until the GPU has come so far.
    """
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
