"""What a batch asks of a network, and how wrong its answers are.

Dimension key: B batch, T time, N answers (classes or actions).
A targets goes through the network in pieces when memory is short, so losses are sums
here; whoever adds them up divides by the `total` of the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mabe.data.pair_windows import PairBatch
from mabe.data.scene_windows import Batch
from mabe.runtime.tensors import to_device


@dataclass(frozen=True, slots=True)
class SceneTargets:
    """Which class does each frame show, of those possible in its recording."""

    labels_BT: Int[Tensor, "b t"]
    possible_BN: Bool[Tensor, "b n"]
    weights_N: Float[Tensor, " n"]

    @classmethod
    def of_batch(
        cls, batch: Batch, weights: list[float], device: torch.device
    ) -> "SceneTargets":
        """Bring a batch's labels to the device."""
        return cls(
            to_device(batch.labels, device),
            to_device(batch.possible, device),
            to_device(np.array(weights, np.float32), device),
        )

    def split(self, windows: int) -> list["SceneTargets"]:
        """Return pieces of at most so many windows."""
        pieces = zip(
            self.labels_BT.split(windows), self.possible_BN.split(windows), strict=True
        )
        return [
            SceneTargets(labels, possible, self.weights_N)
            for labels, possible in pieces
        ]

    def total(self) -> Float[Tensor, ""]:
        """Return the summed weight of what counts."""
        weights_BT = self.weights_N[self.labels_BT.clamp(min=0).long()]
        return (weights_BT * (self.labels_BT >= 0)).sum()

    def loss(
        self, model: nn.Module, poses: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, ""]:
        """Return the summed, class-weighted cross entropy of the frames that count."""
        return scene_loss(
            model(poses), self.labels_BT, self.possible_BN, self.weights_N
        )


@dataclass(frozen=True, slots=True)
class PairTargets:
    """Which actions happen in each frame, from this agent to this target."""

    labels_BTN: Int[Tensor, "b t n"]
    lab_B: Int[Tensor, " b"]
    is_self_B: Bool[Tensor, " b"]
    action_weights_N: Float[Tensor, " n"]
    happening_weights_N: Float[Tensor, " n"]
    """What a frame in which the action happens weighs, against one in which not."""

    @classmethod
    def of_batch(
        cls, batch: PairBatch, weights: "ActionWeights", device: torch.device
    ) -> "PairTargets":
        """Bring a batch's labels to the device."""
        return cls(
            to_device(batch.labels, device),
            to_device(batch.lab, device),
            to_device(batch.is_self, device),
            to_device(np.array(weights.action, np.float32), device),
            to_device(np.array(weights.happening, np.float32), device),
        )

    def split(self, windows: int) -> list["PairTargets"]:
        """Return pieces of at most so many windows."""
        pieces = zip(
            self.labels_BTN.split(windows),
            self.lab_B.split(windows),
            self.is_self_B.split(windows),
            strict=True,
        )
        return [
            PairTargets(*piece, self.action_weights_N, self.happening_weights_N)
            for piece in pieces
        ]

    def total(self) -> Float[Tensor, ""]:
        """Return the summed weight of what counts."""
        return _answer_weights(
            self.labels_BTN, self.action_weights_N, self.happening_weights_N
        ).sum()

    def loss(
        self, model: nn.Module, poses: Float[Tensor, "b t p k 2"]
    ) -> Float[Tensor, ""]:
        """Return the summed, weighted cross entropy of the answers watched for."""
        return pair_loss(
            model(poses, self.lab_B, self.is_self_B),
            self.labels_BTN,
            self.action_weights_N,
            self.happening_weights_N,
        )


@dataclass(frozen=True, slots=True)
class ActionWeights:
    """How much each action counts in the loss."""

    action: tuple[float, ...]
    happening: tuple[float, ...]
    """What a frame with the action weighs, against one without."""


def balance_classes(counts: Sequence[int], *, power: float = 0.5) -> list[float]:
    """Return weights that raise a class by how much rarer it is, to the `power`.

    The most frequent class weighs 1; so does one that never occurs.
    """
    most = max(counts)
    return [(most / count) ** power if count else 1.0 for count in counts]


def balance_actions(
    happened: list[int],
    watched: list[int],
    *,
    power: float,
    by_hand: list[float],
) -> ActionWeights:
    """Return weights that raise an action the more the rarer it is.

    A frame with an action weighs (frames without / frames with) to the `power`.
    """
    happening = [
        ((all_frames - frames) / frames) ** power if 0 < frames < all_frames else 1.0
        for frames, all_frames in zip(happened, watched, strict=True)
    ]
    return ActionWeights(tuple(by_hand), tuple(max(1.0, each) for each in happening))


def scene_loss(
    logits_BTN: Float[Tensor, "b t n"],
    labels_BT: Int[Tensor, "b t"],
    possible_BN: Bool[Tensor, "b n"],
    weights_N: Float[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Return the summed, class-weighted cross entropy of the frames that count.

    Each frame chooses among the classes that are possible in its recording.
    """
    logits_BTN = logits_BTN.float().masked_fill(~possible_BN[:, None], -torch.inf)
    return F.cross_entropy(
        logits_BTN.flatten(0, 1),
        labels_BT.flatten().long(),
        weight=weights_N,
        ignore_index=-1,
        reduction="sum",
    )


def pair_loss(
    logits_BTN: Float[Tensor, "b t n"],
    labels_BTN: Int[Tensor, "b t n"],
    action_weights_N: Float[Tensor, " n"],
    happening_weights_N: Float[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Return the summed, weighted binary cross entropy; unwatched answers are free."""
    weights_BTN = _answer_weights(labels_BTN, action_weights_N, happening_weights_N)
    return F.binary_cross_entropy_with_logits(
        logits_BTN.float(),
        labels_BTN.clamp(min=0).float(),
        weight=weights_BTN,
        reduction="sum",
    )


def _answer_weights(
    labels_BTN: Tensor, action_weights_N: Tensor, happening_weights_N: Tensor
) -> Tensor:
    weights_BTN = torch.where(labels_BTN == 1, happening_weights_N, 1.0)
    return weights_BTN * action_weights_N * (labels_BTN >= 0)
