"""Features of an agent and a target that is one point, such as an object.

Dimension key: B batch, T time, P seat (agent, target, others), K keypoint, L landmark,
N part of the body, F feature; a last axis of 2 is (x, y), in cm.
An object has no heading, posture or movement. What distinguishes exploring it from
passing it is where the agent's head is, whether it points there, and how it is held:
a head that is lowered or raised is shorter in the picture. On `mouse_objects` the
lengths were worth 0.02 of frame F1, the point between the ears 0.008.

No feature depends on where in the arena the two are, on its rotation, or on left and
right. All are NaN where a point they need is missing.
"""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mabe.features.base import NamedSignal, SignalFeatures
from mabe.features.gaps import bridge_gaps
from mabe.features.kinematics import change_over
from mabe.features.landmarks import (
    BODY,
    NECK,
    RUMP,
    SNOUT,
    find_landmarks,
    first_known,
)
from mabe.features.vectors import cross, dot, least, length
from mabe.skeleton import Skeleton

MOTION_SPAN_S = 0.16
"""Changes are over this time: sniffs and turns of the head are brief."""


class TargetPointFeatures(SignalFeatures):
    """Where a target that is one point is, relative to an agent's head and body."""

    title = "Features of an agent and a target that is one point"
    reach_s = 30.0
    kind = "target point"

    def signals(self, poses_BTPK2: Float[Tensor, "b t p k 2"]) -> Iterator[NamedSignal]:
        """Yield each feature."""
        agent_BTK2 = bridge_gaps(poses_BTPK2[:, :, 0], longest=self.max_gap_frames)
        target_BT2 = poses_BTPK2[:, :, 1].nanmean(dim=2)
        points_BTL2 = find_landmarks(agent_BTK2[:, :, None], self.skeleton)[:, :, 0]
        snout_BT2, neck_BT2, body_BT2, rump_BT2 = (
            points_BTL2[:, :, place] for place in (SNOUT, NECK, BODY, RUMP)
        )
        head_K = _head_keypoints(self.skeleton)
        head_BT2 = first_known(agent_BTK2[:, :, head_K].nanmean(dim=2), neck_BT2)
        places = {
            "snout": snout_BT2,
            "head": head_BT2,
            "neck": neck_BT2,
            "body": body_BT2,
            "rump": rump_BT2,
        }
        for name, values_BT in self._distances(agent_BTK2, places, target_BT2):
            yield "target distances", name, values_BT
        axes = {
            "head": snout_BT2 - head_BT2,
            "neck": snout_BT2 - neck_BT2,
            "trunk": neck_BT2 - rump_BT2,
        }
        for name, axis_BT2 in axes.items():
            to_target_BT2 = target_BT2 - snout_BT2
            for each, values_BT in self._direction(name, axis_BT2, to_target_BT2):
                yield "target direction", each, values_BT
        for name, values_BT in _lengths(axes, snout_BT2 - rump_BT2):
            yield "head and body lengths", name, values_BT
        for name in ("snout", "body"):
            for each, values_BT in self._motion(name, places[name], target_BT2):
                yield "motion to target", each, values_BT

    def _distances(
        self,
        agent_BTK2: Float[Tensor, "b t k 2"],
        places: dict[str, Float[Tensor, "b t 2"]],
        target_BT2: Float[Tensor, "b t 2"],
    ) -> Iterator[tuple[str, Tensor]]:
        """Distances of parts of the agent, and of the nearest of all its keypoints."""
        for name, place_BT2 in places.items():
            yield f"{name}_to_target_cm", length(target_BT2 - place_BT2)
        each_BTK = length(agent_BTK2 - target_BT2[:, :, None])
        yield "nearest_to_target_cm", least(each_BTK)

    def _direction(
        self,
        name: str,
        axis_BT2: Float[Tensor, "b t 2"],
        to_target_BT2: Float[Tensor, "b t 2"],
    ) -> Iterator[tuple[str, Tensor]]:
        """Where the target is from the snout, along a part's axis and beside it."""
        unit_BT2 = F.normalize(axis_BT2, dim=-1)
        turn_BT2 = change_over(unit_BT2, MOTION_SPAN_S, self.rate_fps)
        line_BT2 = F.normalize(to_target_BT2, dim=-1)
        yield f"{name}_target_cosine", dot(unit_BT2, line_BT2)
        yield f"{name}_target_ahead_cm", dot(unit_BT2, to_target_BT2)
        yield f"{name}_target_aside_cm", cross(unit_BT2, to_target_BT2).abs()
        yield f"{name}_turning_rad_per_s", length(turn_BT2)

    def _motion(
        self,
        name: str,
        place_BT2: Float[Tensor, "b t 2"],
        target_BT2: Float[Tensor, "b t 2"],
    ) -> Iterator[tuple[str, Tensor]]:
        """Speed of a part, and its speed towards the target."""
        velocity_BT2 = change_over(place_BT2, MOTION_SPAN_S, self.rate_fps)
        line_BT2 = F.normalize(target_BT2 - place_BT2, dim=-1)
        yield f"{name}_cm_per_s", length(velocity_BT2)
        yield f"{name}_to_target_cm_per_s", dot(velocity_BT2, line_BT2)


def _lengths(
    axes: dict[str, Float[Tensor, "b t 2"]], body_BT2: Float[Tensor, "b t 2"]
) -> Iterator[tuple[str, Tensor]]:
    """Lengths in the picture, which shrink where a part is lowered or raised."""
    for name, axis_BT2 in axes.items():
        yield f"{name}_cm", length(axis_BT2)
    yield "snout_to_rump_cm", length(body_BT2)
    neck_BT2, trunk_BT2 = axes["neck"], axes["trunk"]
    yield "bend_cosine", F.cosine_similarity(neck_BT2, trunk_BT2, dim=-1)


def _head_keypoints(skeleton: Skeleton) -> list[int]:
    """Return the keypoints whose mean is the head's base: left and right of the front.

    The others of the front where it has no such pair; those of the snout never.
    """
    snout = set(skeleton.snout[:1])
    front = [name for name in skeleton.front if name not in snout]
    paired = {name for pair in skeleton.pairs for name in pair}
    ears = [name for name in front if name in paired]
    return [skeleton.keypoints.index(name) for name in ears or front]
