"""JABS pose files (HDF5, versions 2 to 6 and what follows them).

``poseest/points`` is ``(frame, 12, 2)`` in version 2 and ``(frame, instance, 12, 2)``
later; the last axis is **(y, x)**. A confidence of 0 means no point; values may exceed
1. The animal of an instance is in ``instance_embed_id`` (1, 2 …; 0 and instances in
``id_mask`` have none) or, in version 3, in ``instance_track_id``. The order of the
twelve keypoints is fixed. JABS recordings have 30 frames per second.
"""

from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import attribute, open_hdf5, read_array
from mabe.io.readers.poses import Poses

FACTS = facts.tracks(
    "JABS HDF5, versions 2 and up",
    clock="row 0 is frame 0",
    fps="30, fixed",
    points="px, stored as (y, x), y down",
    scale="`cm_per_pixel`",
    missing="confidence 0",
    animals="identities: `mouse1` …",
)


KEYPOINTS = (
    "nose",
    "left_ear",
    "right_ear",
    "base_neck",
    "left_front_paw",
    "right_front_paw",
    "center_spine",
    "left_rear_paw",
    "right_rear_paw",
    "base_tail",
    "mid_tail",
    "tip_tail",
)


FPS = 30.0


def is_jabs(peek: Peek) -> bool:
    """Return whether an HDF5 file is a pose file of JABS."""
    if "poseest" not in peek.names:
        return False
    with open_hdf5(peek.path) as file:
        return isinstance(file["poseest"], h5py.Group) and "points" in file["poseest"]


def read(peek: Peek) -> Content:
    """Return the tracks of a pose file."""
    with open_hdf5(peek.path) as file:
        pose = file["poseest"]
        points = read_array(pose, "points", peek.path)
        confidence = read_array(pose, "confidence", peek.path)
        if points.ndim == 3:
            points, confidence = points[:, None], confidence[:, None]
        if points.ndim != 4 or points.shape[2:] != (len(KEYPOINTS), 2):
            raise DataError(
                f"{peek.path}: poseest/points should be (frames, animals, 12, 2), "
                f"found {points.shape}."
            )
        if confidence.shape != points.shape[:3]:
            raise DataError(
                f"{peek.path}: confidence {confidence.shape} does not fit points "
                f"{points.shape}."
            )
        identity, notes = _identities(pose, points.shape[:2], peek)
        scale = attribute(pose, "cm_per_pixel", peek.path)
    xy, sure, names = _sort_by_identity(points, confidence, identity)
    pixels_per_cm = None
    if scale is not None and np.ndim(scale) == 0 and float(scale) > 0:
        pixels_per_cm = 1 / float(scale)
    poses = Poses(
        name=peek.path.stem.split("_pose_est")[0],
        animals=names,
        keypoints=KEYPOINTS,
        xy_px=xy,
        confidence=sure,
        fps=FPS,
        pixels_per_cm=pixels_per_cm,
        tracker="JABS",
        notes=tuple(notes),
    )
    return Content("JABS HDF5", poses=(poses,))


def _identities(
    pose: h5py.Group, shape: tuple[int, ...], peek: Peek
) -> tuple[Any, list[str]]:
    """Return the animal of each instance, from 0; −1 for none."""
    if "instance_embed_id" in pose:
        numbers = read_array(pose, "instance_embed_id", peek.path).astype(np.int64) - 1
        if "id_mask" in pose:
            numbers[read_array(pose, "id_mask", peek.path).astype(bool)] = -1
    elif "instance_track_id" in pose:
        numbers = read_array(pose, "instance_track_id", peek.path).astype(np.int64)
    else:
        numbers = np.broadcast_to(np.arange(shape[1]), shape).copy()
    if numbers.shape != shape:
        raise DataError(
            f"{peek.path}: identities {numbers.shape} do not fit instances {shape}."
        )
    if "instance_count" in pose:
        count = read_array(pose, "instance_count", peek.path, ndim=1)
        if len(count) == shape[0]:
            numbers[np.arange(shape[1]) >= count[:, None]] = -1
    known = np.unique(numbers[numbers >= 0])
    centres = pose.get("instance_id_center")
    if isinstance(centres, h5py.Dataset) and "instance_embed_id" in pose:
        unknown = numbers >= len(centres)
        if unknown.any():
            numbers[unknown] = -1
            return numbers, [
                f"{count(unknown.sum(), 'detection')} with an identity above "
                f"{len(centres)} left out"
            ]
    if len(known) > shape[1]:
        return _longest_tracks(numbers, shape[1])
    return numbers, []


def _longest_tracks(numbers: np.ndarray, most: int) -> tuple[np.ndarray, list[str]]:
    """Return the longest of many short tracks, which version 3 does not join."""
    kinds, counts = np.unique(numbers[numbers >= 0], return_counts=True)
    kept = kinds[np.argsort(-counts, kind="stable")[:most]]
    numbers[~np.isin(numbers, kept)] = -1
    return numbers, [
        f"{len(kinds)} pieces of track, not joined to animals; the {most} longest were "
        "kept"
    ]


def _sort_by_identity(
    points: np.ndarray, confidence: np.ndarray, identity: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return points as (x, y) with one column for each animal."""
    kinds = np.unique(identity[identity >= 0])
    shape = (len(points), max(1, len(kinds)), len(KEYPOINTS))
    xy = np.full((*shape, 2), np.nan, np.float32)
    sure = np.zeros(shape, np.float32)
    for column, kind in enumerate(kinds):
        frames, instances = np.nonzero(identity == kind)
        xy[frames, column] = points[frames, instances][..., ::-1]
        sure[frames, column] = confidence[frames, instances]
    xy[sure <= 0] = np.nan
    return xy, sure, tuple(f"mouse{kind + 1}" for kind in kinds) or ("mouse1",)
