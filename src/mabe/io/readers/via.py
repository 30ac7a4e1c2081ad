"""Annotations of VGG VIA 3 (video) as CSV: one row for each stretch of time.

Lines that begin with ``#`` name the program and the columns. ``temporal_coordinates``
are start and stop in seconds, ``file_list`` the video, ``metadata`` the attributes of
the stretch: ``TEMPORAL-SEGMENTS`` is the behaviour. One further attribute is taken for
the subject, with a note.
"""

import csv
import io
from collections import defaultdict

from mabe.errors import DataError
from mabe.io.readers.annotations import Content, Event, annotations_of
from mabe.io.readers.boris_events import media_stems
from mabe.io.readers.file_head import Peek, read_text
from mabe.runtime.documents import parse_json

_TITLE = "VGG Image Annotator"

_COLUMNS = "# CSV_HEADER ="

_BEHAVIOUR = "TEMPORAL-SEGMENTS"


def is_via(peek: Peek) -> bool:
    """Return whether a text is an export of VIA with stretches of time."""
    head = peek.text[:2000] if peek.kind == "text" else ""
    return _TITLE in head and "temporal_coordinates" in head


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
            times = parse_json(cells["temporal_coordinates"])
            if not times:
                continue  # a mark on a picture
            start, stop = float(times[0]), float(times[-1])
            about = parse_json(cells["metadata"])
            behaviour = about.pop(_BEHAVIOUR, None) or about.pop(next(iter(about)))
            others |= dict.fromkeys(about)
            subject = str(next(iter(about.values()))) if len(about) == 1 else ""
            [video, *_] = media_stems(map(str, parse_json(cells["file_list"])))
            found[video].append(Event(start, max(start, stop), str(behaviour), subject))
    except (ValueError, KeyError, TypeError, StopIteration, AttributeError) as error:
        raise DataError(
            f"{peek.path}: looks like VIA's annotations, but a row has no stretch of "
            f"time with a name ({error}); export CSV from VIA again."
        ) from error
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
