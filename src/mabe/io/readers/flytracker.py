"""Tracks of FlyTracker (Caltech): ``VIDEO/VIDEO-track.mat``.

``trk.names`` lists the fields (``pos x``, ``pos y``, ``ori``, ``major axis len`` …) and
``trk.data`` has the axes [fly, frame, field], in pixels of the video with y downwards;
row 0 is the first frame, NaN is not found. ``ori`` is in radians with y upwards: the
program's own export to JAABA turns its sign. The major axis is the whole length.
``calibration.mat`` (beside the video, that is beside the folder or in it) has the frame
rate ``FPS`` and ``PPM``, pixels per mm. ``-feat.mat`` holds features, ``-bg.mat`` and
``-seg.mat`` the background and outlines.

Source: FlyTracker's documentation and its function ``writeJAABA``.
"""

from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.ellipses import KEYPOINTS, points_of_ellipse
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import NothingToImport
from mabe.io.readers.matlab import (
    Struct,
    Variables,
    is_mat,
    number_of,
    variables_of,
)
from mabe.io.readers.poses import Poses

FACTS = facts.tracks(
    "FlyTracker `-track.mat`",
    clock="row 0 is frame 0",
    fps="`FPS` in `calibration.mat`",
    points="px, y down, angles upwards",
    scale="`PPM` in it",
    missing="NaN",
    animals="numbers",
    notes="centre and the ends of the ellipse: head, tail base",
)


_TRACK = "-track.mat"

_OTHERS = ("-feat.mat", "-bg.mat", "-seg.mat", "calibration.mat")

_FIELDS = ("pos x", "pos y", "ori", "major axis len")

_TOGETHER = "a file of FlyTracker that holds no tracks; those of -track.mat are read."


def is_tracks(peek: Peek) -> bool:
    """Return whether a file has a structure of tracks."""
    return is_mat(peek) and _structure(variables_of(peek), "trk", "data") is not None


def is_other(peek: Peek) -> bool:
    """Return whether a file is one that FlyTracker writes beside its tracks."""
    return peek.kind == "matlab" and peek.path.name.endswith(_OTHERS)


def refuse_other(peek: Peek) -> Content:
    """Raise `NothingToImport` for a file beside the tracks."""
    raise NothingToImport(peek.path, _TOGETHER)


def _structure(variables: Variables, name: str, field: str) -> Struct | None:
    value: Any = variables.get(name)
    first = value[0] if isinstance(value, list) and value else None
    return first if isinstance(first, dict) and field in first else None


def read_tracks(peek: Peek) -> Content:
    """Return head, centre and tail base of each animal."""
    trk = _structure(variables_of(peek), "trk", "data") or {}
    names = [str(name) for name in trk.get("names") or []]
    data = np.asarray(trk["data"])
    if lost := [name for name in _FIELDS if name not in names]:
        raise DataError(f"{peek.path}: trk.names lacks {lost}; it has {names[:12]}.")
    data = data[..., None] if data.ndim == 2 and len(names) == 1 else data
    if data.ndim != 3 or data.shape[2] != len(names):
        raise DataError(
            f"{peek.path}: trk.data should have the axes [fly, frame, "
            f"{len(names)} fields], found the shape {data.shape}."
        )
    x, y, up, length = (
        data[..., names.index(name)].T.astype(np.float64) for name in _FIELDS
    )
    with np.errstate(over="ignore", invalid="ignore"):  # infinite means missing
        ellipses = points_of_ellipse(np.stack([x, y], axis=-1), -up, length / 2)
        xy = ellipses.astype(np.float32)
    fps, scale = _calibration(peek)
    poses = Poses(
        xy,
        keypoints=KEYPOINTS,
        animals=[str(number + 1) for number in range(xy.shape[1])],
        name=peek.path.name.removesuffix(_TRACK).removesuffix(".mat"),
        fps=fps,
        pixels_per_cm=scale,
        tracker="FlyTracker",
    )
    return Content("FlyTracker", poses=(poses,))


def _calibration(peek: Peek) -> tuple[float | None, float | None]:
    """Return frame rate and pixels per cm of the calibration beside a track."""
    for folder in list(peek.path.parents)[:2]:
        path = folder / "calibration.mat"
        if path.is_file() and is_mat(Peek(path)):
            calib = _structure(variables_of(Peek(path)), "calib", "FPS") or {}
            per_mm = number_of(calib.get("PPM"))
            return number_of(calib.get("FPS")), per_mm * 10 if per_mm else None
    return None, None
