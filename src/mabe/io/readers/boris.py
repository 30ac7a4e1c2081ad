"""BORIS: tables of events, old and new, aggregated exports, and `.boris` projects.

- Tabular, old: lines about the observation, then ``Time, Media file path, Total length,
  FPS, Subject, Behavior, …, Status``.
- Tabular, new: ``Observation id, …, Media duration (s), FPS, …, Subject, Behavior, …,
  Modifier #1 …, Behavior type, Time, …``; one file may hold several observations.
- Aggregated: one row per interval, ``Start (s)``, ``Stop (s)``.
- Project: one JSON document; every observation is one recording.

Binary tables are one-hot tables, see `mabe.io.readers.tables`.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mabe.errors import DataError
from mabe.io.readers.annotations import Content, Event, FileAnnotations
from mabe.io.readers.boris_events import (
    POINT,
    START,
    STOP,
    TURN,
    Medium,
    Moment,
    annotations_by_video,
    clean_modifiers,
    clean_subject,
    media_stems,
    one_rate,
    pair_moments,
    parse_list,
    parse_number,
    parse_time,
)
from mabe.io.readers.file_head import Peek, read_text
from mabe.runtime.files import parse_json

_STATUS = ("Behavior type", "Status")


_FPS = ("FPS", "FPS (frame/s)")


_DURATION = ("Media duration (s)", "Total length", "Observation duration")


_MEDIA = ("Source", "Media file path", "Media file name", "Media file")


_PROJECT_KEYS = (
    "behaviors_conf",
    "subjects_conf",
    "project_format_version",
    "project_name",
)


_WORDS = {"START": START, "STOP": STOP, "POINT": POINT, "POINT EVENT": POINT}


@dataclass(frozen=True, slots=True)
class _Table:
    """A table's header and its rows, each a cell by column name."""

    path: str
    header: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    observation: str
    """The observation's name in the lines above an old table."""
    time_offset_s: float


def is_table(peek: Peek) -> bool:
    """Return whether a text is one of BORIS's tables of events."""
    return peek.kind == "text" and any(_is_header(row) for row in peek.rows)


def _is_header(row: Sequence[str]) -> bool:
    names = set(row)
    timed = "Time" in names and bool(names & set(_STATUS))
    return {"Subject", "Behavior"} <= names and (
        timed or {"Start (s)", "Stop (s)"} <= names
    )


def read_table(peek: Peek) -> Content:
    """Return the events of a table, one recording for each observation."""
    table = _parse_table(peek)
    is_aggregated = "Start (s)" in table.header
    by_observation: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table.rows:
        by_observation[row.get("Observation id") or table.observation].append(row)
    if not by_observation:
        by_observation[table.observation or peek.path.stem] = []
    read = _read_aggregated if is_aggregated else _read_moments
    annotations = tuple(
        each
        for name, rows in by_observation.items()
        for each in read(name or peek.path.stem, rows, table)
    )
    kind = "aggregated events" if is_aggregated else "events"
    return Content(f"BORIS {kind}", annotations=annotations)


def _parse_table(peek: Peek) -> _Table:
    """Return the header and the rows below it, each of which is an event."""
    text = read_text(peek)
    rows = [
        [cell.strip() for cell in row]
        for row in csv.reader(io.StringIO(text), delimiter=peek.delimiter)
    ]
    at = next(number for number, row in enumerate(rows) if _is_header(row))
    header = tuple(rows[at])
    about = {row[0]: row[1] for row in rows[:at] if len(row) > 1}
    body = []
    for number, row in enumerate(rows[at + 1 :], start=at + 2):
        if not any(row):
            continue
        whole = [*row, *[""] * (len(header) - len(row))]
        cells = dict(zip(header, whole, strict=False))
        if not cells.get("Behavior"):
            raise DataError(
                f"{peek.path}: line {number}: expected an event of {len(header)} cells "
                f"with a behaviour, found {row[:6]}. Is the file cut off?"
            )
        cells["#"] = str(number)
        body.append(cells)
    return _Table(
        str(peek.path),
        header,
        tuple(body),
        about.get("Observation id", ""),
        parse_number(about.get("Time offset (s)", "")) or 0.0,
    )


def _cell(row: Mapping[str, str], names: Sequence[str]) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _subject_and_behaviour(row: Mapping[str, str]) -> tuple[str, str, tuple[str, ...]]:
    modifiers = [row[name] for name in row if name and name.startswith("Modifier")]
    return clean_subject(row["Subject"]), row["Behavior"], clean_modifiers(modifiers)


def _read_moments(
    name: str, rows: Sequence[dict[str, str]], table: _Table
) -> tuple[FileAnnotations, ...]:
    """Return the events of one observation of a table of moments."""
    moments = []
    for row in rows:
        where = f"{table.path}: line {row['#']}"
        word = _cell(row, _STATUS).upper()
        status = _WORDS.get(word)
        if status is None:
            raise DataError(
                f"{where}: expected START, STOP or POINT, found {word!r}; is the line "
                "cut off?"
            )
        time_s = parse_time(row["Time"], where) - _offset(row, table)
        subject, behaviour, modifiers = _subject_and_behaviour(row)
        moments.append(Moment(time_s, status, behaviour, subject, modifiers))
    media = _media(rows, table.path)
    events, notes = pair_moments(moments, end_s=_end(media))
    return annotations_by_video(name, events, media, where=table.path, notes=notes)


