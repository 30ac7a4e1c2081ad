"""NWB files: tracks of ``ndx-pose``, and bouts of ``ndx-ethogram``.

Every group of the type ``PoseEstimation`` is one animal, in any place of the file; its
``PoseEstimationSeries`` are keypoints with ``data (time, xy)``, ``confidence`` and
either ``timestamps`` or a starting time and rate. Files converted from tables of
several animals have series named ``<animal>_<keypoint>`` in one group, which are
separated. ``EthogramBouts`` have start and stop times and a label. NWB is HDF5 and read
with h5py; only writing needs pynwb (see `mabe.io.writers.nwb`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers.annotations import (
    SELF,
    Content,
    Event,
    FileAnnotations,
    annotations_of,
)
from mabe.io.readers.deeplabcut import ONE_ANIMAL
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import (
    attribute,
    open_hdf5,
    read_array,
    read_names,
    read_number,
    read_text,
    text,
    texts,
)
from mabe.io.readers.poses import USUAL_CONFIDENCE, Poses

_SERIES = "PoseEstimationSeries"


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


def is_nwb(peek: Peek) -> bool:
    """Return whether an HDF5 file is an NWB file."""
    return "nwb_version" in peek.attributes


def read(peek: Peek) -> Content:
    """Return the tracks and the bouts of a file."""
    with open_hdf5(peek.path) as file:
        groups = _find(file, "PoseEstimation", peek)
        series = [
            each for group in groups for each in _read_animal(group, groups, peek)
        ]
        software = {
            read_text(group, "source_software", peek.path) for group in groups
        } - {""}
        tables = _find(file, "EthogramBouts", peek)
        annotations = tuple(_read_bouts(table, peek) for table in tables)
    if not series and not annotations:
        raise DataError(
            f"{peek.path}: an NWB file without PoseEstimation (ndx-pose) and without "
            "EthogramBouts (ndx-ethogram); nothing to read."
        )
    poses = (_join(series, "/".join(sorted(software)), peek),) if series else ()
    return Content("NWB", poses=poses, annotations=annotations)


def _find(file: h5py.File, kind: str, peek: Peek) -> list[h5py.Group]:
    """Return the groups of a type, in the order of their names."""
    found: list[h5py.Group] = []

    def look(_: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and _type_of(item, peek) == kind:
            found.append(item)

    file.visititems(look)
    return sorted(found, key=lambda group: str(group.name))


def _type_of(group: h5py.Group, peek: Peek) -> str:
    return text(attribute(group, "neurodata_type", peek.path, ""))


def _read_animal(
    group: h5py.Group, groups: Sequence[h5py.Group], peek: Peek
) -> list[_Series]:
    """Return the keypoints of one `PoseEstimation`."""
    members = {
        str(name): item
        for name, item in group.items()
        if isinstance(item, h5py.Group) and _type_of(item, peek) == _SERIES
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


def _join(series: Sequence[_Series], software: str, peek: Peek) -> Poses:
    """Return the keypoints of all animals at the frames of the longest one."""
    animals = tuple(dict.fromkeys(each.animal for each in series))
    keypoints = tuple(dict.fromkeys(each.keypoint for each in series))
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
    notes = ["timestamps count frames, not seconds"] if is_counted else []
    is_likelihood = "deeplabcut" in software.lower()
    return Poses(
        name=peek.stem,
        animals=animals,
        keypoints=keypoints,
        xy_px=xy,
        confidence=sure if any(s.confidence is not None for s in series) else None,
        usual_confidence=USUAL_CONFIDENCE if is_likelihood else 0.0,
        fps=None if is_counted else 1 / step_s,
        tracker=software or "ndx-pose",
        notes=tuple(notes),
    )


def _step(times_s: np.ndarray) -> float:
    """Return the time between frames, which has to be constant."""
    if len(times_s) < 2:
        return 1.0
    step = float(np.median(np.diff(times_s)))
    if not (np.isfinite(step) and step > 0):
        raise DataError("timestamps do not increase")
    rounded = round(1 / step, 3)
    return 1 / rounded if rounded and abs(rounded * step - 1) < _SAME_RATE else step


def _read_bouts(table: h5py.Group, peek: Peek) -> FileAnnotations:
    """Return the bouts of a table."""
    labels = texts(read_array(table, "label", peek.path, ndim=1))
    starts = read_array(table, "start_time", peek.path, ndim=1)
    stops = read_array(table, "stop_time", peek.path, ndim=1)
    extra = {
        name: texts(read_array(table, name, peek.path))
        if name in table
        else ("",) * len(labels)
        for name in ("subject", "target")
    }
    events = [
        Event(
            float(start),
            float(stop),
            label,
            subject,
            SELF if subject and target == subject else target,
        )
        for start, stop, label, subject, target in zip(
            starts, stops, labels, extra["subject"], extra["target"], strict=True
        )
    ]
    ethogram = table.get("ethogram")
    behaviours: tuple[str, ...] = ()
    if isinstance(ethogram, h5py.Group) and "behavior" in ethogram:
        behaviours = read_names(ethogram, "behavior", peek.path)
    return annotations_of(peek.stem, "s", events, behaviours=behaviours)
