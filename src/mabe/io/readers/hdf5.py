"""HDF5 files: h5py's errors become `DataError`, and memory is bounded.

A header can declare more than the file holds (unwritten chunks need no space), so
every array is checked before it is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mabe.errors import DataError
from mabe.io.readers.kaggle_tracks import MAX_FRAMES

MAX_VALUES = 1 << 30
"""Files with larger arrays are treated as broken: 4 GiB as float32."""


_BEST_COMPRESSION = 1200
"""Deflate makes data at most about a thousand times smaller."""


_SMALL_BYTES = 1 << 20


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file to read; h5py's errors become one line."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file.") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        # h5py raises any of these for broken files.
        reason = " ".join(str(error).split())
        raise DataError(
            f"{path}: cannot be read as HDF5 ({reason}); is it cut off? Copy it again."
        ) from error


def read_array(parent: h5py.Group, name: str, path: Path, *, ndim: int = 0) -> Any:
    """Return a whole array of numbers or texts, checked before it is read.

    Raises `DataError` where it is absent, has another number of axes than `ndim`
    (0: any), is longer than any recording, or holds far less than it declares.
    """
    dataset = parent.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise DataError(
            f"{path}: expected the array {name!r} in {parent.name}, found "
            f"{sorted(parent)[:12]}."
        )
    if ndim and dataset.ndim != ndim:
        raise DataError(
            f"{path}: {name} should have {ndim} axes, found the shape {dataset.shape}."
        )
    check_size(dataset, path)
    return dataset[()]


def check_size(dataset: h5py.Dataset, path: Path) -> None:
    """Raise `DataError` where an array cannot have the size it declares."""
    size = dataset.size or 0
    if max(dataset.shape, default=0) > MAX_FRAMES or size > MAX_VALUES:
        raise DataError(
            f"{path}: {dataset.name} declares the shape {dataset.shape}; expected "
            f"at most {MAX_FRAMES:,} frames and {MAX_VALUES:,} values. Is the file "
            "broken?"
        )
    declared = size * dataset.dtype.itemsize
    held = dataset.id.get_storage_size()
    if declared > _SMALL_BYTES and held * _BEST_COMPRESSION < declared:
        raise DataError(
            f"{path}: {dataset.name} declares {declared:,} bytes and holds {held:,}; "
            "is the file complete? Copy or export it again."
        )


def texts(values: Any) -> tuple[str, ...]:
    """Return an array of texts, bytes or not, as plain strings."""
    return tuple(text(value) for value in np.ravel(values))


def text(value: Any) -> str:
    """Return one text of an HDF5 file, bytes or not."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)
