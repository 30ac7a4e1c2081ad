"""Animals that a tracker gives as ellipses: a centre, a direction and a length.

The ends of the long axis stand for head and tail base.
"""

import numpy as np
from jaxtyping import Float

KEYPOINTS = ("head", "body_center", "tail_base")


def points_of_ellipse(
    centre: Float[np.ndarray, "*axes 2"],
    angle: Float[np.ndarray, " *axes"],
    half_length: Float[np.ndarray, " *axes"],
) -> Float[np.ndarray, "*axes 3 2"]:
    """Return head, centre and tail base of animals that head along an angle.

    The angle is in radians, from x towards y, both axes as those of the centre.
    """
    ahead = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * half_length[..., None]
    return np.stack([centre + ahead, centre, centre - ahead], axis=-2)
