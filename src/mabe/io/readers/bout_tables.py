"""Tables of bouts: one row per bout, in text files, parquet or sheets of a workbook.

Columns are found by their names (`mabe.io.readers.column_names`): an action, a start,
a stop or a duration, and where they are given the video, the subject and the target.
The unit is in the names (``start_s``, ``Start (frame)``), else times with a point,
a comma or colons are seconds; whole numbers without a unit are asked about.

``start_frame, stop_frame`` are those of the challenge's annotations and of what
`mabe export` writes: frames from 0, the stop is the frame after the bout. Other tables
in frames define neither. A table with a column ``model_hash`` holds predictions.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    SELF,
    Content,
    Event,
    FileAnnotations,
    annotations_of,
)
from mabe.io.readers.boris_events import media_stems, parse_time
from mabe.io.readers.column_names import (
    ACTIONS,
    DURATIONS,
    FILLERS,
    STARTS,
    STOPS,
    SUBJECTS,
    TARGETS,
    VIDEOS,
    ColumnUnit,
    describe_unused,
    find_column,
    read_name,
    squeeze,
)
from mabe.io.readers.csv_table import read_cells
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import LeftOut
from mabe.io.readers.table_batches import parquet_batches, parquet_names
from mabe.recording import MAX_FRAMES
from mabe.runtime.csv_cells import text_of

FACTS = facts.labels(
    "tables of bouts: CSV, parquet, sheets",
    clock="s, ms, min, hh:mm:ss or frames, by the names of the columns",
    stop="times; `stop_frame`: the frame after; other frames: asked",
    watched="all frames, actions that occur",
    animals="subject, agent, animal, mouse … and target",
    assumed="frames other than `start_frame, stop_frame` count from 0, the stop is the "
    "frame after",
    notes="subject, target, action, start, stop or duration, video under many names; "
    "`columns` in project.yaml names others",
)


_NO_UNIT = (
    "a table of bouts whose columns of start and stop have no unit: name them start_s "
    "and stop_s, or start_frame and stop_frame, or say which they are under `columns` "
    "in project.yaml."
)

_PREDICTED = "model_hash"

_PER_SECOND: Mapping[ColumnUnit, float] = {"s": 1, "ms": 1000, "min": 1 / 60}


@dataclass(frozen=True, slots=True)
class _Columns:
    """The names of a table's columns."""

    action: str
    start: str
    stop: str
    """Of stops, or of durations."""
    is_duration: bool
    video: str | None
    subject: str | None
    target: str | None

    @property
    def used(self) -> tuple[str | None, ...]:
        """All columns that are read."""
        three = (self.action, self.start, self.stop)
        return (*three, self.video, self.subject, self.target)


def is_bout_table(peek: Peek) -> bool:
    """Return whether a file is a table of bouts."""
    return _columns(_header(peek)) is not None


def _header(peek: Peek) -> list[str]:
    if peek.kind == "text":
        return peek.rows[0] if peek.rows else []
    return parquet_names(peek.path) if peek.kind == "parquet" else []


def _columns(names: Sequence[str]) -> _Columns | None:
    """Return the columns of a table of bouts; None where one is missing."""
    start, stop = find_column(names, STARTS), find_column(names, STOPS)
    duration = None if stop else find_column(names, DURATIONS)
    action = find_column(names, ACTIONS)
    end = stop or duration
    if start is None or end is None or action is None or len({action, start, end}) < 3:
        return None
    return _Columns(
        action,
        start,
        end,
        stop is None,
        find_column(names, VIDEOS),
        find_column(names, SUBJECTS),
        find_column(names, TARGETS),
    )


def read_bout_table(peek: Peek) -> Content:
    """Return the bouts of each video of a table."""
    names = _header(peek)
    columns = _columns(names)
    if columns is None:
        raise DataError(f"{peek.path}: expected columns of action, start and stop.")
    rows = list(_rows(peek, names))
    unit = _unit(columns, [row for _, row in rows], peek)
    parse = _parser(unit, is_exact=_is_exact(columns))
    notes = describe_unused(names, columns.used)
    events: dict[str, list[Event]] = {}
    for where, row in rows:
        video = row[columns.video] if columns.video else ""
        event = _event(columns, row, parse, where)
        events.setdefault(video, [])
        if event is not None:
            events[video].append(event)
    annotations = tuple(
        _annotations(video, those, unit, columns, notes, peek)
        for video, those in (events or {"": []}).items()
    )
    return Content("table of bouts", annotations=annotations)


