"""Log lines: what a command prints, with the time, for people who were not there.

Where the standard error stream is no terminal, every line written to it begins with the
time. A log file gets every line of both streams. Progress bars go to terminals only.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from mabe.errors import OutputError
from mabe.runtime.console import bar_length
from mabe.runtime.object_storage import as_url

Stream = Any
"""What texts are written to: a file, or what stands for one."""


def time_of_day() -> str:
    """Return the time in seconds with its offset, ``2026-01-31T12:00:00+01:00``."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


class LogFile:
    """A file to which lines are appended, each with the time."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> None:
        """Append a line; empty ones are left out."""
        if line.strip():
            self._file.write(f"{time_of_day()} {line.rstrip()}\n")
            self._file.flush()


@contextmanager
def open_log(path: Path | None) -> Iterator[LogFile | None]:
    """Provide the log file of a path; raises `OutputError` where it cannot be opened.

    Earlier lines stay.
    """
    if path is None:
        yield None
        return
    if url := as_url(path):
        raise OutputError(
            f"log: {url}: a URL cannot be used here, as a log grows line by line; give "
            "a local path"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"--log {path}: cannot be written: {error.strerror or error}; give a file "
            "in a folder that you may write to"
        ) from error
    with file:
        yield LogFile(file)


class _LineStream:
    """A stream whose lines begin with the time, if wanted, and go to a log file."""

    def __init__(
        self,
        stream: Stream,
        log: LogFile | None,
        *,
        naming: Callable[[str], str],
        is_timed: bool,
    ) -> None:
        self._stream = stream
        self._log = log
        self._naming = naming
        self._is_timed = is_timed
        self._line = ""

    def write(self, text: str) -> int:
        """Write a text of any number of lines; a progress bar is no line."""
        if bar_length(text):
            self._stream.write(text)
            return len(text)
        for part in self._naming(text).splitlines(keepends=True):
            begins = not self._line and part.strip()
            self._stream.write(
                f"{time_of_day()} {part}" if self._is_timed and begins else part
            )
            self._line += part
            if self._line.endswith("\n"):
                if self._log:
                    self._log.write(self._line)
                self._line = ""
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def logging_lines(
    log: LogFile | None,
    *,
    out: Stream | None = None,
    naming: Callable[[str], str] = str,
) -> Iterator[None]:
    """Within the context, write times before lines on stderr, and all to a log file.

    `out` is where lines of the standard output stream go, if not there. `naming`
    changes each text, such as names of temporary files in it.
    """
    out = out or sys.stdout
    is_timed = not sys.stderr.isatty()
    with ExitStack() as held:
        for redirect, stream in ((redirect_stdout, out), (redirect_stderr, sys.stderr)):
            timed = is_timed and stream is sys.stderr
            lines: Stream = _LineStream(stream, log, naming=naming, is_timed=timed)
            held.enter_context(redirect(lines))
        yield
