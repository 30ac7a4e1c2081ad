"""Tab-delimited exports of ELAN, with a row for each annotation, in two forms.

Without names of columns: tier, participant (often empty), begin, end and duration, each
in one or more formats of time, and the text. With names, and a column for each tier:
``Begin Time - hh:mm:ss.ms``, ``End Time - ss.msec`` …, in the language of the program,
but with formats that are the same in all; a row has the texts of the tiers that have an
annotation of these times. Lines about the media may come before.

- Clock: from the beginning of the annotations' time line, as in the document (the
  export may add the offset of the film). ``ss.msec`` are seconds, ``msec`` are
  milliseconds.
- A text is a behaviour and its tier the subject, as in `mabe.io.readers.elan`.
- All tiers that were exported were watched all the time.

Source: ELAN's manual, "Export as Tab-delimited Text"; exports in published scripts.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mabe.errors import DataError
from mabe.io.readers.annotations import Content, annotations_of
from mabe.io.readers.boris_events import parse_time
from mabe.io.readers.elan import Marked, events_of_tier
from mabe.io.readers.file_head import Peek, read_text

_NAMED = re.compile(r"(.+) - (hh:mm:ss\.ms|ss\.msec|msec)")

_IN_ORDER = ("ss.msec", "msec", "hh:mm:ss.ms")
"""The formats of time, the one that is read first."""

_DURATION = re.compile(r"(du|da)", re.IGNORECASE)
"""*Duration*, *durée*, *Dauer*, *duración*, *duur* …; ends have other beginnings."""

_TIME = re.compile(r"(\d+:)?\d+:\d+\.\d+|\d+(\.\d+)?")

_HEAD = 12
"""The names of columns are in one of the first lines."""

_CLOSE_S = 0.002


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the times of a row are, and in which unit."""

    begin: int
    end: int
    is_duration: bool
    """Whether `end` is how long it lasted."""
    is_ms: bool
    tiers: tuple[tuple[int, str], ...] = ()
    """Columns of texts with the tiers' names; none where the first cell is the tier."""
    participant: int | None = None


def is_elan_tab(peek: Peek) -> bool:
    """Return whether a text is an export of ELAN."""
    return _named_columns(peek.rows) is not None or _bare_columns(peek) is not None


def read_elan_tab(peek: Peek) -> Content:
    """Return the annotations of all tiers."""
    named = _named_columns(peek.rows)
    columns = named[1] if named else _bare_columns(peek)
    if columns is None:
        raise DataError(f"{peek.path}: expected the columns of an export of ELAN.")
    rows = csv.reader(
        io.StringIO(read_text(peek).removeprefix("\ufeff")), delimiter=peek.delimiter
    )
    tiers: dict[tuple[str, str], list[Marked]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        is_above = named is not None and number <= named[0] + 1
        if is_above or not any(cell.strip() for cell in row):
            continue
        where = f"{peek.path}: line {number}"
        for tier, participant, marked in _marked(row, columns, where):
            tiers[tier, participant].append(marked)
    events = [
        event
        for (tier, participant), marked in tiers.items()
        for event in events_of_tier(tier, participant, marked)
    ]
    annotations = annotations_of(peek.stem, "s", events)
    return Content("ELAN annotations (text)", annotations=(annotations,))


def _named_columns(rows: Sequence[Sequence[str]]) -> tuple[int, _Columns] | None:
    """Return the row that names the columns, and the columns."""
    for at, row in enumerate(rows[:_HEAD]):
        found = [_NAMED.fullmatch(cell) for cell in row]
        for form in _IN_ORDER:
            of_form = [n for n, name in enumerate(found) if name and name[2] == form]
            if len(of_form) < 2:
                continue
            begin, end = of_form[:2]
            tiers = tuple(
                (n, cell) for n, cell in enumerate(row) if cell and not found[n]
            )
            is_duration = bool(_DURATION.match(row[end]))
            return at, _Columns(begin, end, is_duration, form == "msec", tiers)
    return None


def _bare_columns(peek: Peek) -> _Columns | None:
    """Return the columns of an export without names; None where it is none."""
    if peek.kind != "text" or peek.delimiter != "\t":
        return None
    rows = [row for row in peek.rows[:-1] or peek.rows if any(row)]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or (width := widths.pop()) < 4:
        return None
    first = 1
    if not all(_TIME.fullmatch(row[1]) for row in rows):
        first = 2
    times = [row[first:-1] for row in rows]
    if not times[0] or any(_TIME.fullmatch(row[0]) or not row[0] for row in rows):
        return None
    if not all(_TIME.fullmatch(cell) for row in times for cell in row):
        return None
    return _check_times(times, first, width)


def _check_times(
    times: Sequence[Sequence[str]], first: int, width: int
) -> _Columns | None:
    """Return the columns where begin and duration make the end, or are clock times."""
    count = width - first - 1
    participant = 1 if first == 2 else None
    if count % 3 == 0:
        step = count // 3
        sums = [
            abs(begin + duration - end)
            for row in times
            for begin, end, duration in (
                [parse_time(row[at], "") for at in (0, step, 2 * step)],
            )
        ]
        tolerance = _CLOSE_S if _is_seconds(times, 0) else 1.0
        if max(sums) <= tolerance:
            is_ms = not _is_seconds(times, 0)
            return _Columns(first, first + step, False, is_ms, (), participant)
    if count % 2 == 0 and all(
        ":" in row[0] and ":" in row[count // 2] for row in times
    ):
        return _Columns(first, first + count // 2, False, False, (), participant)
    return None


def _is_seconds(times: Sequence[Sequence[str]], column: int) -> bool:
    return any("." in row[column] or ":" in row[column] for row in times)


def _marked(
    row: Sequence[str], columns: _Columns, where: str
) -> Iterator[tuple[str, str, Marked]]:
    """Yield the annotations of a row: tier, participant, and start, stop and text."""
    cells = [cell.strip() for cell in row]
    if len(cells) <= max(columns.begin, columns.end):
        raise DataError(f"{where}: expected begin and end, found {len(cells)} cells.")
    scale = 1000 if columns.is_ms else 1
    start_s = parse_time(cells[columns.begin], where) / scale
    stop_s = parse_time(cells[columns.end], where) / scale
    if columns.is_duration:
        stop_s += start_s
    if not columns.tiers:
        at = columns.participant
        participant = "" if at is None else cells[at]
        yield cells[0], participant, Marked(start_s, stop_s, cells[-1])
    for at, tier in columns.tiers:
        if at < len(cells) and cells[at]:
            yield tier, "", Marked(start_s, stop_s, cells[at])
