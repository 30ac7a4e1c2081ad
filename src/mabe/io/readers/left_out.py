"""Files that are recognised and deliberately not read.

A reader raises `LeftOut` where a file belongs to a known program and is not read, and
`NothingToImport` where nothing in it could be imported. The reason is one true sentence
that names the program and what to export instead; like files of a folder have one
reason, so that they are one line.
"""

from collections.abc import Iterable
from pathlib import Path

from mabe.errors import DataError, NotARecordingError


class LeftOut(DataError):
    """A file that is known, and why it is not read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NothingToImport(LeftOut, NotARecordingError):
    """A known file that holds neither tracks of a recording nor annotations of one."""


_SHOWN = 3


def describe_left_out(files: Iterable[LeftOut]) -> list[str]:
    """Return one line for each reason, with the names of some of its files."""
    by_reason: dict[str, list[str]] = {}
    for each in files:
        by_reason.setdefault(each.reason, []).append(each.path.name)
    lines = []
    for reason, names in by_reason.items():
        if len(names) == 1:
            lines.append(f"{names[0]}: {reason}")
        else:
            shown = ", ".join(names[:_SHOWN])
            more = " …" if len(names) > _SHOWN else ""
            lines.append(f"{len(names):,} files ({shown}{more}): {reason}")
    return lines
