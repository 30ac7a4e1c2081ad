"""CalMS21 and MABe22: many short recordings in one dictionary, as JSON or npy.

CalMS21: ``{group: {sequence: {"keypoints", "scores", "annotations", "metadata"}}}``,
with keypoints ``(time, 2 mice, 2 xy, 7)``, scores ``(time, 2, 7)``, and a class for
each frame, whose names are in ``metadata["vocab"]``. Mouse 0 is the resident, which is
the agent; the intruder is the target. MABe22: ``{"sequences": {name: {"keypoints":
(time, 3 mice, 12, 2), "annotations"}}, "vocabulary": [...]}``. The npy files are
pickles of these; `mabe.io.readers.safe_pickle` reads them without running them. Both
data sets have 30 frames per second. MARS itself writes the poses of one video without
the dictionaries around them, ``{"keypoints", "scores", "bbox"}``, and no frame rate.
"""

import re
import reprlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from mabe.bouts import label_runs
from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    SELF,
    Content,
    Event,
    FileAnnotations,
    annotations_of,
    events_of_columns,
    join_annotations,
)
from mabe.io.readers.deeplabcut_hdf5 import MABE22_FPS
from mabe.io.readers.file_head import Peek, read_json
from mabe.io.readers.hdf5 import MAX_VALUES
from mabe.io.readers.npy import read_object
from mabe.io.readers.poses import Poses
from mabe.runtime.documents import parse_json

CALMS21 = facts.Facts(
    name="CalMS21 JSON, npy; MARS JSON",
    use="tracks, labels",
    clock="row 0 is frame 0",
    stop="a class for each frame",
    fps="30, or `fps` in the metadata; MARS: not in the file",
    points="px, y down",
    scale="`pixels_per_cm` in the metadata",
    missing="NaN",
    watched="all frames, the vocabulary without *other*",
    animals="resident (acts), intruder",
    notes="each sequence is a recording; npy is interpreted, not run",
)

MABE22 = facts.Facts(
    name="MABe22 HDF5, npy",
    use="tracks, labels",
    clock="row 0 is frame 0",
    stop="a value for each frame",
    fps="30, fixed",
    points="px, y down",
    scale="not in the file",
    missing="(0, 0)",
    watched="all frames",
    animals="`mouse1` … `mouse3`",
)


FPS = 30.0


_SEQUENCE = re.compile(
    r'"(?:keypoints|scores)"\s*:\s*\[\s*(?:\[\s*\[|\])'
    r'|"annotations"\s*:\s*\[\s*(?:-?[\d.]+\s*[,\]]|\[)'
)
"""Nested arrays of points, or a class for each frame; other programs use these names
for flat lists or for objects."""


RESIDENT, INTRUDER = "resident", "intruder"


CALMS21_KEYPOINTS = (
    "nose",
    "left_ear",
    "right_ear",
    "neck",
    "left_hip",
    "right_hip",
    "tail_base",
)


CALMS21_VOCABULARY = {"attack": 0, "investigation": 1, "mount": 2, "other": 3}


CALMS21_NOTHING = "other"


MABE22_KEYPOINTS = (
    "nose",
    "left_ear",
    "right_ear",
    "neck",
    "left_forepaw",
    "right_forepaw",
    "center_back",
    "left_hindpaw",
    "right_hindpaw",
    "tail_base",
    "tail_middle",
    "tail_tip",
)


def is_sequences(peek: Peek) -> bool:
    """Return whether a file is one of these dictionaries."""
    if peek.kind == "npy":
        return b"keypoints" in peek.head
    return (
        peek.kind == "json"
        and peek.text.lstrip().startswith("{")
        and (_SEQUENCE.search(peek.text) is not None)
    )


def read(peek: Peek) -> Content:
    """Return all recordings of a file, with their labels where they have any."""
    data = read_object(peek) if peek.kind == "npy" else read_json(peek)
    if not isinstance(data, dict):
        raise DataError(
            f"{peek.path}: expected a dictionary of sequences, found "
            f"{type(data).__name__}."
        )
    if isinstance(data.get("sequences"), dict):
        vocabulary = _vocabulary(data.get("vocabulary"))
        found: list[tuple[Poses | None, FileAnnotations | None]] = [
            (
                _mabe22_poses(name, entry, peek),
                _mabe22_annotations(name, entry, vocabulary),
            )
            for name, entry in data["sequences"].items()
        ]
        name = "MABe22"
    elif isinstance(data.get("keypoints"), list):
        stem = re.sub(r"_?(top_)?pose_?(top)?(_v\d+_\d+)?$", "", peek.stem)
        poses = _calms21_poses(stem or peek.stem, data, peek)
        found = [(replace(poses, fps=None), None)]
        name = "MARS"
    else:
        found = [
            (
                _calms21_poses(name, entry, peek) if "keypoints" in entry else None,
                _calms21_annotations(name, entry, peek),
            )
            for name, entry in _calms21_entries(data)
        ]
        name = "CalMS21"
    if not found:
        raise DataError(
            f"{peek.path}: holds no sequence with keypoints or annotations."
        )
    return Content(
        f"{name} {'npy' if peek.kind == 'npy' else 'JSON'}",
        tuple(poses for poses, _ in found if poses is not None),
        (
            *(
                annotations
                for poses, annotations in found
                if annotations is not None and poses is not None
            ),
            *_join_pairs([m for poses, m in found if m is not None and poses is None]),
        ),
    )


