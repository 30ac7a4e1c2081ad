"""Clips: the stretches of recordings that a training step sees, and their poses.

All clips of a step are equally long, in frames at the store's rate. A clip of a
recording that is shorter goes on beyond its end, where nothing is seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mabe.data.store import PoseStore
from mabe.skeleton import ANIMALS, KEYPOINTS, animal_of, keypoint_of, slot_of

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
    windows, seats = clips.seats.shape
    poses = np.full((windows, length, seats * len(KEYPOINTS), 2), np.nan, np.float32)
    places = neighbours(clips.frames, length) if clips.frames != length else None
    for into, recording, start, animals in zip(
        poses,
        clips.recordings.tolist(),
        clips.starts.tolist(),
        clips.seats,
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
        if places:
            points = stretch_time(points, *places)
        columns, slots = _seated(about.slots, animals)
        into[:, slots] = points[:, columns]
    return poses.reshape(windows, length, seats, len(KEYPOINTS), 2)


def _seated(
    slots: Sequence[int], animals: Int[np.ndarray, " seat"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return which of a recording's points are to be seen, and in which slots."""
    points = np.asarray(slots)
    seat, column = np.nonzero(animals[:, None] == animal_of(points))
    return column, slot_of(seat, keypoint_of(points)[column])


def stretch_time(
    poses: Float[np.ndarray, "t *point 2"],
    before: Int[np.ndarray, " u"],
    share: Float[np.ndarray, " u"],
) -> Float[np.ndarray, "u *point 2"]:
    """Play a clip faster or slower: show its `neighbours` instead of its frames.

    Between two frames of which one is missing there is nothing (NaN).
    """
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
