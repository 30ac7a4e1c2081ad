"""Zones: named parts of an arena, as polygons and circles, and measures of visits.

A zone has the unit of the coordinates it was drawn in, which is also that of the points
it is compared with; files give pixels, and `Zone.scaled` turns them into cm. Points are
arrays ``[..., 2]`` of (x, y), NaN where missing. A point on the border is inside.

An action may be directed at a zone, which then takes a target's place among the points
of a recording: `border_points` are its border as so many points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float

from mabe.bouts import Spans, find_spans

Points = Float[np.ndarray, "*time 2"]

BORDER_POINTS = 32
"""Points of a border: enough for a circle to be exact to a hundredth of its radius."""

_CIRCLE_CORNERS = 24

_FEWEST_CORNERS = 3


@dataclass(frozen=True, slots=True)
class Circle:
    """All points at most `radius` from the centre; a radius of 0 is one point."""

    x: float
    y: float
    radius: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.x, self.y, self.radius]).all() and self.radius >= 0):
            raise ValueError(f"a circle needs a centre and a radius >= 0, got {self}")

    @property
    def centre(self) -> tuple[float, float]:
        """The centre."""
        return self.x, self.y

    def signed_distance(self, points: Points) -> Float[np.ndarray, "*time"]:
        """Return the distance to the border: negative inside, NaN where missing."""
        from_centre = points - np.array([self.x, self.y])
        return np.hypot(from_centre[..., 0], from_centre[..., 1]) - self.radius

    def scaled(self, factor: float) -> "Circle":
        """Return the circle in another unit."""
        return Circle(self.x * factor, self.y * factor, self.radius * factor)

    def moved(self, x: float, y: float) -> "Circle":
        """Return the circle relative to another origin, which is at minus (x, y)."""
        return Circle(self.x + x, self.y + y, self.radius)


@dataclass(frozen=True, slots=True)
class Polygon:
    """What a closed line through the corners encloses, by the even-odd rule."""

    corners: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        corners = np.asarray(self.corners, float)
        if len(corners) < 3 or not np.isfinite(corners).all():
            raise ValueError(f"a polygon needs at least three corners, got {self}")
        if abs(_shoelace(corners)[0]) <= 0:
            raise ValueError(f"a polygon needs an area, got {self}")

    @classmethod
    def rectangle(
        cls, *, left: float, top: float, right: float, bottom: float
    ) -> "Polygon":
        """Return an upright rectangle."""
        return cls(((left, top), (right, top), (right, bottom), (left, bottom)))

    @property
    def centre(self) -> tuple[float, float]:
        """The centre of its area."""
        _, x, y = _shoelace(np.asarray(self.corners, float))
        return x, y

    def signed_distance(self, points: Points) -> Float[np.ndarray, "*time"]:
        """Return the distance to the border: negative inside, NaN where missing."""
        corners = np.asarray(self.corners, float)
        nearest = np.full(points.shape[:-1], np.inf)
        is_inside = np.zeros(points.shape[:-1], bool)
        for start, stop in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            nearest = np.minimum(nearest, _distance_to_edge(points, start, stop))
            is_inside ^= _crosses_edge(points, start, stop)
        return np.where(is_inside, -nearest, nearest)

    def scaled(self, factor: float) -> "Polygon":
        """Return the polygon in another unit."""
        return Polygon(tuple((x * factor, y * factor) for x, y in self.corners))

    def moved(self, x: float, y: float) -> "Polygon":
        """Return the polygon relative to another origin, which is at minus (x, y)."""
        return Polygon(tuple((left + x, top + y) for left, top in self.corners))


@dataclass(frozen=True, slots=True)
class Several:
    """What is in any of several shapes, such as the two open arms of a maze.

    Inside of two that overlap, the distance is that to the border farther away.
    """

    parts: tuple[Polygon | Circle, ...]

    def __post_init__(self) -> None:
        if len(self.parts) < 2:
            raise ValueError(f"several shapes need at least two, got {self}")

    @property
    def centre(self) -> tuple[float, float]:
        """The mean of the centres of the parts."""
        x, y = np.mean([part.centre for part in self.parts], axis=0).tolist()
        return x, y

    def signed_distance(self, points: Points) -> Float[np.ndarray, "*time"]:
        """Return the distance to the border: negative inside, NaN where missing."""
        each = [part.signed_distance(points) for part in self.parts]
        return np.min(each, axis=0)

    def scaled(self, factor: float) -> "Several":
        """Return the shapes in another unit."""
        return Several(tuple(part.scaled(factor) for part in self.parts))

    def moved(self, x: float, y: float) -> "Several":
        """Return the shapes relative to another origin, which is at minus (x, y)."""
        return Several(tuple(part.moved(x, y) for part in self.parts))


Shape = Polygon | Circle | Several


def shape_of(parts: Sequence[Polygon | Circle]) -> Shape:
    """Return one shape, or several as one."""
    return parts[0] if len(parts) == 1 else Several(tuple(parts))


def parts_of(shape: Shape) -> tuple[Polygon | Circle, ...]:
    """Return the single shapes that a shape is made of."""
    return shape.parts if isinstance(shape, Several) else (shape,)


@dataclass(frozen=True, slots=True)
class Zone:
    """A named part of an arena."""

    name: str
    shape: Shape

    @property
    def centre(self) -> tuple[float, float]:
        """The centre of the zone."""
        return self.shape.centre

    def signed_distance(self, points: Points) -> Float[np.ndarray, "*time"]:
        """Return the distance to the border: negative inside, NaN where missing."""
        return self.shape.signed_distance(points)

    def distance_to(self, points: Points) -> Float[np.ndarray, "*time"]:
        """Return the distance to the zone: 0 inside, NaN where a point is missing."""
        return self.signed_distance(points).clip(min=0)

    def inside(self, points: Points) -> Bool[np.ndarray, "*time"]:
        """Return which points are inside; missing points are not."""
        return self.signed_distance(points) <= 0

    def scaled(self, factor: float) -> "Zone":
        """Return the zone in another unit: 1 / (pixels per cm) takes pixels to cm."""
        return replace(self, shape=self.shape.scaled(factor))

    def moved(self, x: float, y: float) -> "Zone":
        """Return the zone relative to another origin, which is at minus (x, y)."""
        return replace(self, shape=self.shape.moved(x, y))


MOST_PARTS = (BORDER_POINTS + 1) // (_FEWEST_CORNERS + 2)
"""An action may be directed at a zone of so many parts."""


@dataclass(frozen=True, slots=True)
class TargetZone:
    """A zone at which actions of a recording may be directed, by its number there.

    Zones are numbered after the animals and objects of a recording.
    """

    number: int
    zone: Zone
    """In cm of the recording's own coordinates."""

    def __post_init__(self) -> None:
        parts = len(parts_of(self.zone.shape))
        if self.number < 1 or parts > MOST_PARTS:
            raise ValueError(
                f"the zone {self.zone.name!r} has {parts} parts; an action may be "
                f"directed at one of at most {MOST_PARTS}"
            )


