"""Annotations as label files give them, and the content of one file.

An `Event` is one interval of one behaviour, ``[start, stop)``, in the seconds or frames
of its file. Names of subjects and behaviours are the lab's own. Seconds become frames
in one place, `to_frames`, at the frame rate of the recording.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool

from mabe.bouts import find_spans
from mabe.errors import DataError
from mabe.io.readers.poses import Poses
from mabe.recording import MAX_FRAMES
from mabe.runtime.console import count

Unit = Literal["s", "frame"]

Annotator = Literal["person", "program"]

Clock = Literal["recording", "session"]
"""Whether times count from the recording's first frame, or on the clock of a session,
on which the recording begins at `Poses.start_s`."""

SELF = "self"
"""The target of an event that an animal directs at itself, where a file gives it."""


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One annotated interval; a point event has ``stop == start``."""

    start: float
    stop: float
    behaviour: str
    subject: str = ""
    """The animal that acts; empty where the file gives none."""
    target: str = ""
    """The animal acted upon, where the file gives it."""


@dataclass(frozen=True, slots=True, order=True)
class WatchedInterval:
    """An interval ``[start, stop)`` in which an annotator watched."""

    start: float
    stop: float
    behaviour: str = ""
    """What was watched for; empty: all behaviours of the file."""
    subject: str = ""
    """Which animal was watched; empty: all subjects of the file."""
    target: str = ""
    """At whom, or ``self``; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnnotations:
    """The annotations of one recording in one file."""

    name: str
    """The recording's name in the file."""
    unit: Unit
    events: tuple[Event, ...]
    behaviours: tuple[str, ...]
    """The ethogram: all behaviours watched, including those that did not occur, where
    the file lists them."""
    lists_behaviours: bool = False
    """True where the file lists all that was watched, as a table with a column for
    each behaviour does; False where it has only what occurred."""
    subjects: tuple[str, ...] = ()
    fps: float | None = None
    length: float | None = None
    """Duration of what was annotated, in `unit`; None where the file gives none."""
    media: tuple[str, ...] = ()
    """The videos that were annotated: names or paths, as the file gives them."""
    watched: tuple[WatchedInterval, ...] | None = None
    """When the annotator watched, in `unit`; None: the whole recording. Outside of it
    nothing is known."""
    by: Annotator = "person"
    """Predictions of a program are never imported as what a person annotated."""
    clock: Clock = "recording"
    is_counting_assumed: bool = False
    """True where the format does not define from which number frames count and whether
    a stop is the last frame of a bout or the one after it: 0 and after are assumed."""
    counted_from: int | None = None
    """The number of the first row, in tables with a row for every frame."""
    notes: tuple[str, ...] = field(default=())

    def noting(self, *notes: str) -> "FileAnnotations":
        """Return the same annotations with more notes."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True, slots=True)
class Content:
    """The content of one file: tracks, annotations or both, of its recordings."""

    format: str
    """The format's name, for people."""
    poses: tuple[Poses, ...] = ()
    annotations: tuple[FileAnnotations, ...] = ()


def annotations_of(
    name: str,
    unit: Unit,
    events: Iterable[Event],
    *,
    behaviours: Iterable[str] = (),
    lists_behaviours: bool = False,
    subjects: Iterable[str] = (),
    fps: float | None = None,
    length: float | None = None,
    media: Sequence[str] = (),
    watched: Iterable[WatchedInterval] | None = None,
    by: Annotator = "person",
    clock: Clock = "recording",
    is_counting_assumed: bool = False,
    counted_from: int | None = None,
    notes: Sequence[str] = (),
) -> FileAnnotations:
    """Return sorted annotations, with every name that occurs in the lists of names."""
    events = tuple(sorted(events))
    occurring = {event.behaviour for event in events}
    acting = {event.subject for event in events if event.subject}
    return FileAnnotations(
        name=name,
        unit=unit,
        events=events,
        behaviours=tuple(dict.fromkeys((*behaviours, *sorted(occurring)))),
        lists_behaviours=lists_behaviours,
        subjects=tuple(dict.fromkeys((*subjects, *sorted(acting)))),
        fps=fps,
        length=length,
        media=tuple(media),
        watched=None if watched is None else tuple(sorted(watched)),
        by=by,
        clock=clock,
        is_counting_assumed=is_counting_assumed,
        counted_from=counted_from,
        notes=tuple(notes),
    )


