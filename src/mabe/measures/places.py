"""Visits to zones and to the surroundings of objects: a row for each animal and place.

Positions and rate are those of `mabe.measures.space`. An animal is in a zone where the
middle of its body is, and at an object where that is within a distance of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mabe.measures.space import Positions
from mabe.recording import StoredRecording
from mabe.zones import Circle, Zone, distance_travelled, visits_to


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceVisits:
    """One row: an animal and a zone or an object."""

    lab: str
    recording: str
    animal: str
    place: str
    kind: str
    """``zone`` or ``object``."""
    within_cm: float
    """The largest distance of a visit; 0 for a zone."""
    tracked_share: float
    """Share of frames in which the animal has a position."""
    visits: int
    """A frame without a position ends one."""
    visits_s: float
    visits_share: float
    """Share of the frames with a position."""
    first_visit_s: float
    """From frame 0; NaN where there is none."""
    distance_cm: float
    """Length of the path during visits."""


def measure_places(
    about: StoredRecording,
    names: Sequence[str],
    xy_cm: Positions,
    zones: Sequence[Zone],
    *,
    within_cm: float,
    fps: float,
) -> Iterator[PlaceVisits]:
    """Yield the visits of each animal of a recording.

    `names` are those of all individuals; `zones` are in cm of the recording's own
    coordinates, positions relative to its origin. An object that moves is where it is
    in most frames: at the median of its positions.
    """
    x, y = about.origin_cm
    places = [(zone.moved(-x, -y), "zone", 0.0) for zone in zones]
    for number in about.objects:
        points = xy_cm[:, number - 1]
        known = points[np.isfinite(points).all(axis=1)]
        if len(known):
            at_x, at_y = np.median(known, axis=0)
            place = Zone(names[number - 1], Circle(float(at_x), float(at_y), 0.0))
            places.append((place, "object", within_cm))
    for animal in about.tracked_animals:
        points = xy_cm[:, animal - 1]
        for zone, kind, within in places:
            found = visits_to(zone, points, fps, within=within)
            yield PlaceVisits(
                lab=about.lab,
                recording=about.video,
                animal=names[animal - 1],
                place=zone.name,
                kind=kind,
                within_cm=within,
                tracked_share=found.tracked_share,
                visits=found.count,
                visits_s=found.time_s,
                visits_share=found.share_of_tracked,
                first_visit_s=np.nan if found.latency_s is None else found.latency_s,
                distance_cm=distance_travelled(points, found.frames()),
            )
