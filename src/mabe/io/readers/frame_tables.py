"""Tables with a row for every frame or time: 0 and 1 for each behaviour, or one word.

*One-hot*: a column of 0 and 1 for each behaviour; −1 stands for frames that nobody has
annotated (DeepEthogram). A column ``background``, ``other`` (A-SOiD) or ``none`` is no
behaviour. Of several columns with one name (BORIS writes one for each modifier) any may
be 1; BORIS counts point events, so numbers above 1 are read as 1 in tables of times.

*Words*: a column of behaviours, in which ``none``, ``background``, ``other`` or nothing
stands for none of them; further columns of words (Solomon Coder) are named in a note.

A column numbers the frames (``Frame``, ``Frame number``), or gives the time in seconds
or as hh:mm:ss; without one, rows are frames from 0. A column ``animal`` (``subject``,
``mouse`` …) holds whose row it is, a column ``video`` of which recording.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
from jaxtyping import Float, Int8

from mabe.bouts import find_spans
from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
    Event,
    FileAnnotations,
    WatchedInterval,
    annotations_of,
)
from mabe.io.readers.boris_events import parse_time
from mabe.io.readers.column_names import (
    ACTIONS,
    FILLERS,
    SUBJECTS,
    VIDEOS,
    describe_unused,
    find_column,
    frame_column,
    squeeze,
    time_column,
)
from mabe.io.readers.csv_numbers import has_cut_row
from mabe.io.readers.csv_table import read_cells
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import LeftOut

FACTS = facts.labels(
    "tables of frames: one-hot (DeepEthogram, A-SOiD) or a word a row (Solomon Coder)",
    clock="frame or time of each row; without either, row 0 is frame 0",
    stop="rows",
    watched="all rows (−1: not watched), all columns",
    animals="a column animal, subject, mouse …",
    assumed="rows from 1: frame 1 is the first frame, unless the last row fits the "
    "tracks better",
    notes="`background`, `none`, `other` are no behaviours where they fill the rest",
)


_FLAGS = frozenset(("0", "1", "-1", "0.0", "1.0", "-1.0", "", "true", "false", "nan"))

_FRAME_S = 0.05
"""Rows this close are the frames of a film."""

_SAMPLES = 3
"""Fewer rows than these are no table of frames."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """The columns of a table with a row for every frame or time."""

    frame: str | None
    time: str | None
    subject: str | None
    video: str | None
    others: tuple[str, ...]

    @property
    def counter(self) -> str | None:
        """The column that numbers the rows."""
        return self.frame if self.frame is not None else self.time


def _layout(names: Sequence[str]) -> _Layout:
    frame = frame_column(names)
    time = time_column(names) if frame is None else None
    subject, video = find_column(names, SUBJECTS), find_column(names, VIDEOS)
    taken = {frame, time, subject, video}
    return _Layout(
        frame, time, subject, video, tuple(name for name in names if name not in taken)
    )


def _body(peek: Peek) -> list[dict[str, str]]:
    """Return the first whole rows below the header, by column."""
    header = peek.rows[0]
    rows = peek.rows[1:-1] if len(peek.rows) > _SAMPLES else peek.rows[1:]
    if any(len(row) != len(header) for row in rows):
        return []
    return [dict(zip(header, row, strict=True)) for row in rows]


def is_one_hot(peek: Peek) -> bool:
    """Return whether a table has 0 or 1 for each behaviour in every row."""
    if peek.kind != "text" or len(peek.rows) < _SAMPLES or len(peek.rows[0]) < 2:
        return False
    if any(re.fullmatch(r"-?\d+([.,]\d+)?", name) for name in peek.rows[0]):
        return False
    layout, rows = _layout(peek.rows[0]), _body(peek)
    flags = [row[name].lower() for row in rows for name in layout.others]
    if layout.time is not None:
        flags = ["1" if cell.isdecimal() else cell for cell in flags]
    return bool(layout.others) and any(flags) and _FLAGS.issuperset(flags)


def read_one_hot(peek: Peek) -> Content:
    """Return the intervals of ones of each behaviour, for each video and subject."""
    layout = _layout(peek.rows[0])
    table, notes = _read_rows(peek, partial(_narrow, layout=layout, peek=peek))
    found = []
    for video, of_video in _groups(table, layout.video):
        parts = [
            _flags_of(subject, those, layout, peek)
            for subject, those in _groups(of_video, layout.subject)
        ]
        found.append(_join(video, parts, layout, notes, peek))
    kind = "BORIS binary table" if layout.time is not None else "one-hot table"
    return Content(kind, annotations=tuple(found))


def _read_rows(
    peek: Peek, narrow: Callable[[pl.DataFrame, int], pl.DataFrame] | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """Return all whole rows of a table, and a note where the last is not whole."""
    header = peek.rows[0]
    table = read_cells(peek, header, narrow=narrow)
    if has_cut_row(peek, len(header)):
        return table[:-1], ["the last row is cut off and was left out"]
    return table, []


def _groups(table: pl.DataFrame, column: str | None) -> list[tuple[str, pl.DataFrame]]:
    """Return the rows of each text in a column; all of them where there is none."""
    if column is None:
        return [("", table)]
    parts = table.partition_by(column, maintain_order=True)
    return [(str(part[column][0] or ""), part) for part in parts]


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one subject."""

    subject: str
    start: float
    step: float
    length: int
    flags: Mapping[str, Int8[np.ndarray, " row"]]
    """1 where a behaviour occurs, 0 where not, −1 where nobody watched."""
    notes: tuple[str, ...] = ()
    lists_behaviours: bool = True
    """False where only those that occurred are known."""

    def intervals(self, *, from_flag: int) -> Iterator[tuple[float, float, str, str]]:
        """Yield (start, stop, behaviour, subject) where flags are at least so much."""
        for name, flags in self.flags.items():
            for first, stop in find_spans(flags >= from_flag).tolist():
                start = self.start + self.step * first
                yield start, self.start + self.step * stop, name, self.subject


