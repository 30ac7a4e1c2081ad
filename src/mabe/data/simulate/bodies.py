"""From motion to keypoints: a bent spine, and points to the left and right of it.

The spine is an arc through the body centre, the tail another one that starts at the
tail base. Positions on the body are in cm, for a mouse of average size: *along* the
spine, ahead of the body centre, and to the *left* of it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mabe.data.simulate.movement import Motion
from mabe.data.simulate.placement import NOSE_CM, TAIL_BASE_CM
from mabe.io.keypoint_names import match_keypoint

_SPINE_CM = 8.0


_NECK_CM = 1.5
"""Points ahead of this turn with the head."""


_TAIL_CM = 8.0


@dataclass(frozen=True, slots=True)
class _Spot:
    along_cm: float
    left_cm: float = 0.0


_TAIL_PARTS_CM = {
    "tail_middle_1": 2.0,
    "tail_midpoint": 4.0,
    "tail_middle_2": 6.0,
    "tail_tip": _TAIL_CM,
}


_BODY_PARTS = {
    "nose": _Spot(NOSE_CM),
    "head": _Spot(3.0),
    "ear_left": _Spot(2.5, 0.9),
    "ear_right": _Spot(2.5, -0.9),
    "neck": _Spot(1.8),
    "spine_1": _Spot(0.9),
    "body_center": _Spot(0.0),
    "lateral_left": _Spot(-0.2, 1.4),
    "lateral_right": _Spot(-0.2, -1.4),
    "spine_2": _Spot(-1.4),
    "hip_left": _Spot(-2.3, 1.3),
    "hip_right": _Spot(-2.3, -1.3),
    "tail_base": _Spot(TAIL_BASE_CM),
    "headpiece": _Spot(2.8),
    "forepaw_left": _Spot(1.2, 1.0),
    "forepaw_right": _Spot(1.2, -1.0),
    "hindpaw_left": _Spot(-2.6, 1.6),
    "hindpaw_right": _Spot(-2.6, -1.6),
}


def pose_bodies(
    motions: Sequence[Motion],
    *,
    sizes: Sequence[float],
    parts: Sequence[str],
    first: int,
    stop: int,
) -> Float[np.ndarray, "time animal part 2"]:
    """Return the true positions of body parts in cm, for frames `first` up to `stop`.

    `parts` are a lab's own names; the position of an unknown one is derived from its
    name.
    """
    poses = np.empty((stop - first, len(motions), len(parts), 2), np.float32)
    for animal, (motion, size) in enumerate(zip(motions, sizes, strict=True)):
        own = _cut(motion, first, stop)
        for part, name in enumerate(parts):
            _place_part(own, name, size, poses[:, animal, part])
    return poses


def tail_distance_cm(name: str) -> float:
    """Return the distance of a part of the tail to its base; 0 for other parts."""
    return _TAIL_PARTS_CM.get(match_keypoint(name) or "", 0.0)


def _cut(motion: Motion, first: int, stop: int) -> Motion:
    span = slice(first, stop)
    return Motion(
        position_cm=motion.position_cm[span],
        heading=motion.heading[span],
        bend=motion.bend[span],
        stretch=motion.stretch[span],
        nod=motion.nod[span],
        tail_bend=motion.tail_bend[span],
    )


def _place_part(motion: Motion, name: str, size: float, out: np.ndarray) -> None:
    if tail_cm := tail_distance_cm(name):
        _place_tail_part(motion, tail_cm, size, out)
    else:
        _place_spot(motion, _find_spot(name), size, out)


def _place_spot(motion: Motion, spot: _Spot, size: float, out: np.ndarray) -> None:
    """Follow the chord of the spine's arc, then go to the left of it."""
    along = np.float32(size * spot.along_cm) * motion.stretch
    turn = np.float32(spot.along_cm / _SPINE_CM) * motion.bend
    chord = motion.heading + turn * np.float32(0.5)
    left = np.full_like(along, size * spot.left_cm)
    if spot.along_cm > _NECK_CM:
        left += np.float32(size * (spot.along_cm - _NECK_CM)) * motion.nod
        turn = turn + motion.nod
    cos_chord, sin_chord = np.cos(chord), np.sin(chord)
    out[:, 0] = motion.position_cm[:, 0] + along * cos_chord
    out[:, 1] = motion.position_cm[:, 1] + along * sin_chord
    if spot.left_cm or spot.along_cm > _NECK_CM:
        facing = motion.heading + turn
        out[:, 0] -= left * np.sin(facing)
        out[:, 1] += left * np.cos(facing)


def _place_tail_part(
    motion: Motion, tail_cm: float, size: float, out: np.ndarray
) -> None:
    _place_spot(motion, _BODY_PARTS["tail_base"], size, out)
    backwards = motion.heading + np.float32(TAIL_BASE_CM / _SPINE_CM) * motion.bend
    turn = np.float32(0.5 * tail_cm / _TAIL_CM) * motion.tail_bend
    way = backwards + np.float32(np.pi) + turn
    out[:, 0] += np.float32(size * tail_cm) * np.cos(way)
    out[:, 1] += np.float32(size * tail_cm) * np.sin(way)


def _find_spot(name: str) -> _Spot:
    plain = name.lower()
    if plain.startswith("headpiece_"):
        return _Spot(
            2.8 + (0.6 if "front" in plain else -0.6),
            (0.5 if plain.endswith("left") else -0.5)
            * (1.2 if "bottom" in plain else 0.9),
        )
    if plain in _BODY_PARTS:
        return _BODY_PARTS[plain]
    known = match_keypoint(name)
    if known in _BODY_PARTS:
        return _BODY_PARTS[known]
    digest = hashlib.sha256(plain.encode()).digest()
    return _Spot(-3.0 + 6.0 * digest[0] / 255, -1.0 + 2.0 * digest[1] / 255)
