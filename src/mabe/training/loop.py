"""The training loop: visible, exact to resume, the same twice.

Windows, augmentation and dropout of step *n* depend on ``(seed, n)`` alone, and the
learning rate on the step and on the history alone; so a stopped run goes on exactly.

Several processes (a team) share a step: each draws its part of the step's windows, and
the gradients are those of the loss of all of them. So two processes of 32 windows learn
what one of 64 learns, but for dropout. A step asks the device for nothing: its loss is
read some steps later (`mabe.loss_log`).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mabe.config import RunConfig
from mabe.errors import RunError
from mabe.features.arrangement import center_scene
from mabe.models.migrations import CARD_FORMAT, migrate_weights
from mabe.models.model import NetworkModel, build_model
from mabe.pair_task import PairTask
from mabe.runtime.distributed import any_of, sum_over_all
from mabe.runtime.process_group import Team
from mabe.runtime.tensors import to_device
from mabe.scene_task import SceneTask
from mabe.training.augmentation import RandomNumbers, augment, draw_changes
from mabe.training.history import Epoch
from mabe.training.loss_log import LossLog
from mabe.training.objectives import Objective, Targets
from mabe.training.objectives.base import AnyBatch
from mabe.training.schedule import epoch_scores, steps_in_epoch
from mabe.training.schedule import learning_rate as rate_of_step

_FIT_FRAMES = 30_000
"""Frames that tell what is usual."""


_FIT_STREAM = 1 << 40
"""Keeps these windows apart from those of any step."""


_SEED_STRIDE = 1_000_003
"""Keeps the steps of neighbouring seeds apart."""


_RANK_STRIDE = 1 << 48
"""Keeps dropout of the processes of a team apart."""


Poses = Float[np.ndarray | Tensor, "b t a k 2"]
"""Read from the store, or from the device's own memory."""


@dataclass(slots=True)
class TrainingState:
    """Everything that changes while a run trains."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel
    """The weights to use: averaged over recent steps."""
    losses: LossLog
    """Of this epoch's steps so far."""
    step: int = 0
    micro_batch: int = 0
    """Windows that go through the network at once; shrinks when memory is short."""
    epoch_seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)


def start_state(
    config: RunConfig,
    task: SceneTask | PairTask,
    fabric: Fabric,
    objective: Objective | None = None,
) -> TrainingState:
    """Return a fresh model with its optimizer, on the fabric's device.

    The objective shows what is usual, to scale features by; it is not needed where the
    state of an earlier run will take the place of this one.
    """
    torch.manual_seed(config.seed * _SEED_STRIDE - 1)
    model = build_model(config.model, task)
    if objective:
        fit_scaling(model, objective, seed=config.seed)
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
    optimizer = kinds[config.optimizer](
        model.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=fabric.device.type == "cuda" or None,
    )
    average = AveragedModel(model).to(fabric.device)
    average.n_averaged = average.n_averaged.cpu()  # a number for the host
    model, optimizer = fabric.setup(model, optimizer)
    return TrainingState(
        model,
        optimizer,
        average,
        LossLog.of_device(fabric.device),
        micro_batch=config.windows,
    )


def team_of(fabric: Fabric) -> Team:
    """Return this process's place among those that share a step."""
    return Team(fabric.global_rank, fabric.world_size)


