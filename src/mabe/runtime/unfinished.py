"""Files that a process is writing: their names, and removal of those left by kills.

A file is written beside its place under a name that holds the machine and the process
that writes it. So a later process can distinguish what another one is still writing
from what a killed one has left. The latter is removed by the next process that writes
into the same folder.
"""

import contextlib
import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = re.compile(
    r"\..+\.(?:(?P<machine>[0-9a-f]{6})-(?P<process>[0-9]+)-)?[0-9a-f]{8}\.tmp"
)
"""Versions before 0.3 wrote neither machine nor process."""


_LEFT_AFTER_S = 24 * 3600
"""Age at which a file counts as left where its process cannot be asked for: it is of
another machine, or of an earlier version."""


_being_written: set[Path] = set()
"""Files and folders that this process is writing."""


_cleared: set[Path] = set()
"""Folders from which this process has removed what was left."""


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Provide a new name beside `path`, and remove what it names at the end.

    Names are random, so two processes (also on two machines) never share one.
    """
    own = f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    beside = path.with_name(f".{path.name}.{own}.tmp")
    _being_written.add(beside)
    try:
        yield beside
    finally:
        _being_written.discard(beside)
        _remove(beside)


def is_unfinished(name: str) -> bool:
    """Return whether a file's name is one of `unfinished`, of any version."""
    return _NAME.fullmatch(name) is not None


def finished_names(folder: Path) -> set[str]:
    """Return what a folder holds, but for files that are, or were, being written.

    Nothing where there is no folder.
    """
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return {name for name in names if not is_unfinished(name)}


def remove_left(folder: Path) -> None:
    """Remove what killed processes were writing in a folder; once in each process."""
    if folder in _cleared:
        return
    _cleared.add(folder)
    # A folder that cannot be listed is not cleared; writing to it raises the error.
    with contextlib.suppress(OSError):
        for path in [*folder.iterdir()]:
            if is_unfinished(path.name) and _is_left(path):
                _remove(path)


def _is_left(path: Path) -> bool:
    """Return whether nobody writes a file any more."""
    found = _NAME.fullmatch(path.name)
    if path in _being_written or found is None:
        return False
    if found["machine"] == _machine() and os.name != "nt":
        process = int(found["process"])
        return process == os.getpid() or not _is_running(process)
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime > _LEFT_AFTER_S
    return False


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True


def _machine() -> str:
    """Return a short hash of what process ids are valid in: machine and container."""
    container = ""
    with contextlib.suppress(OSError):
        container = str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(f"{platform.node()} {container}".encode()).hexdigest()[:6]


def _remove(path: Path) -> None:
    """Remove a file or folder that may be absent; one that is open elsewhere stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
