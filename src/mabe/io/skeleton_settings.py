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

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from mabe.io.keypoint_names import match_keypoint
from mabe.skeleton import LANDMARKS, RODENT, Skeleton, with_front_and_rear

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
        """Return the skeleton of data with these keypoints.

        Where they are a rodent's, it has its roles after those that are given.
        """
        roles = {
            name: tuple(_known(each, keypoints) for each in value)
            for name, value in self
        }
        own = Skeleton(keypoints=keypoints, **roles).with_keypoints(keypoints)
        return with_front_and_rear(own).joined(RODENT).with_keypoints(keypoints)

    def unknown(self, keypoints: Collection[str]) -> list[str]:
        """Return the names that are no keypoints, nor other spellings of some."""
        return sorted(
            name
            for name in self.names()
            if name not in keypoints and match_keypoint(name) not in keypoints
        )

    def plain(self) -> Mapping[str, Any]:
        """Return what is given as plain values, fit for YAML."""
        given = {name: value for name, value in self if value}
        return {
            name: [list(each) if isinstance(each, tuple) else each for each in value]
            for name, value in given.items()
        }


def _known(names: Any, keypoints: Collection[str]) -> Any:
    """Return a source, or a pair, with the keypoints that its names stand for."""
    if isinstance(names, tuple):
        return tuple(_known(name, keypoints) for name in names)
    parts = (
        part if part in keypoints else match_keypoint(part) or part
        for part in names.split("+")
    )
    return "+".join(parts)
