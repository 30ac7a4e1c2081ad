"""Generic tables: long tables of points, tables of bouts, one-hot tables.

Long (CSV or parquet): one row per frame, animal and keypoint, with columns such as
``frame, individual, keypoint, x, y, confidence`` (also the challenge's ``video_frame,
mouse_id, bodypart, x, y``). Bouts (CSV or parquet): one row per bout, with ``action,
start_frame, stop_frame`` and, where they are known, ``video``, ``agent`` and ``target``
(also with the names of the challenge's annotations and submissions). One-hot (CSV): one
row per frame or time, a column that numbers them (``Frame``, or BORIS's ``time`` in
seconds), and 0 or 1 for each behaviour.
"""

import re

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
from mabe.io.readers.file_head import Peek, read_text
from mabe.io.readers.kaggle_tracks import MAX_FRAMES
from mabe.io.readers.poses import Poses, check_span
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
        return bool(_long_columns(_parquet_names(peek)))
    return peek.kind == "text" and bool(peek.rows) and bool(_long_columns(peek.rows[0]))


def _parquet_names(peek: Peek) -> list[str]:
    try:
        return list(pl.read_parquet_schema(peek.path))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{peek.path}: cannot be read as parquet ({reason}); copy it again."
        ) from error


def read_long(peek: Peek) -> Content:
    """Return the tracks of a long table."""
    is_parquet = peek.kind == "parquet"
    names = _parquet_names(peek) if is_parquet else peek.rows[0]
    part_of = {name: part for part, name in _long_columns(names).items()}
    table = _read_columns(peek, list(part_of))
    table = table.rename({name: part_of[name] for name in table.columns})
    if "animal" not in table.columns:
        table = table.with_columns(animal=pl.lit(ONE_ANIMAL))
    numbers = [
        name for name in ("frame", "x", "y", "confidence") if name in table.columns
    ]
    comma = not is_parquet and peek.delimiter == ";"
    table = table.with_columns(
        pl.col("animal", "keypoint").cast(pl.String),
        *(_as_number(name, decimal_comma=comma) for name in numbers),
    )
    kind = "parquet" if is_parquet else "CSV"
    return Content(f"long {kind} of points", poses=(_place(table, peek),))


def _read_columns(peek: Peek, names: list[str]) -> pl.DataFrame:
    """Return some columns of a table; those of CSV as strings."""
    try:
        if peek.kind == "parquet":
            return pl.read_parquet(peek.path, columns=names)
        return pl.read_csv(
            read_text(peek).encode(),
            separator=peek.delimiter,
            columns=names,
            infer_schema_length=0,
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{peek.path}: cannot be read as a table ({reason}); was it cut off?"
        ) from error


def _as_number(name: str, *, decimal_comma: bool) -> pl.Expr:
    texts = pl.col(name)
    if decimal_comma:
        texts = texts.cast(pl.String).str.replace(",", ".", literal=True)
    return texts.cast(pl.Float64, strict=False)


def _place(table: pl.DataFrame, peek: Peek) -> Poses:
    """Return the points of all rows as an array."""
    frames = table["frame"].to_numpy()
    if not len(frames) or not np.isfinite(frames).all() or (frames % 1).any():
        raise DataError(f"{peek.path}: every row needs a whole frame number.")
    if table["keypoint"].null_count() or table["animal"].null_count():
        raise DataError(f"{peek.path}: every row needs an animal and a keypoint.")
    first, last = int(frames.min()), int(frames.max())
    animals = tuple(table["animal"].unique().drop_nulls().sort().to_list())
    keypoints = tuple(
        table["keypoint"].unique(maintain_order=True).drop_nulls().to_list()
    )
    shape = (last - first + 1, len(animals), len(keypoints))
    width = 2 * len(animals) * len(keypoints)
    check_span(first, last, rows=len(frames), values=width, where=str(peek.path))
    at = (
        (frames - first).astype(np.int64),
        _codes(table["animal"], animals),
        _codes(table["keypoint"], keypoints),
    )
    xy = np.full((*shape, 2), np.nan, np.float32)
    xy[at] = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)
    confidence = None
    if "confidence" in table.columns:
        confidence = np.full(shape, np.nan, np.float32)
        confidence[at] = table["confidence"].to_numpy()
    repeated = len(frames) - len(np.unique(np.ravel_multi_index(at, shape)))
    notes = (f"points given twice: {repeated}, the last one is used",)
    return Poses(
        name=peek.stem,
        animals=animals,
        keypoints=keypoints,
        xy_px=xy,
        confidence=confidence,
        first_frame=first,
        notes=notes if repeated else (),
    )


def _codes(names: pl.Series, known: tuple[str, ...]) -> np.ndarray:
    place = {name: at for at, name in enumerate(known)}
    return np.array([place[name] for name in names.to_list()], np.int64)


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
        return bool(_bout_columns(_parquet_names(peek)))
    return peek.kind == "text" and bool(peek.rows) and bool(_bout_columns(peek.rows[0]))


def read_bouts(peek: Peek) -> Content:
    """Return the bouts of each video of a table."""
    is_parquet = peek.kind == "parquet"
    part_of = {
        name: part
        for part, name in _bout_columns(
            _parquet_names(peek) if is_parquet else peek.rows[0]
        ).items()
    }
    table = _read_columns(peek, list(part_of)).rename(part_of)
    events: dict[str, list[Event]] = {}
    for number, row in enumerate(table.iter_rows(named=True), start=1):
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
                f"later one, found {list(row.values())}."
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
