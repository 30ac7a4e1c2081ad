"""What the columns of tables that people make are called, and in which unit they are.

Names are compared without case, blanks and punctuation; a unit in a name, as in
``start_s``, ``Start (s)`` or ``end_frame``, is separated from it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

ColumnUnit = Literal["s", "ms", "min", "frame", ""]

_UNITS: dict[str, ColumnUnit] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "sf"), "s"),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("min", "minute", "minutes"), "min"),
    **dict.fromkeys(("frame", "frames", "fr", "frameno", "framenumber"), "frame"),
}

_JOINED = re.compile(
    r"(start|stop|begin|end|onset|offset)(frame|frames|sec|seconds|ms)"
)
"""Names in which nothing separates the unit."""

SUBJECTS = (
    *("agent", "agentid", "subject", "subjectid", "subjectname", "animal", "animalid"),
    *("mouse", "mouseid", "rat", "ratid", "individual", "individualid", "actor"),
    *("actorid", "initiator", "initiatorid", "focal", "focalanimal", "animalname"),
)

TARGETS = (
    *("target", "targetid", "recipient", "receiver", "partner", "directedat"),
    *("recipientid", "receiverid", "partnerid", "targetanimal", "victim"),
    *("towards", "toward", "directedto", "toanimal", "tomouse", "tosubject"),
)

ACTIONS = (
    *("action", "behaviour", "behavior", "class", "label", "behaviorlabel", "event"),
    *("type", "behaviourtype", "behaviortype", "annotation", "activity"),
    *("behaviourname", "behaviorname", "actionname", "eventname", "labelname"),
    *("behav", "beh", "code", "state", "category", "ethogram"),
)

STARTS = (
    *("start", "starttime", "from", "begin", "begintime", "onset", "starts", "t0"),
    *("tstart", "timestart", "boutstart", "eventstart", "on"),
)

STOPS = (
    *("stop", "stoptime", "end", "endtime", "to", "offset", "ends", "finish", "t1"),
    *("tstop", "tend", "timestop", "timeend", "boutstop", "boutend", "eventend"),
    *("till", "until", "off"),
)

DURATIONS = ("duration", "length", "dur")

VIDEOS = (
    *("video", "videoid", "videoname", "videofile", "recording", "media", "mediafile"),
    *("observation", "observationid", "file", "filename", "session"),
)

FRAMES = ("", "unnamed0", "index", "idx", "frame", "frames", "frameidx", "frameindex")

TIMES = ("time", "times", "timestamp", "t", "seconds", "recordingtime", "clock")

FILLERS = frozenset(
    (
        *("", "none", "background", "other", "na", "nan", "null", "nothing", "-"),
        *("nobehavior", "nobehaviour", "nolabel", "unlabeled", "unlabelled"),
    )
)
"""Words for frames in which none of the behaviours occurs, squeezed."""


@dataclass(frozen=True, slots=True)
class ColumnName:
    """A column's name without its unit, and the unit; empty where it has none."""

    bare: str
    unit: ColumnUnit


def squeeze(name: str) -> str:
    """Return a name without case, blanks and punctuation."""
    return re.sub(r"[\W_]+", "", name.lower())


def read_name(name: str) -> ColumnName:
    """Return the parts of a column's name."""
    words = re.findall(r"[a-z]+|\d+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    whole = "".join(words)
    if len(words) > 1:
        if words[-1] in ("number", "no", "nr", "num", "idx", "index"):
            words = words[:-1]
        for at, unit in ((-1, words[-1]), (0, words[0])):
            if unit in _UNITS and len(words) > 1:
                rest = words[:at] if at else words[1:]
                return ColumnName("".join(rest), _UNITS[unit])
    if joined := _JOINED.fullmatch(whole):
        return ColumnName(joined[1], _UNITS[joined[2]])
    return ColumnName("".join(words) or whole, "")


def find_column(names: Sequence[str], known: Iterable[str]) -> str | None:
    """Return the column of the first known name that occurs, with or without a unit."""
    by_name: dict[str, str] = {}
    for name in names:
        by_name.setdefault(squeeze(name), name)
        by_name.setdefault(read_name(name).bare, name)
    return next((by_name[each] for each in known if each in by_name), None)


def frame_column(names: Sequence[str]) -> str | None:
    """Return the column that numbers the frames, such as ``Frame number``."""
    for name in names:
        parts = read_name(name)
        if squeeze(name) in FRAMES or parts == ColumnName("frame", ""):
            return name
    return None


def time_column(names: Sequence[str]) -> str | None:
    """Return the column of times, such as ``Time (s)``."""
    found = next((name for name in names if squeeze(name) in TIMES), None)
    return found or next((n for n in names if read_name(n).bare in TIMES), None)


def describe_unused(names: Iterable[str], used: Iterable[str | None]) -> list[str]:
    """Return a note that names the columns of a table that were not used."""
    left = [name for name in names if name and name not in set(used)]
    return [f"columns not used: {', '.join(left)}"] if left else []
