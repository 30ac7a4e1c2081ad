"""Generic tables: long tables of points, tables of bouts, one-hot tables.

Long (CSV or parquet): one row per frame, animal and keypoint, with columns such as
``frame, individual, keypoint, x, y, confidence`` (also the challenge's ``video_frame,
mouse_id, bodypart, x, y``). Bouts (CSV or parquet): one row per bout, with ``action,
start_frame, stop_frame`` and, where they are known, ``video``, ``agent`` and ``target``
(also with the names of the challenge's annotations and submissions). One-hot (CSV): one
row per frame or time, a column that numbers them (``Frame``, or BORIS's ``time`` in
seconds), and 0 or 1 for each behaviour.
"""

import math
import re
import reprlib
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from mabe.errors import DataError
from mabe.io.readers.annotations import (
    SELF,
    Content,
    Event,
    annotations_of,
    events_of_columns,
)
from mabe.io.readers.csv_numbers import has_cut_row, read_numbers
from mabe.io.readers.deeplabcut import ONE_ANIMAL
from mabe.io.readers.file_head import Peek
from mabe.io.readers.kaggle_tracks import MAX_FRAMES
from mabe.io.readers.poses import Poses, check_names, check_span
from mabe.io.readers.table_batches import (
    parquet_batches,
    parquet_names,
    text_batches,
)
from mabe.runtime.csv_cells import text_of

_LONG = {
    "frame": ("video_frame", "frame", "frame_idx", "frame_index", "frames"),
    "animal": (
        *("mouse_id", "individual", "individuals", "animal", "animal_id", "track"),
        *("track_id", "id", "subject"),
    ),
    "keypoint": ("bodypart", "bodyparts", "body_part", "keypoint", "keypoints", "node"),
    "x": ("x", "x_px"),
    "y": ("y", "y_px"),
    "confidence": ("confidence", "likelihood", "score", "p"),
}


_BOUTS = {
    "video": ("video", "video_id"),
    "agent": ("agent", "agent_id"),
    "target": ("target", "target_id"),
    "action": ("action", "class", "behaviour", "behavior"),
    "start": ("start_frame",),
    "stop": ("stop_frame",),
}


_NEEDED = ("frame", "keypoint", "x", "y")


_NUMBERS = ("frame", "x", "y", "confidence")


_FRAME_NAMES = (
    "frame",
    "frames",
    "frame_idx",
    "frame_index",
    "index",
    "",
    "unnamed: 0",
)


_TIME_NAMES = ("time", "time_s", "time (s)", "seconds")


_ONE_HOT = ("0", "1", "0.0", "1.0", "", "true", "false")


def _long_columns(names: list[str]) -> dict[str, str]:
    """Return the column of each part of a long table; none where one is missing."""
    lower = {name.lower(): name for name in names}
    found = {
        part: next(lower[name] for name in known if name in lower)
        for part, known in _LONG.items()
        if any(name in lower for name in known)
    }
    return found if all(part in found for part in _NEEDED) else {}


def is_long(peek: Peek) -> bool:
    """Return whether a file is a long table of points."""
    if peek.kind == "parquet":
        return bool(_long_columns(parquet_names(peek.path)))
    return peek.kind == "text" and bool(peek.rows) and bool(_long_columns(peek.rows[0]))


def read_long(peek: Peek) -> Content:
    """Return the tracks of a long table, which is gone through twice."""
    kind = "parquet" if peek.kind == "parquet" else "CSV"
    spread = _Spread(peek)
    for rows in _point_batches(peek):
        spread.add(rows)
    points = _Points(spread)
    for rows in _point_batches(peek):
        points.add(rows)
    return Content(f"long {kind} of points", poses=(points.poses(),))


def _point_batches(peek: Peek) -> Iterator[pl.DataFrame]:
    """Yield rows of points: frame, x, y and confidence as numbers, names as strings."""
    is_parquet = peek.kind == "parquet"
    names = parquet_names(peek.path) if is_parquet else peek.rows[0]
    part_of = {name: part for part, name in _long_columns(names).items()}
    numbers = [name for name, part in part_of.items() if part in _NUMBERS]
    for table in _column_batches(peek, names, list(part_of), numbers):
        rows = table.rename(part_of)
        if not is_parquet:
            comma = peek.delimiter == ";"
            rows = rows.with_columns(
                _as_number(part_of[name], decimal_comma=comma) for name in numbers
            )
        if "animal" not in rows.columns:
            rows = rows.with_columns(animal=pl.lit(ONE_ANIMAL))
        yield rows


