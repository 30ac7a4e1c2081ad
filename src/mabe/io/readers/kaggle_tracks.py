"""Tracking tables of the Kaggle layout: one row per frame, animal and body part.

Columns ``video_frame, mouse_id, bodypart, x, y``; animals count from 1, a missing
point is an absent row (or a coordinate that is not finite), rows come in any order. A
column ``z`` may tell how high points are; files of the challenge have none.
Files are read a batch of rows at a time, so that memory holds the result and little
else. The length of the recording is in the file's statistics, or is read first.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Complex, Float, Int, Integer, Shaped

from mabe.errors import DataError
from mabe.io.keypoint_names import match_keypoint, nearest_keypoints
from mabe.io.match_keypoints import EXTRA, LIKE, match_parts
from mabe.io.readers.table_batches import check_rows
from mabe.recording import MAX_FRAMES
from mabe.runtime.disk_arrays import Touched, make_array, row_blocks
from mabe.skeleton import KEYPOINTS, MOST_ANIMALS, PoseLayout, joined_keypoints

MAX_PARTS = 1_000


_CELL_COLUMNS = ("video_frame", "mouse_id", "bodypart")


_COLUMNS = (*_CELL_COLUMNS, "x", "y")


_HEIGHT = "z"


_TEXTS = frozenset({"bodypart", "action"})


_OTHER_KIND = {"tracking": "an annotation", "annotation": "a tracking"}


# Arrow's own pool keeps tens of megabytes of memory that it no longer needs.
pa.set_memory_pool(pa.system_memory_pool())


_BATCH_ROWS = 1 << 18
"""Rows decoded at a time, whatever the row groups: few enough for the cache, and enough
that two threads rarely wait for each other."""


_MISSING = np.complex64(complex(math.nan, math.nan))


_NOT_YET = -1
"""In place of a column: a body part that had no row so far."""


_MOST_POINTS = 2_000_000_000
"""Frames times columns; more is a mistake in a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """The points of one recording."""

    slots: Int[np.ndarray, " slot"]
    """Which slots (see `mabe.skeleton`) occur, ascending."""
    keypoints: tuple[str, ...]
    """The keypoints that slots number."""
    xy_px: Float[np.ndarray, "time slot 2"]
    z_px: Float[np.ndarray, "time slot"] | None
    """None: the file has no heights."""
    notes: tuple[str, ...]
    """Irregularities, for people to read."""


def read_tracks(path: Path, *, at_least_frames: int) -> Tracks:
    """Return the points of a tracking file, at least so many frames of them.

    Several body parts of one keypoint (the corners of a headpiece) give the mean of
    those present. Raises `DataError` when the file is absent or broken, or holds
    impossible values.
    """
    with open_parquet(path, _COLUMNS, kind="tracking") as file:
        length = max(_count_frames(file, path), at_least_frames)
        if length > MAX_FRAMES:
            raise DataError(
                f"{path}: the recording's last frame is {length - 1:,}; expected at "
                f"most {MAX_FRAMES:,} frames. Is this file or its annotation broken?"
            )
        builder = _TrackBuilder(length, path)
        builders = [builder]
        if _HEIGHT in file.schema.names:
            builders.append(_TrackBuilder(length, path, (_HEIGHT, _HEIGHT)))
        for batch in _batches(file, (*_COLUMNS, *([_HEIGHT] if builders[1:] else []))):
            for each in builders if batch.num_rows else ():
                each.add(batch)
    keypoints = _keypoints_of({part for _, part in builder.columns})
    names = joined_keypoints([keypoints.values()])
    slots, merged = builder.merged(keypoints, names)
    z_px = builders[1].merged(keypoints, names)[1].real if builders[1:] else None
    if z_px is not None and not np.isfinite(z_px).any():
        z_px = None
    notes = _notes_on_parts(keypoints)
    if repeated := builder.rows - builder.given_points():
        notes.append(f"points given twice: {repeated}, the last one was taken")
    return Tracks(
        slots=slots,
        keypoints=names,
        xy_px=merged.view(np.float32).reshape(*merged.shape, 2),
        z_px=z_px,
        notes=tuple(notes),
    )


