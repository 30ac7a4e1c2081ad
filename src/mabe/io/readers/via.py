"""Annotations of VGG VIA 3 (video) as CSV: one row for each stretch of time.

Lines that begin with ``#`` name the program and the columns. ``temporal_coordinates``,
or ``temporal_segment_start`` and ``temporal_segment_end`` where only stretches were
exported, are start and stop in seconds of the video; ``file_list`` is the video,
``metadata`` the attributes of the stretch: ``TEMPORAL-SEGMENTS``, or else the first, is
the behaviour. One further attribute is taken for the subject, with a note. Rows with
one time, or none, are marks on pictures and are passed. All of the video was watched,
for the behaviours that occur.

Source: files and scripts of published studies (microsoft/computervision-recipes).
"""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content, Event, annotations_of
from mabe.io.readers.boris_events import media_stems
from mabe.io.readers.file_head import Peek, read_text
from mabe.io.readers.left_out import LeftOut
from mabe.runtime.documents import parse_json

FACTS = facts.labels(
    "VGG VIA 3, CSV",
    clock="s of the video",
    stop="times",
    watched="all of the video, behaviours that occur",
    animals="one further attribute",
    notes="marks on pictures are passed",
)


_TITLE = "VGG Image Annotator"

_COLUMNS = "# CSV_HEADER ="

_BEHAVIOUR = "TEMPORAL-SEGMENTS"

_TIMES = "temporal_coordinates"

_ENDS = ("temporal_segment_start", "temporal_segment_end")

_EMPTY = (
    "VGG VIA's annotations without stretches of time; regions of pictures are not read."
)


def _times(cells: Mapping[str, str]) -> list[float]:
    """Return start and stop of a row; less where it has none."""
    if _TIMES in cells:
        return [float(time) for time in parse_json(cells[_TIMES])]
    return [float(cells[name]) for name in _ENDS]


def is_via(peek: Peek) -> bool:
    """Return whether a text is an export of VIA with stretches of time."""
    head = peek.text[:2000] if peek.kind == "text" else ""
    return _TITLE in head and any(name in head for name in (_TIMES, _ENDS[0]))


def read_via(peek: Peek) -> Content:
    """Return the stretches of each video."""
    lines = read_text(peek).splitlines()
    names = next((line for line in lines if line.startswith(_COLUMNS)), "")
    header = [name.strip() for name in names.removeprefix(_COLUMNS).split(",")]
    body = "\n".join(line for line in lines if line and not line.startswith("#"))
    found: dict[str, list[Event]] = defaultdict(list)
    others: dict[str, None] = {}
    try:
        for row in csv.reader(io.StringIO(body)):
            cells = dict(zip(header, row, strict=False))
            times = _times(cells)
            about = parse_json(cells["metadata"])
            if len(times) != 2 or not about:
                continue  # a mark on a picture, or a stretch without a name
            behaviour = about.pop(_BEHAVIOUR, None) or about.pop(next(iter(about)))
            others |= dict.fromkeys(about)
            subject = str(next(iter(about.values()))) if len(about) == 1 else ""
            [video, *_] = media_stems(map(str, parse_json(cells["file_list"])))
            start, stop = min(times), max(times)
            found[video].append(Event(start, stop, str(behaviour), subject))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{peek.path}: looks like VIA's annotations, but a row has no stretch of "
            f"time with a name ({error}); export CSV from VIA again."
        ) from error
    if not found:
        raise LeftOut(peek.path, _EMPTY)
    notes = []
    if others:
        use = "used as the subject" if len(others) == 1 else "not used"
        notes.append(f"attributes {', '.join(others)}: {use}")
    annotations = tuple(
        annotations_of(
            video.rsplit("/", 1)[-1], "s", events, media=[video], notes=notes
        )
        for video, events in found.items()
    )
    return Content("VIA annotations", annotations=annotations)
