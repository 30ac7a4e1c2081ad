"""What commands print: lines, progress, and numbers.

Lines leave progress bars whole. Where there is no terminal, what takes long prints a
line with its progress now and then in place of a bar.
"""

import errno
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import index
from typing import Any, SupportsIndex, cast

from tqdm import tqdm

from mabe.runtime.file_names import is_invisible

_quiet = False


_mute = False


_BAR = re.compile(r"\r|(\x1b\[A)+")
"""What a progress bar writes before its text, or to move between several bars."""


_LONGEST_LINE = 2_000


PROGRESS_LINE_S = 30.0
"""Between two lines of progress where there is no terminal, and before the first."""


def bar_length(text: str) -> int:
    """Return how many characters at the beginning make a text a progress bar's."""
    found = _BAR.match(text)
    return found.end() if found else 0


def printable(text: str) -> str:
    """Return a text whose control characters are written out in hexadecimal.

    Names from data may hold sequences that change what a terminal shows, or does. Line
    ends and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(
        ascii(each)[1:-1] if is_invisible(each) and each not in "\n\t" else each
        for each in text
    )


def one_line(text: str) -> str:
    """Return a message as one printable line, its middle left out where it is long."""
    line = printable(" ".join(text.splitlines()))
    if len(line) <= _LONGEST_LINE:
        return line
    half = _LONGEST_LINE // 2
    return f"{line[:half]} … {line[-half:]}"


class _PrintableStream:
    """A stream to which only printable texts are written, and progress bars.

    What is printed when nobody reads any more (a closed pipe, as of `| head`, or a
    terminal that was closed) is dropped. So the work of a command goes on to its end,
    and its exit code is that of its work.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._is_terminal = bool(stream.isatty())

    def write(self, text: str) -> int:
        """Write a text, its control characters written out."""
        start = bar_length(text)
        with self._dropping_unread():
            self._stream.write(text[:start] + printable(text[start:]))
        return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._dropping_unread():
            self._stream.flush()

    @contextmanager
    def _dropping_unread(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            is_closed = error.errno == errno.EPIPE or (
                self._is_terminal and error.errno == errno.EIO
            )
            if not is_closed:
                raise
            self._write_nowhere()

    def _write_nowhere(self) -> None:
        """Lead the stream to nowhere, with all that is in its buffer."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def printing_safely() -> Iterator[None]:
    """Write out control characters of all that is printed within the context."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
        # A stream that was closed before the program began is None.
        sys.stdout, sys.stderr = (
            cast(Any, _PrintableStream(stream or nowhere)) for stream in before
        )
        try:
            yield
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            sys.stdout, sys.stderr = before


@contextmanager
def muted(wanted: bool) -> Iterator[None]:
    """Print nothing within the context: another process of the run prints."""
    global _mute
    before, _mute = _mute, wanted
    try:
        with quietly(_quiet or wanted):
            yield
    finally:
        _mute = before


@contextmanager
def quietly(wanted: bool) -> Iterator[None]:
    """Print only results within the context; no progress bars either."""
    global _quiet
    before, _quiet = _quiet, wanted
    try:
        yield
    finally:
        _quiet = before


def print_lines(*lines: str, always: bool = False) -> None:
    """Print lines without breaking a progress bar; when quiet only those `always`."""
    if _mute or (_quiet and not always):
        return
    for line in lines:
        tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


class _ProgressLines(tqdm):  # type: ignore[type-arg] # not subscriptable when run
    """Progress as lines, where there is no terminal for a bar."""

    shown_at = 0.0
    """When the last line was printed; a change of the text beside a bar prints none."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Print a line in place of drawing a bar, unless one was just printed."""
        now = time.time()
        # tqdm sets the start last.
        since = max(self.shown_at, getattr(self, "start_t", 0.0))
        text = str(self if msg is None else msg).strip()
        if text and now - since >= self.mininterval:
            self.shown_at = now
            print(text, file=sys.stderr, flush=True)


def progress_bar(
    iterable: Iterable[Any] | None = None,
    *,
    wanted: bool = True,
    leave: bool = False,
    **options: Any,
) -> "tqdm[Any]":
    """Return a progress bar; where there is no terminal, one that prints lines.

    Nothing is shown when quiet. `options` are tqdm's.
    """
    options |= {"disable": _quiet or not wanted, "leave": leave}
    if sys.stderr.isatty():
        return tqdm(iterable, **options)
    every = PROGRESS_LINE_S
    unit = options.get("unit", "it")
    units = unit if unit == "B" else plural(unit)
    return _ProgressLines(
        iterable,
        mininterval=every,
        maxinterval=2 * every,
        delay=every,
        bar_format=f"{{desc}}: {{n_fmt}} of {{total_fmt}} {units} in {{elapsed}}, "
        "{remaining} left",
        **{**options, "leave": False},
    )


def format_score(value: float | None, *, digits: int = 3) -> str:
    """Return a score, or a dash where there is none (None or NaN)."""
    value = finite_or_none(value)
    return "-" if value is None else f"{value:.{digits}f}"


def finite_or_none(value: float | None) -> float | None:
    """Return a number as JSON can hold it: None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(value)


def percent(share: float | None, *, digits: int = 0) -> str:
    """Return a share of 1 in percent, or a dash where there is none (None or NaN)."""
    share = finite_or_none(share)
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def count(number: SupportsIndex, noun: str) -> str:
    """Return a number of things: ``1 animal``, ``2 animals``, ``2 copies``."""
    whole = index(number)
    return f"{whole:,} {noun if whole == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return the plural of an English noun: ``animals``, ``copies``, ``batches``."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "sh", "tch")) else f"{noun}s"
