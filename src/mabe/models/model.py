"""The model: poses in, what each frame shows out.

Dimension key: B batch, T time, A animal, P seat (agent, target, others), K keypoint,
F feature, N answers (classes or actions), U block of frames, R statistic.
Features are part of it, so training and use cannot differ. There is one kind for each
task, features → entry → network; and trees for either, features → statistics → forest.

Each has two steps: `look` gives features of poses, `answer` what they mean. Models
with the same `feature_key` see the same features, so several can share one look.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mabe.features.arrangement import pack_animals
from mabe.features.motion import ALL_SLOTS, MotionFeatures
from mabe.features.nearest_pair import NearestPairFeatures
from mabe.features.pair import PairFeatures, PairSocialFeatures
from mabe.features.rolling import RollingConfig, rolling_statistics
from mabe.features.social import SocialFeatures
from mabe.models.boosted_trees import Forest
from mabe.models.conv_bilstm import ConvBiLSTM
from mabe.models.conv_gru import ConvGRU
from mabe.models.input_scaling import (
    FeatureEntry,
    FittedEntry,
    PairEntry,
    PairSocialEntry,
    channels_of_slots,
)
from mabe.models.model_config import ModelConfig
from mabe.models.tcn import TCN
from mabe.pair_task import UNKNOWN_LAB, PairTask
from mabe.runtime.tensors import has_quick_bf16, in_cache
from mabe.scene_task import SceneTask

FIRST_LOGIT = -3.0
"""What a fresh network of pairs answers: one in twenty."""


STATISTICS = RollingConfig()
"""What trees are told of each feature."""


LONGER_IN_USE = 4
"""A GRU at use sees windows so many times as long as those it learned from: on
`rat_dyad` worth 0.003 in each of four folds, and longer ones nothing more."""


SHARED_IN_USE = 4
"""Two windows in use have a quarter in common: with V2 on two folds of `rat_dyad` not
worse than a half, for a third less work."""


class _Seeing(nn.Module):
    """What models of every kind have in common: settings, and features."""

    config: ModelConfig
    features: Any
    """A module with the `names` and `groups` of its features."""

    @property
    def feature_names(self) -> list[str]:
        """The features' names, in order."""
        return list(self.features.names)


class _Network(_Seeing):
    """What networks of both tasks have in common: how they see."""

    @property
    def feature_key(self) -> tuple[Any, ...]:
        """What decides how it sees a recording."""
        return ("network", self.window, self.overlap, *feature_settings(self.config))

    @property
    def window(self) -> int:
        """How many frames it sees at once in use."""
        return window_in_use(self.config)

    @property
    def overlap(self) -> int:
        """How many frames two windows in use have in common."""
        return self.window // SHARED_IN_USE


