"""Long tables of keypoints: one row per frame, animal and body part.

Columns ``video_frame, mouse_id, bodypart, x, y``; animals count from 1, a missing
point is an absent row (or a coordinate that is not finite), rows come in any order.
Files are read twice, a batch of rows at a time: once to see how long the recording is
and which points occur, once to put every point in its place. So memory holds the
result and little else.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Complex, Float, Int, Integer

from mabe.errors import DataError
from mabe.skeleton import (
    ANIMALS,
    KEYPOINTS,
    PAWS,
    match_keypoint,
    nearest_keypoints,
)

MAX_FRAMES = 20_000_000
"""Longer recordings (nearly two days at 120 fps) are taken for a broken file, because
memory is needed for every frame up to the last one."""

_CELL_COLUMNS = ("video_frame", "mouse_id", "bodypart")
_COLUMNS = (*_CELL_COLUMNS, "x", "y")
_TEXTS = frozenset({"bodypart", "action"})
_OTHER_KIND = {"tracking": "an annotation", "annotation": "a tracking"}
_BATCH_ROWS = 1 << 17
"""Rows decoded at a time: few enough for a core's cache, whatever the row groups."""
_MISSING = complex(math.nan, math.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """The points of one recording on the canonical skeleton."""

    slots: Int[np.ndarray, " slot"]
    """Which slots (see `mabe.skeleton`) occur, ascending."""
    xy_px: Float[np.ndarray, "time slot 2"]
    notes: tuple[str, ...]
    """What was odd, for people to read."""


def read_tracks(path: Path, *, at_least_frames: int) -> Tracks:
    """Return the points of a tracking file, at least so many frames of them.

    Several columns that stand for one keypoint (the corners of a headpiece) give the
    mean of those present. Raises `DataError` when the file is absent or broken, or
    holds something impossible.
    """
    with open_parquet(path, _COLUMNS, kind="tracking") as file:
        layout = _find_layout(file, path)
        length = max(layout.frames, at_least_frames)
        if length > MAX_FRAMES:
            raise DataError(
                f"{path}: the recording's last frame is {length - 1:,}; expected at "
                f"most {MAX_FRAMES:,} frames. Is this file or its annotation broken?"
            )
        points, rows = _scatter_points(file, layout, length)
    slots, merged = _merge_columns(points, layout)
    notes = _notes_on_parts(layout.parts_kept_out)
    if repeated := rows - np.count_nonzero(points == points):
        notes.append(f"points given twice: {repeated}, the last one was taken")
    return Tracks(
        slots=slots,
        xy_px=merged.view(np.float32).reshape(*merged.shape, 2),
        notes=tuple(notes),
    )


@contextmanager
def open_parquet(
    path: Path, columns: tuple[str, ...], *, kind: str
) -> Iterator[pq.ParquetFile]:
    """Open a table that must have the given columns; Arrow's errors become ours.

    `kind` says what the file should be, for messages. Text comes as dictionary codes.
    """
    try:
        metadata = pq.read_metadata(path)
        names = metadata.schema.names
        if missing := [name for name in columns if name not in names]:
            raise DataError(
                f"{path}: no column {missing}; it has {names}. "
                f"Is this {_OTHER_KIND[kind]} file?"
            )
        texts = [name for name in columns if name in _TEXTS]
        with pq.ParquetFile(path, metadata=metadata, read_dictionary=texts) as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: the {kind} file does not exist although the metadata name it; "
            "download it again."
        ) from error
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read as parquet ({reason}); download it again."
        ) from error


def whole_numbers(
    column: pa.Array, name: str, path: Path | None = None
) -> Integer[np.ndarray, " row"]:
    """Return a column of integers of any width (or of floats without a fraction)."""
    if not pa.types.is_integer(column.type):
        try:
            column = column.cast(pa.int64())
        except pa.ArrowException as error:
            raise DataError(
                f"{path}: column {name} must hold whole numbers, found {column.type}."
            ) from error
    return column.to_numpy()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """What a tracking file holds, and where its points go."""

    frames: int
    """Last tracked frame + 1."""
    column_of: dict[tuple[int, str], int]
    """(mouse_id, body part) to a column of its own."""
    slots: Int[np.ndarray, " column"]
    """The slot each column stands for, ascending."""
    parts_kept_out: frozenset[str]
    """Unknown body parts."""


