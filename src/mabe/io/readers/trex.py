"""Tracks of TRex: an npz file for each individual, ``data/VIDEO_id0.npz`` ….

Arrays have a value for each row: ``frame`` (the number in the video, from 0),
``X#wcentroid``, ``Y#wcentroid`` (the weighted centroid, in cm) and, of a pose model,
``poseX0``, ``poseY0`` … (in pixels, without names). Where the individual was not found
coordinates are infinite. Single values: ``cm_per_pixel``, ``frame_rate``. y points
downwards. ``X``, ``Y`` are the head where TRex computed a posture and else the
centroid, so they are not read. An uncalibrated TRex counts a cm for each pixel.
Older files are called ``VIDEO_fish0.npz``; those with ``posture`` in their names hold
outlines. Individuals are those of the files' names.

Source: TRex's documentation ("Output: the NPZ files", ``output_fields``).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import NothingToImport
from mabe.io.readers.npz import read_arrays
from mabe.io.readers.poses import Poses, check_names, check_span, place_frames

FACTS = facts.tracks(
    "TRex npz",
    clock="`frame`, from 0",
    fps="`frame_rate`",
    points="px (pose), cm (centroid), y down",
    scale="`cm_per_pixel`, unless it is 1",
    missing="infinite, no row",
    animals="a file each: the files' names",
    notes="pose points have no names (`keypoints: {pose0: nose, …}`)",
)


_NAME = re.compile(r"(.+)_([A-Za-z]+\d+)")
"""The video and the individual."""

CENTROID = ("X#wcentroid", "Y#wcentroid")

_SINGLE = ("frame_rate", "cm_per_pixel")

_POSE = re.compile(r"poseX(\d{1,3})\.npy")

_OUTLINES = {"outline_points.npy", "midline_points.npy"}

_NOT_CALIBRATED = (
    "TRex was not calibrated (1 cm per pixel): give --pixels-per-cm, or "
    "`pixels_per_cm` in project.yaml"
)

NO_NAMES = (
    "pose points have no names in TRex's files: name them in project.yaml, "
    "`keypoints: {pose0: nose, …}`"
)


def is_trex(peek: Peek) -> bool:
    """Return whether a file has an individual's frames and points."""
    has_points = f"{CENTROID[0]}.npy" in peek.members or "poseX0.npy" in peek.members
    return peek.kind == "npz" and "frame.npy" in peek.members and has_points


def is_outlines(peek: Peek) -> bool:
    """Return whether a file has an individual's outlines."""
    return peek.kind == "npz" and peek.members >= _OUTLINES


def refuse_outlines(peek: Peek) -> Content:
    """Raise `NothingToImport` for outlines."""
    raise NothingToImport(peek.path, "outlines of TRex; its tracks are read.")


def split_name(path: Path) -> tuple[str, str] | None:
    """Return the video and the individual in the name of a file."""
    is_of_trex = path.suffix in (".npz", ".csv")
    match = _NAME.fullmatch(path.stem) if is_of_trex else None
    return (match[1], match[2]) if match else None


def read_trex(peek: Peek) -> Content:
    """Return the recording that an individual belongs to, of all its individuals."""
    named = split_name(peek.path)
    files = {"animal1": peek.path}
    if named:
        siblings = [
            path
            for path in sorted(peek.path.parent.iterdir(), key=_order)
            if (other := split_name(path)) and other[0] == named[0]
        ]
        files = {
            other[1]: path
            for path in siblings
            if (other := split_name(path)) and is_trex(Peek(path))
        }
    check_names(len(files), "animal", str(peek.path))
    points = sorted({n for path in files.values() for n in _pose_numbers(path)})
    arrays = {animal: _arrays(path, points) for animal, path in files.items()}
    name = named[0] if named else peek.stem
    return Content("TRex npz", poses=(_join(arrays, points, name, peek.path),))


def _order(path: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", path.stem)
    return int(digits[-1][:18]) if digits else 0, path.name


def _pose_numbers(path: Path) -> list[int]:
    return [int(m[1]) for name in Peek(path).members if (m := _POSE.fullmatch(name))]


def _arrays(path: Path, points: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the flat arrays of one individual, checked to be of one length."""
    coords = [f"pose{axis}{number}" for number in points for axis in "XY"]
    arrays = read_arrays(path, ("frame", *CENTROID, *_SINGLE, *coords))
    flat = {name: np.ravel(values) for name, values in arrays.items()}
    lengths = {name: len(each) for name, each in flat.items() if name not in _SINGLE}
    if len(set(lengths.values())) != 1 or not all(lengths.values()):
        raise DataError(f"{path}: expected arrays of one length, found {lengths}.")
    return flat


def _join(
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    points: Sequence[int],
    name: str,
    path: Path,
) -> Poses:
    """Return the individuals of a video as one recording."""
    scale = _single("cm_per_pixel", arrays)
    has_centroid = any(set(CENTROID) <= set(each) for each in arrays.values())
    keypoints = [f"pose{n}" for n in points] + ["centroid"] * has_centroid
    placed, notes = {}, []
    for animal, each in arrays.items():
        xy = _points(each, points, scale or 1.0, has_centroid=has_centroid)
        first, xy, more = place_frames(each["frame"], xy, str(path))
        placed[animal] = first, xy
        notes += more
    first = min(begin for begin, _ in placed.values())
    stop = max(begin + len(xy) for begin, xy in placed.values())
    width = 2 * len(keypoints) * len(placed)
    rows = sum(len(xy) for _, xy in placed.values())
    check_span(first, stop - 1, rows=rows, values=width, where=str(path))
    shape = (stop - first, len(placed), len(keypoints), 2)
    whole = np.full(shape, np.nan, np.float32)
    for at, (begin, xy) in enumerate(placed.values()):
        whole[begin - first : begin - first + len(xy), at] = xy
    is_calibrated = scale is not None and scale != 1
    notes += [] if is_calibrated else [_NOT_CALIBRATED]
    notes += [NO_NAMES] if points else []
    return Poses(
        whole,
        keypoints=keypoints,
        animals=list(placed),
        name=name,
        first_frame=first,
        fps=_single("frame_rate", arrays),
        pixels_per_cm=1 / scale if scale is not None and scale != 1 else None,
        tracker="TRex",
        notes=tuple(dict.fromkeys(notes)),
    )


def _single(name: str, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> float | None:
    """Return the first positive value of that name among the individuals' files."""
    for each in arrays.values():
        values = each.get(name, np.empty(0))
        if len(values) and np.isfinite(values[0]) and values[0] > 0:
            return float(values[0])
    return None


def _points(
    arrays: Mapping[str, np.ndarray],
    points: Sequence[int],
    cm_per_pixel: float,
    *,
    has_centroid: bool,
) -> np.ndarray:
    """Return pixels with the axes [row, keypoint, xy]; NaN where nothing was found."""
    names = [(f"poseX{n}", f"poseY{n}") for n in points]
    names += [CENTROID] * has_centroid
    xy = np.full((len(arrays["frame"]), len(names), 2), np.nan, np.float32)
    for at, pair in enumerate(names):
        unit = cm_per_pixel if pair == CENTROID else 1.0
        for axis, name in enumerate(pair):
            if name in arrays:
                with np.errstate(over="ignore", invalid="ignore"):
                    xy[:, at, axis] = arrays[name] / unit
    xy[~np.isfinite(xy)] = np.nan
    return xy
