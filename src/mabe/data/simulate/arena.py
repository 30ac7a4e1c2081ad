"""The arena, and how positions are kept within its walls.

Positions are in cm from the centre of the arena, x to the right and y *up*; the camera
inverts y when it makes pixels. Headings are in radians, counter-clockwise from x.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Points = Float[np.ndarray, "*any 2"]


_LARGEST_MARGIN_SHARE = 0.3
"""Largest margin as a share of the arena's extent, for small arenas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A rectangular or round floor."""

    width_cm: float
    height_cm: float
    is_round: bool = False

    def keep_inside(self, points_cm: Points, *, margin_cm: float) -> Points:
        """Return the points with those outside moved to the nearest one inside."""
        room = self._room(margin_cm)
        if not self.is_round:
            return np.clip(points_cm, -room, room)
        shrink = np.linalg.norm(points_cm / room, axis=-1, keepdims=True)
        return points_cm / np.maximum(shrink, 1)

    def fold_inside(self, points_cm: Points, *, margin_cm: float) -> Points:
        """Return an unbounded walk reflected at the walls."""
        room = self._room(margin_cm)
        phase = np.mod(points_cm + room, 4 * room)
        folded = 2 * room - np.abs(phase - 2 * room) - room
        return self.keep_inside(folded, margin_cm=margin_cm)

    def nearest_wall(self, point_cm: Points) -> tuple[Points, float]:
        """Return the nearest point of the wall, and the heading towards it."""
        room = self._room(0)
        if self.is_round:
            heading = float(np.arctan2(point_cm[1], point_cm[0]))
            return room * unit(heading), heading
        axis = int(np.argmin(room - np.abs(point_cm)))
        side = 1.0 if point_cm[axis] >= 0 else -1.0
        wall = np.clip(point_cm, -room, room)
        wall[axis] = side * room[axis]
        outward = np.zeros(2)
        outward[axis] = side
        return wall, float(np.arctan2(outward[1], outward[0]))

    def _room(self, margin_cm: float) -> Float[np.ndarray, "2"]:
        half = np.array([self.width_cm, self.height_cm]) / 2
        return half - np.minimum(margin_cm, 2 * half * _LARGEST_MARGIN_SHARE)


def unit(heading: Float[np.ndarray, "*any"] | float) -> Points:
    """Return the direction of a heading as x and y."""
    return np.stack([np.cos(heading), np.sin(heading)], axis=-1)
