"""The skeleton of a run, settled from its data before it begins.

Recordings of rodents have that of `mabe.skeleton.RODENT`, whatever a lab tracks of it.
Of other bodies the roles of keypoints are those that ``project.yaml`` beside the data
gives, or are guessed (`mabe.io.guess_skeleton`); they are printed, and written into the
run's config and the model's card.
"""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mabe.config import RunConfig
from mabe.data.store import PoseStore, check_heights
from mabe.errors import ConfigError
from mabe.io.guess_skeleton import (
    MOST_FRAMES,
    GuessedSkeleton,
    RoleGuess,
    guess_skeleton,
)
from mabe.io.project import FILE_NAME, project_beside
from mabe.pair_task import acts_on_zones
from mabe.runtime.console import count
from mabe.runtime.object_storage import display_path
from mabe.scene_task import TaskKind
from mabe.skeleton import KEYPOINTS, RODENT, PoseLayout, Skeleton

Keypoints = tuple[str, ...]


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
    if config.task is TaskKind.PAIR and any(map(acts_on_zones, store.recordings)):
        changes["zone_targets"] = True
    reasons: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    if config.heights:
        for each in store.recordings:
            check_heights(each)
    elif any(each.has_heights for each in store.recordings):
        unused = _why_without_heights(config, store)
        if unused is None:
            changes["heights"] = True
        told = (f"heights: {f'not used, {unused}' if unused else 'of all recordings'}",)
    if config.skeleton is None and layout.of_bodies != KEYPOINTS:
        found = find_skeleton(config, store)
        if config.feature_set == "motion" and all(
            map(_is_rodent, _keypoint_sets(store))
        ):
            further = [name for name in layout.of_bodies if name not in KEYPOINTS]
            reasons = (f"not used by feature_set: motion: {', '.join(further)}",)
        else:
            changes["skeleton"] = found.skeleton
            reasons = tuple(map(str, found.guesses))
    return (config.changed(**changes) if changes else config), (*told, *reasons)


def _why_without_heights(config: RunConfig, store: PoseStore) -> str | None:
    """Return why heights are no features of a run; None where they are."""
    if config.teacher or config.from_model:
        return "as the model that this one is made from has none"
    if config.task is not TaskKind.PAIR:
        return "as features of a scene have two dimensions"
    if config.feature_set != "social":
        return f"as those of feature_set: {config.feature_set} have two dimensions"
    flat = sum(not each.has_heights for each in store.recordings)
    if flat:
        return f"as {flat} of {count(len(store.recordings), 'recording')} lack them"
    return None


def in_layout_of_run(config: RunConfig, store: PoseStore) -> PoseStore:
    """Return the store with the animals and keypoints that a settled run reads."""
    room = store.individuals if config.zone_targets else store.layout.animals
    return store.in_layout(
        config.layout_for(max(config.animals, room)),
        objects=config.task is TaskKind.PAIR,
    )


def find_skeleton(config: RunConfig, store: PoseStore) -> GuessedSkeleton:
    """Return the skeleton that project.yaml beside the data gives, or a guess."""
    keypoints = store.layout.of_bodies
    given = project_beside(config.data_dir).skeleton
    if given is not None:
        every = {name for each in store.recordings for name in each.keypoints}
        if lost := given.unknown(every):
            path = display_path(config.data_dir / FILE_NAME)
            raise ConfigError(
                f"{path}: skeleton: {lost} are keypoints of no recording; they have "
                f"{sorted(every)}"
            )
        told = RoleGuess("roles", "as in project.yaml")
        return GuessedSkeleton(given.skeleton(keypoints), (told,))
    return _join(
        [
            guess_skeleton(names, poses, store.rate_fps)
            for names, poses in _bodies(store).items()
        ],
        keypoints,
    )


def _join(found: Sequence[GuessedSkeleton], keypoints: Keypoints) -> GuessedSkeleton:
    """Return the roles of several bodies, which meet in their roles and names."""
    skeletons = [each.skeleton for each in found]
    joined = functools.reduce(Skeleton.joined, skeletons).with_keypoints(keypoints)
    guesses = dict.fromkeys(guess for each in found for guess in each.guesses)
    return GuessedSkeleton(joined, tuple(guesses))


def _is_rodent(keypoints: Keypoints) -> bool:
    """Return whether a V1 or V2 model can do with a body's keypoints of rodents.

    Its inputs are those 18 keypoints, of which a heading can be told.
    """
    known = tuple(name for name in KEYPOINTS if name in keypoints)
    return RODENT.with_keypoints(known).has_heading


def _bodies(store: PoseStore) -> dict[Keypoints, list[Float[np.ndarray, "_ a k 2"]]]:
    """Return the sets of keypoints that recordings have, with poses of some of each."""
    return {
        names: _some_poses(store, names, indices)
        for names, indices in _keypoint_sets(store).items()
    }


def _keypoint_sets(store: PoseStore) -> dict[Keypoints, list[int]]:
    """Return the sets of keypoints of animals, with the recordings that have them."""
    recordings: dict[Keypoints, list[int]] = {}
    for index, recording in enumerate(store.recordings):
        tracked = {
            point.keypoint
            for point in recording.points
            if point.animal + 1 not in recording.objects
        }
        names = tuple(name for name in store.layout.of_bodies if name in tracked)
        if names:
            recordings.setdefault(names, []).append(index)
    return recordings


def _some_poses(
    store: PoseStore, keypoints: Keypoints, indices: Sequence[int]
) -> list[Float[np.ndarray, "_ a k 2"]]:
    """Return poses of some recordings, with these keypoints."""
    layout = PoseLayout(store.layout.animals, keypoints)
    seen = store.in_layout(layout, objects=False)
    some = indices[:: max(1, len(indices) // _RECORDINGS)]
    lengths = [min(store.recordings[index].length, MOST_FRAMES) for index in some]
    return [
        seen.poses_cm(index, 0, length)
        for index, length in zip(some, lengths, strict=True)
    ]