def join_annotations(
    first: FileAnnotations, second: FileAnnotations
) -> FileAnnotations:
    """Return the annotations of one recording in two files, or two parts of one."""
    return annotations_of(
        first.name,
        first.unit,
        {*first.events, *second.events},
        behaviours=(*first.behaviours, *second.behaviours),
        lists_behaviours=first.lists_behaviours and second.lists_behaviours,
        subjects=(*first.subjects, *second.subjects),
        fps=first.fps or second.fps,
        length=first.length if second.length is None else second.length,
        media=(*first.media, *second.media),
        watched=_join_watched(first, second),
        by=first.by,
        clock=first.clock,
        notes=(*first.notes, *second.notes),
    )


def _join_watched(
    first: FileAnnotations, second: FileAnnotations
) -> tuple[WatchedInterval, ...] | None:
    """Return when either annotator watched; None where both watched all the time."""
    if first.watched is None and second.watched is None:
        return None
    return (*_intervals(first), *_intervals(second))


def _intervals(annotations: FileAnnotations) -> Iterable[WatchedInterval]:
    """Return when an annotator watched, with the behaviours of the file by name."""
    watched = annotations.watched
    for each in watched if watched is not None else (WatchedInterval(0, math.inf),):
        names = (each.behaviour,) if each.behaviour else annotations.behaviours
        yield from (replace(each, behaviour=name) for name in names)


def events_of_columns(
    columns: dict[str, Bool[np.ndarray, " row"]],
    *,
    start: float = 0,
    step: float = 1,
    subject: str = "",
) -> list[Event]:
    """Return the events of columns that are true in the frames of a behaviour."""
    return [
        Event(start + step * first, start + step * stop, behaviour, subject)
        for behaviour, active in columns.items()
        for first, stop in find_spans(active).tolist()
    ]


def to_frames(annotations: FileAnnotations, fps: float) -> FileAnnotations:
    """Return the same annotations in frames of a recording at the given rate.

    Times are rounded to the nearest frame; every event lasts at least one frame.
    """
    if annotations.unit == "frame":
        return annotations
    events = []
    for event in annotations.events:
        start, stop = (round(time_s * fps) for time_s in (event.start, event.stop))
        if not 0 <= start <= stop < MAX_FRAMES:
            raise DataError(
                f"{annotations.name}: {event.behaviour} from {event.start:g} to "
                f"{event.stop:g} s is outside any recording; are the times in seconds?"
            )
        events.append(replace(event, start=start, stop=max(stop, start + 1)))
    length = None if annotations.length is None else round(annotations.length * fps)
    return replace(
        annotations,
        unit="frame",
        events=tuple(events),
        length=length,
        fps=fps,
        watched=_watched_frames(annotations, fps),
    )


def _watched_frames(
    annotations: FileAnnotations, fps: float
) -> tuple[WatchedInterval, ...] | None:
    """Return when was watched, in whole frames; the end may be infinite."""
    if annotations.watched is None:
        return None
    return tuple(
        replace(
            each,
            start=round(max(0.0, each.start) * fps),
            stop=each.stop if math.isinf(each.stop) else round(each.stop * fps),
        )
        for each in annotations.watched
    )


def length_tolerance(frames: int) -> int:
    """Return how many frames two files of one recording may differ in length.

    Cameras, converters and trackers lose or add a few; 29.97 instead of 30 fps makes a
    difference of one frame in a thousand.
    """
    return max(5, math.ceil(0.002 * frames))


def compare_lengths(
    annotations: FileAnnotations, tracked: int, allowed: int | None = None
) -> tuple[str, ...]:
    """Return a note where lengths differ by a little.

    `tracked` is the length of the tracks in frames, `allowed` the project's limit.
    Raises `DataError` where the difference is larger.
    """
    last = max((event.stop for event in annotations.events), default=0)
    ends = [last] if last > tracked else []
    annotated = (
        annotations.length
        if annotations.length is not None
        else max(ends, default=tracked)
    )
    difference = max([abs(annotated - tracked), *(end - tracked for end in ends)])
    limit = length_tolerance(tracked) if allowed is None else allowed
    if difference > limit:
        raise DataError(
            f"{annotations.name}: labels of {annotated:,.0f} frames (the last ends at "
            f"{last:,.0f}) do not fit tracks of {tracked:,}; at most "
            f"{count(limit, 'frame')} may differ. Is the frame rate right, and is it "
            "the same video? max_length_difference in project.yaml allows more."
        )
    if difference > 0.5:
        return (
            f"labels of {max(annotated, last):,.0f} frames, tracks of {tracked:,}: "
            "treated as starting together",
        )
    return ()