class SceneModel(_Network):
    """Tells which of the classes a frame shows."""

    def __init__(self, config: ModelConfig, task: SceneTask) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.features = scene_features(config)
        self.entry = (
            FittedEntry(features=len(self.features.names))
            if config.feature_set == "social"
            else FeatureEntry(features=len(self.features.names))
        )
        self.network = build_network(config, self.entry.channels, len(task.classes))

    def look(self, poses_BTAK2: Float[Tensor, "b t a k 2"]) -> Float[Tensor, "b t f"]:
        """Return features of poses in cm at the working rate, NaN where missing."""
        with torch.autocast(poses_BTAK2.device.type, enabled=False):
            # Features stay in 32 bits: speeds are small differences of large numbers.
            return self.features(pack_animals(poses_BTAK2))

    def answer(self, x_BTF: Float[Tensor, "b t f"]) -> Float[Tensor, "b t n"]:
        """Return logits for features."""
        dtype = self.network.head.weight.dtype
        return self.network(
            in_cache(lambda some: self.entry(x_BTF[some]).to(dtype), x_BTF)
        )

    def forward(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t n"]:
        """Return logits for poses."""
        return self.answer(self.look(poses_BTAK2))

    def probabilities(
        self, x_BTF: Float[Tensor, "b t f"], possible_N: Bool[Tensor, " n"]
    ) -> Float[Tensor, "b t n"]:
        """Return probabilities over the classes that are possible; others get 0."""
        if isinstance(self.features, MotionFeatures):
            x_BTF = self.features.center_places(x_BTF)
        logits_BTN = self.answer(x_BTF).float()
        return logits_BTN.masked_fill(~possible_N, -torch.inf).softmax(dim=-1)

    def for_use(self, slots: Sequence[int]) -> "SceneModel":
        """Return a quick copy, to mark recordings in which only these slots occur.

        Channels of slots that never occur are zero, so leaving them out changes no
        answer; of a usual lab's two animals that leaves a quarter of the work.
        """
        if not isinstance(self.network, ConvBiLSTM) or not isinstance(
            self.features, MotionFeatures
        ):
            return self
        quick = copy.deepcopy(self)
        device = self.network.head.weight.device
        quick.features = scene_features(self.config, slots).to(device)
        features = len(quick.features.names)
        quick.entry = FeatureEntry(features=features, slots=len(slots)).to(device)
        assert isinstance(quick.network, ConvBiLSTM)
        quick.network.keep_inputs(
            channels_of_slots(slots, features=len(self.features.names))
        )
        if has_quick_bf16(device):
            quick.network.to(torch.bfloat16)
        return quick


class PairModel(_Network):
    """Tells, for one agent and one target, each action's probability.

    All labs share the network; what is special to a lab is a few channels learned for
    it. In training some windows are shown as from an unknown lab, so that these
    channels exist for labs it never saw.
    """

    def __init__(self, config: ModelConfig, task: PairTask) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.features, self.entry = pair_senses(config)
        self.lab = nn.Embedding(len(task.labs) + 1, config.lab_channels)
        channels = self.entry.channels + config.lab_channels + 1
        self.network = build_network(config, channels, len(task.actions))
        # Most animals do nothing special most of the time: begin by saying so.
        nn.init.constant_(self.network.head.bias, FIRST_LOGIT)

    def look(self, poses_BTPK2: Float[Tensor, "b t p k 2"]) -> Float[Tensor, "b t f"]:
        """Return features of poses in cm at the working rate, NaN where missing."""
        with torch.autocast(poses_BTPK2.device.type, enabled=False):
            return self.features(poses_BTPK2)

    def answer(
        self,
        x_BTF: Float[Tensor, "b t f"],
        lab_B: Int[Tensor, " b"],
        is_self_B: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b t n"]:
        """Return logits for features."""
        if self.training:
            forget_B = torch.rand(len(lab_B), device=lab_B.device)
            forget_B = forget_B < self.config.lab_dropout
            lab_B = lab_B.masked_fill(forget_B, UNKNOWN_LAB)
        x_BTC = self.entry(x_BTF)
        about_BC = torch.cat([self.lab(lab_B), is_self_B[:, None]], dim=1)
        about_BTC = about_BC[:, None].expand(-1, x_BTC.shape[1], -1)
        return self.network(torch.cat([x_BTC, about_BTC.to(x_BTC.dtype)], dim=2))

    def forward(
        self,
        poses_BTPK2: Float[Tensor, "b t p k 2"],
        lab_B: Int[Tensor, " b"],
        is_self_B: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b t n"]:
        """Return logits for poses."""
        return self.answer(self.look(poses_BTPK2), lab_B, is_self_B)

    def probabilities(
        self,
        x_BTF: Float[Tensor, "b t f"],
        lab_B: Int[Tensor, " b"],
        is_self_B: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b t n"]:
        """Return each action's probability; they are independent of each other."""
        return self.answer(x_BTF, lab_B, is_self_B).float().sigmoid()


class TreesModel(_Seeing):
    """Trees for either task; they have no weights but their own text.

    As a module it moves, saves and loads like the others: its text is a buffer of
    bytes.
    """

    text_X: Tensor

    def __init__(
        self, config: ModelConfig, task: SceneTask | PairTask, forest: Forest
    ) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.forest = forest
        self.features = tree_features(config, task)
        text = np.frombuffer(forest.to_bytes(), np.uint8).copy()
        self.register_buffer("text_X", torch.from_numpy(text))

    @property
    def feature_key(self) -> tuple[Any, ...]:
        """What decides how it sees a recording."""
        return ("trees", *feature_settings(self.config))

    @property
    def block_frames(self) -> int:
        """How many frames are decided on together."""
        return STATISTICS.block_frames(self.config.fps)

    def statistic_names(self) -> tuple[str, ...]:
        """Return the statistics' names in order, such as ``gap_cm.mean.6s``."""
        return STATISTICS.names(self.features.names)

    def look(self, poses_BTAK2: Float[Tensor, "b t a k 2"]) -> Float[Tensor, "b t f"]:
        """Return features of poses in cm at the working rate, NaN where missing."""
        if isinstance(self.task, SceneTask):
            poses_BTAK2 = pack_animals(poses_BTAK2)
        return self.features(poses_BTAK2)

    def rows(self, x_TF: Float[Tensor, "t f"]) -> Float[np.ndarray, "u r"]:
        """Return the statistics of features, a row for each block of frames."""
        return rolling_statistics(x_TF.cpu().numpy(), self.config.fps, STATISTICS)

    def answer(self, rows: Float[np.ndarray, "u r"]) -> Float[np.ndarray, "u n"]:
        """Return each class's, or action's, probability in each block."""
        return self.forest.probabilities(rows, threads=torch.get_num_threads())


Network = SceneModel | PairModel


Model = SceneModel | PairModel | TreesModel


def window_in_use(config: ModelConfig) -> int:
    """Return how many frames a network sees at once when it is used."""
    longer = LONGER_IN_USE if config.model_type == "conv_gru" else 1
    return longer * config.sequence_length


def feature_settings(config: ModelConfig) -> tuple[Any, ...]:
    """Return all settings on which features depend."""
    return (
        config.feature_set,
        config.fps,
        config.max_gap_s,
        config.use_motion_features,
        config.scene_frame,
    )


def scene_features(
    config: ModelConfig, slots: Sequence[int] = ALL_SLOTS
) -> MotionFeatures | NearestPairFeatures:
    """Return what turns a scene's poses, in which some slots occur, into features."""
    if config.feature_set == "social":
        return NearestPairFeatures(rate_fps=config.fps, max_gap_s=config.max_gap_s)
    return MotionFeatures(
        rate_fps=config.fps,
        use_motion_features=config.use_motion_features,
        max_gap_s=config.max_gap_s,
        scene_frame=config.scene_frame,
        slots=slots,
    )


def pair_senses(
    config: ModelConfig,
) -> tuple[PairFeatures | PairSocialFeatures, PairEntry | PairSocialEntry]:
    """Return what turns a view's poses into features, and those into channels."""
    kind = PairSocialFeatures if config.feature_set == "social" else PairFeatures
    features = kind(
        rate_fps=config.fps,
        use_motion_features=config.use_motion_features,
        max_gap_s=config.max_gap_s,
    )
    if isinstance(features, PairFeatures):
        return features, PairEntry(features.layout)
    social = len(features.social.names)
    return features, PairSocialEntry(features.view.layout, social=social)


def tree_features(
    config: ModelConfig, task: SceneTask | PairTask
) -> MotionFeatures | NearestPairFeatures | SocialFeatures:
    """Return what trees see; places of each keypoint would be too many for them."""
    if isinstance(task, SceneTask):
        return scene_features(config)
    return SocialFeatures(
        rate_fps=config.fps, max_gap_s=config.max_gap_s, directed=True
    )


def build_model(config: ModelConfig, task: SceneTask | PairTask) -> Network:
    """Return a fresh network for a task."""
    if isinstance(task, PairTask):
        return PairModel(config, task)
    return SceneModel(config, task)


def build_network(
    config: ModelConfig, channels: int, answers: int
) -> ConvBiLSTM | TCN | ConvGRU:
    """Return the network that `model_type` names."""
    if config.model_type == "conv_gru":
        return ConvGRU(
            channels,
            answers,
            width=config.gru_width,
            layers=config.gru_layers,
            pooling=config.gru_pooling,
            dropout=config.dropout,
        )
    if config.model_type == "tcn":
        return TCN(
            channels,
            answers,
            width=config.tcn_width,
            layers=config.tcn_layers,
            dropout=config.dropout,
        )
    return ConvBiLSTM(
        channels,
        answers,
        conv_channels=config.conv_channels,
        conv_kernel=config.conv_kernel,
        lstm_hidden=config.lstm_hidden,
        lstm_layers=config.lstm_layers,
        dropout=config.dropout,
    )
