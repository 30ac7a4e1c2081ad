"""Losses of the two tasks, and the weights of classes and actions in them.

Dimension key: B batch, T time, N classes or actions.
A batch goes through the network in pieces when memory is short. So losses are sums
here, to be divided by the total weight of the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class ActionWeights:
    """The weight of each action in the loss."""

    action: tuple[float, ...]
    happening: tuple[float, ...]
    """The weight of a frame with the action, relative to one without."""


def balance_classes(counts: Sequence[int], *, power: float = 0.5) -> list[float]:
    """Return weights that raise a class by how much rarer it is, to the `power`.

    The most frequent class has weight 1; so has one that never occurs.
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

    The weight of a frame with the action is (frames without / frames with) to the
    `power`. `by_hand` are the weights of whole actions.
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

    The softmax of a frame is over the classes that are possible in its recording.
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
    """Return the summed, weighted binary cross entropy; -1 does not count."""
    weights_BTN = pair_loss_weights(labels_BTN, action_weights_N, happening_weights_N)
    return F.binary_cross_entropy_with_logits(
        logits_BTN.float(),
        labels_BTN.clamp(min=0).float(),
        weight=weights_BTN,
        reduction="sum",
    )


def pair_loss_weights(
    labels_BTN: Int[Tensor, "b t n"],
    action_weights_N: Float[Tensor, " n"],
    happening_weights_N: Float[Tensor, " n"],
) -> Float[Tensor, "b t n"]:
    """Return the weight of each label in the loss, 0 where it does not count."""
    weights_BTN = torch.where(labels_BTN == 1, happening_weights_N, 1.0)
    return weights_BTN * action_weights_N * (labels_BTN >= 0)


def scene_loss_of_shares(
    logits_BTN: Float[Tensor, "b t n"],
    shares_BTN: Float[Tensor, "b t n"],
    possible_BN: Bool[Tensor, "b n"],
    weights_N: Float[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Return the summed, class-weighted cross entropy with shares of classes.

    A frame without shares does not count.
    """
    logits_BTN = logits_BTN.float().masked_fill(~possible_BN[:, None], -torch.inf)
    terms_BTN = shares_BTN * weights_N * logits_BTN.log_softmax(dim=-1)
    return -terms_BTN.masked_fill(shares_BTN == 0, 0.0).sum()


def pair_loss_of_shares(
    logits_BTN: Float[Tensor, "b t n"],
    shares_BTN: Float[Tensor, "b t n"],
    action_weights_N: Float[Tensor, " n"],
    happening_weights_N: Float[Tensor, " n"],
) -> Float[Tensor, ""]:
    """Return the summed, weighted binary cross entropy with shares; -1 does not count.

    The mean of the losses with and without the action, weighted by its share.
    """
    counts_BTN = shares_BTN >= 0
    on_BTN = shares_BTN.clamp(min=0) * happening_weights_N
    off_BTN = (1 - shares_BTN) * counts_BTN
    logits_BTN = logits_BTN.float()
    with_BTN = on_BTN * F.logsigmoid(logits_BTN)
    without_BTN = off_BTN * F.logsigmoid(-logits_BTN)
    return -((with_BTN + without_BTN) * action_weights_N).sum()


def pair_share_weights(
    shares_BTN: Float[Tensor, "b t n"],
    action_weights_N: Float[Tensor, " n"],
    happening_weights_N: Float[Tensor, " n"],
) -> Float[Tensor, "b t n"]:
    """Return the weight of each share in the loss, 0 where it does not count."""
    counts_BTN = shares_BTN >= 0
    on_BTN = shares_BTN.clamp(min=0) * happening_weights_N
    return (on_BTN + (1 - shares_BTN) * counts_BTN) * action_weights_N
