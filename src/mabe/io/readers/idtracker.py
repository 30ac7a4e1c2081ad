"""Trajectories of idtracker.ai, versions 5 and 6: one point for each animal.

``session_NAME/trajectories`` holds each result as npy and as a folder of CSV:

- ``trajectories.csv``: ``time`` (version 5: ``seconds``; may be absent), ``x1, y1, x2,
  y2 …``: the centroid of each animal in pixels of the video, y downwards, NaN where it
  was not identified. A row for each frame of the video, the first one is frame 0.
- ``attributes.json``: ``frames_per_second``, ``video_paths`` (several files are one
  recording, in order), ``identities_labels``. ``body_length`` is the diagonal of the
  animal's blob in pixels, which by idtracker.ai's own documentation is no reliable
  size, so no scale is computed from it.
- ``areas.csv``, ``id_probabilities.csv``: no tracks.

The npy file is a pickled dictionary of the same, ``trajectories`` with the axes [frame,
animal, xy]; the HDF5 file has this array, and the attributes as those of the file. The
tidy forms (CSV, parquet) are read by `mabe.io.readers.idtracker_tidy`. Version 5 names
results ``with_gaps``, ``without_gaps`` (gaps at crossings are interpolated) and
``validated`` (corrected by a person). The program cannot tell front from back: there is
no other point.

Source: idtracker.ai's documentation ("Trajectory files") and its command
``idtrackerai_csv``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_numbers import read_numbers
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import MAX_VALUES, open_hdf5, read_array, text, texts
from mabe.io.readers.left_out import NothingToImport
from mabe.io.readers.npy import read_object
from mabe.io.readers.poses import Poses
from mabe.runtime.documents import parse_json

FACTS = facts.tracks(
    "idtracker.ai CSV, tidy CSV, parquet, HDF5, npy; versions 5, 6",
    clock="row 0 is frame 0; tidy: `frame`, from 0",
    fps="`frames_per_second`",
    missing="NaN, empty",
    animals="`identities_labels`, else numbers",
    notes="one point an animal; of a session one result in one form is read: corrected "
    "by a person, with gaps closed, as tracked; `body_length` is in pixels",
)


FOLDER = "trajectories"
"""The folder of a session in which all forms of its trajectories are."""

_ATTRIBUTES = "attributes.json"

_MAX_ATTRIBUTES_BYTES = 16 << 20

_AREAS = ["mean", "median", "standard_deviation"]

_COMPANION = "a file of idtracker.ai that is read together with trajectories.csv."

_NO_SCALE = (
    "idtracker.ai's body_length is a length in pixels: give --pixels-per-cm, or "
    "`pixels_per_cm` in project.yaml"
)


def is_companion(peek: Peek) -> bool:
    """Return whether a file lies beside trajectories and holds none itself."""
    if peek.kind == "json":
        keys = ("frames_per_second", "body_length", "video_paths")
        return all(f'"{key}"' in peek.text for key in keys)
    header = _header(peek)
    is_sure = len(header) > 1 and all(
        re.fullmatch(r"id_probabilities\d+", name) for name in header[1:]
    )
    return is_sure or [name.strip() for name in header] == _AREAS


def refuse_companion(peek: Peek) -> Content:
    """Raise `NothingToImport` for a file that is read together with another."""
    raise NothingToImport(peek.path, _COMPANION)


def is_csv(peek: Peek) -> bool:
    """Return whether a table is a time and the x and y of numbered animals."""
    points = _points(_header(peek))
    return len(points) >= 2 and points == _expected(len(points) // 2)


def is_npy(peek: Peek) -> bool:
    """Return whether an npy file is a dictionary with trajectories."""
    keys = (b"trajectories", b"frames_per_second")
    return peek.kind == "npy" and all(key in peek.head + _tail(peek) for key in keys)


def is_hdf5(peek: Peek) -> bool:
    """Return whether an HDF5 file has trajectories and the attributes of a session."""
    is_session = {"frames_per_second", "identities_labels"} & peek.attributes.keys()
    return "trajectories" in peek.names and bool(is_session)


def read_csv(peek: Peek) -> Content:
    """Return the tracks of a table, with the attributes beside it."""
    header = _header(peek)
    first = len(header) - len(_points(header))
    columns = list(range(first, len(header)))
    numbers = read_numbers(peek, skip_rows=1, columns=len(header), only=columns)
    attributes = read_attributes(peek.path.parent / _ATTRIBUTES)
    poses = poses_of(numbers.reshape(len(numbers), -1, 2), attributes, peek)
    return Content("idtracker.ai CSV", poses=(poses,))


def read_hdf5(peek: Peek) -> Content:
    """Return the tracks of an HDF5 file."""
    with open_hdf5(peek.path) as file:
        xy = read_array(file, "trajectories", peek.path, ndim=3)
    attributes = {name: _plain(value) for name, value in peek.attributes.items()}
    _check_trajectories(xy, peek)
    return Content("idtracker.ai HDF5", poses=(poses_of(xy, attributes, peek),))


def _plain(value: Any) -> Any:
    """Return an attribute of HDF5 as JSON gives it: a list of texts, or a number."""
    if isinstance(value, np.ndarray) and value.ndim:
        return list(texts(value))
    return text(value) if isinstance(value, bytes) else np.asarray(value).item()


def read_npy(peek: Peek) -> Content:
    """Return the tracks of a pickled dictionary."""
    data = read_object(peek)
    if not isinstance(data, dict):
        raise DataError(f"{peek.path}: expected a dictionary with trajectories.")
    xy = np.asarray(data.get("trajectories"))
    _check_trajectories(xy, peek)
    return Content("idtracker.ai npy", poses=(poses_of(xy, data, peek),))


def _check_trajectories(xy: np.ndarray, peek: Peek) -> None:
    """Raise `DataError` where an array has other axes than trajectories have."""
    is_numbers = np.issubdtype(xy.dtype, np.number)
    if not is_numbers or xy.ndim != 3 or xy.shape[2] != 2 or xy.size > MAX_VALUES:
        raise DataError(
            f"{peek.path}: trajectories should have the axes [frame, animal, xy], "
            f"found {xy.dtype} of the shape {xy.shape}."
        )


def _header(peek: Peek) -> list[str]:
    return peek.rows[0] if peek.kind == "text" and peek.rows else []


def _points(header: Sequence[str]) -> list[str]:
    """Return the columns after the time, which may be absent."""
    return list(header[1:] if header[:1] in (["time"], ["seconds"]) else header)


def _expected(animals: int) -> list[str]:
    return [f"{axis}{number + 1}" for number in range(animals) for axis in "xy"]


def _tail(peek: Peek) -> bytes:
    """Return the end of a file: keys of a dictionary may follow a long array."""
    with peek.path.open("rb") as file:
        file.seek(max(0, peek.path.stat().st_size - (1 << 16)))
        return file.read()


def read_attributes(path: Path) -> Mapping[str, Any]:
    """Return the attributes beside a table; none where the file is absent."""
    if not path.is_file() or path.stat().st_size > _MAX_ATTRIBUTES_BYTES:
        return {}
    try:
        values = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read as JSON ({error}); it holds the frame rate of the "
            "trajectories beside it."
        ) from error
    return values if isinstance(values, dict) else {}


def poses_of(
    xy: Float[np.ndarray, "time animal 2"], attributes: Mapping[str, Any], peek: Peek
) -> Poses:
    """Return one point for each animal, with the session's rate, video and names."""
    labels = attributes.get("identities_labels")
    names = [str(label) for label in labels] if isinstance(labels, list) else []
    if len(names) != xy.shape[1] or len(set(names)) < len(names):
        names = [str(number + 1) for number in range(xy.shape[1])]
    rate = attributes.get("frames_per_second")
    videos = attributes.get("video_paths")
    given = [str(each) for each in videos] if isinstance(videos, list) else []
    video = given[0] if len(given) == 1 else ""
    with np.errstate(over="ignore"):  # too large values become infinite, hence missing
        points = np.asarray(xy, np.float32)[:, :, None]
    return Poses(
        points,
        keypoints=("body_center",),
        animals=names,
        name=_name(video, peek),
        fps=float(rate) if isinstance(rate, int | float) and rate > 0 else None,
        tracker="idtracker.ai",
        video=video,
        notes=() if attributes.get("body_length") is None else (_NO_SCALE,),
    )


def _name(video: str, peek: Peek) -> str:
    """Return the name of the only video, or that of the session."""
    if video:
        return PurePosixPath(video.replace("\\", "/")).stem
    session = session_folder(peek.path)
    return session.name.removeprefix("session_") if session else peek.stem


def session_folder(path: Path) -> Path | None:
    """Return the session that a file in a folder of trajectories belongs to."""
    for place in list(path.parents)[:2]:
        if place.name == FOLDER:
            return place.parent
    return None
