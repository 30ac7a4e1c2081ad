"""A file or folder in object storage, as a local copy that a command works on.

What is at the URL is fetched into a temporary folder; the command reads and writes
there. When it is done, what it changed is put back, each object whole, and those last
that mark a folder as complete. A command that fails puts nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mabe.errors import DataError
from mabe.runtime.file_names import path_under
from mabe.runtime.files import hash_file
from mabe.runtime.object_storage import (
    RemoteFolder,
    exists,
    fetch,
    find_folder,
    put,
    take_away,
)

_LAST = ("provenance.json", "index.json", "best.safetensors", "failures.csv")
"""Files by which others recognise a folder as complete; put last, in this order."""


@dataclass(slots=True)
class Mirror:
    """A URL and its local copy."""

    url: str
    """Of a folder, or of the folder of a file."""
    root: Path
    place: Path
    """Where the command reads and writes: the folder, or a file in it."""
    fetched: Mapping[str, str]
    """Hashes of the files that were fetched, by their paths in the folder."""

    def put_back(self) -> None:
        """Put what is new or changed, and take away what was removed.

        Raises `DataError` where the storage refuses.
        """
        here = {
            path.relative_to(self.root).as_posix(): path
            for path in self.root.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        }
        changed = [
            name
            for name, path in here.items()
            if hash_file(path) != self.fetched.get(name)
        ]
        for name in sorted(changed, key=_order):
            put(here[name], f"{self.url}/{name}")
        for name in self.fetched.keys() - here.keys():
            take_away(f"{self.url}/{name}")


def _order(name: str) -> tuple[int, str]:
    last = PurePosixPath(name).name
    return (_LAST.index(last) + 1 if last in _LAST else 0, name)


def mirror_input(url: str, root: Path) -> Path:
    """Fetch a file, or a whole folder, into a local folder; return its path there.

    Raises `DataError` where there is nothing.
    """
    folder, _, name = url.rstrip("/").rpartition("/")
    if exists(url):
        return _mirror_one(folder, root, name).place
    place = root / name
    mirror = _mirror(find_folder(url.rstrip("/")), place, place)
    if not mirror.fetched:
        raise DataError(f"{url}: no such file or folder; is its name right?")
    return place


def mirror_folder(url: str, root: Path) -> Mirror:
    """Return the local copy of a folder to read and write, which may be empty.

    Where the URL is that of a file, what is written beside it is put back too.
    """
    if exists(url):
        folder, _, name = url.rpartition("/")
        return _mirror_one(folder, root, name)
    place = root / url.rstrip("/").rpartition("/")[2]
    return _mirror(find_folder(url.rstrip("/")), place, place)


def mirror_file(url: str, root: Path) -> Mirror:
    """Return the local copy of a file to write, with those named after it."""
    folder, _, name = url.rpartition("/")
    stem = PurePosixPath(name).stem
    beside = find_folder(folder, levels=1).files
    own = {key: file for key, file in beside.items() if key.startswith(f"{stem}.")}
    return _mirror(RemoteFolder(folder, own), root, root / name)


def _mirror_one(folder: str, root: Path, name: str) -> Mirror:
    """Fetch one file of a folder."""
    beside = find_folder(folder, levels=1).files
    return _mirror(RemoteFolder(folder, {name: beside[name]}), root, root / name)


def _mirror(found: RemoteFolder, root: Path, place: Path) -> Mirror:
    hashes = {}
    for name, file in found.files.items():
        here = path_under(root, *PurePosixPath(name).parts)
        fetch(file, here)
        hashes[name] = hash_file(here)
    return Mirror(found.url, root, place, hashes)
