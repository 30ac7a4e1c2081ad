"""All poses of a store in a GPU's own memory, from which it takes clips by itself.

Dimension key: R recording, B clip, T time, P seat, K keypoint, S slot, V value.
Poses stay in 16-bit steps, x and y of a point side by side, as in the store; so the
challenge's 24 million frames take 1.4 GB. Per step the host sends only where clips lie.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mabe.data.clips import NOBODY, Clips, neighbours
from mabe.data.poses_in_cm import MISSING, STEP_CM
from mabe.data.store import PoseStore
from mabe.runtime.tensors import to_device

LARGEST_SHARE = 0.5
"""Of the free memory; the rest is for the network."""


_ABSENT = -1


class ResidentPoses:
    """The poses of a store on a device."""

    def __init__(self, store: PoseStore, device: torch.device) -> None:
        self.device = device
        recordings = store.recordings
        points_R = [about.stored_points for about in recordings]
        self.first_R = np.cumsum([0, *points_R])[:-1]
        self.width_R = np.array([len(about.slots) for about in recordings])
        self.length_R = np.array([about.length for about in recordings])
        self.keypoints = len(store.layout.keypoints)
        self.column_RS = np.full((len(recordings), store.layout.slots), _ABSENT)
        for index, row in enumerate(self.column_RS):
            columns, slots = store.slots_read(index)
            row[slots] = columns
        # The points of zones, which do not move, follow those of all recordings.
        still = [
            np.ascontiguousarray(store.zone_points(i)) for i in range(len(self.width_R))
        ]
        moving = sum(points_R)
        self.still_R = moving + np.cumsum([0, *map(len, still)])[:-1]
        self.points_V = torch.empty(
            moving + sum(map(len, still)), dtype=torch.int32, device=device
        )
        for first, points in zip(self.still_R.tolist(), still, strict=True):
            packed = points.reshape(-1).view(np.int32).copy()
            self.points_V[first : first + len(packed)] = torch.from_numpy(packed)
        for index, first in enumerate(self.first_R.tolist()):
            steps = np.ascontiguousarray(store.quantized(index)).reshape(-1)
            self.points_V[first : first + len(steps) // 2] = torch.from_numpy(
                steps.view(np.int32).copy()
            )

    def read(self, clips: Clips, length: int) -> Float[Tensor, "b length p k 2"]:
        """Return the poses of clips; the host does not wait for them."""
        seen_BTPK2 = self._gather(clips)
        if clips.frames == length:
            return seen_BTPK2
        before, share = neighbours(clips.frames, length)
        before_U = to_device(before, self.device)
        share_U1 = to_device(share, self.device)[:, None, None, None]
        early = seen_BTPK2.index_select(1, before_U)
        late = seen_BTPK2.index_select(1, before_U + 1)
        return early * (1 - share_U1) + late * share_U1

    def _gather(self, clips: Clips) -> Float[Tensor, "b t p k 2"]:
        rows = clips.recordings
        column_BPK = to_device(self._columns(clips), self.device)
        about_B4 = np.stack(
            [
                self.first_R[rows] + clips.starts * self.width_R[rows],
                self.width_R[rows],
                self.length_R[rows] - clips.starts,
                self.still_R[rows] - self.width_R[rows],
            ],
            axis=1,
        )
        first_B, width_B, left_B, still_B = to_device(about_B4, self.device).unbind(
            dim=1
        )
        time_T = torch.arange(clips.frames, device=self.device)
        is_there_BT = time_T < left_B[:, None]
        row_BT = first_B[:, None] + time_T * width_B[:, None]
        is_still_BPK = column_BPK >= width_B[:, None, None]
        from_BTPK = torch.where(
            is_still_BPK[:, None],
            still_B[:, None, None, None],
            row_BT[:, :, None, None],
        )
        place_BTPK = from_BTPK + column_BPK[:, None]
        is_there_BTPK = is_there_BT[:, :, None, None] & (column_BPK >= 0)[:, None]
        packed_BTPK = self.points_V[place_BTPK.where(is_there_BTPK, 0)]
        steps_BTPK2 = packed_BTPK.view(torch.int16).unflatten(-1, (-1, 2))
        is_seen = is_there_BTPK[..., None] & (steps_BTPK2 != MISSING)
        return (steps_BTPK2 * STEP_CM).where(is_seen, torch.nan)

    def _columns(self, clips: Clips) -> Int[np.ndarray, "b p k"]:
        """Return which column of its recording each keypoint of each seat is."""
        of_animals = self.column_RS[clips.recordings].reshape(
            len(clips.recordings), -1, self.keypoints
        )
        seats = clips.seats[:, :, None]
        columns = np.take_along_axis(of_animals, np.maximum(seats, 0), axis=1)
        return np.where(seats == NOBODY, _ABSENT, columns)


def fits_on(device: torch.device, store: PoseStore) -> bool:
    """Tell whether a GPU has room for all poses beside a network.

    Heights are not kept there: poses that have them are read by the host.
    """
    if device.type != "cuda" or store.layout.has_heights:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return 2 * sum(about.values for about in store.recordings) < LARGEST_SHARE * free
