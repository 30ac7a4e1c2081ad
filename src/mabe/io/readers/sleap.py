"""SLEAP's tracks: its analysis HDF5 files, and projects (`.slp`).

Analysis files hold ``tracks`` and ``point_scores``. Newer files have the order of the
axes in an attribute ``dims``; older ones have SLEAP's "matlab" order, ``tracks (track,
xy, node, frame)`` and ``point_scores (track, node, frame)``, or (exported without
transposing) the reverse; the numbers of nodes and tracks decide. A project is read with
sleap-io, an extra.
"""

from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import (
    attribute,
    check_all_sizes,
    open_hdf5,
    read_array,
    read_names,
    read_text,
    text,
    texts,
)
from mabe.io.readers.kaggle_tracks import MAX_FRAMES
from mabe.io.readers.poses import Poses, place_frames
from mabe.runtime.files import parse_json

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
    poses = Poses(
        name=_stem(peek.path.name),
        animals=names or tuple(f"track_{at}" for at in range(xy.shape[1])),
        keypoints=nodes,
        xy_px=np.ascontiguousarray(xy, np.float32),
        confidence=None if scores is None else scores.astype(np.float32),
        tracker="SLEAP",
        notes=(f"made from {video}",) if video else (),
    )
    return Content("SLEAP analysis HDF5", poses=(poses,))


def _stem(name: str) -> str:
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


def is_project(peek: Peek) -> bool:
    """Return whether an HDF5 file is a SLEAP project."""
    return {"frames", "instances", "pred_points", "metadata"} <= peek.names


def read_project(peek: Peek) -> Content:
    """Return the tracks of a project, one recording for each of its videos."""
    try:
        import sleap_io
    except ImportError as error:
        raise DataError(
            f"{peek.path}: a SLEAP project is read with sleap-io; "
            '`pip install "mabe[slp]"`, or export "Analysis HDF5" from SLEAP.'
        ) from error
    with open_hdf5(peek.path) as file:  # sleap-io checks nothing
        check_all_sizes(file, peek.path)
    try:
        labels = sleap_io.load_slp(str(peek.path), open_videos=False)
        found = [_poses_of_video(labels, video, peek) for video in labels.videos]
    except DataError:
        raise
    except Exception as error:  # sleap-io raises errors of many kinds
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{peek.path}: sleap-io cannot read it ({type(error).__name__}: {reason}); "
            "does SLEAP open it?"
        ) from error
    poses = tuple(each for each in found if each is not None)
    if not poses:
        raise DataError(f"{peek.path}: no frame of this project has a pose.")
    return Content("SLEAP project", poses=poses)


def _poses_of_video(labels: Any, video: Any, peek: Peek) -> Poses | None:
    """Return the tracks of one video of a project; None where there are none."""
    frames = sorted(labels.find(video), key=lambda frame: frame.frame_idx)
    frames = [frame for frame in frames if len(frame.instances)]
    if not frames:
        return None
    nodes = tuple(frame_nodes(labels))
    tracks = [track.name or f"track_{at}" for at, track in enumerate(labels.tracks)]
    place = {id(track): at for at, track in enumerate(labels.tracks)}
    untracked = max(
        sum(each.track is None for each in frame.instances) for frame in frames
    )
    animals = [*tracks, *(f"untracked_{at + 1}" for at in range(untracked))]
    rows = np.full((len(frames), len(animals), len(nodes), 3), np.nan, np.float32)
    for row, frame in enumerate(frames):
        free = len(tracks)
        # Instances corrected by a person come last and replace others.
        for instance in sorted(frame.instances, key=_is_by_hand):
            if instance.track is None:
                column, free = free, free + 1
            else:
                column = place[id(instance.track)]
            rows[row, column] = _points(instance, len(nodes))
    numbers = np.array([frame.frame_idx for frame in frames], float)
    first, placed, notes = place_frames(numbers, rows, str(peek.path))
    if untracked:
        notes.append(
            f"up to {untracked} animals per frame belong to no track: their order in "
            "the frame is used as their identity"
        )
    length = (video.shape or [0])[0] if video.shape is not None else 0
    if 0 < length <= MAX_FRAMES:
        notes.append(f"the video has {length:,} frames")
    stem = (
        str(getattr(video, "filename", "") or "").replace("\\", "/").rsplit("/", 1)[-1]
    )
    several = len(labels.videos) > 1
    return Poses(
        name=stem.rsplit(".", 1)[0] if several and stem else _stem(peek.path.name),
        animals=tuple(animals),
        keypoints=nodes,
        xy_px=placed[..., :2],
        confidence=placed[..., 2],
        first_frame=first,
        tracker="SLEAP",
        notes=tuple(notes),
    )


def frame_nodes(labels: Any) -> list[str]:
    """Return the names of a project's keypoints, of which one skeleton is expected."""
    skeletons = labels.skeletons
    if len(skeletons) != 1:
        raise DataError(
            f"a SLEAP project of {len(skeletons)} skeletons; expected one. Export "
            "each as Analysis HDF5."
        )
    return [str(name) for name in skeletons[0].node_names]


def _is_by_hand(instance: Any) -> bool:
    return not hasattr(instance, "tracking_score")


def _points(instance: Any, nodes: int) -> np.ndarray:
    """Return x, y and confidence of one animal; 1 for points placed by a person."""
    points = np.asarray(instance.numpy(), np.float32)
    scores = np.ones(nodes, np.float32)
    if "score" in (instance.points.dtype.names or ()):
        scores = np.asarray(instance.points["score"], np.float32)
    return np.concatenate([points, scores[:, None]], axis=1)
