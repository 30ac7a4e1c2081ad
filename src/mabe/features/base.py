"""What all feature sets have in common: poses in, named features out.

Dimension key: B batch, T time, A animal (or seat), K keypoint, F feature, S slot (one
keypoint of one animal).
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
