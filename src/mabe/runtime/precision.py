"""The precision that a network computes in: 32 bits, bfloat16 or float16."""

import torch

from mabe.runtime.tensors import has_quick_bf16


def choose_precision(
    device: torch.device, wanted: str, *, is_quick_in_bf16: bool
) -> str:
    """Return 32, bf16 or 16; `auto` is the fastest precision that is safe here.

    `is_quick_in_bf16` says whether the model is faster in bfloat16 on a CPU with AMX.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(False) else "16"
    return "bf16" if is_quick_in_bf16 and has_quick_bf16(device) else "32"
