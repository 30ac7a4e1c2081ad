"""Social features of two animals: distance, facing, approach, contact and motion.

Dimension key: B batch, T time, A animal (two), L M landmark, P place, F feature.
Poses are in cm at `rate_fps`, features in the units of their names (cosines and shares
have none), both NaN where missing. No feature depends on where in the arena the animals
are, on its rotation, or on left and right.

*Order.* Where labels have a direction, there are two features for each measure of one
animal: of the ``agent`` (the first animal) and of the ``target`` (the second). Where
they have none, there are the ``larger`` and the ``smaller`` of the two values, so that
exchanging the animals changes nothing, even in the middle of a recording.

*Gaps.* Short ones are bridged (see `mabe.features.gaps`). The animals' centres are
bridged over gaps of any length: a hidden animal is most often under the other one, so
that their distance (`gap_cm`) is known although their landmarks are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mabe.features.base import BodyFeatures
from mabe.features.further_points import (
    further_groups,
    further_signals,
    in_own_frame,
    nearest_points,
)
from mabe.features.gaps import bridge_gaps
from mabe.features.identity_swaps import exchange_in, exchanged_frames
from mabe.features.kinematics import change_over, seconds_since, shifted, span_frames
from mabe.features.landmarks import (
    BODY,
    RUMP,
    SNOUT,
    TRUNK,
    body_lengths,
    find_landmarks,
    headings,
    rough_middle,
    without_gaps,
)
from mabe.features.vectors import cross, dot, least, length
from mabe.skeleton import LANDMARKS, RODENT, Skeleton

MOTION_SPAN_S = 0.2
"""Speeds are differences over this time; over a single frame they are mostly noise."""


TREND_SPAN_S = 2.0
"""Changes of the gap over this time are an approach rather than fidgeting."""


TRAVEL_SPAN_S = 0.4
"""The heading of a single point is the direction of its travel over this time."""


RESTS_BELOW = 0.1
"""Share of an animal's usual speed below which its direction is noise."""


CONTACT_SHARE = 0.25
"""Two animals are in contact at a distance of at most this share of a body length."""


LONGEST_WAIT_S = 10.0
"""Times since and until a contact are cut off here."""


DOUBLED_CM = 1.0
"""Two landmarks of one kind this close are one animal that was tracked twice."""


@dataclass(frozen=True, slots=True)
class Dyad:
    """Two animals, and the measures from which most features are computed."""

    points_BTAL2: Float[Tensor, "b t 2 l 2"]
    """Landmarks, short gaps bridged."""
    middle_BTA2: Float[Tensor, "b t 2 2"]
    """The centre of each animal, without gaps; NaN for one that is never tracked."""
    velocity_BTA2: Float[Tensor, "b t 2 2"]
    """Of each centre, in cm/s."""
    heading_BTA2: Float[Tensor, "b t 2 2"]
    """Unit vectors, NaN where fewer than two parts of the trunk are tracked."""
    line_BTA2: Float[Tensor, "b t 2 2"]
    """Unit vectors from each animal's centre to the other's."""
    distance_BTLM: Float[Tensor, "b t l l"]
    """From each landmark of the first animal to each of the second, in cm."""
    poses_BTAK2: Float[Tensor, "b t 2 k 2"]
    """All keypoints, short gaps bridged where there are more than landmarks."""
    skeleton: Skeleton
    rate_fps: float


@dataclass(frozen=True, slots=True)
class PairSignals:
    """Features of the two animals together."""

    names: tuple[str, ...]
    values_BTF: Float[Tensor, "b t f"]

    @classmethod
    def of(cls, **signals_BT: Float[Tensor, "b t"]) -> "PairSignals":
        """Put signals beside each other."""
        return cls(tuple(signals_BT), torch.stack([*signals_BT.values()], dim=-1))


@dataclass(frozen=True, slots=True)
class AnimalSignals:
    """Features of each of the two animals."""

    names: tuple[str, ...]
    values_BTAF: Float[Tensor, "b t 2 f"]

    @classmethod
    def of(cls, **signals_BTA: Float[Tensor, "b t 2"]) -> "AnimalSignals":
        """Put signals beside each other."""
        return cls(tuple(signals_BTA), torch.stack([*signals_BTA.values()], dim=-1))

    def by_role(self) -> PairSignals:
        """Return the agent's, then the target's."""
        names = [
            f"{role}.{name}" for role in ("agent", "target") for name in self.names
        ]
        return PairSignals(tuple(names), self.values_BTAF.flatten(2))

    def by_size(self) -> PairSignals:
        """Return the larger of the two values, then the smaller; NaN where both are."""
        first_BTF, second_BTF = self.values_BTAF.unbind(dim=2)
        larger_BTF = torch.fmax(first_BTF, second_BTF)
        smaller_BTF = torch.fmin(first_BTF, second_BTF)
        names = [
            f"{size}.{name}" for size in ("larger", "smaller") for name in self.names
        ]
        return PairSignals(tuple(names), torch.cat([larger_BTF, smaller_BTF], dim=2))


