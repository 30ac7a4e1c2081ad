"""BORIS's events: moments with a status, paired to intervals.

A *moment* is one row of a BORIS table or project. State events have a START and a STOP
each (in projects the two alternate without a status), point events have one moment.
Several may be active at once; each subject, behaviour and set of modifiers is paired
separately. Times are those of the media: the time offset that BORIS adds is subtracted.
"""

import itertools
import math
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mabe.errors import DataError
from mabe.io.readers.annotations import (
    Event,
    FileAnnotations,
    Unit,
    WatchedInterval,
    annotations_of,
)

START, STOP, POINT, TURN = "START", "STOP", "POINT", "TURN"


PICTURE: Unit = "frame"
"""The unit of observations of pictures: each is a frame."""


NO_SUBJECT = ("", "no focal subject")


_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """One coded event: time, subject and behaviour, and whether it starts or stops."""

    time_s: float
    status: str
    behaviour: str
    subject: str = ""
    modifiers: tuple[str, ...] = ()


def pair_moments(
    moments: Iterable[Moment], *, end_s: float | None
) -> tuple[list[Event], list[str]]:
    """Return the intervals between starts and stops, and notes on irregularities.

    An event that never stops lasts until the end of the observation; one that starts
    twice begins with the later start, and a stop without a start is left out.
    """
    threads: dict[tuple[str, str, tuple[str, ...]], list[Moment]] = defaultdict(list)
    for moment in moments:
        threads[moment.subject, moment.behaviour, moment.modifiers].append(moment)
    events: list[Event] = []
    notes: dict[str, list[Moment]] = defaultdict(list)
    for thread in threads.values():
        events += _pair_thread(thread, end_s, notes)
    return events, [_describe(note, those) for note, those in notes.items()]


def _pair_thread(
    thread: Sequence[Moment], end_s: float | None, notes: dict[str, list[Moment]]
) -> list[Event]:
    """Pair the moments of one subject and behaviour."""
    events: list[Event] = []
    active: Moment | None = None
    for moment in _in_order(thread):
        status = moment.status
        if status == TURN:
            status = START if active is None else STOP
        if status == POINT:
            events.append(_event(moment, moment.time_s))
        elif status == START:
            if active is not None:
                notes[
                    "started again without a stop, the earlier start left out"
                ].append(active)
            active = moment
        elif active is None:
            notes["a stop without a start, left out"].append(moment)
        else:
            events.append(_event(active, moment.time_s))
            active = None
    if active is not None and end_s is not None and end_s > active.time_s:
        notes["never stopped, assumed to last until the end"].append(active)
        events.append(_event(active, end_s))
    elif active is not None:
        notes["never stopped and no end is known, left out"].append(active)
    return events


def _in_order(thread: Sequence[Moment]) -> list[Moment]:
    """Sort by time; at the same time an active event stops before the next starts."""
    ordered: list[Moment] = []
    is_on = False
    by_time = sorted(thread, key=lambda moment: moment.time_s)
    for _, at_once in itertools.groupby(by_time, key=lambda moment: moment.time_s):
        queues: dict[str, deque[tuple[int, Moment]]] = defaultdict(deque)
        for place, moment in enumerate(at_once):
            queues[moment.status].append((place, moment))
        while waiting := [queue for queue in queues.values() if queue]:
            wanted = queues[STOP if is_on else START]
            queue = wanted or min(waiting, key=lambda queue: queue[0][0])
            _, moment = queue.popleft()
            ordered.append(moment)
            if moment.status == TURN:
                is_on = not is_on
            elif moment.status in (START, STOP):
                is_on = moment.status == START
    return ordered


def _event(start: Moment, stop_s: float) -> Event:
    return Event(
        start.time_s,
        stop_s,
        start.behaviour,
        start.subject,
        "|".join(start.modifiers),
    )


def _describe(note: str, moments: Sequence[Moment]) -> str:
    first = ", ".join(f"{m.behaviour} at {m.time_s:g} s" for m in moments[:_SHOWN])
    more = f" and {len(moments) - _SHOWN} more" if len(moments) > _SHOWN else ""
    return f"{note}: {first}{more}"


@dataclass(frozen=True, slots=True)
class Medium:
    """One video of an observation."""

    stem: str
    """Its path without ending."""
    length_s: float | None = None
    fps: float | None = None


