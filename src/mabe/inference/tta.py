"""Test-time augmentation: variants of the same poses, whose predictions are averaged.

Behaviour does not depend on which way the camera is turned, on left and right, or on
the numbers a lab gives to animals; a model learns that only approximately.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.base import Symmetry
from mabe.skeleton import RODENT, PoseLayout, Skeleton


@dataclass(frozen=True, slots=True)
class Variant:
    """A change of poses that does not change the behaviour."""

    mirror: bool = False
    reverse: bool = False
    """Reverse the order of the animals; absent ones stay behind the others."""
    turn: float = 0.0
    """Radians."""

    def of(
        self, poses_BTAK2: Float[Tensor, "b t a k c"], skeleton: Skeleton = RODENT
    ) -> Float[Tensor, "b t a k c"]:
        """Return changed poses; further points than the skeleton's are a zone's.

        Heights, which may follow x and y, stay.
        """
        if self.reverse:
            poses_BTAK2 = poses_BTAK2.flip(2)
        if self.mirror:
            further = range(len(skeleton.keypoints), poses_BTAK2.shape[3])
            order = [*skeleton.mirror_order(), *further]
            order_K = torch.tensor(order, device=poses_BTAK2.device)
            upright = [1.0] * (poses_BTAK2.shape[-1] - 1)
            sides_2 = poses_BTAK2.new_tensor([-1.0, *upright])
            poses_BTAK2 = poses_BTAK2.index_select(3, order_K) * sides_2
        if self.turn:
            cos, sin = math.cos(self.turn), math.sin(self.turn)
            turn_22 = poses_BTAK2.new_tensor([[cos, sin], [-sin, cos]])
            turned_BTAK2 = poses_BTAK2[..., :2] @ turn_22
            poses_BTAK2 = torch.cat([turned_BTAK2, poses_BTAK2[..., 2:]], dim=-1)
        return poses_BTAK2


def pose_variants(symmetries: Collection[Symmetry], count: int) -> list[Variant]:
    """Return at most so many different variants, the unchanged poses first.

    Only variants under which features change make a difference: up to two each for
    ``mirror`` and ``order``, and as many as are wanted for ``turn``.
    """
    basic = [
        Variant(mirror=mirror, reverse=reverse)
        for reverse in _either("order" in symmetries)
        for mirror in _either("mirror" in symmetries)
    ]
    if "turn" not in symmetries or count <= len(basic):
        return basic[:count]
    steps = math.ceil(count / len(basic))
    turned = [
        Variant(each.mirror, each.reverse, 2 * math.pi * step / steps)
        for step in range(steps)
        for each in basic
    ]
    return turned[:count]


def _either(matters: bool) -> tuple[bool, ...]:
    return (False, True) if matters else (False,)


def mean_over_variants(terms: Sequence[Tensor], variants: int) -> Tensor:
    """Return the mean over so many variants of the sum of each variant's terms.

    The terms of a variant are the weighted probabilities of an ensemble's members.
    """
    return torch.stack(list(terms)).sum(dim=0) / variants


def slots_in_variants(
    slots: Iterable[int], skeleton: Skeleton = RODENT
) -> tuple[int, ...]:
    """Return the slots that occur in some variant of a scene in which these occur.

    The animals that are present come first, in any order, and a mirror image exchanges
    left and right keypoints.
    """
    layout, slots = PoseLayout(keypoints=skeleton.keypoints), tuple(slots)
    animals = {layout.animal_of(slot) for slot in slots}
    keypoints = {layout.keypoint_of(slot) for slot in slots}
    mirror = skeleton.mirror_order()
    either = sorted(keypoints | {mirror[keypoint] for keypoint in keypoints})
    return tuple(
        layout.slot_of(animal, keypoint)
        for animal in range(len(animals))
        for keypoint in either
    )
