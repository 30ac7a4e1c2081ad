"""Predictions as tables: bouts as CSV, frame probabilities as parquet.

Frames and seconds are the recording's own; spans are half-open, ``[start, stop)``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Shaped

from mabe.bouts import name_animal, name_target
from mabe.decoding import ClassBout
from mabe.files import write_atomically, write_text
from mabe.writers.submission import DirectedBouts

_ROWS_AT_ONCE = 1 << 16
_HOW: dict[str, Any] = {"compression": "zstd", "use_dictionary": False}
BOUT_COLUMNS = {
    "lab": pl.String,
    "video": pl.String,
    "class": pl.String,
    "start_frame": pl.Int64,
    "stop_frame": pl.Int64,
    "start_s": pl.Float64,
    "stop_s": pl.Float64,
    "probability": pl.Float64,
}


PAIR_BOUT_COLUMNS = {
    "lab": pl.String,
    "video": pl.String,
    "agent": pl.String,
    "target": pl.String,
    "action": pl.String,
    "start_frame": pl.Int64,
    "stop_frame": pl.Int64,
    "start_s": pl.Float64,
    "stop_s": pl.Float64,
    "probability": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class VideoBouts:
    """The predicted bouts of one recording."""

    lab: str
    video: str
    fps: float
    bouts: tuple[ClassBout, ...]


def write_bouts(
    path: Path, videos: Iterable[VideoBouts], classes: tuple[str, ...]
) -> None:
    """Write all bouts as one CSV, `probability` being the mean over the bout."""
    rows = [
        (
            video.lab,
            video.video,
            classes[bout.class_index],
            bout.start,
            bout.stop,
            round(bout.start / video.fps, 3),
            round(bout.stop / video.fps, 3),
            round(bout.probability, 4),
        )
        for video in videos
        for bout in video.bouts
    ]
    table = pl.DataFrame(rows, schema=BOUT_COLUMNS, orient="row")
    write_text(path, table.write_csv())


def write_pair_bouts(path: Path, videos: Iterable[DirectedBouts]) -> None:
    """Write all bouts as one CSV: who (`mouse1`) does what to whom (`self`)."""
    rows = [
        (
            video.lab,
            video.video,
            name_animal(bout.agent),
            name_target(bout.agent, bout.target),
            bout.action,
            bout.start,
            bout.stop,
            round(bout.start / video.fps, 3),
            round(bout.stop / video.fps, 3),
            round(bout.probability, 4),
        )
        for video in videos
        for bout in video.bouts
    ]
    table = pl.DataFrame(rows, schema=PAIR_BOUT_COLUMNS, orient="row")
    write_text(path, table.write_csv())


def write_probabilities(
    path: Path,
    columns: Mapping[str, Float[np.ndarray, " frame"]],
    *,
    frames: int,
) -> None:
    """Write one recording's probabilities at every frame, a column for each answer."""

    def piece(start: int) -> pa.RecordBatch:
        stop = min(start + _ROWS_AT_ONCE, frames)
        some = {"frame": np.arange(start, stop, dtype=np.int32)} | {
            name: column[start:stop] for name, column in columns.items()
        }
        arrays = [_as_arrow(values) for values in some.values()]
        return pa.RecordBatch.from_arrays(arrays, names=list(some))

    def write(place: Path) -> None:
        with pq.ParquetWriter(place, piece(0).schema, **_HOW) as file:
            for start in range(0, frames, _ROWS_AT_ONCE):
                file.write_batch(piece(start))

    write_atomically(path, write)


def _as_arrow(values: Shaped[np.ndarray, " row"]) -> pa.Array:
    """Return numbers as Arrow has them; `pa.array` would first load all of pandas."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, buffer])
