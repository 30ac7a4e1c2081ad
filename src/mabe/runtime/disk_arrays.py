"""Large arrays on disk, so that a recording of any length fits a small memory.

An array of up to `LARGEST_IN_MEMORY` lies in memory, a larger one in a temporary file
that is deleted with the process. Pages of the file that were read or written count as
memory of the process until they are released; what was written to them stays.
"""

import mmap
import os
import tempfile
from collections.abc import Iterator

import numpy as np

from mabe.errors import DataError

LARGEST_IN_MEMORY = 64 << 20
"""Bytes; larger arrays lie on disk."""


_RELEASE_BYTES = 8 << 20
"""Pages are released after so many bytes were read or written."""


_PIECE_BYTES = 1 << 19
"""A piece of an array and a few results of its size fit the cache of a core."""


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
    """Allocate the file at once: a disk full later would end the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def row_blocks(*arrays: np.ndarray) -> Iterator[slice]:
    """Yield slices of rows in order, each small enough for the cache of a core.

    The arrays have the same length; their pages are released after each slice.
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
    """Counts the bytes used of an array, and releases pages after some."""

    def __init__(self, array: np.ndarray) -> None:
        self._mapped = _find_map(array)
        self._bytes = 0

    def add(self, touched_bytes: int) -> None:
        """Count bytes that were read or written."""
        self._bytes += touched_bytes
        if self._mapped is not None and self._bytes > _RELEASE_BYTES:
            self._bytes = 0
            _release(self._mapped)


def _find_map(array: np.ndarray) -> mmap.mmap | None:
    """Return the memory map that an array is a view of; None where there is none."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def _release(mapped: mmap.mmap) -> None:
    """Release the pages; the system keeps them in its cache or writes them."""
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)