def _flags_of(subject: str, rows: pl.DataFrame, layout: _Layout, peek: Peek) -> _Part:
    """Return the flags of one subject's rows."""
    start, step = _steps(rows, layout, peek)
    flags: dict[str, np.ndarray] = {}
    notes = []
    for column, name in zip(rows.columns, peek.rows[0], strict=True):
        if name not in layout.others:
            continue
        values = rows[column].to_numpy()
        if name in flags:
            values = np.maximum(flags[name], values)
            notes.append(f"several columns {name!r}: 1 where any of them is")
        flags[name] = values
    fillers = [name for name in flags if squeeze(name) in FILLERS]
    if len(fillers) < len(flags):
        for name in fillers:
            del flags[name]
        notes += [f"column {name!r}: no behaviour" for name in fillers]
    return _Part(subject, start, step, len(rows), flags, tuple(dict.fromkeys(notes)))


def _narrow(
    rows: pl.DataFrame, before: int, *, layout: _Layout, peek: Peek
) -> pl.DataFrame:
    """Return rows with a byte for each flag; `before` is the number of rows before."""
    is_count = layout.time is not None
    return rows.with_columns(
        pl.Series(column, _flags(rows[column], name, peek, before, is_count=is_count))
        for column, name in zip(rows.columns, peek.rows[0], strict=True)
        if name in layout.others
    )


def _flags(
    cells: pl.Series, name: str, peek: Peek, before: int, *, is_count: bool
) -> Int8[np.ndarray, " row"]:
    """Return a column of 0, 1 and −1; a blank is 0."""
    texts = cells.fill_null("0").str.to_lowercase()
    texts = texts.replace({"true": "1", "false": "0"})
    if peek.delimiter != ",":
        texts = texts.str.replace(",", ".", literal=True)
    values = texts.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy().copy()
    if is_count:
        values[(values > 1) & (values % 1 == 0)] = 1
    bad = ~np.isin(values, (0, 1, -1))
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{peek.path}: expected 0 or 1 for {name!r}, row {before + row + 1}, found "
            f"{cells[row]!r}."
        )
    return values.astype(np.int8)


def _counted(cells: pl.Series, where: str) -> Float[np.ndarray, " row"]:
    """Return a column of numbers of frames, or of times in any form, as numbers."""
    plain = cells.cast(pl.Float64, strict=False)
    if not plain.null_count():
        return plain.to_numpy()
    return np.array([parse_time(cell, where) for cell in cells.fill_null("").to_list()])


def _steps(rows: pl.DataFrame, layout: _Layout, peek: Peek) -> tuple[float, float]:
    """Return the first time or frame, and the step between rows, which is constant."""
    if layout.counter is None:
        return 0.0, 1.0
    counted = _counted(rows[layout.counter], f"{peek.path}: column {layout.counter!r}")
    if len(counted) < 2:
        return float(counted[0]), 1.0
    steps = np.diff(counted)
    step = float(np.median(steps))
    # Times of 29.97 Hz may be written with two decimals.
    slack = max(1e-6, min(0.011, 0.4 * abs(step)) if layout.time else 2e-3 * abs(step))
    if not step > 0 or not np.allclose(steps, step, rtol=0, atol=slack):
        at = int(np.argmax(~np.isclose(steps, step, rtol=0, atol=slack)))
        raise DataError(
            f"{peek.path}: rows should be {step:g} apart; after {counted[at]:g} comes "
            f"{counted[at + 1]:g}. Were rows lost or doubled?"
        )
    if layout.time is None and step != 1:
        raise DataError(f"{peek.path}: frames are {step:g} apart; expected each one.")
    if layout.time is not None:
        step = float((counted[-1] - counted[0]) / (len(counted) - 1))
    return float(counted[0]), round(step, 9)


