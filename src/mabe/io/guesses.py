"""What an import assumes where neither files nor `project.yaml` define it.

All assumptions of all recordings are shown in one table, because each may be wrong
without an error.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "labels",
    "frames",
    "subject",
    "modifier",
    "action",
    "frame rate",
    "scale",
    "skeleton",
    "dimensions",
]


@dataclass(frozen=True, slots=True, order=True)
class Guess:
    """One assumption about one recording."""

    kind: Kind
    what: str
    """What was taken for what, ``M31 → ind1``."""
    reason: str
    recording: str
    value: float | None = None
    """A number that `what` is the unit of; of several recordings the range is shown."""


_SHOWN = 4
"""Recordings that are named for one assumption."""


def format_guesses(guesses: Iterable[Guess]) -> list[str]:
    """Return a line for each assumption, with the recordings it was made for."""
    groups: dict[tuple[str, str, str], list[Guess]] = {}
    for each in guesses:
        groups.setdefault((each.kind, each.what, each.reason), []).append(each)
    lines = []
    for (kind, unit, reason), those in sorted(groups.items()):
        names = list(dict.fromkeys(each.recording for each in those))
        values = [each.value for each in those if each.value is not None]
        ends = dict.fromkeys(f"{end(values):.4g}" for end in (min, max) if values)
        what = f"{' to '.join(ends)} {unit}".strip()
        shown = ", ".join(names[:_SHOWN])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(f"{kind:<10}  {what}  ({reason})  [{shown}{more}]")
    return lines
