"""Recordings: tracked poses, annotated bouts, and what was watched.

Frames and pixels are the recording's own; a missing point is NaN. "Not watched" differs
from "did not occur": only what `VideoInfo.watched` lists can be known not to occur, and
only in the frames that `Recording.coverage` names.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import Bout, Coverage, Watched
from mabe.runtime.disk_arrays import row_blocks
from mabe.runtime.object_storage import RemoteFile
from mabe.skeleton import KEYPOINTS, TrackedPoint, points_of_slots
from mabe.zones import TargetZone

_FRAMES_AT_ONCE = 1 << 12


_NAN_BITS = np.float32(np.nan).view(np.int32)


RATES_FPS = (0.1, 10_000.0)
"""The lowest and highest frame rate of a recording; others are mistakes."""


SCALES_PX_PER_CM = (1e-3, 1e6)


MAX_FRAMES = 20_000_000
"""Longer recordings (nearly two days at 120 fps) are treated as broken: memory is
needed for every frame up to the last one."""


def mean_of_tracked(
    points: Float[np.ndarray, "*any k c"],
) -> Float[np.ndarray, "*any c"]:
    """Return the mean of the tracked ones of several points; NaN where none is."""
    tracked = np.isfinite(points[..., :1]).sum(axis=-2)
    with np.errstate(invalid="ignore"):  # 0 / 0 where none is
        return np.nansum(points, axis=-2) / tracked


def problem_with_rate(fps: float) -> str | None:
    """Return why a number cannot be a recording's frame rate; None where it can."""
    return _outside(fps, *RATES_FPS, "frames per second")


def problem_with_scale(pixels_per_cm: float) -> str | None:
    """Return why a number cannot be a recording's scale; None where it can."""
    return _outside(pixels_per_cm, *SCALES_PX_PER_CM, "pixels per cm")


