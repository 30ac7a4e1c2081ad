"""Recordings: what was filmed, what was tracked, and what somebody watched for.

Frames and pixels are the recording's own; a missing point is NaN. "Nobody looked"
and "did not happen" differ: only what `VideoInfo.watched` names was looked for.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import Bout, Watched
from mabe.runtime.disk_arrays import walk
from mabe.runtime.object_storage import RemoteFile
from mabe.skeleton import animal_of

_FRAMES_AT_ONCE = 1 << 12


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """What is known of one video before its files are opened."""

    lab: str
    video: str
    fps: float
    pixels_per_cm: float
    watched: tuple[Watched, ...]
    """What annotators looked for, or are to look for."""
    animals: tuple[str, ...] = ()
    """What the lab calls the animals in it, where it says so."""
    has_labels: bool
    """False: nobody annotated this video yet, so it has no negatives either."""
    tracking_path: Path
    annotation_path: Path | None
    """None: no annotation file; with `has_labels`, that nothing was seen."""
    remote: tuple[RemoteFile, ...] = ()
    """Tracking file and annotation file where they are in object storage."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"{self.name}: frames per second must be > 0: {self.fps}")
        if not (np.isfinite(self.pixels_per_cm) and self.pixels_per_cm > 0):
            raise ValueError(
                f"{self.name}: pixels per cm must be > 0: {self.pixels_per_cm}"
            )

    @property
    def name(self) -> str:
        """The video as messages and outputs name it."""
        return f"{self.lab}/{self.video}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The tracked poses and the labels of one video."""

    info: VideoInfo
    slots: Int[np.ndarray, " slot"]
    """Which canonical slots (see `mabe.skeleton`) the columns of `xy_px` hold."""
    xy_px: Float[np.ndarray, "time slot 2"]
    bouts: tuple[Bout, ...]
    notes: tuple[str, ...] = field(default=())
    """What was odd in the files and how it was taken, for people to read."""

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.xy_px)

    def tracking_hash(self) -> str:
        """Return a hash of what was tracked, whatever file or name it comes from.

        Copies of one track (the same video scored by several annotators) agree, also
        where labels of one go on after the last tracked frame.
        """
        digest = hashlib.sha256(np.ascontiguousarray(self.slots, "<i4").data)
        tracked = self.xy_px[: self._tracked_frames()]
        for rows in walk(tracked):
            # NaN has many bit patterns; adding zero also makes -0 and 0 the same.
            xy = tracked[rows]
            points = np.where(np.isnan(xy), np.float32(np.nan), xy) + 0
            digest.update(np.ascontiguousarray(points, "<f4").data)
        return digest.hexdigest()[:20]

    def _tracked_frames(self) -> int:
        """Return how many frames there are up to the last one with a point."""
        for stop in range(len(self.xy_px), 0, -_FRAMES_AT_ONCE):
            start = max(0, stop - _FRAMES_AT_ONCE)
            seen = np.isfinite(self.xy_px[start:stop, :, 0]).any(axis=1)
            if seen.any():
                return start + int(np.flatnonzero(seen)[-1]) + 1
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecording:
    """What a store knows of one recording besides its poses."""

    lab: str
    video: str
    fps: float
    """The recording's own rate, in which `bouts` count."""
    native_length: int
    """Frames of the recording."""
    length: int
    """Frames at the store's rate."""
    slots: tuple[int, ...]
    """Which slots of the skeleton are kept, ascending."""
    origin_cm: tuple[float, float]
    """Where (0, 0) of the stored poses lies in the recording's own coordinates."""
    offset: int
    """Where the recording starts in the store's array, in values."""
    bouts: tuple[Bout, ...]
    watched: tuple[Watched, ...]
    """What annotators looked for, or are to look for."""
    animals: tuple[str, ...] = ()
    """The lab's own names of the animals, where it gives them."""
    has_labels: bool
    """False: nobody annotated this recording yet."""
    tracking_hash: str
    """Content of the tracks, to find copies of them; see `Recording.tracking_hash`."""
    content_hash: str
    """Everything the stored poses and labels depend on."""
    missing_share: float
    """Share of the kept slots' points that are missing."""
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The video as messages and outputs name it."""
        return f"{self.lab}/{self.video}"

    @property
    def animal_names(self) -> tuple[str, ...]:
        """The lab's names of the animals 1, 2 …, where it names every tracked animal.

        An id such as ``10.0``, as the challenge's tables have, is not a name.
        """
        is_id = any(re.fullmatch(r"\d+\.0", name) for name in self.animals)
        tracked = max((animal_of(slot) + 1 for slot in self.slots), default=0)
        return () if is_id or len(self.animals) < tracked else self.animals

    @property
    def looked_for(self) -> tuple[Watched, ...]:
        """What the labels answer: a "no" is a "no" only for these."""
        return self.watched if self.has_labels else ()

    @property
    def values(self) -> int:
        """How many numbers of the store's array belong to the recording."""
        return self.length * len(self.slots) * 2
