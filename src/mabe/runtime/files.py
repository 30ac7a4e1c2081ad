"""Files that are written whole, folders, hashes, the cache folder.

A file is written beside its place, flushed to the disk, and renamed into place;
a crash leaves either the old file or the new one.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mabe.errors import OutputError
from mabe.runtime.copies_of_urls import values_with_urls, with_urls
from mabe.runtime.unfinished import remove_left, unfinished

_PIECE_BYTES = 1 << 20

_HASH_LETTERS = 20

_made: list[list[Path]] = []
"""Folders that were created in the contexts of `removing_empty_folders` that are open,
the innermost last; of nested ones the outermost."""


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file, then put it in the place of `path`.

    After an error (a full disk, Ctrl-C) the temporary file is removed and the old file
    stays; what killed processes have left beside it is removed first. Raises
    `OutputError` where the operating system refuses.
    """
    try:
        create_folder(path.parent)
        remove_left(path.parent)
        with unfinished(path) as beside:
            write(beside)
            put_in_place(beside, path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; "
            "is the disk full, or a folder of this path a file or read-only?"
        ) from error


def put_in_place(beside: Path, path: Path) -> None:
    """Flush a complete file to the disk, then rename it; raises `OSError`."""
    flush_to_disk(beside)
    _replace(beside, path)
    _flush_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file that may be absent; raises `OutputError` where that fails."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be removed: {error.strerror or error}; is it open in "
            "another program?"
        ) from error


def make_folder(path: Path) -> None:
    """Create a folder where there is none; raises `OutputError` where that fails."""
    try:
        create_folder(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be created: {error.strerror or error}; is a folder of "
            "this path a file, or read-only?"
        ) from error


@contextmanager
def removing_empty_folders() -> Iterator[None]:
    """After an error within the context, remove what it created and left empty.

    So a command that is refused leaves no folder behind. Folders that hold a file stay,
    and so do those that were there before.
    """
    made: list[Path] = []
    _made.append(made)
    try:
        yield
    except BaseException:
        for folder in reversed(made):
            _remove_empty(folder)
        raise
    finally:
        _made.pop()


def create_folder(path: Path) -> None:
    """Do what `make_folder` does, with the error of the operating system."""
    above = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if above and _made:
        _made[-1].append(above[-1])


def _remove_empty(folder: Path) -> None:
    """Remove a folder, and those in it, where there is no file; others stay."""
    for place, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # it holds a file, or may not be removed
            Path(place).rmdir()


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file atomically."""
    write_atomically(path, lambda beside: _write_all(beside, data))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically, with the same bytes on every system.

    It names URLs in the place of their local copies.
    """
    write_bytes(path, with_urls(text).encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically."""
    named = values_with_urls(value)
    write_text(
        path, json.dumps(named, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    )


def hash_bytes(data: bytes) -> str:
    """Return what `hash_file` returns for a file with this content."""
    return hashlib.sha256(data).hexdigest()[:_HASH_LETTERS]


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
    return digest.hexdigest()[:_HASH_LETTERS]


def append_rest(source: BinaryIO, out: BinaryIO) -> None:
    """Append the unread rest of a file to another.

    Inside the kernel where possible, which takes a quarter of the time.
    """
    at = source.tell()
    if hasattr(os, "copy_file_range"):
        out.flush()
        left = os.fstat(source.fileno()).st_size - at
        # Not every file system supports this; the plain copy below then copies the
        # rest, or raises the error.
        with contextlib.suppress(OSError):
            while left and (
                copied := os.copy_file_range(source.fileno(), out.fileno(), left, at)
            ):
                at, left = at + copied, left - copied
        out.seek(0, os.SEEK_END)
    source.seek(at)
    shutil.copyfileobj(source, out, _PIECE_BYTES)


def _replace(beside: Path, path: Path) -> None:
    """Rename; on Windows wait briefly while another process has the old file open."""
    for wait_s in (0.1, 0.5, 2.0):
        try:
            beside.replace(path)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(wait_s)
        else:
            return
    beside.replace(path)


def _write_all(path: Path, data: bytes | memoryview) -> None:
    path.write_bytes(data)


def cache_folder() -> Path:
    """Return the folder for files that `mabe` can make again; `MABE_CACHE` sets it."""
    if chosen := os.environ.get("MABE_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs  # not needed by most commands, and slow to import

    return platformdirs.user_cache_path("mabe", appauthor=False, opinion=False)


def _flush_folder(folder: Path) -> None:
    """Make a rename permanent; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
