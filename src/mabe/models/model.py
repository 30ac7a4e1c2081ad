"""Models: poses in, probabilities of each frame's classes or actions out.

Dimension key: B batch, T time, A animal, P seat (agent, target, others), K keypoint,
F feature, I input, C channel, N class (or action).
Feature extraction is part of a model, so it cannot differ between training and use. A
model works in two steps: `extract_features`, then `probabilities` of windows of them.
Models with the same `feature_key` have the same features and windows, so several can
share one extraction. There are networks (here: features → scaling → network) and
boosted trees (`mabe.models.trees_model`).
"""

import copy
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mabe.errors import ConfigError
from mabe.features.animal_order import pack_animals
from mabe.features.base import Features
from mabe.features.heights import on_the_floor
from mabe.models.feature_sets import build_inputs
from mabe.models.input_scaling import (
    InputScaling,
    MotionScaling,
    channels_of_slots,
)
from mabe.models.model_config import ModelConfig
from mabe.models.network_base import FrameNetwork
from mabe.models.networks import build_network
from mabe.models.prediction_windows import Stretch, window_stretches
from mabe.pair_task import UNKNOWN_LAB, PairTask
from mabe.runtime.tensors import apply_to_slices, has_quick_bf16
from mabe.scene_task import SceneTask

MOST_PARAMETERS = 500_000_000
"""Of a network; V2 has 4 million."""


FIRST_LOGIT = -3.0
"""Logits of a new network for pairs: each action has a probability of 5 %."""


POSE_AXES = 5
"""Axes of poses, ``[b, t, a, k, 2]``; features have three."""


OVERLAP_SHARE = 4
"""Windows in prediction overlap by a quarter: with V2 on two folds of `rat_dyad` no
worse than by half, for a third less work."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a recording, or of one view of it, beside its poses."""

    possible_N: Bool[Tensor, " n"] | None = None
    """The classes of a scene that can occur; the others get probability 0."""
    lab: str = ""
    is_self: bool = False
    """Whether agent and target of a view are the same animal."""


