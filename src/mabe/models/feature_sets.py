"""The feature sets: the features and the scaling that `feature_set` names.

They differ between the tasks: of a scene as a whole, or of an agent and a target.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mabe.features.base import Features
from mabe.features.coordinates_and_speeds import MotionFeatures
from mabe.features.nearest_pair import NearestPairFeatures
from mabe.features.pair_view import PairFeatures, PairSocialFeatures
from mabe.models.input_scaling import (
    FittedScaling,
    InputScaling,
    MotionScaling,
    PairScaling,
    PairSocialScaling,
)
from mabe.models.model_config import ModelSettings
from mabe.scene_task import TaskKind

Inputs = tuple[Features, InputScaling]


def build_inputs(kind: TaskKind, settings: ModelSettings) -> Inputs:
    """Return new features, and what scales them for a network."""
    return FEATURE_SETS[kind][settings.feature_set](settings)


def _scene_motion(settings: ModelSettings) -> Inputs:
    features = MotionFeatures(
        scene_frame=settings.scene_frame,
        layout=settings.layout,
        **_motion_settings(settings),
    )
    scaling = MotionScaling(features=len(features.names), slots=settings.layout.slots)
    return features, scaling


def _scene_social(settings: ModelSettings) -> Inputs:
    features = NearestPairFeatures(
        rate_fps=settings.fps,
        max_gap_s=settings.max_gap_s,
        skeleton=settings.body,
    )
    return features, FittedScaling(features=len(features.names))


def _pair_motion(settings: ModelSettings) -> Inputs:
    features = PairFeatures(**_motion_settings(settings), skeleton=settings.body)
    return features, PairScaling(features.layout)


def _pair_social(settings: ModelSettings) -> Inputs:
    features = PairSocialFeatures(
        **_motion_settings(settings),
        skeleton=settings.body,
        object_targets=settings.object_targets,
        zone_targets=settings.zone_targets,
        heights=settings.heights,
    )
    social = len(features.social.names)
    return features, PairSocialScaling(features.view.layout, social=social)


def _motion_settings(settings: ModelSettings) -> dict[str, Any]:
    return {
        "rate_fps": settings.fps,
        "use_motion_features": settings.use_motion_features,
        "max_gap_s": settings.max_gap_s,
    }


FEATURE_SETS: Mapping[TaskKind, Mapping[str, Callable[[ModelSettings], Inputs]]] = {
    TaskKind.SCENE: {"motion": _scene_motion, "social": _scene_social},
    TaskKind.PAIR: {"motion": _pair_motion, "social": _pair_social},
}
"""For each task, the feature sets by the names that `feature_set` has."""
