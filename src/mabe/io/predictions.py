"""A folder of predictions: what `mabe predict` writes and `mabe export` reads.

- ``bouts.csv``: all bouts. Spans are ``[start, stop)`` in the recording's own frames.
  Animals have the lab's names where it gives them, else ``mouse1`` …; the target of
  an action on oneself is ``self``. The bouts of scenes have a class instead of agent,
  target and action.
- ``provenance.json``: the model by its hash, the rules by which it decided, and for
  each recording its file and the hash of its tracks. It is copied into every export.
- ``probabilities/LAB/VIDEO.parquet``: the probabilities at every frame
  (`mabe.io.probabilities`).
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from mabe.bouts import NO_ANIMAL, Bout, RecordingBouts
from mabe.errors import DataError
from mabe.recording import MAX_FRAMES
from mabe.runtime.csv_cells import cell_of, text_of
from mabe.runtime.documents import read_json
from mabe.runtime.file_names import problem_with_name, shorten
from mabe.runtime.files import (
    hash_bytes,
    hash_file,
    remove,
    write_json,
    write_text,
)
from mabe.runtime.versions import is_newer, made_by_newer
from mabe.skeleton import MOST_ANIMALS

BOUTS = "bouts.csv"
PROVENANCE = "provenance.json"

_SPAN_COLUMNS = {
    "start_frame": pl.Int64,
    "stop_frame": pl.Int64,
    "start_s": pl.Float64,
    "stop_s": pl.Float64,
    "probability": pl.Float64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingProvenance:
    """One recording with predictions."""

    lab: str
    video: str
    fps: float
    length: int
    """Frames."""
    animals: tuple[str, ...]
    """The lab's names of the animals 1, 2 …, where they are known."""
    start_s: float = 0.0
    """When frame 0 was filmed, on the clock of the session of its pose file."""
    tracks_hash: str
    """Hash of the tracks, independent of their file; see `Recording.tracking_hash`."""
    tracked: tuple[int, int] | None = None
    """First frame with a point and the one after the last, between which bouts are
    predicted; None: nothing is tracked, or predicted by an earlier version."""
    file: str | None = None
    file_hash: str | None = None
    notes: tuple[str, ...] = ()
    """What was assumed or substituted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionProvenance:
    """The model of a folder of predictions, and its recordings."""

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
    has_lab_names: bool = False
    """`bouts.csv` has the lab's names of animals; older versions wrote mouse1 …."""
    bouts_hash: str | None = field(default=None, compare=False)
    """Hash of the `bouts.csv` that belongs to this; older versions wrote none."""

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return json.loads(json.dumps(asdict(self), allow_nan=False))

    def to_text(self) -> str:
        """Return it as one line of JSON, for files that hold it as text."""
        return json.dumps(self.to_json(), ensure_ascii=False)

    def of_recording(self, recording: RecordingBouts) -> "PredictionProvenance":
        """Return the provenance of one recording's predictions."""
        name = recording.lab, recording.video
        sources = [each for each in self.sources if (each.lab, each.video) == name]
        return replace(self, sources=tuple(sources))


@dataclass(frozen=True, slots=True)
class Predictions:
    """All recordings of a folder of predictions."""

    provenance: PredictionProvenance
    recordings: tuple[RecordingBouts, ...]


def write_predictions(folder: Path, predictions: Predictions) -> None:
    """Write `bouts.csv` and `provenance.json`.

    An earlier provenance is removed first, and the new one holds the hash of the bouts:
    those of one model never lie beside the provenance of another, whenever this stops.
    """
    table = bouts_table(predictions)
    names = pl.selectors.string()
    safe = table.with_columns(names.map_elements(cell_of, return_dtype=pl.String))
    text = safe.write_csv()
    remove(folder / PROVENANCE)
    write_text(folder / BOUTS, text)
    own = replace(predictions.provenance, bouts_hash=hash_bytes(text.encode()))
    write_provenance(folder, own)


def bouts_table(predictions: Predictions) -> pl.DataFrame:
    """Return all bouts as `bouts.csv` has them.

    The `probability` of a bout is the mean over its frames.
    """
    is_pair = predictions.provenance.task == "pair"
    names = ("agent", "target", "action") if is_pair else ("class",)
    schema = dict.fromkeys(("lab", "video", *names), pl.String) | _SPAN_COLUMNS
    rows = [
        (
            recording.lab,
            recording.video,
            *(
                (recording.name_of(bout.agent), recording.target_name(bout))
                if is_pair
                else ()
            ),
            bout.action,
            bout.start,
            bout.stop,
            round(bout.start / recording.fps, 3),
            round(bout.stop / recording.fps, 3),
            None if bout.probability is None else round(bout.probability, 4),
        )
        for recording in predictions.recordings
        for bout in recording.bouts
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def write_provenance(folder: Path, provenance: PredictionProvenance) -> None:
    """Write `provenance.json` into a folder of predictions or an export."""
    write_json(folder / PROVENANCE, provenance.to_json())


def read_predictions(folder: Path) -> Predictions:
    """Return the bouts of a folder that `mabe predict` wrote.

    Raises `DataError` where its files are absent, broken or do not fit together.
    """
    provenance = _read_provenance(folder)
    path = folder / BOUTS
    recordings = {
        (source.lab, source.video): RecordingBouts(
            lab=source.lab,
            video=source.video,
            fps=source.fps,
            length=source.length,
            animals=source.animals,
            start_s=source.start_s,
            bouts=(),
        )
        for source in provenance.sources
    }
    bouts: dict[tuple[str, str], list[Bout]] = defaultdict(list)
    for line, row in enumerate(_read_bouts_csv(path, provenance), start=2):
        place = row["lab"], row["video"]
        if place not in recordings:
            raise DataError(
                f"{path}:{line}: has a bout of {shorten(f'{place[0]}/{place[1]}')}, "
                f"which {PROVENANCE} does not list; predict again."
            )
        try:
            bout = _parse_bout(row, recordings[place], provenance.has_lab_names)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}:{line}: {error}; predict again.") from None
        bouts[place].append(bout)
    return Predictions(
        provenance,
        tuple(
            replace(recording, bouts=tuple(sorted(bouts[place])))
            for place, recording in recordings.items()
        ),
    )