def has_heights(path: Path) -> bool:
    """Return whether a tracking file has heights; False where it cannot be read."""
    try:
        return _HEIGHT in pq.read_schema(path).names
    except (OSError, pa.ArrowException):  # reading the tracks says what is wrong
        return False


@contextmanager
def open_parquet(
    path: Path, columns: tuple[str, ...], *, kind: str
) -> Iterator[pq.ParquetFile]:
    """Open a table that must have the given columns; Arrow's errors become `DataError`.

    `kind` is what the file should be, for messages. Text is read as dictionary codes.
    """
    try:
        metadata = pq.read_metadata(path)
        check_rows(metadata, path)
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
    return as_numpy(column)


def as_numpy(column: pa.Array) -> Shaped[np.ndarray, " row"]:
    """Return numbers without copying them; missing ones as NaN.

    `to_numpy` would load all of pandas, where that is installed: 50 MB.
    """
    if column.null_count:
        column = column.cast(pa.float64()).fill_null(math.nan)
    return np.from_dlpack(column)


def _batches(
    file: pq.ParquetFile, columns: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    """Yield a table piece by piece; one thread, because files are read in parallel.

    A few row groups at a time, because Arrow keeps some memory for all it is to read.
    """
    for groups in _row_groups(file):
        yield from file.iter_batches(
            _BATCH_ROWS, row_groups=groups, columns=list(columns), use_threads=False
        )


def _row_groups(file: pq.ParquetFile) -> Iterator[list[int]]:
    """Yield row groups in order, together at least as many rows as a batch has."""
    some: list[int] = []
    rows = 0
    for group in range(file.num_row_groups):
        some.append(group)
        rows += file.metadata.row_group(group).num_rows
        if rows >= _BATCH_ROWS:
            yield some
            some, rows = [], 0
    if some:
        yield some


def _count_frames(file: pq.ParquetFile, path: Path) -> int:
    """Return the last tracked frame + 1."""
    last = _last_by_statistics(file)
    if last is None:
        frames = (
            whole_numbers(batch.column(0).drop_null(), "video_frame", path)
            for batch in _batches(file, ("video_frame",))
        )
        last = max((int(some.max()) for some in frames if len(some)), default=-1)
    return last + 1


def _last_by_statistics(file: pq.ParquetFile) -> int | None:
    """Return the largest video_frame of the file's statistics, if it has them."""
    column = file.schema.names.index("video_frame")
    groups = range(file.num_row_groups)
    noted = [file.metadata.row_group(g).column(column).statistics for g in groups]
    if not all(each and each.has_min_max for each in noted):
        return None
    largest = [each.max for each in noted]
    is_whole = all(isinstance(each, int) for each in largest)
    return max(largest, default=-1) if is_whole else None


class _TrackBuilder:
    """The points of one recording, stored as rows are read.

    A point is x + iy, NaN where missing: a complex number is moved as one value, which
    halves the work of the slowest step. `axes` names other columns to read as a point,
    such as heights. Each (mouse_id, body part) has a column of its
    own, added when its first row is read.
    """

    def __init__(
        self, length: int, path: Path, axes: tuple[str, str] = ("x", "y")
    ) -> None:
        self.path = path
        self.axes = axes
        self.columns: dict[tuple[int, str], int] = {}
        """The column of each (mouse_id, body part)."""
        self.keys: list[tuple[int, str]] = []
        """The (mouse_id, body part) of each column."""
        self.points = np.empty((length, 0), np.complex64)
        self.touched = Touched(self.points)
        self.rows = 0
        """Rows with a point."""
        self.parts: tuple[str, ...] = ()
        self.column_of_cell = np.empty(0, np.int64)

    def add(self, batch: pa.RecordBatch) -> None:
        """Store some rows; of several rows for one point the last one counts."""
        frame, mouse = self._checked(batch)
        code, parts = _codes(batch.column("bodypart"))
        cell = mouse.astype(np.int64)  # casting within the product takes twice as long
        cell *= len(parts)
        cell += code
        column = self._columns_of(cell, parts)
        place = frame.astype(np.int64)
        place *= len(self.keys)
        place += column
        values, given = _as_complex(*map(batch.column, self.axes))
        self.rows += given
        self.points.reshape(-1)[place] = values
        self.touched.add(values.nbytes)

    def given_points(self) -> int:
        """Return the number of points."""
        bits = self.points.view(np.uint64)
        return sum(
            int(np.count_nonzero(bits[rows] != _MISSING.view(np.uint64)))
            for rows in row_blocks(bits)
        )

    def merged(
        self, keypoints: Mapping[str, str], names: tuple[str, ...]
    ) -> tuple[Int[np.ndarray, " slot"], Complex[np.ndarray, "time slot"]]:
        """Return one column per slot, ascending: the mean of its columns where present.

        `keypoints` are those of the body parts, and slots number the `names`. Raises
        `DataError` where no body part has one.
        """
        of_slot: dict[int, list[int]] = {}
        layout = PoseLayout(keypoints=names)
        for column, (mouse, part) in enumerate(self.keys):
            if part in keypoints:
                slot = layout.slot_of(mouse - 1, names.index(keypoints[part]))
                of_slot.setdefault(slot, []).append(column)
        if not of_slot:
            raise DataError(
                f"{self.path}: no row with a body part; it has "
                f"{sorted({part for _, part in self.columns})}."
            )
        slots = np.array(sorted(of_slot))
        columns = [of_slot[slot] for slot in slots.tolist()]
        if columns == [[column] for column in range(len(self.keys))]:
            return slots, self.points
        merged = make_array((len(self.points), len(slots)), self.points.dtype)
        for rows in row_blocks(self.points, merged):
            first = [of_one[0] for of_one in columns]
            merged[rows] = self.points[rows].take(first, axis=1)
            for at, several in enumerate(columns):
                if len(several) > 1:
                    merged[rows, at] = _mean_of_present(self.points[rows][:, several])
        return slots, merged

    def _checked(
        self, batch: pa.RecordBatch
    ) -> tuple[Integer[np.ndarray, " row"], Integer[np.ndarray, " row"]]:
        """Return each row's frame and animal, or raise `DataError`."""
        path = self.path
        if any(batch.column(name).null_count for name in _CELL_COLUMNS):
            raise DataError(f"{path}: {_CELL_COLUMNS} must be given in every row.")
        frame, mouse = (
            whole_numbers(batch.column(name), name, path) for name in _CELL_COLUMNS[:2]
        )
        if frame.min() < 0:
            raise DataError(f"{path}: video_frame {frame.min()} is below 0.")
        if frame.max() >= len(self.points):
            raise DataError(
                f"{path}: video_frame {frame.max()} is beyond {len(self.points) - 1}, "
                "the largest that the file's statistics name; write it anew."
            )
        if not 1 <= mouse.min() <= mouse.max() <= MOST_ANIMALS:
            raise DataError(
                f"{path}: mouse_id must be 1 to {MOST_ANIMALS:,}, found "
                f"{mouse.min()} to {mouse.max()}."
            )
        return frame, mouse

    def _columns_of(
        self, cell: Int[np.ndarray, " row"], parts: tuple[str, ...]
    ) -> Int[np.ndarray, " row"]:
        """Return each row's column, given its ``mouse_id * len(parts) + part``."""
        most = int(cell.max()) // len(parts)
        if parts != self.parts or len(self.column_of_cell) <= most * len(parts):
            self._set_parts(parts, most)
        column = self.column_of_cell.take(cell)
        if column.min() == _NOT_YET:
            count = np.bincount(cell, minlength=len(self.column_of_cell))
            fresh = np.flatnonzero((count > 0) & (self.column_of_cell == _NOT_YET))
            keys = [divmod(int(each), len(parts)) for each in fresh]
            self._make_columns([(mouse, parts[part]) for mouse, part in keys])
            self._set_parts(parts, most)
            column = self.column_of_cell[cell]
        return column

    def _set_parts(self, parts: tuple[str, ...], most: int) -> None:
        """Set the list that the numbers of body parts are indices of.

        `most` is the largest mouse_id so far. Raises `DataError` for more parts than
        any tracker has.
        """
        if len(parts) > MAX_PARTS:
            raise DataError(
                f"{self.path}: has {len(parts):,} body parts, at most {MAX_PARTS:,} "
                "are read. Does the column bodypart name them?"
            )
        self.parts = parts
        keys = [(mouse, part) for mouse in range(most + 1) for part in parts]
        self.column_of_cell = np.array(
            [self.columns.get(key, _NOT_YET) for key in keys], np.int64
        )

    def _make_columns(self, fresh: list[tuple[int, str]]) -> None:
        """Add a column for each (mouse_id, body part), in the order of slots.

        Raises `DataError` where a table has more points than a recording can have.
        """
        for key in sorted(fresh, key=_slot_order):
            self.columns[key] = len(self.keys)
            self.keys.append(key)
        if len(self.points) * len(self.keys) > _MOST_POINTS:
            raise DataError(
                f"{self.path}: {len(self.points):,} frames with {len(self.keys):,} "
                f"points each; at most {_MOST_POINTS:,} in all are read. Are frames, "
                "mouse_id and bodypart what their columns say?"
            )
        before = self.points.shape[1]
        wider = make_array((len(self.points), len(self.keys)), self.points.dtype)
        for rows in row_blocks(self.points, wider):
            wider[rows, :before] = self.points[rows]
            wider[rows, before:] = _MISSING
        self.points, self.touched = wider, Touched(wider)


def _mean_of_present(
    several: Complex[np.ndarray, "time column"],
) -> Complex[np.ndarray, " time"]:
    """Return the mean of columns where they are present."""
    present = several == several
    with np.errstate(invalid="ignore"):  # 0 / 0 where none is: missing
        return np.where(present, several, 0).sum(1) / present.sum(1)


def _slot_order(key: tuple[int, str]) -> tuple[int, int, str]:
    """Sort (mouse_id, body part) by slot, canonical keypoints first."""
    mouse, part = key
    keypoint = match_keypoint(part)
    place = len(KEYPOINTS) if keypoint is None else KEYPOINTS.index(keypoint)
    return mouse, place, part


def _as_complex(x: pa.Array, y: pa.Array) -> tuple[Complex[np.ndarray, " row"], int]:
    """Return x + iy, NaN where a coordinate is not finite, and how many others."""
    values = np.empty(len(x), np.complex64)
    with np.errstate(over="ignore", invalid="ignore"):
        real, imag = (as_numpy(each).astype(np.float32, copy=False) for each in (x, y))
        values.real, values.imag = real, imag
        # The sum is finite exactly where both are, and quicker to check.
        finite = np.isfinite(real + imag)
    given = int(np.count_nonzero(finite))
    if given < len(values):
        values[~finite] = _MISSING
    return values, given


def _codes(parts: pa.Array) -> tuple[Integer[np.ndarray, " row"], tuple[str, ...]]:
    """Return the body parts as indices of a list of names."""
    if not pa.types.is_dictionary(parts.type):
        parts = parts.dictionary_encode()
    names = tuple(str(part) for part in parts.dictionary.to_pylist())
    return as_numpy(parts.indices), names


def _keypoints_of(parts: set[str]) -> dict[str, str]:
    """Return the keypoint of each body part: a canonical one, or one of its own name.

    `mabe import` marks names that another one of the same lab stands for already.
    """
    matched = match_parts(part for part in parts if not part.startswith(EXTRA))
    taken = set(matched.values()) | parts
    for part in sorted(parts - matched.keys()):
        name = part.removeprefix(EXTRA)
        matched[part] = part if name in taken or name in KEYPOINTS else name
    return matched


def _notes_on_parts(keypoints: Mapping[str, str]) -> list[str]:
    """Return a note on each body part that may be a misspelled keypoint of a rodent."""
    notes = []
    for part, keypoint in sorted(keypoints.items()):
        near = nearest_keypoints(part, cutoff=LIKE) if part == keypoint else []
        if near and keypoint not in KEYPOINTS:
            notes.append(
                f"body part {part!r} is kept as a keypoint of its own; is it "
                f"{' or '.join(near)}?"
            )
    return notes
