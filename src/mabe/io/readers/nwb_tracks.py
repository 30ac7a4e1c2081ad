"""The tracks of NWB files: `PoseEstimation` groups of ``ndx-pose``.

A group is one animal, seen by one camera. Groups of other cameras (another device,
another video, or another rate) are recordings of their own. Groups with one or two
moments (JABS repeats a constant at the end) where others have many, and groups none of
whose keypoints the animals have, are objects such as the corners of an arena, and left
out. Times are those of the session's clock,
on which a recording begins at `Poses.start_s`.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers.deeplabcut import ONE_ANIMAL
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import (
    attribute,
    read_array,
    read_names,
    read_number,
    read_text,
    text,
)
from mabe.io.readers.poses import USUAL_CONFIDENCE, Poses
from mabe.io.readers.track_pieces import lay_out_pieces
from mabe.runtime.documents import parse_json

_SERIES = "PoseEstimationSeries"


_DEVICES = ("Device", "CameraDevice")


_LIKELIHOODS = ("deeplabcut", "lightningpose", "lightning_pose")
"""Software that writes all points, also those of low confidence."""


_CONSTANT = 2
"""Moments of an object that does not move: its first and its last."""


_SAME_RATE = 0.02
"""Largest relative difference between steps of time."""


@dataclass(frozen=True, slots=True)
class _Series:
    """One keypoint of one animal."""

    animal: str
    keypoint: str
    xy: np.ndarray
    confidence: np.ndarray | None
    times_s: np.ndarray


@dataclass(frozen=True, slots=True)
class _Group:
    """What one camera saw of one animal."""

    name: str
    series: tuple[_Series, ...]
    camera: str
    """The camera's name, or its video; empty where the group names none."""
    video: str
    software: str

    @property
    def keypoints(self) -> frozenset[str]:
        """The names of its keypoints."""
        return frozenset(each.keypoint for each in self.series)

    @property
    def moments(self) -> int:
        """The number of its frames."""
        return max((len(each.times_s) for each in self.series), default=0)

    @property
    def step_s(self) -> float:
        """The time between its frames."""
        return _step(max(self.series, key=lambda each: len(each.times_s)).times_s)


def read_tracks(
    file: h5py.File, groups: Sequence[h5py.Group], peek: Peek
) -> list[Poses]:
    """Return the tracks of all `PoseEstimation` groups, a recording for each camera."""
    read = [_read_group(group, groups, peek) for group in groups]
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


def type_of(group: h5py.Group, peek: Peek) -> str:
    """Return the type of a group, as NWB names it."""
    return text(attribute(group, "neurodata_type", peek.path, ""))


def _read_group(group: h5py.Group, groups: Sequence[h5py.Group], peek: Peek) -> _Group:
    """Return the keypoints of one `PoseEstimation`, and which camera saw them."""
    videos = (
        read_names(group, "original_videos", peek.path)
        if isinstance(group.get("original_videos"), h5py.Dataset)
        else ()
    )
    devices = sorted(
        _target(group, str(name))
        for name, item in group.items()
        if isinstance(item, h5py.Group) and type_of(item, peek) in _DEVICES
    )
    video = videos[0] if videos else ""
    return _Group(
        name=str(group.name).rsplit("/", 1)[-1],
        series=tuple(_read_animal(group, groups, peek)),
        camera="/".join(devices) or _stem(video),
        video=video,
        software=read_text(group, "source_software", peek.path),
    )


def _target(group: h5py.Group, name: str) -> str:
    """Return the name of what a member of a group is, or is a link to."""
    link = group.get(name, getlink=True)
    path = link.path if isinstance(link, h5py.SoftLink) else str(group[name].name)
    return path.rsplit("/", 1)[-1]


def _stem(video: str) -> str:
    return re.sub(r"\.[A-Za-z0-9]+$", "", video.replace("\\", "/").rsplit("/", 1)[-1])


def _without_objects(groups: list[_Group]) -> tuple[list[_Group], list[str]]:
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


def _by_camera(groups: list[_Group]) -> list[list[_Group]]:
    """Return the groups of each camera: of each device or video, and rate."""
    found: list[list[_Group]] = []
    for group in groups:
        same = (those for those in found if _is_same_camera(those[0], group))
        if (those := next(same, None)) is None:
            found.append([group])
        else:
            those.append(group)
    return found


def _is_same_camera(first: _Group, second: _Group) -> bool:
    ratio = first.step_s / second.step_s
    is_same = (first.camera, first.video) == (second.camera, second.video)
    return is_same and abs(ratio - 1) < _SAME_RATE


def _name(groups: list[_Group], is_one_of_several: bool, peek: Peek) -> str:
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


def _read_animal(
    group: h5py.Group, groups: Sequence[h5py.Group], peek: Peek
) -> list[_Series]:
    """Return the keypoints of one `PoseEstimation`."""
    members = {
        str(name): item
        for name, item in group.items()
        if isinstance(item, h5py.Group) and type_of(item, peek) == _SERIES
    }
    own = _animal_name(group, groups, peek)
    nodes = _nodes(group, peek)
    prefix_of = _prefixes([name.removesuffix(_SERIES) or name for name in members])
    found = []
    for name, item in sorted(members.items()):
        bare = name.removesuffix(_SERIES) or name
        animal, keypoint = prefix_of.get(bare, (own, bare))
        found.append(_read_series(item, animal, nodes.get(keypoint, keypoint), peek))
    return found


