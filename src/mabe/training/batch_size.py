"""How many windows a step has where the config leaves it open (`batch_size: auto`).

As many as are useful: an epoch needs about a hundred steps to learn anything, and the
gradient of a few thousand windows is no better than that of fewer. And on a GPU no more
than its memory holds: that is tried out, with room to spare. The learning rate stays as
it is: Adam's steps do not grow with the batch.
"""

from collections.abc import Callable

import numpy as np
import torch
from lightning_fabric import Fabric

from mabe.config import RunConfig
from mabe.runtime.console import count
from mabe.runtime.distributed import smallest
from mabe.training.gradient_accumulation import fits
from mabe.training.objectives import Objective
from mabe.training.state import TrainingState, start_state

STEPS_AN_EPOCH = 100
"""An epoch of fewer steps would learn too little."""


FEWEST = 8


MOST = 4096


WITHOUT_GPU = 64
"""Windows of a step where memory is no concern: as in V1."""


ROOM_TO_USE = 0.9
"""Share of a GPU's free memory to count on; the rest is for what comes and goes."""


_TRIAL_STREAM = 1 << 41
"""Keeps the windows of trials apart from those of any step."""


def settle_batch_size(
    config: RunConfig, objective: Objective, fabric: Fabric
) -> tuple[RunConfig, str]:
    """Return the config with a number for `auto`, and a line with the reason."""
    useful = useful_windows(objective.counted_frames, config, fabric.world_size)
    if fabric.device.type != "cuda":
        windows = min(useful, WITHOUT_GPU)
        why = "the default without a GPU" if windows == WITHOUT_GPU else None
    else:
        windows = smallest(
            fabric, _find_fitting(config, objective, fabric, most=useful)
        )
        why = None if windows == useful else "what the memory of the GPU holds"
    why = why or f"an epoch keeps about {STEPS_AN_EPOCH} steps or more"
    settled = config.changed(batch_size=windows)
    return settled, f"Batch size: {count(windows, 'window')} ({why})"


def useful_windows(counted_frames: int, config: RunConfig, processes: int) -> int:
    """Return how many windows a process can make use of: a power of two."""
    frames = processes * config.sequence_length * STEPS_AN_EPOCH
    windows = max(1, counted_frames // frames)
    return max(FEWEST, min(MOST, 1 << (windows.bit_length() - 1)))


def largest_fitting(fits: Callable[[int], bool], *, most: int) -> int:
    """Return the largest of 1, 2, 3, 4, 6, 8, 12 … up to `most` for which all fits.

    One is returned untried: with less there is nothing to train.
    """
    windows = 1
    while 2 * windows <= most and fits(2 * windows):
        windows *= 2
    half_more = windows * 3 // 2
    is_open = windows > 1 and half_more <= most
    return half_more if is_open and fits(half_more) else windows


def has_memory_for(
    state: TrainingState,
    objective: Objective,
    config: RunConfig,
    fabric: Fabric,
    windows: int,
) -> bool:
    """Tell whether a step of so many windows leaves room in the GPU's memory.

    Nothing is learned from the step. Windows go through the network all at once.
    """
    device = fabric.device
    is_cuda = device.type == "cuda"
    state.micro_batch = windows
    rng = np.random.default_rng([config.seed, _TRIAL_STREAM])
    batch = objective.draw(rng, windows, 1.0)
    if is_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        room = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    targets = objective.targets(batch, device)
    if not fits(state, batch.poses, targets, config, fabric):
        return False
    if not is_cuda:
        return True
    needed = torch.cuda.max_memory_allocated(device) + _optimizer_bytes(state)
    return needed <= ROOM_TO_USE * room


def _find_fitting(
    config: RunConfig, objective: Objective, fabric: Fabric, *, most: int
) -> int:
    """Try steps of growing size with a model of their own, which is then let go."""
    trial = config.changed(batch_size=1)
    state = start_state(trial, objective.task, fabric, objective)
    state.model.train()
    return largest_fitting(
        lambda windows: has_memory_for(state, objective, trial, fabric, windows),
        most=most,
    )


def _optimizer_bytes(state: TrainingState) -> int:
    """Return what Adam will keep once it has taken a step: two numbers a weight."""
    return 2 * sum(p.numel() * p.element_size() for p in state.model.parameters())
