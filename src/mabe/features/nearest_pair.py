"""Social features of a scene: of the two animals that are nearest in each frame.

Dimension key: B batch, T time, A animal, K keypoint, P pair of animals, F feature.
In a scene of several animals most actions are between those that are close; so scenes
of any number of animals have the same features.
"""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.base import Features
from mabe.features.social import SocialFeatures
from mabe.features.vectors import length
from mabe.runtime import tensors
from mabe.skeleton import RODENT, Skeleton

_FEW = 6
"""Pairs of four animals: with no more, it is not worth finding out which are near."""


class NearestPairFeatures(Features):
    """The social features of `mabe.features.social`, for scenes of any size.

    Animals that are present come first (`mabe.features.animal_order.pack_animals`).
    """

    title = SocialFeatures.title
    reach_s = SocialFeatures.reach_s

    def __init__(
        self, *, rate_fps: float, max_gap_s: float, skeleton: Skeleton = RODENT
    ) -> None:
        super().__init__()
        self.social = SocialFeatures(
            rate_fps=rate_fps, max_gap_s=max_gap_s, directed=False, skeleton=skeleton
        )
        self.names = self.social.names
        self.groups = self.social.groups
        self.gap = self.names.index("gap_cm")
        self.key = ("nearest pair", *self.social.key)

    def forward(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        pairs = self._near_pairs(poses_BTAK2)
        x_BTPF = torch.stack(
            [self.social(poses_BTAK2[:, :, a :: b - a][:, :, :2]) for a, b in pairs],
            dim=2,
        )
        gap_BTP = x_BTPF[..., self.gap].nan_to_num(nan=torch.inf)
        nearest_BT11 = gap_BTP.argmin(dim=2)[:, :, None, None]
        return x_BTPF.take_along_dim(nearest_BT11, dim=2).squeeze(2)

    def _near_pairs(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> list[tuple[int, int]]:
        """Return the pairs that are the nearest in any frame, or a few more.

        So the cost grows with the pairs that are near each other. On a GPU all are
        returned, since the host would have to wait for their list.
        """
        animals = _count_animals(poses_BTAK2)
        pairs = list(combinations(range(animals), 2))
        if len(pairs) <= _FEW or not tensors.is_on_cpu(poses_BTAK2):
            return pairs
        middle_BTA2 = self.social.middles(poses_BTAK2[:, :, :animals])
        first, second = (list(ends) for ends in zip(*pairs, strict=True))
        gap_BTP = length(middle_BTA2[:, :, first] - middle_BTA2[:, :, second])
        nearest_BT = gap_BTP.nan_to_num(nan=torch.inf).argmin(dim=2)
        return [pairs[place] for place in nearest_BT.unique().tolist()]


def _count_animals(poses_BTAK2: Tensor) -> int:
    """Return how many animals a batch has, at least two.

    On a GPU all are counted, since the host would have to wait for the number.
    """
    animals = poses_BTAK2.shape[2]
    if not tensors.is_on_cpu(poses_BTAK2):
        return animals
    there_A = poses_BTAK2[..., 0].isfinite().flatten(3).any(dim=3).any(dim=1).any(dim=0)
    numbers = there_A.nonzero()
    return max(2, int(numbers.max()) + 1) if len(numbers) else 2
