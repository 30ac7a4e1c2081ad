"""The features of one view: agent and target as the agent sees them, then the others.

Dimension key: B batch, T time, P seat (agent, target, others), K keypoint, S slot (one
keypoint of one seat), F feature.
Poses come in cm at `rate_fps` in the order of `mabe.pair_windows.order_animals`, NaN
where missing, and features leave in cm, cm/s, cm/s² and rad/s, NaN where missing.
Nothing here depends on where in the arena the animals are, or how it is turned; only
an agent whose heading is never seen sees places along the arena's x.

What an agent sees, and what the two are to each other: for who does what to whom.

Dimension key: B batch, T time, P seat (agent, target, others), K keypoint, F feature.
The first features are those of `mabe.features.pair` (places, motion, the others), the
last those of `mabe.features.social` between agent and target.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.base import Features
from mabe.features.egocentric import (
    along_x_where,
    body_axis,
    into_frame,
    turning_rate,
    without_gaps,
)
from mabe.features.gaps import bridge_gaps
from mabe.features.motion import change_per_second, group_by, motion_title
from mabe.features.social import SocialFeatures
from mabe.runtime import tensors
from mabe.skeleton import KEYPOINTS

OTHERS = 3


SEATS = 2 + OTHERS


POINTS = len(KEYPOINTS)


BODY_MOTION = (
    "agent.forward",  # walks ahead, or backs away
    "agent.sideways",
    "agent.turning",
    "target.away",  # along the agent's heading: is it chased, or does it come?
    "target.across",
    "target.turning",
    "target.facing_along",  # cosine: 1 both look the same way, -1 face to face
    "target.facing_across",
)
"""How the two bodies move, whole, as the agent sees it."""


@dataclass(frozen=True, slots=True)
class PairLayout:
    """Where each kind of feature lies among all."""

    use_motion_features: bool

    @property
    def places(self) -> int:
        """Coordinates of agent and target."""
        return 2 * 2 * POINTS

    @property
    def motion(self) -> int:
        """Speeds and accelerations of their keypoints, and the bodies' motion."""
        keypoints = 2 * 2 * POINTS if self.use_motion_features else 0
        return keypoints + len(BODY_MOTION)

    @property
    def other(self) -> int:
        """Coordinates and speeds of one other animal."""
        return 3 * POINTS

    @property
    def size(self) -> int:
        """Number of features."""
        return self.places + self.motion + OTHERS * self.other

    def names(self) -> list[str]:
        """Return the features' names in order, such as ``target.nose.along``."""
        pair = [f"{seat}.{name}" for seat in ("agent", "target") for name in KEYPOINTS]
        names = [f"{slot}.{axis}" for slot in pair for axis in ("along", "across")]
        if self.use_motion_features:
            names += [f"{slot}.speed" for slot in pair]
            names += [f"{slot}.acceleration" for slot in pair]
        names += BODY_MOTION
        for number in range(1, OTHERS + 1):
            slots = [f"other{number}.{name}" for name in KEYPOINTS]
            names += [
                f"{slot}.{axis}" for slot in slots for axis in ("along", "across")
            ]
            names += [f"{slot}.speed" for slot in slots]
        return names


@dataclass(frozen=True, slots=True)
class _Body:
    """One animal as a whole, NaN where it is not known."""

    center_BT2: Tensor
    heading_BT2: Tensor
    velocity_BT2: Tensor
    """Mean velocity of its points. That of their mean would leap whenever one of them
    vanishes or comes back."""

    @classmethod
    def of(
        cls, seat: int, slots: Tensor, seen_BTS2: Tensor, velocity_BTS2: Tensor
    ) -> "_Body":
        its = _of_seat(seat, slots)
        its_BTS2 = seen_BTS2[:, :, its]
        return cls(
            without_gaps(its_BTS2.nanmean(dim=2)),
            body_axis(its_BTS2, slots[its] % POINTS),
            velocity_BTS2[:, :, its].nanmean(dim=2),
        )

    def sees(self, vector_BT2: Tensor) -> Float[Tensor, "b t 2"]:
        """Return a direction or velocity (along, across) the animal's heading."""
        return into_frame(vector_BT2[:, :, None], self.heading_BT2).squeeze(2)


