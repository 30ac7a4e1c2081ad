"""Which columns of an unknown table may hold bouts: the `columns` of project.yaml.

Names of columns decide where they are known; else the first two columns of times of
which the second is never the smaller one are start and stop, and words that occur
several times are actions. It is a suggestion for a person to check, and is never used
by itself.
"""

import json
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mabe.io.readers.boris_events import parse_number
from mabe.io.readers.column_names import (
    ACTIONS,
    STARTS,
    STOPS,
    SUBJECTS,
    TARGETS,
    VIDEOS,
    find_column,
    read_name,
)

_CLOCK = re.compile(r"(?:\d+:)?\d{1,2}:\d{1,2}(?:[.,]\d*)?")

_FEWEST_ROWS = 2

_MOST_COLUMNS = 60

_MOST_WORDS = 60
"""More different words in two hundred rows are no behaviours."""


@dataclass(frozen=True, slots=True)
class SuggestedColumns:
    """The columns that a table of bouts needs, and what else each may be."""

    columns: Mapping[str, str]
    """The table's own name of each column, by what it holds."""
    others: Mapping[str, Sequence[str]]
    """Further columns that may hold the same."""

    def lines(self) -> Iterator[str]:
        """Yield the lines for project.yaml."""
        yield "columns:"
        for what, name in self.columns.items():
            others = ", ".join(self.others.get(what, ()))
            yield f"  {what}: {_quoted(name)}" + (f"  # or: {others}" if others else "")


def _quoted(name: str) -> str:
    """Return a name as YAML reads it."""
    is_plain = re.fullmatch(r"[^\W\d][\w ()./-]*(?<! )", name)
    return name if is_plain else json.dumps(name, ensure_ascii=False)


def suggest_columns(rows: Sequence[Sequence[str]]) -> SuggestedColumns | None:
    """Return the columns of a table of bouts; None where it does not look like one.

    The first row has the names of the columns.
    """
    names, cells = list(rows[0]) if rows else [], rows[1:]
    is_wide = len(names) > _MOST_COLUMNS or len(set(names)) < len(names)
    if is_wide or len(cells) < _FEWEST_ROWS:
        return None
    columns = {
        name: [row[at] for row in cells if at < len(row) and row[at]]
        for at, name in enumerate(names)
        if name
    }
    animals = {find_column([name], (*SUBJECTS, *TARGETS)) for name in columns}
    times = [
        name
        for name, those in columns.items()
        if name not in animals and _are_times(those)
    ]
    words = [
        name
        for name, those in columns.items()
        if those and not any(map(_is_time, those)) and len({*those}) <= _MOST_WORDS
    ]
    pair = _start_and_stop(times, columns)
    action = find_column(words, ACTIONS) or _repeated(words, columns)
    if pair is None or action is None:
        return None
    start, stop = pair
    known = {"action": action, **_clock(start, stop, [*columns[start], *columns[stop]])}
    rest = [name for name in words if name != action]
    for what, aliases in (
        ("subject", SUBJECTS),
        ("target", TARGETS),
        ("video", VIDEOS),
    ):
        if name := find_column([each for each in names if each in rest], aliases):
            known[what] = name
            rest.remove(name)
    if "subject" not in known and (subject := _repeated(rest, columns)):
        known["subject"] = subject
        rest.remove(subject)
    others = {"action": [each for each in words if each != action]}
    return SuggestedColumns(known, others)


def _is_time(cell: str) -> bool:
    return parse_number(cell) is not None or bool(_CLOCK.fullmatch(cell))


def _are_times(cells: Sequence[str]) -> bool:
    return bool(cells) and all(map(_is_time, cells))


def _seconds(cell: str) -> float:
    """Return a number, or a time of day in seconds."""
    number = parse_number(cell)
    if number is not None:
        return number
    total = 0.0
    for part in cell.replace(",", ".").split(":"):
        total = 60 * total + float(part)
    return total


def _start_and_stop(
    times: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> tuple[str, str] | None:
    """Return two columns of which the second is never before the first."""
    named = find_column(times, STARTS), find_column(times, STOPS)
    pairs = [
        (start, stop) for at, start in enumerate(times) for stop in times[at + 1 :]
    ]
    for start, stop in [named, *pairs]:
        if start is None or stop is None or start == stop:
            continue
        if len(columns[start]) != len(columns[stop]):
            continue
        begins, ends = ([*map(_seconds, columns[name])] for name in (start, stop))
        if begins != ends and all(map(operator.le, begins, ends)):
            return start, stop
    return None


def _repeated(words: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str | None:
    """Return the column whose words occur most often, the last of several alike."""
    full = max((len(columns[name]) for name in words), default=0)
    able = [
        name for name in words if len({*columns[name]}) < len(columns[name]) == full
    ]
    return min(reversed(able), key=lambda name: len({*columns[name]}), default=None)


def _clock(start: str, stop: str, cells: Sequence[str]) -> dict[str, str]:
    """Return start and stop as seconds or as frames, by their names or values."""
    units = {read_name(start).unit, read_name(stop).unit} - {""}
    is_whole = all(re.fullmatch(r"\d+", cell) for cell in cells)
    in_frames = units == {"frame"} or (not units and is_whole)
    unit = "frame" if in_frames else "s"
    return {f"start_{unit}": start, f"stop_{unit}": stop}
