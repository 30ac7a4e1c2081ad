"""``skeleton`` of project.yaml: which of a body's keypoints are its snout, rump ….

::

    skeleton:
      snout: head_tip            # the foremost point
      neck: eye_L+eye_R          # a+b: half way between the two
      body: [thorax, prothorax]  # the first that is tracked
      rump: abdomen_tip
      pairs: [[eye_L, eye_R], [wing_L, wing_R]]
      edges: [[head_tip, thorax], [thorax, abdomen_tip]]
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from mabe.skeleton import LANDMARKS, Skeleton, with_front_and_rear

Pairs = tuple[tuple[str, str], ...]


class SkeletonSettings(BaseModel):
    """The roles of keypoints, which have the lab's own names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snout: tuple[str, ...] = ()
    neck: tuple[str, ...] = ()
    body: tuple[str, ...] = ()
    rump: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    tip: tuple[str, ...] = ()
    front: tuple[str, ...] = ()
    """A heading is from the mean of the rear points to that of the front ones; by
    default those of snout and neck, and those of body and rump."""
    rear: tuple[str, ...] = ()
    pairs: Pairs = ()
    """Left and right."""
    edges: Pairs = ()
    """Points that are joined in drawings."""

    @field_validator(*LANDMARKS, "front", "rear", mode="before")
    @classmethod
    def _allow_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @classmethod
    def of(cls, skeleton: Skeleton) -> "SkeletonSettings":
        """Return the settings that give a skeleton."""
        given = skeleton.with_keypoints(skeleton.keypoints)
        return cls(**{name: getattr(given, name) for name in cls.model_fields})

    def names(self) -> set[str]:
        """Return all keypoints that are named."""
        sources = [s for name in LANDMARKS for s in getattr(self, name)]
        parts = {part for source in sources for part in source.split("+")}
        both = (*self.pairs, *self.edges)
        return parts | {*self.front, *self.rear} | {n for pair in both for n in pair}

    def skeleton(self, keypoints: tuple[str, ...]) -> Skeleton:
        """Return the skeleton of data with these keypoints."""
        roles = Skeleton(keypoints=keypoints, **dict(self))
        return with_front_and_rear(roles.with_keypoints(keypoints))

    def plain(self) -> Mapping[str, Any]:
        """Return what is given as plain values, fit for YAML."""
        given = {name: value for name, value in self if value}
        return {
            name: [list(each) if isinstance(each, tuple) else each for each in value]
            for name, value in given.items()
        }
