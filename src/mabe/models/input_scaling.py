"""How features meet the network: scaled, tails tamed, missing values replaced.

Dimension key: B batch, T time, S slot (one keypoint of one animal), O other animal,
F feature, C channel.
This is the one place that decides what the network gets for a missing value: zero. For
coordinates it comes together with a channel for each slot that says whether its point
is there (1) or not (0): zero alone would be a lie, since zero is also a place in the
arena. For fitted features zero is the usual value, and what is missing is a feature.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mabe.features.motion import COORDINATES
from mabe.features.pair import BODY_MOTION, OTHERS, POINTS, PairLayout
from mabe.runtime import tensors
from mabe.skeleton import SLOTS

COORDINATE_UNIT_CM = 10.0


SPEED_UNIT_CM_PER_S = 10.0


ACCELERATION_UNIT_CM_PER_S2 = 100.0


TURNING_UNIT_RAD_PER_S = 2.0


OTHERS_CHANNELS = 32


_LEAST_RANGE = 1e-6
"""A feature that varies less than this is left at its own scale."""


class FeatureEntry(nn.Module):
    """Turn the scene's named features into well-scaled channels without gaps.

    Coordinates are divided by a fixed length. Speeds and accelerations pass through
    asinh, which is linear for small values and logarithmic for large ones: one
    swapped identity makes a speed of a metre per frame, and must not drown the rest.
    """

    scale_F: Tensor

    def __init__(self, *, features: int, slots: int = SLOTS) -> None:
        super().__init__()
        self.coordinates = 2 * slots
        scale = torch.full((features,), COORDINATE_UNIT_CM)
        scale[self.coordinates : self.coordinates + slots] = SPEED_UNIT_CM_PER_S
        scale[self.coordinates + slots :] = ACCELERATION_UNIT_CM_PER_S2
        self.register_buffer("scale_F", scale, persistent=False)
        self.channels = features + slots

    def forward(self, x_BTF: Float[Tensor, "b t f"]) -> Float[Tensor, "b t c"]:
        """Return scaled values, then one channel per slot: 1 where it is seen."""
        seen_BTS = x_BTF[..., 0 : self.coordinates : 2].isfinite().to(x_BTF.dtype)
        x_BTF = (x_BTF / self.scale_F).nan_to_num(nan=0.0)
        place_BTC = x_BTF[..., : self.coordinates]
        motion_BTC = asinh(x_BTF[..., self.coordinates :])
        return torch.cat([place_BTC, motion_BTC, seen_BTS], dim=2)


def channels_of_slots(slots: Sequence[int], *, features: int) -> list[int]:
    """Return which channels of a `FeatureEntry` of all slots belong to some of them."""
    places = [2 * slot + axis for slot in slots for axis in (0, 1)]
    per_slot = range(COORDINATES, features + SLOTS, SLOTS)
    return places + [first + slot for first in per_slot for slot in slots]


class PairEntry(nn.Module):
    """Turn a view's named features into channels, all other animals into a few.

    The others pass one by one through the same small layer, and the largest of each
    of its channels is kept: their order and number say nothing.
    """

    motion_scale_F: Tensor

    def __init__(self, layout: PairLayout) -> None:
        super().__init__()
        self.layout = layout
        scale = torch.ones(layout.motion)
        scale[: -len(BODY_MOTION)] = ACCELERATION_UNIT_CM_PER_S2
        scale[: 2 * POINTS] = SPEED_UNIT_CM_PER_S
        scale[-len(BODY_MOTION) :] = torch.tensor([_unit(name) for name in BODY_MOTION])
        self.register_buffer("motion_scale_F", scale, persistent=False)
        self.other = nn.Linear(layout.other + POINTS, OTHERS_CHANNELS)
        self.channels = layout.places + layout.motion + 2 * POINTS + OTHERS_CHANNELS

    def forward(self, x_BTF: Float[Tensor, "b t f"]) -> Float[Tensor, "b t c"]:
        """Return scaled values, a channel for each keypoint seen, and the others."""
        place_BTC, motion_BTC, others_BTC = x_BTF.split(
            [self.layout.places, self.layout.motion, OTHERS * self.layout.other], dim=2
        )
        seen_BTS = place_BTC[..., ::2].isfinite().to(x_BTF.dtype)
        place_BTC = (place_BTC / COORDINATE_UNIT_CM).nan_to_num(nan=0.0)
        motion_BTC = asinh((motion_BTC / self.motion_scale_F).nan_to_num(nan=0.0))
        pooled_BTC = self._pool(others_BTC.unflatten(2, (OTHERS, -1)))
        return torch.cat([place_BTC, motion_BTC, seen_BTS, pooled_BTC], dim=2)

    def _pool(self, x_BTOF: Float[Tensor, "b t o f"]) -> Float[Tensor, "b t c"]:
        """Return zero where there is no other animal."""
        place_BTOC, speed_BTOC = x_BTOF.split([2 * POINTS, POINTS], dim=3)
        seen_BTOS = place_BTOC[..., ::2].isfinite()
        place_BTOC = (place_BTOC / COORDINATE_UNIT_CM).nan_to_num(nan=0.0)
        speed_BTOC = asinh((speed_BTOC / SPEED_UNIT_CM_PER_S).nan_to_num(nan=0.0))
        h_BTOC = torch.cat([place_BTOC, speed_BTOC, seen_BTOS.to(x_BTOF.dtype)], dim=3)
        h_BTOC = F.relu(self.other(h_BTOC))
        is_there_BTO1 = seen_BTOS.any(dim=3, keepdim=True)
        return h_BTOC.masked_fill(~is_there_BTO1, 0.0).amax(dim=2)


class FittedEntry(nn.Module):
    """Scale features of any unit by what is usual in the data that is learned from.

    A feature's median becomes 0 and half of its range without the outer tenths 1;
    asinh tames the tails. A missing value becomes 0, the usual one: what is missing is
    told by features of their own (`seen_landmarks`). With fixed units and a flag for
    each feature instead, the network on `rat_dyad` scored 0.01 less.
    """

    middle_F: Tensor
    spread_F: Tensor

    def __init__(self, *, features: int) -> None:
        super().__init__()
        self.register_buffer("middle_F", torch.zeros(features))
        self.register_buffer("spread_F", torch.ones(features))
        self.channels = features

    def fit(self, x_NF: Float[Tensor, "n f"]) -> None:
        """Find out from some frames what is usual; a feature never seen stays as is."""
        for place, values in enumerate(x_NF.unbind(dim=1)):
            known = values[values.isfinite()].double().cpu()
            if not len(known):
                continue
            low, middle, high = np.quantile(known.numpy(), [0.1, 0.5, 0.9])
            self.middle_F[place] = float(middle)
            self.spread_F[place] = (high - low) / 2 if high - low > _LEAST_RANGE else 1

    def forward(self, x_BTF: Float[Tensor, "b t f"]) -> Float[Tensor, "b t c"]:
        """Return scaled values without gaps."""
        scaled_BTF = (x_BTF - self.middle_F) / self.spread_F
        return asinh(scaled_BTF.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0))


class PairSocialEntry(nn.Module):
    """A view's own features as `PairEntry` takes them, beside fitted social ones."""

    def __init__(self, layout: PairLayout, *, social: int) -> None:
        super().__init__()
        self.sizes = [layout.size, social]
        self.view = PairEntry(layout)
        self.social = FittedEntry(features=social)
        self.channels = self.view.channels + self.social.channels

    def fit(self, x_NF: Float[Tensor, "n f"]) -> None:
        """Find out from some frames what is usual."""
        self.social.fit(x_NF[:, -self.sizes[1] :])

    def forward(self, x_BTF: Float[Tensor, "b t f"]) -> Float[Tensor, "b t c"]:
        """Return the channels of both."""
        view_BTF, social_BTF = x_BTF.split(self.sizes, dim=2)
        return torch.cat([self.view(view_BTF), self.social(social_BTF)], dim=2)


def asinh(values: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Return the inverse hyperbolic sine.

    torch has none that takes a processor's values several at a time; of functions that
    do it is made in a sixth of the time.
    """
    if not tensors.is_on_processor(values):
        return values.asinh()
    size = values.abs()
    more = size * (1 + size / (1 + (size * size + 1).sqrt()))
    return more.log1p().copysign(values)


def _unit(name: str) -> float:
    """Return what a motion of a body is divided by, so that it is about one."""
    if name.endswith("turning"):
        return TURNING_UNIT_RAD_PER_S
    return 1.0 if ".facing_" in name else SPEED_UNIT_CM_PER_S