@torch.no_grad()
def fit_scaling(model: NetworkModel, objective: Objective, *, seed: int) -> None:
    """Scale features that have no fixed unit by what is usual in some windows."""
    if not model.scaling.is_fitted:
        return
    rng = np.random.default_rng([seed, _FIT_STREAM])
    windows = max(1, _FIT_FRAMES // model.config.sequence_length)
    poses = to_device(objective.draw(rng, windows, 1.0).poses, torch.device("cpu"))
    model.scaling.fit(model.extract_features(poses).flatten(0, 1))


def averaged_model(state: TrainingState) -> NetworkModel:
    """Return the model to use, score and save, ready for prediction."""
    return _unwrapped(state.average).eval()


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
    torch.manual_seed(
        config.seed * _SEED_STRIDE + state.step + fabric.global_rank * _RANK_STRIDE
    )
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate

    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    loss = _accumulate_gradients(state, poses, targets, config, fabric)
    state.losses.add(loss, step=state.step, learning_rate=learning_rate)
    if config.grad_clip:
        fabric.clip_gradients(
            state.model,
            state.optimizer,
            max_norm=config.grad_clip,
            error_if_nonfinite=False,
        )
    state.optimizer.step()
    _update_average(state.average, _unwrapped(state.model), config.ema_decay)
    state.step += 1


def draw_and_take_step(
    state: TrainingState,
    objective: Objective,
    *,
    config: RunConfig,
    fabric: Fabric,
    learning_rate: float,
) -> None:
    """Draw this process's windows of the state's next step, and learn from them."""
    batch = draw_batch(objective, config, state.step, team_of(fabric))
    take_step(
        state,
        batch.poses,
        objective.targets(batch, fabric.device),
        config=config,
        fabric=fabric,
        learning_rate=learning_rate,
    )


def draw_batch(
    objective: Objective, config: RunConfig, step: int, team: Team | None = None
) -> AnyBatch:
    """Return this process's windows of one step.

    Those of the whole team depend on the seed, the step and their number alone.
    """
    team = team or Team()
    rng = np.random.default_rng([config.seed, step])
    most = math.log1p(config.augmentation.time_stretch)
    stretch = math.exp(rng.uniform(-most, most))
    windows = config.windows * team.size
    return objective.draw(rng, windows, stretch, team.own(windows))


def state_values(state: TrainingState, fabric: Fabric) -> dict[str, Any]:
    """Return the state as tensors and plain values, fit for a weights-only load.

    All losses are read first: raises `RunError` where one is no number.
    """
    epoch_loss = state.losses.read_all()
    return {
        "format": CARD_FORMAT,
        "model": _unwrapped(state.model).state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "average": state.average.state_dict(),
        "step": state.step,
        "micro_batch": state.micro_batch,
        "epoch_loss": epoch_loss,
        "epoch_seconds": state.epoch_seconds,
        "history": [epoch.to_json() for epoch in state.history],
        "precision": fabric.strategy.precision.state_dict(),
    }


def restore_state(state: TrainingState, values: dict[str, Any], fabric: Fabric) -> None:
    """Bring a fresh state to where `state_values` was taken."""
    found = values.get("format", 3)  # format 3 did not note it
    model = migrate_weights(values["model"], found)
    _unwrapped(state.model).load_state_dict(model)
    state.optimizer.load_state_dict(values["optimizer"])
    state.average.load_state_dict(migrate_weights(values["average"], found))
    state.step = values["step"]
    state.micro_batch = values["micro_batch"]
    state.losses.start(values["epoch_loss"])
    state.epoch_seconds = values["epoch_seconds"]
    state.history = [Epoch.from_json(each) for each in values["history"]]
    fabric.strategy.precision.load_state_dict(values["precision"])


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
    state: TrainingState, objective: Objective, config: RunConfig, fabric: Fabric
) -> None:
    """Find how many windows fit at once in every process of a team, before it starts.

    Where one runs out of memory within a step, the others would wait for its gradients
    for ever; in this rehearsal nobody waits. It leaves no trace but `micro_batch`.
    """
    if fabric.world_size == 1:
        return
    batch = draw_batch(objective, config, state.step, team_of(fabric))
    targets = objective.targets(batch, fabric.device)
    while any_of(fabric, not fits(state, batch.poses, targets, config, fabric)):
        if state.micro_batch == 1:
            raise RunError(
                "out of memory with one window at a time; lower sequence_length, or "
                "choose a smaller network"
            )
        _halve_micro_batch(state, config, fabric)


