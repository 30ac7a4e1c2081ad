"""The times of labels, brought to the clock of the tracks.

Frame 0 is the recording's first frame and time 0 its beginning. Label files may count
frames from 1, give the last frame of a bout as its stop, or have the clock of a session
that began before the recording. What a format does not define is assumed, and listed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mabe.errors import ConfigError, DataError
from mabe.io.folder_files import Track
from mabe.io.project import LabelSettings, Project
from mabe.io.readers.annotations import FileAnnotations, WatchedInterval

Guess = tuple[str, str]
"""What was assumed, and why."""


@dataclass(frozen=True, slots=True)
class _Counting:
    """From which number frames count, and what is added to stops."""

    first_frame: int
    stop_extra: int


def to_recording_clock(
    annotations: FileAnnotations,
    track: Track,
    settings: LabelSettings | None,
    project: Project,
) -> tuple[FileAnnotations, tuple[Guess, ...]]:
    """Return annotations on the clock of a recording, and what was assumed.

    Raises `ConfigError` for an offset in seconds of labels in frames.
    """
    if annotations.unit == "frame":
        if settings and settings.offset_s is not None:
            raise ConfigError(
                f"project.yaml: recordings: {settings.file} has frames, not seconds: "
                "set first_frame instead of offset_s"
            )
        counting, guesses = _counting(annotations, track, settings, project)
        moved = _move(annotations, counting.first_frame, counting.stop_extra)
        return replace(moved, is_counting_assumed=False), guesses
    offset_s = settings.offset_s if settings else None
    if offset_s is None:
        offset_s = track.start_s if annotations.clock == "session" else 0.0
    moved = _move(annotations, offset_s, 0)
    return replace(moved, clock="recording"), ()


def _counting(
    annotations: FileAnnotations,
    track: Track,
    settings: LabelSettings | None,
    project: Project,
) -> tuple[_Counting, tuple[Guess, ...]]:
    """Return how the frames of labels count, and what was assumed."""
    first = settings.first_frame if settings else None
    stop = settings.stop if settings else None
    is_open = annotations.is_counting_assumed
    if is_open:
        first = project.first_frame if first is None else first
        stop = project.stop if stop is None else stop
    has_rows = annotations.counted_from is not None
    guesses = []
    if first is None:
        first, reason = 0, "the usual base; else set first_frame"
        if is_open and _counts_from_one(annotations, track):
            first, reason = 1, "its first row has the number 1; else set first_frame"
        if is_open:
            guesses.append((f"frames count from {first}", reason))
    if has_rows:
        stop = "exclusive"
    if stop is None and is_open:
        what = "a stop is the frame after a bout"
        guesses.append((what, "the table does not define it; else set stop: inclusive"))
    return _Counting(first, int(stop == "inclusive")), tuple(guesses)


def _counts_from_one(annotations: FileAnnotations, track: Track) -> bool:
    """Return whether a row for each frame begins with 1 where the tracks begin with 0.

    Not where the last row is the last tracked frame: then the first row is missing.
    """
    return (
        annotations.counted_from == 1
        and track.first_frame == 0
        and annotations.length != track.length
    )


def _move(
    annotations: FileAnnotations, offset: float, stop_extra: int
) -> FileAnnotations:
    """Return annotations with an offset subtracted, from time 0 on."""
    if not offset and not stop_extra:
        return annotations
    events, before = [], 0
    for event in annotations.events:
        start, stop = event.start - offset, event.stop - offset + stop_extra
        if annotations.unit == "frame" and start < 0:
            raise DataError(
                f"{annotations.name}: {event.behaviour} begins at frame "
                f"{event.start:g}, but the first frame is {offset:g}; is first_frame "
                "right?"
            )
        if stop < 0 or (stop == 0 and start < 0):
            before += 1
        else:
            events.append(replace(event, start=max(0.0, start), stop=stop))
    notes = list(annotations.notes)
    if before:
        notes.append(f"events that end before the recording begins, left out: {before}")
    length = annotations.length
    return replace(
        annotations,
        events=tuple(sorted(events)),
        length=None if length is None else max(0.0, length - offset),
        watched=None
        if annotations.watched is None
        else tuple(_moved_intervals(annotations.watched, offset)),
        counted_from=None,
        notes=tuple(notes),
    )


def _moved_intervals(
    intervals: tuple[WatchedInterval, ...], offset: float
) -> Iterator[WatchedInterval]:
    for each in intervals:
        if each.stop > offset:
            start = max(0.0, each.start - offset)
            yield replace(each, start=start, stop=each.stop - offset)
