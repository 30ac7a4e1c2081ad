"""The V1 and V2 features: where every keypoint is, and how it moves.

Dimension key: B batch, T time, A animal, K keypoint, F feature.
Poses come in cm at `rate_fps`, NaN where missing, and features leave in cm, cm/s and
cm/s², NaN where missing: a speed across a gap is missing, not huge.

V1: 144 coordinates. V2: 144 coordinates + 72 speeds + 72 accelerations = 288.
Coordinates are in the scene's own frame (see `scene_frame`) or, if that is turned off,
in the arena's as they come. Speeds are always the arena's.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mabe.features.gaps import bridge_gaps
from mabe.features.scene_frame import in_scene_frame
from mabe.skeleton import ANIMALS, KEYPOINTS, SLOTS

COORDINATES = 2 * SLOTS
MOTION = 2 * SLOTS
"""One speed and one acceleration for each slot."""


def change_per_second(
    values: Float[Tensor, "b t *rest"], rate_fps: float
) -> Float[Tensor, "b t *rest"]:
    """Return the time derivative: central, or one-sided at an edge or a gap.

    A missing value, and one whose two neighbours are both missing, has none (NaN).
    """
    step = values.diff(dim=1)
    none = values.new_full((len(values), 1, *values.shape[2:]), torch.nan)
    backward = torch.cat([none, step], dim=1)
    forward = torch.cat([step, none], dim=1)
    central = (backward + forward) / 2
    one_sided = torch.where(backward.isnan(), forward, backward)
    return torch.where(central.isnan(), one_sided, central) * rate_fps


def input_size(*, use_motion_features: bool) -> int:
    """Return the number of features: 144, or 288 with motion."""
    return COORDINATES + (MOTION if use_motion_features else 0)


def feature_names(*, use_motion_features: bool) -> list[str]:
    """Return the features' names in order, such as ``mouse1.nose.x``."""
    slots = [f"mouse{a + 1}.{name}" for a in range(ANIMALS) for name in KEYPOINTS]
    names = [f"{slot}.{axis}" for slot in slots for axis in "xy"]
    if use_motion_features:
        names += [f"{slot}.speed" for slot in slots]
        names += [f"{slot}.acceleration" for slot in slots]
    return names


def group_by(names: Sequence[str], kind: Callable[[str], str]) -> dict[str, list[int]]:
    """Return which features are of one kind, by the name of the kind."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(kind(name), []).append(place)
    return groups


def _kind(name: str) -> str:
    last = name.rsplit(".", 1)[1]
    return "coordinates" if last in "xy" else f"{last}s"


class MotionFeatures(nn.Module):
    """Coordinates (cm) and, if wanted, speed (cm/s) and acceleration (cm/s²).

    Speed is √(vx² + vy²); acceleration is the change of that speed, so neither
    depends on which way the arena is turned.
    """

    def __init__(
        self,
        *,
        rate_fps: float,
        use_motion_features: bool,
        max_gap_s: float,
        scene_frame: bool,
    ) -> None:
        super().__init__()
        self.rate_fps = rate_fps
        self.use_motion_features = use_motion_features
        self.max_gap_frames = round(max_gap_s * rate_fps)
        self.scene_frame = scene_frame
        self.names = feature_names(use_motion_features=use_motion_features)
        self.groups = group_by(self.names, _kind)

    def forward(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        poses_BTS2 = poses_BTAK2.flatten(2, 3)
        slots = _occurring_slots(poses_BTS2)
        seen_BTS2 = bridge_gaps(poses_BTS2[:, :, slots], longest=self.max_gap_frames)
        place_BTS2 = seen_BTS2
        if self.scene_frame:
            place_BTS2 = in_scene_frame(seen_BTS2, slots // len(KEYPOINTS))
        features = [_spread(place_BTS2, slots).flatten(2)]
        if self.use_motion_features:
            speed_BTS = change_per_second(seen_BTS2, self.rate_fps).norm(dim=-1)
            change_BTS = change_per_second(speed_BTS, self.rate_fps)
            features += [_spread(speed_BTS, slots), _spread(change_BTS, slots)]
        return torch.cat(features, dim=2)


def _occurring_slots(poses_BTS2: Tensor) -> Tensor:
    """Return the slots that occur in a batch, so that no work goes into the others.

    Most labs track two animals and a few keypoints: on a CPU that is most of the work.
    A GPU would have to wait for the answer, and does all of them sooner.
    """
    if poses_BTS2.is_cuda:
        return torch.arange(SLOTS, device=poses_BTS2.device)
    return poses_BTS2[..., 0].isfinite().flatten(0, 1).any(dim=0).nonzero().flatten()


def _spread(values_BTS: Tensor, slots: Tensor) -> Tensor:
    """Put the values of some slots where they belong among all; NaN elsewhere."""
    batch, time = values_BTS.shape[:2]
    full = values_BTS.new_full((batch, time, SLOTS, *values_BTS.shape[3:]), torch.nan)
    return full.index_copy(2, slots, values_BTS)
