"""Predictions as tables: bouts as CSV, frame probabilities as parquet.

Frames and seconds are the recording's own; spans are half-open, ``[start, stop)``.

A folder of predictions, read back: what `mabe predict` has written.

Bouts are ``[start, stop)`` in the recording's own frames. Animals have the lab's names
where these are known, else ``mouse1`` …; a scene's bouts have no agent and no target.
An action on oneself has ``target == agent``.

Where predictions come from: written with them, carried into every export.

``provenance.json`` beside ``bouts.csv`` names the model by its hash, the rules by
which it decided, and for each recording its file and the hash of what was tracked.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Shaped

from mabe.bouts import DirectedBouts, VideoBouts, name_animal, name_target
from mabe.errors import DataError
from mabe.runtime.files import write_atomically, write_json, write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingProvenance:
    """One recording that was marked."""

    lab: str
    video: str
    fps: float
    length: int
    """Frames."""
    animals: tuple[str, ...]
    """The lab's names of mouse1, mouse2 …, where they are known."""
    tracks_hash: str
    """Of what was tracked, whatever file it is in; see `Recording.tracking_hash`."""
    file: str | None = None
    file_hash: str | None = None
    notes: tuple[str, ...] = ()
    """What was assumed or substituted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionProvenance:
    """What made a folder of predictions, and of what."""

    mabe: str
    """The version."""
    model: str
    model_hash: str
    task: str
    actions: tuple[str, ...]
    """All that could have been predicted."""
    rules: dict[str, Any]
    """Thresholds and smoothing."""
    rate_fps: float
    variants: int
    sources: tuple[RecordingProvenance, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return json.loads(json.dumps(asdict(self)))

    def about(self, source: RecordingProvenance) -> dict[str, Any]:
        """Return the provenance of one recording's predictions."""
        return {**self.to_json(), "sources": [json.loads(json.dumps(asdict(source)))]}


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


@dataclass(frozen=True, slots=True, order=True)
class PredictedBout:
    """One stretch of one action, by name."""

    start: int
    stop: int
    action: str
    agent: str = ""
    target: str = ""
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was predicted of one recording."""

    source: RecordingProvenance
    bouts: tuple[PredictedBout, ...]

    @property
    def fps(self) -> float:
        """The recording's own rate."""
        return self.source.fps

    @property
    def animals(self) -> tuple[str, ...]:
        """The names that agents and targets may have."""
        named = {name for bout in self.bouts for name in (bout.agent, bout.target)}
        extra = sorted(named - set(self.source.animals) - {""})
        return (*self.source.animals, *extra)


@dataclass(frozen=True, slots=True)
class Predictions:
    """All recordings of a folder of predictions."""

    provenance: PredictionProvenance
    recordings: tuple[Predicted, ...]


def read_predictions(folder: Path) -> Predictions:
    """Return the bouts of a folder that `mabe predict` wrote.

    Raises `DataError` where its files are absent, broken or do not fit together.
    """
    provenance = read_provenance(folder)
    path = folder / "bouts.csv"
    try:
        table = pl.read_csv(
            path, schema_overrides={"lab": pl.String, "video": pl.String}
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read: {reason}; predict again.") from None
    names = {(each.lab, each.video): _names(each) for each in provenance.sources}
    bouts: dict[tuple[str, str], list[PredictedBout]] = defaultdict(list)
    for row in table.iter_rows(named=True):
        of = row["lab"], row["video"]
        if of not in names:
            raise DataError(
                f"{path}: has bouts of {of[0]}/{of[1]}, of which provenance.json does "
                "not know; predict again."
            )
        agent = names[of].get(row.get("agent") or "", row.get("agent") or "")
        target = row.get("target") or ""
        bouts[of].append(
            PredictedBout(
                row["start_frame"],
                row["stop_frame"],
                str(row.get("action") or row.get("class")),
                agent,
                agent if target == "self" else names[of].get(target, target),
                row["probability"],
            )
        )
    return Predictions(
        provenance,
        tuple(
            Predicted(each, tuple(sorted(bouts[each.lab, each.video])))
            for each in provenance.sources
        ),
    )


def _names(source: RecordingProvenance) -> dict[str, str]:
    """Return the lab's names of ``mouse1`` …, where they tell the animals apart."""
    if len(set(source.animals)) < len(source.animals):
        return {}
    return {
        name_animal(number): name for number, name in enumerate(source.animals, start=1)
    }


FILE_NAME = "provenance.json"


def write_provenance(folder: Path, provenance: PredictionProvenance) -> None:
    """Write `provenance.json` into a folder of predictions."""
    write_json(folder / FILE_NAME, provenance.to_json())


def read_provenance(folder: Path) -> PredictionProvenance:
    """Return the provenance of a folder of predictions.

    Raises `DataError` where there is none, or it is broken.
    """
    path = folder / FILE_NAME
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        sources = tuple(
            RecordingProvenance(
                **{
                    **each,
                    "animals": tuple(each["animals"]),
                    "notes": tuple(each["notes"]),
                }
            )
            for each in values["sources"]
        )
        return PredictionProvenance(
            **{**values, "sources": sources, "actions": tuple(values["actions"])}
        )
    except FileNotFoundError:
        raise DataError(
            f"{folder}: no {FILE_NAME} here; expected a folder that `mabe predict` "
            "wrote. Predict again: older versions wrote none."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not readable ({error}); predict again.") from None
