"""Other variants of the same scene, for averaging at test time.

What animals do does not depend on which way the camera is turned, on left and right, or
on the numbers a lab gives to animals; a model learns that only approximately.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.skeleton import animal_of, keypoint_of, mirror_order, slot_of


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to show the same poses."""

    mirror: bool = False
    reverse: bool = False
    """Number the animals backwards; those that are absent stay behind."""
    turn: float = 0.0
    """Radians."""

    def of(self, poses_BTAK2: Float[Tensor, "b t a k 2"]) -> Float[Tensor, "b t a k 2"]:
        """Return changed poses."""
        if self.reverse:
            poses_BTAK2 = poses_BTAK2.flip(2)
        if self.mirror:
            order_K = torch.tensor(mirror_order(), device=poses_BTAK2.device)
            sides_2 = poses_BTAK2.new_tensor([-1.0, 1.0])
            poses_BTAK2 = poses_BTAK2.index_select(3, order_K) * sides_2
        if self.turn:
            cos, sin = math.cos(self.turn), math.sin(self.turn)
            poses_BTAK2 = poses_BTAK2 @ poses_BTAK2.new_tensor(
                [[cos, sin], [-sin, cos]]
            )
        return poses_BTAK2


def scene_variants(count: int, *, turns_matter: bool) -> list[Variant]:
    """Return at most so many different variants of a scene, the plain one first.

    In the scene's own frame of reference turning changes nothing, so there are four.
    """
    basic = [
        Variant(mirror=mirror, reverse=reverse)
        for reverse in (False, True)
        for mirror in (False, True)
    ]
    if not turns_matter or count <= len(basic):
        return basic[:count]
    steps = math.ceil(count / len(basic))
    turned = [
        Variant(each.mirror, each.reverse, 2 * math.pi * step / steps)
        for step in range(steps)
        for each in basic
    ]
    return turned[:count]


def pair_variants(count: int) -> list[Variant]:
    """Return at most two variants of a view: a mirror is all that changes it."""
    return [Variant(), Variant(mirror=True)][:count]


def slots_in_variants(slots: Iterable[int]) -> tuple[int, ...]:
    """Return the slots that occur in any feature_key of a scene in which some occur.

    Animals that are there are numbered from the first on, in any order, and a mirror
    makes a left ear of a right one.
    """
    seats = {animal_of(slot) for slot in slots}
    seen = {keypoint_of(slot) for slot in slots}
    mirror = mirror_order()
    either = sorted(seen | {mirror[keypoint] for keypoint in seen})
    return tuple(
        slot_of(animal, keypoint) for animal in range(len(seats)) for keypoint in either
    )
