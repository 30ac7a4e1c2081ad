"""What an import assumes where neither files nor `project.yaml` define it.

All assumptions of all recordings are shown in one table, because each may be wrong
without an error.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "labels", "frames", "subject", "modifier", "action", "frame rate", "scale"
]


@dataclass(frozen=True, slots=True, order=True)
class Guess:
    """One assumption about one recording."""

    kind: Kind
    what: str
    """What was taken for what, ``M31 → ind1``."""
    reason: str
    recording: str


_SHOWN = 4
"""Recordings that are named for one assumption."""


def format_guesses(guesses: Iterable[Guess]) -> list[str]:
    """Return a line for each assumption, with the recordings it was made for."""
    recordings: dict[tuple[str, str, str], dict[str, None]] = {}
    for each in guesses:
        key = each.kind, each.what, each.reason
        recordings.setdefault(key, {})[each.recording] = None
    lines = []
    for (kind, what, reason), names in sorted(recordings.items()):
        shown = ", ".join([*names][:_SHOWN])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(f"{kind:<10}  {what}  ({reason})  [{shown}{more}]")
    return lines
