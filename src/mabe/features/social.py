"""What two animals are to each other: gaps, facing, approach, contact, and motion.

Dimension key: B batch, T time, A animal (two), L M landmark, P place, F feature.
Poses come in cm at `rate_fps`, NaN where missing. Features leave in the units of their
names (cosines and shares have none), NaN where missing. None depends on where in the
arena the animals are, how it is turned, or whether it is seen in a mirror.

*Order.* Where labels have a direction, a feature of one animal comes twice, for the
``agent`` (the first animal) and the ``target`` (the second). Where they have none it
comes as the ``larger`` and the ``smaller`` of the two, so that exchanging the animals,
or a tracker that does so in the middle of a recording, changes nothing.

*Gaps.* Short ones are bridged (see `mabe.features.gaps`). Only the animals' middles are
bridged over gaps of any length, since an animal that is hidden is most often under the
other one: that is what `gap_cm` knows and distances between landmarks do not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mabe.features.base import Features
from mabe.features.gaps import bridge_gaps
from mabe.features.kinematics import (
    change_over,
    cross,
    dot,
    least,
    length,
    seconds_since,
    shifted,
    span_frames,
)
from mabe.features.landmarks import (
    BODY,
    LANDMARKS,
    RUMP,
    SNOUT,
    TRUNK,
    body_lengths,
    find_landmarks,
    headings,
    rough_middle,
    undo_swaps,
    without_gaps,
)
from mabe.skeleton import KEYPOINTS

MOTION_SPAN_S = 0.2
"""Speeds are differences over this time: over a single frame they are mostly jitter."""


TREND_SPAN_S = 2.0
"""How the gap changes over this time tells coming together from fidgeting."""


CONTACT_SHARE = 0.25
"""Two animals touch where they are at most this share of a body's length apart."""


LONGEST_WAIT_S = 10.0
"""Times since and until a contact are counted up to this."""


DOUBLED_CM = 1.0
"""Two landmarks of one kind this near are one animal that the tracker saw twice."""


@dataclass(frozen=True, slots=True)
class Dyad:
    """Two animals, and what most features are made of."""

    points_BTAL2: Float[Tensor, "b t 2 l 2"]
    """Landmarks, short gaps bridged."""
    middle_BTA2: Float[Tensor, "b t 2 2"]
    """Where each animal is, without gaps; NaN for one that is never seen."""
    velocity_BTA2: Float[Tensor, "b t 2 2"]
    """How each middle moves, in cm/s."""
    heading_BTA2: Float[Tensor, "b t 2 2"]
    """Unit vectors, NaN where fewer than two parts of the trunk are seen."""
    line_BTA2: Float[Tensor, "b t 2 2"]
    """Unit vectors from each animal's middle to the other's."""
    distance_BTLM: Float[Tensor, "b t l l"]
    """From each landmark of the first animal to each of the second, in cm."""
    rate_fps: float


@dataclass(frozen=True, slots=True)
class OfPair:
    """Features that the two animals have together."""

    names: tuple[str, ...]
    values_BTF: Float[Tensor, "b t f"]

    @classmethod
    def of(cls, **signals_BT: Float[Tensor, "b t"]) -> "OfPair":
        """Put signals beside each other."""
        return cls(tuple(signals_BT), torch.stack([*signals_BT.values()], dim=-1))


@dataclass(frozen=True, slots=True)
class OfEach:
    """Features that each of the two animals has."""

    names: tuple[str, ...]
    values_BTAF: Float[Tensor, "b t 2 f"]

    @classmethod
    def of(cls, **signals_BTA: Float[Tensor, "b t 2"]) -> "OfEach":
        """Put signals beside each other."""
        return cls(tuple(signals_BTA), torch.stack([*signals_BTA.values()], dim=-1))

    def by_role(self) -> OfPair:
        """Return the agent's, then the target's."""
        names = [
            f"{role}.{name}" for role in ("agent", "target") for name in self.names
        ]
        return OfPair(tuple(names), self.values_BTAF.flatten(2))

    def by_size(self) -> OfPair:
        """Return the larger of the two, then the smaller; the known one if one is."""
        first_BTF, second_BTF = self.values_BTAF.unbind(dim=2)
        larger_BTF = torch.fmax(first_BTF, second_BTF)
        smaller_BTF = torch.fmin(first_BTF, second_BTF)
        names = [
            f"{size}.{name}" for size in ("larger", "smaller") for name in self.names
        ]
        return OfPair(tuple(names), torch.cat([larger_BTF, smaller_BTF], dim=2))


