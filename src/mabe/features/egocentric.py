"""The agent's own frame of reference: origin in its centre, x along its heading.

Dimension key: B batch, T time, S slot (one keypoint of one animal), K keypoint.
In this frame "the target is behind the agent" is one coordinate, wherever the two are
and whichever way the camera is turned, and agent and target have different features. In
a mirror image, left and right change sign and nothing else changes.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mabe.features.gaps import bridge_gaps
from mabe.features.scene_axes import hold_ends
from mabe.skeleton import RODENT, Skeleton


def body_axis(
    points_BTS2: Float[Tensor, "b t s 2"],
    keypoint_S: Int[Tensor, " s"],
    skeleton: Skeleton = RODENT,
) -> Float[Tensor, "b t 2"]:
    """Return the unit vector of one animal's heading, without gaps.

    It is from the mean of the rear keypoints to that of the front ones. While front or
    rear is missing, it is interpolated. An animal whose front and rear are never
    tracked in the same frame has none (NaN).
    """
    front_BT2 = _mean_of(points_BTS2, keypoint_S, skeleton, skeleton.front)
    rear_BT2 = _mean_of(points_BTS2, keypoint_S, skeleton, skeleton.rear)
    heading_BT2 = front_BT2 - rear_BT2
    # Where the two coincide there is no heading: 0 / 0 is NaN, as if missing.
    axis_BT2 = heading_BT2 / heading_BT2.norm(dim=-1, keepdim=True)
    held_BT2 = without_gaps(axis_BT2)
    length_BT1 = held_BT2.norm(dim=-1, keepdim=True)
    # Half way between two opposite headings there is none: the arena's x is used.
    is_none_BT1 = length_BT1 < 1e-3
    return along_x_where(is_none_BT1, held_BT2 / length_BT1)


def along_x_where(
    is_so_BT1: Bool[Tensor, "b t 1"], axis_BT2: Float[Tensor, "b t 2"]
) -> Float[Tensor, "b t 2"]:
    """Return the arena's x in the frames given, and `axis_BT2` in the others."""
    x_BT1, y_BT1 = axis_BT2.split(1, dim=-1)
    return torch.cat([x_BT1.where(~is_so_BT1, 1.0), y_BT1.where(~is_so_BT1, 0.0)], -1)


def without_gaps(points_BT2: Float[Tensor, "b t 2"]) -> Float[Tensor, "b t 2"]:
    """Fill every gap linearly, and hold the first and the last point before and after.

    What is missing in all frames stays missing (NaN).
    """
    bridged_BT12 = bridge_gaps(points_BT2[:, :, None], longest=points_BT2.shape[1])
    return hold_ends(bridged_BT12).squeeze(2)


def into_frame(
    vectors_BTS2: Float[Tensor, "b t s 2"], axis_BT2: Float[Tensor, "b t 2"]
) -> Float[Tensor, "b t s 2"]:
    """Return (along, across) of vectors; across is positive to the left of the axis."""
    axis_BT12 = axis_BT2[:, :, None]
    across_BT12 = torch.stack([-axis_BT12[..., 1], axis_BT12[..., 0]], dim=-1)
    return torch.stack(
        [(vectors_BTS2 * axis_BT12).sum(-1), (vectors_BTS2 * across_BT12).sum(-1)],
        dim=-1,
    )


def turning_rate(
    axis_BT2: Float[Tensor, "b t 2"], rate_fps: float
) -> Float[Tensor, "b t"]:
    """Return how fast a heading turns, in radians per second, positive to the left.

    The first frame repeats the second, so that nothing is missing.
    """
    before_BT2, after_BT2 = axis_BT2[:, :-1], axis_BT2[:, 1:]
    cross_BT = before_BT2[..., 0] * after_BT2[..., 1]
    cross_BT = cross_BT - before_BT2[..., 1] * after_BT2[..., 0]
    turn_BT = torch.atan2(cross_BT, (before_BT2 * after_BT2).sum(-1)) * rate_fps
    first_B1 = turn_BT[:, :1] if turn_BT.shape[1] else axis_BT2[:, :1, 0] * 0
    return torch.cat([first_B1, turn_BT], dim=1)


def _mean_of(
    points_BTS2: Tensor,
    keypoint_S: Tensor,
    skeleton: Skeleton,
    names: tuple[str, ...],
) -> Float[Tensor, "b t 2"]:
    """Return the mean of the tracked ones of some keypoints, NaN where none is."""
    # Numbers of the program: a list would have to be sent to a GPU.
    hidden_S1 = torch.ones_like(keypoint_S, dtype=torch.bool)[:, None]
    for place, name in enumerate(skeleton.keypoints):
        if name in names:
            hidden_S1 = hidden_S1 & (keypoint_S != place)[:, None]
    return points_BTS2.masked_fill(hidden_S1, torch.nan).nanmean(dim=2)
