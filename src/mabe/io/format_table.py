"""The table of all formats in docs/formats.md, of what readers and writers declare.

``python -m mabe.io.format_table docs/formats.md`` writes it between the two marks.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from mabe.io.exporter import WRITTEN_FACTS
from mabe.io.readers import kaggle
from mabe.io.readers.facts import Facts
from mabe.io.readers.formats import FORMATS
from mabe.runtime.files import write_text

BEGIN = "<!-- formats: made by `python -m mabe.io.format_table docs/formats.md` -->"

END = "<!-- formats: end -->"

_TITLES = {
    "name": "format",
    "use": "use",
    "clock": "clock, first frame",
    "stop": "stop of a bout",
    "fps": "frame rate",
    "points": "points",
    "scale": "pixels per cm",
    "missing": "missing point",
    "watched": "watched",
    "animals": "who is who",
    "assumed": "assumed",
    "notes": "notes; instead",
}

_ORDER = ("tracks", "tracks, labels", "labels", "written", "not read")


def all_facts() -> list[Facts]:
    """Return the facts of each format once, those of one use together."""
    declared = [kaggle.FACTS, *(each for known in FORMATS for each in known.facts)]
    found = dict.fromkeys((*declared, *WRITTEN_FACTS))
    return sorted(found, key=lambda each: _ORDER.index(each.use))


def format_table() -> Iterator[str]:
    """Yield the lines of the table, as Markdown."""
    yield f"| {' | '.join(_TITLES.values())} |"
    yield "|" + "---|" * len(_TITLES)
    for each in all_facts():
        yield f"| {' | '.join(getattr(each, name) for name in _TITLES)} |"


def with_table(page: str) -> str:
    """Return a page with the table between its marks.

    Raises `ValueError` where the page lacks them.
    """
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return "\n".join([before + BEGIN, *format_table(), END + after])


def list_formats() -> Iterator[str]:
    """Yield a line for each format: its use, its name, and notes."""
    width = max(len(use) for use in _ORDER)
    for each in all_facts():
        notes = "" if each.notes == "–" else f": {each.notes}"
        yield f"{each.use:<{width}}  {each.name}{notes}".replace("`", "")


if __name__ == "__main__":
    page = Path(sys.argv[1])
    write_text(page, with_table(page.read_text("utf-8")))
