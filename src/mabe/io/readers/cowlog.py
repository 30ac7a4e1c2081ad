"""Codes of CowLog 3: a table ``time, code, class``, and ``END`` for the last row.

Times are seconds of the film. Codes of one class exclude each other: each ends at the
next one of its class, or at ``END``, where the observation ends. Codes called ``NAME
start`` and ``NAME stop`` (or ``end``) are a pair. There is no subject; all of the film
was watched up to ``END``, for the codes that occur. Code words such as *none* are no
behaviours. Tables with modifiers (``time, class1, class2 …``) are not read.

Source: CowLog's own writer of results; Hänninen and Pastell, Behavior Research Methods
41, 2009 (classes).
"""

import csv
import io
import re

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content, annotations_of
from mabe.io.readers.boris_events import START, STOP, Moment, pair_moments, parse_time
from mabe.io.readers.column_names import FILLERS, squeeze
from mabe.io.readers.file_head import Peek, read_text

FACTS = facts.labels(
    "CowLog `time, code, class`",
    clock="s of the film",
    stop="times: a code ends at the next of its class",
    watched="until `END`, codes that occur",
    animals="none",
)


_HEADER = ["time", "code", "class"]

_END = "END"

_PAIRED = re.compile(r"(.+?)[ _-](start|stop|end)", re.IGNORECASE)


def is_cowlog(peek: Peek) -> bool:
    """Return whether a text is a table of codes of CowLog."""
    return peek.kind == "text" and peek.rows[:1] == [_HEADER]


def read_cowlog(peek: Peek) -> Content:
    """Return the behaviours of one film."""
    text = read_text(peek).removeprefix("\ufeff")
    moments: list[Moment] = []
    active: dict[str, str] = {}
    end_s: float | None = None
    rows = csv.reader(io.StringIO(text), delimiter=peek.delimiter)
    for number, row in enumerate(rows, start=1):
        where = f"{peek.path}: line {number}"
        cells = [cell.strip() for cell in row]
        if number == 1 or not any(cells):
            continue
        if len(cells) != len(_HEADER):
            raise DataError(f"{where}: expected time, code and class, found {cells}.")
        time_s, code = parse_time(cells[0], where), cells[1]
        if code == _END:
            end_s = time_s
            moments += [Moment(time_s, STOP, name) for name in active.values()]
            active.clear()
        elif paired := _PAIRED.fullmatch(code):
            status = START if paired[2].lower() == "start" else STOP
            moments.append(Moment(time_s, status, paired[1]))
        else:
            if before := active.pop(cells[2], ""):
                moments.append(Moment(time_s, STOP, before))
            if squeeze(code) not in FILLERS:
                moments.append(Moment(time_s, START, code))
                active[cells[2]] = code
    events, notes = pair_moments(moments, end_s=end_s)
    if end_s is None:
        notes.append("has no END: when the observation ended is not known")
    behaviours = sorted({moment.behaviour for moment in moments})
    annotations = annotations_of(
        peek.stem, "s", events, behaviours=behaviours, length=end_s, notes=notes
    )
    return Content("CowLog codes", annotations=(annotations,))
