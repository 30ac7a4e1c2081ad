"""One training step, and the steps of an epoch: exact to resume and reproducible.

Windows, augmentation and dropout of step *n* depend on ``(seed, n)`` alone, and the
learning rate on the step and the history alone. So a stopped run resumes exactly.

Several processes (a group) share a step: each draws its part of the step's windows, and
the gradients are those of the loss of all of them. So two processes of 32 windows learn
what one of 64 learns, but for dropout. A step does not wait for the device: its loss is
read some steps later (`mabe.training.loss_log`).
"""

import math
import time
from collections.abc import Callable

import numpy as np
from lightning_fabric import Fabric

from mabe.config import RunConfig
from mabe.errors import RunError
from mabe.runtime.distributed import any_of
from mabe.runtime.launch_environment import ProcessGroup
from mabe.training.best_epoch import epoch_scores
from mabe.training.gradient_accumulation import (
    Poses,
    accumulate_gradients,
    fits,
    group_of,
    seed_step,
)
from mabe.training.learning_rate import learning_rate as rate_of_step
from mabe.training.objectives import Learnable, Objective, Targets
from mabe.training.objectives.base import ShownBatch
from mabe.training.out_of_memory import halve_micro_batch
from mabe.training.state import TrainingState, inner_module
from mabe.training.weight_average import update_average

_ASK_EVERY = 8
"""Steps after which the processes of a group agree on whether to stop."""


def is_time_to_ask(step: int, fabric: Fabric) -> bool:
    """Return whether all processes agree on whether to stop, after a step."""
    return fabric.world_size == 1 or step % _ASK_EVERY == 0


def take_step(
    state: TrainingState,
    poses: Poses,
    targets: Targets,
    *,
    config: RunConfig,
    fabric: Fabric,
    learning_rate: float,
) -> None:
    """Learn from one batch; its loss goes into the state's log."""
    seed_step(config, state.step, fabric)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate

    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    loss = accumulate_gradients(state, poses, targets, config, fabric)
    state.losses.add(loss, step=state.step, learning_rate=learning_rate)
    if config.grad_clip:
        fabric.clip_gradients(
            state.model,
            state.optimizer,
            max_norm=config.grad_clip,
            error_if_nonfinite=False,
        )
    state.optimizer.step()
    update_average(state.average, inner_module(state.model), config.ema_decay)
    state.step += 1


def draw_and_take_step(
    state: TrainingState,
    learnable: Learnable,
    *,
    config: RunConfig,
    fabric: Fabric,
    learning_rate: float,
) -> None:
    """Draw this process's windows of the state's next step, and learn from them."""
    batch = draw_batch(learnable, config, state.step, group_of(fabric))
    take_step(
        state,
        batch.poses,
        learnable.targets(batch, fabric.device),
        config=config,
        fabric=fabric,
        learning_rate=learning_rate,
    )


def draw_batch(
    learnable: Learnable,
    config: RunConfig,
    step: int,
    group: ProcessGroup | None = None,
) -> ShownBatch:
    """Return this process's windows of one step.

    Those of the whole group depend on the seed, the step and their number alone.
    """
    group = group or ProcessGroup()
    rng = np.random.default_rng([config.seed, step])
    most = math.log1p(config.augmentation.time_stretch)
    stretch = math.exp(rng.uniform(-most, most))
    windows = config.windows * group.size
    return learnable.draw(rng, windows, stretch, group.own(windows))


def train_epoch(
    state: TrainingState,
    objective: Objective,
    *,
    config: RunConfig,
    fabric: Fabric,
    after_step: Callable[[], None],
) -> float:
    """Take the steps that are left of this epoch and return its mean loss.

    `after_step` may save the state or raise to stop.
    """
    steps = steps_in_epoch(
        objective.counted_frames, config, processes=fabric.world_size
    )
    scores = epoch_scores(state.history)
    end = (len(state.history) + 1) * steps
    while state.step < end:
        began = time.perf_counter()
        rate = rate_of_step(
            config, step=state.step, steps_per_epoch=steps, scores=scores
        )
        draw_and_take_step(
            state, objective, config=config, fabric=fabric, learning_rate=rate
        )
        state.epoch_seconds += time.perf_counter() - began
        after_step()
    return state.losses.read_all() / steps


def settle_micro_batch(
    state: TrainingState, learnable: Learnable, config: RunConfig, fabric: Fabric
) -> None:
    """Find how many windows fit at once in every process of a group, before it starts.

    Where one runs out of memory within a step, the others would wait for its gradients
    for ever; in this trial no process waits. It changes only `micro_batch`.
    """
    if fabric.world_size == 1:
        return
    batch = draw_batch(learnable, config, state.step, group_of(fabric))
    targets = learnable.targets(batch, fabric.device)
    while any_of(fabric, not fits(state, batch.poses, targets, config, fabric)):
        if state.micro_batch == 1:
            raise RunError(
                "out of memory with one window at a time; lower sequence_length, or "
                "choose a smaller network"
            )
        halve_micro_batch(state, config, fabric)


def steps_in_epoch(
    counted_frames: int, config: RunConfig, *, processes: int = 1
) -> int:
    """Return how many steps an epoch has, each of a batch from every process.

    By default as many as show about as many frames as there are that count.
    """
    if config.steps_per_epoch:
        return config.steps_per_epoch
    frames = processes * config.windows * config.sequence_length
    return max(1, math.ceil(counted_frames / frames))