def annotations_by_video(
    name: str,
    events: Sequence[Event],
    media: Sequence[Medium],
    *,
    where: str,
    behaviours: Iterable[str] = (),
    lists_behaviours: bool = False,
    subjects: Iterable[str] = (),
    watched: WatchedInterval | None = None,
    notes: Sequence[str] = (),
) -> tuple[FileAnnotations, ...]:
    """Return the events of an observation, separately for each video.

    Videos that were scored one after the other have one time axis in BORIS; tracks are
    of one video each, so events get the time in their video. Where the lengths are not
    known the observation is not divided.
    """
    lengths = [each.length_s for each in media]
    if len(media) < 2 or None in lengths:
        known = [length for length in lengths if length is not None]
        whole = sum(known) if known and len(known) == len(media) else None
        rate = one_rate((each.fps for each in media if each.fps), f"{where}: {name}")
        stems = [each.stem for each in media if each.stem]
        return (
            annotations_of(
                *(name, "s", events),
                behaviours=behaviours,
                lists_behaviours=lists_behaviours,
                subjects=subjects,
                fps=rate,
                length=whole,
                media=stems,
                watched=None if watched is None else [watched],
                notes=notes,
            ),
        )
    found, start_s = [], 0.0
    note = f"observation {name!r} is of {len(media)} videos, one after the other"
    for each in media:
        stop_s = start_s + (each.length_s or 0.0)
        found.append(
            annotations_of(
                each.stem.rsplit("/", 1)[-1],
                "s",
                _between(events, start_s, stop_s),
                behaviours=(*behaviours, *(event.behaviour for event in events)),
                lists_behaviours=lists_behaviours,
                subjects=(*subjects, *(e.subject for e in events if e.subject)),
                fps=each.fps,
                length=each.length_s,
                media=[each.stem],
                watched=_part_of(watched, start_s, stop_s),
                notes=(note, *notes),
            )
        )
        start_s = stop_s
    return tuple(found)


def _part_of(
    watched: WatchedInterval | None, start_s: float, stop_s: float
) -> list[WatchedInterval] | None:
    """Return the part of an interval in one video, in times from its start."""
    if watched is None:
        return None
    start, stop = max(watched.start, start_s), min(watched.stop, stop_s)
    return [WatchedInterval(start - start_s, stop - start_s)] if start < stop else []


def end_of(media: Sequence[Medium]) -> float | None:
    """Return when the last video ends; None where that is not known."""
    lengths = [each.length_s for each in media]
    return sum(length for length in lengths if length) if None not in lengths else None


def _between(events: Iterable[Event], start_s: float, stop_s: float) -> list[Event]:
    """Return the parts of events in an interval, in times from its start."""
    return [
        replace(
            event,
            start=max(event.start, start_s) - start_s,
            stop=min(event.stop, stop_s) - start_s,
        )
        for event in events
        if event.start < stop_s
        and (event.stop > start_s or event.start == event.stop == start_s)
    ]


def clean_subject(name: str) -> str:
    """Return a subject's name, empty for BORIS's "No focal subject"."""
    name = name.strip()
    return "" if name.lower() in NO_SUBJECT else name


def clean_modifiers(cells: Iterable[str]) -> tuple[str, ...]:
    """Return the modifiers that were chosen."""
    parts = (part.strip() for cell in cells for part in cell.split("|"))
    return tuple(part for part in parts if part and part.lower() != "none")


def parse_time(cell: str, where: str) -> float:
    """Return seconds from ``29.850``, ``29,850`` or ``00:00:29.850``."""
    match = re.fullmatch(r"(-?)(?:(?:(\d+):)?(\d+):)?(\d+(?:[.,]\d*)?)", cell.strip())
    if match is None:
        raise DataError(
            f"{where}: expected a time in seconds (29.850) or hh:mm:ss, found {cell!r}."
        )
    sign, hours, minutes, seconds = match.groups()
    total = float(seconds.replace(",", "."))
    total += 60 * int(minutes or 0) + 3600 * int(hours or 0)
    return -total if sign else total


def parse_number(cell: str) -> float | None:
    """Return a number with a point or a comma, None for ``NA`` or nothing."""
    try:
        value = float(cell.strip().replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def parse_list(cell: str) -> list[float]:
    """Return the numbers of the first player's media, which ``;`` separates."""
    first_player = cell.split("|")[0]
    found = (parse_number(part) for part in first_player.split(";"))
    return [value for value in found if value is not None]


def one_rate(rates: Iterable[float], where: str) -> float | None:
    """Return the frame rate of all media; None where none is known."""
    known = sorted({round(rate, 3) for rate in rates if rate > 0})
    if len(known) > 1 and known[-1] - known[0] > 0.001 * known[-1]:
        raise DataError(
            f"{where}: its videos have different frame rates ({known}); score and "
            "track them separately."
        )
    return known[0] if known else None


def media_stems(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths of media files without ending, of any operating system."""
    names = []
    for path in paths:
        bare = re.sub(r"^player #\d+:\s*", "", path.strip())
        folder, _, name = bare.replace("\\", "/").rpartition("/")
        if name and name not in ("NA", "Not found"):
            stem = name.rsplit(".", 1)[0] if "." in name else name
            names.append(f"{folder}/{stem}" if folder else stem)
    return tuple(dict.fromkeys(names))
