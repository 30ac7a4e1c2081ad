"""The scene's own frame of reference: origin between the animals, x along their line.

Dimension key: B batch, T time, A animal, N row (one keypoint of one animal of one
window, see `mabe.features.tracked_slots`); a last axis of 2 is (x, y).
In this frame the distance between two animals is one coordinate, wherever they are and
whichever way the camera is turned. The first animal is on the positive side of x.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.gaps import at_times, bridge_gaps
from mabe.features.tracked_slots import Rows


def in_scene_frame(
    points_NT2: Float[Tensor, "n t 2"], rows: Rows
) -> Float[Tensor, "n t 2"]:
    """Return the points in the scene's frame of reference at each time.

    With two animals, x is from the second to the first. With more, it is the axis of
    their largest spread; with one, the arena's x. Missing points stay missing.
    """
    center_BTA2 = animal_centers(points_NT2, rows)
    origin_BT12 = center_BTA2.nanmean(dim=2, keepdim=True)
    axis_BT2 = spread_axis(center_BTA2 - origin_BT12)
    from_origin_NT2 = points_NT2 - origin_BT12.squeeze(2)[rows.window_N]
    x_NT, y_NT = from_origin_NT2.unbind(dim=-1)
    along_x_NT, along_y_NT = axis_BT2[rows.window_N].unbind(dim=-1)
    return torch.stack(
        [
            x_NT * along_x_NT + y_NT * along_y_NT,
            y_NT * along_x_NT - x_NT * along_y_NT,
        ],
        dim=-1,
    )


def animal_centers(
    points_NT2: Float[Tensor, "n t 2"], rows: Rows
) -> Float[Tensor, "b t a 2"]:
    """Return the mean of each animal's points, without gaps.

    While all points of an animal are missing, its centre is interpolated, so that the
    frame of reference does not jump. NaN where an animal is never tracked.
    """
    tracked_NT1 = points_NT2[..., :1].isfinite().to(points_NT2.dtype)
    count_BAT1 = rows.sum_of_animals(tracked_NT1)
    sum_BAT2 = rows.sum_of_animals(points_NT2.nan_to_num(nan=0.0))
    center_BTA2 = (sum_BAT2 / count_BAT1).transpose(1, 2)
    return hold_ends(bridge_gaps(center_BTA2, longest=center_BTA2.shape[1]))


def spread_axis(
    from_origin_BTA2: Float[Tensor, "b t a 2"],
) -> Float[Tensor, "b t 2"]:
    """Return the unit vector of the animals' largest spread, towards the first one."""
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
    """Fill the frames before the first point, and after the last, with that point."""
    length = points_BTA2.shape[1]
    time_T1 = torch.arange(length, device=points_BTA2.device)[:, None]
    tracked_BTA = points_BTA2[..., 0].isfinite()
    first_B1A = torch.where(tracked_BTA, time_T1, length - 1).amin(dim=1, keepdim=True)
    last_B1A = torch.where(tracked_BTA, time_T1, 0).amax(dim=1, keepdim=True)
    held_BTA = torch.minimum(torch.maximum(time_T1, first_B1A), last_B1A)
    return at_times(points_BTA2, held_BTA)
