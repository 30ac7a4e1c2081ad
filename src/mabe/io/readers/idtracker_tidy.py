"""Tidy trajectories of idtracker.ai, from version 6.0.13: CSV and parquet.

A row for each frame and animal: ``frame`` (from 0), ``time`` (s), ``individual`` (a
number from 0), ``x``, ``y`` (pixels of the video, y downwards; empty where the animal
was not identified) and ``probability`` (that the identity is right). The attributes of
the session are in ``attributes_tidy.json`` beside the CSV, and in the parquet file
under the key ``idtrackerai_attributes``.

Source: idtracker.ai's documentation ("Output structure", formats of trajectories).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet

from mabe.errors import DataError
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_numbers import read_numbers
from mabe.io.readers.file_head import Peek
from mabe.io.readers.idtracker import poses_of, read_attributes
from mabe.io.readers.poses import check_names, check_span
from mabe.io.readers.table_batches import parquet_batches, parquet_names
from mabe.runtime.documents import parse_json

_COLUMNS = ("frame", "time", "individual", "x", "y", "probability")

_USED = ("frame", "individual", "x", "y")

_ATTRIBUTES = "attributes_tidy.json"

_KEY = b"idtrackerai_attributes"


def is_tidy(peek: Peek) -> bool:
    """Return whether a table has the columns of tidy trajectories."""
    if peek.kind == "parquet":
        return tuple(parquet_names(peek.path)) == _COLUMNS
    return peek.kind == "text" and peek.rows[:1] == [list(_COLUMNS)]


def read_tidy(peek: Peek) -> Content:
    """Return the tracks of a tidy table."""
    if peek.kind == "parquet":
        table = pl.concat(parquet_batches(peek.path, _USED, numbers=_USED))
        numbers = table.fill_null(np.nan).to_numpy()
        attributes = _parquet_attributes(peek)
    else:
        at = [_COLUMNS.index(name) for name in _USED]
        numbers = read_numbers(peek, skip_rows=1, columns=len(_COLUMNS), only=at)
        attributes = read_attributes(peek.path.parent / _ATTRIBUTES)
    poses = poses_of(_lay_out(numbers, peek), attributes, peek)
    return Content("idtracker.ai, tidy", poses=(poses,))


def _lay_out(rows: np.ndarray, peek: Peek) -> np.ndarray:
    """Return x and y with the axes [frame, animal, xy]; NaN where there is no row."""
    counters = rows[:, :2]
    is_counted = np.isfinite(counters).all() and not (counters % 1).any()
    if not len(rows) or not is_counted or counters.min() < 0:
        raise DataError(
            f"{peek.path}: expected rows with a frame and an individual, from 0."
        )
    frames, animals = counters.max(axis=0)
    check_names(int(animals) + 1, "animal", str(peek.path))
    width = 2 * (int(animals) + 1)
    check_span(0, int(frames), rows=len(rows), values=width, where=str(peek.path))
    xy = np.full((int(frames) + 1, int(animals) + 1, 2), np.nan, np.float32)
    frame, animal = counters.astype(np.int64).T
    with np.errstate(over="ignore"):  # too large values become infinite, hence missing
        xy[frame, animal] = rows[:, 2:]
    return xy


def _parquet_attributes(peek: Peek) -> Mapping[str, Any]:
    """Return the attributes of the session in a parquet file; none where they lack."""
    held = pyarrow.parquet.read_schema(peek.path).metadata or {}
    values = parse_json(held[_KEY]) if _KEY in held else {}
    return values if isinstance(values, dict) else {}
