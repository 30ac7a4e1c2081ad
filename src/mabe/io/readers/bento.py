"""Bento's annotations (`.annot`), of MARS and its successors.

Lines about the film, lists of channels and annotations, then for each channel and
``>behaviour`` rows ``Start Stop Duration``. Frames count from 1 and both ends are
included; where any has a point, all are seconds. ``Annotation start frame`` and ``stop
frame`` limit what was watched. Channels are simultaneous and read together.
"""

import re
from collections.abc import Iterator, Sequence

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    Content,
    Event,
    WatchedInterval,
    annotations_of,
)
from mabe.io.readers.boris_events import media_stems, parse_number
from mabe.io.readers.file_head import Peek, read_text
from mabe.recording import MAX_FRAMES

FACTS = facts.labels(
    "Bento, MARS `.annot`",
    clock="frames from 1, or s",
    stop="included",
    fps="`Annotation framerate`",
    watched="from the start to the stop frame, the listed behaviours",
    animals="channels are no animals",
    notes="all channels together",
)


_TITLE = "Bento annotation file"

_CHANNEL = re.compile(r"(.+?)-{3,}")

_ROW = re.compile(r"([\d.]+)\s+([\d.]+)(?:\s+[\d.]+)?")


def is_bento(peek: Peek) -> bool:
    """Return whether a text was written by Bento."""
    return peek.kind == "text" and any(_TITLE in line for line in peek.lines[:3])


def read_bento(peek: Peek) -> Content:
    """Return the events of all channels."""
    lines = [line.strip() for line in read_text(peek).splitlines()]
    rows = list(_rows(lines, str(peek.path)))
    in_seconds = any("." in cell for _, *cells in rows for cell in cells)
    events = []
    for behaviour, *cells in rows:
        start, stop = (float(cell) for cell in cells)
        events.append(Event(start if in_seconds else start - 1, stop, behaviour))
    first = parse_number(_field(lines, "Annotation start frame"))
    last = parse_number(_field(lines, "Annotation stop frame"))
    is_limited = not in_seconds and first is not None and first > 1 and last is not None
    channels = [match[1] for line in lines if (match := _CHANNEL.fullmatch(line))]
    annotations = annotations_of(
        peek.stem,
        "s" if in_seconds else "frame",
        events,
        behaviours=_listed(lines, "List of annotations:"),
        fps=parse_number(_field(lines, "Annotation framerate")) or None,
        length=None if in_seconds else last,
        media=media_stems(_field(lines, "Movie file(s)").split("\t")),
        watched=[WatchedInterval((first or 1) - 1, last or 0)] if is_limited else None,
        notes=[f"channels read together: {', '.join(channels)}"] * (len(channels) > 1),
    )
    return Content("Bento annotations", annotations=(annotations,))


def _field(lines: Sequence[str], name: str) -> str:
    """Return what stands behind the name of a field; nothing where it is absent."""
    found = (line for line in lines if line.lower().startswith(name.lower()))
    return next(found, "").partition(":")[2].strip()


def _listed(lines: Sequence[str], title: str) -> list[str]:
    """Return the lines of a list, which ends with a blank line."""
    if title not in lines:
        return []
    rest = list(lines[lines.index(title) + 1 :])
    return rest[: rest.index("")] if "" in rest else rest


def _rows(lines: Sequence[str], where: str) -> Iterator[tuple[str, str, str]]:
    """Yield behaviour, start and stop of each row."""
    behaviour = ""
    for number, line in enumerate(lines, start=1):
        if line.startswith(">"):
            behaviour = line[1:].strip()
        elif _CHANNEL.fullmatch(line):
            behaviour = ""
        elif behaviour and line and not line.lower().startswith("start"):
            match = _ROW.fullmatch(line)
            ends = [parse_number(each) for each in match.groups()] if match else []
            start, stop = (*ends, None, None)[:2]
            is_bad = start is None or stop is None or not start <= stop <= MAX_FRAMES
            if match is None or is_bad:
                raise DataError(
                    f"{where}: line {number}: expected start, stop and duration of "
                    f"{behaviour!r}, found {line[:60]!r}."
                )
            yield behaviour, match[1], match[2]
