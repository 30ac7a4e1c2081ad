"""Features of an agent and a target that is a zone: an area with a border.

Dimension key: B batch, T time, N part of the body, E edge of the border; a last axis of
2 is (x, y), in cm.
The border comes with the poses, as the last keypoints of the target's seat: closed
lines through points, parted by missing points, all in one direction (see
`mabe.zones.border_points`). So it is turned, mirrored and stretched as the poses are.

Distances are to the border and negative inside. No feature depends on where in the
arena the two are, on its rotation, or on left and right. All are NaN where a point they
need is missing, and where the target is no zone.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mabe.features.base import JoinedFeatures, NamedSignal, SignalFeatures
from mabe.features.gaps import bridge_gaps
from mabe.features.kinematics import change_over
from mabe.features.landmarks import BODY, NECK, RUMP, SNOUT, find_landmarks
from mabe.features.target_point import MOTION_SPAN_S
from mabe.features.vectors import cross, dot, length
from mabe.skeleton import BORDER

PARTS = {"snout": SNOUT, "body": BODY, "rump": RUMP}
"""The parts of the body whose distances to the border are features."""


class WithZoneFeatures(JoinedFeatures):
    """The features of a body's keypoints, then those of a target that is a zone."""

    def forward(
        self, poses_BTPK2: Float[Tensor, "b t p k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        of_body = self.first(poses_BTPK2[:, :, :, : -len(BORDER)])
        return torch.cat([of_body, self.second(poses_BTPK2)], dim=2)


class _Border(NamedTuple):
    """What is known of the border at each frame, for some points."""

    signed_BTN: Tensor
    """Distance of each point to the border, negative inside."""
    nearest_BTN2: Tensor
    """The point of the border that is nearest to each."""


class TargetZoneFeatures(SignalFeatures):
    """Where an agent's head and body are relative to the border of a zone."""

    title = "Features of an agent and a target that is a zone"
    reach_s = 30.0
    kind = "target zone"
    further_keypoints = len(BORDER)

    def signals(self, poses_BTPK2: Float[Tensor, "b t p k 2"]) -> Iterator[NamedSignal]:
        """Yield each feature."""
        own = len(self.skeleton.keypoints)
        agent_BTK2 = poses_BTPK2[:, :, 0, :own]
        agent_BTK2 = bridge_gaps(agent_BTK2, longest=self.max_gap_frames)
        border_BTE2 = poses_BTPK2[:, :, 1, own:]
        centre_BT2 = poses_BTPK2[:, :, 1, :own].nanmean(dim=2)
        points_BTL2 = find_landmarks(agent_BTK2[:, :, None], self.skeleton)[:, :, 0]
        body_BTN2 = points_BTL2[:, :, list(PARTS.values())]
        border = _measure(body_BTN2, border_BTE2)
        velocity_BTN2 = change_over(body_BTN2, MOTION_SPAN_S, self.rate_fps)
        inward_BTN = -change_over(border.signed_BTN, MOTION_SPAN_S, self.rate_fps)
        is_zone_BT = border_BTE2[:, :, 0, 0].isfinite()
        for at, name in enumerate(PARTS):
            signed_BT = border.signed_BTN[..., at]
            away_BT = length(centre_BT2 - body_BTN2[:, :, at])
            inside_BT = (signed_BT <= 0).float().where(signed_BT.isfinite(), torch.nan)
            yield "zone distances", f"{name}_to_border_cm", signed_BT
            yield (
                "zone distances",
                f"{name}_to_zone_centre_cm",
                away_BT.where(is_zone_BT, torch.nan),
            )
            yield "in the zone", f"{name}_in_zone", inside_BT
            yield "motion to zone", f"{name}_into_zone_cm_per_s", inward_BTN[..., at]
            speed_BT = length(velocity_BTN2[:, :, at])
            yield (
                "motion to zone",
                f"{name}_at_zone_cm_per_s",
                speed_BT.where(is_zone_BT, torch.nan),
            )
        snout_BT2, neck_BT2, rump_BT2 = (
            points_BTL2[:, :, place] for place in (SNOUT, NECK, RUMP)
        )
        to_border_BT2 = border.nearest_BTN2[:, :, 0] - snout_BT2
        to_centre_BT2 = (centre_BT2 - snout_BT2).where(is_zone_BT[..., None], torch.nan)
        for name, axis_BT2 in (
            ("neck", snout_BT2 - neck_BT2),
            ("trunk", snout_BT2 - rump_BT2),
        ):
            unit_BT2 = F.normalize(axis_BT2, dim=-1)
            for what, line_BT2 in (
                ("border", to_border_BT2),
                ("zone_centre", to_centre_BT2),
            ):
                cosine_BT = dot(unit_BT2, F.normalize(line_BT2, dim=-1))
                yield "zone direction", f"{name}_{what}_cosine", cosine_BT
        yield (
            "body at the zone",
            "zone_snout_to_rump_cm",
            length(snout_BT2 - rump_BT2).where(is_zone_BT, torch.nan),
        )


def _measure(
    points_BTN2: Float[Tensor, "b t n 2"], border_BTE2: Float[Tensor, "b t e 2"]
) -> _Border:
    """Return the signed distance of points to a border, and its points nearest to them.

    An edge joins two consecutive points that are both there. A point is inside where
    the lines wind around it.
    """
    start_BTE2, stop_BTE2 = border_BTE2[:, :, :-1], border_BTE2[:, :, 1:]
    from_start_BTNE2 = points_BTN2[:, :, :, None] - start_BTE2[:, :, None]
    edge_BTNE2 = (stop_BTE2 - start_BTE2)[:, :, None].expand_as(from_start_BTNE2)
    squared_BTNE = dot(edge_BTNE2, edge_BTNE2).clamp(min=1e-12)
    along_BTNE = (dot(from_start_BTNE2, edge_BTNE2) / squared_BTNE).clamp(0, 1)
    gap_BTNE2 = from_start_BTNE2 - along_BTNE[..., None] * edge_BTNE2
    away_BTNE = length(gap_BTNE2)
    away_BTNE = away_BTNE.masked_fill(away_BTNE.isnan(), torch.inf)
    least_BTN, which_BTN = away_BTNE.min(dim=-1)
    at_BTN12 = which_BTN[..., None, None].expand(*which_BTN.shape, 1, 2)
    nearest_BTN2 = points_BTN2 - gap_BTNE2.gather(3, at_BTN12).squeeze(3)
    is_inside_BTN = _winds_around(from_start_BTNE2, edge_BTNE2)
    signed_BTN = torch.where(is_inside_BTN, -least_BTN, least_BTN)
    return _Border(
        signed_BTN.where(least_BTN.isfinite(), torch.nan),
        nearest_BTN2,
    )


def _winds_around(
    from_start_BTNE2: Float[Tensor, "b t n e 2"], edge_BTNE2: Float[Tensor, "b t n e 2"]
) -> Bool[Tensor, "b t n"]:
    """Return whether lines wind around points, given relative to the edges' starts.

    Where parts of a zone overlap, they wind twice; the even-odd rule would take what
    they share for outside.
    """
    height_BTNE = from_start_BTNE2[..., 1]
    rise_BTNE = edge_BTNE2[..., 1]
    side_BTNE = cross(edge_BTNE2, from_start_BTNE2)
    up = (height_BTNE >= 0) & (height_BTNE < rise_BTNE) & (side_BTNE > 0)
    down = (height_BTNE < 0) & (height_BTNE >= rise_BTNE) & (side_BTNE < 0)
    return (up.int() - down.int()).sum(dim=-1) != 0