def _batches(
    file: pq.ParquetFile, columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Yield a table piece by piece; one thread, because files are read in parallel."""
    return file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)


def _find_layout(file: pq.ParquetFile, path: Path) -> _Layout:
    """Return which columns a tracking file needs, having checked every row's place."""
    frames = 0
    present: set[tuple[int, str]] = set()
    for batch in _batches(file, _CELL_COLUMNS):
        if batch.num_rows == 0:
            continue
        if any(column.null_count for column in batch.columns):
            raise DataError(f"{path}: {_CELL_COLUMNS} must be given in every row.")
        frame, mouse = (
            whole_numbers(batch.column(name), name, path) for name in _CELL_COLUMNS[:2]
        )
        if frame.min() < 0:
            raise DataError(f"{path}: video_frame {frame.min()} is below 0.")
        if not 1 <= mouse.min() <= mouse.max() <= ANIMALS:
            raise DataError(
                f"{path}: mouse_id must be 1 to {ANIMALS}, found "
                f"{mouse.min()} to {mouse.max()}."
            )
        frames = max(frames, int(frame.max()) + 1)
        code, parts = _codes(batch.column("bodypart"))
        counts = np.bincount(_cells(mouse, code, len(parts)))
        for cell in np.flatnonzero(counts):
            present.add((int(cell) // len(parts), parts[int(cell) % len(parts)]))
    return _lay_out(frames, present, path)


def _lay_out(frames: int, present: set[tuple[int, str]], path: Path) -> _Layout:
    """Give every known (mouse_id, body part) a column, in the order of slots."""
    placed: list[tuple[int, int, str]] = []
    for mouse, part in present:
        if (keypoint := match_keypoint(part)) is not None:
            slot = (mouse - 1) * len(KEYPOINTS) + KEYPOINTS.index(keypoint)
            placed.append((slot, mouse, part))
    placed.sort()
    parts = {part for _, part in present}
    if not placed:
        raise DataError(
            f"{path}: no row with a known body part; it has {sorted(parts)}, "
            f"expected some of {', '.join(KEYPOINTS)}."
        )
    return _Layout(
        frames=frames,
        column_of={(mouse, part): at for at, (_, mouse, part) in enumerate(placed)},
        slots=np.array([slot for slot, _, _ in placed]),
        parts_kept_out=frozenset(parts - {part for _, _, part in placed} - PAWS),
    )


def _scatter_points(
    file: pq.ParquetFile, layout: _Layout, length: int
) -> tuple[Complex[np.ndarray, "time column"], int]:
    """Return every point as x + iy, NaN where missing, and how many rows gave one.

    A complex number is moved as one value, which halves the work of the slowest step.
    """
    width = len(layout.slots)
    points = np.full(length * width, _MISSING, np.complex64)
    rows = 0
    for batch in _batches(file, _COLUMNS):
        frame, mouse = (
            whole_numbers(batch.column(name), name) for name in _CELL_COLUMNS[:2]
        )
        code, parts = _codes(batch.column("bodypart"))
        columns = np.full((ANIMALS + 1, len(parts)), -1)
        for (animal, part), column in layout.column_of.items():
            if part in parts:
                columns[animal, parts.index(part)] = column
        column = columns.ravel()[_cells(mouse, code, len(parts))]
        place = np.multiply(frame, width, dtype=np.int64)
        place += column
        values = _as_complex(batch.column("x"), batch.column("y"))
        if columns[1:].min(initial=0) < 0:
            known = column >= 0
            place, values = place[known], values[known]
        rows += int(np.count_nonzero(values == values))
        points[place] = values
    return points.reshape(length, width), rows


def _as_complex(x: pa.Array, y: pa.Array) -> Complex[np.ndarray, " row"]:
    """Return x + iy; a point with a coordinate that is not finite is missing."""
    values = np.empty(len(x), np.complex64)
    with np.errstate(over="ignore", invalid="ignore"):
        values.real = x.to_numpy(zero_copy_only=False)
        values.imag = y.to_numpy(zero_copy_only=False)
        # The sum is finite exactly where both are, and quicker to check.
        values[~np.isfinite(values.real + values.imag)] = _MISSING
    return values


def _codes(parts: pa.Array) -> tuple[Integer[np.ndarray, " row"], list[str]]:
    """Return the body parts as numbers into a list of names."""
    if not pa.types.is_dictionary(parts.type):
        parts = parts.dictionary_encode()
    return parts.indices.to_numpy(), [
        str(part) for part in parts.dictionary.to_pylist()
    ]


def _cells(
    mouse: Integer[np.ndarray, " row"], code: Integer[np.ndarray, " row"], parts: int
) -> Integer[np.ndarray, " row"]:
    """Return one number for each (mouse_id, body part)."""
    cells = np.multiply(mouse, parts, dtype=np.int64)
    cells += code
    return cells


def _merge_columns(
    points: Complex[np.ndarray, "time column"], layout: _Layout
) -> tuple[Int[np.ndarray, " slot"], Complex[np.ndarray, "time slot"]]:
    """Return one column per slot: the mean of its columns where they are present."""
    slots, first, counts = np.unique(
        layout.slots, return_index=True, return_counts=True
    )
    if len(slots) == len(layout.slots):
        return slots, points
    merged = points.take(first, axis=1)
    for at in np.flatnonzero(counts > 1):
        several = points[:, first[at] : first[at] + counts[at]]
        seen = several == several
        with np.errstate(invalid="ignore"):  # 0 / 0 where none is present: missing
            merged[:, at] = np.where(seen, several, 0).sum(1) / seen.sum(1)
    return slots, merged


def _notes_on_parts(parts: frozenset[str]) -> list[str]:
    """Say of each unknown body part which known ones look like it."""
    notes = []
    for part in sorted(parts):
        nearest = ", ".join(nearest_keypoints(part)) or "none"
        notes.append(
            f"body part {part!r} is unknown and kept out (nearest known: {nearest})"
        )
    return notes
