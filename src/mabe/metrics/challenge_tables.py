"""The challenge's solution and submission tables, checked and in one form.

A *marks* table has the text columns ``video, agent, target, action`` (a solution's also
``lab``) and the whole numbers ``start, stop``: half-open spans in frames of the video.
An *entries* table has ``lab, video, entry``, an entry being what `behaviors_labeled`
lists: ``mouse1,mouse2,attack`` or ``mouse1,self,rear``. Ids are converted to text, so
that video 101 is the same whether a table holds it as a number or as text.

Errors are `TableError`, and also of the types that the organisers' code raises.
"""

import functools
from dataclasses import dataclass
from typing import Any

import polars as pl

from mabe.errors import DataError
from mabe.runtime.documents import parse_json

BOUT_COLUMNS = (
    "video_id",
    "agent_id",
    "target_id",
    "action",
    "start_frame",
    "stop_frame",
)


LAB_COLUMN = "lab_id"


LIST_COLUMN = "behaviors_labeled"


WATCHED_COLUMNS = (LAB_COLUMN, *BOUT_COLUMNS[:4])


ENTRY = pl.concat_str("agent", "target", "action", separator=",")
"""The entry of each mark."""


MOST_FRAMES = 2**40
"""Larger frame numbers are treated as damaged; 290 years at 120 fps."""


class TableError(DataError, ValueError):
    """A table of bouts is empty, lacks a column, or has values of the wrong kind."""


class MissingColumnError(TableError, pl.exceptions.ColumnNotFoundError):
    """A table has no such column."""


class ValueKindError(TableError, TypeError):
    """A value is missing, or is not a whole number where one is required."""


class BackwardsError(TableError, AssertionError):
    """A bout stops before it starts."""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """A solution and a submission that can be scored."""

    labels: pl.DataFrame
    """Marks of the solution, with their lab, in its order."""
    lists: pl.DataFrame
    """``lab, video, listed`` of each row of the solution; empty if it has no lists."""
    predictions: pl.DataFrame
    """Marks of the submission."""


def open_tables(
    solution: Any, submission: Any, *, lists_needed: bool, may_be_empty: bool = False
) -> Tables:
    """Return both tables, checked.

    They may be frames of polars, pandas or pyarrow, dicts of columns, or lists of rows.
    Raises `TableError` where something cannot be scored.
    """
    solution, submission = as_frame(solution), as_frame(submission)
    for table, name in ((solution, "solution"), (submission, "submission")):
        check_bouts(table, name, may_be_empty=may_be_empty)
    check_labs(solution, "solution", lists_needed=lists_needed)
    lab = as_text(solution, LAB_COLUMN).alias("lab")
    labels = _marks(solution).with_columns(lab)
    if LIST_COLUMN in solution.columns:
        lists = labels.select("lab", "video", listed=solution[LIST_COLUMN])
    else:
        lists = labels.select("lab", "video", listed=pl.lit("[]")).clear()
    return Tables(labels, lists, _marks(submission))


def as_frame(table: Any) -> pl.DataFrame:
    """Return a polars frame; pandas is used only for a pandas frame."""
    return table.collect() if isinstance(table, pl.LazyFrame) else pl.DataFrame(table)


def check_bouts(table: pl.DataFrame, name: str, *, may_be_empty: bool = False) -> None:
    """Raise `TableError` unless every row is a bout; `name` is for the message."""
    if table.is_empty() and not may_be_empty:
        raise TableError(f"{name}: expected at least one bout, found no row.")
    _check_columns(table, BOUT_COLUMNS, name)
    start, stop = table["start_frame"], table["stop_frame"]
    for column in (start, stop):
        if not column.dtype.is_integer():
            raise ValueKindError(
                f"{name}: {column.name} must hold whole numbers, found {column.dtype}; "
                "are there fractions, text or empty cells?"
            )
    _check_given(table, ("action", "start_frame", "stop_frame"), name)
    if (backwards := (start > stop)).any():
        row = backwards.arg_max() or 0
        raise BackwardsError(
            f"{name}: row {row}: expected start_frame <= stop_frame, found "
            f"{start[row]} and {stop[row]}; swap or drop it."
        )
    for column in (start, stop):
        # As Python's numbers, because the limit does not fit into narrow columns.
        ends = table.select(pl.min(column.name), high=pl.max(column.name)).row(0)
        if len(table) and any(abs(frame) > MOST_FRAMES for frame in ends):
            raise ValueKindError(
                f"{name}: {column.name} must lie within {MOST_FRAMES:,} frames of 0, "
                "and does not; is the file broken?"
            )


