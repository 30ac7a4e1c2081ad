"""What an agent sees, and what the two are to each other: for who does what to whom.

Dimension key: B batch, T time, P seat (agent, target, others), K keypoint, F feature.
The first features are those of `mabe.features.pair` (places, motion, the others), the
last those of `mabe.features.social` between agent and target.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mabe.features.pair import PairFeatures
from mabe.features.social import SocialFeatures


class PairSocialFeatures(nn.Module):
    """Both kinds of features of one view, side by side."""

    def __init__(
        self, *, rate_fps: float, use_motion_features: bool, max_gap_s: float
    ) -> None:
        super().__init__()
        self.view = PairFeatures(
            rate_fps=rate_fps,
            use_motion_features=use_motion_features,
            max_gap_s=max_gap_s,
        )
        self.social = SocialFeatures(
            rate_fps=rate_fps, max_gap_s=max_gap_s, directed=True
        )
        self.names = (*self.view.names, *self.social.names)
        self.groups = self.view.groups | {
            name: [len(self.view.names) + place for place in places]
            for name, places in self.social.groups.items()
        }

    def forward(
        self, poses_BTPK2: Float[Tensor, "b t p k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        return torch.cat([self.view(poses_BTPK2), self.social(poses_BTPK2)], dim=2)
