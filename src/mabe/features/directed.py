"""The features of an agent and a target: an animal, an object or a zone."""

from mabe.features.base import Features
from mabe.features.heights import WithHeightFeatures
from mabe.features.social import SocialFeatures
from mabe.features.target_point import JoinedFeatures, TargetPointFeatures
from mabe.features.target_zone import WithZoneFeatures
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
    body = {"rate_fps": rate_fps, "max_gap_s": max_gap_s}
    found: Features = SocialFeatures(**body, directed=True, skeleton=skeleton)
    if object_targets:
        found = JoinedFeatures(found, TargetPointFeatures(**body, skeleton=skeleton))
    if zone_targets:
        found = WithZoneFeatures(found, **body, skeleton=skeleton)
    if heights:
        found = WithHeightFeatures(found, **body, skeleton=skeleton)
    return found
