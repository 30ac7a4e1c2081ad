"""BORIS's tables of events, old and new, and its aggregated exports.

- Tabular, old: lines about the observation, then ``Time, Media file path, Total length,
  FPS, Subject, Behavior, …, Status``.
- Tabular, new: ``Observation id, …, Media duration (s), FPS, …, Subject, Behavior, …,
  Modifier #1 …, Behavior type, Time, …``; one file may hold several observations.
- Aggregated: one row per interval, ``Start (s)``, ``Stop (s)``.

The same tables are read from the sheets of a workbook. Events of observations of
pictures have the picture's number, which counts from 1, instead of a time. Projects are
read by `mabe.io.readers.boris_project`; binary tables are one-hot tables.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
    Event,
    FileAnnotations,
    annotations_of,
)
from mabe.io.readers.boris_events import (
    PICTURE,
    POINT,
    START,
    STOP,
    Medium,
    Moment,
    annotations_by_video,
    clean_modifiers,
    clean_subject,
    end_of,
    media_stems,
    one_rate,
    pair_moments,
    parse_list,
    parse_number,
    parse_time,
)
from mabe.io.readers.file_head import Peek, read_text

FACTS = facts.labels(
    "BORIS tables of events, old and new; aggregated",
    clock="s from the film's beginning: the time offset is subtracted; pictures from 1",
    stop="times",
    fps="`FPS`, for times only",
    watched="all of the film, behaviours that occur",
    animals="`Subject`; a modifier that is an animal's name is the target",
    assumed="an open state lasts until the end",
    notes="comma, tab or semicolon; decimal commas; `;`-joined cells of several videos",
)

BINARY = facts.labels(
    "BORIS binary tables",
    clock="`time` of each row, s",
    stop="rows of 1",
    watched="all rows, all columns",
    animals="in the file's name",
    assumed="events shorter than a step may be missing",
)


_STATUS = ("Behavior type", "Status")


_FPS = ("FPS", "FPS (frame/s)")


_DURATION = ("Media duration (s)", "Total length", "Observation duration")


_PICTURE = "Image index"


_MOST_SECONDS = 1e8
"""Three years; larger times are dates."""


_MEDIA = ("Source", "Media file path", "Media file name", "Media file")


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
        by_observation[table.observation or peek.stem] = []
    read = _read_aggregated if is_aggregated else _read_moments
    annotations = tuple(
        each
        for name, rows in by_observation.items()
        for each in read(name or peek.stem, rows, table)
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
    of_pictures = _is_of_pictures(rows)
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
        subject, behaviour, modifiers = _subject_and_behaviour(row)
        time = _picture(row, where) if of_pictures else _time_s(row, "Time", table)
        moments.append(Moment(time, status, behaviour, subject, modifiers))
    media = _media(rows, table.path)
    end = None if of_pictures else end_of(media)
    events, notes = pair_moments(moments, end_s=end)
    if of_pictures:
        stems = [each.stem for each in media if each.stem]
        return (annotations_of(name, PICTURE, events, media=stems, notes=notes),)
    return annotations_by_video(name, events, media, where=table.path, notes=notes)


def _is_of_pictures(rows: Sequence[Mapping[str, str]]) -> bool:
    """Return whether pictures were scored, which have numbers and may have no times."""
    is_said = any("images" in row.get("Observation type", "").lower() for row in rows)
    return bool(rows) and (
        is_said or all(row.get("Time") in ("NA", "nan", "NaN", "") for row in rows)
    )


def _picture(row: Mapping[str, str], where: str) -> float:
    """Return the frame of a picture, whose numbers count from 1."""
    number = parse_number(row.get(_PICTURE, ""))
    if number is None or number < 1 or number % 1:
        raise DataError(
            f"{where}: an event without a time needs the number of a picture "
            f"({_PICTURE}), found {row.get(_PICTURE, '')!r}."
        )
    return number - 1


def _time_s(row: Mapping[str, str], column: str, table: _Table) -> float:
    """Return a time from the beginning of the video."""
    where = f"{table.path}: line {row['#']}"
    time_s = parse_time(row[column], where) - _offset(row, table)
    if time_s > _MOST_SECONDS:
        raise DataError(
            f"{where}: {row[column]} is a date, in seconds since 1970: the observation "
            "has BORIS's option to use the media creation date as offset, and a table "
            "does not hold that date. Give the project (.boris), which does."
        )
    return time_s


def _read_aggregated(
    name: str, rows: Sequence[dict[str, str]], table: _Table
) -> tuple[FileAnnotations, ...]:
    """Return the events of one observation of an aggregated export."""
    events = []
    for row in rows:
        where = f"{table.path}: line {row['#']}"
        start_s, stop_s = (
            _time_s(row, column if row[column] != "NA" else "Start (s)", table)
            for column in ("Start (s)", "Stop (s)")
        )
        if stop_s < start_s:
            raise DataError(f"{where}: stops at {stop_s:g} s, before it starts.")
        subject, behaviour, modifiers = _subject_and_behaviour(row)
        events.append(Event(start_s, stop_s, behaviour, subject, "|".join(modifiers)))
    return annotations_by_video(
        name, events, _media(rows, table.path), where=table.path
    )


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
