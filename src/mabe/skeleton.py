"""The canonical skeleton: its keypoints and slots.

Every pose in `mabe` has the axes ``[..., animal, keypoint, xy]`` with `ANIMALS` ×
`KEYPOINTS`. A *slot* is one (animal, keypoint) in that order; animals and keypoints
of slots are indices from 0.
"""

from typing import Any, Protocol, TypeVar, runtime_checkable

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


SLOTS = ANIMALS * len(KEYPOINTS)


LEFT_RIGHT_PAIRS = (
    ("ear_left", "ear_right"),
    ("lateral_left", "lateral_right"),
    ("hip_left", "hip_right"),
)
"""Keypoints that are exchanged when a pose is mirrored."""


@runtime_checkable
class _Integers(Protocol):
    """A whole number, or an array or tensor of them."""

    def __mul__(self, other: int, /) -> Any: ...
    def __floordiv__(self, other: int, /) -> Any: ...
    def __mod__(self, other: int, /) -> Any: ...


Slots = TypeVar("Slots", bound=_Integers)


def slot_of(animal: Slots, keypoint: Slots) -> Slots:
    """Return the slot of an animal's keypoint, both given as indices from 0."""
    return animal * len(KEYPOINTS) + keypoint


def animal_of(slot: Slots) -> Slots:
    """Return the index of the animal a slot belongs to, from 0."""
    return slot // len(KEYPOINTS)


def keypoint_of(slot: Slots) -> Slots:
    """Return the index in `KEYPOINTS` of a slot's keypoint."""
    return slot % len(KEYPOINTS)


def mirror_order() -> list[int]:
    """Return, for each keypoint, the keypoint that takes its place in a mirror."""
    partner = dict(LEFT_RIGHT_PAIRS) | {b: a for a, b in LEFT_RIGHT_PAIRS}
    return [KEYPOINTS.index(partner.get(name, name)) for name in KEYPOINTS]
