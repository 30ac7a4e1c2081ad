"""Zones whose corners are keypoints, as DLCAnalyzer's ``zoneinfo.csv`` gives them.

A column for each zone lists the keypoints at its corners, in order; cells below the
last one are empty::

    arena;open.left;center
    tl;lt;ctr
    tr;ctl;ctl
    br;cbl;cbl
    bl;lb;cbr

The corners of a zone are the medians of these points over a recording, so the zones of
each recording are where its own maze was. Points of the arena are no part of an animal.
Source: `AddZones` of ETHZ-INS/DLCAnalyzer, whose example is ``EPM_zoneinfo.csv``.
"""

import re
from collections.abc import Collection, Mapping

import numpy as np

from mabe.errors import DataError
from mabe.io.readers.poses import Poses
from mabe.zones import Polygon, Zone

Corners = Mapping[str, tuple[str, ...]]
"""The keypoints at the corners of each zone."""

Place = tuple[float, float]

_NUMBER = re.compile(r"[-+]?\d*[.,]?\d+([eE][-+]?\d+)?")


def corners_of_rows(rows: list[list[str]]) -> dict[str, tuple[str, ...]] | None:
    """Return the corners of each zone of a table's cells; None where it is no such.

    Cells are names, and every zone has at least three.
    """
    if len(rows) < 4:
        return None
    names, *cells = [[cell.strip() for cell in row] for row in rows]
    columns = {
        name: tuple(row[at] for row in cells if at < len(row) and row[at])
        for at, name in enumerate(names)
        if name
    }
    columns = {name: points for name, points in columns.items() if points}
    is_table = columns and all(
        len(points) >= 3 and not any(map(_NUMBER.fullmatch, points))
        for points in columns.values()
    )
    return columns if is_table else None


def take_corners(
    poses: Poses, wanted: Collection[str]
) -> tuple[Poses, dict[str, Place]]:
    """Return the poses without the keypoints at corners, and where these are in pixels.

    Raises `DataError` where one is not tracked.
    """
    if not wanted:
        return poses, {}
    places: dict[str, Place] = {}
    for name in wanted:
        if name not in poses.keypoints:
            raise DataError(
                f"{poses.name}: the corner {name!r} of a zone is none of its "
                f"keypoints {list(poses.keypoints)}; correct the file of `zones`."
            )
        points = poses.xy_px[:, :, poses.keypoints.index(name)].reshape(-1, 2)
        known = points[np.isfinite(points).all(axis=1)]
        if not len(known):
            raise DataError(
                f"{poses.name}: the corner {name!r} of a zone is never tracked surely "
                "enough; give the zone's shape in project.yaml, or min_confidence."
            )
        x, y = np.median(known, axis=0).tolist()
        places[name] = (x, y)
    kept = [at for at, name in enumerate(poses.keypoints) if name not in places]
    return poses.selected(keypoints=kept), places


def zones_px(
    name: str, corners: Corners, places: Mapping[str, Place]
) -> tuple[Zone, ...]:
    """Return the zones of a recording from where its corners are, in pixels.

    Raises `DataError` where the corners of one enclose no area.
    """
    found = []
    for zone, points in corners.items():
        try:
            shape = Polygon(tuple(places[point] for point in points))
        except ValueError as error:
            raise DataError(f"{name}: zone {zone!r}: {error}.") from None
        found.append(Zone(zone, shape))
    return tuple(found)
