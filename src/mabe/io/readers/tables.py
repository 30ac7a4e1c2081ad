"""Long tables of points, as CSV or parquet.

One row per frame, animal and keypoint, with columns such as ``frame, individual,
keypoint, x, y, confidence`` (also the challenge's ``video_frame, mouse_id, bodypart, x,
y``). A column ``video`` separates recordings. A confidence called ``likelihood`` has
DeepLabCut's usual limit.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
)
from mabe.io.readers.csv_numbers import MISSING
from mabe.io.readers.deeplabcut import ONE_ANIMAL
from mabe.io.readers.file_head import Peek
from mabe.io.readers.poses import (
    USUAL_CONFIDENCE,
    Poses,
    check_names,
    check_span,
)
from mabe.io.readers.table_batches import (
    parquet_batches,
    parquet_names,
    text_batches,
)
from mabe.io.readers.track_pieces import lay_out_pieces
from mabe.runtime.file_names import shorten

FACTS = facts.tracks(
    "long CSV, parquet of points",
    clock="`frame`, from 0",
    missing="empty, no row; a `likelihood` below 0.6",
    animals="`individual`, `mouse_id`, `track` …",
    notes="`frame, individual, keypoint, x, y[, z][, confidence]`; a column `video` "
    "separates recordings",
)


_LONG = {
    "frame": ("video_frame", "frame", "frame_idx", "frame_index", "frames"),
    "animal": (
        *("mouse_id", "individual", "individuals", "animal", "animal_id", "track"),
        *("track_id", "id", "subject"),
    ),
    "keypoint": ("bodypart", "bodyparts", "body_part", "keypoint", "keypoints", "node"),
    "x": ("x", "x_px"),
    "y": ("y", "y_px"),
    "z": ("z", "z_px"),
    "confidence": ("confidence", "likelihood", "score", "p"),
    "video": ("video", "video_id", "video_name"),
}


_NEEDED = ("frame", "keypoint", "x", "y")


_NUMBERS = ("frame", "x", "y", "z", "confidence")


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
    spreads: dict[str, _Spread] = {}
    for video, rows in _video_batches(peek):
        if video not in spreads:
            check_names(len(spreads) + 1, "video", str(peek.path))
            spreads[video] = _Spread(peek)
        spreads[video].add(rows)
    if not any(spread.rows for spread in spreads.values()):
        raise DataError(f"{peek.path}: has no row of points.")
    points = {video: _Points(spread) for video, spread in spreads.items()}
    for video, rows in _video_batches(peek):
        points[video].add(rows)
    poses = tuple(
        _describe(each.poses(), video, peek) for video, each in points.items()
    )
    return Content(f"long {kind} of points", poses=poses)


def _video_batches(peek: Peek) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield rows of points with the name of their video; empty where there is none."""
    for rows in _point_batches(peek):
        if "video" not in rows.columns:
            yield "", rows
            continue
        for part in rows.partition_by("video", maintain_order=True):
            yield str(part["video"][0] or ""), part


def _describe(poses: Poses, video: str, peek: Peek) -> Poses:
    """Return poses with the video's name, the usual limit and notes on columns."""
    names = parquet_names(peek.path) if peek.kind == "parquet" else peek.rows[0]
    column = _long_columns(names).get("confidence", "")
    is_likelihood = column.lower() == "likelihood"
    stem = re.sub(r"\.[A-Za-z0-9]{2,4}$", "", video.replace("\\", "/").split("/")[-1])
    poses = lay_out_pieces(poses)
    return replace(
        poses,
        name=stem or poses.name,
        video=video,
        usual_confidence=USUAL_CONFIDENCE if is_likelihood else 0.0,
    )


def _point_batches(peek: Peek) -> Iterator[pl.DataFrame]:
    """Yield rows of points: frame, x, y and confidence as numbers, names as strings."""
    is_parquet = peek.kind == "parquet"
    names = parquet_names(peek.path) if is_parquet else peek.rows[0]
    part_of = {name: part for part, name in _long_columns(names).items()}
    numbers = [name for name, part in part_of.items() if part in _NUMBERS]
    for table in _column_batches(peek, names, list(part_of), numbers):
        rows = table.rename(part_of)
        if not is_parquet:
            rows = _with_numbers(rows, [part_of[name] for name in numbers], peek)
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


def _with_numbers(
    rows: pl.DataFrame, columns: Sequence[str], peek: Peek
) -> pl.DataFrame:
    """Return rows whose texts in some columns are numbers, null where one is missing.

    Raises `DataError` for a text that is neither a number nor a usual mark for none.
    """
    comma = peek.delimiter == ";"
    numbers = rows.with_columns(
        _as_number(name, decimal_comma=comma) for name in columns
    )
    for name in columns:
        texts = rows[name].str.strip_chars()
        wrong = texts.is_not_null() & numbers[name].is_null() & ~texts.is_in(MISSING)
        if wrong.any():
            raise DataError(
                f"{peek.path}: expected a number in the column {shorten(name)}, found "
                f"{shorten(texts.filter(wrong)[0])}; leave the cell of a missing point "
                "empty."
            )
    return numbers


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
        self.has_confidence = self.has_z = False

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
        self.has_z |= "z" in table.columns


class _Points:
    """The points of a long table, placed row by row; of several the last one counts."""

    def __init__(self, spread: _Spread) -> None:
        self.peek = spread.peek
        self.first = int(spread.first)
        self.animals = tuple(sorted(spread.animals))
        self.keypoints = tuple(spread.keypoints)
        width = len(self.animals) * len(self.keypoints)
        check_span(
            self.first,
            int(spread.last),
            rows=spread.rows,
            values=(3 if spread.has_z else 2) * width,
            where=str(self.peek.path),
        )
        self.shape = (
            int(spread.last) - self.first + 1,
            len(self.animals),
            len(self.keypoints),
        )
        self.rows = spread.rows
        self.xy = np.full((*self.shape, 2), np.nan, np.float32)
        self.z = np.full(self.shape, np.nan, np.float32) if spread.has_z else None
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
            if self.z is not None:
                self.z[at] = table["z"].to_numpy()
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
            z_px=self.z,
            confidence=self.confidence,
            first_frame=self.first,
            notes=notes if repeated else (),
        )


def _codes(names: pl.Series, known: tuple[str, ...]) -> np.ndarray:
    places = dict(zip(known, range(len(known)), strict=True))
    return names.replace_strict(places, return_dtype=pl.Int64).to_numpy()
