"""The tracks of NWB files: `PoseEstimation` groups of ``ndx-pose``.

A group is one animal, seen by one camera. Groups of other cameras (another device,
another video, or another rate) are recordings of their own. Groups with one or two
moments (JABS repeats a constant at the end) where others have many, and groups none of
whose keypoints the animals have, are objects such as the corners of an arena, and left
out. Times are those of the session's clock, on which a recording begins at
`Poses.start_s`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers.deeplabcut import ONE_ANIMAL
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import read_text
from mabe.io.readers.nwb_series import (
    SAME_RATE,
    PoseGroup,
    Series,
    read_group,
    step_between,
)
from mabe.io.readers.poses import USUAL_CONFIDENCE, Poses
from mabe.io.readers.track_pieces import lay_out_pieces
from mabe.runtime.documents import parse_json

_LIKELIHOODS = ("deeplabcut", "lightningpose", "lightning_pose")
"""Software that writes all points, also those of low confidence."""


_CONSTANT = 2
"""Moments of an object that does not move: its first and its last."""


def read_tracks(
    file: h5py.File, groups: Sequence[h5py.Group], peek: Peek
) -> list[Poses]:
    """Return the tracks of all `PoseEstimation` groups, a recording for each camera."""
    read = [read_group(group, groups, peek) for group in groups]
    animals, objects = _without_objects([each for each in read if each.series])
    notes = [f"objects, no animals, left out: {', '.join(objects)}"] if objects else []
    recordings = _by_camera(animals)
    scale = _pixels_per_cm(file, peek)
    is_several = len(recordings) > 1
    found = []
    for those in recordings:
        poses = _join(those, _name(those, is_several, peek), scale, peek)
        if is_several and len(poses.animals) == 1 and poses.animals[0] in those[0].name:
            poses = replace(poses, animals=(ONE_ANIMAL,))  # it is the camera's name
        found.append(lay_out_pieces(poses).noting(*notes))
    return found


def _without_objects(groups: list[PoseGroup]) -> tuple[list[PoseGroup], list[str]]:
    """Return the groups of animals, and the names of those of objects."""
    most = max((group.moments for group in groups), default=0)
    moving = [
        group for group in groups if group.moments > _CONSTANT or most <= _CONSTANT
    ]
    counts = Counter(group.keypoints for group in moving)
    usual = max(
        counts, key=lambda names: (counts[names], len(names)), default=frozenset()
    )
    kept = [group for group in moving if group.keypoints & usual or len(counts) == 1]
    names = {id(group) for group in kept}
    return kept, [group.name for group in groups if id(group) not in names]


def _by_camera(groups: list[PoseGroup]) -> list[list[PoseGroup]]:
    """Return the groups of each camera: of each device or video, and rate."""
    found: list[list[PoseGroup]] = []
    for group in groups:
        same = (those for those in found if _is_same_camera(those[0], group))
        if (those := next(same, None)) is None:
            found.append([group])
        else:
            those.append(group)
    return found


def _is_same_camera(first: PoseGroup, second: PoseGroup) -> bool:
    ratio = first.step_s / second.step_s
    is_same = (first.camera, first.video) == (second.camera, second.video)
    return is_same and abs(ratio - 1) < SAME_RATE


def _name(groups: list[PoseGroup], is_one_of_several: bool, peek: Peek) -> str:
    """Return the file's name, with that of the camera where there are several."""
    camera = groups[0].camera or groups[0].name
    return f"{peek.stem}_{camera}" if is_one_of_several else peek.stem


def _pixels_per_cm(file: h5py.File, peek: Peek) -> float | None:
    """Return the scale that JABS writes beside its poses."""
    scratch = file.get("scratch")
    if not isinstance(scratch, h5py.Group) or "jabs_metadata" not in scratch:
        return None
    try:
        scale = parse_json(read_text(scratch, "jabs_metadata", peek.path))[
            "cm_per_pixel"
        ]
        return 1 / float(scale) if float(scale) > 0 else None
    except (ValueError, TypeError, LookupError):
        return None  # no scale, or none that is a number


def _join(
    groups: Sequence[PoseGroup], name: str, pixels_per_cm: float | None, peek: Peek
) -> Poses:
    """Return the keypoints of all animals at the frames of the longest one."""
    series = [each for group in groups for each in group.series]
    animals = tuple(dict.fromkeys(each.animal for each in series))
    keypoints = tuple(dict.fromkeys(each.keypoint for each in series))
    series, notes = _with_increasing_times(series)
    start_s = min(float(each.times_s[0]) for each in series if len(each.times_s))
    step_s = step_between(max(series, key=lambda each: len(each.times_s)).times_s)
    frames = [
        np.round((each.times_s - start_s) / step_s).astype(int) for each in series
    ]
    length = max(int(numbers[-1]) + 1 for numbers in frames if len(numbers))
    if length > 2 * max(len(numbers) for numbers in frames):
        raise DataError(
            f"{peek.path}: its timestamps are irregular; expected a constant rate."
        )
    shape = (length, len(animals), len(keypoints))
    points = np.full((*shape, 3), np.nan, np.float32)
    sure = np.full(shape, np.nan, np.float32)
    for each, numbers in zip(series, frames, strict=True):
        place = animals.index(each.animal), keypoints.index(each.keypoint)
        points[:, *place, : each.points.shape[1]][numbers] = each.points
        if each.confidence is not None:
            sure[(numbers, *place)] = each.confidence
    # Tables without a frame rate are converted to timestamps that count frames.
    is_counted = abs(step_s - 1) < 1e-9
    if is_counted:
        notes.append("timestamps count frames, not seconds")
    if start_s and not is_counted:
        notes.append(f"begins at {start_s:g} s on the session's clock")
    software = "/".join(sorted({group.software for group in groups} - {""}))
    is_likelihood = any(each in software.lower() for each in _LIKELIHOODS)
    if software == "JABS":
        points[sure <= 0] = np.nan
    return Poses(
        name=name,
        animals=animals,
        keypoints=keypoints,
        xy_px=points[..., :2],
        z_px=points[..., 2] if any(s.points.shape[1] == 3 for s in series) else None,
        confidence=sure if any(s.confidence is not None for s in series) else None,
        usual_confidence=USUAL_CONFIDENCE if is_likelihood else 0.0,
        fps=None if is_counted else 1 / step_s,
        pixels_per_cm=pixels_per_cm,
        tracker=software or "ndx-pose",
        video=groups[0].video,
        start_s=0.0 if is_counted else start_s,
        notes=tuple(notes),
    )


def _with_increasing_times(
    series: Sequence[Series],
) -> tuple[list[Series], list[str]]:
    """Return series whose times increase, and a note where some did not.

    Some video libraries give 0 for the time of frames that they cannot find. Rows are
    frames, so these times follow from the others.
    """
    mended, lost = [], 0
    for each in series:
        bad = np.flatnonzero(np.diff(each.times_s) <= 0)
        if not len(bad):
            mended.append(each)
            continue
        step_s = step_between(each.times_s[: bad[0] + 1] if bad[0] else each.times_s)
        times_s = each.times_s[0] + step_s * np.arange(len(each.times_s))
        lost = max(lost, int((abs(times_s - each.times_s) > step_s).sum()))
        mended.append(replace(each, times_s=times_s))
    notes = [f"timestamps that do not increase: {lost}, rows are counted instead"]
    return mended, notes if lost else []
