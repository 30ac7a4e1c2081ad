"""Bodies as they are drawn: bones, the front, where they are, who meets whom."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float

from mabe.data.poses_in_cm import MISSING, STEP_CM
from mabe.data.store import PoseStore
from mabe.io.guess_skeleton import MOST_FRAMES, guess_skeleton
from mabe.recording import StoredRecording
from mabe.skeleton import Skeleton, TrackedPoint
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


@dataclass(frozen=True, slots=True)
class BodyDrawing:
    """What is drawn of all animals beside their points, as places among these."""

    bones: list[list[int]]
    """Pairs of places that are joined."""
    fronts: list[list[int]]
    """The places whose mean is the front of an animal; none where it is not known."""

    @classmethod
    def of(cls, store: PoseStore, index: int) -> "BodyDrawing":
        """Return what is drawn of a recording."""
        about, bones, fronts = store.recordings[index], [], []
        place = {point: number for number, point in enumerate(about.points)}
        for keypoints, animals in _bodies(about).items():
            skeleton = _skeleton_of(keypoints, animals, store, index)
            snout = next(iter(skeleton.snout or skeleton.neck), "").split("+")
            has_front = skeleton.has_heading and all(snout)
            for animal in animals:
                at = {name: place[TrackedPoint(animal, name)] for name in keypoints}
                for one, other in find_bones(keypoints, skeleton):
                    bones.append([at[one], at[other]])
                if has_front and animal + 1 not in about.objects:
                    fronts.append([at[name] for name in snout])
        return cls(bones, fronts)


def _bodies(about: StoredRecording) -> dict[tuple[str, ...], list[int]]:
    """Return the animals (from 0) that have the same tracked points, by these."""
    of_animal: dict[int, list[str]] = {}
    for point in about.points:
        of_animal.setdefault(point.animal, []).append(point.keypoint)
    bodies: dict[tuple[str, ...], list[int]] = {}
    for animal, names in sorted(of_animal.items()):
        bodies.setdefault(tuple(sorted(names)), []).append(animal)
    return bodies


def _skeleton_of(
    keypoints: tuple[str, ...], animals: Sequence[int], store: PoseStore, index: int
) -> Skeleton:
    """Return the roles of the points of some animals, from names or movements."""
    points = store.recordings[index].points
    steps = store.quantized(index)[:MOST_FRAMES]
    place = {point: number for number, point in enumerate(points)}
    slots = [[place[TrackedPoint(a, name)] for name in keypoints] for a in animals]
    poses_TAK2 = np.where(steps == MISSING, np.nan, steps * STEP_CM)[:, slots]
    return guess_skeleton(keypoints, [poses_TAK2], store.rate_fps).skeleton


def find_bones(
    keypoints: Collection[str], skeleton: Skeleton | None = None
) -> list[tuple[str, str]]:
    """Return the pairs of tracked points to join: along the spine, and to its sides.

    The spine of other bodies is their landmarks, those of `skeleton` or as names tell
    them; points beside it hang on the centre.
    """
    if set(keypoints).isdisjoint((*_SPINE, *_SIDES)):
        if skeleton is None:
            skeleton = guess_skeleton(sorted(keypoints), [], rate_fps=1.0).skeleton
        return _bones_of_other_bodies(keypoints, skeleton)
    spine = [name for name in _SPINE if name in keypoints]
    bones = list(pairwise(spine))
    for side, candidates in _SIDES.items():
        held_by = next((name for name in candidates if name in keypoints), None)
        if side in keypoints and held_by:
            bones.append((held_by, side))
    return bones


def _bones_of_other_bodies(
    keypoints: Collection[str], skeleton: Skeleton
) -> list[tuple[str, str]]:
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
