"""`movement` data sets in NetCDF-4 files, which are HDF5 files.

``position (time, space, keypoints, individuals)`` and ``confidence (time, keypoints,
individuals)``; since movement 0.17 the dimensions are called ``keypoint`` and
``individual``. Their order is read from the file. ``time`` is in seconds where the
attribute ``fps`` is given, else it is the frame number.
"""

from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import (
    attribute,
    attributes,
    open_hdf5,
    read_array,
    read_names,
    text,
)
from mabe.io.readers.poses import USUAL_CONFIDENCE, Poses, place_frames

FACTS = facts.tracks(
    "movement NetCDF-4",
    clock="`time` × `fps`, else `time` is the frame",
    fps="attribute `fps`",
    missing="NaN",
    animals="`individuals`, `individual`",
)


_SINGULAR = {"keypoints": "keypoint", "individuals": "individual"}


_ORDER = ("time", "individual", "keypoint", "space")


def is_movement(peek: Peek) -> bool:
    """Return whether an HDF5 file is a data set of poses."""
    return {"position", "time", "space"} <= peek.names


def read(peek: Peek) -> Content:
    """Return the tracks of a data set."""
    with open_hdf5(peek.path) as file:
        dims = _dims(file["position"], peek)
        if missing := [name for name in _ORDER if name not in dims]:
            raise DataError(
                f"{peek.path}: position has the dimensions {dims}; {missing} are "
                "missing. Is this a data set of boxes rather than poses?"
            )
        xy = read_array(file, "position", peek.path, ndim=4)
        xy = xy.transpose([dims.index(name) for name in _ORDER])
        names = {name: _coordinate(file, name, peek) for name in _ORDER[1:]}
        confidence = None
        if "confidence" in file:
            order = _dims(file["confidence"], peek)
            confidence = read_array(file, "confidence", peek.path, ndim=3)
            confidence = confidence.transpose(
                [order.index(name) for name in _ORDER[:3]]
            )
        facts = attributes(file, peek.path)
        time = read_array(file, "time", peek.path, ndim=1).astype(float)
        unit = text(attribute(file["time"], "units", peek.path, b""))
    axes = [axis for axis in "xyz" if axis in names["space"]]
    if axes[:2] != ["x", "y"]:
        raise DataError(f"{peek.path}: space has {names['space']}; expected x and y.")
    space = [names["space"].index(axis) for axis in axes]
    fps = _rate(facts)
    if unit and fps is None:
        raise DataError(f"{peek.path}: time is in {unit}, but no fps is given.")
    frames = np.round(time * fps) if fps and _in_seconds(facts) else time
    both = [xy[..., space].astype(np.float32)]
    if confidence is not None:
        both.append(confidence[..., None].astype(np.float32))
    first, placed, frame_notes = place_frames(
        frames, np.concatenate(both, axis=-1), str(peek.path)
    )
    software = text(facts.get("source_software", ""))
    poses = Poses(
        name=peek.stem,
        animals=names["individual"],
        keypoints=names["keypoint"],
        xy_px=placed[..., :2],
        z_px=placed[..., 2] if "z" in axes else None,
        confidence=placed[..., -1] if confidence is not None else None,
        usual_confidence=USUAL_CONFIDENCE if software in _LIKELIHOODS else 0.0,
        first_frame=first,
        fps=fps,
        tracker=software or "movement",
        notes=tuple(frame_notes),
    )
    return Content("movement NetCDF", poses=(poses,))


_LIKELIHOODS = ("DeepLabCut", "LightningPose")
"""Software that writes all points, also those of low confidence."""


def _dims(dataset: h5py.Dataset, peek: Peek) -> tuple[str, ...]:
    """Return the names of an array's dimensions, in the new spelling."""
    names = []
    for axis in dataset.dims:
        if not len(axis):
            raise DataError(
                f"{peek.path}: {dataset.name} does not name its dimensions."
            )
        name = text(axis[0].name).rsplit("/", 1)[-1]
        names.append(_SINGULAR.get(name, name))
    return tuple(names)


def _coordinate(file: h5py.File, name: str, peek: Peek) -> tuple[str, ...]:
    plural = next(key for key in (f"{name}s", name) if key in file or key == name)
    return read_names(file, plural, peek.path)


def _rate(attributes: dict[str, Any]) -> float | None:
    value = attributes.get("fps")
    try:
        rate = float(np.ravel(value)[0]) if value is not None else 0.0
    except (ValueError, IndexError):
        return None  # the string "None", where it was not known
    return rate if rate > 0 else None


def _in_seconds(attributes: dict[str, Any]) -> bool:
    return text(attributes.get("time_unit", "seconds")) != "frames"
