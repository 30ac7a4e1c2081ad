"""A lab's own table of bouts, whose columns `project.yaml` names.

One row per bout (CSV, also with semicolons and decimal commas, or parquet). Which
column holds the action, the times or frames, the subject and the target is given, so no
name of a column is guessed; the columns that are not used are named in a note.
"""

from collections.abc import Iterator, Mapping

import polars as pl

from mabe.errors import DataError
from mabe.io.readers.annotations import (
    SELF,
    Content,
    Event,
    FileAnnotations,
    Unit,
    annotations_of,
)
from mabe.io.readers.boris_events import parse_time
from mabe.io.readers.file_head import Peek, read_text
from mabe.recording import MAX_FRAMES

_NEEDED = ("action", "start_s", "start_frame")


def has_columns(peek: Peek, columns: Mapping[str, str]) -> bool:
    """Return whether a table has the columns that are named for action and start.

    `columns` gives the table's own name of each column, by what it holds.
    """
    if peek.kind not in ("text", "parquet"):
        return False
    names = _names(peek)
    return all(columns[what] in names for what in _NEEDED if what in columns)


def _names(peek: Peek) -> list[str]:
    if peek.kind == "text":
        return peek.rows[0] if peek.rows else []
    try:
        return list(pl.read_parquet_schema(peek.path))
    except (pl.exceptions.PolarsError, OSError):
        return []  # the reader of parquet files reports it


def read_named_columns(peek: Peek, columns: Mapping[str, str]) -> Content:
    """Return the bouts of each video of a table.

    Raises `DataError` where a column is absent, or a row is no bout.
    """
    names = _names(peek)
    if lost := [name for name in columns.values() if name not in names]:
        raise DataError(
            f"{peek.path}: project.yaml: columns: it has no column {lost}; it has "
            f"{names}."
        )
    events: dict[str, list[Event]] = {}
    for where, row in _rows(peek, columns):
        video = row.get("video") or peek.stem
        events.setdefault(video, []).append(_event(where, row))
    unused = [name for name in names if name and name not in columns.values()]
    notes = [f"columns not used: {', '.join(unused)}"] if unused else []
    in_seconds = "start_s" in columns
    annotations = tuple(
        _annotations(video, those, "s" if in_seconds else "frame", columns, notes)
        for video, those in (events or {peek.stem: []}).items()
    )
    return Content("table with the columns of project.yaml", annotations=annotations)


def _annotations(
    video: str,
    events: list[Event],
    unit: Unit,
    columns: Mapping[str, str],
    notes: list[str],
) -> FileAnnotations:
    return annotations_of(
        video,
        unit,
        events,
        media=[video] if "video" in columns else [],
        is_counting_assumed=unit == "frame",
        notes=notes,
    )


def _rows(
    peek: Peek, columns: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield where each row is, and its cells by what they hold."""
    try:
        if peek.kind == "parquet":
            table = pl.read_parquet(peek.path, columns=list(columns.values()))
        else:
            table = pl.read_csv(
                read_text(peek).encode(),
                separator=peek.delimiter,
                infer_schema_length=0,
                truncate_ragged_lines=True,
            )
            table = table.rename({name: name.strip() for name in table.columns})
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{peek.path}: cannot be read as a table ({reason})."
        ) from error
    for number, row in enumerate(table.iter_rows(named=True), start=2):
        cells = {
            what: "" if row[name] is None else str(row[name]).strip()
            for what, name in columns.items()
        }
        if any(cells.values()):
            yield f"{peek.path}: line {number}", cells


def _event(where: str, row: Mapping[str, str]) -> Event:
    """Return the bout of one row; without a stop or duration it is a point event."""
    if not row["action"]:
        raise DataError(f"{where}: expected an action, found {list(row.values())}.")
    if "start_s" in row:
        start = parse_time(row["start_s"], where)
        stop = parse_time(row["stop_s"], where) if row.get("stop_s") else start
        if row.get("duration_s"):
            stop = start + parse_time(row["duration_s"], where)
    else:
        start = _frame(row["start_frame"], where)
        stop = _frame(row["stop_frame"], where) if row.get("stop_frame") else start
    if stop < start:
        raise DataError(f"{where}: stops at {stop:g}, before it starts at {start:g}.")
    subject, target = row.get("subject", ""), row.get("target", "")
    return Event(
        start,
        stop,
        row["action"],
        subject,
        SELF if subject and target == subject else target,
    )


def _frame(cell: str, where: str) -> float:
    try:
        frame = float(cell.replace(",", "."))
    except ValueError:
        frame = -1.0
    if not (0 <= frame <= MAX_FRAMES and frame.is_integer()):
        raise DataError(f"{where}: expected the number of a frame, found {cell!r}.")
    return frame