def _join(
    video: str,
    parts: Sequence[_Part],
    layout: _Layout,
    notes: Sequence[str],
    peek: Peek,
) -> FileAnnotations:
    """Return the events of all subjects of one video."""
    events = [Event(*each) for part in parts for each in part.intervals(from_flag=1)]
    notes = [*notes, *(note for part in parts for note in part.notes)]
    in_seconds = layout.time is not None
    if in_seconds and parts[0].step > _FRAME_S:
        notes.append(
            f"sampled every {parts[0].step:.4g} s: shorter events may be missing"
        )
    is_open = layout.frame is not None and any(part.start == 1 for part in parts)
    stem = re.sub(r"\.[A-Za-z0-9]{2,4}$", "", video)
    return annotations_of(
        stem or peek.stem,
        "s" if in_seconds else "frame",
        events,
        behaviours=dict.fromkeys(name for part in parts for name in part.flags),
        lists_behaviours=all(part.lists_behaviours for part in parts),
        subjects=[part.subject for part in parts if part.subject],
        length=max(part.start + part.step * part.length for part in parts),
        media=[stem] if stem else [],
        watched=_watched(parts),
        is_counting_assumed=is_open,
        counted_from=1 if is_open else None,
        notes=tuple(dict.fromkeys(notes)),
    )


def _watched(parts: Sequence[_Part]) -> list[WatchedInterval] | None:
    """Return when each behaviour was watched for; None where it was all the time."""
    if not any((flags < 0).any() for part in parts for flags in part.flags.values()):
        return None
    return [
        WatchedInterval(*each) for part in parts for each in part.intervals(from_flag=0)
    ]


def is_words(peek: Peek) -> bool:
    """Return whether a table has a word for the behaviour in every row."""
    if peek.kind != "text" or len(peek.rows) <= _SAMPLES or len(peek.rows[0]) < 2:
        return False
    layout, rows = _layout(peek.rows[0]), _body(peek)
    if layout.counter is None or not rows or not layout.others:
        return False
    if not all(re.fullmatch(r"[\d:.,]+", row[layout.counter]) for row in rows):
        return False
    wordy = [name for name in layout.others if _is_wordy(row[name] for row in rows)]
    is_solomon = layout.time is not None and len(wordy) == len(layout.others)
    named = find_column(layout.others, ACTIONS)
    return named in wordy or (is_solomon and bool(wordy))


def _is_wordy(cells: Iterable[str]) -> bool:
    """Return whether cells are words, of which there are few, or blank."""
    words = {cell for cell in cells if cell}
    has_number = any(re.fullmatch(r"-?[\d.,]+", word) for word in words)
    return not has_number and len(words) < 100


def read_words(peek: Peek) -> Content:
    """Return the intervals of each word, for each video and subject."""
    layout = _layout(peek.rows[0])
    column = find_column(layout.others, ACTIONS)
    if column is None:
        raise LeftOut(
            peek.path,
            "a table with a row for every time and several columns of words (Solomon "
            "Coder): call the one that holds the behaviours Behaviour.",
        )
    table, notes = _read_rows(peek)
    used = (layout.frame, layout.time, layout.subject, layout.video, column)
    notes += describe_unused(peek.rows[0], used)
    found = []
    for video, of_video in _groups(table, layout.video):
        parts = [
            _words_of(subject, those, column, layout, peek)
            for subject, those in _groups(of_video, layout.subject)
        ]
        found.append(_join(video, parts, layout, notes, peek))
    return Content("table of frames with a word each", annotations=tuple(found))


def _words_of(
    subject: str, rows: pl.DataFrame, column: str, layout: _Layout, peek: Peek
) -> _Part:
    """Return where each word of a column stands."""
    start, step = _steps(rows, layout, peek)
    cells = np.array(rows[column].fill_null("").to_list())
    words = [
        each for each in dict.fromkeys(cells.tolist()) if squeeze(each) not in FILLERS
    ]
    flags = {word: (cells == word).astype(np.int8) for word in words}
    return _Part(subject, start, step, len(rows), flags, lists_behaviours=False)
