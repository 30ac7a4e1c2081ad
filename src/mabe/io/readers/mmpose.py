"""Predictions of MMPose for a video, as JSON.

Its inferencer writes a list with an element for each frame: ``frame_id`` (from 0) and
``instances``, each with ``keypoints`` (x and y of each, in pixels, y downwards),
``keypoint_scores`` and ``bbox``. Its demo scripts write the same list under
``instance_info``, with frames from 1, beside ``meta_info``, whose ``keypoint_id2name``
names the keypoints. Instances have no identity, so a film is read where no frame has
more than one of them. Neither the frame rate nor the scale is given.

Source: MMPose's ``base_mmpose_inferencer`` and its demo ``topdown_demo_with_mmdet``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek, read_json
from mabe.io.readers.instances import Instance, poses_of_instances
from mabe.io.readers.left_out import LeftOut
from mabe.io.readers.poses import check_names
from mabe.recording import MAX_FRAMES

FACTS = facts.tracks(
    "MMPose predictions, JSON",
    clock="`frame_id`: from 0 (inferencer), from 1 (demo scripts)",
    missing="score below 0.3 (its `kpt_thr`), no instance",
    animals="one; several have no identities and are not read",
    notes="names in `meta_info`, else `keypoints: {point0: nose, …}`",
)


_KEYS = ("frame_id", "instances")

_USUAL_SCORE = 0.3
"""MMPose's own default for a keypoint to be drawn (``kpt_thr``)."""

_NO_IDENTITY = (
    "predictions of MMPose with several animals a frame, which have no identities; "
    "track the animals, and write the points as a CSV with the columns frame, "
    "individual, keypoint, x, y, confidence."
)

_NO_NAMES = (
    "keypoints have no names in this file of MMPose: name them in project.yaml, "
    "`keypoints: {point0: nose, …}`"
)


def is_mmpose(peek: Peek) -> bool:
    """Return whether a JSON document has frames with instances."""
    has_keys = all(re.search(rf'"{key}"\s*:', peek.text) for key in _KEYS)
    return peek.kind == "json" and has_keys


def read_mmpose(peek: Peek) -> Content:
    """Return the track of the animal."""
    data = read_json(peek)
    try:
        is_demo = isinstance(data, dict)
        frames = data["instance_info"] if is_demo else data
        names = _names(data.get("meta_info") or {}) if is_demo else []
        if any(len(each["instances"]) > 1 for each in frames):
            raise LeftOut(peek.path, _NO_IDENTITY)
        found = [
            _instance(each["frame_id"] - is_demo, each["instances"][0], peek)
            for each in frames
            if each["instances"]
        ]
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{peek.path}: looks like predictions of MMPose but lacks {error}; write "
            "them anew."
        ) from error
    counts = {len(each.points) for each in found}
    if len(counts) != 1:
        raise DataError(
            f"{peek.path}: expected as many keypoints in each instance, found "
            f"{sorted(counts) or 'no instance'}."
        )
    count = counts.pop()
    check_names(count, "keypoint", str(peek.path))
    is_named = len(names) == count == len(set(names))
    poses = poses_of_instances(
        found,
        ["animal1"],
        names if is_named else [f"point{at}" for at in range(count)],
        name=peek.stem,
        where=str(peek.path),
        tracker="MMPose",
    )
    if poses is None:
        raise DataError(f"{peek.path}: no keypoint was found in any frame.")
    poses = replace(poses, usual_confidence=_USUAL_SCORE)
    poses = poses if is_named else poses.noting(_NO_NAMES)
    return Content("MMPose predictions", poses=(poses,))


def _names(meta: Mapping[str, Any]) -> list[str]:
    """Return the names of the keypoints by their numbers; none where they lack."""
    found = meta.get("keypoint_id2name")
    if not isinstance(found, dict):
        return []
    return [str(found.get(str(at), "")) for at in range(len(found))]


def _instance(frame: Any, instance: Mapping[str, Any], peek: Peek) -> Instance:
    """Return the animal of a frame."""
    points = _numbers(instance["keypoints"])
    scores = _numbers(instance.get("keypoint_scores", []))
    is_sure = scores.shape == points.shape[:1]
    if points.ndim != 2 or points.shape[1:] != (2,) or not (is_sure or not scores.size):
        raise DataError(
            f"{peek.path}: frame {frame}: expected x and y of each keypoint, found the "
            f"shape {points.shape}, and scores {scores.shape}."
        )
    if not isinstance(frame, int) or not 0 <= frame < MAX_FRAMES:
        raise DataError(f"{peek.path}: expected the number of a frame: {frame!r}.")
    sure = scores if is_sure else np.ones(len(points), np.float32)
    return Instance(frame, "animal1", np.concatenate([points, sure[:, None]], axis=1))


def _numbers(values: Sequence[Any]) -> np.ndarray:
    """Return numbers of JSON as floats; too large ones become infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float64).astype(np.float32)