def check_labs(table: pl.DataFrame, name: str, *, lists_needed: bool) -> None:
    """Raise `TableError` unless every row of a solution names its lab and video."""
    needed = (LAB_COLUMN, LIST_COLUMN) if lists_needed else (LAB_COLUMN,)
    _check_columns(table, needed, name)
    _check_given(table, WATCHED_COLUMNS, name)


def _check_columns(table: pl.DataFrame, needed: tuple[str, ...], name: str) -> None:
    """Raise `MissingColumnError` unless all are there."""
    if missing := [column for column in needed if column not in table.columns]:
        raise MissingColumnError(
            f"{name}: no column {missing}; it has {table.columns}. Is this the right "
            "table?"
        )


def _check_given(table: pl.DataFrame, columns: tuple[str, ...], name: str) -> None:
    """Raise `ValueKindError` where a value is absent."""
    for column in columns:
        if table[column].null_count():
            row = table[column].is_null().arg_max()
            raise ValueKindError(
                f"{name}: row {row}: {column} is empty; it must be given in every row."
            )


def _marks(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows as marks."""
    return pl.DataFrame(
        [
            as_text(table, "video_id").alias("video"),
            as_text(table, "agent_id").alias("agent"),
            as_text(table, "target_id").alias("target"),
            as_text(table, "action"),
            table["start_frame"].cast(pl.Int64).alias("start"),
            table["stop_frame"].cast(pl.Int64).alias("stop"),
        ]
    )


def as_text(table: pl.DataFrame, column: str) -> pl.Series:
    """Return a column as text; whole numbers that came as floats lose their ``.0``."""
    values = table[column]
    if values.dtype.is_float() and (values == values.round()).all():
        values = values.cast(pl.Int64)
    return values.cast(pl.String)


def watched_entries(watched: Any, name: str = "watched") -> pl.DataFrame:
    """Return the entries of a table with the columns `WATCHED_COLUMNS`."""
    table = as_frame(watched)
    _check_columns(table, WATCHED_COLUMNS, name)
    _check_given(table, WATCHED_COLUMNS, name)
    names = ("lab", "video", "agent", "target", "action")
    columns = zip(WATCHED_COLUMNS, names, strict=True)
    return pl.DataFrame(
        [as_text(table, column).alias(short) for column, short in columns]
    ).select("lab", "video", entry=ENTRY)


def read_lists(lists: pl.DataFrame) -> pl.DataFrame:
    """Return the entries of a frame ``lab, video, listed``, as they are written.

    Raises `ValueKindError` where a list is absent and `TableError` where it is none.
    """
    lists = lists.unique(maintain_order=True)
    entries = [
        _parse_list(listed, video)
        for video, listed in lists.select("video", "listed").iter_rows()
    ]
    return (
        lists.select("lab", "video")
        .with_columns(entry=pl.Series(entries, dtype=pl.List(pl.String)))
        .explode("entry")
        .drop_nulls()
    )


def clean_entries(entries: pl.DataFrame) -> pl.DataFrame:
    """Return entries without stray quotes and spaces: ``'mouse1','self','rear'``."""
    bare = pl.col("entry").str.strip_chars(" '\"")
    return entries.with_columns(entry=bare.str.replace_all(r"[\s'\"]*,[\s'\"]*", ","))


def _parse_list(listed: object, video: str) -> tuple[str, ...]:
    """Return what one `behaviors_labeled` lists."""
    if not isinstance(listed, str):
        raise ValueKindError(
            f"solution: video {video}: {LIST_COLUMN} must be a JSON list, found "
            f"{listed!r}; every row of a solution needs the list of its video."
        )
    try:
        return _parse_json_list(listed)
    except ValueError as error:
        raise TableError(
            f"solution: video {video}: {LIST_COLUMN} must be a JSON list like "
            f'["mouse1,mouse2,sniff"], found {listed[:40]!r} ({error}).'
        ) from error


@functools.lru_cache(maxsize=1024)  # a lab's videos share a handful of lists
def _parse_json_list(text: str) -> tuple[str, ...]:
    entries = parse_json(text)
    if not isinstance(entries, list):
        raise ValueError(f"it is a {type(entries).__name__}")
    return tuple(entry for entry in entries if isinstance(entry, str))
