"""Keypoints beyond the six landmarks, in the frame of their own animal.

A wing, a paw or an antenna says little by where it is in the arena, and much by where
it is on its body and how it moves there. Points are relative to the animal's centre,
along and aside of its heading.

Dimension key: B batch, T time, A animal, K keypoint, F feature; a last axis of 2 is
(x, y) or (along, aside). Lengths are in cm, speeds in cm/s, NaN where missing.

*Left and right.* A mirror image has the same features: of a pair there are the mean of
both and the difference of both, and of what lies on the axis the distance from it.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.kinematics import change_over
from mabe.features.vectors import cross, dot, least, length
from mabe.skeleton import Skeleton

MOTION_SPAN_S = 0.2
"""Speeds are differences over this time, as those of the landmarks are."""


def further_groups(skeleton: Skeleton) -> list[tuple[str, ...]]:
    """Return the keypoints that no landmark is made of: pairs, then single ones."""
    further = skeleton.further
    pairs = [pair for pair in skeleton.pairs if set(pair) <= set(further)]
    paired = {name for pair in pairs for name in pair}
    return [*pairs, *((name,) for name in further if name not in paired)]


def in_own_frame(
    points_BTAK2: Float[Tensor, "b t a k 2"],
    middle_BTA2: Float[Tensor, "b t a 2"],
    heading_BTA2: Float[Tensor, "b t a 2"],
) -> Float[Tensor, "b t a k 2"]:
    """Return (along, aside) of points: ahead of the centre, and to the left of it."""
    away_BTAK2 = points_BTAK2 - middle_BTA2[:, :, :, None]
    heading_BTA12 = heading_BTA2[:, :, :, None].expand_as(away_BTAK2)
    return torch.stack(
        [dot(away_BTAK2, heading_BTA12), cross(heading_BTA12, away_BTAK2)], dim=-1
    )


def further_signals(
    own_BTAK2: Float[Tensor, "b t a k 2"], skeleton: Skeleton, rate_fps: float
) -> Iterator[tuple[str, Float[Tensor, "b t a"]]]:
    """Yield the name and the values of each feature, given places in the own frame."""
    speed_BTAK = length(change_over(own_BTAK2, MOTION_SPAN_S, rate_fps))
    place = {name: number for number, name in enumerate(skeleton.keypoints)}
    for group in further_groups(skeleton):
        name, at = "/".join(group), [place[each] for each in group]
        along_BTAP = own_BTAK2[:, :, :, at, 0]
        aside_BTAP = own_BTAK2[:, :, :, at, 1].abs()
        yield f"{name}.along_cm", along_BTAP.nanmean(dim=3)
        yield f"{name}.aside_cm", aside_BTAP.nanmean(dim=3)
        yield f"{name}.own_speed_cm_per_s", -least(-speed_BTAK[:, :, :, at])
        if len(group) > 1:
            yield f"{name}.along_difference_cm", along_BTAP.diff(dim=3)[..., 0].abs()
            yield f"{name}.aside_difference_cm", aside_BTAP.diff(dim=3)[..., 0].abs()


def nearest_points(
    points_BTAK2: Float[Tensor, "b t 2 k 2"],
) -> Float[Tensor, "b t"]:
    """Return the distance between the nearest points of two animals."""
    first_BTK2, second_BTK2 = points_BTAK2.unbind(dim=2)
    far_BTKK = length(first_BTK2[:, :, :, None] - second_BTK2[:, :, None])
    return least(far_BTKK.flatten(2))
