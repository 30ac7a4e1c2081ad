"""Zones as plain tables: a row for each zone, or for each corner of a polygon.

::

    video,zone,x,y,radius                   # circles; without a radius: points
    video,zone,left,top,right,bottom        # upright rectangles
    video,zone,vertices                     # "[[10 20] [40 20] [10 60]]"
    video,zone,corner,x,y                   # polygons, a row for each corner

Several circles, rectangles or lists of corners of one name are one zone, and so are
polygons that a further column ``part`` numbers.

A column of recordings is optional: without it, or where its cell is empty, a zone is
that of every recording. Numbers are pixels, and cm where their columns end in ``_cm``.
SimBA's own tables of zones (``rectangles_….csv``, ``polygons_….csv``) are of this form.
"""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mabe.errors import DataError
from mabe.io.readers.column_names import VIDEOS, squeeze
from mabe.io.readers.containers import open_peek
from mabe.io.readers.file_head import Peek, read_text
from mabe.runtime.csv_cells import text_of
from mabe.zones import Circle, Polygon, Zone, shape_of

Unit = Literal["px", "cm"]

EVERY_RECORDING = ""
"""The name under which zones of all recordings are listed."""

ZONES = ("zone", "zonename", "roi", "roiname", "region", "object", "name", "area")

_X = ("x", "centerx", "centrex")
_Y = ("y", "centery", "centrey")
_RADII = ("radius", "r")
_CORNERS = ("vertices", "corners", "polygon")
_PARTS = ("part",)

_BOXES = (
    ("left", "top", "right", "bottom"),
    ("topleftx", "toplefty", "bottomrightx", "bottomrighty"),
    ("x1", "y1", "x2", "y2"),
    ("xmin", "ymin", "xmax", "ymax"),
)

_MOST_ZONES = 100_000

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class ZoneFile:
    """The zones of a file."""

    path: Path
    unit: Unit
    zones: Mapping[str, tuple[Zone, ...]]
    """By the name of the recording; those of every one under `EVERY_RECORDING`."""
    corners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Zones whose corners are keypoints, see `mabe.io.zone_corners`."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all zones."""
        of_shapes = (zone.name for zones in self.zones.values() for zone in zones)
        return tuple(dict.fromkeys((*of_shapes, *self.corners)))

    def own(self, recording: str) -> tuple[Zone, ...]:
        """Return the zones that name a recording, without the ending of a file."""
        return tuple(
            zone
            for name, zones in self.zones.items()
            if recording and recording in _names_of(name)
            for zone in zones
        )

    def of(self, recording: str) -> tuple[Zone, ...]:
        """Return the zones of a recording: its own, then those of every recording.

        Its own zone takes the place of one of every recording that has the same name.
        """
        own = self.own(recording)
        names = {zone.name for zone in own}
        shared = self.zones.get(EVERY_RECORDING, ())
        return own + tuple(zone for zone in shared if zone.name not in names)


def _names_of(video: str) -> tuple[str, ...]:
    """Return what the recording of a video may be called: with and without ending."""
    return video, Path(video).name, Path(video).stem


def is_zone_table(peek: Peek) -> bool:
    """Return whether a text file is a table of zones: names, and shapes."""
    if peek.kind != "text" or not peek.rows:
        return False
    names = {_bare(name) for name in peek.rows[0]}
    has_shape = (
        (names & set(_X) and names & set(_Y) and names & {*_RADII, "corner"})
        or names & set(_CORNERS)
        or any(names.issuperset(box) for box in _BOXES)
    )
    return bool(names & set(ZONES) and has_shape)


def read_zone_table(path: Path) -> ZoneFile:
    """Return the zones of a table.

    Raises `DataError` for a table without names or shapes, and for a row whose numbers
    are none.
    """
    peek = open_peek(path)
    text = read_text(peek).removeprefix("\ufeff")
    table = csv.reader(io.StringIO(text), delimiter=peek.delimiter)
    try:
        header, *rows = [row for row in table if any(cell.strip() for cell in row)]
    except (csv.Error, ValueError):
        raise DataError(
            f"{path}: expected a table of zones with a header, found none."
        ) from None
    if len({_is_cm(name) for name in header if _is_coordinate(name)}) > 1:
        raise DataError(f"{path}: some columns are in cm and some in pixels: {header}.")
    decimal = "," if peek.delimiter == ";" else "."
    cells = [
        {
            _bare(name): cell.strip().replace(decimal, ".")
            if _is_coordinate(name)
            else text_of(cell.strip())
            for name, cell in zip(header, row, strict=False)
        }
        for row in rows
    ]
    unit: Unit = "cm" if any(map(_is_cm, filter(_is_coordinate, header))) else "px"
    return ZoneFile(path, unit, zones_of_rows(cells, path))


