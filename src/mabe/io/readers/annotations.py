"""What people marked in a recording, as their files say it.

An `Event` is one stretch of one behaviour, ``[start, stop)``, in the seconds or frames
of its file. Names of subjects and behaviours are the lab's own. Seconds become frames
in one place, `to_frames`, at the rate of the recording.

What one file holds: tracks, annotations, or both, of one recording or of several.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool

from mabe.bouts import find_spans
from mabe.errors import DataError
from mabe.io.readers.kaggle_tracks import MAX_FRAMES
from mabe.io.readers.poses import Poses

Unit = Literal["s", "frame"]


SELF = "self"
"""The target of an event that an animal does to itself, where a file says so."""


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """One marked stretch; a point event has ``stop == start``."""

    start: float
    stop: float
    behaviour: str
    subject: str = ""
    """Who did it; empty where the file does not say."""
    target: str = ""
    """To whom, where the file says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnnotations:
    """All that was marked in one recording by one file."""

    name: str
    """What the file calls the recording."""
    unit: Unit
    events: tuple[Event, ...]
    behaviours: tuple[str, ...]
    """The ethogram: also what was looked for and never seen, where the file says so."""
    subjects: tuple[str, ...] = ()
    fps: float | None = None
    length: float | None = None
    """Duration of what was looked at, in `unit`; None where the file does not say."""
    media: tuple[str, ...] = ()
    """The videos it was scored from."""
    notes: tuple[str, ...] = field(default=())

    def noting(self, *notes: str) -> "FileAnnotations":
        """Return the same annotations with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def annotations_of(
    name: str,
    unit: Unit,
    events: Iterable[Event],
    *,
    behaviours: Iterable[str] = (),
    subjects: Iterable[str] = (),
    fps: float | None = None,
    length: float | None = None,
    media: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> FileAnnotations:
    """Return annotations, sorted, with every name that occurs among the names."""
    events = tuple(sorted(events))
    seen = {event.behaviour for event in events}
    who = {event.subject for event in events if event.subject}
    return FileAnnotations(
        name=name,
        unit=unit,
        events=events,
        behaviours=tuple(dict.fromkeys((*behaviours, *sorted(seen)))),
        subjects=tuple(dict.fromkeys((*subjects, *sorted(who)))),
        fps=fps,
        length=length,
        media=tuple(media),
        notes=tuple(notes),
    )


def join_annotations(
    first: FileAnnotations, second: FileAnnotations
) -> FileAnnotations:
    """Return what two files, or parts of one, say of the same recording."""
    return annotations_of(
        first.name,
        first.unit,
        {*first.events, *second.events},
        behaviours=(*first.behaviours, *second.behaviours),
        subjects=(*first.subjects, *second.subjects),
        fps=first.fps or second.fps,
        length=first.length if second.length is None else second.length,
        media=(*first.media, *second.media),
        notes=(*first.notes, *second.notes),
    )


def events_of_columns(
    columns: dict[str, Bool[np.ndarray, " row"]],
    *,
    start: float = 0,
    step: float = 1,
    subject: str = "",
) -> list[Event]:
    """Return the events of columns that are true while a behaviour goes on."""
    return [
        Event(start + step * first, start + step * stop, behaviour, subject)
        for behaviour, active in columns.items()
        for first, stop in find_spans(active).tolist()
    ]


def to_frames(annotations: FileAnnotations, fps: float) -> FileAnnotations:
    """Return the same annotations in frames of a recording at the given rate.

    A time is the nearest frame; what would be shorter than a frame is one frame long.
    """
    if annotations.unit == "frame":
        return annotations
    events = []
    for event in annotations.events:
        start, stop = (round(time_s * fps) for time_s in (event.start, event.stop))
        if not 0 <= start <= stop < MAX_FRAMES:
            raise DataError(
                f"{annotations.name}: {event.behaviour} from {event.start:g} to "
                f"{event.stop:g} s cannot be in a recording; is it in seconds?"
            )
        events.append(replace(event, start=start, stop=max(stop, start + 1)))
    length = None if annotations.length is None else round(annotations.length * fps)
    return replace(
        annotations, unit="frame", events=tuple(events), length=length, fps=fps
    )


def length_tolerance(frames: int) -> int:
    """Return how many frames two files of one recording may differ in length.

    Cameras, converters and trackers lose or add a few; 29.97 against 30 fps makes one
    in a thousand.
    """
    return max(5, math.ceil(0.002 * frames))


def compare_lengths(
    annotations: FileAnnotations, tracked: int, allowed: int | None = None
) -> tuple[str, ...]:
    """Return a note where the lengths differ by a little; raise where by more.

    `tracked` is the length of the tracks in frames, `allowed` the user's own limit.
    """
    last = max((event.stop for event in annotations.events), default=0)
    ends = [last] if last > tracked else []
    marked = (
        annotations.length
        if annotations.length is not None
        else max(ends, default=tracked)
    )
    difference = max([abs(marked - tracked), *(end - tracked for end in ends)])
    limit = length_tolerance(tracked) if allowed is None else allowed
    if difference > limit:
        raise DataError(
            f"{annotations.name}: labels of {marked:,.0f} frames (the last ends at "
            f"{last:,.0f}) "
            f"do not fit tracks of {tracked:,}; up to {limit} frames may differ. Is "
            "the frame rate right, and is it the same video? max_length_difference in "
            "project.yaml allows more."
        )
    if difference > 0.5:
        return (
            f"labels of {max(marked, last):,.0f} frames, tracks of {tracked:,}: taken "
            "to start together",
        )
    return ()


@dataclass(frozen=True, slots=True)
class Content:
    """What was read from one file."""

    format: str
    """The format's name, for people."""
    poses: tuple[Poses, ...] = ()
    annotations: tuple[FileAnnotations, ...] = ()
