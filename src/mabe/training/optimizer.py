"""The optimizer of a run."""

from collections.abc import Iterable

import torch
from torch import nn

from mabe.config import RunConfig

OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}


def make_optimizer(
    config: RunConfig, parameters: Iterable[nn.Parameter], device: torch.device
) -> torch.optim.Optimizer:
    """Return the optimizer that the config names; fused on a GPU."""
    return OPTIMIZERS[config.optimizer](
        parameters,
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=device.type == "cuda" or None,
    )