class Model(nn.Module):
    """What models of all tasks and kinds have in common."""

    config: ModelConfig
    task: SceneTask | PairTask
    features: Features

    @property
    def feature_names(self) -> list[str]:
        """The features' names, in order."""
        return list(self.features.names)

    @property
    def feature_key(self) -> tuple[Hashable, ...]:
        """Equal for models whose features and windows are the same."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        first: Tensor = next(chain(self.parameters(), self.buffers()))
        return first.device

    @property
    def feature_device(self) -> torch.device:
        """Where features are computed."""
        return self.device

    @property
    def members_with_weights(self) -> "tuple[tuple[Model, float], ...]":
        """The model itself, with weight 1; an `Ensemble` has several members."""
        return ((self, 1.0),)

    @property
    def context_frames(self) -> float:
        """Frames to each side of a stretch that influence its features."""
        return self.features.reach_s * self.config.fps

    def extract_features(
        self, poses_BTAK2: Float[Tensor, "b t a k c"]
    ) -> Float[Tensor, "b t f"]:
        """Return features of poses in cm at the working rate, NaN where missing."""
        raise NotImplementedError

    def as_read(
        self, poses_BTAK: Float[Tensor, "b t a k c"]
    ) -> Float[Tensor, "b t a k d"]:
        """Return poses without heights that other members of an ensemble read."""
        return poses_BTAK if self.config.heights else on_the_floor(poses_BTAK)

    def overlap(self, length: int) -> int:
        """Return by how much windows overlap in a recording of so many frames."""
        raise NotImplementedError

    def stretches(self, length: int) -> Iterator[Stretch]:
        """Yield the stretches of a recording of so many frames, in order."""
        raise NotImplementedError

    def inputs(
        self, x_TF: Float[Tensor, "t f"], stretch: Stretch, starts: Sequence[int]
    ) -> Float[Tensor, "b u i"]:
        """Return the inputs of some windows, from features of all that was read."""
        raise NotImplementedError

    def probabilities(
        self, inputs_BUI: Float[Tensor, "b u i"], context: Context
    ) -> Float[Tensor, "b t n"]:
        """Return the probability of each class, or action, at every frame of windows.

        They may go on for some frames behind the end of a stretch.
        """
        raise NotImplementedError

    def for_slots(self, slots: Sequence[int]) -> "Model":
        """Return a model that is quicker where only these slots occur, or this one."""
        return self


class NetworkModel(Model):
    """What networks of all tasks have in common."""

    scaling: InputScaling
    network: FrameNetwork

    @property
    def input_channels(self) -> int:
        """Number of the network's input channels; see `channels`."""
        return self.scaling.channels

    @property
    def feature_key(self) -> tuple[Hashable, ...]:
        """Equal for networks whose features and windows are the same."""
        return ("network", self.window, *self.features.key)

    @property
    def window(self) -> int:
        """Frames in a window in prediction, where a recording has as many."""
        return self.network.use_factor * self.config.sequence_length

    def overlap(self, length: int) -> int:
        """Return by how much windows overlap in a recording of so many frames."""
        return min(self.window // OVERLAP_SHARE, min(self.window, length) // 2)

    def stretches(self, length: int) -> Iterator[Stretch]:
        """Yield the stretches of a recording of so many frames, in order."""
        return window_stretches(
            length,
            window=min(self.window, length),
            overlap=self.overlap(length),
            context=round(self.context_frames),
        )

    def inputs(
        self, x_TF: Float[Tensor, "t f"], stretch: Stretch, starts: Sequence[int]
    ) -> Float[Tensor, "b u f"]:
        """Return the features of some windows."""
        places = [start - stretch.read_from for start in starts]
        return torch.stack([x_TF[place : place + stretch.window] for place in places])

    def features_of(
        self, shown: Float[Tensor, "b t a k c"] | Float[Tensor, "b t f"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features of poses; features, computed before, as they are."""
        return self.extract_features(shown) if shown.ndim == POSE_AXES else shown

    def channels(
        self, shown: Float[Tensor, "b t a k c"] | Float[Tensor, "b t f"], *view: Tensor
    ) -> Float[Tensor, "b t i"]:
        """Return the network's input for poses, or for features computed before.

        The first `scaling.channels` are of the features; what follows says which view
        of which lab is shown. `view` are the further arguments of a model's `forward`.
        """
        raise NotImplementedError


class SceneModel(NetworkModel):
    """A network for the scene task: which of the classes a frame shows."""

    task: SceneTask

    def __init__(self, config: ModelConfig, task: SceneTask) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.features, self.scaling = build_inputs(task.kind, config)
        self.network = build_network(config, self.input_channels, len(task.classes))

    def extract_features(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return features of poses in cm at the working rate, NaN where missing."""
        with torch.autocast(poses_BTAK2.device.type, enabled=False):
            # Features stay in 32 bits: speeds are small differences of large numbers.
            return self.features(pack_animals(poses_BTAK2))

    def channels(
        self,
        shown: Float[Tensor, "b t a k 2"] | Float[Tensor, "b t f"],
        *_view: Tensor,
    ) -> Float[Tensor, "b t i"]:
        """Return the network's input for poses, or for features computed before."""
        x_BTF = self.features_of(shown)
        dtype = self.network.head.weight.dtype
        return apply_to_slices(lambda some: self.scaling(x_BTF[some]).to(dtype), x_BTF)

    def forward(
        self, shown: Float[Tensor, "b t a k 2"] | Float[Tensor, "b t f"]
    ) -> Float[Tensor, "b t n"]:
        """Return logits for poses, or for features that were computed before."""
        return self.network(self.channels(shown))

    def probabilities(
        self, inputs_BUI: Float[Tensor, "b u i"], context: Context
    ) -> Float[Tensor, "b u n"]:
        """Return the probability of each class; those not possible get 0."""
        logits_BUN = self(self.features.center_places(inputs_BUI)).float()
        if context.possible_N is not None:
            logits_BUN = logits_BUN.masked_fill(~context.possible_N, -torch.inf)
        return logits_BUN.softmax(dim=-1)

    def for_slots(self, slots: Sequence[int]) -> "SceneModel":
        """Return a copy without the input channels of slots that never occur.

        These channels are zero, so the probabilities stay the same; with the two
        animals of most labs a quarter of the work is saved. The copy is in bfloat16
        where that is quicker.
        """
        features = self.features.for_slots(slots)
        if features is None or not self.network.can_drop_inputs:
            return self
        device = self.device
        quick = copy.deepcopy(self)
        quick.features = features.to(device)
        quick.network.keep_inputs(
            channels_of_slots(
                slots,
                features=len(self.features.names),
                of=self.config.layout.slots,
            )
        )
        quick.scaling = MotionScaling(
            features=len(features.names), slots=len(slots)
        ).to(device)
        if self.network.is_quick_in_bf16 and has_quick_bf16(device):
            quick.network.to(torch.bfloat16)
        return quick


class PairModel(NetworkModel):
    """A network for the pair task: each action's probability in one view.

    All labs share the network; an embedding of each lab adds a few channels to its
    input. In training the labs of some windows are replaced by "unknown", so that there
    is an embedding for labs outside the training data.
    """

    task: PairTask

    def __init__(self, config: ModelConfig, task: PairTask) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.features, self.scaling = build_inputs(task.kind, config)
        self.lab = nn.Embedding(len(task.labs) + 1, config.lab_channels)
        self.network = build_network(config, self.input_channels, len(task.actions))
        # In most frames no action happens: the training starts from there.
        nn.init.constant_(self.network.head.bias, FIRST_LOGIT)

    @property
    def input_channels(self) -> int:
        """Number of the network's input channels; the last says if a view is a self."""
        return self.scaling.channels + self.config.lab_channels + 1

    def extract_features(
        self, poses_BTPK2: Float[Tensor, "b t p k c"]
    ) -> Float[Tensor, "b t f"]:
        """Return features of poses in cm at the working rate, NaN where missing."""
        with torch.autocast(poses_BTPK2.device.type, enabled=False):
            return self.features(self.as_read(poses_BTPK2))

    def channels(
        self,
        shown: Float[Tensor, "b t p k c"] | Float[Tensor, "b t f"],
        *view: Tensor,
    ) -> Float[Tensor, "b t i"]:
        """Return the network's input; `view` are `lab_B` and `is_self_B`."""
        lab_B, is_self_B = view
        if self.training:
            forget_B = torch.rand(len(lab_B), device=lab_B.device)
            forget_B = forget_B < self.config.lab_dropout
            lab_B = lab_B.masked_fill(forget_B, UNKNOWN_LAB)
        x_BTC = self.scaling(self.features_of(shown))
        view_BC = torch.cat([self.lab(lab_B), is_self_B[:, None]], dim=1)
        view_BTC = view_BC[:, None].expand(-1, x_BTC.shape[1], -1)
        return torch.cat([x_BTC, view_BTC.to(x_BTC.dtype)], dim=2)

    def forward(
        self,
        shown: Float[Tensor, "b t p k c"] | Float[Tensor, "b t f"],
        lab_B: Int[Tensor, " b"],
        is_self_B: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b t n"]:
        """Return logits for poses, or for features that were computed before."""
        return self.network(self.channels(shown, lab_B, is_self_B))

    def probabilities(
        self, inputs_BUI: Float[Tensor, "b u i"], context: Context
    ) -> Float[Tensor, "b u n"]:
        """Return each action's probability; they are independent of each other."""
        windows, device = len(inputs_BUI), inputs_BUI.device
        # Members of an ensemble number the labs of their own training data.
        number = self.task.lab_number(context.lab)
        lab_B = torch.full((windows,), number, device=device)
        is_self_B = torch.full((windows,), context.is_self, device=device)
        return self(inputs_BUI, lab_B, is_self_B).float().sigmoid()


_MODELS: Mapping[type, Callable[[ModelConfig, Any], NetworkModel]] = {
    SceneTask: SceneModel,
    PairTask: PairModel,
}


def build_model(config: ModelConfig, task: SceneTask | PairTask) -> NetworkModel:
    """Return a new network model for a task.

    Raises `ConfigError` for one that no machine has the memory for; none is taken.
    """
    with torch.device("meta"):
        size = sum(p.numel() for p in _MODELS[type(task)](config, task).parameters())
    if size > MOST_PARAMETERS:
        raise ConfigError(
            f"model_type: {config.model_type} would have {size:,} parameters, at most "
            f"{MOST_PARAMETERS:,} are possible; make its layers smaller or fewer"
        )
    return _MODELS[type(task)](config, task)
