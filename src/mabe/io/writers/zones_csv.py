"""Zones as a table: ``video,zone,corner,x,y,radius``, which can be read again.

A polygon has a row for each corner, a circle one row with a radius. The names of x, y
and the radius end in ``_px`` or ``_cm``.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from mabe.io.readers.zone_tables import Unit
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.files import write_text
from mabe.zones import Circle, Zone


def write_zones(path: Path, zones: Mapping[str, Sequence[Zone]], *, unit: Unit) -> None:
    """Write the zones of recordings, given by the recording's name."""
    rows = [
        (cell_of(video), cell_of(zone.name), *place)
        for video, of_video in zones.items()
        for zone in of_video
        for place in _places(zone)
    ]
    schema = {
        **dict.fromkeys(("video", "zone"), pl.String),
        "corner": pl.Int64,
        **dict.fromkeys((f"x_{unit}", f"y_{unit}", f"radius_{unit}"), pl.Float64),
    }
    write_text(path, pl.DataFrame(rows, schema=schema, orient="row").write_csv())


def _places(zone: Zone) -> Iterator[tuple[int | None, float, float, float | None]]:
    """Yield (corner, x, y, radius) of each row of a zone."""
    if isinstance(zone.shape, Circle):
        yield None, zone.shape.x, zone.shape.y, zone.shape.radius
        return
    for corner, (x, y) in enumerate(zone.shape.corners, 1):
        yield corner, x, y, None
