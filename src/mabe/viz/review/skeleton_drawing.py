"""Bodies as they are drawn: which points are joined, where they are, who meets whom."""

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from mabe.data.poses_in_cm import MISSING, STEP_CM
from mabe.data.store import PoseStore
from mabe.io.guess_skeleton import guess_skeleton
from mabe.recording import StoredRecording
from mabe.skeleton import TrackedPoint
from mabe.zones import border_lines, border_points

_SAMPLES = 4000
"""Frames that are sampled for the extent of the tracks."""


_EDGE_CM = 3.0


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
    """Return the pairs of tracked points to join: along the spine, and to its sides.

    The spine of other bodies is their landmarks, as names tell them; points beside it
    hang on the centre.
    """
    if set(keypoints).isdisjoint((*_SPINE, *_SIDES)):
        return _bones_of_other_bodies(keypoints)
    spine = [name for name in _SPINE if name in keypoints]
    bones = list(pairwise(spine))
    for side, candidates in _SIDES.items():
        held_by = next((name for name in candidates if name in keypoints), None)
        if side in keypoints and held_by:
            bones.append((held_by, side))
    return bones


def _bones_of_other_bodies(keypoints: Collection[str]) -> list[tuple[str, str]]:
    skeleton = guess_skeleton(sorted(keypoints), [], rate_fps=1.0).skeleton
    spine = [
        source
        for sources in skeleton.landmarks.values()
        for source in sources[:1]
        if "+" not in source
    ]
    bones = list(pairwise(spine))
    centre = next(iter(skeleton.body or skeleton.rump or skeleton.snout), None)
    if centre and "+" not in centre:
        bones += [(centre, name) for name in sorted(keypoints) if name not in spine]
    return bones


def pairs_of(about: StoredRecording) -> list[tuple[int, int]]:
    """Return every agent and target that are tracked, those watched first."""
    animals = about.tracked_animals
    watched = sorted({(w.agent, w.target) for w in about.watched})
    labelled = sorted({(b.agent, b.target) for b in about.bouts})
    every = [(a, b) for a in animals for b in animals if a != b]
    every += [(a, a) for a in animals]
    return list(dict.fromkeys([*watched, *labelled, *every]))


def bone_places(points: Sequence[TrackedPoint]) -> list[list[int]]:
    """Return the bones of all animals as pairs of places in `points`."""
    place = {point: number for number, point in enumerate(points)}
    bones = []
    for animal in sorted({point.animal for point in points}):
        tracked = {point.keypoint for point in points if point.animal == animal}
        for ends in find_bones(tracked):
            bones.append([place[TrackedPoint(animal, end)] for end in ends])
    return bones


def zone_outlines(about: StoredRecording) -> list[dict[str, Any]]:
    """Return the name of each zone, and its closed lines in the cm of the poses."""
    x, y = about.origin_cm
    return [
        {
            "name": each.zone.name,
            "lines": border_lines(border_points(each.zone.moved(-x, -y))),
        }
        for each in about.zones
    ]


def bounds_cm(store: PoseStore, index: int) -> list[float]:
    """Return [left, top, right, bottom] of nearly all points and zones, with room."""
    steps = store.quantized(index)
    some = steps[:: max(1, len(steps) // _SAMPLES)].reshape(-1, 2).astype(np.float32)
    points: Float[np.ndarray, "point 2"] = some[some[:, 0] != MISSING] * STEP_CM
    if not len(points):
        return [-10.0, -10.0, 10.0, 10.0]
    low, high = np.percentile(points, [0.2, 99.8], axis=0)
    for zone in zone_outlines(store.recordings[index]):
        corners = np.array([corner for line in zone["lines"] for corner in line])
        low, high = np.minimum(low, corners.min(0)), np.maximum(high, corners.max(0))
    return [*(low - _EDGE_CM).tolist(), *(high + _EDGE_CM).tolist()]
