"""Features of an agent and a target whose points have heights above the floor.

Dimension key: B batch, T time, P seat (agent, target, others), K keypoint, L landmark;
a last axis of 2 is (x, y), one of 3 is (x, y, height), in cm.
From above, an animal that rears, climbs or jumps only becomes shorter. Here are how
high its points are and how fast they rise, how its body is pitched, and distances to
the other animal that an overlap in the picture does not make 0.

No feature depends on where in the arena the two are, on its rotation, or on left and
right; heights are above the floor, which does not move. All are NaN where a point they
need is missing.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.base import JoinedFeatures, NamedSignal, SignalFeatures
from mabe.features.further_points import further_groups
from mabe.features.gaps import bridge_gaps
from mabe.features.kinematics import change_over
from mabe.features.landmarks import BODY, RUMP, SNOUT, find_landmarks
from mabe.features.vectors import least
from mabe.skeleton import LANDMARKS, Skeleton

MOTION_SPAN_S = 0.2
"""Speeds are differences over this time, as those of the landmarks are."""


def on_the_floor(
    points: Float[Tensor, "*any c"],
) -> Float[Tensor, "*any 2"]:
    """Return x and y of points."""
    return points if points.shape[-1] == 2 else points[..., :2].contiguous()


class WithHeightFeatures(JoinedFeatures):
    """The features of points on the floor, then those of their heights."""

    def forward(
        self, poses_BTPK3: Float[Tensor, "b t p k 3"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        first_BTF = self.first(on_the_floor(poses_BTPK3))
        return torch.cat([first_BTF, self.second(poses_BTPK3)], dim=2)


class HeightFeatures(SignalFeatures):
    """How high the points of an agent and of a target are, and distances in 3-D."""

    title = "Features of heights"
    kind = "heights"
    coordinates = 3

    def signals(self, poses_BTPK3: Float[Tensor, "b t p k 3"]) -> Iterator[NamedSignal]:
        """Yield each feature."""
        pair_BTPK3 = poses_BTPK3[:, :, :2, : len(self.skeleton.keypoints)]
        pair_BTPK3 = bridged(pair_BTPK3, longest=self.max_gap_frames)
        points_BTPL3 = landmarks_3d(pair_BTPK3, self.skeleton)
        for seat, role in enumerate(("agent", "target")):
            of_seat = self._of_animal(pair_BTPK3[:, :, seat], points_BTPL3[:, :, seat])
            for group, name, values_BT in of_seat:
                yield group, f"{role}.{name}", values_BT
        yield from _between(pair_BTPK3, points_BTPL3)

    def _of_animal(
        self,
        points_BTK3: Float[Tensor, "b t k 3"],
        marks_BTL3: Float[Tensor, "b t l 3"],
    ) -> Iterator[NamedSignal]:
        height_BTL = marks_BTL3[..., 2]
        rise_BTL = change_over(height_BTL, MOTION_SPAN_S, self.rate_fps)
        for at, name in enumerate(LANDMARKS):
            yield "heights", f"{name}_height_cm", height_BTL[..., at]
            yield "vertical motion", f"{name}_rise_cm_per_s", rise_BTL[..., at]
        for names in further_groups(self.skeleton):
            at_K = [self.skeleton.keypoints.index(name) for name in names]
            of_group_BT = points_BTK3[:, :, at_K, 2].nanmean(dim=2)
            yield "heights", f"{'/'.join(names)}.height_cm", of_group_BT
        yield "heights", "lowest_height_cm", least(points_BTK3[..., 2])
        yield "heights", "highest_height_cm", -least(-points_BTK3[..., 2])
        for name, front, rear in (
            ("trunk", SNOUT, RUMP),
            ("front", SNOUT, BODY),
            ("rear", BODY, RUMP),
        ):
            axis_BT3 = marks_BTL3[:, :, front] - marks_BTL3[:, :, rear]
            length_BT = axis_BT3.norm(dim=-1)
            pitch_BT = torch.asin((axis_BT3[..., 2] / length_BT).clamp(-1, 1))
            yield "body in 3-D", f"{name}_length_cm", length_BT
            yield "body in 3-D", f"{name}_pitch_rad", pitch_BT


def _between(
    pair_BTPK3: Float[Tensor, "b t 2 k 3"], points_BTPL3: Float[Tensor, "b t 2 l 3"]
) -> Iterator[NamedSignal]:
    """Yield distances between the two animals in three dimensions."""
    for name, (first, second) in {
        "nearest_point": pair_BTPK3.unbind(dim=2),
        "nearest_landmark": points_BTPL3.unbind(dim=2),
    }.items():
        away = (first[:, :, :, None] - second[:, :, None]).norm(dim=-1)
        yield "distances in 3-D", f"{name}_3d_cm", least(away.flatten(2))
    for at in (SNOUT, BODY, RUMP):
        for other in (SNOUT, BODY, RUMP):
            line_BT3 = points_BTPL3[:, :, 0, at] - points_BTPL3[:, :, 1, other]
            name = f"{LANDMARKS[at]}-{LANDMARKS[other]}"
            yield "distances in 3-D", f"{name}.distance_3d_cm", line_BT3.norm(dim=-1)
            yield "distances in 3-D", f"{name}.above_cm", line_BT3[..., 2]


def bridged(
    poses_BTPK3: Float[Tensor, "b t p k 3"], *, longest: int
) -> Float[Tensor, "b t p k 3"]:
    """Return points whose short gaps are bridged in all three coordinates."""
    floor, height = _in_pairs(poses_BTPK3)
    return _joined(*(bridge_gaps(each, longest=longest) for each in (floor, height)))


def landmarks_3d(
    poses_BTPK3: Float[Tensor, "b t p k 3"], skeleton: Skeleton
) -> Float[Tensor, "b t p l 3"]:
    """Return the landmarks of each animal in three dimensions."""
    return _joined(*(find_landmarks(each, skeleton) for each in _in_pairs(poses_BTPK3)))


def _in_pairs(
    points_3: Float[Tensor, "*any 3"],
) -> tuple[Float[Tensor, "*any 2"], Float[Tensor, "*any 2"]]:
    """Return (x, y), and (height, height): what handles points has two coordinates."""
    return on_the_floor(points_3), torch.stack([points_3[..., 2]] * 2, dim=-1)


def _joined(
    floor_2: Float[Tensor, "*any 2"], height_2: Float[Tensor, "*any 2"]
) -> Float[Tensor, "*any 3"]:
    return torch.cat([floor_2, height_2[..., :1]], dim=-1)
