"""Identity swaps: two animals exchanged by the tracker, put back."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from mabe.features.landmarks import rough_middle

SWAP_MARGIN_CM = 4.0
"""Identities were swapped where both centres would have moved this much less."""


def exchanged_frames(points_BTAL2: Float[Tensor, "b t 2 l 2"]) -> Bool[Tensor, "b t"]:
    """Return where identities are exchanged, after an odd number of swaps.

    A swap is where both centres would move much less if the animals were exchanged.
    Which animal is the first one is arbitrary, but it stays the same animal.
    """
    middle_BTA2 = rough_middle(points_BTAL2)
    before_BTA2, after_BTA2 = middle_BTA2[:, :-1], middle_BTA2[:, 1:]
    straight_BT = (after_BTA2 - before_BTA2).norm(dim=-1).sum(dim=2)
    crossed_BT = (after_BTA2.flip(2) - before_BTA2).norm(dim=-1).sum(dim=2)
    swaps_BT = straight_BT - crossed_BT > SWAP_MARGIN_CM
    return F.pad(swaps_BT.to(torch.int32).cumsum(dim=1) % 2 == 1, (1, 0))


def exchange_in(
    odd_BT: Bool[Tensor, "b t"], points_BTAP2: Float[Tensor, "b t 2 p 2"]
) -> Float[Tensor, "b t 2 p 2"]:
    """Return the points with the animals exchanged in some frames."""
    return torch.where(
        odd_BT[:, :, None, None, None], points_BTAP2.flip(2), points_BTAP2
    )
