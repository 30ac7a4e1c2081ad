"""Predictions as tables: bouts as CSV, frame probabilities as parquet.

Frames and seconds are the recording's own; spans are half-open, ``[start, stop)``.
"""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float

from mabe.bouts import name_animal, name_target
from mabe.decoding import ClassBout
from mabe.files import write_bytes, write_text
from mabe.writers.submission import DirectedBouts

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
    table = pl.DataFrame({"frame": np.arange(frames, dtype=np.int32)} | dict(columns))
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write_bytes(path, buffer.getbuffer())
