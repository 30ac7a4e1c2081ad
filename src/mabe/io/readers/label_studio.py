"""Annotations of Label Studio: ranges of a video's timeline, one JSON list of tasks.

A value with ``timelinelabels`` has ranges of frames that count from 1, both ends
included, at the rate that the labelling project is set to, which the export lacks. The
video is named behind the mark of its upload (``ab12cd-trial.mp4``). In JSON the values
are those of results of annotations, of which there is one for each person; in JSON-MIN
they are in the task, and each person has a task. There is no subject; all of the video
was watched, for the labels that occur.

Source: Label Studio's documentation of ``TimelineLabels`` and ``Video`` (frame rate).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content, Event, annotations_of
from mabe.io.readers.boris_events import media_stems
from mabe.io.readers.file_head import Peek, read_json
from mabe.io.readers.left_out import LeftOut
from mabe.recording import MAX_FRAMES

FACTS = facts.labels(
    "Label Studio JSON, ranges of a timeline",
    clock="frames from 1",
    stop="included",
    watched="all frames, labels that occur",
    animals="none",
    assumed="its project counts frames at the film's rate",
)


_TIMELINE = "timelinelabels"

_SEVERAL = (
    "Label Studio's annotations of one video by several people; export those of one "
    "person."
)

_RATE = (
    "Label Studio counts frames at the rate that its project is set to (24 per second "
    "by default): check that it is the film's"
)

_VIDEO = re.compile(r"\.(avi|m4v|mkv|mov|mp4|mpe?g|ogv|webm|wmv)$", re.IGNORECASE)

_UPLOAD = re.compile(r"^[0-9a-f]{2,12}-")


def is_label_studio(peek: Peek) -> bool:
    """Return whether a JSON document has ranges of timelines."""
    return peek.kind == "json" and f'"{_TIMELINE}"' in peek.text


def read_label_studio(peek: Peek) -> Content:
    """Return the ranges of each task."""
    found: list[tuple[str, list[Event]]] = []
    tasks = read_json(peek)
    try:
        for task in tasks:
            for results in _of_one_person(task, peek):
                name = _video(task.get("data", task), peek)
                if "annotations" not in task and name in dict(found):
                    raise LeftOut(peek.path, _SEVERAL)
                found.append((name, list(_events(results, str(peek.path)))))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{peek.path}: looks like Label Studio's annotations but lacks {error}; "
            "export JSON from Label Studio."
        ) from error
    annotations = tuple(
        annotations_of(name, "frame", events, media=[name], notes=[_RATE])
        for name, events in found
    )
    return Content("Label Studio annotations", annotations=annotations)


def _video(data: Mapping[str, Any], peek: Peek) -> str:
    """Return the name of a task's video."""
    places = [str(each).split("?")[0] for each in data.values() if _is_text(each)]
    videos = [place for place in places if _VIDEO.search(place)]
    stems = media_stems(videos or [place for place in places if "." in place])
    name = stems[0].rsplit("/", 1)[-1] if stems else peek.stem
    return _UPLOAD.sub("", name)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _of_one_person(task: Mapping[str, Any], peek: Peek) -> list[list[Any]]:
    """Return the values that one person marked in a task; of JSON-MIN, one a task."""
    if "annotations" not in task:
        lists = [each for each in task.values() if isinstance(each, list)]
        return [[value for values in lists for value in values]]
    marked = [each for each in task["annotations"] if not each.get("was_cancelled")]
    if len(marked) > 1:
        raise LeftOut(peek.path, _SEVERAL)
    return [[result.get("value") for result in each["result"]] for each in marked]


def _events(values: Sequence[Any], where: str) -> Iterator[Event]:
    """Yield the ranges among what one person marked."""
    for value in values:
        if not isinstance(value, dict) or _TIMELINE not in value:
            continue
        for span in value["ranges"]:
            start, last = int(span["start"]), int(span["end"])
            if not 1 <= start <= last <= MAX_FRAMES:
                raise DataError(
                    f"{where}: expected frames from 1 in order, found {start} to "
                    f"{last}."
                )
            for behaviour in value[_TIMELINE]:
                yield Event(start - 1, last, str(behaviour))
