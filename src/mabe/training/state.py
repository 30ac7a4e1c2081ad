"""Everything that changes while a run trains, and how it is saved and restored."""

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.optim.swa_utils import AveragedModel

from mabe.config import RunConfig
from mabe.models.model import NetworkModel, build_model
from mabe.models.reused_weights import (
    freeze_trunk,
    has_new_classes,
    move_towards,
    start_from,
)
from mabe.models.span_predictor import SpanPredictor
from mabe.pair_task import PairTask
from mabe.runtime.tensors import to_device
from mabe.scene_task import SceneTask
from mabe.training.cuda_graphs import RecordedBackward
from mabe.training.history import Epoch
from mabe.training.loss_log import LossLog
from mabe.training.objectives import Learnable, Objective
from mabe.training.optimizer import make_optimizer
from mabe.training.reuse import source_member
from mabe.training.seeds import FIT_STREAM, initial_seed

_FIT_FRAMES = 30_000
"""Frames to which the scaling of features is fitted."""


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
    recorded: RecordedBackward | None = None
    """Loss and gradients as a CUDA graph, where they are replayed; it is not saved."""
    started_from: NetworkModel | None = None
    """The network that this one started from, if any."""
    old_share: float = 0.0
    """How much of the weights to use are those of that network."""
    epoch_seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)


def start_state(
    config: RunConfig,
    task: SceneTask | PairTask,
    fabric: Fabric,
    objective: Objective | None = None,
    pretrained: SpanPredictor | None = None,
) -> TrainingState:
    """Return a fresh model with its optimizer, on the fabric's device.

    The objective shows what is usual, to scale features by; it is not needed where the
    state of an earlier run will take the place of this one. A network that was
    pretrained gives the scaling, and all layers but the heads.
    """
    torch.manual_seed(initial_seed(config.seed))
    model = build_model(config.model, task)
    member = source_member(config)
    started_from = member.model if member else None
    if started_from is not None:
        assert isinstance(started_from, NetworkModel)
        start_from(model, started_from)
    elif pretrained is not None:
        pretrained.copy_into(model)
    elif objective:
        fit_scaling(model, objective, seed=config.seed)
    if config.freeze:
        freeze_trunk(model)
    state = state_of(model, config, fabric)
    state.started_from = started_from
    state.old_share = _old_share(config, model, started_from)
    return state


def state_of(model: nn.Module, config: RunConfig, fabric: Fabric) -> TrainingState:
    """Return the state in which the training of a module begins."""
    learning = [each for each in model.parameters() if each.requires_grad]
    optimizer = make_optimizer(config, learning, fabric.device)
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


def _old_share(
    config: RunConfig, model: NetworkModel, started_from: NetworkModel | None
) -> float:
    new = started_from is None or has_new_classes(model, started_from)
    return 0.0 if new else config.old_share


@torch.no_grad()
def fit_scaling(model: NetworkModel, learnable: Learnable, *, seed: int) -> None:
    """Scale features that have no fixed unit by what is usual in some windows."""
    if not model.scaling.is_fitted:
        return
    rng = np.random.default_rng([seed, FIT_STREAM])
    windows = max(1, _FIT_FRAMES // model.config.sequence_length)
    shown = to_device(learnable.draw(rng, windows, 1.0).poses, torch.device("cpu"))
    model.scaling.fit(model.features_of(shown).flatten(0, 1))


def averaged_model(state: TrainingState) -> NetworkModel:
    """Return the model to use, score and save, ready for prediction.

    Its weights are the average over recent steps; of a run that started from another
    network they are moved back towards that one.
    """
    model = unwrapped(state.average).eval()
    if state.started_from is None or not state.old_share:
        return model
    model = copy.deepcopy(model)
    move_towards(model, state.started_from, state.old_share)
    return model


def inner_module(model: nn.Module) -> nn.Module:
    """Return the module inside Fabric's wrapper."""
    module: nn.Module = getattr(model, "module", model)
    return module


def unwrapped(model: nn.Module) -> NetworkModel:
    """Return the model inside Fabric's wrapper."""
    module = inner_module(model)
    assert isinstance(module, NetworkModel)
    return module
