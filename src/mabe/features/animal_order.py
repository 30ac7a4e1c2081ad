"""The order of the animals, and the origin of a window of poses.

Dimension key: B batch, T time, A animal, K keypoint; a last axis of 2 is (x, y), cm.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mabe.features.gaps import count_tracked
from mabe.runtime import tensors

Poses = Float[Tensor, "b t a k 2"]

PosesWithHeights = Float[Tensor, "b t a k c"]
"""Poses; a height may follow x and y."""


def center_scene(poses_BTAK2: PosesWithHeights) -> PosesWithHeights:
    """Move the mean of all tracked points of a window to the origin.

    Behaviour does not depend on where a camera's pixel (0, 0) lies. Heights, if there
    are any, stay those above the floor.
    """
    # A sum and a count take half as long as `nanmean`.
    sum_B2 = poses_BTAK2.nansum(dim=(1, 2, 3))
    center_B2 = sum_B2 / count_tracked(poses_BTAK2).sum(dim=(1, 2))[:, None]
    center_B2[:, 2:] = 0
    return poses_BTAK2 - center_B2[:, None, None, None]


def pack_animals(poses_BTAK2: Poses) -> Poses:
    """Move animals that are absent from a window behind those that are present.

    Behaviour does not depend on the numbers that a lab gave to its animals.
    """
    absent_BA = absent_animals(poses_BTAK2)
    if tensors.is_on_cpu(poses_BTAK2) and not _out_of_order(absent_BA):
        return poses_BTAK2
    return in_order(poses_BTAK2, absent_BA.to(torch.int8).argsort(dim=1, stable=True))


def _out_of_order(absent_BA: Bool[Tensor, "b a"]) -> bool:
    """Return whether an absent animal comes before one that is present."""
    return bool((absent_BA[:, :-1] & ~absent_BA[:, 1:]).any())


def absent_animals(poses_BTAK2: PosesWithHeights) -> Bool[Tensor, "b a"]:
    """Return which animals have no tracked point in a window."""
    return count_tracked(poses_BTAK2).sum(dim=2) == 0


def in_order(
    poses_BTS2: Float[Tensor, "b t s *k 2"], order_BS: Int[Tensor, "b s"]
) -> Float[Tensor, "b t s *k 2"]:
    """Return each window's slots, or whole animals, in another order."""
    pairs_BTS = tensors.as_pairs(poses_BTS2)
    order_B1S = order_BS.view(len(order_BS), 1, -1, *[1] * (pairs_BTS.dim() - 3))
    pairs_BTS = pairs_BTS.gather(2, order_B1S.expand(pairs_BTS.shape))
    return tensors.as_points(pairs_BTS, poses_BTS2.dtype)
