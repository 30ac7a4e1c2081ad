"""Skeletons: which keypoints poses have, and what they are to a body.

Poses have the axes ``[..., animal, keypoint, xy]``, with the animals and keypoints of a
`PoseLayout`; a height may follow x and y. A *slot* is one (animal, keypoint) in that
order; animals and keypoints of slots are indices from 0. A `Skeleton` says which
keypoints are a body's snout, rump …, which are left and right of each other, and how
they are joined.

The keypoints of rodents (`KEYPOINTS`, `RODENT`) are those of the challenge and of the
V1 and V2 recipes. Other bodies have the keypoints of their own data.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from mabe.zones import BORDER_POINTS

KEYPOINTS = (
    "nose",
    "head",
    "ear_left",
    "ear_right",
    "neck",
    "body_center",
    "lateral_left",
    "lateral_right",
    "hip_left",
    "hip_right",
    "spine_1",
    "spine_2",
    "tail_base",
    "tail_middle_1",
    "tail_midpoint",
    "tail_middle_2",
    "tail_tip",
    "headpiece",
)


ANIMALS = 4
"""Animals of the challenge's recordings, and of a scene of the V1 and V2 recipes."""


MOST_ANIMALS = 1_000
"""More in one recording are a mistake in a table."""


SLOTS = ANIMALS * len(KEYPOINTS)


BORDER = tuple(f"border {number}" for number in range(1, BORDER_POINTS + 1))
"""Keypoints that zones alone have: the points of `mabe.zones.border_points`. They come
last in the layout of a model whose targets may be zones."""


ZONE_CENTRE = "body_center"
"""The keypoint in which a zone has its centre; the first one where there is none."""


@runtime_checkable
class _Integers(Protocol):
    """A whole number, or an array or tensor of them."""

    def __mul__(self, other: int, /) -> Any: ...
    def __floordiv__(self, other: int, /) -> Any: ...
    def __mod__(self, other: int, /) -> Any: ...


Slots = TypeVar("Slots", bound=_Integers)


@dataclass(frozen=True, slots=True)
class PoseLayout:
    """The animals and keypoints that poses have room for, in order."""

    animals: int = ANIMALS
    keypoints: tuple[str, ...] = KEYPOINTS
    has_heights: bool = False
    """Whether a point has a third coordinate, its height above the floor."""

    @property
    def coordinates(self) -> int:
        """The number of coordinates of a point."""
        return 3 if self.has_heights else 2

    @property
    def of_bodies(self) -> tuple[str, ...]:
        """The keypoints without those that zones alone have."""
        return self.keypoints[: -len(BORDER)] if self.has_zones else self.keypoints

    @property
    def has_zones(self) -> bool:
        """Whether zones have a place in it."""
        return self.keypoints[-len(BORDER) :] == BORDER

    @property
    def slots(self) -> int:
        """The number of slots."""
        return self.animals * len(self.keypoints)

    def slot_of(self, animal: Slots, keypoint: Slots) -> Slots:
        """Return the slot of an animal's keypoint, both given as indices from 0."""
        return animal * len(self.keypoints) + keypoint

    def animal_of(self, slot: Slots) -> Slots:
        """Return the index of the animal a slot belongs to, from 0."""
        return slot // len(self.keypoints)

    def keypoint_of(self, slot: Slots) -> Slots:
        """Return the index of a slot's keypoint, from 0."""
        return slot % len(self.keypoints)


@dataclass(frozen=True, slots=True, order=True)
class TrackedPoint:
    """One keypoint of one animal that is tracked in a recording."""

    animal: int
    """The index of the animal, from 0."""
    keypoint: str


