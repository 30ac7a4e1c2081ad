"""Live Mouse Tracker: the SQLite database of an experiment.

- ``ANIMAL``: ``ID``, ``NAME``, ``RFID``.
- ``DETECTION``: ``FRAMENUMBER`` (from 1), ``ANIMALID`` (NULL: nobody knows who),
  ``MASS``, ``FRONT`` and ``BACK`` with ``_X, _Y, _Z``, in pixels of the camera from
  above, y downwards; −1 is not seen. A frame without a row has no animal.
- ``EVENT``: ``NAME``, ``STARTFRAME``, ``ENDFRAME`` (both included), ``IDANIMALA`` (who
  acts), ``IDANIMALB`` (whom). The program computes events by its own rules, so they are
  a program's and never labels.

The camera (Kinect) films 30 frames per second from a fixed height: 57 pixels are 10 cm.
Days of tracks are one recording.

Source: the repository lmt-analysis (``Animal``, ``Detection``, ``Event``,
``ParametersMouse.scaleFactor``).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import SELF, Content, Event, annotations_of
from mabe.io.readers.file_head import Peek
from mabe.io.readers.poses import X_AND_Y, Poses, check_names, check_span
from mabe.recording import MAX_FRAMES

FACTS = facts.tracks(
    "Live Mouse Tracker (SQLite)",
    clock="`FRAMENUMBER`, from 1",
    fps="30, fixed",
    scale="5.7 pixels per cm, fixed",
    missing="−1, no row",
    animals="`NAME`, else `RFID`",
    notes="nose, centre and tail base; its events are a program's, no labels",
)


FPS = 30.0

PIXELS_PER_CM = 5.7

_POINTS = {"FRONT": "nose", "MASS": "body_center", "BACK": "tail_base"}
"""Columns of the tracker, and the keypoints that they are."""

_TABLES = ("ANIMAL", "DETECTION")

_BATCH = 100_000

_STEPS = 100_000
"""Instructions of SQLite between two checks of what was spent."""

_STEPS_PER_BYTE = 4
"""A row of tracks has about a hundred bytes and takes some dozens of instructions."""

_FREE_STEPS = 10_000_000


def is_database(peek: Peek) -> bool:
    """Return whether a database has the tables of Live Mouse Tracker."""
    if peek.kind != "sqlite":
        return False
    with _open(peek) as database:
        return set(_TABLES) <= _tables(database)


@contextmanager
def _open(peek: Peek) -> Iterator[sqlite3.Connection]:
    """Open a database to read, with bounded work; SQLite's errors become one line."""
    place = f"{peek.path.absolute().as_uri()}?mode=ro&immutable=1"
    left = _FREE_STEPS + _STEPS_PER_BYTE * peek.path.stat().st_size

    def spend() -> bool:
        nonlocal left
        left -= _STEPS
        return left < 0

    try:
        with closing(sqlite3.connect(place, uri=True)) as database:
            database.text_factory = lambda text: text.decode(errors="replace")
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            database.set_progress_handler(spend, _STEPS)
            yield database
    except (sqlite3.Error, OverflowError) as error:
        raise DataError(
            f"{peek.path}: cannot be read as an SQLite database ({error}); was it "
            "copied while the program wrote it? Copy it again."
        ) from error


def _tables(database: sqlite3.Connection) -> set[str]:
    """Return the names of plain tables; views and virtual tables run code."""
    rows = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' "
        "AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    return {str(name).upper() for (name,) in rows}


def read_database(peek: Peek) -> Content:
    """Return the tracks of the animals, and the program's events."""
    with _open(peek) as database:
        animals = _animals(database, peek)
        rows = _detections(database)
        has_events = "EVENT" in _tables(database)
        events = list(_events(database, animals)) if has_events else []
    poses = _poses(rows, animals, peek)
    annotations = annotations_of(
        peek.stem, "frame", events, fps=FPS, length=poses.length, by="program"
    )
    return Content("Live Mouse Tracker", (poses,), (annotations,) if events else ())


def _animals(database: sqlite3.Connection, peek: Peek) -> dict[int, str]:
    """Return the name of each animal by its number."""
    found: dict[int, str] = {}
    for number, name, tag in database.execute("SELECT ID, NAME, RFID FROM ANIMAL"):
        check_names(len(found) + 1, "animal", str(peek.path))
        known = str(name or tag or number)
        found[int(number)] = f"{known} {number}" if known in found.values() else known
    if not found:
        raise DataError(f"{peek.path}: a database of Live Mouse Tracker of no animal.")
    return found


def _detections(database: sqlite3.Connection) -> np.ndarray:
    """Return frame, animal and the x and y of each point, a row for each detection."""
    columns = [f"{point}_{axis}" for point in _POINTS for axis in "XY"]
    cast = ", ".join(
        f"CAST({name} AS REAL)" for name in ("FRAMENUMBER", "ANIMALID", *columns)
    )
    cursor = database.execute(f"SELECT {cast} FROM DETECTION WHERE ANIMALID NOT NULL")
    batches = [np.empty((0, 2 + len(columns)))]
    while batch := cursor.fetchmany(_BATCH):
        batches.append(np.array(batch, np.float64))
    return np.concatenate(batches)


def _poses(rows: np.ndarray, animals: dict[int, str], peek: Peek) -> Poses:
    """Return the detections of known animals as a recording."""
    numbers = list(animals)
    rows = rows[np.isin(rows[:, 1], numbers)]
    frames = rows[:, 0] - 1
    if not len(rows) or not np.isfinite(frames).all() or (frames % 1).any():
        raise DataError(
            f"{peek.path}: expected detections of its animals with whole frame numbers."
        )
    first, last = int(frames.min()), int(frames.max())
    width = 2 * len(_POINTS) * len(numbers)
    check_span(first, last, rows=len(rows), values=width, where=str(peek.path))
    shape = (last - first + 1, len(numbers), len(_POINTS), 2)
    xy = np.full(shape, np.nan, np.float32)
    order = np.argsort(numbers)
    places = order[np.searchsorted(np.array(numbers)[order], rows[:, 1])]
    with np.errstate(over="ignore"):  # infinite means missing
        points = rows[:, 2:].reshape(len(rows), len(_POINTS), 2).astype(np.float32)
    points[(points == -1).all(axis=-1)] = np.nan
    xy[(frames - first).astype(np.int64), places] = points
    return Poses(
        xy,
        keypoints=tuple(_POINTS.values()),
        animals=list(animals.values()),
        name=peek.stem,
        first_frame=first,
        fps=FPS,
        pixels_per_cm=PIXELS_PER_CM,
        tracker="Live Mouse Tracker",
        notes=(f"{X_AND_Y}: the depth camera's z is in another unit",),
    )


def _events(database: sqlite3.Connection, animals: dict[int, str]) -> Iterator[Event]:
    """Yield the events of known animals; an event without a second one is its own."""
    rows: Sequence[Any] = database.execute(
        "SELECT NAME, STARTFRAME, ENDFRAME, IDANIMALA, IDANIMALB FROM EVENT "
        "WHERE NAME NOT NULL AND typeof(STARTFRAME) = 'integer' "
        "AND typeof(ENDFRAME) = 'integer' AND STARTFRAME >= 1 "
        "AND ENDFRAME >= STARTFRAME AND ENDFRAME <= ?",
        (MAX_FRAMES,),
    ).fetchall()
    for name, start, last, agent, target in rows:
        if agent in animals:
            other = SELF if target is None else animals.get(target, "")
            yield Event(start - 1, last, str(name), animals[agent], other)
