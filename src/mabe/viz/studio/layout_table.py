"""The table ``train.csv`` of a project's data set: rows added, and what was watched."""

import csv
import io
from collections.abc import Collection, Iterable
from pathlib import Path

from mabe.bouts import Watched
from mabe.io.readers.kaggle import SPLITS
from mabe.io.writers.kaggle import format_watched
from mabe.runtime.csv_cells import text_of
from mabe.runtime.files import write_text

NAME = "train.csv"


Row = dict[str, str]


def is_layout(folder: Path) -> bool:
    """Return whether a folder is a data set, with rates and scales of its own."""
    return any((folder / f"{split}.csv").is_file() for split in SPLITS)


def read_rows(table: Path) -> list[Row]:
    """Return the rows of a table; none where there is no table."""
    if not table.is_file():
        return []
    with table.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(table: Path, rows: Iterable[Row]) -> None:
    """Write a table with the columns of all rows, atomically."""
    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(table, text.getvalue())


def name_of(row: Row) -> str:
    """Return the recording of a row, ``LAB/VIDEO``."""
    return "/".join(text_of(row[key].strip()) for key in ("lab_id", "video_id"))


def add_watched(table: Path, name: str, watched: Collection[Watched]) -> None:
    """Put what was watched into the row of a recording, if that changes it."""
    rows = read_rows(table)
    cell = format_watched(sorted(watched))
    for row in rows:
        if name_of(row) == name and row.get("behaviors_labeled") != cell:
            row["behaviors_labeled"] = cell
            write_rows(table, rows)