def border_points(zone: Zone) -> Float[np.ndarray, "BORDER_POINTS 2"]:
    """Return a zone's border as closed lines through points, in the zone's unit.

    The first corner of each line follows its last one, and a missing point (NaN) parts
    one line from the next and fills the rest. All lines run in the same direction.
    Circles have 24 corners on a circle of the same area. Corners that change a polygon
    least are left out where there are too many; there are at most `MOST_PARTS` parts.
    """
    rings = [_ring(part) for part in parts_of(zone.shape)]
    room = BORDER_POINTS + 1 - 2 * len(rings)
    while sum(map(len, rings)) > room:
        longest = max(range(len(rings)), key=lambda at: len(rings[at]))
        rings[longest] = _without_flattest(rings[longest])
    points = np.full((BORDER_POINTS, 2), np.nan)
    at = 0
    for ring in rings:
        points[at : at + len(ring) + 1] = [*ring, ring[0]]
        at += len(ring) + 2
    return points


def border_lines(
    points: Float[np.ndarray, "point 2"],
) -> list[list[tuple[float, float]]]:
    """Return the closed lines of `border_points`, each from corner to corner."""
    known = np.isfinite(points).all(axis=1)
    return [
        [(x, y) for x, y in points[start:stop].tolist()]
        for start, stop in find_spans(known).tolist()
    ]


def _ring(shape: Polygon | Circle) -> list[tuple[float, float]]:
    """Return the corners of a shape in the direction of a positive area."""
    if isinstance(shape, Circle):
        angles = 2 * np.pi * np.arange(_CIRCLE_CORNERS) / _CIRCLE_CORNERS
        full = 2 * np.pi / _CIRCLE_CORNERS
        radius = shape.radius * np.sqrt(full / np.sin(full))
        x, y = shape.x + radius * np.cos(angles), shape.y + radius * np.sin(angles)
        return list(zip(x.tolist(), y.tolist(), strict=True))
    corners = list(dict.fromkeys(shape.corners))
    return corners if _shoelace(np.asarray(corners, float))[0] > 0 else corners[::-1]


