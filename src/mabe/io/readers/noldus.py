"""Event logs of Noldus: of The Observer XT, and of manual scoring in EthoVision XT.

The Observer exports a table with ``Time_Relative_sf`` (seconds), ``Observation``,
``Subject``, ``Behavior``, ``Event_Type`` (state start, state stop, point), modifiers
and ``Duration_sf``. EthoVision writes lines about the trial, among them the video, then
``Recording time, (Subject,) Behavior, Event``, a file or a sheet for each arena. Both
as text or as a sheet. Times are seconds from the beginning of the observation or of the
recording; all of it was watched.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content, FileAnnotations, annotations_of
from mabe.io.readers.boris_events import (
    POINT,
    START,
    STOP,
    Moment,
    clean_modifiers,
    clean_subject,
    media_stems,
    pair_moments,
    parse_number,
    parse_time,
)
from mabe.io.readers.ethovision_trials import HEADER, about_trial, recording_name
from mabe.io.readers.file_head import Peek, read_text
from mabe.runtime.console import count

OBSERVER = facts.labels(
    "The Observer XT, event logs, text or Excel",
    clock="s from the beginning of the observation",
    stop="times",
    watched="all of the observation, behaviours that occur",
    animals="`Subject`",
    assumed="the observation begins with the film",
    notes="state start, state stop, point; modifiers; a state without a stop ends "
    "after its duration",
)

SCORING = facts.labels(
    "EthoVision XT, manual scoring",
    clock="s from the beginning of the recording",
    stop="times",
    watched="all of the film, behaviours that occur",
    animals="`Subject`",
    notes="the video is named in the header",
)


_LOG_TIMES = ("Time_Relative_sf", "Time_Relative_hmsf")

_DURATION = "Duration_sf"

_SAME_S = 0.02
"""Stops and durations are rounded each for themselves."""

_SCORED = {"Recording time", "Behavior", "Event"}


def is_observer(peek: Peek) -> bool:
    """Return whether a table is an event log of The Observer."""
    header = set(peek.rows[0]) if peek.kind == "text" and peek.rows else set()
    return {"Behavior", "Event_Type"} <= header and bool(header & set(_LOG_TIMES))


def read_observer(peek: Peek) -> Content:
    """Return the events of each observation."""
    rows = _cells(peek)
    header = rows[0]
    column = next(name for name in _LOG_TIMES if name in header)
    moments: dict[str, list[Moment]] = defaultdict(list)
    ends: dict[str, list[Moment]] = defaultdict(list)
    for number, row in enumerate(rows[1:], start=2):
        cells = _by_name(header, row)
        if not cells["Behavior"]:
            continue
        modifiers = [
            each for name, each in cells.items() if name.startswith("Modifier")
        ]
        observation = cells.get("Observation") or peek.stem
        where = f"{peek.path}: line {number}"
        moment = _moment(cells, column, "Event_Type", modifiers, where)
        moments[observation].append(moment)
        duration_s = parse_number(cells.get(_DURATION, ""))
        if moment.status == START and duration_s:
            stop = replace(moment, time_s=moment.time_s + duration_s, status=STOP)
            ends[observation].append(stop)
    annotations = tuple(
        _annotations(name, _with_stops(those, ends[name]), None, ())
        for name, those in moments.items()
    )
    return Content("The Observer's event log", annotations=annotations)


def _with_stops(moments: Sequence[Moment], ends: Sequence[Moment]) -> list[Moment]:
    """Return moments with the ends that durations give, where no stop is near.

    Logs may have been filtered to starts, and a stop may lack its modifiers.
    """
    stops = {
        (*_thread(each), round(each.time_s / _SAME_S) + near)
        for each in moments
        if each.status == STOP
        for near in (-1, 0, 1)
    }
    missing = (
        each
        for each in ends
        if (*_thread(each), round(each.time_s / _SAME_S)) not in stops
    )
    return [*moments, *missing]


def _thread(moment: Moment) -> tuple[str, str, tuple[str, ...]]:
    return moment.subject, moment.behaviour, moment.modifiers


def is_scoring(peek: Peek) -> bool:
    """Return whether a text is a sheet of manual scoring of EthoVision."""
    return (
        peek.kind == "text"
        and HEADER in peek.text[:100]
        and any(set(row) >= _SCORED for row in peek.rows)
    )


def read_scoring(peek: Peek) -> Content:
    """Return the events of a trial, which is named by its video."""
    rows = _cells(peek)
    at = next(number for number, row in enumerate(rows) if set(row) >= _SCORED)
    about = about_trial(rows[:at])
    moments = []
    for number, row in enumerate(rows[at + 1 :], start=at + 2):
        cells = _by_name(rows[at], row)
        if not cells["Behavior"]:
            continue
        cells["Subject"] = cells.get("Subject") or about.get("Subject name", "")
        where = f"{peek.path}: line {number}"
        moments.append(_moment(cells, "Recording time", "Event", [], where))
    media = media_stems([about.get("Video file", "")])
    duration = about.get("Recording duration", "").lstrip("+ ")
    end_s = parse_time(duration, str(peek.path)) if duration else None
    arena = about.get("Arena name", "")
    name = f"{recording_name(about, peek.stem)} {arena}".strip()
    annotations = _annotations(name, moments, end_s, media)
    return Content("EthoVision's manual scoring", annotations=(annotations,))


def _cells(peek: Peek) -> list[list[str]]:
    """Return the cells of all rows, without the mark at the beginning of the file."""
    text = read_text(peek).removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text), delimiter=peek.delimiter)
    return [[cell.strip() for cell in row] for row in reader]


def _by_name(header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    cells = [*row, *[""] * (len(header) - len(row))]
    return dict(zip(header, cells, strict=False))


def _moment(
    cells: Mapping[str, str],
    time: str,
    kind: str,
    modifiers: Sequence[str],
    where: str,
) -> Moment:
    """Return one event of a log."""
    word = cells[kind].lower()
    status = next(
        (
            known
            for end, known in (("start", START), ("stop", STOP), ("point", POINT))
            if end in word
        ),
        None,
    )
    if status is None:
        raise DataError(
            f"{where}: expected state start, state stop or point, found "
            f"{cells[kind]!r}."
        )
    return Moment(
        parse_time(cells[time], where),
        status,
        cells["Behavior"],
        clean_subject(cells.get("Subject", "")),
        clean_modifiers(modifiers),
    )


def _annotations(
    name: str, moments: Sequence[Moment], end_s: float | None, media: Sequence[str]
) -> FileAnnotations:
    events, notes = pair_moments(moments, end_s=end_s)
    kept = [replace(each, start=max(0, each.start)) for each in events if each.stop > 0]
    kept += [each for each in events if each.start == each.stop == 0]
    if early := sum(each.start < 0 for each in events):
        cut = count(early, "event")
        notes.append(f"before the beginning of the recording: {cut} cut there")
    events = kept
    return annotations_of(name, "s", events, length=end_s, media=media, notes=notes)
