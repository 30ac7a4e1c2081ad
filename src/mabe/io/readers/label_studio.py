"""Annotations of Label Studio: ranges of a video's timeline, one JSON list of tasks.

A result of the type ``timelinelabels`` has ranges of frames that count from 1, both
ends included. The video is named behind the mark of its upload (``ab12cd-trial.mp4``).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mabe.errors import DataError
from mabe.io.readers.annotations import Content, Event, annotations_of
from mabe.io.readers.boris_events import media_stems
from mabe.io.readers.file_head import Peek, read_text
from mabe.io.readers.left_out import LeftOut
from mabe.recording import MAX_FRAMES
from mabe.runtime.documents import parse_json

_TIMELINE = "timelinelabels"

_SEVERAL = (
    "Label Studio's annotations of one video by several people; export those of one "
    "person."
)

_UPLOAD = re.compile(r"^[0-9a-f]{2,12}-")


def is_label_studio(peek: Peek) -> bool:
    """Return whether a JSON document has ranges of timelines."""
    return peek.kind == "json" and f'"{_TIMELINE}"' in peek.text


def read_label_studio(peek: Peek) -> Content:
    """Return the ranges of each task."""
    try:
        tasks = parse_json(read_text(peek))
        annotations = tuple(
            annotations_of(
                name, "frame", list(_events(marked, str(peek.path))), media=[name]
            )
            for task in tasks
            for name in (_video(task, peek),)
            for marked in _of_one_person(task, peek)
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{peek.path}: looks like Label Studio's annotations but lacks {error}; "
            "export JSON from Label Studio."
        ) from error
    return Content("Label Studio annotations", annotations=annotations)


def _video(task: Mapping[str, Any], peek: Peek) -> str:
    """Return the name of a task's video."""
    places = [str(each) for each in task["data"].values() if isinstance(each, str)]
    stems = media_stems(place.split("?")[0] for place in places if "." in place)
    name = stems[0].rsplit("/", 1)[-1] if stems else peek.stem
    return _UPLOAD.sub("", name)


def _of_one_person(task: Mapping[str, Any], peek: Peek) -> list[Any]:
    """Return a task's annotations that were not cancelled, of which one is expected."""
    marked = [each for each in task["annotations"] if not each.get("was_cancelled")]
    if len(marked) > 1:
        raise LeftOut(peek.path, _SEVERAL)
    return marked


def _events(marked: Mapping[str, Any], where: str) -> Iterator[Event]:
    """Yield the ranges that one person marked."""
    for result in marked["result"]:
        if result.get("type") != _TIMELINE:
            continue
        value = result["value"]
        for span in value["ranges"]:
            start, last = int(span["start"]), int(span["end"])
            if not 1 <= start <= last <= MAX_FRAMES:
                raise DataError(
                    f"{where}: expected frames from 1 in order, found {start} to "
                    f"{last}."
                )
            for behaviour in value[_TIMELINE]:
                yield Event(start - 1, last, str(behaviour))