class SocialFeatures(Features):
    """Named features of a scene's first two animals, or of an agent and a target."""

    title = "Social features: what two animals are to each other"
    reach_s = 30.0

    def __init__(self, *, rate_fps: float, max_gap_s: float, directed: bool) -> None:
        super().__init__()
        self.rate_fps = rate_fps
        self.max_gap_frames = round(max_gap_s * rate_fps)
        self.directed = directed
        self.key = ("social", rate_fps, max_gap_s, directed)
        nobody = torch.full((1, 1, 2, len(KEYPOINTS), 2), torch.nan)
        named = dict(self._groups(nobody))
        self.names = tuple(name for group in named.values() for name in group.names)
        owners = [group for group, each in named.items() for _ in each.names]
        self.groups = {
            group: [place for place, owner in enumerate(owners) if owner == group]
            for group in named
        }

    def forward(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        groups = self._groups(poses_BTAK2[:, :, :2])
        return torch.cat([group.values_BTF for _, group in groups], dim=2)

    def _groups(
        self, poses_BTAK2: Float[Tensor, "b t 2 k 2"]
    ) -> Iterator[tuple[str, OfPair]]:
        dyad = self._meet(poses_BTAK2)
        if self.directed:
            yield "distances", distances(dyad)
        for of_pair in (closeness, gap, togetherness, stir):
            yield of_pair.__name__, of_pair(dyad)
        for of_each in (motion, facing, posture, visibility):
            each = of_each(dyad)
            yield of_each.__name__, each.by_role() if self.directed else each.by_size()

    def _meet(self, poses_BTAK2: Float[Tensor, "b t 2 k 2"]) -> Dyad:
        points_BTAL2 = find_landmarks(poses_BTAK2)
        if not self.directed:  # who is who matters there, and a swap back is a guess
            points_BTAL2 = undo_swaps(points_BTAL2)
        points_BTAL2 = bridge_gaps(points_BTAL2, longest=self.max_gap_frames)
        first_BTL2, second_BTL2 = points_BTAL2.unbind(dim=2)
        middle_BTA2 = without_gaps(rough_middle(points_BTAL2))
        return Dyad(
            points_BTAL2=points_BTAL2,
            middle_BTA2=middle_BTA2,
            velocity_BTA2=change_over(middle_BTA2, MOTION_SPAN_S, self.rate_fps),
            heading_BTA2=headings(points_BTAL2),
            line_BTA2=F.normalize(middle_BTA2.flip(2) - middle_BTA2, dim=-1),
            distance_BTLM=length(first_BTL2[:, :, :, None] - second_BTL2[:, :, None]),
            rate_fps=self.rate_fps,
        )


@cache
def social_names(*, directed: bool) -> tuple[str, ...]:
    """Return the features' names in order, such as ``agent.approach_cm_per_s``."""
    return SocialFeatures(rate_fps=30.0, max_gap_s=0.5, directed=directed).names


def distances(dyad: Dyad) -> OfPair:
    """From every landmark of the agent to every one of the target: who sniffs where.

    Only where labels have a direction: without one they made `rat_dyad` no better.
    """
    names = [f"{a}-{b}.distance_cm" for a in LANDMARKS for b in LANDMARKS]
    return OfPair(tuple(names), dyad.distance_BTLM.flatten(2))


def closeness(dyad: Dyad) -> OfPair:
    """How near the nearest landmarks are, and the times since and until a contact.

    What a touch is depends on the animals' size, so contact is measured in bodies. A
    bout goes on while the partners part for a moment: hence the times.
    """
    nearest_BT = least(dyad.distance_BTLM[:, :, TRUNK, TRUNK].flatten(2))
    body_BX = body_lengths(dyad.points_BTAL2).flatten(1)
    nearest_bodies_BT = nearest_BT / body_BX.nanmedian(dim=1, keepdim=True).values
    touch_BT = nearest_bodies_BT <= CONTACT_SHARE
    since_BT, until_BT = (
        seconds_since(touch, dyad.rate_fps, longest_s=LONGEST_WAIT_S)
        for touch in (touch_BT, touch_BT.flip(1))
    )
    return OfPair.of(
        nearest_cm=nearest_BT,
        nearest_bodies=nearest_bodies_BT,
        since_contact_s=since_BT,
        until_contact_s=until_BT.flip(1),
    )


def gap(dyad: Dyad) -> OfPair:
    """Distance between the middles, known also while one is hidden, and its change."""
    gap_BT = length(dyad.middle_BTA2[:, :, 0] - dyad.middle_BTA2[:, :, 1])
    return OfPair.of(
        gap_cm=gap_BT,
        gap_change_cm_per_s=change_over(gap_BT, MOTION_SPAN_S, dyad.rate_fps),
        gap_trend_cm_per_s=change_over(gap_BT, TREND_SPAN_S, dyad.rate_fps),
    )


def togetherness(dyad: Dyad) -> OfPair:
    """Whether the two look and go the same way: side by side, head-on, in a chase.

    `chase_cm_per_s` is how fast both go the same way along the line between them: zero
    when they come closer or part, however fast.
    """
    first_BT2, second_BT2 = dyad.velocity_BTA2.unbind(dim=2)
    line_BT2 = dyad.line_BTA2[:, :, 0]
    first_BT, second_BT = dot(first_BT2, line_BT2), dot(second_BT2, line_BT2)
    slower_BT = torch.minimum(first_BT.abs(), second_BT.abs())
    same_way_BT = (first_BT * second_BT > 0).to(slower_BT.dtype)
    return OfPair.of(
        heading_cosine=dot(*dyad.heading_BTA2.unbind(dim=2)),
        velocity_cosine=F.cosine_similarity(first_BT2, second_BT2, dim=-1),
        relative_speed_cm_per_s=length(first_BT2 - second_BT2),
        chase_cm_per_s=slower_BT * same_way_BT,
    )


def stir(dyad: Dyad) -> OfPair:
    """How much all landmarks move and spread, whoever they belong to.

    A landmark's motion is from the nearest place where one of its kind was, of either
    animal: trackers lose identities in a fight, and it is fights that this is for.
    """
    frames = span_frames(MOTION_SPAN_S, dyad.rate_fps)
    now_BTLA2 = dyad.points_BTAL2.transpose(2, 3)
    before_BTLA2 = shifted(now_BTLA2, frames)
    way_BTLAA = length(now_BTLA2[..., :, None, :] - before_BTLA2[..., None, :, :])
    speed_BTP = least(way_BTLAA).flatten(2) * (dyad.rate_fps / frames)
    trunks_BTP2 = dyad.points_BTAL2[:, :, :, TRUNK].flatten(2, 3)
    spread_BTP = length(trunks_BTP2 - trunks_BTP2.nanmean(dim=2, keepdim=True))
    apart_BTL = dyad.distance_BTLM.diagonal(dim1=2, dim2=3)
    return OfPair.of(
        stir_cm_per_s=speed_BTP.nanmean(dim=2),
        strongest_stir_cm_per_s=-least(-speed_BTP),
        spread_cm=spread_BTP.nanmean(dim=2),
        doubled_share=(apart_BTL < DOUBLED_CM).to(apart_BTL.dtype).mean(dim=2),
    )


def motion(dyad: Dyad) -> OfEach:
    """How fast an animal goes, and how fast towards where the other is now.

    Unlike the change of the gap, approach does not credit an animal for the other's own
    movement, which is what tells *chase* from *being chased*.
    """
    points_BTAL2, rate_fps = dyad.points_BTAL2, dyad.rate_fps
    snout_BTA2 = change_over(points_BTAL2[:, :, :, SNOUT], MOTION_SPAN_S, rate_fps)
    rump_BTA2 = change_over(points_BTAL2[:, :, :, RUMP], MOTION_SPAN_S, rate_fps)
    return OfEach.of(
        speed_cm_per_s=length(dyad.velocity_BTA2),
        approach_cm_per_s=dot(dyad.velocity_BTA2, dyad.line_BTA2),
        forward_cm_per_s=dot(dyad.velocity_BTA2, dyad.heading_BTA2),
        snout_speed_cm_per_s=length(snout_BTA2),
        rump_speed_cm_per_s=length(rump_BTA2),
    )


def facing(dyad: Dyad) -> OfEach:
    """Where the other is, seen by this animal: ahead or behind, and how far aside."""
    signals_BTA = {"facing_cosine": dot(dyad.heading_BTA2, dyad.line_BTA2)}
    for place in (SNOUT, BODY, RUMP):
        to_place_BTA2 = dyad.points_BTAL2.flip(2)[:, :, :, place] - dyad.middle_BTA2
        along_BTA = dot(to_place_BTA2, dyad.heading_BTA2)
        aside_BTA = cross(dyad.heading_BTA2, to_place_BTA2).abs()
        signals_BTA[f"others_{LANDMARKS[place]}_ahead_cm"] = along_BTA
        signals_BTA[f"others_{LANDMARKS[place]}_aside_cm"] = aside_BTA
    return OfEach.of(**signals_BTA)


def posture(dyad: Dyad) -> OfEach:
    """How long, bent and turning a body is: rearing and rolling over shorten it."""
    points_BTAL2 = dyad.points_BTAL2
    front_BTA2 = points_BTAL2[:, :, :, SNOUT] - points_BTAL2[:, :, :, BODY]
    back_BTA2 = points_BTAL2[:, :, :, BODY] - points_BTAL2[:, :, :, RUMP]
    frames = span_frames(MOTION_SPAN_S, dyad.rate_fps)
    before_BTA2 = shifted(dyad.heading_BTA2, frames)
    turn_BTA = torch.atan2(
        cross(before_BTA2, dyad.heading_BTA2), dot(before_BTA2, dyad.heading_BTA2)
    )
    return OfEach.of(
        body_length_cm=body_lengths(points_BTAL2),
        bend_cosine=F.cosine_similarity(front_BTA2, back_BTA2, dim=-1),
        turning_rad_per_s=turn_BTA.abs() * (dyad.rate_fps / frames),
    )


def visibility(dyad: Dyad) -> OfEach:
    """Tell what is seen of an animal: what is hidden is often under the other."""
    seen_BTAL = dyad.points_BTAL2[..., 0].isfinite().to(dyad.points_BTAL2.dtype)
    return OfEach.of(
        seen_landmarks=seen_BTAL.sum(dim=-1), snout_seen=seen_BTAL[..., SNOUT]
    )
