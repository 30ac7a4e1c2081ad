"""Changes to poses that leave what the animals do unchanged.

Dimension key: B batch, T time, A animal, K keypoint; a last axis of 2 is (x, y), cm.
Poses are changed before any feature is computed, so every feature stays consistent;
missing points (NaN) stay missing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor

from mabe.config import Augmentation
from mabe.features.animal_order import (
    Poses,
    PosesWithHeights,
    absent_animals,
    in_order,
)
from mabe.runtime.launch_environment import ProcessGroup
from mabe.runtime.tensors import to_device
from mabe.skeleton import RODENT, PoseLayout, Skeleton


@dataclass(frozen=True, slots=True)
class RandomNumbers:
    """Random numbers for some of a step's windows.

    They are drawn for all of the step's windows, and those of the others put aside: so
    a window gets the same whether one process has all of them or several share.
    """

    generator: Generator
    group: ProcessGroup = ProcessGroup()  # noqa: RUF009 - frozen

    def uniform(self, *size: int) -> Tensor:
        """Return numbers from 0 to 1; the first size is that of the windows."""
        return self._own(torch.rand, size)

    def normal(self, *size: int) -> Tensor:
        """Return numbers of mean 0 and standard deviation 1."""
        return self._own(torch.randn, size)

    def _own(self, draw: Callable[..., Tensor], size: tuple[int, ...]) -> Tensor:
        windows = size[0] * self.group.size
        device = self.generator.device
        drawn = draw((windows, *size[1:]), device=device, generator=self.generator)
        return drawn[self.group.own(windows)]


@dataclass(frozen=True, slots=True)
class Changes:
    """What is changed of each window of a step; None where nothing is."""

    matrix_B22: Float[Tensor, "b 2 2"] | None
    """Turns, mirrors and stretches."""
    flip_B: Bool[Tensor, " b"] | None
    shift_B2: Float[Tensor, "b 2"] | None
    noise_BTAK2: Float[Tensor, "b t a k 2"] | None
    order_BA: Float[Tensor, "b a"] | None
    """Animals that are there are put in the order of these numbers."""
    drop_BAK: Bool[Tensor, "b a k"] | None
    drop_first_B: Bool[Tensor, " b"] | None
    """Whether the first animal goes, where another one stays."""


def draw_changes(
    shape: Sequence[int], how: Augmentation, dice: RandomNumbers
) -> Changes:
    """Draw what is changed of windows; `shape` is that of their poses."""
    windows, _, animals, keypoints, _ = shape
    turns = how.turn or how.mirror or how.scale
    matrix_B22, flip_B = _draw_turns(windows, how, dice) if turns else (None, None)
    drops = bool(how.keypoint_dropout or how.animal_dropout)
    return Changes(
        matrix_B22=matrix_B22,
        flip_B=flip_B,
        shift_B2=how.shift_cm * dice.normal(windows, 2) if how.shift_cm else None,
        noise_BTAK2=dice.normal(*shape).mul_(how.noise_cm) if how.noise_cm else None,
        order_BA=dice.uniform(windows, animals) if how.reorder_animals else None,
        drop_BAK=dice.uniform(windows, animals, keypoints) < how.keypoint_dropout
        if drops
        else None,
        drop_first_B=dice.uniform(windows) < how.animal_dropout if drops else None,
    )


def _draw_turns(
    windows: int, how: Augmentation, dice: RandomNumbers
) -> tuple[Float[Tensor, "b 2 2"], Bool[Tensor, " b"]]:
    """Draw any angle, half of the windows to flip, and how much to stretch lengths."""
    angle_B = dice.uniform(windows) * (2 * math.pi * how.turn)
    stretch_B = 1 + how.scale * (2 * dice.uniform(windows) - 1)
    flip_B = dice.uniform(windows) < 0.5 * how.mirror
    cos_B, sin_B = angle_B.cos() * stretch_B, angle_B.sin() * stretch_B
    side_B = torch.where(flip_B, -1.0, 1.0)
    rows = [cos_B * side_B, sin_B * side_B, -sin_B, cos_B]
    return torch.stack(rows, dim=1).view(-1, 2, 2), flip_B


def augment(
    poses_BTAK2: PosesWithHeights, changes: Changes, skeleton: Skeleton = RODENT
) -> PosesWithHeights:
    """Return changed poses; time is stretched where windows are drawn.

    Points after those of the skeleton are the border of a zone: they are turned and
    moved with the poses, have no noise and are not dropped. Heights, which may follow x
    and y, are stretched and have no noise either.
    """
    if poses_BTAK2.shape[-1] == 2:
        return _augment_floor(poses_BTAK2, changes, skeleton)
    floor_BTAK2 = poses_BTAK2[..., :2].contiguous()
    heights = _augment_heights(poses_BTAK2, changes, skeleton)
    return torch.cat([_augment_floor(floor_BTAK2, changes, skeleton), heights], dim=-1)


def _augment_heights(
    poses_BTAK3: Float[Tensor, "b t a k 3"], changes: Changes, skeleton: Skeleton
) -> Float[Tensor, "b t a k 1"]:
    """Return changed heights: in the order of the points, missing where they are."""
    own = len(skeleton.keypoints)
    upwards_BTAK2 = poses_BTAK3[:, :, :, :own, 2:].expand(-1, -1, -1, -1, 2)
    matrix_B22 = changes.matrix_B22
    if matrix_B22 is not None:
        stretch_B = torch.linalg.det(matrix_B22).abs().sqrt()
        matrix_B22 = stretch_B[:, None, None] * torch.eye(2, device=stretch_B.device)
    still = replace(changes, matrix_B22=matrix_B22, shift_B2=None, noise_BTAK2=None)
    absent_BA = absent_animals(poses_BTAK3[:, :, :, :own])
    changed_BTAK2 = _augment_bodies(
        upwards_BTAK2.contiguous(), absent_BA, still, skeleton
    )
    return torch.cat(
        [changed_BTAK2[..., :1], poses_BTAK3[:, :, :, own:, 2:]],
        dim=3,
    )


def _augment_floor(poses_BTAK2: Poses, changes: Changes, skeleton: Skeleton) -> Poses:
    """Return changed poses without heights."""
    own = len(skeleton.keypoints)
    if poses_BTAK2.shape[3] == own:
        absent_BA = absent_animals(poses_BTAK2)
        return _augment_bodies(poses_BTAK2, absent_BA, changes, skeleton)
    border_BTAE2 = poses_BTAK2[:, :, :, own:]
    if changes.matrix_B22 is not None:
        turned = border_BTAE2.flatten(1, 3) @ changes.matrix_B22
        border_BTAE2 = turned.view(border_BTAE2.shape)
    if changes.shift_B2 is not None:
        border_BTAE2 = border_BTAE2 + changes.shift_B2[:, None, None, None]
    own_BTAK2 = poses_BTAK2[:, :, :, :own].contiguous()
    absent_BA = absent_animals(own_BTAK2)
    bodies = _augment_bodies(own_BTAK2, absent_BA, changes, skeleton)
    return torch.cat([bodies, border_BTAE2], dim=3)


def _augment_bodies(
    poses_BTAK2: Poses,
    absent_BA: Bool[Tensor, "b a"],
    changes: Changes,
    skeleton: Skeleton,
) -> Poses:
    """Return changed poses of animals and objects."""
    shape = poses_BTAK2.shape
    if (slot_BS := _new_order(absent_BA, changes, skeleton)) is not None:
        poses_BTAK2 = in_order(poses_BTAK2.flatten(2, 3), slot_BS).view(shape)
    if changes.matrix_B22 is not None:
        poses_BTAK2 = (poses_BTAK2.flatten(1, 3) @ changes.matrix_B22).view(shape)
    if slot_BS is None and changes.matrix_B22 is None:
        poses_BTAK2 = poses_BTAK2.clone()
    # In place from here on: fresh memory costs a processor more than the sums do.
    if (shift_B1S2 := _shift(absent_BA, changes)) is not None:
        poses_BTAK2 += shift_B1S2
    if changes.noise_BTAK2 is not None:
        poses_BTAK2 += changes.noise_BTAK2
    return poses_BTAK2


def _new_order(
    absent_BA: Bool[Tensor, "b a"], changes: Changes, skeleton: Skeleton
) -> Int[Tensor, "b s"] | None:
    """Return which slot's point comes to each slot; None where all stay."""
    if changes.order_BA is None and changes.flip_B is None:
        return None
    device = absent_BA.device
    order_A = torch.arange(absent_BA.shape[1], device=device)
    order_BA = order_A.expand(absent_BA.shape)
    if changes.order_BA is not None:
        order_BA = (changes.order_BA + absent_BA).argsort(dim=1)
    order_K = torch.arange(len(skeleton.keypoints), device=device)
    order_B1K = order_K.expand(len(absent_BA), 1, -1)
    if changes.flip_B is not None:
        mirrored_K = to_device(np.array(skeleton.mirror_order()), device)
        order_B1K = torch.where(changes.flip_B[:, None, None], mirrored_K, order_B1K)
    layout = PoseLayout(keypoints=skeleton.keypoints)
    return layout.slot_of(order_BA[..., None], order_B1K).flatten(1)


def _shift(
    absent_BA: Bool[Tensor, "b a"], changes: Changes
) -> Float[Tensor, "b 1 *slot 2"] | None:
    """Return how far points go in a window; NaN where they go missing.

    An animal goes missing only where another one stays.
    """
    shift_B2, drop_BAK = changes.shift_B2, changes.drop_BAK
    if drop_BAK is None or changes.drop_first_B is None:
        return None if shift_B2 is None else shift_B2[:, None, None, None]
    several_B = (~absent_BA).sum(dim=1) > 1
    is_first_A = torch.arange(absent_BA.shape[1], device=absent_BA.device) == 0
    drop_BA = (changes.drop_first_B & several_B)[:, None] & is_first_A
    drop_BAK = drop_BAK | drop_BA[..., None]
    nowhere_BAK2 = torch.zeros((), device=absent_BA.device).expand(*drop_BAK.shape, 2)
    if shift_B2 is not None:
        nowhere_BAK2 = shift_B2[:, None, None].expand(*drop_BAK.shape, 2)
    return nowhere_BAK2.masked_fill(drop_BAK[..., None], torch.nan)[:, None]
