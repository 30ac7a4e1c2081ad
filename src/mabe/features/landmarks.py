"""Six landmarks of a body that every lab tracks in some form, and measures of them.

Dimension key: B batch, T time, A animal (two), K keypoint, L landmark, P place.
Labs track different keypoints, and trackers lose them. A landmark is the first of
several sources that is tracked in a frame (see `mabe.skeleton.Skeleton`): a rodent's
snout is the nose, or else the head. The middle of a body is also derived from its snout
and its rump. A missing landmark is NaN in both coordinates.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mabe.features.gaps import bridge_gaps
from mabe.features.scene_axes import hold_ends
from mabe.skeleton import RODENT, Skeleton

SNOUT, NECK, BODY, RUMP = range(4)


TRUNK = slice(SNOUT, RUMP + 1)
"""The landmarks that move with the body, unlike those of the tail."""


def find_landmarks(
    poses_BTAK2: Float[Tensor, "b t a k 2"], skeleton: Skeleton = RODENT
) -> Float[Tensor, "b t a l 2"]:
    """Return the landmarks of each animal, NaN where all their sources are missing."""
    points_BTAL2 = torch.stack(
        [
            _best_of(poses_BTAK2, sources, skeleton)
            for sources in skeleton.landmarks.values()
        ],
        dim=3,
    )
    between_BTA2 = (points_BTAL2[..., SNOUT, :] + points_BTAL2[..., RUMP, :]) / 2
    points_BTAL2[..., BODY, :] = first_known(points_BTAL2[..., BODY, :], between_BTA2)
    return points_BTAL2


def rough_middle(
    points_BTAL2: Float[Tensor, "b t a l 2"],
) -> Float[Tensor, "b t a 2"]:
    """Return the approximate centre of each animal.

    The middle of its body, else the mean of its trunk, else that of all landmarks.
    """
    return first_known(
        points_BTAL2[..., BODY, :],
        points_BTAL2[..., TRUNK, :].nanmean(dim=3),
        points_BTAL2.nanmean(dim=3),
    )


def headings(points_BTAL2: Float[Tensor, "b t a l 2"]) -> Float[Tensor, "b t a 2"]:
    """Return the unit vector from rump to snout, or between other parts of the trunk.

    NaN where fewer than two of snout, body and rump are tracked.
    """
    snout_BTA2, body_BTA2 = points_BTAL2[..., SNOUT, :], points_BTAL2[..., BODY, :]
    rump_BTA2 = points_BTAL2[..., RUMP, :]
    along_BTA2 = first_known(
        snout_BTA2 - rump_BTA2, body_BTA2 - rump_BTA2, snout_BTA2 - body_BTA2
    )
    return F.normalize(along_BTA2, dim=-1)


def body_lengths(points_BTAL2: Float[Tensor, "b t a l 2"]) -> Float[Tensor, "b t a"]:
    """Return the distance from snout over the body to the rump, in cm."""
    snout_BTA2, body_BTA2 = points_BTAL2[..., SNOUT, :], points_BTAL2[..., BODY, :]
    front_BTA = (snout_BTA2 - body_BTA2).norm(dim=-1)
    return front_BTA + (body_BTA2 - points_BTAL2[..., RUMP, :]).norm(dim=-1)


def without_gaps(points_BTA2: Float[Tensor, "b t a 2"]) -> Float[Tensor, "b t a 2"]:
    """Fill every gap linearly, and hold the first and the last point."""
    return hold_ends(bridge_gaps(points_BTA2, longest=points_BTA2.shape[1]))


def first_known(*places_BTP2: Float[Tensor, "b t *p 2"]) -> Float[Tensor, "b t *p 2"]:
    """Return, at every place, the first of several points that is not missing."""
    best, *others = places_BTP2
    for other in others:
        best = torch.where(best.isnan(), other, best)
    return best


def _best_of(
    poses_BTAK2: Float[Tensor, "b t a k 2"],
    sources: tuple[str, ...],
    skeleton: Skeleton,
) -> Float[Tensor, "b t a 2"]:
    def middle_of(source: str) -> Tensor:
        numbers = (skeleton.keypoints.index(name) for name in source.split("+"))
        return torch.stack([poses_BTAK2[..., k, :] for k in numbers]).mean(dim=0)

    if not sources:
        return torch.full_like(poses_BTAK2[..., 0, :], torch.nan)
    return first_known(*(middle_of(source) for source in sources))
