"""Rows: the slots of a batch that are processed, one keypoint of one animal each.

Dimension key: B window, T time, S slot (one keypoint of one animal, as in
`mabe.skeleton`), Q slot that may occur, A animal, N row, V any values.
Most labs track two animals and a few keypoints, so most slots of a batch are empty. On
a CPU only slots with a tracked point become rows, which saves most of the work. On a
GPU all do, since the host would have to wait for the list of those that are not empty.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mabe.features.gaps import count_tracked
from mabe.runtime import tensors
from mabe.skeleton import PoseLayout


@dataclass(frozen=True, slots=True)
class Rows:
    """Which slot of which window each row is, in order of windows, then slots."""

    window_N: Int[Tensor, " n"]
    slot_N: Int[Tensor, " n"]
    windows: int
    layout: PoseLayout = PoseLayout()  # noqa: RUF009 - frozen

    @classmethod
    def of(
        cls,
        poses_BTS2: Float[Tensor, "b t s 2"],
        slot_Q: Int[Tensor, " q"],
        layout: PoseLayout = PoseLayout(),  # noqa: B008 - frozen
    ) -> "Rows":
        """Return the rows of these slots; the others must not occur."""
        windows = len(poses_BTS2)
        if tensors.is_on_cpu(poses_BTS2):
            place_N2 = count_tracked(poses_BTS2).nonzero()
            return cls(place_N2[:, 0], place_N2[:, 1], windows, layout)
        window_BQ = torch.arange(windows, device=slot_Q.device)[:, None]
        window_BQ = window_BQ.expand(-1, len(slot_Q))
        return cls(window_BQ.flatten(), slot_Q.repeat(windows), windows, layout)

    def take(self, poses_BTS2: Float[Tensor, "b t s 2"]) -> Float[Tensor, "n t 2"]:
        """Return the rows' points."""
        pairs_BST = tensors.as_pairs(poses_BTS2).transpose(1, 2)
        pairs_NT = pairs_BST[self.window_N, self.slot_N]
        return tensors.as_points(pairs_NT, poses_BTS2.dtype)

    def sum_of_animals(
        self, values_NTV: Float[Tensor, "n t v"]
    ) -> Float[Tensor, "b a t v"]:
        """Return sums over each animal's rows, always added in the same order."""
        animals, animal_of = self.layout.animals, self.layout.animal_of
        shape = (self.windows, animals, *values_NTV.shape[1:])
        seat_N = self.window_N * animals + animal_of(self.slot_N)
        if tensors.is_on_cpu(values_NTV):
            sums = values_NTV.new_zeros(shape).flatten(0, 1)
            return sums.index_add_(0, seat_N, values_NTV).view(shape)
        # There every window has the same slots.
        animal_S = animal_of(self.slot_N.view(self.windows, -1)[:1])
        animal_A1 = torch.arange(animals, device=animal_S.device)[:, None]
        belongs_AS = (animal_S == animal_A1).to(values_NTV.dtype)
        values_BSV = values_NTV.flatten(1).unflatten(0, (self.windows, -1))
        return (belongs_AS @ values_BSV).view(shape)
