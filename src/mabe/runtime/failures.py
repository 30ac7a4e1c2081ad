"""What a command left out although it was to use it: `failures.csv` and exit code 3.

A command that goes on past a file that it cannot read has done its work in part. It
lists such files where it writes its results, so that a pipeline can act on them.
"""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import remove, write_text

FILE_NAME = "failures.csv"


@dataclass(frozen=True, slots=True, order=True)
class Failure:
    """A file or recording that was left out, and why."""

    file: str
    reason: str


_collecting: list[set[Failure]] = []
"""What the contexts that are open have collected, the innermost last."""


@contextmanager
def collecting_failures() -> Iterator[set[Failure]]:
    """Collect what is left out within the context."""
    found: set[Failure] = set()
    _collecting.append(found)
    try:
        yield found
    finally:
        _collecting.remove(found)


def note_failure(file: str, reason: str) -> None:
    """Note that a file or recording is left out."""
    if _collecting:
        _collecting[-1].add(Failure(file, reason))


def write_failures(path: Path, failures: set[Failure]) -> None:
    """Write `failures.csv`; remove an earlier one if there are none."""
    if not failures:
        remove(path)
        return
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("file", "reason"))
    rows.writerows((cell_of(f.file), cell_of(f.reason)) for f in sorted(failures))
    write_text(path, text.getvalue())
