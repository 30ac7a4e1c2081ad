"""Clips: the frames of recordings that a training step reads, and their poses.

All clips of a step have the same number of frames at the store's rate. Where a
recording is shorter, the poses after its end are missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from mabe.data.store import PoseStore, SlotsRead
from mabe.skeleton import PoseLayout

NOBODY = -1
"""The animal of a seat that stays empty."""


@dataclass(frozen=True, slots=True)
class Clips:
    """Which frames of which recordings, and the order of their animals."""

    recordings: Int[np.ndarray, " b"]
    starts: Int[np.ndarray, " b"]
    frames: int
    seats: Int[np.ndarray, "b seat"]
    """The animal in each seat, from 0, or `NOBODY`."""


ReadClips = Callable[[Clips, int], Any]
"""``read(clips, length)`` returns poses ``[clip, length, seat, keypoint, 2]`` in cm, an
array or a tensor on a device, resampled to `length` frames; missing points are NaN. A
point has three coordinates where the store's layout has heights."""


def gather(
    read: ReadClips,
    *,
    recordings: Int[np.ndarray, " b"],
    starts: Sequence[int],
    recording_lengths: Sequence[int],
    frames: int,
    seats: Callable[[int, int, int], Sequence[int]],
    labels: Callable[[int, int, int], Shaped[np.ndarray, "_ *action"]],
    not_counted: int,
    length: int,
) -> tuple[Any, Shaped[np.ndarray, "b t *action"]]:
    """Return poses and labels of clips of so many `frames`, resampled to `length`.

    Clips are moved to lie within their recordings where they fit. Of a clip's frames,
    ``seats(clip, start, stop)`` returns the animal in each seat, and ``labels(clip,
    start, stop)`` the labels; after the end of a recording they are `not_counted`.
    """
    firsts = [
        max(0, min(int(start), total - frames))
        for start, total in zip(starts, recording_lengths, strict=True)
    ]
    spans = [
        (clip, first, min(first + frames, total))
        for clip, (first, total) in enumerate(
            zip(firsts, recording_lengths, strict=True)
        )
    ]
    in_clips = np.stack(
        [_pad_end(labels(*span), frames, not_counted) for span in spans]
    )
    seated = np.array([seats(*span) for span in spans])
    if frames != length:
        in_clips = in_clips[:, even_places(frames, length).round().astype(int)]
    clips = Clips(recordings, np.array(firsts, int), frames, seated)
    return read(clips, length), in_clips


def read_clips(
    store: PoseStore, clips: Clips, length: int
) -> Float[np.ndarray, "b length seat k c"]:
    """Return the poses of clips from a store.

    Only the points that are tracked are resampled.
    """
    windows, seats = clips.seats.shape
    keypoints, size = len(store.layout.keypoints), store.layout.coordinates
    poses = np.full((windows, length, seats * keypoints, size), np.nan, np.float32)
    places = neighbours(clips.frames, length) if clips.frames != length else None
    for into, recording, start, animals in zip(
        poses,
        clips.recordings.tolist(),
        clips.starts.tolist(),
        clips.seats,
        strict=True,
    ):
        about = store.recordings[recording]
        points = store.coordinates_cm(
            recording, start, min(start + clips.frames, about.length)
        )
        points = _pad_end(points, clips.frames, np.nan)
        if places:
            points = stretch_time(points, *places)
        columns, slots = _seated(store.slots_read(recording), animals, store.layout)
        into[:, slots] = points[:, columns]
    return poses.reshape(windows, length, seats, keypoints, size)


def _seated(
    read: SlotsRead, animals: Int[np.ndarray, " seat"], layout: PoseLayout
) -> SlotsRead:
    """Return which of a recording's points are read, and their slots in the clip."""
    columns, slots = read
    seat, place = np.nonzero(animals[:, None] == layout.animal_of(slots))
    return columns[place], layout.slot_of(seat, layout.keypoint_of(slots)[place])


def _pad_end(
    values: Shaped[np.ndarray, "_ *rest"], frames: int, fill: float
) -> Shaped[np.ndarray, "frames *rest"]:
    """Return the values of a clip with `fill` after the end of its recording."""
    missing = frames - len(values)
    if not missing:
        return values
    widths = [(0, missing), *[(0, 0)] * (values.ndim - 1)]
    return np.pad(values, widths, constant_values=fill)


def stretch_time(
    poses: Float[np.ndarray, "t *point c"],
    before: Int[np.ndarray, " u"],
    share: Float[np.ndarray, " u"],
) -> Float[np.ndarray, "u *point c"]:
    """Return a clip resampled in time, as means of its `neighbours`.

    Between two frames of which one is missing, points are missing.
    """
    share = share.reshape(-1, *[1] * (poses.ndim - 1))
    return poses[before] * (1 - share) + poses[before + 1] * share


def neighbours(
    frames: int, length: int
) -> tuple[Int[np.ndarray, " u"], Float[np.ndarray, " u"]]:
    """Return the frame before each of `length` evenly spaced times, and the distance.

    There have to be at least two frames.
    """
    places = even_places(frames, length)
    before = np.minimum(places.astype(int), frames - 2)
    return before, (places - before).astype(np.float32)


def even_places(frames: int, length: int) -> Float[np.ndarray, " u"]:
    """Return `length` evenly spaced times between the first and the last frame."""
    return np.linspace(0, frames - 1, length)
