"""`PoseEstimation` groups of NWB files and their series, read one by one.

A series is one keypoint: ``data (time, xy or xyz)``, ``confidence``, and
``timestamps`` or a starting time and rate. Which camera a group belongs to is given by
its devices (links) and its original videos. `mabe.io.readers.nwb_tracks` joins the
groups.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

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

_SERIES = "PoseEstimationSeries"


_DEVICES = ("Device", "CameraDevice")


SAME_RATE = 0.02
"""Largest relative difference between steps of time."""


@dataclass(frozen=True, slots=True)
class Series:
    """One keypoint of one animal."""

    animal: str
    keypoint: str
    points: np.ndarray
    """``[time, xy]``, or with z."""
    confidence: np.ndarray | None
    times_s: np.ndarray


@dataclass(frozen=True, slots=True)
class PoseGroup:
    """What one camera saw of one animal."""

    name: str
    series: tuple[Series, ...]
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
        return step_between(
            max(self.series, key=lambda each: len(each.times_s)).times_s
        )


def type_of(group: h5py.Group, peek: Peek) -> str:
    """Return the type of a group, as NWB names it."""
    return text(attribute(group, "neurodata_type", peek.path, ""))


def read_group(
    group: h5py.Group, groups: Sequence[h5py.Group], peek: Peek
) -> PoseGroup:
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
    return PoseGroup(
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


def _read_animal(
    group: h5py.Group, groups: Sequence[h5py.Group], peek: Peek
) -> list[Series]:
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


def _read_series(group: h5py.Group, animal: str, keypoint: str, peek: Peek) -> Series:
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
    return Series(animal, keypoint, data, confidence, times)


def step_between(times_s: np.ndarray) -> float:
    """Return the time between frames, which has to be constant."""
    if len(times_s) < 2:
        return 1.0
    step = float(np.median(np.diff(times_s)))
    if not (np.isfinite(step) and step > 0):
        raise DataError("timestamps do not increase")
    rounded = round(1 / step, 3)
    return 1 / rounded if rounded and abs(rounded * step - 1) < SAME_RATE else step
