"""Predictions as tables: bouts as CSV, frame probabilities as parquet.

Frames and seconds are the recording's own; spans are half-open, ``[start, stop)``.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float

from mabe.decoding import ClassBout
from mabe.files import write_bytes, write_text

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


def write_probabilities(
    path: Path,
    probabilities: Float[np.ndarray, "frame classes"],
    classes: tuple[str, ...],
) -> None:
    """Write one recording's probability of each class at every frame."""
    table = pl.DataFrame(
        {"frame": np.arange(len(probabilities), dtype=np.int32)}
        | {name: probabilities[:, i] for i, name in enumerate(classes)}
    )
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    write_bytes(path, buffer.getbuffer())