def _column_batches(
    peek: Peek, header: list[str], names: list[str], numbers: Sequence[str] = ()
) -> Iterator[pl.DataFrame]:
    """Yield some columns of a table; those of CSV as strings."""
    if peek.kind == "parquet":
        yield from parquet_batches(peek.path, names, numbers=numbers)
        return
    places = [header.index(name) for name in names]
    batches = text_batches(peek, skip_lines=1, columns=len(header), only=sorted(places))
    own = {str(place): name for place, name in zip(places, names, strict=True)}
    for table in batches:
        yield table.rename(own)


def _as_number(name: str, *, decimal_comma: bool) -> pl.Expr:
    texts = pl.col(name)
    if decimal_comma:
        texts = texts.str.replace(",", ".", literal=True)
    return texts.str.strip_chars().cast(pl.Float64, strict=False)


class _Spread:
    """What frames, animals and keypoints the rows of a long table have."""

    def __init__(self, peek: Peek) -> None:
        self.peek = peek
        self.rows = 0
        self.first, self.last = math.inf, -math.inf
        self.animals: dict[str, None] = {}
        self.keypoints: dict[str, None] = {}
        self.has_confidence = False

    def add(self, table: pl.DataFrame) -> None:
        """Note what some more rows have; raises `DataError` where a row lacks it."""
        if not table.height:
            return
        frames = table["frame"].to_numpy()
        if not np.isfinite(frames).all() or (frames % 1).any():
            raise DataError(f"{self.peek.path}: every row needs a whole frame number.")
        if table["keypoint"].null_count() or table["animal"].null_count():
            raise DataError(
                f"{self.peek.path}: every row needs an animal and a keypoint."
            )
        self.rows += table.height
        self.first = min(self.first, float(frames.min()))
        self.last = max(self.last, float(frames.max()))
        for kind, known in (("animal", self.animals), ("keypoint", self.keypoints)):
            known.update(
                dict.fromkeys(table[kind].unique(maintain_order=True).to_list())
            )
            check_names(len(known), kind, str(self.peek.path))
        self.has_confidence |= "confidence" in table.columns


class _Points:
    """The points of a long table, placed row by row; of several the last one counts."""

    def __init__(self, spread: _Spread) -> None:
        self.peek = spread.peek
        if not spread.rows:
            raise DataError(f"{self.peek.path}: has no row of points.")
        self.first = int(spread.first)
        self.animals = tuple(sorted(spread.animals))
        self.keypoints = tuple(spread.keypoints)
        width = len(self.animals) * len(self.keypoints)
        check_span(
            self.first,
            int(spread.last),
            rows=spread.rows,
            values=2 * width,
            where=str(self.peek.path),
        )
        self.shape = (
            int(spread.last) - self.first + 1,
            len(self.animals),
            len(self.keypoints),
        )
        self.rows = spread.rows
        self.xy = np.full((*self.shape, 2), np.nan, np.float32)
        self.given = np.zeros(self.shape, bool)
        self.confidence = (
            np.full(self.shape, np.nan, np.float32) if spread.has_confidence else None
        )

    def add(self, table: pl.DataFrame) -> None:
        """Place some more rows."""
        at = (
            (table["frame"].to_numpy() - self.first).astype(np.int64),
            _codes(table["animal"], self.animals),
            _codes(table["keypoint"], self.keypoints),
        )
        with np.errstate(over="ignore"):  # infinite, hence missing
            self.xy[at] = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], 1)
            if self.confidence is not None:
                self.confidence[at] = table["confidence"].to_numpy()
        self.given[at] = True

    def poses(self) -> Poses:
        """Return what was placed."""
        repeated = self.rows - int(np.count_nonzero(self.given))
        notes = (f"points given twice: {repeated}, the last one is used",)
        return Poses(
            name=self.peek.stem,
            animals=self.animals,
            keypoints=self.keypoints,
            xy_px=self.xy,
            confidence=self.confidence,
            first_frame=self.first,
            notes=notes if repeated else (),
        )


def _codes(names: pl.Series, known: tuple[str, ...]) -> np.ndarray:
    places = dict(zip(known, range(len(known)), strict=True))
    return names.replace_strict(places, return_dtype=pl.Int64).to_numpy()


def _bout_columns(names: list[str]) -> dict[str, str]:
    """Return the column of each part of a bout; none where one is missing."""
    found = {
        part: next(name for name in known if name in names)
        for part, known in _BOUTS.items()
        if any(name in names for name in known)
    }
    return found if all(part in found for part in ("action", "start", "stop")) else {}


def is_bouts(peek: Peek) -> bool:
    """Return whether a file is a table of bouts in frames."""
    if peek.kind == "parquet":
        return bool(_bout_columns(parquet_names(peek.path)))
    return peek.kind == "text" and bool(peek.rows) and bool(_bout_columns(peek.rows[0]))


