"""Arrays on their way to the device, without making the host wait for it."""

import numpy as np
import torch
from torch import Tensor


def to_device(values: np.ndarray, device: torch.device) -> Tensor:
    """Return an array as a tensor on the device.

    A GPU fetches it by itself from memory that stays in place ("pinned"), while the
    host goes on; from other memory the host would wait until the GPU has come so far.
    """
    tensor = torch.from_numpy(values)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
