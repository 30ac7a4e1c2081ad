"""The file of a store's poses: little-endian 16-bit values, mapped into memory.

A file may change under a running program: it is cut short, or replaced by another that
has its size and time. So values are looked up in the map only where the file still
reaches (reading further would end the process: SIGBUS), and the values of a recording
are compared with their hash when a process first reads them.
"""

import hashlib
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int16, Shaped

from mabe.data.poses_in_cm import STEP_DTYPE
from mabe.errors import DataError
from mabe.recording import StoredRecording

_PIECE_BYTES = 1 << 20


_LETTERS = 20


_PAGES_AROUND_BYTES = 1 << 16
"""Bytes that Linux maps around an accessed page, if they are cached."""


_MOST_TOUCHED_BYTES = 64 << 20


def hash_of(poses: Shaped[np.ndarray, "..."]) -> str:
    """Return the hash of a recording's values, as a store's index holds it."""
    return hashlib.sha256(poses.data).hexdigest()[:_LETTERS]


def hash_in_file(path: Path, recording: StoredRecording) -> str:
    """Return the same of a recording's values in a file, as far as it reaches.

    Reads the file instead of its map, whose pages would count as memory.
    """
    digest = hashlib.sha256()
    left = recording.values * STEP_DTYPE.itemsize
    with path.open("rb") as file:
        file.seek(recording.offset * STEP_DTYPE.itemsize)
        while piece := file.read(min(left, _PIECE_BYTES)):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()[:_LETTERS]


class PosesFile:
    """The values of all recordings of a store.

    The file is mapped when the first value is read, in each process by itself: what is
    sent to a worker process has no map.
    """

    def __init__(self, path: Path, hashes: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.hashes = hashes or {}
        """Of the values of each recording; none in stores of mabe 0.2 and earlier."""
        self._sound: set[str] = set()
        self._map: mmap.mmap | None = None
        self._values: Int16[np.ndarray, " value"] | None = None
        self._touched_bytes = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None, "_values": None}

    def of_recording(self, recording: StoredRecording) -> Int16[np.ndarray, " value"]:
        """Return a view of a recording's values.

        Raises `DataError` where they are not those that were stored.
        """
        if self._values is None or self._map is None:
            self._open()
        assert self._values is not None
        assert self._map is not None
        stop = recording.offset + recording.values
        reach = min(self._map.size() // STEP_DTYPE.itemsize, len(self._values))
        if stop > reach:
            raise DataError(
                f"{self.path}: was cut short while it was in use; run `mabe prepare` "
                "again, then this command"
            )
        if not self.is_sound(recording):
            raise DataError(
                f"{self.path}: the poses of {recording.name} are not those that were "
                "stored: the file is damaged or was exchanged; run `mabe prepare` again"
            )
        return self._values[recording.offset : stop]

    def is_sound(self, recording: StoredRecording) -> bool:
        """Return whether a recording's values have the hash they were stored with.

        Each recording is read once in a process. One without a hash counts as sound.
        """
        expected = self.hashes.get(recording.name)
        if expected is None or recording.name in self._sound:
            return True
        is_sound = hash_in_file(self.path, recording) == expected
        if is_sound:
            self._sound.add(recording.name)
        return is_sound

    def count_touched(self, read_bytes: int) -> None:
        """Drop the map when many of its pages were read.

        They count as the process's own memory, which would grow to the size of the
        whole store; the operating system keeps them cached in any case.
        """
        self._touched_bytes += read_bytes + _PAGES_AROUND_BYTES
        if self._touched_bytes > _MOST_TOUCHED_BYTES:
            self._map, self._values, self._touched_bytes = None, None, 0

    def _open(self) -> None:
        try:
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise DataError(
                f"{self.path}: the store was prepared again after it was opened; start "
                "again."
            ) from error
        except ValueError as error:  # an empty file cannot be mapped
            raise DataError(
                f"{self.path}: is empty; run `mabe prepare` again"
            ) from error
        # A plain array: views of a memmap take several times as long to create.
        self._values = np.frombuffer(self._map, STEP_DTYPE)
