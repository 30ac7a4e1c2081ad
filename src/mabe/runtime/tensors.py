"""Tensor operations that depend on the device.

A CPU moves 64 bits as quickly as 32, reads the cache of a core more quickly than main
memory, and can read values in order to skip work; the host of a GPU would have to wait
for them. Copies to a GPU go through pinned memory, so the host need not wait either.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

CACHE_BYTES = 1 << 20
"""So many bytes, with a result of that size, fit the second cache of a core."""


_TWICE_AS_WIDE = {torch.float32: torch.int64, torch.float64: torch.complex128}


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads within the context; None changes nothing."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def is_on_cpu(values: Tensor) -> bool:
    """Return whether values can be read without waiting for a device."""
    return values.device.type == "cpu"


def as_pairs(points_2: Float[Tensor, "*point 2"]) -> Shaped[Tensor, "*point"]:
    """Return a view of (x, y) points in which each is one number of twice the width.

    Selecting and moving these takes a CPU a third to a tenth of the time; the numbers
    themselves have no meaning.
    """
    if points_2.stride(-1) != 1:
        points_2 = points_2.contiguous()
    return points_2.view(_TWICE_AS_WIDE[points_2.dtype]).squeeze(-1)


def as_points(
    pairs: Shaped[Tensor, "*point"], dtype: torch.dtype
) -> Float[Tensor, "*point 2"]:
    """Return the points of which `as_pairs` made single numbers."""
    return pairs[..., None].view(dtype)


def apply_to_slices(work: Callable[[slice], Tensor], windows_B: Tensor) -> Tensor:
    """Return the joined results of `work` for slices of windows; on a GPU, of all."""
    count = len(windows_B)
    at_once = max(1, CACHE_BYTES // max(1, windows_B[:1].nbytes))
    if not is_on_cpu(windows_B) or count <= at_once:
        return work(slice(0, count))
    slices = [slice(first, first + at_once) for first in range(0, count, at_once)]
    return torch.cat([work(some) for some in slices])


def has_quick_bf16(device: torch.device) -> bool:
    """Return whether a CPU multiplies 16-bit matrices (bfloat16) natively.

    With AMX an LSTM predicts in a quarter of the time, and a training step takes half;
    where 16 bits are only unpacked to 32, nothing is gained. torch has no fast 16-bit
    GRU.
    """
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))


def to_device(values: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Return an array, or a tensor, as a tensor on the device.

    A GPU copies from pinned memory by itself while the host continues; for other
    memory the host would wait until the GPU has finished its earlier work.
    """
    tensor = torch.from_numpy(values) if isinstance(values, np.ndarray) else values
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