def _without_flattest(ring: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a ring without the corner whose triangle with its neighbours is least."""
    if len(ring) <= _FEWEST_CORNERS:
        return ring
    around = [ring[-1], *ring, ring[0]]
    corners = zip(pairwise(around), pairwise(around[1:]), strict=False)
    areas = [
        abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]))
        for (a, b), (_, c) in corners
    ]
    least = areas.index(min(areas))
    return ring[:least] + ring[least + 1 :]


@dataclass(frozen=True, slots=True)
class ZoneVisits:
    """The visits of a point to a zone, or to the surroundings of an object."""

    spans: Spans
    """Frames of each visit."""
    tracked: Bool[np.ndarray, " time"]
    """In which frames the point was tracked."""
    fps: float

    @property
    def count(self) -> int:
        """Number of visits."""
        return len(self.spans)

    @property
    def time_s(self) -> float:
        """Time of all visits together."""
        return float((self.spans[:, 1] - self.spans[:, 0]).sum() / self.fps)

    @property
    def latency_s(self) -> float | None:
        """Time from frame 0 to the first visit; None where there is none."""
        return float(self.spans[0, 0] / self.fps) if len(self.spans) else None

    @property
    def tracked_share(self) -> float:
        """Share of frames in which the point was tracked; NaN without frames."""
        return float(self.tracked.mean()) if len(self.tracked) else np.nan

    @property
    def share_of_tracked(self) -> float:
        """Share of the tracked frames that belong to visits; NaN without any."""
        frames = int((self.spans[:, 1] - self.spans[:, 0]).sum())
        tracked = int(self.tracked.sum())
        return frames / tracked if tracked else np.nan

    def frames(self) -> Bool[np.ndarray, " time"]:
        """Return which frames belong to visits."""
        is_visit = np.zeros(len(self.tracked), bool)
        for start, stop in self.spans:
            is_visit[start:stop] = True
        return is_visit


def visits_to(
    zone: Zone,
    points: Float[np.ndarray, "time 2"],
    fps: float,
    *,
    within: float = 0.0,
    shortest_s: float = 0.0,
) -> ZoneVisits:
    """Return the visits of a point to a zone.

    With `within`, also those to its surroundings up to this distance, in the zone's
    unit; an object is a circle of radius 0. Frames without the point are no part of a
    visit. Visits shorter than `shortest_s` are left out, such as jitter at the border.
    """
    is_near = zone.signed_distance(points) <= within
    spans = find_spans(is_near)
    is_long = spans[:, 1] - spans[:, 0] >= shortest_s * fps
    tracked = np.isfinite(points).all(axis=1)
    return ZoneVisits(spans[is_long], tracked, fps)


def distance_travelled(
    points: Float[np.ndarray, "time 2"], during: Bool[np.ndarray, " time"] | None = None
) -> float:
    """Return the length of a point's path, in its unit.

    Steps from or to a frame without the point do not count: what is missing is not
    guessed. With `during`, the steps between two of these frames count.
    """
    steps = np.hypot(*np.diff(points, axis=0).T)
    if during is not None:
        steps = np.where(during[1:] & during[:-1], steps, 0)
    return float(np.nansum(steps))


def _distance_to_edge(
    points: Points, start: Float[np.ndarray, "2"], stop: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "*time"]:
    """Return the distance of points to the line from one corner to the next."""
    edge = stop - start
    squared = float(edge @ edge) or 1.0  # a corner that is given twice
    along = ((points - start) @ edge / squared).clip(0, 1)
    nearest = start + along[..., None] * edge
    return np.hypot(points[..., 0] - nearest[..., 0], points[..., 1] - nearest[..., 1])


def _crosses_edge(
    points: Points, start: Float[np.ndarray, "2"], stop: Float[np.ndarray, "2"]
) -> Bool[np.ndarray, "*time"]:
    """Return whether the line from a point to the right crosses an edge."""
    low, high = (start, stop) if start[1] < stop[1] else (stop, start)
    x, y = points[..., 0], points[..., 1]
    is_left = (x - low[0]) * (high[1] - low[1]) < (y - low[1]) * (high[0] - low[0])
    return (low[1] <= y) & (y < high[1]) & is_left


def _shoelace(corners: Float[np.ndarray, "n 2"]) -> tuple[float, float, float]:
    """Return the signed area of a polygon, and the x and y of its centroid.

    The centroid is the mean of the corners where the area is 0.
    """
    x, y = (corners - corners[0]).T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    crossed = x * next_y - next_x * y
    area = float(crossed.sum() / 2)
    if area == 0:
        centre_x, centre_y = corners.mean(axis=0).tolist()
        return 0.0, centre_x, centre_y
    centre_x = float(((x + next_x) * crossed).sum() / (6 * area)) + corners[0, 0]
    centre_y = float(((y + next_y) * crossed).sum() / (6 * area)) + corners[0, 1]
    return area, float(centre_x), float(centre_y)
