"""The features of one view: agent and target in the agent's frame of reference.

Dimension key: B batch, T time, P seat (agent, target, others), K keypoint, S slot (one
keypoint of one seat), F feature.
Poses are in cm at `rate_fps`, in the order of `mabe.data.pair_windows.order_animals`;
features are in cm, cm/s, cm/s² and rad/s; both are NaN where missing. `PairFeatures`
are the positions and motion of agent and target, then of the other animals.
`PairSocialFeatures` are these and the social features of agent and target
(`mabe.features.social`).

Nothing depends on where in the arena the animals are, or how it is turned. Only where
an agent's heading is never known are positions relative to the arena's x.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.base import Features
from mabe.features.coordinates_and_speeds import group_by, motion_title
from mabe.features.directed import directed_features
from mabe.features.egocentric import (
    along_x_where,
    body_axis,
    into_frame,
    turning_rate,
    without_gaps,
)
from mabe.features.gaps import bridge_gaps
from mabe.features.heights import on_the_floor
from mabe.features.kinematics import change_per_second
from mabe.features.social import SocialFeatures
from mabe.runtime import tensors
from mabe.skeleton import KEYPOINTS, RODENT, Skeleton

OTHERS = 3


SEATS = 2 + OTHERS


BODY_MOTION = (
    "agent.forward",  # negative when it walks backwards
    "agent.sideways",
    "agent.turning",
    "target.away",  # along the agent's heading; negative when it approaches
    "target.across",
    "target.turning",
    "target.facing_along",  # cosine of the headings: 1 parallel, -1 head-on
    "target.facing_across",
)
"""Motion of the two bodies as a whole, in the agent's frame of reference."""


@dataclass(frozen=True, slots=True)
class PairLayout:
    """The numbers of features of each kind, in their order."""

    use_motion_features: bool
    keypoints: tuple[str, ...] = KEYPOINTS

    @property
    def points(self) -> int:
        """Keypoints of one animal."""
        return len(self.keypoints)

    @property
    def places(self) -> int:
        """Coordinates of agent and target."""
        return 2 * 2 * self.points

    @property
    def motion(self) -> int:
        """Speeds and accelerations of their keypoints, and the bodies' motion."""
        keypoints = 2 * 2 * self.points if self.use_motion_features else 0
        return keypoints + len(BODY_MOTION)

    @property
    def other(self) -> int:
        """Coordinates and speeds of one other animal."""
        return 3 * self.points

    @property
    def size(self) -> int:
        """Number of features."""
        return self.places + self.motion + OTHERS * self.other

    def names(self) -> list[str]:
        """Return the features' names in order, such as ``target.nose.along``."""
        seats = ("agent", "target")
        pair = [f"{seat}.{name}" for seat in seats for name in self.keypoints]
        names = [f"{slot}.{axis}" for slot in pair for axis in ("along", "across")]
        if self.use_motion_features:
            names += [f"{slot}.speed" for slot in pair]
            names += [f"{slot}.acceleration" for slot in pair]
        names += BODY_MOTION
        for number in range(1, OTHERS + 1):
            slots = [f"other{number}.{name}" for name in self.keypoints]
            names += [
                f"{slot}.{axis}" for slot in slots for axis in ("along", "across")
            ]
            names += [f"{slot}.speed" for slot in slots]
        return names


@dataclass(frozen=True, slots=True)
class _Body:
    """One animal as a whole, NaN where missing."""

    center_BT2: Tensor
    heading_BT2: Tensor
    velocity_BT2: Tensor
    """Mean velocity of its points. (The velocity of their mean would jump whenever a
    point is lost or found again.)"""

    @classmethod
    def of(
        cls,
        seat: int,
        skeleton: Skeleton,
        slots: Tensor,
        bridged_BTS2: Tensor,
        velocity_BTS2: Tensor,
    ) -> "_Body":
        points = len(skeleton.keypoints)
        own = _of_seat(seat, points, slots)
        points_BTS2 = bridged_BTS2[:, :, own]
        return cls(
            without_gaps(points_BTS2.nanmean(dim=2)),
            body_axis(points_BTS2, slots[own] % points, skeleton),
            velocity_BTS2[:, :, own].nanmean(dim=2),
        )

    def in_frame(self, vector_BT2: Tensor) -> Float[Tensor, "b t 2"]:
        """Return (along, across) of a vector in the animal's frame of reference."""
        return into_frame(vector_BT2[:, :, None], self.heading_BT2).squeeze(2)


