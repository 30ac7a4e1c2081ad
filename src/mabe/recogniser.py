"""The recogniser: poses in, one logit for each answer and frame out.

Dimension key: B batch, T time, A animal, P seat (agent, target, others), K keypoint,
N answers (classes or actions).
Features are part of it, so training and use cannot differ. There is one kind for each
task; both are features → entry → network.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mabe.augment import center_scene, pack_animals
from mabe.config import RunConfig
from mabe.features.motion import MotionFeatures
from mabe.features.pair import PairFeatures
from mabe.models.conv_bilstm import ConvBiLSTM
from mabe.models.entry import FeatureEntry, PairEntry
from mabe.models.tcn import TCN
from mabe.pairs import UNKNOWN_LAB, PairTask
from mabe.tasks import SceneTask

FIRST_LOGIT = -3.0
"""What a fresh network of pairs answers: one in twenty."""


class SceneRecogniser(nn.Module):
    """Tells which of the classes a frame shows."""

    def __init__(self, config: RunConfig, task: SceneTask) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.features = MotionFeatures(
            rate_fps=config.fps,
            use_motion_features=config.use_motion_features,
            max_gap_s=config.max_gap_s,
            scene_frame=config.scene_frame,
        )
        self.entry = FeatureEntry(features=config.features)
        self.network = build_network(config, self.entry.channels, len(task.classes))

    def forward(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t n"]:
        """Return logits for poses in cm at the working rate, NaN where missing."""
        with torch.autocast(poses_BTAK2.device.type, enabled=False):
            # Features stay in 32 bits: speeds are small differences of large numbers.
            x_BTF = self.features(pack_animals(poses_BTAK2))
        return self.network(self.entry(x_BTF))

    def probabilities(
        self,
        poses_BTAK2: Float[Tensor, "b t a k 2"],
        possible_N: Bool[Tensor, " n"],
    ) -> Float[Tensor, "b t n"]:
        """Return probabilities over the classes that are possible; others get 0."""
        logits_BTN = self(center_scene(poses_BTAK2)).float()
        return logits_BTN.masked_fill(~possible_N, -torch.inf).softmax(dim=-1)


class PairRecogniser(nn.Module):
    """Tells, for one agent and one target, each action's probability.

    All labs share the network; what is special to a lab is a few channels learned for
    it. In training some windows are shown as from an unknown lab, so that these
    channels exist for labs it never saw.
    """

    def __init__(self, config: RunConfig, task: PairTask) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.features = PairFeatures(
            rate_fps=config.fps,
            use_motion_features=config.use_motion_features,
            max_gap_s=config.max_gap_s,
        )
        self.entry = PairEntry(self.features.layout)
        self.lab = nn.Embedding(len(task.labs) + 1, config.lab_channels)
        channels = self.entry.channels + config.lab_channels + 1
        self.network = build_network(config, channels, len(task.actions))
        # Most animals do nothing special most of the time: begin by saying so.
        nn.init.constant_(self.network.head.bias, FIRST_LOGIT)

    def forward(
        self,
        poses_BTPK2: Float[Tensor, "b t p k 2"],
        lab_B: Int[Tensor, " b"],
        is_self_B: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b t n"]:
        """Return logits for poses in cm at the working rate, NaN where missing."""
        with torch.autocast(poses_BTPK2.device.type, enabled=False):
            x_BTF = self.features(poses_BTPK2)
        if self.training:
            forget_B = torch.rand(len(lab_B), device=lab_B.device)
            forget_B = forget_B < self.config.lab_dropout
            lab_B = lab_B.masked_fill(forget_B, UNKNOWN_LAB)
        x_BTC = self.entry(x_BTF)
        about_BC = torch.cat([self.lab(lab_B), is_self_B[:, None]], dim=1)
        about_BTC = about_BC[:, None].expand(-1, x_BTC.shape[1], -1)
        return self.network(torch.cat([x_BTC, about_BTC.to(x_BTC.dtype)], dim=2))

    def probabilities(
        self,
        poses_BTPK2: Float[Tensor, "b t p k 2"],
        lab_B: Int[Tensor, " b"],
        is_self_B: Bool[Tensor, " b"],
    ) -> Float[Tensor, "b t n"]:
        """Return each action's probability; they are independent of each other."""
        return self(poses_BTPK2, lab_B, is_self_B).float().sigmoid()


Recogniser = SceneRecogniser | PairRecogniser


def build_recogniser(config: RunConfig, task: SceneTask | PairTask) -> Recogniser:
    """Return a fresh recogniser for a task."""
    if isinstance(task, PairTask):
        return PairRecogniser(config, task)
    return SceneRecogniser(config, task)


def build_network(config: RunConfig, channels: int, answers: int) -> ConvBiLSTM | TCN:
    """Return the network that `model_type` names."""
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
