"""BORIS projects (`.boris`, also compressed): one JSON document.

Every observation is a recording, or one for each of its videos. Times are in seconds on
the observation's clock: the time offset that BORIS adds is subtracted, and so is the
creation date of the video where the observation uses it as offset. An observation may
be limited to an interval, outside of which nobody watched. Observations of pictures
have the picture's number, from 1, with each event.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
    Event,
    FileAnnotations,
    WatchedInterval,
    annotations_of,
)
from mabe.io.readers.boris_events import (
    PICTURE,
    POINT,
    TURN,
    Medium,
    Moment,
    annotations_by_video,
    clean_modifiers,
    clean_subject,
    end_of,
    media_stems,
    pair_moments,
    parse_number,
    parse_time,
)
from mabe.io.readers.file_head import Peek, read_json

FACTS = facts.labels(
    "BORIS projects (`.boris`, `.boris.gz`)",
    clock="s from the film's beginning: time offset and media creation date are "
    "subtracted",
    stop="times",
    fps="`media_info`",
    watched="the observation's interval, the whole ethogram; in labels that "
    "`mabe studio` has exported, what it has noted",
    animals="subjects of the project",
    assumed="an open state lasts until the end",
)


_KEYS = (
    "behaviors_conf",
    "subjects_conf",
    "project_format_version",
    "project_name",
)

_CREATION_TIMES = ("media_creation_time", "media creation time")
"""Where versions of BORIS keep when videos were filmed, in seconds since 1970."""

WATCHED = "watched (mabe)"
"""The independent variable in which `mabe` notes what was watched: JSON rows of start
and stop in s, behaviour, subject, and target."""

_NUMERIC = 2
"""BORIS's code of modifiers that are numbers."""


def is_project(peek: Peek) -> bool:
    """Return whether a JSON document is a BORIS project, with keys in any order."""
    return peek.kind == "json" and any(f'"{key}"' in peek.text for key in _KEYS)


def read_project(peek: Peek) -> Content:
    """Return all observations of a project."""
    project = read_json(peek)
    try:
        ethogram = _Ethogram(project)
        annotations = tuple(
            each
            for name, observation in project["observations"].items()
            for each in _read_observation(name, observation, ethogram, str(peek.path))
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{peek.path}: looks like a BORIS project but lacks {error}; open and save "
            "it in BORIS."
        ) from error
    return Content("BORIS project", annotations=annotations)


class _Ethogram:
    """The behaviours and the subjects of a project."""

    def __init__(self, project: Mapping[str, Any]) -> None:
        conf = list(project["behaviors_conf"].values())
        self.behaviours = tuple(str(each["code"]) for each in conf)
        self.points = {
            str(each["code"])
            for each in conf
            if str(each.get("type", "")).lower().startswith("point")
        }
        self.numeric = {
            str(each["code"]): _numeric_places(each.get("modifiers")) for each in conf
        }
        subjects = project.get("subjects_conf", {}).values()
        self.subjects = tuple(str(each["name"]) for each in subjects)


def _numeric_places(modifiers: Any) -> frozenset[int]:
    """Return which of a behaviour's modifiers are numbers."""
    if not isinstance(modifiers, Mapping):
        return frozenset()
    return frozenset(
        int(place)
        for place, each in modifiers.items()
        if isinstance(each, Mapping) and each.get("type") == _NUMERIC
    )


def _read_observation(
    name: str, observation: Mapping[str, Any], ethogram: _Ethogram, path: str
) -> tuple[FileAnnotations, ...]:
    """Return the events of one observation of a project."""
    where = f"{path}: observation {name!r}"
    media = _media(observation)
    of_pictures = observation.get("type") == "IMAGES"
    clock = _Clock(observation, media)
    moments = []
    for event in observation["events"]:
        code = str(event[2])
        time = (
            _picture(event, where)
            if of_pictures
            else clock.since_start(parse_time(str(event[0]), where), where)
        )
        moments.append(
            Moment(
                time,
                POINT if code in ethogram.points else TURN,
                code,
                clean_subject(str(event[1])),
                _modifiers(str(event[3]), ethogram.numeric.get(code, frozenset())),
            )
        )
    end = end_of(media) if media and not of_pictures else None
    events, notes = pair_moments(moments, end_s=end)
    if unknown := sorted({e.behaviour for e in events} - set(ethogram.behaviours)):
        notes.append(f"behaviours its ethogram does not have: {', '.join(unknown)}")
    if of_pictures:
        return (_of_pictures(name, observation, events, ethogram, notes),)
    found = annotations_by_video(
        name,
        events,
        media,
        where=path,
        behaviours=ethogram.behaviours,
        lists_behaviours=True,
        subjects=ethogram.subjects,
        watched=_interval(observation),
        notes=notes,
    )
    noted = _watched_by_mabe(observation, where)
    if noted is None:
        return found
    return (_with_noted(found[0], noted, ethogram),)