def read_bouts(peek: Peek) -> Content:
    """Return the bouts of each video of a table."""
    is_parquet = peek.kind == "parquet"
    part_of = {
        name: part
        for part, name in _bout_columns(
            parquet_names(peek.path) if is_parquet else peek.rows[0]
        ).items()
    }
    header = parquet_names(peek.path) if is_parquet else peek.rows[0]
    batches = _column_batches(peek, header, list(part_of))
    rows = (row for table in batches for row in table.rename(part_of).rows(named=True))
    events: dict[str, list[Event]] = {}
    for number, row in enumerate(rows, start=1):
        texts = {
            part: "" if cell is None else text_of(str(cell))
            for part, cell in row.items()
        }
        try:
            start, stop = int(texts["start"]), int(texts["stop"])
        except ValueError:
            start, stop = -1, -1
        if not 0 <= start < stop <= MAX_FRAMES or not texts["action"]:
            raise DataError(
                f"{peek.path}: row {number}: expected an action from a frame to a "
                f"later one, found {reprlib.repr(list(row.values()))}."
            )
        agent, target = (_animal(texts.get(part, "")) for part in ("agent", "target"))
        if agent and target == agent:
            target = SELF
        events.setdefault(texts.get("video", peek.stem), []).append(
            Event(start, stop, texts["action"], agent, target)
        )
    events = events or {peek.stem: []}
    annotations = tuple(
        annotations_of(name, "frame", those) for name, those in events.items()
    )
    return Content("table of bouts", annotations=annotations)


def _animal(name: str) -> str:
    """Return an animal's name; a number is that of the challenge's mouse."""
    return f"mouse{name}" if name.isdecimal() else name


def is_one_hot(peek: Peek) -> bool:
    """Return whether a table has 0 or 1 for each behaviour in every row."""
    if peek.kind != "text" or len(peek.rows) < 3 or len(peek.rows[0]) < 2:
        return False
    header, body = peek.rows[0], peek.rows[1:-1]
    if any(_is_number(name) for name in header):
        return False
    at = _counter(header)
    values = [cell.lower() for row in body for n, cell in enumerate(row) if n != at]
    return all(cell in _ONE_HOT for cell in values) and any(values)


def _counter(header: list[str]) -> int | None:
    """Return the column that numbers the frames or seconds, if there is one."""
    known = (*_FRAME_NAMES, *_TIME_NAMES)
    return next((at for at, name in enumerate(header) if name.lower() in known), None)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d+([.,]\d+)?", text))


def read_one_hot(peek: Peek) -> Content:
    """Return the intervals of ones of each behaviour."""
    header = peek.rows[0]
    table = read_numbers(peek, skip_rows=1, columns=len(header))
    notes: tuple[str, ...] = ()
    if has_cut_row(peek, len(header)):
        table, notes = table[:-1], ("the last row is cut off and was left out",)
    at = _counter(header)
    start, step = (0.0, 1.0) if at is None else _steps(table[:, at], peek)
    in_seconds = at is not None and header[at].lower() in _TIME_NAMES
    shown = [n for n in range(len(header)) if n != at]
    values, names = table[:, shown], [header[n] for n in shown]
    bad = ~(np.isin(values, (0, 1)) | np.isnan(values))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{peek.path}: expected 0 or 1 for {names[column]!r}, row {row + 1}, found "
            f"{values[row, column]:g}."
        )
    columns = {name: values[:, n] == 1 for n, name in enumerate(names)}
    if not in_seconds and step != 1:
        raise DataError(f"{peek.path}: frames are {step:g} apart; expected each one.")
    if in_seconds:
        notes += (f"sampled every {step:g} s: shorter events may be missing",)
    annotations = annotations_of(
        peek.stem,
        "s" if in_seconds else "frame",
        events_of_columns(columns, start=start, step=step),
        behaviours=columns,
        length=start + step * len(table),
        notes=notes,
    )
    kind = "BORIS binary table" if in_seconds else "one-hot table"
    return Content(kind, annotations=(annotations,))


def _steps(counted: np.ndarray, peek: Peek) -> tuple[float, float]:
    """Return the first time or frame, and the step between rows, which is constant."""
    if len(counted) < 2:
        return float(counted[0]), 1.0
    steps = np.diff(counted)
    step = float(np.median(steps))
    if not step > 0 or not np.allclose(steps, step, rtol=1e-3, atol=1e-6):
        at = int(np.argmax(~np.isclose(steps, step, rtol=1e-3, atol=1e-6)))
        raise DataError(
            f"{peek.path}: rows should be {step:g} apart; after {counted[at]:g} comes "
            f"{counted[at + 1]:g}. Were rows lost or doubled?"
        )
    return float(counted[0]), step