def _outside(value: float, least: float, most: float, what: str) -> str | None:
    if least <= value <= most:
        return None
    return f"expected {least:g} to {most:,.0f} {what}, found {value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The metadata of one video, known before its files are opened."""

    lab: str
    video: str
    fps: float
    pixels_per_cm: float
    watched: tuple[Watched, ...]
    """What annotators watched for, or are to watch for."""
    animals: tuple[str, ...] = ()
    """The lab's names of the animals 1, 2 …, where it gives them."""
    objects: tuple[int, ...] = ()
    """Those of `animals`, by their numbers, that are objects: targets, never agents."""
    zones: tuple[TargetZone, ...] = ()
    """Those of `animals` that are zones, which are targets too and have no track."""
    has_labels: bool
    """False: the video is not annotated, so nothing is known not to occur either."""
    tracking_path: Path
    annotation_path: Path | None
    """None: no annotation file; with `has_labels`, nothing occurred."""
    coverage_path: Path | None = None
    """The file of when annotators watched; None: all the time."""
    start_s: float = 0.0
    """When frame 0 was filmed, on the clock of the session that the file belongs to."""
    remote: tuple[RemoteFile, ...] = ()
    """The files of tracks, annotations and coverage that are in object storage."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"{self.name}: frames per second must be > 0: {self.fps}")
        if not (np.isfinite(self.pixels_per_cm) and self.pixels_per_cm > 0):
            raise ValueError(
                f"{self.name}: pixels per cm must be > 0: {self.pixels_per_cm}"
            )

    @property
    def name(self) -> str:
        """The name of the video in messages and outputs."""
        return f"{self.lab}/{self.video}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The tracked poses and the labels of one video."""

    info: VideoInfo
    slots: Int[np.ndarray, " slot"]
    """The slots (see `mabe.skeleton`) of the columns of `xy_px`, ascending."""
    keypoints: tuple[str, ...] = KEYPOINTS
    """The keypoints that slots number."""
    xy_px: Float[np.ndarray, "time slot 2"]
    z_px: Float[np.ndarray, "time slot"] | None = None
    """How high points are, from anywhere, upwards; None: poses have two dimensions."""
    bouts: tuple[Bout, ...]
    coverage: Coverage | None = None
    """When annotators watched for what; None: for all of `watched`, all the time."""
    notes: tuple[str, ...] = field(default=())
    """Irregularities of the files and how they were treated, for people to read."""

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.xy_px)

    @property
    def points(self) -> tuple[TrackedPoint, ...]:
        """The animals' keypoints that are tracked, in the order of the slots."""
        return points_of_slots(self.slots.tolist(), self.keypoints)

    def tracking_hash(self) -> str:
        """Return a hash of the tracks, independent of the file and the name.

        Copies of one track (the same video scored by several annotators) have the same
        hash, also where labels end after the last tracked frame.
        """
        digest = hashlib.sha256(np.ascontiguousarray(self.slots, "<i4").data)
        if self.keypoints != KEYPOINTS:
            digest.update("\n".join(self.keypoints).encode())
        tracked = self.xy_px[: self._tracked_frames()]
        for rows in row_blocks(tracked):
            points = np.ascontiguousarray(tracked[rows] + 0, "<f4")  # -0 becomes 0
            # NaN has many bit patterns; most trackers' is the usual one.
            is_usual = points.view("<i4") == _NAN_BITS
            missing = np.isnan(points)
            if np.count_nonzero(is_usual) < np.count_nonzero(missing):
                np.copyto(points, np.nan, where=missing)
            digest.update(points.data)
        if self.z_px is not None:
            z = np.nan_to_num(self.z_px[: len(tracked)])
            digest.update(np.ascontiguousarray(z, "<f4").data)
        return digest.hexdigest()[:20]

    def _tracked_frames(self) -> int:
        """Return the number of frames up to the last one with a point."""
        for stop in range(len(self.xy_px), 0, -_FRAMES_AT_ONCE):
            start = max(0, stop - _FRAMES_AT_ONCE)
            tracked = np.isfinite(self.xy_px[start:stop, :, 0]).any(axis=1)
            if tracked.any():
                return start + int(np.flatnonzero(tracked)[-1]) + 1
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecording:
    """What a store holds of one recording besides its poses."""

    lab: str
    video: str
    fps: float
    """The recording's own rate, of whose frames `bouts` are."""
    native_length: int
    """Frames of the recording."""
    length: int
    """Frames at the store's rate."""
    slots: tuple[int, ...]
    """The slots that are stored, ascending."""
    keypoints: tuple[str, ...] = KEYPOINTS
    """The keypoints that slots number."""
    origin_cm: tuple[float, float]
    """The point (0, 0) of the stored poses, in the recording's own coordinates."""
    floor_cm: float | None = None
    """Where stored heights are 0, in the recording's own z; None: it has none."""
    offset: int
    """Index of the recording's first value in the store's array."""
    bouts: tuple[Bout, ...]
    watched: tuple[Watched, ...]
    """What annotators watched for, or are to watch for."""
    animals: tuple[str, ...] = ()
    """The lab's own names of the animals, where it gives them."""
    objects: tuple[int, ...] = ()
    """Those of `animals`, by their numbers, that are objects: targets, never agents."""
    zones: tuple[TargetZone, ...] = ()
    """Those of `animals` that are zones, which are targets too and have no track."""
    has_labels: bool
    """False: the recording is not annotated."""
    coverage: Coverage | None = None
    """When annotators watched for what; None: for all of `watched`, all the time."""
    start_s: float = 0.0
    """When frame 0 was filmed, on the clock of a session; stores do not keep it."""
    tracking_hash: str
    """Hash of the tracks, to find copies of them; see `Recording.tracking_hash`."""
    content_hash: str
    """Hash of everything the stored poses and labels depend on."""
    missing_share: float
    """Share of missing points among those of the stored slots."""
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the video in messages and outputs."""
        return f"{self.lab}/{self.video}"

    @property
    def points(self) -> tuple[TrackedPoint, ...]:
        """The animals' keypoints that are stored, in the order of the slots."""
        return points_of_slots(self.slots, self.keypoints)

    @property
    def tracked_animals(self) -> tuple[int, ...]:
        """The numbers of the animals that are tracked, from 1; not of objects."""
        return tuple(n for n in self.tracked_individuals if n not in self.objects)

    @property
    def tracked_individuals(self) -> tuple[int, ...]:
        """The numbers of the animals and objects that are tracked, from 1."""
        return tuple(sorted({slot // len(self.keypoints) + 1 for slot in self.slots}))

    @property
    def places(self) -> tuple[int, ...]:
        """The numbers of the objects and zones: targets that are no animals."""
        return (*self.objects, *(each.number for each in self.zones))

    @property
    def zone_names(self) -> dict[int, str]:
        """The names of the zones at which actions may be directed, by their numbers."""
        return {each.number: each.zone.name for each in self.zones}

    @property
    def animal_names(self) -> tuple[str, ...]:
        """The lab's names of the animals 1, 2 …, where it names every tracked animal.

        An id such as ``10.0``, as the challenge's tables have, is not a name.
        """
        is_id = any(re.fullmatch(r"\d+\.0", name) for name in self.animals)
        tracked = max(self.tracked_individuals, default=0)
        return () if is_id or len(self.animals) < tracked else self.animals

    @property
    def annotated(self) -> tuple[Watched, ...]:
        """What annotators watched for; nothing where there are no labels.

        Only these actions can be known not to occur.
        """
        if not self.has_labels:
            return ()
        if self.coverage is None:
            return self.watched
        named = {span.watched for span in self.coverage}
        return tuple(each for each in self.watched if each in named)

    @property
    def has_heights(self) -> bool:
        """Whether a height is stored with every point."""
        return self.floor_cm is not None

    @property
    def stored_points(self) -> int:
        """Number of the recording's points in the store's array, also missing ones."""
        return self.length * len(self.slots)

    @property
    def values(self) -> int:
        """Number of the recording's values in the store's array."""
        return self.stored_points * (3 if self.has_heights else 2)