def _watched_by_mabe(
    observation: Mapping[str, Any], where: str
) -> list[WatchedInterval] | None:
    """Return what `mabe` has noted of an observation; None where it has not.

    BORIS has no place of its own for it.
    """
    variables = observation.get("independent_variables")
    text = variables.get(WATCHED) if isinstance(variables, Mapping) else None
    if not text:
        return None
    try:
        return [
            WatchedInterval(float(start), float(stop), str(what), str(who), str(whom))
            for start, stop, what, who, whom in json.loads(text)
        ]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{where}: its independent variable {WATCHED!r} is not what mabe has "
            f"written ({error}); delete it, or export the labels again"
        ) from None


def _with_noted(
    annotations: FileAnnotations, noted: Sequence[WatchedInterval], ethogram: _Ethogram
) -> FileAnnotations:
    """Return annotations that count where they have events, and where was watched.

    Of behaviours and subjects that were renamed since, only the events count.
    """
    gone = {each.behaviour for each in noted} - set(ethogram.behaviours)
    gone |= {each.subject for each in noted} - set(ethogram.subjects)
    watched = {
        each
        for each in noted
        if each.behaviour not in gone and each.subject not in gone
    }
    watched |= {
        WatchedInterval(event.start, event.stop, event.behaviour, event.subject, whom)
        for event in annotations.events
        for whom in event.target.split("|")
    }
    annotations = replace(annotations, watched=tuple(sorted(watched)))
    if not gone:
        return annotations
    return annotations.noting(
        f"its names are other ones than mabe has noted ({', '.join(sorted(gone))}), so "
        "what was watched is known of their events alone"
    )


def _modifiers(cell: str, numeric: frozenset[int]) -> tuple[str, ...]:
    """Return the modifiers of an event that are no numbers of an amount."""
    parts = [part for at, part in enumerate(cell.split("|")) if at not in numeric]
    return clean_modifiers(parts)


def _picture(event: Sequence[Any], where: str) -> float:
    """Return the frame of a picture, whose numbers count from 1."""
    number = parse_number(str(event[5])) if len(event) > 5 else None
    if number is None or number < 1 or number % 1:
        raise DataError(
            f"{where}: expected the number of a picture with each event, found "
            f"{list(event)[:7]}; open and save it in BORIS."
        )
    return number - 1


def _of_pictures(
    name: str,
    observation: Mapping[str, Any],
    events: Sequence[Event],
    ethogram: _Ethogram,
    notes: Sequence[str],
) -> FileAnnotations:
    folders = [str(each) for each in observation.get("directories_list") or []]
    return annotations_of(
        name,
        PICTURE,
        events,
        behaviours=ethogram.behaviours,
        lists_behaviours=True,
        subjects=ethogram.subjects,
        media=[folder.replace("\\", "/").rstrip("/") for folder in folders],
        notes=("scored on pictures: number 1 is frame 0", *notes),
    )


def _media(observation: Mapping[str, Any]) -> list[Medium]:
    """Return the videos of the first player."""
    info = observation.get("media_info") or {}
    return [
        Medium(
            next(iter(media_stems([path])), path),
            _positive(info.get("length", {}).get(path)),
            _positive(info.get("fps", {}).get(path)),
        )
        for path in _paths(observation)
    ]


def _paths(observation: Mapping[str, Any]) -> list[str]:
    files = observation.get("file") or {}
    return [str(each) for each in files.get("1", [])] if isinstance(files, dict) else []


def _positive(value: Any) -> float | None:
    """Return a number above zero; None where BORIS has none."""
    return float(value) if value and float(value) > 0 else None


def _interval(observation: Mapping[str, Any]) -> WatchedInterval | None:
    """Return the part of the videos that was observed; None for all of it.

    An end of 0 stands for the end of the last video.
    """
    limits = observation.get("observation time interval") or [0, 0]
    start, stop = (float(limit or 0) for limit in limits[:2])
    if start <= 0 and stop <= 0:
        return None
    return WatchedInterval(max(0.0, start), stop if stop > 0 else math.inf)


class _Clock:
    """What the times of an observation count from."""

    def __init__(self, observation: Mapping[str, Any], media: list[Medium]) -> None:
        self.offset_s = float(observation.get("time offset") or 0)
        self.created: list[tuple[float, Medium]] | None = None
        if observation.get("media_creation_date_as_offset"):
            info = observation.get("media_info") or {}
            times: Mapping[str, Any] = next(
                (info[key] for key in _CREATION_TIMES if key in info), {}
            )
            paths = _paths(observation)
            self.created = [
                (float(times[path]), each)
                for path, each in zip(paths, media, strict=True)
                if path in times
            ]

    def since_start(self, time_s: float, where: str) -> float:
        """Return a time from the beginning of the first video."""
        if self.created is None:
            return time_s - self.offset_s
        before_s = 0.0
        for created_s, medium in self.created:
            since_s = time_s - self.offset_s - created_s
            length_s = medium.length_s if medium.length_s is not None else math.inf
            is_last = medium is self.created[-1][1]
            if before_s <= since_s <= before_s + length_s or (is_last and since_s >= 0):
                return since_s
            before_s += length_s
        raise DataError(
            f"{where}: its times count from when the video was made, which the project "
            f"does not hold (event at {time_s:g}). Open the observation in BORIS and "
            "untick the media creation date as offset."
        )
