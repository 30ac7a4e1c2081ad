"""What commands print: lines that leave progress bars whole, and numbers."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

_quiet = False


_mute = False


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


def is_quiet() -> bool:
    """Whether only results are printed, without progress bars."""
    return _quiet


def print_lines(*lines: str, always: bool = False) -> None:
    """Print lines without breaking a progress bar; when quiet only those `always`."""
    if _mute or (_quiet and not always):
        return
    for line in lines:
        tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


def format_score(value: float | None, *, digits: int = 3) -> str:
    """Return a score, or a dash where there is none (None or NaN)."""
    value = finite_or_none(value)
    return "-" if value is None else f"{value:.{digits}f}"


def finite_or_none(value: float | None) -> float | None:
    """Return a number as JSON can hold it: None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(value)


def count(number: int, noun: str) -> str:
    """Return a number of things: ``1 animal``, ``2 animals``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
