"""Which points of a tracked animal are drawn as joined, whatever a lab tracks."""

from collections.abc import Collection
from itertools import pairwise

_SPINE = (
    "nose",
    "head",
    "neck",
    "spine_1",
    "body_center",
    "spine_2",
    "tail_base",
    "tail_middle_1",
    "tail_midpoint",
    "tail_middle_2",
    "tail_tip",
)
_SIDES = {
    "ear_left": ("head", "neck", "nose"),
    "ear_right": ("head", "neck", "nose"),
    "headpiece": ("head", "neck", "nose"),
    "lateral_left": ("body_center", "spine_1", "spine_2"),
    "lateral_right": ("body_center", "spine_1", "spine_2"),
    "hip_left": ("tail_base", "spine_2", "body_center"),
    "hip_right": ("tail_base", "spine_2", "body_center"),
}
"""What a point beside the spine hangs on: the first of these that is tracked."""


def find_bones(keypoints: Collection[str]) -> list[tuple[str, str]]:
    """Return the pairs of tracked points to join: along the spine, and to its sides."""
    spine = [name for name in _SPINE if name in keypoints]
    bones = list(pairwise(spine))
    for side, candidates in _SIDES.items():
        held_by = next((name for name in candidates if name in keypoints), None)
        if side in keypoints and held_by:
            bones.append((held_by, side))
    return bones
