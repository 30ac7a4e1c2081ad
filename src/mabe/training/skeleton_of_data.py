"""The skeleton of a run, settled from its data before it begins.

Recordings of rodents have that of `mabe.skeleton.RODENT`, whatever a lab tracks of it.
Of other bodies the roles of keypoints are those that ``project.yaml`` beside the data
gives, or are guessed (`mabe.io.guess_skeleton`); they are printed, and written into the
run's config and the model's card.
"""

import numpy as np
from jaxtyping import Float

from mabe.config import RunConfig
from mabe.data.store import PoseStore
from mabe.io.guess_skeleton import MOST_FRAMES, GuessedSkeleton, guess_skeleton
from mabe.io.project import FILE_NAME, load_project
from mabe.scene_task import TaskKind
from mabe.skeleton import KEYPOINTS, RODENT, Skeleton

_RECORDINGS = 8
"""Recordings whose poses are looked at for a guess, evenly spaced."""


def settle_skeleton(
    config: RunConfig, store: PoseStore
) -> tuple[RunConfig, tuple[str, ...]]:
    """Return the config with the skeleton of the data, and what to tell of it."""
    changes: dict[str, object] = {}
    layout = store.layout
    if config.task is TaskKind.SCENE and layout.animals > config.animals:
        changes["animals"] = layout.animals
    if config.task is TaskKind.PAIR and any(each.objects for each in store.recordings):
        changes["object_targets"] = True
    reasons: tuple[str, ...] = ()
    if config.skeleton is None and layout.keypoints != KEYPOINTS:
        found = find_skeleton(config, store)
        if is_rodent_enough(config, found.skeleton):
            further = [name for name in layout.keypoints if name not in KEYPOINTS]
            reasons = (f"not used by feature_set: motion: {', '.join(further)}",)
        else:
            changes["skeleton"] = found.skeleton
            reasons = tuple(map(str, found.guesses)) or ("as in project.yaml",)
    return (config.changed(**changes) if changes else config), reasons


def find_skeleton(config: RunConfig, store: PoseStore) -> GuessedSkeleton:
    """Return the skeleton that project.yaml beside the data gives, or a guess."""
    keypoints = store.layout.keypoints
    path = config.data_dir / FILE_NAME
    given = load_project(path).skeleton if path.is_file() else None
    if given is not None:
        return GuessedSkeleton(given.skeleton(keypoints))
    return guess_skeleton(keypoints, _some_poses(store), store.rate_fps)


def is_rodent_enough(config: RunConfig, found: Skeleton) -> bool:
    """Return whether a V1 or V2 model uses the keypoints of rodents alone.

    Their inputs are those 18 keypoints, of which a heading can be told.
    """
    known = tuple(name for name in KEYPOINTS if name in found.keypoints)
    return config.feature_set == "motion" and RODENT.with_keypoints(known).has_heading


def _some_poses(store: PoseStore) -> list[Float[np.ndarray, "_ a k 2"]]:
    """Return poses of some recordings, in the layout of the store."""
    store = store.in_layout(store.layout, objects=False)
    every = max(1, len(store.recordings) // _RECORDINGS)
    return [
        store.poses_cm(index, 0, min(store.recordings[index].length, MOST_FRAMES))
        for index in range(0, len(store.recordings), every)
    ]
