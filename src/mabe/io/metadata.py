"""Facts about recordings and animals: treatment, strain, sex, age, and any other.

They are read from the tables of the standard layout, whose columns ``mouse1_sex`` …
are facts of animals 1 …, or from a table of the lab's own::

    video,animal,treatment,sex
    day1,M24,saline,female
    day1,M25,drug,female

``video`` (or ``recording``, ``video_id``) names the recording, ``animal`` the animal by
its name or number; without it, a row holds facts of the recording. ``lab`` (or
``lab_id``) is needed only where two laboratories use a name. Other columns are facts.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mabe.errors import DataError
from mabe.io.readers.kaggle import SPLITS
from mabe.runtime.csv_cells import text_of
from mabe.runtime.object_storage import small_file

_VIDEO = ("video", "recording", "video_id")


_LAB = ("lab", "lab_id")


_ABSENT = ("", "nan", "none", "null")


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """What is known of one recording; texts, as the tables have them."""

    recording: dict[str, str] = field(default_factory=dict)
    animals: dict[str, dict[str, str]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By the animal's name, or its number as text."""

    def of_animal(self, number: int, name: str, column: str) -> str | None:
        """Return a fact of an animal, else of its recording; None if there is none."""
        for key in (name, str(number)):
            if value := self.animals.get(key, {}).get(column):
                return value
        return self.recording.get(column)

    def of_recording(self, animals: Mapping[int, str], column: str) -> str | None:
        """Return a fact of the recording, else those of its animals, each once.

        `animals` are their names by number.
        """
        if value := self.recording.get(column):
            return value
        values = {self.of_animal(at, name, column) for at, name in animals.items()}
        return " + ".join(sorted(value for value in values if value)) or None


@dataclass(frozen=True, slots=True)
class Metadata:
    """The facts of all recordings."""

    recordings: dict[tuple[str, str], RecordingFacts]
    """By laboratory and video; the laboratory is empty where a table names none."""

    def of(self, lab: str, video: str) -> RecordingFacts:
        """Return what is known of a recording.

        A fact that a table gives without naming the laboratory wins: it is the lab's
        own table.
        """
        of_both = RecordingFacts()
        for key in ((lab, video), ("", video)):
            facts = self.recordings.get(key, RecordingFacts())
            of_both.recording.update(facts.recording)
            for animal, known in facts.animals.items():
                of_both.animals[animal].update(known)
        return of_both

    @property
    def columns(self) -> list[str]:
        """The names of all facts that some recording has."""
        names: set[str] = set()
        for facts in self.recordings.values():
            names |= facts.recording.keys()
            names |= {name for each in facts.animals.values() for name in each}
        return sorted(names)

    def updated(self, other: "Metadata") -> "Metadata":
        """Return these facts, and those of another table, which win."""
        joined = dict(self.recordings)
        for key, facts in other.recordings.items():
            before = joined.get(key, RecordingFacts())
            animals = defaultdict(dict, {k: dict(v) for k, v in before.animals.items()})
            for animal, known in facts.animals.items():
                animals[animal].update(known)
            joined[key] = RecordingFacts(before.recording | facts.recording, animals)
        return Metadata(joined)


def read_layout_metadata(data_dir: Path) -> Metadata:
    """Return the facts in the tables of the standard layout; none without tables."""
    facts: dict[tuple[str, str], RecordingFacts] = {}
    for split in SPLITS:
        with small_file(data_dir / f"{split}.csv") as path:
            rows = list(_read_rows(path)) if path else []
        for row in rows:
            key = row.pop("lab_id", ""), row.pop("video_id", "")
            of_row = facts.setdefault(key, RecordingFacts())
            for column, value in row.items():
                animal = re.fullmatch(r"mouse(\d+)_(.+)", column)
                if animal:
                    of_row.animals[animal[1]][animal[2]] = value
                else:
                    of_row.recording[column] = value
    return Metadata(facts)


def read_own_metadata(path: Path) -> Metadata:
    """Return the facts in a table of the lab's own.

    Raises `DataError` where it cannot be read, names no recording, or gives one animal
    two values of one fact.
    """
    facts: dict[tuple[str, str], RecordingFacts] = {}
    for number, row in enumerate(_read_rows(path), start=2):
        video, lab = _take(row, _VIDEO), _take(row, _LAB)
        if not video:
            raise DataError(
                f"{path}:{number}: names no recording; expected a column {_VIDEO[0]!r} "
                "with the recording's name"
            )
        of_row = facts.setdefault((lab, video), RecordingFacts())
        animal = row.pop("animal", "")
        place = of_row.animals[animal] if animal else of_row.recording
        for column, value in row.items():
            if place.get(column, value) != value:
                raise DataError(
                    f"{path}:{number}: {video} {animal} has {column} {value!r}, and "
                    f"{place[column]!r} in a row above; keep one"
                )
            place[column] = value
    return Metadata(facts)


def _take(row: dict[str, str], names: tuple[str, ...]) -> str:
    return next((row.pop(name) for name in names if name in row), "")


def _read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the cells of each row that are not empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                yield {
                    column.strip(): text_of(cell.strip())
                    for column, cell in row.items()
                    if isinstance(column, str)
                    and isinstance(cell, str)
                    and cell.strip().lower() not in _ABSENT
                }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from None
