"""Zones as a table: ``video,zone,corner,x,y,radius``, which can be read again.

A polygon has a row for each corner, a circle one row with a radius. The names of x, y
and the radius end in ``_px`` or ``_cm``. Where a zone has several parts, a column
``part`` numbers them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from mabe.io.readers.zone_tables import Unit
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import write_text
from mabe.zones import Circle, Polygon, Zone, parts_of


def write_zones(path: Path, zones: Mapping[str, Sequence[Zone]], *, unit: Unit) -> None:
    """Write the zones of recordings, given by the recording's name."""
    rows = [
        (cell_of(video), cell_of(zone.name), number, *place)
        for video, of_video in zones.items()
        for zone in of_video
        for number, part in enumerate(parts_of(zone.shape), 1)
        for place in _places(part)
    ]
    schema = {
        **dict.fromkeys(("video", "zone"), pl.String),
        **dict.fromkeys(("part", "corner"), pl.Int64),
        **dict.fromkeys((f"x_{unit}", f"y_{unit}", f"radius_{unit}"), pl.Float64),
    }
    table = pl.DataFrame(rows, schema=schema, orient="row")
    is_single = all(part == 1 for part in table["part"])
    write_text(path, (table.drop("part") if is_single else table).write_csv())


def _places(
    shape: Polygon | Circle,
) -> Iterator[tuple[int | None, float, float, float | None]]:
    """Yield (corner, x, y, radius) of each row of a zone's part."""
    if isinstance(shape, Circle):
        yield None, shape.x, shape.y, shape.radius
        return
    for corner, (x, y) in enumerate(shape.corners, 1):
        yield corner, x, y, None
