"""What all feature sets have in common: poses in, named features out.

Dimension key: B batch, T time, A animal (or seat), K keypoint, F feature, S slot (one
keypoint of one animal).
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mabe.skeleton import RODENT, Skeleton

Symmetry = Literal["mirror", "order", "turn"]
"""A change of the poses that does not change the behaviour: a mirror image, another
order of the animals, the arena turned by an angle."""


_NAMED: dict[tuple[Hashable, ...], tuple[tuple[str, str], ...]] = {}
"""The group and the name of each feature, by the key of their module."""


class Features(nn.Module):
    """Turns poses in cm at the working rate, NaN where missing, into features."""

    title: str
    """What is printed when a training begins."""
    names: tuple[str, ...]
    """The features' names, in order."""
    groups: dict[str, list[int]]
    """Places of the features of each group, such as ``facing``."""
    key: tuple[Hashable, ...]
    """Equal for two modules that compute the same features."""
    changed_by: frozenset[Symmetry] = frozenset()
    """The symmetries under which the features do change."""
    most_animals: int | None = None
    """Animals that poses have room for; None: any number."""
    reach_s: float = 5.0
    """How far to each side of a frame poses influence its features, or statistics of
    them; in seconds."""

    def name_by(
        self,
        key: tuple[Hashable, ...],
        keypoints: int,
        named: Callable[[Tensor], Iterable[tuple[str, str]]],
        *,
        coordinates: int = 2,
    ) -> None:
        """Set the key, the names and the groups.

        `named` gives the group and the name of each feature of poses. As that computes
        the features, of two animals without a point, it is called once for each key.
        """
        self.key = key
        if key not in _NAMED:
            with torch.device("cpu"):  # also where a network is built without memory
                nobody = torch.full((1, 1, 2, keypoints, coordinates), torch.nan)
                _NAMED[key] = tuple(named(nobody))
        self.names = tuple(name for _, name in _NAMED[key])
        owners = [group for group, _ in _NAMED[key]]
        self.groups = {
            group: [place for place, owner in enumerate(owners) if owner == group]
            for group in dict.fromkeys(owners)
        }

    def center_places(self, x_BTF: Float[Tensor, "b t f"]) -> Float[Tensor, "b t f"]:
        """Return features with an origin in each window, where they need one."""
        return x_BTF

    def for_slots(self, slots: Sequence[int]) -> "Features | None":
        """Return a module that leaves out slots that never occur; None: it cannot."""
        return None


class BodyFeatures(Features):
    """Features of the keypoints of bodies, whose short gaps are bridged."""

    def __init__(
        self, *, rate_fps: float, max_gap_s: float, skeleton: Skeleton = RODENT
    ) -> None:
        super().__init__()
        self.rate_fps = rate_fps
        self.max_gap_frames = round(max_gap_s * rate_fps)
        self.skeleton = skeleton


NamedSignal = tuple[str, str, Float[Tensor, "b t"]]
"""The group, the name and the values of a feature."""


class SignalFeatures(BodyFeatures):
    """Features of an agent and a target that are computed one by one."""

    kind: str
    """The first part of the key."""
    further_keypoints: int = 0
    """Points of a seat after those of the skeleton."""
    coordinates: int = 2

    def __init__(
        self, *, rate_fps: float, max_gap_s: float, skeleton: Skeleton = RODENT
    ) -> None:
        super().__init__(rate_fps=rate_fps, max_gap_s=max_gap_s, skeleton=skeleton)
        self.name_by(
            (self.kind, rate_fps, max_gap_s, skeleton),
            len(skeleton.keypoints) + self.further_keypoints,
            lambda poses_BTPK: (
                (group, name) for group, name, _ in self.signals(poses_BTPK)
            ),
            coordinates=self.coordinates,
        )

    def signals(self, poses_BTPK: Float[Tensor, "b t p k c"]) -> Iterator[NamedSignal]:
        """Yield each feature."""
        raise NotImplementedError

    def forward(self, poses_BTPK: Float[Tensor, "b t p k c"]) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        values = [values_BT for _, _, values_BT in self.signals(poses_BTPK)]
        return torch.stack(values, dim=2)


class JoinedFeatures(Features):
    """The features of one module, then those of another."""

    def __init__(self, first: Features, second: Features) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.title = first.title
        self.changed_by = first.changed_by | second.changed_by
        self.reach_s = max(first.reach_s, second.reach_s)
        self.names = (*first.names, *second.names)
        self.key = (*first.key, *second.key)
        self.groups = first.groups | {
            name: [len(first.names) + place for place in places]
            for name, places in second.groups.items()
        }

    def forward(self, poses_BTPK: Float[Tensor, "b t p k c"]) -> Float[Tensor, "b t f"]:
        """Return the features, NaN where a point is missing."""
        return torch.cat([self.first(poses_BTPK), self.second(poses_BTPK)], dim=2)
