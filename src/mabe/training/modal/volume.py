"""Paths in the volume, and the interface that is used of it.

- ``data/NAME/…``: a data set, as it is on the user's disk; ``manifests/NAME.json`` says
  what each file held when it was uploaded;
- ``code/DIGEST/…``: the project's code, one folder for each state of it, so that a run
  that is started anew in the middle goes on with the code it began with;
- ``runs/NAME/…``: run directories; ``ledgers/NAME.json`` says who writes one, and what
  it has cost.

Paths in the volume are written with ``/`` and without one at the start.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mabe.errors import ConfigError

VOLUME_NAME = "mabe-data"


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@runtime_checkable
class Entry(Protocol):
    """A file or folder that a volume lists."""

    path: str
    size: int
    type: Any


@runtime_checkable
class Batch(Protocol):
    """Files that are uploaded together when the batch ends."""

    def put_file(self, local_file: Any, remote_path: str) -> None:
        """Add a file of this machine, or an open one."""


@runtime_checkable
class Volume(Protocol):
    """What is used of `modal.Volume` from outside its machines."""

    def batch_upload(self, force: bool = False) -> AbstractContextManager[Batch]:
        """Begin a batch; `force` replaces files that are there."""

    def listdir(self, path: str, *, recursive: bool = False) -> Sequence[Entry]:
        """List a folder."""

    def read_file(self, path: str) -> Iterable[bytes]:
        """Yield a file's content; raises `FileNotFoundError`."""


def data_folder(name: str) -> str:
    """Return where a data set lies."""
    return f"data/{name}"


def manifest_path(name: str) -> str:
    """Return where it is written what a data set's files held."""
    return f"manifests/{name}.json"


def code_folder(digest: str) -> str:
    """Return where one state of the code lies."""
    return f"code/{digest}"


def run_folder(name: str) -> str:
    """Return where a run lies."""
    return f"runs/{name}"


def ledger_path(name: str) -> str:
    """Return where a run's writer and cost are written."""
    return f"ledgers/{name}.json"


def check_name(name: str, *, option: str) -> str:
    """Return a name that can be a folder's; else raise `ConfigError`."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{option} {name!r}: expected letters, digits, '.', '_' and '-', such as "
            "5090-quick"
        )
    return name


def data_name(data_dir: Path) -> str:
    """Return what a folder of data is called in the volume: as it is here."""
    return check_name(data_dir.resolve().name, option="--data-dir")


def stored_sizes(volume: Volume, folder: str) -> dict[str, int]:
    """Return the files below a folder, relative to it, with their bytes.

    A folder that is not there has none. The volume is listed from its top, because
    listing an absent folder is an error.
    """
    prefix = f"{folder}/"
    files = {
        entry.path.lstrip("/"): entry.size
        for entry in volume.listdir("/", recursive=True)
        if entry.type.name == "FILE"
    }
    return {
        path.removeprefix(prefix): size
        for path, size in files.items()
        if path.startswith(prefix)
    }
