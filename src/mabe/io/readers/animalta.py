"""Coordinates of AnimalTA: a table with semicolons, one or several arenas.

For a fixed number of animals a row is a frame: ``Frame``, ``Time`` (s, rounded to
0.01), and ``X_Arena0_Ind0``, ``Y_Arena0_Ind0`` … for each animal of each arena; with
head and tail separated also ``…_Head``, ``…_Tail`` (corrected: ``…_part0``,
``…_part1``). For a number of animals that varies a row is an animal: ``Frame;Time;
Arena;Ind;X;Y``. Coordinates are pixels of the film, y downwards; a lost animal has an
empty cell or NA. Frames are numbers of the film. Each arena is a recording. The tables
of results (``Detailed_data``), whose unit is not in them, are not read.

Source: AnimalTA's own files as described and tested by the R package aniread.
"""

import re
from collections.abc import Sequence

import numpy as np

from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.csv_numbers import read_numbers
from mabe.io.readers.file_head import Peek
from mabe.io.readers.left_out import LeftOut
from mabe.io.readers.poses import Poses, check_names, check_span, place_frames

FACTS = facts.tracks(
    "AnimalTA coordinates",
    clock="`Frame`, from 0",
    missing="empty, NA",
    animals="`Ind` of an arena",
    notes="each arena is a recording; corrected coordinates are read instead of raw "
    "ones",
)

RESULTS = facts.not_read("AnimalTA's results (`Detailed_data`)", "give the coordinates")


_WIDE = re.compile(r"([XY])_Arena(\d{1,6})_Ind(\d{1,6})(?:_(\w+))?")

_LONG = ("Frame", "Time", "Arena", "Ind", "X", "Y")

_POINTS = {None: "body_center", "Head": "head", "Tail": "tail_base"}

_DETAILED = {"Time", "Distance", "Speed", "Moving"}

_RESULTS = (
    "results of AnimalTA (Detailed_data), whose unit of length is not in them; give "
    "its coordinates (coordinates/…_Coordinates.csv)."
)


def is_animalta(peek: Peek) -> bool:
    """Return whether a table has AnimalTA's coordinates."""
    header = _header(peek)
    wide = [name for name in header if _WIDE.fullmatch(name)]
    return header[:1] == ["Frame"] and (bool(wide) or tuple(header) == _LONG)


def is_results(peek: Peek) -> bool:
    """Return whether a table has the measures that AnimalTA computes."""
    header = set(_header(peek))
    return header >= _DETAILED and bool({"X", "X_Smoothed"} & header)


def refuse_results(peek: Peek) -> Content:
    """Raise `LeftOut` for computed measures."""
    raise LeftOut(peek.path, _RESULTS)


def _header(peek: Peek) -> list[str]:
    return peek.rows[0] if peek.kind == "text" and peek.rows else []


def read_animalta(peek: Peek) -> Content:
    """Return the tracks of each arena."""
    header = _header(peek)
    numbers = read_numbers(peek, skip_rows=1, columns=len(header))
    is_long = tuple(header) == _LONG
    arenas = _long_arenas(numbers) if is_long else _wide_arenas(header, numbers)
    check_names(len(arenas), "video", str(peek.path))
    poses = []
    for arena, frames, points in arenas:
        name = _name(peek) if len(arenas) == 1 else f"{_name(peek)}_Arena{arena}"
        poses.append(_poses(frames, points, name, peek))
    return Content("AnimalTA", poses=tuple(poses))


def _name(peek: Peek) -> str:
    """Return the name of the film."""
    return re.sub(r"_(Corrected|Coordinates)$", "", peek.stem)


_Points = dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]
"""Rows and xy of each animal and keypoint."""


def _wide_arenas(
    header: Sequence[str], numbers: np.ndarray
) -> list[tuple[int, np.ndarray, _Points]]:
    """Return arena, frames and points of each arena of a table of frames."""
    places: dict[int, dict[tuple[int, str], dict[str, int]]] = {}
    for at, name in enumerate(header):
        if match := _WIDE.fullmatch(name):
            part = _POINTS.get(match[4], match[4])
            key = int(match[3]), part
            places.setdefault(int(match[2]), {}).setdefault(key, {})[match[1]] = at
    rows = np.arange(len(numbers))
    return [
        (
            arena,
            numbers[:, 0],
            {
                key: (rows, numbers[:, [at["X"], at["Y"]]])
                for key, at in points.items()
                if len(at) == 2
            },
        )
        for arena, points in sorted(places.items())
    ]


def _long_arenas(numbers: np.ndarray) -> list[tuple[int, np.ndarray, _Points]]:
    """Return arena, frames and points of each arena of a table of animals."""
    at = {name: place for place, name in enumerate(_LONG)}
    found = []
    arenas = np.unique(numbers[:, at["Arena"]])
    check_names(len(arenas), "video", "its column Arena")
    for arena in arenas:
        own = numbers[numbers[:, at["Arena"]] == arena]
        points: _Points = {}
        animals = np.unique(own[:, at["Ind"]])
        check_names(len(animals), "animal", "its column Ind")
        for animal in animals:
            rows = np.flatnonzero(own[:, at["Ind"]] == animal)
            key = int(animal), "body_center"
            points[key] = rows, own[rows][:, [at["X"], at["Y"]]]
        found.append((int(arena), own[:, at["Frame"]], points))
    return found


def _poses(frames: np.ndarray, points: _Points, name: str, peek: Peek) -> Poses:
    """Return the animals of one arena."""
    animals = sorted({animal for animal, _ in points})
    parts = list(dict.fromkeys(part for _, part in points))
    check_names(len(animals), "animal", str(peek.path))
    known = frames[np.isfinite(frames)]
    first, last = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    width = 2 * len(animals) * len(parts)
    check_span(first, last, rows=len(frames), values=width, where=str(peek.path))
    shape = (last - first + 1, len(animals), len(parts), 2)
    whole = np.full(shape, np.nan, np.float32)
    notes: list[str] = []
    for (animal, part), (rows, xy) in points.items():
        with np.errstate(over="ignore"):  # infinite means missing
            values = xy.astype(np.float32)
        begin, placed, more = place_frames(frames[rows], values, str(peek.path))
        stop = begin - first + len(placed)
        whole[begin - first : stop, animals.index(animal), parts.index(part)] = placed
        notes += more
    return Poses(
        whole,
        keypoints=parts,
        animals=[f"Ind{animal}" for animal in animals],
        name=name,
        first_frame=first,
        tracker="AnimalTA",
        notes=tuple(dict.fromkeys(notes)),
    )