def fits(
    state: TrainingState,
    poses: Poses,
    targets: Targets,
    config: RunConfig,
    fabric: Fabric,
) -> bool:
    """Tell whether there is memory for a batch, in pieces as the state says."""
    try:
        _backward_in_pieces(state, poses, targets, config, fabric, rehearsal=True)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        return False
    finally:
        state.optimizer.zero_grad(set_to_none=True)
    return True


def _accumulate_gradients(
    state: TrainingState,
    poses: Poses,
    targets: Targets,
    config: RunConfig,
    fabric: Fabric,
) -> Tensor:
    """Send the batch through in pieces that fit; halve them when memory runs out."""
    while True:
        try:
            return _backward_in_pieces(state, poses, targets, config, fabric)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if fabric.world_size > 1:  # the others wait for this one's gradients
                raise RunError(
                    f"step {state.step}: out of memory, though it was enough at the "
                    "start; is another program on this GPU? Lower batch_size (now "
                    f"{config.windows} windows a process), or go on with --resume"
                ) from error
            if state.micro_batch == 1:
                raise
        # Outside of `except`: the error holds on to the tensors of its stack.
        _halve_micro_batch(state, config, fabric)


def _halve_micro_batch(state: TrainingState, config: RunConfig, fabric: Fabric) -> None:
    state.micro_batch = math.ceil(state.micro_batch / 2)
    state.optimizer.zero_grad(set_to_none=True)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if fabric.is_global_zero:
        print(
            f"Out of memory: going on with {state.micro_batch} windows at a time, "
            f"accumulated to the same batch of {config.windows}"
        )


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Tell lack of memory from other errors; Apple's MPS has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


def _backward_in_pieces(
    state: TrainingState,
    poses: Poses,
    targets: Targets,
    config: RunConfig,
    fabric: Fabric,
    *,
    rehearsal: bool = False,
) -> Tensor:
    """Add up the gradients of this process's windows, and return the team's loss.

    Processes wait for each other twice, for what all their windows weigh and, in the
    last piece, for the mean of their gradients; in a rehearsal not at all.
    """
    device, team = fabric.device, team_of(fabric)
    assert isinstance(state.model, _FabricModule)
    generator = torch.Generator(device).manual_seed(
        config.seed * _SEED_STRIDE + state.step
    )
    shown = to_device(poses, device)
    changes = draw_changes(
        shown.shape, config.augmentation, RandomNumbers(generator, team)
    )
    changed = augment(center_scene(shown), changes)
    total = targets.total()
    if not rehearsal:
        total = sum_over_all(fabric, total)
    total = total.clamp(min=1e-6)
    loss = torch.zeros((), device=device)
    pieces = list(
        zip(
            changed.split(state.micro_batch),
            targets.split(state.micro_batch),
            strict=True,
        )
    )
    for number, (some_poses, some_targets) in enumerate(pieces, start=1):
        is_alone = rehearsal or number < len(pieces)
        with fabric.no_backward_sync(state.model, enabled=is_alone):
            piece = some_targets.loss(state.model, some_poses) / total
            # The mean of the processes' gradients is taken, but the sum is meant.
            fabric.backward(piece * team.size if team.size > 1 else piece)
        loss += piece.detach()
    return loss if rehearsal else sum_over_all(fabric, loss)


@torch.no_grad()
def _update_average(average: AveragedModel, model: nn.Module, decay: float) -> None:
    """Move an exponential average, short at first, towards the model.

    Done here, since AveragedModel asks the device how many steps it has seen.
    """
    seen = int(average.n_averaged)
    averages: list[Tensor] = list(average.module.parameters())
    values: list[Tensor] = list(model.parameters())
    if seen:
        # Early on the average is short, so that it does not remember the random start.
        share = 1 - min(decay, (1 + seen) / (10 + seen))
        torch._foreach_lerp_(averages, values, share)
    else:
        torch._foreach_copy_(averages, values)
    average.n_averaged += 1


def _unwrapped(model: nn.Module) -> NetworkModel:
    """Return the model inside Fabric's wrapper."""
    module = getattr(model, "module", model)
    assert isinstance(module, NetworkModel)
    return module
