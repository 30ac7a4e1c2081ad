"""Large arrays on disk, so that a recording of any length fits a small memory.

An array of a few hours' poses lies in memory; a larger one in a temporary file that
ends with the process. The pages of the file that were touched count as the process's
own memory until they are let go; what was written to them stays.
"""

import mmap
import os
import tempfile
from collections.abc import Iterator

import numpy as np

from mabe.errors import DataError

LARGEST_IN_MEMORY = 64 << 20
"""Bytes; larger arrays lie on disk."""


_LET_GO_BYTES = 8 << 20
"""Pages are let go when so much was touched."""


_PIECE_BYTES = 1 << 19
"""A piece of an array and a few results of its size fit a core's cache."""


def make_array(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array of undefined values; on disk where it is large.

    Raises `DataError` where the disk has no room for it.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    if size <= LARGEST_IN_MEMORY:
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            _reserve(file.fileno(), size)
            mapped = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise DataError(
            f"{tempfile.gettempdir()}: no room for {size / 2**20:.0f} MB that a long "
            f"recording needs ({error.strerror}); free some, or set TMPDIR to another "
            "folder."
        ) from error
    return np.ndarray(shape, dtype, buffer=mapped)


def _reserve(descriptor: int, size: int) -> None:
    """Take the room at once: a disk that is full later would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def walk(*arrays: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows in order, few enough of them to fit a core's cache.

    The arrays are as long as each other; their pages are let go behind it.
    """
    length = min(len(array) for array in arrays)
    rows = max(1, _PIECE_BYTES // max(1, *(array[:1].nbytes for array in arrays)))
    touched = [Touched(array) for array in arrays]
    for start in range(0, length, rows):
        some = slice(start, min(start + rows, length))
        yield some
        for each, array in zip(touched, arrays, strict=True):
            each.add(array[some].nbytes)


class Touched:
    """Counts what was touched of an array, and lets pages go now and then."""

    def __init__(self, array: np.ndarray) -> None:
        self._mapped = _find_map(array)
        self._bytes = 0

    def add(self, touched_bytes: int) -> None:
        """Note that so many bytes more were read or written."""
        self._bytes += touched_bytes
        if self._mapped is not None and self._bytes > _LET_GO_BYTES:
            self._bytes = 0
            _let_go(self._mapped)


def _find_map(array: np.ndarray) -> mmap.mmap | None:
    """Return the file's map that an array is a view of, if it is of one."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def _let_go(mapped: mmap.mmap) -> None:
    """Drop the pages from the process; the system keeps or writes them as it likes."""
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)