def _rows(peek: Peek, names: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where each row is, and its cells; rows without any are left out."""
    if peek.kind == "parquet":
        table = pl.concat(parquet_batches(peek.path, names))
    else:
        table = read_cells(peek, names)
    for number, row in enumerate(table.iter_rows(named=True), start=1):
        cells = {
            str(name): "" if cell is None else text_of(str(cell))
            for name, cell in row.items()
        }
        if any(cells.values()):
            yield f"{peek.path}: row {number}", cells


def _unit(
    columns: _Columns, rows: Sequence[Mapping[str, str]], peek: Peek
) -> ColumnUnit:
    """Return the unit of start and stop: that in their names, or of their values."""
    units: set[ColumnUnit] = {
        read_name(name).unit for name in (columns.start, columns.stop)
    } - {""}
    if len(units) == 1:
        return units.pop()
    cells = [row[name] for row in rows for name in (columns.start, columns.stop)]
    if not units and (not cells or any(re.search(r"\d[.,:]\d", c) for c in cells)):
        return "s"
    raise LeftOut(peek.path, _NO_UNIT)


def _is_exact(columns: _Columns) -> bool:
    """Return whether frames are those of the challenge and of our own exports."""
    return (columns.start, columns.stop) == ("start_frame", "stop_frame")


def _parser(unit: ColumnUnit, *, is_exact: bool) -> Callable[[str, str], float]:
    """Return how a cell of start or stop becomes seconds, or a frame."""
    if unit != "frame":
        return lambda cell, where: parse_time(cell, where) / _PER_SECOND[unit]

    def frame_of(cell: str, where: str) -> float:
        try:
            frame = float(cell.replace(",", "."))
        except ValueError:
            frame = -1.0
        if not (0 <= frame <= MAX_FRAMES and frame.is_integer()):
            raise DataError(
                f"{where}: expected an action from a frame to a later one, found "
                f"{cell!r}."
            )
        return int(frame)

    return frame_of


def _event(
    columns: _Columns,
    row: Mapping[str, str],
    parse: Callable[[str, str], float],
    where: str,
) -> Event | None:
    """Return the bout of a row; None for a stretch without any of the behaviours."""
    action = row[columns.action]
    start = parse(row[columns.start], where)
    last = parse(row[columns.stop], where)
    stop = start + last if columns.is_duration else last
    is_bad = stop <= start if _is_exact(columns) else stop < start
    if is_bad or not action:
        raise DataError(
            f"{where}: expected an action from a frame or time to a later one, found "
            f"{[row[columns.action], row[columns.start], row[columns.stop]]}."
        )
    if squeeze(action) in FILLERS - {"other"}:
        return None
    subject = _animal(row[columns.subject], columns.subject) if columns.subject else ""
    target = _animal(row[columns.target], columns.target) if columns.target else ""
    if subject and target in (subject, SELF):
        target = SELF
    return Event(start, stop, action, subject, target)


def _animal(name: str, column: str | None) -> str:
    """Return an animal's name; a number is that of the challenge's mouse."""
    is_number = name.isdecimal() and column in (
        "agent_id",
        "target_id",
        "agent",
        "target",
    )
    return f"mouse{name}" if is_number else name


def _annotations(
    video: str,
    events: Sequence[Event],
    unit: ColumnUnit,
    columns: _Columns,
    notes: Sequence[str],
    peek: Peek,
) -> FileAnnotations:
    """Return the bouts of one video, whose name may be that of a file."""
    stem = next(iter(media_stems([video])), video) if "." in video else video
    about: dict[str, Any] = {"media": [stem]} if stem else {}
    return annotations_of(
        stem.rsplit("/", 1)[-1] or peek.stem,
        "frame" if unit == "frame" else "s",
        events,
        by="program" if _PREDICTED in _header(peek) else "person",
        is_counting_assumed=unit == "frame" and not _is_exact(columns),
        notes=notes,
        **about,
    )
