"""Which version of mabe wrote a file, and what to do where it is a later one."""

import re

from mabe import __version__

UPDATE = "Update mabe: pip install --upgrade mabe"


def is_newer(version: object) -> bool:
    """Return whether a version is later than this one; False where it is none."""
    return _numbers(version) > _numbers(__version__)


def made_by_newer(version: object) -> str:
    """Return a sentence on a file of a later version, and what to do."""
    of = f", {version}" if _numbers(version) else ""
    return f"made by a newer mabe{of}; this is {__version__}. {UPDATE}"


def _numbers(version: object) -> tuple[int, ...]:
    """Return the numbers a version begins with; none where it is no version."""
    found = (
        re.match(r"\d{1,6}(\.\d{1,6})*", version) if isinstance(version, str) else None
    )
    return tuple(map(int, found[0].split("."))) if found else ()
