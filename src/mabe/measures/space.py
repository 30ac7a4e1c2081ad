"""Where animals are: distance travelled, speed, and time near each other.

Positions are the middle of the body in cm, at the rate of the store that poses are read
from (`SPACE_FPS`). A frame counts where the animal, or both animals of a pair, have a
position; nothing is filled in, and each row holds the share of frames that count. The
distance travelled is therefore of the tracked steps only.

Zones and objects are measured by further tables of this kind: a row for each animal and
place, from the same positions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float

from mabe.bouts import find_spans
from mabe.data.store import PoseStore
from mabe.recording import mean_of_tracked

SPACE_FPS = 10.0
"""Poses are resampled to this rate; the mean of neighbouring frames removes jitter that
would add up as distance."""


MAX_SPEED_CM_S = 200.0
"""A faster step is a tracking error (mice and rats run at up to 130 cm/s); it is left
out and counted."""


_SOURCES = (
    ("body_center",),
    ("lateral_left", "lateral_right"),
    ("hip_left", "hip_right"),
    ("spine_1", "spine_2"),
    ("nose", "tail_base"),
    ("head", "tail_base"),
)
"""What the middle of the body is computed from, the best first: the mean of points.
Bodies with none of these keypoints have the mean of all points that are tracked."""


Positions = Float[np.ndarray, "time animal 2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """One row: the movement of one animal."""

    lab: str
    recording: str
    animal: str
    duration_s: float
    tracked_share: float
    """Share of frames with a position."""
    distance_cm: float
    """Sum of the tracked steps."""
    tracked_steps_s: float
    """Time of the tracked steps."""
    mean_speed_cm_s: float
    median_speed_cm_s: float
    fast_steps: int
    """Steps left out as faster than `MAX_SPEED_CM_S`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """One row: two animals."""

    lab: str
    recording: str
    one: str
    other: str
    tracked_share: float
    """Share of frames in which both have a position."""
    mean_distance_cm: float
    median_distance_cm: float
    within_cm: float
    within_s: float
    """Time in which they are no farther apart, in frames that count."""
    within_share: float
    """Share of the frames that count."""
    times_within: int
    """How often they come within the distance; a frame without a position ends it."""


def body_positions(store: PoseStore, index: int) -> Positions:
    """Return the middle of each animal's body in cm, NaN where it is not known."""
    length = store.recordings[index].length
    poses, keypoints = store.poses_cm(index, 0, length), store.layout.keypoints
    sources = [names for names in _SOURCES if set(names) <= set(keypoints)]
    if not sources:
        return mean_of_tracked(poses).astype(np.float32)
    middle = np.full((length, store.layout.animals, 2), np.nan, np.float32)
    for names in sources:
        points = poses[:, :, [keypoints.index(name) for name in names]]
        # The mean of several points is NaN where one of them is missing.
        middle = np.where(np.isfinite(middle), middle, points.mean(axis=2))
    return middle


def measure_travel(
    names: tuple[str, str], animal: str, xy_cm: Float[np.ndarray, "time 2"], fps: float
) -> Travel:
    """Return the movement of one animal; `names` are laboratory and video."""
    steps = np.hypot(*np.diff(xy_cm, axis=0).T)
    fast = steps * fps > MAX_SPEED_CM_S
    speeds = steps[np.isfinite(steps) & ~fast] * fps
    return Travel(
        lab=names[0],
        recording=names[1],
        animal=animal,
        duration_s=len(xy_cm) / fps,
        tracked_share=float(np.isfinite(xy_cm[:, 0]).mean()) if len(xy_cm) else np.nan,
        distance_cm=float(speeds.sum() / fps),
        tracked_steps_s=len(speeds) / fps,
        mean_speed_cm_s=float(speeds.mean()) if len(speeds) else np.nan,
        median_speed_cm_s=float(np.median(speeds)) if len(speeds) else np.nan,
        fast_steps=int(fast.sum()),
    )


def measure_nearness(
    names: tuple[str, str],
    animals: tuple[str, str],
    distance_cm: Float[np.ndarray, " time"],
    *,
    within_cm: float,
    fps: float,
) -> Nearness:
    """Return how near two animals are, from their distance at each frame."""
    known = distance_cm[np.isfinite(distance_cm)]
    near = distance_cm <= within_cm
    return Nearness(
        lab=names[0],
        recording=names[1],
        one=animals[0],
        other=animals[1],
        tracked_share=len(known) / len(distance_cm) if len(distance_cm) else np.nan,
        mean_distance_cm=float(known.mean()) if len(known) else np.nan,
        median_distance_cm=float(np.median(known)) if len(known) else np.nan,
        within_cm=within_cm,
        within_s=float(near.sum() / fps),
        within_share=float(near.sum() / len(known)) if len(known) else np.nan,
        times_within=len(find_spans(near)),
    )


def distances(
    xy_cm: Positions, animals: Sequence[int]
) -> Iterator[tuple[int, int, Float[np.ndarray, " time"]]]:
    """Yield each pair of animals (numbers from 1) and their distance at each frame."""
    for one, other in combinations(animals, 2):
        yield one, other, np.hypot(*(xy_cm[:, one - 1] - xy_cm[:, other - 1]).T)
