"""Out of memory on the device: recognised, then half the windows at a time."""

import math

import torch
from lightning_fabric import Fabric

from mabe.config import RunConfig
from mabe.runtime.console import count
from mabe.training.state import TrainingState


def halve_micro_batch(state: TrainingState, config: RunConfig, fabric: Fabric) -> None:
    """Halve the windows that go through the network at once, and print it."""
    state.micro_batch = math.ceil(state.micro_batch / 2)
    state.recorded = None
    state.optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if fabric.is_global_zero:
        print(
            f"Out of memory: going on with {count(state.micro_batch, 'window')} at a "
            "time, "
            f"accumulated to the same batch of {config.windows}"
        )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell lack of memory from other errors; Apple's MPS has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)
