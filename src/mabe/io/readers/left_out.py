"""Files that are recognised and deliberately not read.

A reader raises `LeftOut` where a file belongs to a known program and is not read, and
`NothingToImport` where nothing in it could be imported. The reason is one true sentence
that names the program and what to export instead; like files of a folder have one
reason, so that they are one line.
"""

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
