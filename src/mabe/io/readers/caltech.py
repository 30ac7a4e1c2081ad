"""Text files of the Caltech Behavior Annotator: streams of intervals of frames.

A list of behaviours and their keys is followed by streams ``S1:``, ``S2:`` … with rows
``start end type``. Frames count from 1 and both ends are included. Every frame of a
stream has one type; streams are simultaneous.
"""

import re
from dataclasses import replace

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content, Event, annotations_of
from mabe.io.readers.file_head import Peek, read_text
from mabe.recording import MAX_FRAMES

FACTS = facts.labels(
    "Caltech Behavior Annotator",
    clock="frames from 1",
    stop="included",
    watched="all frames, the listed behaviours",
    animals="streams are no animals",
    notes="all streams",
)


_TITLE = "Caltech Behavior Annotator"


_STREAM = re.compile(r"S(\d+):\s+start\s+end\s+type", re.IGNORECASE)


def is_caltech(peek: Peek) -> bool:
    """Return whether a text was written by the annotator."""
    return peek.kind == "text" and (
        any(_TITLE in line for line in peek.lines[:5])
        or any(_STREAM.match(line.strip()) for line in peek.lines)
    )


def read(peek: Peek) -> Content:
    """Return the events of all streams; the stream is the subject where several are."""
    behaviours: list[str] = []
    events: list[Event] = []
    stream = 0
    for number, line in enumerate(read_text(peek).splitlines(), start=1):
        cells = line.split()
        if found := _STREAM.match(line.strip()):
            stream = int(found[1])
        elif stream == 0 and len(cells) == 2 and len(cells[1]) == 1:
            behaviours.append(cells[0])
        elif stream and cells and not set(line.strip()) <= {"-"}:
            event = _parse_event(cells, f"{peek.path}: line {number}")
            events.append(replace(event, subject=f"S{stream}"))
    if not stream:
        raise DataError(f"{peek.path}: no stream of events (S1: start end type) in it.")
    if stream == 1:
        events = [replace(event, subject="") for event in events]
    annotations = annotations_of(
        re.sub(r"_annot$", "", peek.stem),
        "frame",
        events,
        behaviours=behaviours,
        length=max((event.stop for event in events), default=None),
        notes=(f"{stream} simultaneous streams",) if stream > 1 else (),
    )
    return Content("Caltech Behavior Annotator", annotations=(annotations,))


def _parse_event(cells: list[str], where: str) -> Event:
    """Return one event, whose stop is the frame after the last one."""
    try:
        start, stop, behaviour = int(cells[0]), int(cells[1]), cells[2]
    except (ValueError, IndexError) as error:
        raise DataError(
            f"{where}: expected `start end type`, found {' '.join(cells)[:60]!r}."
        ) from error
    if not 1 <= start <= stop <= MAX_FRAMES:
        raise DataError(
            f"{where}: expected frames 1 to {MAX_FRAMES:,} in order, found {start} to "
            f"{stop}."
        )
    return Event(start - 1, stop, behaviour)
