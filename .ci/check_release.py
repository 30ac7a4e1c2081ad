"""Check that a tag, the version and the change log name one release.

`python .ci/check_release.py v0.3.0` exits with 1 where they do not. The version stands
in one place, `mabe.__version__`; the change log has a section with it and its date.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def version() -> str:
    """Return the version, without importing the package."""
    text = (ROOT / "src" / "mabe" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    if not found:
        raise SystemExit("src/mabe/__init__.py: no __version__")
    return found[1]


def releases() -> dict[str, str]:
    """Return the date (or ``unreleased``) of each version in the change log."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    return dict(re.findall(r"^## (\S+) \((.+)\)$", text, re.MULTILINE))


def problem(tag: str) -> str | None:
    """Return what is wrong with a tag; None where nothing is."""
    if tag != f"v{version()}":
        return f"the tag is {tag}, the version {version()}"
    date = releases().get(version())
    if date is None or not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        return f"CHANGELOG.md: {version()} has no date: {date}"
    return None


if __name__ == "__main__":
    if wrong := problem(sys.argv[1]):
        sys.exit(f"no release: {wrong}")
