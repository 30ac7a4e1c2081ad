"""The V1 and V2 features: the position of every keypoint, its speed and acceleration.

Dimension key: B batch, T time, A animal, K keypoint, S slot, Q slot that has
features, N row, F feature.
Poses are in cm at `rate_fps`, features in cm, cm/s and cm/s², both NaN where missing.
A speed across a gap is missing.

V1: 144 coordinates. V2: 144 coordinates + 72 speeds + 72 accelerations = 288.
Coordinates are in the scene's own frame (see `scene_frame`) or, if that is turned off,
in the arena's as they come. Speeds are always the arena's.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.base import Features
from mabe.features.gaps import bridge_gaps
from mabe.features.kinematics import change_per_second
from mabe.features.scene_axes import in_scene_frame
from mabe.features.tracked_slots import Rows
from mabe.skeleton import PoseLayout


def feature_names(
    *,
    use_motion_features: bool,
    layout: PoseLayout | None = None,
    slots: Sequence[int] | None = None,
) -> list[str]:
    """Return the features' names in order, such as ``mouse1.nose.x``."""
    layout = layout or PoseLayout()
    every = [
        f"mouse{animal + 1}.{name}"
        for animal in range(layout.animals)
        for name in layout.keypoints
    ]
    those = every if slots is None else [every[slot] for slot in slots]
    names = [f"{slot}.{axis}" for slot in those for axis in "xy"]
    if use_motion_features:
        names += [f"{slot}.speed" for slot in those]
        names += [f"{slot}.acceleration" for slot in those]
    return names


def motion_title(use_motion_features: bool) -> str:
    """Return how coordinates, and speeds where there are any, are called."""
    motion = "Enabled (speed + acceleration)" if use_motion_features else "Disabled"
    return f"Motion features: {motion}"


def group_by(names: Sequence[str], kind: Callable[[str], str]) -> dict[str, list[int]]:
    """Return the places of the features of each kind, by its name."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(kind(name), []).append(place)
    return groups


def _kind(name: str) -> str:
    last = name.rsplit(".", 1)[1]
    return "coordinates" if last in "xy" else f"{last}s"


class MotionFeatures(Features):
    """Coordinates (cm), and optionally speed (cm/s) and acceleration (cm/s²).

    Speed is √(vx² + vy²) and acceleration is its change, so neither depends on which
    way the arena is turned. Only `slots` have features; other slots must not occur.
    """

    slot_Q: Tensor
    """The slots that have features."""
    place_S: Tensor
    """The place of each slot among them."""

    def __init__(
        self,
        *,
        rate_fps: float,
        use_motion_features: bool,
        max_gap_s: float,
        scene_frame: bool,
        layout: PoseLayout | None = None,
        slots: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        layout = layout or PoseLayout()
        slots = range(layout.slots) if slots is None else slots
        self.layout = layout
        self.most_animals = layout.animals
        self.rate_fps = rate_fps
        self.use_motion_features = use_motion_features
        self.max_gap_frames = round(max_gap_s * rate_fps)
        self.scene_frame = scene_frame
        self.max_gap_s = max_gap_s
        self.slots = tuple(slots)
        self.key = (
            "motion",
            rate_fps,
            use_motion_features,
            max_gap_s,
            scene_frame,
            layout,
            self.slots,
        )
        self.changed_by = frozenset({"mirror", "order"})
        if not scene_frame:
            self.changed_by |= {"turn"}
        slot_Q, place_S = torch.tensor(self.slots), torch.full((layout.slots,), -1)
        place_S[slot_Q] = torch.arange(len(self.slots))
        self.register_buffer("slot_Q", slot_Q, persistent=False)
        self.register_buffer("place_S", place_S, persistent=False)
        self.title = motion_title(use_motion_features)
        self.names = tuple(
            feature_names(
                use_motion_features=use_motion_features,
                layout=layout,
                slots=self.slots,
            )
        )
        self.groups = group_by(self.names, _kind)

    def forward(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        poses_BTS2 = poses_BTAK2.flatten(2, 3)
        rows = Rows.of(poses_BTS2, self.slot_Q, self.layout)
        tracked_NT2 = bridge_gaps(rows.take(poses_BTS2), longest=self.max_gap_frames)
        place_NT2 = (
            in_scene_frame(tracked_NT2, rows) if self.scene_frame else tracked_NT2
        )
        place_N, slots = self.place_S[rows.slot_N], len(self.slots)
        shape = (rows.windows, len(self.names), poses_BTS2.shape[1])
        x_BFT = poses_BTS2.new_full(shape, torch.nan)
        x_BFT[rows.window_N, 2 * place_N] = place_NT2[..., 0]
        x_BFT[rows.window_N, 2 * place_N + 1] = place_NT2[..., 1]
        if self.use_motion_features:
            speed_NT = change_per_second(tracked_NT2, self.rate_fps).norm(dim=-1)
            change_NT = change_per_second(speed_NT, self.rate_fps)
            x_BFT[rows.window_N, 2 * slots + place_N] = speed_NT
            x_BFT[rows.window_N, 3 * slots + place_N] = change_NT
        return x_BFT.transpose(1, 2)

    def for_slots(self, slots: Sequence[int]) -> "MotionFeatures":
        """Return the features of some slots alone; the others must not occur."""
        return MotionFeatures(
            rate_fps=self.rate_fps,
            use_motion_features=self.use_motion_features,
            max_gap_s=self.max_gap_s,
            scene_frame=self.scene_frame,
            layout=self.layout,
            slots=slots,
        )

    def center_places(self, x_BTF: Float[Tensor, "b t f"]) -> Float[Tensor, "b t f"]:
        """Move the mean of all coordinates of a window to the origin, as in training.

        In the scene's own frame of reference they are relative to the animals already.
        """
        if self.scene_frame:
            return x_BTF
        split = [2 * len(self.slots), x_BTF.shape[2] - 2 * len(self.slots)]
        place_BTC, motion_BTC = x_BTF.split(split, dim=2)
        place_BTS2 = place_BTC.unflatten(2, (-1, 2))
        place_BTS2 = place_BTS2 - place_BTS2.nanmean(dim=(1, 2), keepdim=True)
        return torch.cat([place_BTS2.flatten(2), motion_BTC], dim=2)
