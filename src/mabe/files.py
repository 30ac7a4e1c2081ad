"""Writing files so that nobody ever sees half of one.

A file is written beside its place, flushed to the disk, and renamed into place;
a crash leaves either the old file or the new one.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PIECE_BYTES = 1 << 20


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file, then put it in the place of `path`.

    The temporary name holds the process id, so two runs never share one; on an
    error (a full disk, Ctrl-C) it is removed and the old file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(beside)
        flush_to_disk(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    _flush_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_atomically(path, lambda place: _write_utf8(place, text))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def flush_to_disk(path: Path) -> None:
    """Wait until the file's bytes are on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def hash_file(path: Path) -> str:
    """Return a short hash of the file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()[:20]


def _write_utf8(path: Path, text: str) -> None:
    # newline="\n": the same bytes on Windows, so that hashes agree across machines.
    path.write_text(text, encoding="utf-8", newline="\n")


def _flush_folder(folder: Path) -> None:
    """Make a rename last; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