def _read_aggregated(
    name: str, rows: Sequence[dict[str, str]], table: _Table
) -> tuple[FileAnnotations, ...]:
    """Return the events of one observation of an aggregated export."""
    events = []
    for row in rows:
        where = f"{table.path}: line {row['#']}"
        start_s, stop_s = (
            parse_time(row[column] if row[column] != "NA" else row["Start (s)"], where)
            - _offset(row, table)
            for column in ("Start (s)", "Stop (s)")
        )
        if stop_s < start_s:
            raise DataError(f"{where}: stops at {stop_s:g} s, before it starts.")
        subject, behaviour, modifiers = _subject_and_behaviour(row)
        events.append(Event(start_s, stop_s, behaviour, subject, "|".join(modifiers)))
    return annotations_by_video(
        name, events, _media(rows, table.path), where=table.path
    )


def _end(media: Sequence[Medium]) -> float | None:
    """Return when the last video ends; None where that is not known."""
    lengths = [each.length_s for each in media]
    return sum(length for length in lengths if length) if None not in lengths else None


def _offset(row: Mapping[str, str], table: _Table) -> float:
    return parse_number(row.get("Time offset (s)", "")) or table.time_offset_s


def _media(rows: Sequence[Mapping[str, str]], where: str) -> list[Medium]:
    """Return the videos of the first player, with length and rate where they are given.

    Where the table has other numbers of rates or lengths than of videos, it is not
    known which belongs to which: all are treated as one video.
    """
    first = rows[0] if rows else {}
    lengths, rates = parse_list(_cell(first, _DURATION)), parse_list(_cell(first, _FPS))
    source = first.get("Source", "").split("|")[0].split(";")
    stems = media_stems(source)
    if len(stems) == len(lengths) == len(rates) and len(stems) > 1:
        return [Medium(*each) for each in zip(stems, lengths, rates, strict=True)]
    named = sorted({part for row in rows for part in _cell(row, _MEDIA).split(";")})
    rates = [rate for row in rows for rate in parse_list(_cell(row, _FPS))]
    stem = next(iter(media_stems(named)), "")
    whole = sum(lengths) if lengths else None
    return [Medium(stem, whole, one_rate(rates, where))]


def is_project(peek: Peek) -> bool:
    """Return whether a JSON document is a BORIS project, with keys in any order."""
    return peek.kind == "json" and any(f'"{key}"' in peek.text for key in _PROJECT_KEYS)


def read_project(peek: Peek) -> Content:
    """Return all observations of a project."""
    try:
        project = parse_json(read_text(peek))
    except ValueError as error:
        raise DataError(
            f"{peek.path}: cannot be read as JSON ({error}); is it cut off?"
        ) from error
    try:
        conf = project["behaviors_conf"].values()
        kinds = {each["code"]: str(each.get("type", "")) for each in conf}
        subjects = [each["name"] for each in project.get("subjects_conf", {}).values()]
        annotations = tuple(
            each
            for name, observation in project["observations"].items()
            for each in _read_observation(
                name, observation, kinds, subjects, str(peek.path)
            )
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(
            f"{peek.path}: looks like a BORIS project but lacks {error}; open and save "
            "it in BORIS."
        ) from error
    return Content("BORIS project", annotations=annotations)


def _read_observation(
    name: str,
    observation: Mapping[str, Any],
    kinds: Mapping[str, str],
    subjects: Sequence[str],
    path_of: str,
) -> tuple[FileAnnotations, ...]:
    """Return the events of one observation of a project."""
    where = f"{path_of}: observation {name!r}"
    offset_s = float(observation.get("time offset") or 0)
    moments = []
    for event in observation["events"]:
        code = str(event[2])
        is_point = kinds.get(code, "").lower().startswith("point")
        moments.append(
            Moment(
                parse_time(str(event[0]), where) - offset_s,
                POINT if is_point else TURN,
                code,
                clean_subject(str(event[1])),
                clean_modifiers([str(event[3])]),
            )
        )
    info = observation.get("media_info") or {}
    files = observation.get("file") or {}
    paths = (
        [str(each) for each in files.get("1", [])] if isinstance(files, dict) else []
    )
    media = [
        Medium(
            next(iter(media_stems([path])), path),
            _positive(info.get("length", {}).get(path)),
            _positive(info.get("fps", {}).get(path)),
        )
        for path in paths
    ]
    events, notes = pair_moments(moments, end_s=_end(media) if media else None)
    unknown = sorted({event.behaviour for event in events} - kinds.keys())
    if unknown:
        notes.append(f"behaviours its ethogram does not have: {', '.join(unknown)}")
    return annotations_by_video(
        name,
        events,
        media,
        where=path_of,
        behaviours=kinds,
        subjects=subjects,
        notes=notes,
    )


def _positive(value: Any) -> float | None:
    """Return a number above zero; None where BORIS has none."""
    return float(value) if value and float(value) > 0 else None
