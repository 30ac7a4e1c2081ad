"""Joining the poses of all recordings of a store into one file, in its order.

Each recording is appended as soon as those before it are: while others are still read,
so that joining adds little to the time of reading.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mabe.data.prepare_parts import copy_part_poses, part_path, read_part_header
from mabe.data.store import PoseStore
from mabe.recording import StoredRecording

_FLUSHED_BYTES = 32 << 20
"""The disk writes after so many bytes, instead of all of them at the end."""


class JoinedPoses:
    """The recordings of a new store, and the file that their poses are written to.

    Nothing is written while recordings are those of the old store in its order.
    """

    def __init__(self, file: BinaryIO, parts_dir: Path, old: PoseStore | None) -> None:
        self.recordings: list[StoredRecording] = []
        self.hashes: list[str] = []
        """Of the poses of each recording."""
        self._file = file
        self._parts_dir = parts_dir
        self._old = old
        stored = old.recordings if old else ()
        self._in_old = {each.content_hash: at for at, each in enumerate(stored)}
        self._is_start_of_old = True
        self._written = 0
        """Number of recordings whose poses are in the file."""
        self._flushed_bytes = 0

    def append(self, content: str) -> None:
        """Add a recording, by its content hash, from its part or the old store."""
        at = self._in_old.get(content)
        if self._old is not None and at is not None:
            recording, poses_hash = self._old.recordings[at], self._old.poses_hash(at)
        else:
            recording, poses_hash = read_part_header(
                part_path(self._parts_dir, content)
            )
        last = self.recordings[-1] if self.recordings else None
        offset = last.offset + last.values if last else 0
        self._is_start_of_old &= at == len(self.recordings)
        self.recordings.append(replace(recording, offset=offset))
        self.hashes.append(poses_hash)
        if not self._is_start_of_old:
            self._write()

    def finish(self) -> Path | None:
        """Write what is left; return the file of the old store where it is the same."""
        if self._old and self._is_start_of_old:
            if len(self.recordings) == len(self._old.recordings):
                return self._old.poses_path
            self._write()
        return None

    def _write(self) -> None:
        for recording in self.recordings[self._written :]:
            at = self._in_old.get(recording.content_hash)
            if self._old is not None and at is not None:
                self._file.write(self._old.values_of(at).data)
            else:
                part = part_path(self._parts_dir, recording.content_hash)
                copy_part_poses(part, self._file)
            if self._file.tell() - self._flushed_bytes > _FLUSHED_BYTES:
                self._flushed_bytes = self._file.tell()
                self._file.flush()
                os.fsync(self._file.fileno())
        self._written = len(self.recordings)
