"""Six landmarks of a body that every lab has in some form, and what is told from them.

Dimension key: B batch, T time, A animal (two), K keypoint, L landmark, P place.
Labs track different keypoints, and trackers lose them. A landmark is the best that is
seen of it in a frame: the snout is the nose, or else the head. Where geometry allows,
a missing one is derived: the middle of a body lies between its snout and its rump.
A missing landmark is NaN in both coordinates.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mabe.features.gaps import bridge_gaps
from mabe.features.scene_frame import hold_ends
from mabe.skeleton import KEYPOINTS

_SOURCES = {
    "snout": ("nose", "head", "ear_left+ear_right", "headpiece"),
    "neck": ("neck", "ear_left+ear_right", "spine_1"),
    "body": (
        "body_center",
        "lateral_left+lateral_right",
        "hip_left+hip_right",
        "spine_1+spine_2",
    ),
    "rump": ("tail_base", "hip_left+hip_right"),
    "tail": ("tail_midpoint", "tail_middle_1+tail_middle_2"),
    "tip": ("tail_tip",),
}
"""Where each landmark is, the best first; a + b is half way between the two."""


LANDMARKS = tuple(_SOURCES)


SNOUT, NECK, BODY, RUMP = range(4)


TRUNK = slice(SNOUT, RUMP + 1)
"""The landmarks that move with the body; a tail goes its own ways."""


SWAP_MARGIN_CM = 4.0
"""Identities were swapped where both middles would have moved this much less."""


def find_landmarks(
    poses_BTAK2: Float[Tensor, "b t a k 2"],
) -> Float[Tensor, "b t a l 2"]:
    """Return the landmarks of each animal, NaN where nothing tells where they are."""
    points_BTAL2 = torch.stack(
        [_best_of(poses_BTAK2, sources) for sources in _SOURCES.values()], dim=3
    )
    between_BTA2 = (points_BTAL2[..., SNOUT, :] + points_BTAL2[..., RUMP, :]) / 2
    points_BTAL2[..., BODY, :] = first_seen(points_BTAL2[..., BODY, :], between_BTA2)
    return points_BTAL2


def rough_middle(
    points_BTAL2: Float[Tensor, "b t a l 2"],
) -> Float[Tensor, "b t a 2"]:
    """Return about where each animal is: its body, else what is seen of its trunk."""
    return first_seen(
        points_BTAL2[..., BODY, :],
        points_BTAL2[..., TRUNK, :].nanmean(dim=3),
        points_BTAL2.nanmean(dim=3),
    )


def headings(points_BTAL2: Float[Tensor, "b t a l 2"]) -> Float[Tensor, "b t a 2"]:
    """Return the unit vector from rump to snout, or between those parts that are seen.

    NaN where fewer than two parts of the trunk are seen.
    """
    snout_BTA2, body_BTA2 = points_BTAL2[..., SNOUT, :], points_BTAL2[..., BODY, :]
    rump_BTA2 = points_BTAL2[..., RUMP, :]
    along_BTA2 = first_seen(
        snout_BTA2 - rump_BTA2, body_BTA2 - rump_BTA2, snout_BTA2 - body_BTA2
    )
    return F.normalize(along_BTA2, dim=-1)


def body_lengths(points_BTAL2: Float[Tensor, "b t a l 2"]) -> Float[Tensor, "b t a"]:
    """Return the way from snout over the body to the rump, in cm."""
    snout_BTA2, body_BTA2 = points_BTAL2[..., SNOUT, :], points_BTAL2[..., BODY, :]
    front_BTA = (snout_BTA2 - body_BTA2).norm(dim=-1)
    return front_BTA + (body_BTA2 - points_BTAL2[..., RUMP, :]).norm(dim=-1)


def undo_swaps(points_BTAL2: Float[Tensor, "b t 2 l 2"]) -> Float[Tensor, "b t 2 l 2"]:
    """Exchange the animals back after every frame in which their identities swapped.

    From frame to frame both middles move less one way round than the other. Which
    animal is first afterwards means nothing; that it stays the same one does.
    """
    middle_BTA2 = rough_middle(points_BTAL2)
    before_BTA2, after_BTA2 = middle_BTA2[:, :-1], middle_BTA2[:, 1:]
    straight_BT = (after_BTA2 - before_BTA2).norm(dim=-1).sum(dim=2)
    crossed_BT = (after_BTA2.flip(2) - before_BTA2).norm(dim=-1).sum(dim=2)
    swaps_BT = straight_BT - crossed_BT > SWAP_MARGIN_CM
    odd_BT = F.pad(swaps_BT.to(torch.int32).cumsum(dim=1) % 2 == 1, (1, 0))
    return torch.where(
        odd_BT[:, :, None, None, None], points_BTAL2.flip(2), points_BTAL2
    )


def without_gaps(points_BTA2: Float[Tensor, "b t a 2"]) -> Float[Tensor, "b t a 2"]:
    """Fill every gap: straight between its ends, held before the first and the last."""
    return hold_ends(bridge_gaps(points_BTA2, longest=points_BTA2.shape[1]))


def first_seen(*places_BTP2: Float[Tensor, "b t *p 2"]) -> Float[Tensor, "b t *p 2"]:
    """Return, at every place, the first of several points that is not missing."""
    best, *others = places_BTP2
    for other in others:
        best = torch.where(best.isnan(), other, best)
    return best


def _best_of(
    poses_BTAK2: Float[Tensor, "b t a k 2"], sources: tuple[str, ...]
) -> Float[Tensor, "b t a 2"]:
    def middle_of(source: str) -> Tensor:
        numbers = (KEYPOINTS.index(name) for name in source.split("+"))
        return torch.stack([poses_BTAK2[..., k, :] for k in numbers]).mean(dim=0)

    return first_seen(*(middle_of(source) for source in sources))
