"""The lines above a table of EthoVision XT, and which files are of one arena.

They name the trial, the arena, the subject and the video, a line each. A text has the
track of one subject; those of one arena in one trial are found among the files of its
folder. Workbooks, which take long to open, are looked into only where the names differ
at the end alone.
"""

import csv
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mabe.errors import DataError
from mabe.io.readers.boris_events import media_stems, parse_time
from mabe.io.readers.containers import WORKBOOKS, open_peek, sheets_of
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import NothingToImport

HEADER = "Number of header lines"

TIMES = ("Recording time", "Trial time")
"""The first of these that a file has counts."""

_OF_ONE_TRIAL = ("Experiment", "Trial name", "Trial ID", "Start time", "Video file")

_CLOCK_TIME = re.compile(r"(.*?)(\d+:\d+:\d+(?:[.,]\d+)?)$")

_NAME_END = re.compile(r"[-_ ]*[^-_ ]*$")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a file or a sheet is: whose track, in which arena of which trial."""

    trial: tuple[str, ...]
    arena: str
    name: str


def is_raw(peek: Peek) -> bool:
    """Return whether a text or a sheet is the track of one subject."""
    if peek.kind != "text" or not peek.lines or HEADER not in peek.lines[0]:
        return False
    at = names_line(peek)
    return at is not None and bool(points_of(cells_of_line(peek, at)))


def tracks_beside(path: Path) -> list[tuple[Path, Subject]]:
    """Return whose tracks the other files of a folder are, of the same ending."""
    return [
        (other, subject)
        for other in sorted(path.parent.iterdir())
        if other != path and other.suffix == path.suffix and other.is_file()
        for subject in _subjects_of_file(other, path)
    ]


def with_partners(
    peek: Peek, own: Subject, others: Sequence[tuple[Path, Subject]]
) -> list[Peek]:
    """Return a track with those of the same arena in other files, which it is first of.

    Raises `NothingToImport` where it is not the first.
    """
    partners = {
        path: each.name
        for path, each in others
        if (each.trial, each.arena) == (own.trial, own.arena) and each.name != own.name
    }
    if partners and min(partners) < peek.path:
        reason = f"EthoVision's track of one subject, read with {min(partners).name}"
        raise NothingToImport(peek.path, reason)
    return [
        peek,
        *(
            track
            for path, name in partners.items()
            for track in _tracks_of(open_peek(path))
            if subject_of(track).name == name
        ),
    ]


def _tracks_of(peek: Peek) -> list[Peek]:
    """Return the tracks in a file: itself, or sheets of a workbook."""
    tables = sheets_of(peek) if peek.kind in WORKBOOKS else [peek]
    return [table for table in tables if is_raw(table)]


def about_trial(rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return what the lines above a table of EthoVision say."""
    return {row[0].rstrip(":"): row[1] for row in rows if len(row) > 1}


def recording_name(about: Mapping[str, str], stem: str) -> str:
    """Return the name of a trial: that of its video, else its own."""
    videos = media_stems([about.get("Video file", "")])
    if videos:
        return videos[0].rsplit("/", 1)[-1]
    return " ".join(about.get("Trial name", "").split()) or stem


def cells_of_line(peek: Peek, line: int) -> list[str]:
    """Return the cells of one line."""
    row = next(csv.reader([peek.lines[line]], delimiter=peek.delimiter), [])
    return [cell.strip().removeprefix("\ufeff") for cell in row]


def names_line(peek: Peek) -> int | None:
    """Return the number of the line that names the columns."""
    return next(
        (
            at
            for at, line in enumerate(peek.lines)
            if any(name in line for name in TIMES)
            and set(TIMES).intersection(cells_of_line(peek, at))
        ),
        None,
    )


def points_of(names: Sequence[str]) -> list[str]:
    """Return the points of the body that a table has columns of."""
    points = [name.removeprefix("X ") for name in names if name.startswith("X ")]
    return [point for point in points if f"Y {point}" in names]


def subject_of(peek: Peek) -> Subject:
    """Return whose track a text or a sheet is."""
    about = about_trial(
        [cells_of_line(peek, at) for at in range(names_line(peek) or 0)]
    )
    return Subject(
        tuple(about.get(key, "") for key in _OF_ONE_TRIAL),
        about.get("Arena name", ""),
        about.get("Subject name", "") or peek.stem,
    )


def _subjects_of_file(path: Path, beside: Path) -> tuple[Subject, ...]:
    """Return whose tracks a file has; none where it cannot be opened.

    Workbooks are opened only where the names differ at the end alone.
    """
    names = {_NAME_END.sub("", each.stem) for each in (path, beside)}
    if path.suffix.lower().removeprefix(".") in WORKBOOKS and len(names) > 1:
        return ()
    try:
        status = path.stat()
        return _known_subjects(path, status.st_size, status.st_mtime_ns)
    except (DataError, OSError, csv.Error):
        return ()  # named where it is read itself


@functools.lru_cache(maxsize=1 << 12)
def _known_subjects(path: Path, size: int, changed_ns: int) -> tuple[Subject, ...]:
    return tuple(subject_of(track) for track in _tracks_of(open_peek(path)))


def describe_delay(about: Mapping[str, str], fps: float) -> list[str]:
    """Return a note where the video began before the first sample."""
    clocks = [
        _CLOCK_TIME.fullmatch(about.get(key, "").strip())
        for key in ("Start time", "Video start time", "Recording after")
    ]
    start, video, after = clocks
    if start is None or video is None or start[1] != video[1]:
        return []
    delay_s = parse_time(start[2], "Start time") - parse_time(video[2], "Video start")
    delay_s += parse_time(after[2], "Recording after") if after else 0.0
    if delay_s < 1 / fps:
        return []
    return [
        f"the first sample is {delay_s:.6g} s after the beginning of the video; for "
        f"labels on the clock of the video set `offset_s: {delay_s:.6g}`"
    ]