def points_of_slots(
    slots: Iterable[int], keypoints: tuple[str, ...]
) -> tuple[TrackedPoint, ...]:
    """Return the points of a recording's slots, in their order."""
    return tuple(
        TrackedPoint(slot // len(keypoints), keypoints[slot % len(keypoints)])
        for slot in slots
    )


def in_layout(points: Iterable[TrackedPoint], layout: PoseLayout) -> dict[int, int]:
    """Return the slot of each place in `points` that the layout has room for."""
    place = {name: number for number, name in enumerate(layout.keypoints)}
    return {
        at: layout.slot_of(point.animal, place[point.keypoint])
        for at, point in enumerate(points)
        if point.animal < layout.animals and point.keypoint in place
    }


def joined_keypoints(sets: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Return the keypoints of data in which these occur: canonical ones, then others.

    Data without others have all canonical keypoints, so that models of rodents have the
    same inputs whichever of them a lab tracks.
    """
    found = dict.fromkeys(name for names in sets for name in names)
    others = tuple(sorted(name for name in found if name not in KEYPOINTS))
    if not others:
        return KEYPOINTS
    return (*(name for name in KEYPOINTS if name in found), *others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """Keypoints and their roles.

    The six landmarks are what all bodies have in common. Each has sources, the best
    first: a keypoint, or ``a+b`` for the point half way between two.
    """

    keypoints: tuple[str, ...]
    snout: tuple[str, ...] = ()
    """The foremost point."""
    neck: tuple[str, ...] = ()
    """Between the snout and the centre."""
    body: tuple[str, ...] = ()
    """The centre."""
    rump: tuple[str, ...] = ()
    """The end of what moves with the body."""
    tail: tuple[str, ...] = ()
    """The middle of what does not."""
    tip: tuple[str, ...] = ()
    """Its end."""
    front: tuple[str, ...] = ()
    rear: tuple[str, ...] = ()
    """A heading is from the mean of the rear keypoints to that of the front ones."""
    pairs: tuple[tuple[str, str], ...] = ()
    """Keypoints that are exchanged when a pose is mirrored: left, right."""
    edges: tuple[tuple[str, str], ...] = ()
    """Keypoints that are joined in a drawing; none: those of the landmarks are."""

    @property
    def landmarks(self) -> dict[str, tuple[str, ...]]:
        """The sources of each landmark."""
        return {name: getattr(self, name) for name in LANDMARKS}

    @property
    def has_heading(self) -> bool:
        """Whether two landmarks of the trunk can differ, so that there is a front."""
        found = self.landmarks
        return sum(bool(found[name]) for name in ("snout", "body", "rump")) > 1

    @property
    def further(self) -> tuple[str, ...]:
        """The keypoints that no landmark is made of, in order."""
        used = {
            part
            for sources in self.landmarks.values()
            for source in sources
            for part in source.split("+")
        }
        return tuple(name for name in self.keypoints if name not in used)

    def mirror_order(self) -> list[int]:
        """Return, for each keypoint, the keypoint that takes its place in a mirror."""
        partner = dict(self.pairs) | {b: a for a, b in self.pairs}
        place = {name: number for number, name in enumerate(self.keypoints)}
        return [place.get(partner.get(n, n), at) for at, n in enumerate(self.keypoints)]

    def with_keypoints(self, keypoints: tuple[str, ...]) -> "Skeleton":
        """Return the roles that some keypoints have, for data with these."""
        known = set(keypoints)

        def kept(sources: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(s for s in sources if known.issuperset(s.split("+")))

        def both(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
            return tuple(pair for pair in pairs if known.issuperset(pair))

        return Skeleton(
            keypoints=keypoints,
            snout=kept(self.snout),
            neck=kept(self.neck),
            body=kept(self.body),
            rump=kept(self.rump),
            tail=kept(self.tail),
            tip=kept(self.tip),
            front=kept(self.front),
            rear=kept(self.rear),
            pairs=both(self.pairs),
            edges=both(self.edges),
        )

    def joined(self, other: "Skeleton") -> "Skeleton":
        """Return a skeleton that has the roles of both, this one's sources first."""
        return Skeleton(
            keypoints=joined_keypoints([self.keypoints, other.keypoints]),
            **{
                name: tuple(
                    dict.fromkeys((*getattr(self, name), *getattr(other, name)))
                )
                for name in (*LANDMARKS, *_PARTS)
            },
        )


def with_front_and_rear(skeleton: Skeleton) -> Skeleton:
    """Return a skeleton whose heading has both ends, from its landmarks if need be."""

    def parts(*names: str) -> tuple[str, ...]:
        sources = [source for name in names for source in skeleton.landmarks[name]]
        return tuple(dict.fromkeys(part for s in sources for part in s.split("+")))

    front = skeleton.front or parts("snout", "neck")
    rear = skeleton.rear or tuple(n for n in parts("body", "rump") if n not in front)
    return replace(skeleton, front=front, rear=rear)


LANDMARKS = ("snout", "neck", "body", "rump", "tail", "tip")


_PARTS = ("front", "rear", "pairs", "edges")


RODENT = Skeleton(
    keypoints=KEYPOINTS,
    snout=("nose", "head", "ear_left+ear_right", "headpiece"),
    neck=("neck", "ear_left+ear_right", "spine_1"),
    body=(
        "body_center",
        "lateral_left+lateral_right",
        "hip_left+hip_right",
        "spine_1+spine_2",
    ),
    rump=("tail_base", "hip_left+hip_right"),
    tail=("tail_midpoint", "tail_middle_1+tail_middle_2"),
    tip=("tail_tip",),
    front=("nose", "head", "ear_left", "ear_right", "neck", "headpiece"),
    rear=("body_center", "hip_left", "hip_right", "spine_2", "tail_base"),
    pairs=(
        ("ear_left", "ear_right"),
        ("lateral_left", "lateral_right"),
        ("hip_left", "hip_right"),
    ),
)
"""The skeleton of the challenge; tails bend too much for a heading."""
