"""Clips: the stretches of recordings that a training step sees, and their poses.

All clips of a step are equally long, in frames at the store's rate. A clip of a
recording that is shorter goes on beyond its end, where nothing is seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mabe.skeleton import ANIMALS, KEYPOINTS
from mabe.store import PoseStore

NOBODY = -1
"""In a seat that stays empty."""


@dataclass(frozen=True, slots=True)
class Clips:
    """Which frames of which recordings, and in which order their animals are seen."""

    recordings: Int[np.ndarray, " b"]
    starts: Int[np.ndarray, " b"]
    frames: int
    seats: Int[np.ndarray, "b seat"]
    """The animal in each seat, from 0, or `NOBODY`."""


ReadClips = Callable[[Clips, int], Any]
"""``read(clips, length)`` gives poses ``[clip, length, seat, keypoint, 2]`` in cm, NaN
where missing, played faster or slower so that they last `length` frames: an array, or
a tensor that lies on a device."""


def as_numbered(clips: int) -> Int[np.ndarray, "b seat"]:
    """Return seats in which animals sit by their numbers."""
    return np.tile(np.arange(ANIMALS), (clips, 1))


def first_frame(start: int, shown: int, length: int) -> int:
    """Return where a clip begins that is to lie within a recording, if it fits."""
    return max(0, min(start, length - shown))


def read_clips(
    store: PoseStore, clips: Clips, length: int
) -> Float[np.ndarray, "b length seat k 2"]:
    """Return the poses of clips from a store.

    Only the points that occur are handled before they come to their seats.
    """
    shape = (*clips.seats.shape, len(KEYPOINTS), 2)
    poses = np.full((shape[0], length, *shape[1:]), np.nan, np.float32)
    for into, recording, start, seats in zip(
        poses,
        clips.recordings.tolist(),
        clips.starts.tolist(),
        clips.seats.tolist(),
        strict=True,
    ):
        about = store.recordings[recording]
        points = store.points_cm(
            recording, start, min(start + clips.frames, about.length)
        )
        if missing := clips.frames - len(points):
            points = np.pad(
                points, [(0, missing), (0, 0), (0, 0)], constant_values=np.nan
            )
        if clips.frames != length:
            points = stretch_time(points, length)
        animals = np.array(about.slots, int) // len(KEYPOINTS)
        keypoints = np.array(about.slots, int) % len(KEYPOINTS)
        for seat, animal in enumerate(seats):
            those = animals == animal
            if those.any():
                into[:, seat, keypoints[those]] = points[:, those]
    return poses


def stretch_time(
    poses: Float[np.ndarray, "t *point 2"], length: int
) -> Float[np.ndarray, "u *point 2"]:
    """Play a clip faster or slower so that it lasts `length` frames.

    Between two frames of which one is missing there is nothing (NaN).
    """
    before, share = neighbours(len(poses), length)
    share = share.reshape(-1, *[1] * (poses.ndim - 1))
    return poses[before] * (1 - share) + poses[before + 1] * share


def neighbours(
    shown: int, length: int
) -> tuple[Int[np.ndarray, " u"], Float[np.ndarray, " u"]]:
    """Return the frame before each of `length` evenly spaced places, and how far past.

    There have to be two frames at least.
    """
    places = even_places(shown, length)
    before = np.minimum(places.astype(int), shown - 2)
    return before, (places - before).astype(np.float32)


def even_places(shown: int, length: int) -> Float[np.ndarray, " u"]:
    """Return where `length` evenly spaced frames lie among the frames shown."""
    return np.linspace(0, shown - 1, length)
