"""Tracks of APT, the Animal Part Tracker: ``.trk``, a MAT-file of any version.

``pTrk`` is a cell array with a matrix for each target, with the axes [landmark, xy,
frame], and ``startframes`` has the video's frame of the first column of each, from 1.
Older files have one matrix with the axes [landmark, xy, frame, target], whose frames
(from 1) are in ``pTrkFrm``. Coordinates are pixels that count from 1, y downwards, NaN
where a landmark was not tracked. ``pTrkiTgt`` has the numbers of the targets. Landmarks
have no names. Files with ``pTrk`` as a structure (sparse) are not read.

Source: APT's ``TrkFile`` (MATLAB and Python), and descriptions of its files by users.
"""

from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.joined_animals import join_animals
from mabe.io.readers.left_out import LeftOut
from mabe.io.readers.matlab import Variables, flat_numbers, is_mat, variables_of
from mabe.io.readers.poses import Poses, check_names, place_frames

FACTS = facts.tracks(
    "APT `.trk`",
    clock="`startframes`, `pTrkFrm`, from 1",
    points="px from 1, y down",
    missing="NaN, outside of a target's frames",
    animals="`pTrkiTgt`",
    notes="landmarks have no names (`keypoints: {point1: nose, …}`)",
)


_SPARSE = (
    "tracks of APT in its sparse form, not read; save them in APT as full matrices, or "
    "write the points as a CSV with the columns frame, individual, keypoint, x, y."
)

_NO_NAMES = (
    "landmarks have no names in APT's files: name them in project.yaml, "
    "`keypoints: {point1: nose, …}`"
)


def is_apt(peek: Peek) -> bool:
    """Return whether a file has APT's tracks."""
    return is_mat(peek) and "pTrk" in variables_of(peek)


def read_apt(peek: Peek) -> Content:
    """Return the landmarks of each target."""
    variables = variables_of(peek)
    tracks: Any = variables["pTrk"]
    if isinstance(tracks, list) and tracks and isinstance(tracks[0], dict):
        raise LeftOut(peek.path, _SPARSE)
    if isinstance(tracks, list):
        parts = _tracklets(tracks, variables, peek)
    else:
        parts = _matrix(np.asarray(tracks), variables, peek)
    check_names(len(parts), "animal", str(peek.path))
    names = _names(len(parts), variables)
    targets = [
        _poses(frames, values, name, peek)
        for name, (frames, values) in zip(names, parts, strict=True)
        if values.shape[2]
    ]
    if not targets:
        raise DataError(f"{peek.path}: pTrk has no frame.")
    return Content("APT", poses=(join_animals(targets, str(peek.path)),))


def _tracklets(
    tracks: list[Any], variables: Variables, peek: Peek
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return frames from 1 and [landmark, xy, frame] of each target."""
    starts = flat_numbers(variables.get("startframes"))
    if len(starts) != len(tracks):
        raise DataError(
            f"{peek.path}: pTrk has {len(tracks)} targets, startframes has "
            f"{len(starts)}."
        )
    parts = []
    for start, track in zip(starts, tracks, strict=True):
        values = _with_axes(np.asarray(track), 3, peek)
        parts.append((start + np.arange(values.shape[2]), values))
    return parts


def _matrix(
    tracks: np.ndarray, variables: Variables, peek: Peek
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return frames from 1 and [landmark, xy, frame] of each target of one matrix."""
    values = _with_axes(tracks, 4, peek)
    frames = flat_numbers(variables.get("pTrkFrm"))
    if not len(frames):
        frames = np.arange(1.0, values.shape[2] + 1)
    if len(frames) != values.shape[2]:
        raise DataError(
            f"{peek.path}: pTrk has {values.shape[2]} frames, pTrkFrm has "
            f"{len(frames)}."
        )
    return [(frames, values[..., at]) for at in range(values.shape[3])]


def _with_axes(values: np.ndarray, ndim: int, peek: Peek) -> np.ndarray:
    """Return a matrix with the last axes that MATLAB leaves out where they are 1."""
    shape = values.shape
    is_points = values.dtype.kind in "fiu" and 2 <= len(shape) <= ndim and shape[1] == 2
    if not is_points and values.size:
        raise DataError(
            f"{peek.path}: pTrk should have the axes [landmark, xy, frame], found "
            f"{values.dtype} of the shape {shape}."
        )
    if not values.size:
        return np.empty((0, 2, 0, 1)[:ndim])
    return values.reshape(*shape, *[1] * (ndim - len(shape)))


def _names(count: int, variables: Variables) -> list[str]:
    """Return the numbers of the targets."""
    numbers = flat_numbers(variables.get("pTrkiTgt"))
    given = [f"{number:g}" for number in numbers]
    is_given = len(given) == count and len(set(given)) == count
    return given if is_given else [str(at + 1) for at in range(count)]


def _poses(frames: np.ndarray, values: np.ndarray, name: str, peek: Peek) -> Poses:
    """Return one target's landmarks in the frames that it has, from 0."""
    with np.errstate(over="ignore", invalid="ignore"):  # infinite means missing
        xy = (values.transpose(2, 0, 1).astype(np.float64) - 1).astype(np.float32)
    first, placed, notes = place_frames(frames - 1, xy, str(peek.path))
    return Poses(
        placed[:, None],
        keypoints=[f"point{at + 1}" for at in range(values.shape[0])],
        animals=[name],
        name=peek.stem,
        first_frame=first,
        tracker="APT",
        notes=(*notes, _NO_NAMES),
    )