class PairFeatures(Features):
    """What the agent sees: places, motion, and the other animals."""

    changed_by = frozenset({"mirror"})

    def __init__(
        self, *, rate_fps: float, use_motion_features: bool, max_gap_s: float
    ) -> None:
        super().__init__()
        self.rate_fps = rate_fps
        self.max_gap_frames = round(max_gap_s * rate_fps)
        self.layout = PairLayout(use_motion_features)
        self.title = motion_title(use_motion_features)
        self.names = tuple(self.layout.names())
        self.groups = group_by(self.names, _kind)
        self.key = ("pair", rate_fps, use_motion_features, max_gap_s)

    def forward(
        self, poses_BTPK2: Float[Tensor, "b t p k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        poses_BTS2 = poses_BTPK2.flatten(2, 3)
        slots = _occurring(poses_BTS2)
        seen_BTS2 = bridge_gaps(poses_BTS2[:, :, slots], longest=self.max_gap_frames)
        velocity_BTS2 = change_per_second(seen_BTS2, self.rate_fps)
        speed_BTS = velocity_BTS2.norm(dim=-1)
        agent = _Body.of(0, slots, seen_BTS2, velocity_BTS2)
        target = _Body.of(1, slots, seen_BTS2, velocity_BTS2)

        is_lost_BT1 = agent.heading_BT2[..., :1].isnan()
        axis_BT2 = along_x_where(is_lost_BT1, agent.heading_BT2)
        place_BTS2 = into_frame(seen_BTS2 - agent.center_BT2[:, :, None], axis_BT2)

        place_BTPK2 = _spread(place_BTS2, slots)
        speed_BTPK = _spread(speed_BTS, slots)
        features = [place_BTPK2[:, :, :2].flatten(2)]
        if self.layout.use_motion_features:
            change_BTS = change_per_second(speed_BTS, self.rate_fps)
            change_BTPK = _spread(change_BTS, slots)
            features += [speed_BTPK[:, :, :2].flatten(2)]
            features += [change_BTPK[:, :, :2].flatten(2)]
        features += [
            agent.sees(agent.velocity_BT2),
            turning_rate(agent.heading_BT2, self.rate_fps)[..., None],
            agent.sees(target.velocity_BT2),
            turning_rate(target.heading_BT2, self.rate_fps)[..., None],
            agent.sees(target.heading_BT2),
        ]
        for seat in range(2, SEATS):
            features += [place_BTPK2[:, :, seat].flatten(2), speed_BTPK[:, :, seat]]
        return torch.cat(features, dim=2)


def _kind(name: str) -> str:
    if name.startswith("other"):
        return "others"
    if name in BODY_MOTION:
        return "body motion"
    last = name.rsplit(".", 1)[1]
    return "places" if last in ("along", "across") else f"{last}s"


def _occurring(poses_BTS2: Tensor) -> Tensor:
    """Return the slots that occur in a batch; on a GPU all, which needs no waiting."""
    slots = torch.arange(poses_BTS2.shape[2], device=poses_BTS2.device)
    if not tensors.is_on_processor(poses_BTS2):
        return slots
    return slots[poses_BTS2[..., 0].isfinite().flatten(0, 1).any(dim=0)]


def _of_seat(seat: int, slots: Tensor) -> slice:
    """Return which of the slots that occur, which are in order, are a seat's."""
    ends = [seat * POINTS, (seat + 1) * POINTS]
    if tensors.is_on_processor(slots):
        ends = torch.searchsorted(slots, torch.tensor(ends)).tolist()
    return slice(*ends)


def _spread(
    values_BTS: Float[Tensor, "b t s *rest"], slots: Tensor
) -> Float[Tensor, "b t p k *rest"]:
    """Put the values of some slots where they belong among all; NaN elsewhere."""
    batch, time = values_BTS.shape[:2]
    shape = (batch, time, SEATS * POINTS, *values_BTS.shape[3:])
    full = values_BTS.new_full(shape, torch.nan).index_copy(2, slots, values_BTS)
    return full.unflatten(2, (SEATS, POINTS))


class PairSocialFeatures(Features):
    """Both kinds of features of one view, side by side."""

    title = SocialFeatures.title
    changed_by = PairFeatures.changed_by
    reach_s = SocialFeatures.reach_s

    def __init__(
        self, *, rate_fps: float, use_motion_features: bool, max_gap_s: float
    ) -> None:
        super().__init__()
        self.view = PairFeatures(
            rate_fps=rate_fps,
            use_motion_features=use_motion_features,
            max_gap_s=max_gap_s,
        )
        self.social = SocialFeatures(
            rate_fps=rate_fps, max_gap_s=max_gap_s, directed=True
        )
        self.names = (*self.view.names, *self.social.names)
        self.key = (*self.view.key, *self.social.key)
        self.groups = self.view.groups | {
            name: [len(self.view.names) + place for place in places]
            for name, places in self.social.groups.items()
        }

    def forward(
        self, poses_BTPK2: Float[Tensor, "b t p k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        return torch.cat([self.view(poses_BTPK2), self.social(poses_BTPK2)], dim=2)
