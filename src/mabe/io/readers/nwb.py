"""NWB files: tracks of ``ndx-pose``, and bouts of ``ndx-ethogram``.

Every group of the type ``PoseEstimation`` is one animal, in any place of the file; its
``PoseEstimationSeries`` are keypoints with ``data (time, xy)``, ``confidence`` and
either ``timestamps`` or a starting time and rate. Files converted from tables of
several animals have series named ``<animal>_<keypoint>`` in one group, which are
separated. ``EthogramBouts`` have start and stop times and a label, and were made by a
program where their ``labeling_method`` is "automated". All times are on the clock of
the session. NWB is HDF5 and read with h5py; only writing needs pynwb (see
`mabe.io.writers.nwb`).
"""

from typing import Any

import h5py

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    SELF,
    Content,
    Event,
    FileAnnotations,
    annotations_of,
)
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import (
    attribute,
    open_hdf5,
    read_array,
    read_names,
    text,
    texts,
)
from mabe.io.readers.nwb_series import type_of
from mabe.io.readers.nwb_tracks import read_tracks

FACTS = facts.Facts(
    name="NWB with ndx-pose, ndx-ethogram",
    use="tracks, labels",
    clock="the session's: `timestamps`, or `starting_time` and `rate`",
    stop="times",
    fps="steps of the timestamps",
    points="px, y down",
    scale="`scratch/jabs_metadata`",
    missing="NaN",
    watched="all frames, the ethogram",
    animals="subject, or the group's name",
    assumed="steps of exactly 1 s count frames; lost timestamps are replaced by "
    "counting",
    notes="each camera is a recording; corners and objects are left out; bouts with "
    "`labeling_method` *automated* are a program's",
)


def is_nwb(peek: Peek) -> bool:
    """Return whether an HDF5 file is an NWB file."""
    return "nwb_version" in peek.attributes


def read(peek: Peek) -> Content:
    """Return the tracks and the bouts of a file."""
    with open_hdf5(peek.path) as file:
        poses = read_tracks(file, _find(file, "PoseEstimation", peek), peek)
        tables = _find(file, "EthogramBouts", peek)
        annotations = tuple(_read_bouts(table, peek) for table in tables)
    if not poses and not annotations:
        raise DataError(
            f"{peek.path}: an NWB file without PoseEstimation (ndx-pose) and without "
            "EthogramBouts (ndx-ethogram); nothing to read."
        )
    return Content("NWB", poses=tuple(poses), annotations=annotations)


def _find(file: h5py.File, kind: str, peek: Peek) -> list[h5py.Group]:
    """Return the groups of a type, in the order of their names."""
    found: list[h5py.Group] = []

    def look(_: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and type_of(item, peek) == kind:
            found.append(item)

    file.visititems(look)
    return sorted(found, key=lambda group: str(group.name))


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
    method = text(attribute(table, "labeling_method", peek.path, ""))
    return annotations_of(
        peek.stem,
        "s",
        events,
        behaviours=behaviours,
        lists_behaviours=bool(behaviours),
        by="program" if method == "automated" else "person",
        clock="session",
    )