class PairFeatures(Features):
    """Positions and motion of agent and target, then of the other animals."""

    changed_by = frozenset({"mirror"})

    def __init__(
        self,
        *,
        rate_fps: float,
        use_motion_features: bool,
        max_gap_s: float,
        skeleton: Skeleton = RODENT,
    ) -> None:
        super().__init__()
        self.skeleton = skeleton
        self.rate_fps = rate_fps
        self.max_gap_frames = round(max_gap_s * rate_fps)
        self.layout = PairLayout(use_motion_features, skeleton.keypoints)
        self.title = motion_title(use_motion_features)
        self.names = tuple(self.layout.names())
        self.groups = group_by(self.names, _kind)
        self.key = ("pair", rate_fps, use_motion_features, max_gap_s, skeleton)

    def forward(
        self, poses_BTPK2: Float[Tensor, "b t p k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        poses_BTS2 = poses_BTPK2.flatten(2, 3)
        slots = _occurring(poses_BTS2)
        bridged_BTS2 = bridge_gaps(poses_BTS2[:, :, slots], longest=self.max_gap_frames)
        velocity_BTS2 = change_per_second(bridged_BTS2, self.rate_fps)
        speed_BTS = velocity_BTS2.norm(dim=-1)
        agent, target = (
            _Body.of(seat, self.skeleton, slots, bridged_BTS2, velocity_BTS2)
            for seat in (0, 1)
        )

        has_no_heading_BT1 = agent.heading_BT2[..., :1].isnan()
        axis_BT2 = along_x_where(has_no_heading_BT1, agent.heading_BT2)
        place_BTS2 = into_frame(bridged_BTS2 - agent.center_BT2[:, :, None], axis_BT2)

        place_BTPK2 = self._spread(place_BTS2, slots)
        speed_BTPK = self._spread(speed_BTS, slots)
        features = [place_BTPK2[:, :, :2].flatten(2)]
        if self.layout.use_motion_features:
            change_BTS = change_per_second(speed_BTS, self.rate_fps)
            change_BTPK = self._spread(change_BTS, slots)
            features += [speed_BTPK[:, :, :2].flatten(2)]
            features += [change_BTPK[:, :, :2].flatten(2)]
        features += [
            agent.in_frame(agent.velocity_BT2),
            turning_rate(agent.heading_BT2, self.rate_fps)[..., None],
            agent.in_frame(target.velocity_BT2),
            turning_rate(target.heading_BT2, self.rate_fps)[..., None],
            agent.in_frame(target.heading_BT2),
        ]
        for seat in range(2, SEATS):
            features += [place_BTPK2[:, :, seat].flatten(2), speed_BTPK[:, :, seat]]
        return torch.cat(features, dim=2)

    def _spread(
        self, values_BTS: Float[Tensor, "b t s *rest"], slots: Tensor
    ) -> Float[Tensor, "b t p k *rest"]:
        """Return the values of all slots from those of some; NaN for the others."""
        batch, time = values_BTS.shape[:2]
        shape = (batch, time, SEATS * self.layout.points, *values_BTS.shape[3:])
        full = values_BTS.new_full(shape, torch.nan).index_copy(2, slots, values_BTS)
        return full.unflatten(2, (SEATS, self.layout.points))


def _kind(name: str) -> str:
    if name.startswith("other"):
        return "others"
    if name in BODY_MOTION:
        return "body motion"
    last = name.rsplit(".", 1)[1]
    return "places" if last in ("along", "across") else f"{last}s"


def _occurring(poses_BTS2: Tensor) -> Tensor:
    """Return the slots that occur in a batch; on a GPU all, to avoid waiting for it."""
    slots = torch.arange(poses_BTS2.shape[2], device=poses_BTS2.device)
    if not tensors.is_on_cpu(poses_BTS2):
        return slots
    return slots[poses_BTS2[..., 0].isfinite().flatten(0, 1).any(dim=0)]


def _of_seat(seat: int, points: int, slots: Tensor) -> slice:
    """Return the places of a seat's slots among those that occur, in order."""
    ends = [seat * points, (seat + 1) * points]
    if tensors.is_on_cpu(slots):
        ends = torch.searchsorted(slots, torch.tensor(ends)).tolist()
    return slice(*ends)


class PairSocialFeatures(Features):
    """`PairFeatures`, then the social features of agent and target.

    With `object_targets` the latter include those of `mabe.features.target_point`, with
    `zone_targets` those of `mabe.features.target_zone`, with `heights` those of
    `mabe.features.heights`.
    """

    title = SocialFeatures.title
    changed_by = PairFeatures.changed_by
    reach_s = SocialFeatures.reach_s

    def __init__(
        self,
        *,
        rate_fps: float,
        use_motion_features: bool,
        max_gap_s: float,
        skeleton: Skeleton = RODENT,
        object_targets: bool = False,
        zone_targets: bool = False,
        heights: bool = False,
    ) -> None:
        super().__init__()
        self.view = PairFeatures(
            rate_fps=rate_fps,
            use_motion_features=use_motion_features,
            max_gap_s=max_gap_s,
            skeleton=skeleton,
        )
        self.social = directed_features(
            rate_fps=rate_fps,
            max_gap_s=max_gap_s,
            skeleton=skeleton,
            object_targets=object_targets,
            zone_targets=zone_targets,
            heights=heights,
        )
        self.names = (*self.view.names, *self.social.names)
        self.key = (*self.view.key, *self.social.key)
        self.groups = self.view.groups | {
            name: [len(self.view.names) + place for place in places]
            for name, places in self.social.groups.items()
        }

    def forward(
        self, poses_BTPK2: Float[Tensor, "b t p k c"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        of_body_BTPK2 = on_the_floor(poses_BTPK2[:, :, :, : self.view.layout.points])
        return torch.cat([self.view(of_body_BTPK2), self.social(poses_BTPK2)], dim=2)
