"""SLEAP's tracks in its analysis HDF5 files.

They hold ``tracks`` and ``point_scores``. Newer files have the order of the
axes in an attribute ``dims``; older ones have SLEAP's "matlab" order, ``tracks (track,
xy, node, frame)`` and ``point_scores (track, node, frame)``, or (exported without
transposing) the reverse; the numbers of nodes and tracks decide. Broken tracks are laid
into as few animals as there are at a time. Projects (`.slp`) are read by
`mabe.io.readers.sleap_project`.
"""

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import (
    attribute,
    open_hdf5,
    read_array,
    read_names,
    read_text,
    text,
    texts,
)
from mabe.io.readers.poses import Poses
from mabe.io.readers.track_pieces import lay_out_pieces
from mabe.runtime.documents import parse_json

FACTS = facts.tracks(
    "SLEAP analysis HDF5",
    clock="row 0 is frame 0",
    missing="NaN",
    animals="`track_names`",
    assumed="broken tracks are joined by place",
    notes="all orders of axes: given by `dims` in new files, else MATLAB's or "
    "untransposed",
)


_WANTED = ("frame", "track", "node", "xy")


_MATLAB = ("track", "xy", "node", "frame")


_UNTRANSPOSED = _MATLAB[::-1]


def is_analysis(peek: Peek) -> bool:
    """Return whether an HDF5 file is one of SLEAP's analysis files."""
    return {"tracks", "node_names"} <= peek.names and "pose_est" not in peek.names


def read_analysis(peek: Peek) -> Content:
    """Return the tracks of an analysis file."""
    with open_hdf5(peek.path) as file:
        nodes = read_names(file, "node_names", peek.path)
        tracks = read_array(file, "tracks", peek.path, ndim=4)
        has_names = "track_names" in file
        names = read_names(file, "track_names", peek.path) if has_names else ()
        dims = _dims(file["tracks"], tracks.shape, len(nodes), len(names), peek)
        xy = tracks.transpose([dims.index(axis) for axis in _WANTED])
        scores = None
        if "point_scores" in file:
            scores = read_array(file, "point_scores", peek.path, ndim=3)
            stored = _stored_dims(file["point_scores"], peek)
            order = stored or tuple(axis for axis in dims if axis != "xy")
            scores = scores.transpose([order.index(axis) for axis in _WANTED[:3]])
        video = read_text(file, "video_path", peek.path)
    if xy.shape[2:] != (len(nodes), 2):
        raise DataError(
            f"{peek.path}: tracks of shape {tracks.shape} do not fit {len(nodes)} "
            "nodes."
        )
    if scores is not None and scores.shape != xy.shape[:3]:
        raise DataError(
            f"{peek.path}: point_scores {scores.shape} do not fit tracks {xy.shape}."
        )
    with np.errstate(over="ignore"):  # infinite, hence missing
        xy = np.ascontiguousarray(xy, np.float32)
    poses = Poses(
        name=stem_of(peek.path.name),
        animals=names or tuple(f"track_{at}" for at in range(xy.shape[1])),
        keypoints=nodes,
        xy_px=xy,
        confidence=None if scores is None else scores.astype(np.float32),
        tracker="SLEAP",
        video=video,
        notes=(f"made from {video}",) if video else (),
    )
    return Content("SLEAP analysis HDF5", poses=(lay_out_pieces(poses),))


def stem_of(name: str) -> str:
    """Return a file's name without SLEAP's endings."""
    for ending in (".analysis.h5", ".predictions.slp", ".slp", ".h5", ".hdf5"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name.rsplit(".", 1)[0]


def _stored_dims(dataset: h5py.Dataset, peek: Peek) -> tuple[str, ...]:
    """Return the order of the axes, where the file gives it."""
    value = attribute(dataset, "dims", peek.path)
    if value is None:
        return ()
    try:
        names = parse_json(text(value)) if np.ndim(value) == 0 else list(texts(value))
    except ValueError:
        return ()
    return tuple(str(name).lower().rstrip("s") for name in names)


def _dims(
    dataset: h5py.Dataset, shape: tuple[int, ...], nodes: int, tracks: int, peek: Peek
) -> tuple[str, ...]:
    """Return the order of the axes of `tracks`."""
    stored = _stored_dims(dataset, peek)
    if sorted(stored) == sorted(_WANTED):
        return stored
    for order in (_MATLAB, _UNTRANSPOSED, _WANTED):
        sizes = dict(zip(order, shape, strict=True))
        fits = sizes["xy"] == 2 and sizes["node"] == nodes
        if fits and tracks in (0, sizes["track"]):
            return order
    raise DataError(
        f"{peek.path}: tracks have the shape {shape}, which fits neither {nodes} nodes "
        f"and {tracks} tracks in SLEAP's order (track, xy, node, frame) nor another."
    )
