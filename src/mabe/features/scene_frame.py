"""The scene's own frame of reference: origin between the animals, x along their line.

Dimension key: B batch, T time, S slot (one keypoint of one animal), A animal.
Seen in this frame, a distance between two animals is a coordinate, wherever they are
and whichever way the camera was turned. The first animal is on the positive side of x.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mabe.features.gaps import bridge_gaps
from mabe.skeleton import ANIMALS


def in_scene_frame(
    points_BTS2: Float[Tensor, "b t s 2"], animal_S: Int[Tensor, " s"]
) -> Float[Tensor, "b t s 2"]:
    """Return the points in each frame's own scene frame; missing ones stay missing.

    With two animals x runs from the second to the first. With more it is the axis
    along which they spread most; with one, the arena's own x.
    """
    center_BTA2 = animal_centers(points_BTS2, animal_S)
    origin_BT12 = center_BTA2.nanmean(dim=2, keepdim=True)
    axis_BT2 = spread_axis(center_BTA2 - origin_BT12)
    from_origin_BTS2 = points_BTS2 - origin_BT12
    across_BT2 = torch.stack([-axis_BT2[..., 1], axis_BT2[..., 0]], dim=-1)
    return torch.stack(
        [
            (from_origin_BTS2 * axis_BT2[:, :, None]).sum(dim=-1),
            (from_origin_BTS2 * across_BT2[:, :, None]).sum(dim=-1),
        ],
        dim=-1,
    )


def animal_centers(
    points_BTS2: Float[Tensor, "b t s 2"], animal_S: Int[Tensor, " s"]
) -> Float[Tensor, "b t a 2"]:
    """Return the mean of each animal's points, without gaps.

    While an animal is not seen at all, its centre moves in a straight line between
    where it was and where it will be, so that the frame of reference does not jump.
    NaN where an animal is never seen.
    """
    belongs_SA = (
        animal_S[:, None] == torch.arange(ANIMALS, device=animal_S.device)
    ).to(points_BTS2.dtype)
    seen_BTS = points_BTS2[..., 0].isfinite().to(points_BTS2.dtype)
    count_BTA1 = (seen_BTS @ belongs_SA)[..., None]
    sum_BTA2 = (points_BTS2.nan_to_num(nan=0.0).mT @ belongs_SA).mT
    return hold_ends(bridge_gaps(sum_BTA2 / count_BTA1, longest=points_BTS2.shape[1]))


def spread_axis(
    from_origin_BTA2: Float[Tensor, "b t a 2"],
) -> Float[Tensor, "b t 2"]:
    """Return the unit vector along which animals spread most, towards the first one."""
    there_BA = from_origin_BTA2[..., 0].isfinite().any(dim=1)
    first_BT12 = there_BA.to(torch.int8).argmax(dim=1)[:, None, None, None]
    spread_BTA2 = from_origin_BTA2.nan_to_num(nan=0.0)
    x_BTA, y_BTA = spread_BTA2.unbind(dim=-1)
    double_angle_BT = torch.atan2(
        2 * (x_BTA * y_BTA).sum(dim=2), (x_BTA.square() - y_BTA.square()).sum(dim=2)
    )
    axis_BT2 = torch.stack(
        [(double_angle_BT / 2).cos(), (double_angle_BT / 2).sin()], dim=-1
    )
    place_BT2 = spread_BTA2.take_along_dim(first_BT12, dim=2).squeeze(2)
    behind_BT1 = (axis_BT2 * place_BT2).sum(dim=-1, keepdim=True) < 0
    return torch.where(behind_BT1, -axis_BT2, axis_BT2)


def hold_ends(
    points_BTA2: Float[Tensor, "b t a 2"],
) -> Float[Tensor, "b t a 2"]:
    """Fill what comes before the first point, and after the last, with that point."""
    length = points_BTA2.shape[1]
    time_T1 = torch.arange(length, device=points_BTA2.device)[:, None]
    seen_BTA = points_BTA2[..., 0].isfinite()
    first_B1A = torch.where(seen_BTA, time_T1, length - 1).amin(dim=1, keepdim=True)
    last_B1A = torch.where(seen_BTA, time_T1, 0).amax(dim=1, keepdim=True)
    held_BTA = torch.minimum(torch.maximum(time_T1, first_B1A), last_B1A)
    return points_BTA2.take_along_dim(held_BTA[..., None], dim=1)
