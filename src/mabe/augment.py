"""Changes to poses that leave what the animals do unchanged.

Dimension key: B batch, T time, A animal, K keypoint; a last axis of 2 is (x, y), cm.
Poses are changed before any feature is computed, so every feature stays consistent.
Each function draws its random numbers from the dice it is given, one draw per window;
missing points (NaN) stay missing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Generator, Tensor

from mabe.skeleton import mirror_order
from mabe.team import Team
from mabe.transfers import to_device

Poses = Float[Tensor, "b t a k 2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How strongly poses are changed during training; zero or False is off."""

    turn: bool = True
    """Turn the arena by any angle: cameras have no north."""
    mirror: bool = True
    """Flip half of the windows, and exchange left and right keypoints."""
    shift_cm: float = 3.0
    """Standard deviation of a shift of the whole scene."""
    scale: float = 0.1
    """Stretch by up to this share: animals differ in size, and px/cm is a guess."""
    noise_cm: float = 0.05
    """Standard deviation of jitter on every point."""
    keypoint_dropout: float = 0.05
    """Chance that a keypoint of an animal is missing for the whole window."""
    animal_dropout: float = 0.02
    """Chance that an animal is missing for the whole window."""
    reorder_animals: bool = True
    """Shuffle which animal comes first; scenes have no direction."""
    time_stretch: float = 0.15
    """Play windows slower or faster by up to this share; one factor per batch."""

    @classmethod
    def none(cls) -> "Augmentation":
        """Leave poses as they are."""
        return cls(
            turn=False,
            mirror=False,
            shift_cm=0.0,
            scale=0.0,
            noise_cm=0.0,
            keypoint_dropout=0.0,
            animal_dropout=0.0,
            reorder_animals=False,
            time_stretch=0.0,
        )


@dataclass(frozen=True, slots=True)
class Dice:
    """Random numbers for some of a step's windows.

    They are drawn for all of the step's windows, and those of the others put aside: so
    a window gets the same whether one process has all of them or several share.
    """

    generator: Generator
    team: Team = Team()  # noqa: RUF009 - frozen

    def uniform(self, *size: int) -> Tensor:
        """Return numbers from 0 to 1; the first size is that of the windows."""
        return self._own(torch.rand, size)

    def normal(self, *size: int) -> Tensor:
        """Return numbers of mean 0 and standard deviation 1."""
        return self._own(torch.randn, size)

    def _own(self, draw: Callable[..., Tensor], size: tuple[int, ...]) -> Tensor:
        windows = size[0] * self.team.size
        device = self.generator.device
        drawn = draw((windows, *size[1:]), device=device, generator=self.generator)
        return drawn[self.team.own(windows)]


def center_scene(poses_BTAK2: Poses) -> Poses:
    """Move the mean of all points seen in a window to the origin.

    Where a camera's pixel (0, 0) lies tells nothing about behaviour.
    """
    center_B1112 = poses_BTAK2.nanmean(dim=(1, 2, 3), keepdim=True)
    return poses_BTAK2 - center_B1112


def pack_animals(poses_BTAK2: Poses) -> Poses:
    """Move animals that are absent from a window behind those that are there.

    Which numbers a lab gave to its animals tells nothing about behaviour.
    """
    absent_BA = poses_BTAK2[..., 0].isnan().all(dim=3).all(dim=1)
    if not poses_BTAK2.is_cuda and not (absent_BA[:, :-1] & ~absent_BA[:, 1:]).any():
        return poses_BTAK2  # in order as they are, which a GPU would have to wait for
    return _in_order(poses_BTAK2, absent_BA.to(torch.int8).argsort(dim=1, stable=True))


def augment(poses_BTAK2: Poses, how: Augmentation, dice: Dice) -> Poses:
    """Return changed poses; time is stretched where windows are drawn."""
    if how.turn or how.mirror or how.scale:
        poses_BTAK2 = turn_and_mirror(poses_BTAK2, how, dice)
    if how.shift_cm:
        shift_B1112 = dice.normal(len(poses_BTAK2), 1, 1, 1, 2)
        poses_BTAK2 = poses_BTAK2 + how.shift_cm * shift_B1112
    if how.noise_cm:
        noise_BTAK2 = dice.normal(*poses_BTAK2.shape)
        poses_BTAK2 = poses_BTAK2 + how.noise_cm * noise_BTAK2
    if how.reorder_animals:
        poses_BTAK2 = reorder_animals(poses_BTAK2, dice)
    return drop_points(poses_BTAK2, how, dice)


def turn_and_mirror(poses_BTAK2: Poses, how: Augmentation, dice: Dice) -> Poses:
    """Turn by any angle, flip half of the windows and stretch lengths."""
    windows = len(poses_BTAK2)
    angle_B = dice.uniform(windows) * (2 * math.pi * how.turn)
    stretch_B = 1 + how.scale * (2 * dice.uniform(windows) - 1)
    flip_B = dice.uniform(windows) < 0.5 * how.mirror
    cos_B, sin_B = angle_B.cos() * stretch_B, angle_B.sin() * stretch_B
    side_B = torch.where(flip_B, -1.0, 1.0)
    matrix_B22 = torch.stack(
        [cos_B * side_B, sin_B * side_B, -sin_B, cos_B], dim=1
    ).view(-1, 2, 2)
    order_K = to_device(np.array(mirror_order()), poses_BTAK2.device)
    mirrored = poses_BTAK2.index_select(3, order_K)
    poses_BTAK2 = torch.where(flip_B.view(-1, 1, 1, 1, 1), mirrored, poses_BTAK2)
    return (poses_BTAK2.flatten(1, 3) @ matrix_B22).view(poses_BTAK2.shape)


def reorder_animals(poses_BTAK2: Poses, dice: Dice) -> Poses:
    """Shuffle the animals that are there; absent ones go last."""
    windows, _, animals = poses_BTAK2.shape[:3]
    absent_BA = poses_BTAK2[..., 0].isnan().all(dim=3).all(dim=1)
    key_BA = dice.uniform(windows, animals) + absent_BA
    return _in_order(poses_BTAK2, key_BA.argsort(dim=1))


def drop_points(poses_BTAK2: Poses, how: Augmentation, dice: Dice) -> Poses:
    """Make some keypoints, and some whole animals, missing for a whole window.

    An animal is only dropped where another one stays.
    """
    if not (how.keypoint_dropout or how.animal_dropout):
        return poses_BTAK2
    windows, _, animals, keypoints, _ = poses_BTAK2.shape
    chance_BAK = dice.uniform(windows, animals, keypoints)
    drop_BAK = chance_BAK < how.keypoint_dropout
    one_B = dice.uniform(windows)
    several_B = ~poses_BTAK2[:, :, 1:, :, 0].isnan().flatten(1).all(dim=1)
    drop_BAK[:, 0] |= ((one_B < how.animal_dropout) & several_B)[:, None]
    return poses_BTAK2.masked_fill(drop_BAK[:, None, :, :, None], torch.nan)


def _in_order(poses_BTAK2: Poses, order_BA: Tensor) -> Poses:
    row_B1 = torch.arange(len(poses_BTAK2), device=poses_BTAK2.device)[:, None]
    return poses_BTAK2.transpose(1, 2)[row_B1, order_BA].transpose(1, 2)
