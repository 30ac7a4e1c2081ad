"""Poses of three dimensions: which axis points up, and the heights of points.

Trackers with several cameras give x, y and z; none of their files tells which axis
points up. ``vertical`` of ``project.yaml`` does: ``z`` (the default), ``-z`` where z
points down (as it does where z is the distance from a camera above), another axis, or
``none``, which leaves the third coordinate out. The other two axes are the floor, and
are x and y from here on.
"""

from dataclasses import replace
from typing import Literal

import numpy as np

from mabe.io.readers.poses import X_AND_Y, Poses
from mabe.runtime.console import count, percent

Vertical = Literal["x", "-x", "y", "-y", "z", "-z", "none"]


USUAL: Vertical = "z"

TAKEN_TO_POINT_UP = (
    "three dimensions: z is taken to point up; if another axis does, set `vertical` in "
    "project.yaml"
)


def settle_heights(poses: Poses, vertical: Vertical | None) -> Poses:
    """Return poses whose z is the height of each point, in their own unit.

    Poses keep x and y alone where some point has no height, and where `vertical` is
    ``none``; a note says which.
    """
    if poses.z_px is None:
        return poses
    if vertical == "none":
        return replace(poses, z_px=None).noting(f"{X_AND_Y}: `vertical: none` is set")
    axis = vertical or USUAL
    places = dict(
        zip("xyz", [*np.moveaxis(poses.xy_px, -1, 0), poses.z_px], strict=True)
    )
    height = places.pop(axis[-1])
    turned = poses
    if axis[-1] != "z":
        turned = replace(poses, xy_px=np.stack([*places.values()], axis=-1))
    lacking = int(np.count_nonzero(turned.present & ~np.isfinite(height)))
    if lacking:
        share = lacking / max(1, int(np.count_nonzero(turned.present)))
        floor = " and ".join(places)
        reason = (
            f"{count(lacking, 'point')} without {axis[-1]} ({percent(share, digits=1)})"
        )
        note = X_AND_Y if axis[-1] == "z" else f"three dimensions: {floor} are used"
        return replace(turned, z_px=None).noting(f"{note}: {reason}")
    settled = replace(turned, z_px=-height if axis.startswith("-") else height)
    return settled if vertical else settled.noting(TAKEN_TO_POINT_UP)
