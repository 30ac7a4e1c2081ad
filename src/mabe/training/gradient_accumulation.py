"""Gradients of a step, in pieces that fit into memory.

A batch goes through the network in pieces of `micro_batch` windows. Where memory runs
out, the pieces are halved; the gradients are still those of the whole batch.
"""

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor

from mabe.config import RunConfig
from mabe.errors import RunError
from mabe.features.animal_order import center_scene
from mabe.models.model import POSE_AXES
from mabe.runtime.distributed import sum_over_all
from mabe.runtime.launch_environment import ProcessGroup
from mabe.runtime.tensors import to_device
from mabe.training.augmentation import RandomNumbers, augment, draw_changes
from mabe.training.cuda_graphs import RecordedBackward, record_on_gpu
from mabe.training.objectives import Targets
from mabe.training.out_of_memory import halve_micro_batch, is_out_of_memory
from mabe.training.seeds import step_seed
from mabe.training.state import TrainingState

Poses = Float[np.ndarray | Tensor, "b t a k c"] | Float[Tensor, "b t f"]
"""Read from the store, or from the device's own memory; or features of whole
recordings (`mabe.training.recording_features`)."""


def group_of(fabric: Fabric) -> ProcessGroup:
    """Return this process's place among those that share a step."""
    return ProcessGroup(fabric.global_rank, fabric.world_size)


def seed_step(config: RunConfig, step: int, fabric: Fabric) -> None:
    """Let dropout of a step depend on the seed, the step and the process alone."""
    torch.manual_seed(step_seed(config.seed, step, rank=fabric.global_rank))


def fits(
    state: TrainingState,
    poses: Poses,
    targets: Targets,
    config: RunConfig,
    fabric: Fabric,
) -> bool:
    """Return whether there is memory for a batch in pieces of the state's size."""
    try:
        _backward_in_pieces(state, poses, targets, config, fabric, rehearsal=True)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        state.optimizer.zero_grad(set_to_none=True)
    return True


def accumulate_gradients(
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
            if not is_out_of_memory(error):
                raise
            if fabric.world_size > 1:  # the others wait for this one's gradients
                raise RunError(
                    f"step {state.step}: out of memory, though it was enough at the "
                    "start; is another program on this GPU? Lower batch_size (now "
                    f"{config.windows} windows a process), or continue with --resume"
                ) from error
            if state.micro_batch == 1:
                raise
        # Outside of `except`: the error holds on to the tensors of its stack.
        halve_micro_batch(state, config, fabric)


def _backward_in_pieces(
    state: TrainingState,
    poses: Poses,
    targets: Targets,
    config: RunConfig,
    fabric: Fabric,
    *,
    rehearsal: bool = False,
) -> Tensor:
    """Add up the gradients of this process's windows, and return the group's loss.

    Processes wait for each other twice, for what all their windows weigh and, in the
    last piece, for the mean of their gradients; in a rehearsal not at all.
    """
    device, group = fabric.device, group_of(fabric)
    assert isinstance(state.model, _FabricModule)
    shown = to_device(poses, device)
    if shown.ndim == POSE_AXES:
        generator = torch.Generator(device)
        generator.manual_seed(step_seed(config.seed, state.step))
        bodies = shown[:, :, :, : len(config.body.keypoints), :2]
        changes = draw_changes(
            bodies.shape, config.augmentation, RandomNumbers(generator, group)
        )
        shown = augment(center_scene(shown), changes, config.body)
    if not rehearsal and replays(state, config, fabric):
        return _replayed(state, shown, targets, config, fabric)
    total = targets.total()
    if not rehearsal:
        total = sum_over_all(fabric, total)
    total = total.clamp(min=1e-6)
    loss = torch.zeros((), device=device)
    pieces = list(
        zip(
            shown.split(state.micro_batch),
            targets.split(state.micro_batch),
            strict=True,
        )
    )
    for number, (some_shown, some_targets) in enumerate(pieces, start=1):
        is_alone = rehearsal or number < len(pieces)
        with fabric.no_backward_sync(state.model, enabled=is_alone):
            piece = some_targets.loss(state.model, some_shown) / total
            # The mean of the processes' gradients is taken, but the sum is meant.
            fabric.backward(piece * group.size if group.size > 1 else piece)
        loss += piece.detach()
    return loss if rehearsal else sum_over_all(fabric, loss)


def replays(state: TrainingState, config: RunConfig, fabric: Fabric) -> bool:
    """Return whether loss and gradients are replayed from a CUDA graph.

    One process has all windows of a step then, and no loss is scaled, as it is in
    float16.
    """
    return (
        config.cuda_graphs
        and fabric.device.type == "cuda"
        and fabric.world_size == 1
        and state.micro_batch >= config.windows
        and getattr(fabric.strategy.precision, "scaler", None) is None
    )


def _replayed(
    state: TrainingState,
    shown: Tensor,
    targets: Targets,
    config: RunConfig,
    fabric: Fabric,
) -> Tensor:
    """Set the gradients of a batch by the state's graph, and return the loss."""
    if state.recorded is None or not state.recorded.takes(shown, targets):
        state.recorded = None  # its memory is free for the new one
        state.recorded = RecordedBackward(
            state.model,
            shown,
            targets,
            backward=fabric.backward,
            record=record_on_gpu,
        )
        # Recording has drawn some of the step's random numbers.
        seed_step(config, state.step, fabric)
    return state.recorded(shown, targets)