def _read_bouts_csv(
    path: Path, provenance: PredictionProvenance
) -> list[dict[str, Any]]:
    """Return the rows; names are strings, even where they are written as numbers."""
    names = ("lab", "video", "agent", "target", "action", "class")
    if provenance.bouts_hash and path.is_file() and _differs(path, provenance):
        raise DataError(
            f"{path}: is not the file that {PROVENANCE} was written for: it was "
            "changed, or `mabe predict` was stopped; predict again. `mabe view` "
            "corrects labels."
        )
    try:
        table = pl.read_csv(path, schema_overrides=dict.fromkeys(names, pl.String))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read: {reason}; predict again.") from None
    kind = ["class"] if "class" in table.columns else names[2:5]
    needed = ["lab", "video", *kind, *_SPAN_COLUMNS]
    if missing := [name for name in needed if name not in table.columns]:
        raise DataError(
            f"{path}: no column {missing}; it has {table.columns[:12]}; predict again."
        )
    return [
        {
            column: text_of(cell) if isinstance(cell, str) else cell
            for column, cell in row.items()
        }
        for row in table.to_dicts()
    ]


def _differs(path: Path, provenance: PredictionProvenance) -> bool:
    return hash_file(path) != provenance.bouts_hash


def _parse_bout(
    row: Mapping[str, Any], recording: RecordingBouts, has_lab_names: bool
) -> Bout:
    """Return a row as a bout. Raises an error of Python where it is none."""
    agent = target = NO_ANIMAL
    if "agent" in row:
        agent = _animal(row["agent"], recording, has_lab_names)
        is_self = row["target"] == "self"
        target = agent if is_self else _animal(row["target"], recording, has_lab_names)
    action = row["action"] if "action" in row else row["class"]
    start, stop, probability = (
        row["start_frame"],
        row["stop_frame"],
        row["probability"],
    )
    if not action:
        raise ValueError("the bout has no action")
    if not (isinstance(start, int) and isinstance(stop, int)):
        raise ValueError(f"expected whole frames, found {start!r} and {stop!r}")
    if not 0 <= start < stop <= recording.length:
        raise ValueError(
            f"expected frames of a recording of {recording.length}, found {start} to "
            f"{stop}"
        )
    if probability is not None and not 0 <= probability <= 1:
        raise ValueError(f"expected a probability, found {probability!r}")
    return Bout(start, stop, action, agent, target, probability)


def _animal(name: str | None, recording: RecordingBouts, has_lab_names: bool) -> int:
    """Return which animal of a recording has a name in `bouts.csv`."""
    if has_lab_names:
        for animal in range(1, len(recording.animals) + 1):
            if recording.name_of(animal) == name:
                return animal
    number = re.fullmatch(r"mouse([1-9]\d{0,3})", name or "")
    if number and int(number[1]) <= MOST_ANIMALS:
        return int(number[1])
    raise ValueError(f"no animal of the recording is called {name!r}")


def _read_provenance(folder: Path) -> PredictionProvenance:
    path = folder / PROVENANCE
    values: Any = None
    try:
        values = read_json(path)
        provenance = TypeAdapter(PredictionProvenance).validate_python(values)
        for source in provenance.sources:
            _check_source(source)
        provenance.to_json()  # every value can be written again
    except FileNotFoundError:
        raise DataError(
            f"{folder}: no {PROVENANCE} here; expected a folder that `mabe predict` "
            "wrote. Predict again: older versions wrote none, and it is written last."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        version = values.get("mabe") if isinstance(values, dict) else None
        advice = made_by_newer(version) if is_newer(version) else "predict again."
        raise DataError(
            f"{path}: not readable ({place}: {first['msg']}); {advice}"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable ({error}); predict again.") from None
    return provenance


def _check_source(source: RecordingProvenance) -> None:
    """Raise `ValueError` where a recording's facts cannot be those of one."""
    for name in (source.lab, source.video):
        if problem := problem_with_name(name):
            raise ValueError(f"the name {shorten(name)} {problem}")
    if not (math.isfinite(source.fps) and source.fps > 0):
        raise ValueError(f"{source.lab}/{source.video}: fps is {source.fps}")
    if source.tracked and not 0 <= source.tracked[0] < source.tracked[1]:
        raise ValueError(f"{source.lab}/{source.video}: tracked is {source.tracked}")
    if not 0 <= source.length <= MAX_FRAMES:
        raise ValueError(f"{source.lab}/{source.video}: length is {source.length}")