def zones_of_rows(
    rows: Sequence[Mapping[str, Any]], path: Path
) -> dict[str, tuple[Zone, ...]]:
    """Return the zones of rows whose columns have squeezed names, by recording.

    Raises `DataError` where a row has no name, or no shape that is known.
    """
    if len(rows) > _MOST_ZONES:
        raise DataError(f"{path}: {len(rows):,} rows; expected a table of zones.")
    corners: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for number, row in enumerate(rows, 1):
        name = _first(row, ZONES)
        if not name:
            raise DataError(
                f"{path}: row {number} names no zone; expected a column such as "
                f"'zone', found {sorted(row)}."
            )
        corners[str(_first(row, VIDEOS) or EVERY_RECORDING), str(name)].append(row)
    found: dict[str, list[Zone]] = defaultdict(list)
    for (video, name), of_zone in corners.items():
        try:
            found[video].append(Zone(name, shape_of(_shapes(of_zone))))
        except ValueError as error:
            raise DataError(f"{path}: zone {name!r}: {error}.") from None
    return {video: tuple(zones) for video, zones in found.items()}


def _shapes(rows: Sequence[Mapping[str, Any]]) -> list[Polygon | Circle]:
    """Return the shapes of the rows of one zone; raises `ValueError` for none.

    A row is a shape of its own, or a corner of the polygon that its part is.
    """
    parts: dict[Any, list[Mapping[str, Any]]] = {}
    for number, row in enumerate(rows):
        is_whole = any(_first(row, names) is not None for names in (_RADII, _CORNERS))
        is_whole |= any(
            all(_first(row, (s,)) is not None for s in box) for box in _BOXES
        )
        key = (number,) if is_whole else _first(row, _PARTS)
        parts.setdefault(key, []).append(row)
    return [_shape(of_part) for of_part in parts.values()]


def _shape(rows: Sequence[Mapping[str, Any]]) -> Polygon | Circle:
    """Return the shape of the rows of one part; raises `ValueError` for none."""
    first = rows[0]
    if len(rows) > 1:
        return Polygon(tuple((_number(r, _X), _number(r, _Y)) for r in rows))
    if (listed := _first(first, _CORNERS)) is not None:
        return Polygon(tuple(_pairs(listed)))
    for box in _BOXES:
        if all(_first(first, (side,)) is not None for side in box):
            left, top, right, bottom = (_number(first, (side,)) for side in box)
            return Polygon.rectangle(left=left, top=top, right=right, bottom=bottom)
    radius = _number(first, _RADII) if _first(first, _RADII) is not None else 0.0
    return Circle(_number(first, _X), _number(first, _Y), radius)


def _first(row: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the first cell of some columns that is not empty."""
    cells = (row.get(name) for name in names)
    return next((cell for cell in cells if not _is_empty(cell)), None)


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell)


def _number(row: Mapping[str, Any], names: Sequence[str]) -> float:
    """Return a row's number; raises `ValueError` where it is none."""
    cell = _first(row, names)
    try:
        return float(str(cell))
    except ValueError:
        raise ValueError(f"expected a number for {names[0]}, found {cell!r}") from None


def _pairs(listed: Any) -> list[tuple[float, float]]:
    """Return the corners in a list or an array, or in its text."""
    texts = _NUMBER.findall(listed) if isinstance(listed, str) else listed
    try:
        corners = np.asarray(texts, float).reshape(-1, 2)
    except (ValueError, TypeError):
        shown = str(listed)[:40]
        raise ValueError(f"expected pairs of x and y, found {shown!r}") from None
    return [(x, y) for x, y in corners.tolist()]


def _bare(name: str) -> str:
    """Return a column's squeezed name without its unit."""
    bare = squeeze(name)
    for unit in ("px", "pixels", "pixel", "cm"):
        if bare.endswith(unit) and _is_known(bare.removesuffix(unit)):
            return bare.removesuffix(unit)
    return bare


def _is_cm(name: str) -> bool:
    return squeeze(name).endswith("cm")


def _is_coordinate(name: str) -> bool:
    """Return whether a column holds a place or a length of a zone's shape."""
    return _is_known(_bare(name))


def _is_known(bare: str) -> bool:
    return bare in (*_X, *_Y, *_RADII, *(side for box in _BOXES for side in box))
