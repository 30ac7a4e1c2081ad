"""The probabilities of a recording at every frame: one parquet file.

It also holds what it was predicted from, and the bouts that were decided from it. So
`mabe predict` does nothing twice, and the file is not taken for that of another model
whose bouts lie beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Shaped

from mabe.bouts import NO_ANIMAL, Bout, Watched
from mabe.errors import DataError
from mabe.io.predictions import BOUTS, PredictionProvenance
from mabe.runtime.documents import parse_json
from mabe.runtime.file_names import path_under
from mabe.runtime.files import write_atomically

PROBABILITIES = "probabilities"

_ROWS_AT_ONCE = 1 << 16

_PARQUET_OPTIONS: dict[str, Any] = {"compression": "zstd", "use_dictionary": False}

_ORIGIN = b"mabe"
"""Where the schema's metadata hold the origin."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What probabilities were predicted from, and what was decided from them."""

    key: str
    """Hash of all that predictions depend on: the model, the recording, the version."""
    model_hash: str
    variants: int
    bouts: tuple[Bout, ...]
    never_near: tuple[str, ...] = ()
    """Columns that are left out: of pairs that are never near each other, between whom
    nothing happens."""

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        rows = [
            (b.start, b.stop, b.action, b.agent, b.target, b.probability)
            for b in self.bouts
        ]
        values = [self.key, self.model_hash, self.variants, rows, self.never_near]
        return json.dumps(values).encode()

    @classmethod
    def of_bytes(cls, text: bytes) -> "Origin":
        """Return the origin of `to_bytes`. Raises an error of Python for other text."""
        key, model_hash, variants, rows, *rest = parse_json(text.decode())
        bouts = tuple(Bout(*row) for row in rows)
        # Files of earlier versions do not name the pairs that are never near.
        return cls(key, model_hash, variants, bouts, tuple(rest[0] if rest else ()))


def probabilities_path(folder: Path, lab: str, video: str) -> Path:
    """Return the file of a recording's probabilities in the folder of all."""
    return path_under(folder, lab, video, ending=".parquet")


def read_origin(path: Path) -> Origin | None:
    """Return what a file was predicted from.

    None where there is no such file, or it does not hold its origin: versions before
    0.3 did not write it.
    """
    try:
        found = (pq.read_schema(path).metadata or {}).get(_ORIGIN)
        return Origin.of_bytes(found) if found is not None else None
    except (OSError, pa.ArrowException, ValueError, TypeError):
        return None


def check_origin(
    folder: Path, provenance: PredictionProvenance, lab: str, video: str
) -> None:
    """Raise `DataError` where probabilities are not of the model of the bouts."""
    path = probabilities_path(folder / PROBABILITIES, lab, video)
    origin = read_origin(path)
    expected = provenance.model_hash, provenance.variants
    if origin and (origin.model_hash, origin.variants) != expected:
        raise DataError(
            f"{path}: was not predicted by the model of {BOUTS} beside it: `mabe "
            "predict` was stopped, or wrote only some recordings; predict again."
        )


def read_predicted_entries(
    folder: Path, provenance: PredictionProvenance, lab: str, video: str
) -> tuple[Watched, ...]:
    """Return which actions of whom to whom could have been predicted in a recording.

    Also those of pairs that are never near each other, of which there are no columns.
    Raises `DataError` where the file of its probabilities is absent, broken, or of
    another model.
    """
    check_origin(folder, provenance, lab, video)
    if provenance.task != "pair":
        return tuple(Watched(NO_ANIMAL, NO_ANIMAL, name) for name in provenance.actions)
    path = probabilities_path(folder / PROBABILITIES, lab, video)
    try:
        columns = pq.read_schema(path).names
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{path}: cannot be read ({error}); its columns are the actions that could "
            "be predicted: predict again."
        ) from None
    origin = read_origin(path)
    entries = []
    for column in (*columns[1:], *(origin.never_near if origin else ())):
        agent, target, action = column.split(",", 2)
        number = int(agent.removeprefix("mouse"))
        to = number if target == "self" else int(target.removeprefix("mouse"))
        entries.append(Watched(number, to, action))
    return tuple(sorted(entries))


def write_probabilities(
    path: Path,
    columns: Mapping[str, Float[np.ndarray, " frame"]],
    *,
    frames: int,
    origin: Origin | None = None,
) -> None:
    """Write one recording's probabilities at every frame, one column for each name."""
    metadata = {_ORIGIN: origin.to_bytes()} if origin else None

    def piece(start: int) -> pa.RecordBatch:
        stop = min(start + _ROWS_AT_ONCE, frames)
        some = {"frame": np.arange(start, stop, dtype=np.int32)} | {
            name: column[start:stop] for name, column in columns.items()
        }
        arrays = [_as_arrow(values) for values in some.values()]
        return pa.RecordBatch.from_arrays(arrays, names=list(some))

    def write(place: Path) -> None:
        schema = piece(0).schema.with_metadata(metadata)
        with pq.ParquetWriter(place, schema, **_PARQUET_OPTIONS) as file:
            for start in range(0, frames, _ROWS_AT_ONCE):
                file.write_batch(piece(start).replace_schema_metadata(metadata))

    write_atomically(path, write)


def _as_arrow(values: Shaped[np.ndarray, " row"]) -> pa.Array:
    """Return numbers as an Arrow array; `pa.array` would first load all of pandas."""
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, buffer])
