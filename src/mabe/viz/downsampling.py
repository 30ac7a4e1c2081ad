"""Curves of probability with as few points as a plot needs.

A long recording is cut into columns of equal length and each is given its mean; then
points that lie (nearly) on the line between their neighbours are left out.
"""

import numpy as np
from jaxtyping import Float

COLUMNS = 1600
"""More than most screens have pixels, so that there is something to zoom into."""


NEAR = 0.02
"""A point so close to the line between its kept neighbours is dropped."""


def average_columns(
    values: Float[np.ndarray, " time"], columns: int = COLUMNS
) -> Float[np.ndarray, " columns"]:
    """Return the mean of each column; NaN where nothing in it is known."""
    if len(values) <= columns:
        return values.astype(np.float64)
    edges = np.linspace(0, len(values), columns + 1).astype(int)
    is_known = np.isfinite(values)
    sums = np.add.reduceat(np.where(is_known, values, 0.0), edges[:-1])
    counts = np.add.reduceat(is_known.astype(int), edges[:-1])
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def keep_corners(
    values: Float[np.ndarray, " time"], near: float = NEAR
) -> list[tuple[int, float]]:
    """Return the points (place, value) between which straight lines stay `near`.

    Goes on from each kept point as far as some line passes within `near` of every
    point on the way. Unknown values are left out; the curve jumps over them.
    """
    places = np.flatnonzero(np.isfinite(values))
    if len(places) < 3:
        return [(int(place), float(values[place])) for place in places]
    kept = [int(places[0])]
    low, high = -np.inf, np.inf
    last = int(places[0])
    for place in places[1:].tolist():
        rise, run = values[place] - values[kept[-1]], place - kept[-1]
        if not low <= rise / run <= high:
            kept.append(last)
            low, high = -np.inf, np.inf
            rise, run = values[place] - values[last], place - last
        low, high = max(low, (rise - near) / run), min(high, (rise + near) / run)
        last = place
    if kept[-1] != last:
        kept.append(last)
    return [(place, float(values[place])) for place in kept]
