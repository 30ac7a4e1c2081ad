"""Focal data of JWatcher (`.dat`), with the names of its master file (`.fmf`).

After lines about the observation come ``milliseconds, key``, from its beginning; the
key ``EOF`` ends it. The master file beside it names the keys: ``Behaviour.a=attack``.
Which keys end others is in neither of the two, but in the settings of an analysis
(``.faf``): a key is taken to begin its behaviour and to end the one before, with a
note. There is no subject; all of the observation was watched.

Source: files of a published study (MiguelAngelCollado/fuocornuta).
"""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content, Event, annotations_of
from mabe.io.readers.column_names import FILLERS, squeeze
from mabe.io.readers.file_head import Peek, read_text

FACTS = facts.labels(
    "JWatcher `.dat`",
    clock="ms from the beginning of the observation",
    stop="times",
    watched="all of the observation, behaviours of the master file",
    animals="none",
    assumed="each key ends the one before; the observation begins with the film",
    notes="with the `.fmf` beside it",
)


_MASTER = re.compile(r"FocalMasterFile\s*=\s*(.+)")

_BEHAVIOUR = re.compile(r"Behaviour\.(\S)\s*=\s*(.+)")

_ROW = re.compile(r"\s*(\d+)\s*,\s*(\S+)\s*")

_END = "EOF"


def is_jwatcher(peek: Peek) -> bool:
    """Return whether a text is focal data of JWatcher."""
    return (
        peek.kind == "text"
        and "FocalMasterFile" in peek.text[:4000]
        and ("Focal Data File" in peek.text[:4000])
    )


def read_jwatcher(peek: Peek) -> Content:
    """Return the behaviours of an observation, one after the other."""
    lines = read_text(peek).splitlines()
    rows = [match for line in lines if (match := _ROW.fullmatch(line))]
    if not rows:
        raise DataError(f"{peek.path}: focal data of JWatcher without any event.")
    names, notes = _names(lines, peek.path)
    notes.append("each key is taken to end the one before, whatever its behaviour")
    moments = [(int(row[1]) / 1000, row[2]) for row in rows]
    end_s = moments[-1][0]
    if moments[-1][1] != _END:
        notes.append("has no end (EOF): the last behaviour is left out")
    events = [
        Event(start_s, stop_s, names.get(key, key))
        for (start_s, key), (stop_s, _) in itertools.pairwise(moments)
        if squeeze(names.get(key, key)) not in FILLERS
    ]
    behaviours = [name for name in names.values() if squeeze(name) not in FILLERS]
    annotations = annotations_of(
        peek.stem, "s", events, behaviours=behaviours, length=end_s, notes=notes
    )
    return Content("JWatcher focal data", annotations=(annotations,))


def _names(lines: Sequence[str], path: Path) -> tuple[dict[str, str], list[str]]:
    """Return the behaviours of all keys, and a note where they are not known."""
    found = next((match for line in lines if (match := _MASTER.match(line))), None)
    name = found[1].strip().replace("\\", "/").rsplit("/", 1)[-1] if found else ""
    master = path.parent / name
    if not name or not master.is_file():
        return {}, [
            f"the master file {name!r} is not beside it: keys are used as names"
        ]
    text = read_text(Peek(master))
    matches = (_BEHAVIOUR.fullmatch(line.strip()) for line in text.splitlines())
    return {match[1]: match[2].strip() for match in matches if match}, []