def _join_pairs(annotations: list[FileAnnotations]) -> tuple[FileAnnotations, ...]:
    """Join the exported sequences of one video, which differ in agent and target."""
    by_name: dict[str, FileAnnotations] = {}
    for each in annotations:
        first = by_name.get(each.name)
        by_name[each.name] = each if first is None else join_annotations(first, each)
    return tuple(by_name.values())


def _calms21_entries(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the sequences of all groups (annotators), or those without a group."""
    for name, entry in data.items():
        if not isinstance(entry, dict):
            continue
        if "keypoints" in entry or "annotations" in entry:
            yield str(name), entry
        else:
            yield from (
                (str(inner), each)
                for inner, each in entry.items()
                if isinstance(each, dict) and each.keys() & {"keypoints", "annotations"}
            )


def _short(name: str) -> str:
    """Return a sequence's own name: CalMS21's are paths."""
    return name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _array(values: Any, name: str, peek: Peek, ndim: int) -> np.ndarray:
    try:
        with np.errstate(
            over="ignore"
        ):  # values that are too large become infinite, hence missing
            array = np.asarray(values, np.float32)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{peek.path}: {name} is not a regular array of numbers."
        ) from error
    if array.ndim != ndim or array.size > MAX_VALUES:
        raise DataError(
            f"{peek.path}: {name} should have {ndim} axes, found the shape "
            f"{array.shape}."
        )
    return array


def _calms21_poses(name: str, entry: dict[str, Any], peek: Peek) -> Poses:
    keypoints = _array(entry["keypoints"], f"keypoints of {name}", peek, 4)
    if keypoints.shape[1:] != (2, 2, 7):
        raise DataError(
            f"{peek.path}: keypoints of {name} should be (time, 2 mice, 2 xy, 7), "
            f"found {keypoints.shape}."
        )
    confidence = None
    if "scores" in entry:
        confidence = _array(entry["scores"], f"scores of {name}", peek, 3)
        if confidence.shape != (len(keypoints), 2, 7):
            confidence = None
    return Poses(
        name=_short(name),
        animals=(RESIDENT, INTRUDER),
        keypoints=CALMS21_KEYPOINTS,
        xy_px=np.ascontiguousarray(keypoints.swapaxes(2, 3)),
        confidence=confidence,
        fps=_number(entry, "fps") or FPS,
        pixels_per_cm=_number(entry, "pixels_per_cm"),
        tracker="MARS",
    )


def _number(entry: dict[str, Any], key: str) -> float | None:
    metadata = entry.get("metadata")
    value = metadata.get(key) if isinstance(metadata, dict) else None
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _calms21_annotations(
    name: str, entry: dict[str, Any], peek: Peek
) -> FileAnnotations | None:
    if "annotations" not in entry:
        return None
    metadata = entry.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    vocabulary = metadata.get("vocab", CALMS21_VOCABULARY)
    if isinstance(vocabulary, str):
        vocabulary = parse_json(vocabulary)
    names = {int(code): str(action) for action, code in vocabulary.items()}
    codes = _array(entry["annotations"], f"annotations of {name}", peek, 1).astype(int)
    if lost := sorted(set(np.unique(codes).tolist()) - names.keys()):
        raise DataError(
            f"{peek.path}: annotations of {name} have the classes {lost}, which its "
            f"vocabulary {reprlib.repr(vocabulary)} does not name."
        )
    agent = str(metadata.get("agent", RESIDENT))
    target = str(metadata.get("target", INTRUDER))
    if agent and agent == target:
        target = SELF
    events = [
        Event(int(start), int(stop), names[int(code)], agent, target)
        for start, stop, code in label_runs(codes)
        if names[int(code)] != CALMS21_NOTHING
    ]
    return annotations_of(
        str(metadata.get("video") or _short(name)),
        "frame",
        events,
        behaviours=[each for each in names.values() if each != CALMS21_NOTHING],
        subjects=[agent] if agent else [],
        fps=_number(entry, "fps") or FPS,
        length=len(codes),
        by="program"
        if str(metadata.get("annotator", "")).startswith("mabe ")
        else "person",
    )


def _mabe22_poses(name: str, entry: dict[str, Any], peek: Peek) -> Poses:
    keypoints = _array(entry["keypoints"], f"keypoints of {name}", peek, 4)
    if keypoints.shape[2:] != (12, 2):
        raise DataError(
            f"{peek.path}: keypoints of {name} should be (time, mice, 12, 2), found "
            f"{keypoints.shape}; only the mice of MABe22 are read."
        )
    return Poses(
        name=_short(str(name)),
        animals=tuple(f"mouse{at + 1}" for at in range(keypoints.shape[1])),
        keypoints=MABE22_KEYPOINTS,
        xy_px=keypoints,
        fps=MABE22_FPS,
        tracker="MABe22",
    )


def _vocabulary(names: Any) -> list[str]:
    return [str(name) for name in names] if isinstance(names, list | tuple) else []


def _mabe22_annotations(
    name: str, entry: dict[str, Any], vocabulary: list[str]
) -> FileAnnotations | None:
    """Return the labels of frames; MABe22 also has labels of whole sequences."""
    annotations = np.asarray(entry.get("annotations", []))
    length = len(entry["keypoints"])
    if annotations.shape != (len(vocabulary), length) or not vocabulary:
        return None
    columns = {
        action: annotations[at] == 1
        for at, action in enumerate(vocabulary)
        if np.isin(annotations[at], (0, 1)).all()
    }
    if not columns:
        return None
    return annotations_of(
        _short(str(name)),
        "frame",
        events_of_columns(columns),
        behaviours=columns,
        fps=MABE22_FPS,
        length=length,
    )