class SocialFeatures(BodyFeatures):
    """Named features of a scene's first two animals, or of an agent and a target."""

    title = "Social features: what two animals are to each other"
    reach_s = 30.0

    def __init__(
        self,
        *,
        rate_fps: float,
        max_gap_s: float,
        directed: bool,
        skeleton: Skeleton = RODENT,
    ) -> None:
        super().__init__(rate_fps=rate_fps, max_gap_s=max_gap_s, skeleton=skeleton)
        self.directed = directed
        self.name_by(
            ("social", rate_fps, max_gap_s, directed, skeleton),
            len(skeleton.keypoints),
            lambda poses_BTAK2: (
                (group, name)
                for group, signals in self._groups(poses_BTAK2)
                for name in signals.names
            ),
        )

    def forward(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        groups = self._groups(poses_BTAK2[:, :, :2])
        return torch.cat([group.values_BTF for _, group in groups], dim=2)

    def middles(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t a 2"]:
        """Return the centre of each of any number of animals, without gaps."""
        points_BTAL2 = find_landmarks(poses_BTAK2, self.skeleton)
        points_BTAL2 = bridge_gaps(points_BTAL2, longest=self.max_gap_frames)
        return without_gaps(rough_middle(points_BTAL2))

    def _groups(
        self, poses_BTAK2: Float[Tensor, "b t 2 k 2"]
    ) -> Iterator[tuple[str, PairSignals]]:
        dyad = self._dyad(poses_BTAK2)
        if self.directed:
            yield "distances", distances(dyad)
        for of_pair in (closeness, gap, alignment, landmark_motion):
            yield of_pair.__name__, of_pair(dyad)
        for of_each in (motion, facing, posture, visibility):
            each = of_each(dyad)
            yield of_each.__name__, each.by_role() if self.directed else each.by_size()
        if further_groups(self.skeleton):
            yield nearest.__name__, nearest(dyad)
            each = further_points(dyad)
            yield (
                further_points.__name__,
                each.by_role() if self.directed else each.by_size(),
            )

    def _dyad(self, poses_BTAK2: Float[Tensor, "b t 2 k 2"]) -> Dyad:
        points_BTAL2 = find_landmarks(poses_BTAK2, self.skeleton)
        has_further = bool(further_groups(self.skeleton))
        if not self.directed:  # where roles matter, undoing a swap would be a guess
            odd_BT = exchanged_frames(points_BTAL2)
            points_BTAL2 = exchange_in(odd_BT, points_BTAL2)
            poses_BTAK2 = (
                exchange_in(odd_BT, poses_BTAK2) if has_further else poses_BTAK2
            )
        points_BTAL2 = bridge_gaps(points_BTAL2, longest=self.max_gap_frames)
        if has_further:
            poses_BTAK2 = bridge_gaps(poses_BTAK2, longest=self.max_gap_frames)
        first_BTL2, second_BTL2 = points_BTAL2.unbind(dim=2)
        middle_BTA2 = without_gaps(rough_middle(points_BTAL2))
        heading_BTA2 = (
            headings(points_BTAL2)
            if self.skeleton.has_heading
            else travel_directions(middle_BTA2, self.rate_fps)
        )
        return Dyad(
            points_BTAL2=points_BTAL2,
            middle_BTA2=middle_BTA2,
            velocity_BTA2=change_over(middle_BTA2, MOTION_SPAN_S, self.rate_fps),
            heading_BTA2=heading_BTA2,
            line_BTA2=F.normalize(middle_BTA2.flip(2) - middle_BTA2, dim=-1),
            distance_BTLM=length(first_BTL2[:, :, :, None] - second_BTL2[:, :, None]),
            poses_BTAK2=poses_BTAK2,
            skeleton=self.skeleton,
            rate_fps=self.rate_fps,
        )


def travel_directions(
    middle_BTA2: Float[Tensor, "b t a 2"], rate_fps: float
) -> Float[Tensor, "b t a 2"]:
    """Return the unit vector of each animal's travel: the heading of a single point.

    An animal that rests keeps the direction in which it came.
    """
    moved_BTA2 = change_over(middle_BTA2, TRAVEL_SPAN_S, rate_fps)
    speed_BTA = length(moved_BTA2)
    usual_B1A = speed_BTA.nanmedian(dim=1, keepdim=True).values
    rests_BTA = speed_BTA <= RESTS_BELOW * usual_B1A
    moved_BTA2 = moved_BTA2.masked_fill(rests_BTA[..., None], torch.nan)
    return F.normalize(without_gaps(F.normalize(moved_BTA2, dim=-1)), dim=-1)


def nearest(dyad: Dyad) -> PairSignals:
    """Distance between the nearest of all points of the two animals."""
    return PairSignals.of(nearest_point_cm=nearest_points(dyad.poses_BTAK2))


def further_points(dyad: Dyad) -> AnimalSignals:
    """Where the points beyond the landmarks are on their own body, and their motion."""
    own_BTAK2 = in_own_frame(dyad.poses_BTAK2, dyad.middle_BTA2, dyad.heading_BTA2)
    signals = further_signals(own_BTAK2, dyad.skeleton, dyad.rate_fps)
    return AnimalSignals.of(**dict(signals))


def distances(dyad: Dyad) -> PairSignals:
    """From every landmark of the agent to every one of the target.

    Only where labels have a direction; without one, scores on `rat_dyad` were the same.
    """
    names = [f"{a}-{b}.distance_cm" for a in LANDMARKS for b in LANDMARKS]
    return PairSignals(tuple(names), dyad.distance_BTLM.flatten(2))


def closeness(dyad: Dyad) -> PairSignals:
    """Distance of the nearest landmarks, and the times since and until a contact.

    Contact is defined in body lengths, as animals differ in size. The times bridge
    moments without contact within a bout.
    """
    nearest_BT = least(dyad.distance_BTLM[:, :, TRUNK, TRUNK].flatten(2))
    body_BX = body_lengths(dyad.points_BTAL2).flatten(1)
    nearest_bodies_BT = nearest_BT / body_BX.nanmedian(dim=1, keepdim=True).values
    touch_BT = nearest_bodies_BT <= CONTACT_SHARE
    since_BT, until_BT = (
        seconds_since(touch, dyad.rate_fps, longest_s=LONGEST_WAIT_S)
        for touch in (touch_BT, touch_BT.flip(1))
    )
    return PairSignals.of(
        nearest_cm=nearest_BT,
        nearest_bodies=nearest_bodies_BT,
        since_contact_s=since_BT,
        until_contact_s=until_BT.flip(1),
    )


def gap(dyad: Dyad) -> PairSignals:
    """Distance between the centres, also while one is hidden, and its change."""
    gap_BT = length(dyad.middle_BTA2[:, :, 0] - dyad.middle_BTA2[:, :, 1])
    return PairSignals.of(
        gap_cm=gap_BT,
        gap_change_cm_per_s=change_over(gap_BT, MOTION_SPAN_S, dyad.rate_fps),
        gap_trend_cm_per_s=change_over(gap_BT, TREND_SPAN_S, dyad.rate_fps),
    )


def alignment(dyad: Dyad) -> PairSignals:
    """Whether the two face and move in the same direction.

    `chase_cm_per_s` is the speed at which both move in the same direction along the
    line between them: zero when they approach or leave each other, at any speed.
    """
    first_BT2, second_BT2 = dyad.velocity_BTA2.unbind(dim=2)
    line_BT2 = dyad.line_BTA2[:, :, 0]
    first_BT, second_BT = dot(first_BT2, line_BT2), dot(second_BT2, line_BT2)
    slower_BT = torch.minimum(first_BT.abs(), second_BT.abs())
    same_way_BT = (first_BT * second_BT > 0).to(slower_BT.dtype)
    return PairSignals.of(
        heading_cosine=dot(*dyad.heading_BTA2.unbind(dim=2)),
        velocity_cosine=F.cosine_similarity(first_BT2, second_BT2, dim=-1),
        relative_speed_cm_per_s=length(first_BT2 - second_BT2),
        chase_cm_per_s=slower_BT * same_way_BT,
    )


def landmark_motion(dyad: Dyad) -> PairSignals:
    """Motion and spread of all landmarks, whichever animal they belong to.

    A landmark's motion is measured from the nearest earlier landmark of its kind, of
    either animal, since trackers confuse identities in fights.
    """
    frames = span_frames(MOTION_SPAN_S, dyad.rate_fps)
    now_BTLA2 = dyad.points_BTAL2.transpose(2, 3)
    before_BTLA2 = shifted(now_BTLA2, frames)
    way_BTLAA = length(now_BTLA2[..., :, None, :] - before_BTLA2[..., None, :, :])
    speed_BTP = least(way_BTLAA).flatten(2) * (dyad.rate_fps / frames)
    trunks_BTP2 = dyad.points_BTAL2[:, :, :, TRUNK].flatten(2, 3)
    spread_BTP = length(trunks_BTP2 - trunks_BTP2.nanmean(dim=2, keepdim=True))
    apart_BTL = dyad.distance_BTLM.diagonal(dim1=2, dim2=3)
    return PairSignals.of(
        landmark_speed_cm_per_s=speed_BTP.nanmean(dim=2),
        largest_landmark_speed_cm_per_s=-least(-speed_BTP),
        spread_cm=spread_BTP.nanmean(dim=2),
        doubled_share=(apart_BTL < DOUBLED_CM).to(apart_BTL.dtype).mean(dim=2),
    )


def motion(dyad: Dyad) -> AnimalSignals:
    """Speed of an animal, and its speed towards the present place of the other.

    Unlike the change of the gap, the approach of an animal does not contain the other's
    movement: this distinguishes *chase* from *being chased*.
    """
    points_BTAL2, rate_fps = dyad.points_BTAL2, dyad.rate_fps
    snout_BTA2 = change_over(points_BTAL2[:, :, :, SNOUT], MOTION_SPAN_S, rate_fps)
    rump_BTA2 = change_over(points_BTAL2[:, :, :, RUMP], MOTION_SPAN_S, rate_fps)
    return AnimalSignals.of(
        speed_cm_per_s=length(dyad.velocity_BTA2),
        approach_cm_per_s=dot(dyad.velocity_BTA2, dyad.line_BTA2),
        forward_cm_per_s=dot(dyad.velocity_BTA2, dyad.heading_BTA2),
        snout_speed_cm_per_s=length(snout_BTA2),
        rump_speed_cm_per_s=length(rump_BTA2),
    )


def facing(dyad: Dyad) -> AnimalSignals:
    """Position of the other animal relative to this one's heading: ahead, and aside."""
    signals_BTA = {"facing_cosine": dot(dyad.heading_BTA2, dyad.line_BTA2)}
    for place in (SNOUT, BODY, RUMP):
        to_place_BTA2 = dyad.points_BTAL2.flip(2)[:, :, :, place] - dyad.middle_BTA2
        along_BTA = dot(to_place_BTA2, dyad.heading_BTA2)
        aside_BTA = cross(dyad.heading_BTA2, to_place_BTA2).abs()
        signals_BTA[f"others_{LANDMARKS[place]}_ahead_cm"] = along_BTA
        signals_BTA[f"others_{LANDMARKS[place]}_aside_cm"] = aside_BTA
    return AnimalSignals.of(**signals_BTA)


def posture(dyad: Dyad) -> AnimalSignals:
    """Length, bend and turning of a body; rearing and rolling over shorten it."""
    points_BTAL2 = dyad.points_BTAL2
    front_BTA2 = points_BTAL2[:, :, :, SNOUT] - points_BTAL2[:, :, :, BODY]
    back_BTA2 = points_BTAL2[:, :, :, BODY] - points_BTAL2[:, :, :, RUMP]
    frames = span_frames(MOTION_SPAN_S, dyad.rate_fps)
    before_BTA2 = shifted(dyad.heading_BTA2, frames)
    turn_BTA = torch.atan2(
        cross(before_BTA2, dyad.heading_BTA2), dot(before_BTA2, dyad.heading_BTA2)
    )
    return AnimalSignals.of(
        body_length_cm=body_lengths(points_BTAL2),
        bend_cosine=F.cosine_similarity(front_BTA2, back_BTA2, dim=-1),
        turning_rad_per_s=turn_BTA.abs() * (dyad.rate_fps / frames),
    )


def visibility(dyad: Dyad) -> AnimalSignals:
    """Return what is tracked of an animal; hidden parts are often under the other."""
    tracked_BTAL = dyad.points_BTAL2[..., 0].isfinite().to(dyad.points_BTAL2.dtype)
    return AnimalSignals.of(
        tracked_landmarks=tracked_BTAL.sum(dim=-1),
        snout_tracked=tracked_BTAL[..., SNOUT],
    )
