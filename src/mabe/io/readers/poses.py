"""Tracked poses as a lab's files give them, before they are standardized.

Axes are ``[time, animal, keypoint, xy]``, in pixels of the recording, or relative to
its picture where a file gives nothing else (`Poses.unit`); a missing point is NaN.
Names are the lab's own. Points of low confidence are still in `Poses`;
`mabe.io.confidence` alone decides which are removed.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from mabe.errors import DataError
from mabe.io.readers.hdf5 import (
    MAX_VALUES,
)
from mabe.recording import MAX_FRAMES
from mabe.runtime.console import percent
from mabe.runtime.html_table import html_table

_MANY_VALUES = 1 << 24


_SPARSE = 100


_MOST_NAMES = {"animal": 10_000, "keypoint": 1_000, "video": 10_000}
"""Trackers give an animal that was lost a new name, which keypoints never get."""


_SHOWN = 8


_FEW_NUMBERS = 40
"""Coordinates from which on it is no accident that all lie between 0 and 1."""


X_AND_Y = "three dimensions: x and y are used"
"""The beginning of a note on poses whose z is left out; the reason follows."""

Unit = Literal["pixel", "picture"]

RELATIVE = (
    "all coordinates lie between 0 and 1, relative to the size of the picture, which "
    "the file does not give; set `size: [width, height]` in pixels in project.yaml, or "
    "multiply x by the width and y by the height."
)


@dataclass(frozen=True, slots=True)
class Poses:
    """The tracks of one recording: ``Poses(xy, keypoints=…, animals=…, fps=…)``.

    Coordinates are an array ``[time, animal, keypoint, 2]`` in pixels, NaN where a
    point is missing; names may be any sequences. Raises `DataError` where names and
    coordinates do not fit together.
    """

    xy_px: Float[np.ndarray, "time animal keypoint 2"] = field(repr=False)
    _: KW_ONLY
    keypoints: Sequence[str]
    """The lab's names; kept as a tuple."""
    animals: Sequence[str] = ()
    """The lab's names; by default ``animal1``, ``animal2`` …"""
    name: str = "recording"
    """The recording's name: the file's stem, or a name inside the file."""
    z_px: Float[np.ndarray, "time animal keypoint"] | None = field(
        default=None, repr=False
    )
    """The third coordinate of three-dimensional poses, in the unit of x and y."""
    confidence: Float[np.ndarray, "time animal keypoint"] | None = field(
        default=None, repr=False
    )
    usual_confidence: float = 0.0
    """The tracker's own threshold, below which points count as missing."""
    first_frame: int = 0
    """The recording's frame in row 0."""
    fps: float | None = None
    pixels_per_cm: float | None = None
    unit: Unit = "pixel"
    """``picture``: coordinates are relative to the picture, from 0 to 1, and become
    pixels where its size is known."""
    tracker: str = ""
    video: str = ""
    """The video that was tracked: a name or path, where the file gives it."""
    start_s: float = 0.0
    """When frame 0 was filmed, on the clock of the session that the file belongs to."""
    notes: tuple[str, ...] = field(default=())
    """What was unusual in the file and how it was read, for people."""

    def __post_init__(self) -> None:
        xy = np.asarray(self.xy_px)
        if isinstance(self.keypoints, str) or isinstance(self.animals, str):
            raise DataError(f"{self.name}: keypoints and animals are lists of names")
        if xy.ndim != 4:
            raise DataError(
                f"{self.name}: coordinates need the axes [time, animal, keypoint, 2], "
                f"found an array of shape {xy.shape}; for one animal give xy[:, None]"
            )
        names = list(self.animals) or [f"animal{n + 1}" for n in range(xy.shape[1])]
        for kind, listed in (("animal", names), ("keypoint", self.keypoints)):
            check_names(len(listed), kind, self.name)
        # Sequences and integers become what the rest of the code expects.
        object.__setattr__(self, "animals", tuple(names))
        object.__setattr__(self, "keypoints", tuple(self.keypoints))
        if not np.issubdtype(xy.dtype, np.floating):
            xy = xy.astype(np.float32)
        object.__setattr__(self, "xy_px", xy)
        expected = (len(xy), len(self.animals), len(self.keypoints), 2)
        if xy.shape != expected:
            raise DataError(
                f"{self.name}: {len(self.animals)} animals and {len(self.keypoints)} "
                f"keypoints need coordinates of shape {expected}, found {xy.shape}"
            )
        for what, given in (("confidences", self.confidence), ("z", self.z_px)):
            if given is not None and given.shape != expected[:3]:
                raise DataError(
                    f"{self.name}: expected {what} of shape {expected[:3]}, found "
                    f"{given.shape}"
                )
        for kind, listed in (("animals", names), ("keypoints", self.keypoints)):
            if len(set(listed)) < len(listed):
                raise DataError(f"{self.name}: {kind} are named twice: {list(listed)}")

    def _repr_html_(self) -> str:
        missing = 1 - self.present.mean() if self.present.size else 0.0
        rate = "unknown" if self.fps is None else f"{self.fps:g} per second"
        scale = self.pixels_per_cm
        return html_table(
            {
                "recording": self.name,
                "frames": f"{self.length:,} ({rate})",
                "animals": ", ".join(self.animals),
                "keypoints": ", ".join(self.keypoints),
                "missing points": percent(missing, digits=1),
                "pixels per cm": "unknown" if scale is None else f"{scale:.4g}",
            }
        )

    @property
    def length(self) -> int:
        """Frames of the recording, up to the last tracked one."""
        return self.first_frame + len(self.xy_px)

    @property
    def present(self) -> Bool[np.ndarray, "time animal keypoint"]:
        """Whether a point is given."""
        return np.isfinite(self.xy_px).all(axis=-1)

    @property
    def is_relative(self) -> bool:
        """Whether all points lie between 0 and 1, relative to the picture's size.

        Not where the scale is known, nor in three dimensions, which no picture has.
        """
        if self.pixels_per_cm is not None or self.z_px is not None:
            return False
        given = self.xy_px[np.isfinite(self.xy_px)]
        return given.size >= _FEW_NUMBERS and bool(((given >= 0) & (given <= 1)).all())

    def in_pixels(self, size_px: tuple[int, int] | None) -> "Poses":
        """Return the poses in pixels of a picture of this width and height.

        Raises `DataError` where they are relative to a picture of unknown size.
        """
        if self.unit == "pixel":
            return self
        if size_px is None:
            raise DataError(f"{self.name}: {RELATIVE}")
        xy = self.xy_px * np.asarray(size_px, np.float32)
        return replace(self, xy_px=xy, unit="pixel")

    def selected(
        self,
        *,
        animals: Sequence[int] | None = None,
        keypoints: Sequence[int] | None = None,
    ) -> "Poses":
        """Return the poses of some animals and keypoints, in these orders."""

        def pick(values: np.ndarray) -> np.ndarray:
            values = values if animals is None else values[:, animals]
            return values if keypoints is None else values[:, :, keypoints]

        def of(names: Sequence[str], places: Sequence[int] | None) -> Sequence[str]:
            return names if places is None else [names[at] for at in places]

        return replace(
            self,
            animals=of(self.animals, animals),
            keypoints=of(self.keypoints, keypoints),
            xy_px=pick(self.xy_px),
            z_px=None if self.z_px is None else pick(self.z_px),
            confidence=None if self.confidence is None else pick(self.confidence),
        )

    def noting(self, *notes: str) -> "Poses":
        """Return the same poses with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def pick_animals(poses: Poses, most: int, wanted: tuple[str, ...] = ()) -> Poses:
    """Return poses with at most so many animals: the wanted ones, in that order.

    Where none are named, those tracked in most frames, in the order of the file. Raises
    `DataError` where a wanted animal is absent.
    """
    if lost := [name for name in wanted if name not in poses.animals]:
        raise DataError(
            f"{poses.name}: has no animals {lost}; it has {list(poses.animals)}."
        )
    if wanted:
        order = [poses.animals.index(name) for name in wanted][:most]
    elif len(poses.animals) > most:
        frames = poses.present.any(axis=2).sum(axis=0)
        order = sorted(np.argsort(-frames, kind="stable")[:most].tolist())
    else:
        return poses
    gone = [name for at, name in enumerate(poses.animals) if at not in order]
    seen = poses.present.any(axis=2).sum(axis=0)
    lost = 1 - seen[order].sum() / max(1, seen.sum())
    chosen = poses.selected(animals=order)
    if not gone:
        return chosen
    shown = ", ".join(gone[:_SHOWN])
    more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
    share = percent(lost, digits=1)
    return chosen.noting(f"animals left out: {shown}{more} ({share} of all poses)")


def check_names(count: int, kind: str, where: str) -> None:
    """Raise `DataError` for more names of animals or keypoints than there can be."""
    if count > (most := _MOST_NAMES[kind]):
        raise DataError(
            f"{where}: has {count:,} or more names of {kind}s, at most {most:,} are "
            f"read. Does the file name the {kind} there?"
        )


def check_span(first: int, last: int, *, rows: int, values: int, where: str) -> None:
    """Raise `DataError` where frames `first` to `last` cannot be those of a recording.

    Memory is needed for every frame in between, so many `values` each; where few rows
    are far apart, the column is assumed not to hold frame numbers.
    """
    length = last - first + 1
    is_sparse = length * values > _MANY_VALUES and length > _SPARSE * rows
    if first < 0 or last >= MAX_FRAMES or length * values > MAX_VALUES or is_sparse:
        raise DataError(
            f"{where}: {rows:,} rows of frames {first:,} to {last:,}; expected frame "
            f"numbers from 0 to at most {MAX_FRAMES:,}, without large gaps. Is this "
            "the frame number, and one recording?"
        )


def place_frames(
    frames: np.ndarray, values: np.ndarray, where: str
) -> tuple[int, np.ndarray, list[str]]:
    """Return rows in the order of their frame numbers; frames without one are NaN.

    Returns the first frame, the rows from there on, and notes; of a frame with several
    rows the last one is used. Raises `DataError` for numbers that are not frames.
    """
    if not len(frames):
        return 0, values, []
    if not np.isfinite(frames).all() or (frames != np.floor(frames)).any():
        raise DataError(f"{where}: frame numbers must be whole; found {_odd(frames)}.")
    first, last = int(frames.min()), int(frames.max())
    width = values[:1].size
    check_span(first, last, rows=len(frames), values=width, where=where)
    rows = (frames - first).astype(np.int64)
    if len(rows) == last - first + 1 and (np.diff(rows) == 1).all():
        return first, values, []
    placed = np.full((last - first + 1, *values.shape[1:]), np.nan, np.float32)
    placed[rows] = values
    notes = []
    if repeated := len(rows) - len(np.unique(rows)):
        notes.append(f"frames given twice: {repeated}, the last row is used")
    if gaps := len(placed) - len(np.unique(rows)):
        notes.append(f"frames without a row: {gaps}, treated as missing")
    return first, placed, notes


def _odd(frames: np.ndarray) -> str:
    is_odd = ~np.isfinite(frames) | (frames != np.floor(frames))
    return str(frames[is_odd][0])


USUAL_CONFIDENCE = 0.6
"""DeepLabCut's own default for a point to be drawn or analysed (`pcutoff`)."""
