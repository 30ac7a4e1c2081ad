"""JABS's annotations: ``jabs/annotations/VIDEO.json`` of a JABS project.

``labels`` holds, for each identity (from 0) and behaviour, blocks of frames of which
both ends are included, and whether the behaviour was present or not present. Frames in
no block were not labelled, so nothing is known of them.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
    Event,
    WatchedInterval,
    annotations_of,
)
from mabe.io.readers.file_head import Peek, read_json
from mabe.io.readers.jabs import FPS
from mabe.recording import MAX_FRAMES
from mabe.runtime.console import count

FACTS = facts.labels(
    "JABS annotations",
    clock="frames from 0",
    stop="included",
    fps="30, fixed",
    watched="blocks marked present or not present, no other frames",
    animals="identities, as in the pose file",
    notes="`jabs/annotations/*.json`",
)


def is_jabs_annotations(peek: Peek) -> bool:
    """Return whether a JSON document holds JABS's labels of a video."""
    if peek.kind != "json" or '"num_frames"' not in peek.text:
        return False
    return re.search(r'"(unfragmented_)?labels"\s*:\s*\{', peek.text) is not None


def read_jabs_annotations(peek: Peek) -> Content:
    """Return what was present, and when it was labelled at all."""
    data = read_json(peek)
    blocks = list(_blocks(data, str(peek.path)))
    name = PurePosixPath(str(data.get("file") or peek.stem).replace("\\", "/")).stem
    notes = []
    if intervals := data.get("annotations"):
        tagged = count(len(intervals), "tagged interval")
        notes.append(f"{tagged} of the timeline not read")
    annotations = annotations_of(
        name,
        "frame",
        [
            Event(each.start, each.stop, each.behaviour, each.subject)
            for each, is_present in blocks
            if is_present
        ],
        behaviours=dict.fromkeys(each.behaviour for each, _ in blocks),
        subjects=dict.fromkeys(each.subject for each, _ in blocks),
        fps=FPS,
        length=data.get("num_frames"),
        media=[name],
        watched=[each for each, _ in blocks],
        notes=notes,
    )
    return Content("JABS annotations", annotations=(annotations,))


def _blocks(
    data: Mapping[str, Any], where: str
) -> Iterator[tuple[WatchedInterval, bool]]:
    """Yield each labelled block, and whether the behaviour was present."""
    labels = data.get("labels") or data.get("unfragmented_labels") or {}
    try:
        for identity, behaviours in labels.items():
            subject = f"mouse{int(identity) + 1}"
            for behaviour, blocks in behaviours.items():
                for block in blocks:
                    start, last = int(block["start"]), int(block["end"])
                    if not 0 <= start <= last <= MAX_FRAMES:
                        raise DataError(
                            f"{where}: {behaviour} of identity {identity}: expected "
                            f"frames in order, found {start} to {last}."
                        )
                    interval = WatchedInterval(start, last + 1, behaviour, subject)
                    yield interval, bool(block["present"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{where}: looks like JABS's annotations but lacks {error}; open and save "
            "the project in JABS."
        ) from error