def _animal_name(group: h5py.Group, groups: Sequence[h5py.Group], peek: Peek) -> str:
    """Return a group's name: its subject, or the part of its path that differs."""
    subject = group.get("subject")
    if isinstance(subject, h5py.Group) and "subject_id" in subject:
        return read_text(subject, "subject_id", peek.path)
    if len(groups) == 1:
        return ONE_ANIMAL
    paths = [str(each.name).split("/")[::-1] for each in groups]
    own = str(group.name).split("/")[::-1]
    differs = (
        at for at, names in enumerate(zip(*paths, strict=False)) if len(set(names)) > 1
    )
    name = own[next(differs, 0)]
    return name.removeprefix("track=").removeprefix("PoseEstimation_") or own[0]


def _nodes(group: h5py.Group, peek: Peek) -> dict[str, str]:
    """Return the skeleton's spelling of keypoints, by their spelling in series."""
    skeleton = group.get("skeleton")
    place = skeleton if isinstance(skeleton, h5py.Group) else group
    if "nodes" not in place:
        return {}
    names = read_names(place, "nodes", peek.path)
    return {"".join(filter(str.isalnum, name)): name for name in names} | {
        name: name for name in names
    }


def _prefixes(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return animal and keypoint of names like ``ind1_snout``, if all are like that."""
    split = {name: name.split("_", 1) for name in names if "_" in name}
    if len(split) < len(names) or not names:
        return {}
    groups: dict[str, set[str]] = {}
    for animal, keypoint in split.values():
        groups.setdefault(animal, set()).add(keypoint)
    if len({frozenset(keypoints) for keypoints in groups.values()}) > 1:
        return {}
    if len(names) // len(groups) < 2:
        return {}
    return {name: (animal, keypoint) for name, (animal, keypoint) in split.items()}


def _read_series(group: h5py.Group, animal: str, keypoint: str, peek: Peek) -> _Series:
    data = read_array(group, "data", peek.path, ndim=2)
    if data.shape[1] not in (2, 3):
        raise DataError(f"{peek.path}: {group.name}/data has the shape {data.shape}.")
    confidence = None
    if isinstance(group.get("confidence"), h5py.Dataset):
        confidence = read_array(group, "confidence", peek.path, ndim=1)
    if isinstance(group.get("timestamps"), h5py.Dataset):
        times = read_array(group, "timestamps", peek.path, ndim=1).astype(float)
    elif isinstance(group.get("starting_time"), h5py.Dataset):
        start_s = read_number(group, "starting_time", peek.path)
        rate = float(attribute(group["starting_time"], "rate", peek.path, 0))
        if not rate > 0:
            raise DataError(f"{peek.path}: {group.name} has the rate {rate:g}.")
        times = start_s + np.arange(len(data)) / rate
    else:
        raise DataError(f"{peek.path}: {group.name} has no times.")
    if len(times) != len(data) or (
        confidence is not None and len(confidence) != len(data)
    ):
        raise DataError(
            f"{peek.path}: {group.name} has {len(data)} points and {len(times)} times."
        )
    return _Series(animal, keypoint, data[:, :2], confidence, times)


def _join(
    groups: Sequence[_Group], name: str, pixels_per_cm: float | None, peek: Peek
) -> Poses:
    """Return the keypoints of all animals at the frames of the longest one."""
    series = [each for group in groups for each in group.series]
    animals = tuple(dict.fromkeys(each.animal for each in series))
    keypoints = tuple(dict.fromkeys(each.keypoint for each in series))
    series, notes = _with_increasing_times(series)
    start_s = min(float(each.times_s[0]) for each in series if len(each.times_s))
    step_s = _step(max(series, key=lambda each: len(each.times_s)).times_s)
    frames = [
        np.round((each.times_s - start_s) / step_s).astype(int) for each in series
    ]
    length = max(int(numbers[-1]) + 1 for numbers in frames if len(numbers))
    if length > 2 * max(len(numbers) for numbers in frames):
        raise DataError(
            f"{peek.path}: its timestamps are irregular; expected a constant rate."
        )
    shape = (length, len(animals), len(keypoints))
    xy = np.full((*shape, 2), np.nan, np.float32)
    sure = np.full(shape, np.nan, np.float32)
    for each, numbers in zip(series, frames, strict=True):
        place = animals.index(each.animal), keypoints.index(each.keypoint)
        xy[(numbers, *place)] = each.xy
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
        xy[sure <= 0] = np.nan
    return Poses(
        name=name,
        animals=animals,
        keypoints=keypoints,
        xy_px=xy,
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
    series: Sequence[_Series],
) -> tuple[list[_Series], list[str]]:
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
        step_s = _step(each.times_s[: bad[0] + 1] if bad[0] else each.times_s)
        times_s = each.times_s[0] + step_s * np.arange(len(each.times_s))
        lost = max(lost, int((abs(times_s - each.times_s) > step_s).sum()))
        mended.append(replace(each, times_s=times_s))
    notes = [f"{lost} timestamps do not increase; rows are counted instead"]
    return mended, notes if lost else []


def _step(times_s: np.ndarray) -> float:
    """Return the time between frames, which has to be constant."""
    if len(times_s) < 2:
        return 1.0
    step = float(np.median(np.diff(times_s)))
    if not (np.isfinite(step) and step > 0):
        raise DataError("timestamps do not increase")
    rounded = round(1 / step, 3)
    return 1 / rounded if rounded and abs(rounded * step - 1) < _SAME_RATE else step
