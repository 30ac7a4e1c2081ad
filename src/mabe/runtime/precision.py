"""The precision that a network computes in: 32 bits, bfloat16 or float16.

With 16 bits the network's products are rounded (mixed precision); poses, features and
weights stay in 32 bits.
"""

from typing import Any, Literal

import torch
from lightning_fabric.plugins import MixedPrecision

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


class KeepInputs(MixedPrecision):
    """Mixed precision that does not convert the model's input.

    Fabric would round poses to 16 bits, a millimetre in 25 cm, before speeds are
    computed from them. Features stay in 32 bits; the network's products are rounded.
    """

    def convert_input(self, data: Any) -> Any:
        """Return the data unchanged."""
        return data


MIXED_PRECISIONS: dict[str, Literal["bf16-mixed", "16-mixed"] | None] = {
    "32": None,
    "bf16": "bf16-mixed",
    "16": "16-mixed",
}
