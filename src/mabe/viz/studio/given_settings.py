"""Rate and scale that the command line gave a project, and its file does not have.

They are noted with the project, as recordings that were read with them stay as they
are, and new ones are to be read alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mabe.io.project import Project
from mabe.viz.studio.layout_table import Row, name_of

_COLUMNS = {"fps": "frames_per_second", "pixels_per_cm": "pix_per_cm_approx"}
"""The settings, and where the table of recordings has them."""


@dataclass(frozen=True, slots=True)
class GivenSettings:
    """What the command line has given, now or when the project was first opened."""

    values: Mapping[str, float]
    notes: tuple[str, ...]
    """What of the command line or of project.yaml does not count, or not for all."""

    def added_to(self, settings: Project, of_file: Project) -> Project:
        """Return the settings for recordings that are new."""
        both = {key: self.values.get(key, getattr(of_file, key)) for key in _COLUMNS}
        return settings.with_changes(**both)


def given_settings(
    settings: Project,
    of_file: Project,
    note: Mapping[str, Any],
    rows: Sequence[Row],
) -> GivenSettings:
    """Return what counts of the command line.

    `settings` are those of the command line and the file, `note` is that of the last
    import, `rows` are the recordings that were read before.
    """
    noted = note["given"] if "given" in note else _of_sources(note, rows)
    values: dict[str, float] = {}
    notes: list[str] = []
    for key in _COLUMNS:
        in_file, asked = getattr(of_file, key), getattr(settings, key)
        asked = None if asked == in_file else asked
        old = noted.get(key)
        if asked is not None and not rows:
            values[key] = asked
        elif in_file is not None:
            notes += _of_both(key, in_file, asked, old)
        elif old is not None:
            values[key] = old
            if asked not in (None, old):
                notes.append(
                    f"{key}: {asked:g} of the command line is not used, the project "
                    f"was read with {old:g}; settle it on the page"
                )
        elif asked is not None:
            values[key] = asked
            notes.append(
                f"{key}: {asked:g} of the command line counts for new recordings, "
                "those that were read before keep theirs; settle it on the page"
            )
    return GivenSettings(values, tuple(notes))


def _of_both(
    key: str, in_file: float, asked: float | None, old: float | None
) -> list[str]:
    """Return what is to be said where the file has a value too."""
    notes = []
    if asked is not None:
        notes.append(
            f"{key}: {asked:g} of the command line is not used, project.yaml has "
            f"{in_file:g}; settle it on the page"
        )
    if old not in (None, in_file):
        notes.append(
            f"{key}: {in_file:g} of project.yaml counts for new recordings, those that "
            f"were read with {old:g} keep it until settings are applied on the page"
        )
    return notes


def _of_sources(note: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, float]:
    """Return the same of a project of an earlier version, which has not noted it."""
    sources: Mapping[str, Mapping[str, str]] = note.get("sources", {})
    found: dict[str, float] = {}
    for row in rows:
        own = sources.get(name_of(row), {})
        for key, column in _COLUMNS.items():
            if own.get(key) == "settled for all":
                found.setdefault(key, float(row[column]))
    return found
