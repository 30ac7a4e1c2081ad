"""The features of an agent and a target: an animal, an object or a zone."""

from typing import Any

from mabe.features.base import Features, JoinedFeatures
from mabe.features.heights import HeightFeatures, WithHeightFeatures
from mabe.features.social import SocialFeatures
from mabe.features.target_point import TargetPointFeatures
from mabe.features.target_zone import TargetZoneFeatures, WithZoneFeatures
from mabe.skeleton import RODENT, Skeleton


def directed_features(
    *,
    rate_fps: float,
    max_gap_s: float,
    skeleton: Skeleton = RODENT,
    object_targets: bool = False,
    zone_targets: bool = False,
    heights: bool = False,
) -> Features:
    """Return the social features of an agent and a target, which may be a place.

    With `zone_targets` poses have the points of `mabe.skeleton.BORDER` after those of
    the skeleton; with `heights` a point has three coordinates.
    """
    body: dict[str, Any] = {
        "rate_fps": rate_fps,
        "max_gap_s": max_gap_s,
        "skeleton": skeleton,
    }
    found: Features = SocialFeatures(**body, directed=True)
    if object_targets:
        found = JoinedFeatures(found, TargetPointFeatures(**body))
    if zone_targets:
        found = WithZoneFeatures(found, TargetZoneFeatures(**body))
    if heights:
        found = WithHeightFeatures(found, HeightFeatures(**body))
    return found
