"""The average of a network's weights over recent steps, which is what is used."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


@torch.no_grad()
def update_average(average: AveragedModel, model: nn.Module, decay: float) -> None:
    """Move an exponential average, short at first, towards the model.

    AveragedModel would read the number of steps from the device, and wait for it.
    """
    steps = int(average.n_averaged)
    averages: list[Tensor] = list(average.module.parameters())
    values: list[Tensor] = list(model.parameters())
    if steps:
        # Early on the average is short, so that it does not remember the random start.
        share = 1 - min(decay, (1 + steps) / (10 + steps))
        torch._foreach_lerp_(averages, values, share)
    else:
        torch._foreach_copy_(averages, values)
    average.n_averaged += 1
