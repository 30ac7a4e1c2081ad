"""Variants of a scene: what they are, and that the mean over them forgets sides."""

import math

import numpy as np
import pytest
import torch

from mabe.bouts import View
from mabe.config import RunConfig
from mabe.inference.frame_probabilities import (
    Tracks,
    frame_probabilities,
    view_probabilities,
)
from mabe.inference.tta import Variant, pose_variants, slots_in_variants
from mabe.models.model import build_model
from mabe.pair_task import PairTask
from mabe.skeleton import KEYPOINTS

ALL = np.ones(4, bool)
FRAMES = 50
LEFT, RIGHT, NOSE = (
    KEYPOINTS.index(name) for name in ("ear_left", "ear_right", "nose")
)
PAIRS = PairTask(
    actions=("attack", "sniff"),
    labs=("A",),
    vocabulary={"A": frozenset({("attack", False), ("sniff", False)})},
)


def poses_of(*, animals=2, frames=FRAMES, missing=0.2, seed=0):
    """Points that wander, cm; animals that are not there come last."""
    rng = np.random.default_rng(seed)
    poses = rng.normal(0, 15, (1, 4, 18, 2)) + rng.normal(0, 2, (frames, 4, 18, 2))
    poses[rng.random((frames, 4, 18)) < missing] = np.nan
    poses[:, animals:] = np.nan
    return poses.astype(np.float32)


def tracks_of(poses):
    return Tracks(len(poses), lambda start, stop: poses[start:stop])


def mirrored(poses):
    """The same scene in a mirror: its left ear is where the right one was."""
    sides = np.array([-1, 1], np.float32)
    swapped = poses.copy()
    for place, name in enumerate(KEYPOINTS):
        other = name.replace("left", "?").replace("right", "left").replace("?", "right")
        swapped[:, :, place] = poses[:, :, KEYPOINTS.index(other)]
    return swapped * sides


def randomised(config, task):
    """A model in which nothing is even by probability, or as it was begun."""
    torch.manual_seed(0)
    model = build_model(config.model, task).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


VIEW = frozenset({"mirror"})
"""Under which symmetries features change: of a view, of a scene in its own frame of
reference, and of a scene in the arena's."""


SCENE = VIEW | {"order"}


ARENA = SCENE | {"turn"}


SMALL = {
    "conv_channels": (8, 8),
    "lstm_hidden": 8,
    "lstm_layers": 1,
    "sequence_length": 24,  # several windows, so that they are stitched too
}


@pytest.fixture(scope="module")
def scene():
    config = RunConfig(**SMALL)
    return randomised(config, config.scene_task)


@pytest.fixture(scope="module")
def turning():
    """A model whose features depend on the arena's directions."""
    config = RunConfig(**SMALL, scene_frame=False)
    return randomised(config, config.scene_task)


@pytest.fixture(scope="module")
def pair():
    return randomised(RunConfig(**SMALL, task="pair", lab_channels=2), PAIRS)


# Single variants.


def as_batch(poses):
    return torch.from_numpy(poses)[None]


def test_the_plain_variant_changes_nothing():
    poses = as_batch(poses_of())
    assert Variant().of(poses) is poses


@pytest.mark.parametrize("variant", [Variant(mirror=True), Variant(reverse=True)])
def test_twice_in_a_mirror_or_twice_backwards_is_as_before(variant):
    poses = as_batch(poses_of(animals=3))
    torch.testing.assert_close(
        variant.of(variant.of(poses)), poses, rtol=0, atol=0, equal_nan=True
    )


def test_in_a_mirror_sides_and_ears_are_exchanged():
    poses = np.full((1, 4, 18, 2), np.nan, np.float32)
    poses[0, 0, [LEFT, RIGHT, NOSE]] = [[1, 2], [3, 4], [5, 6]]
    seen = Variant(mirror=True).of(as_batch(poses))[0, 0, 0]
    assert seen[LEFT].tolist() == [-3, 4]
    assert seen[RIGHT].tolist() == [-1, 2]
    assert seen[NOSE].tolist() == [-5, 6]


def test_backwards_the_last_animal_comes_first():
    poses = as_batch(poses_of(animals=4, missing=0))
    backwards = Variant(reverse=True).of(poses)
    for animal in range(4):
        assert backwards[:, :, animal].equal(poses[:, :, 3 - animal])


def test_a_quarter_turn_takes_x_to_y():
    poses = np.full((1, 4, 18, 2), np.nan, np.float32)
    poses[0, 0, NOSE] = [3, 1]
    seen = Variant(turn=math.pi / 2).of(as_batch(poses))[0, 0, 0, NOSE]
    torch.testing.assert_close(seen, torch.tensor([-1.0, 3.0]))


@pytest.mark.parametrize(
    "variant", [Variant(mirror=True), Variant(turn=1.0), Variant(True, True, 2.0)]
)
def test_what_is_missing_stays_missing_and_nothing_else_is(variant):
    poses = as_batch(poses_of(animals=4, missing=0.3))
    count = poses.isnan().sum()
    seen = variant.of(poses)
    assert seen.isnan().sum() == count
    if not (variant.mirror or variant.reverse):
        assert seen.isnan().equal(poses.isnan())


@pytest.mark.parametrize("variant", pose_variants(ARENA, 12) + pose_variants(VIEW, 2))
def test_no_variant_changes_a_distance_between_points_of_one_name_on_the_midline(
    variant,
):
    poses = as_batch(poses_of(animals=4, missing=0))
    seen = variant.of(poses)
    before, after = (
        (each[:, :, 0, NOSE] - each[:, :, 3, NOSE]).norm(dim=-1)
        for each in (poses, seen)
    )
    torch.testing.assert_close(after, before)


# Which variants.


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_first_variants_are_plain_mirrored_and_both_backwards(count):
    expected = [
        Variant(),
        Variant(mirror=True),
        Variant(reverse=True),
        Variant(mirror=True, reverse=True),
    ]
    for symmetries in (SCENE, ARENA):
        assert pose_variants(symmetries, count) == expected[:count]


def test_there_are_no_more_variants_than_make_a_difference():
    assert len(pose_variants(SCENE, 99)) == 4
    assert pose_variants(VIEW, 99) == [Variant(), Variant(mirror=True)]
    assert pose_variants(VIEW, 1) == [Variant()]
    assert pose_variants(frozenset(), 99) == [Variant()]


@pytest.mark.parametrize("count", [5, 8, 10, 16])
def test_where_turns_matter_there_are_as_many_as_wanted_and_none_twice(count):
    variants = pose_variants(ARENA, count)
    assert len(set(variants)) == len(variants) == count
    assert variants[0] == Variant()


def test_turns_go_all_the_way_round_in_even_steps():
    turns = {variant.turn for variant in pose_variants(ARENA, 16)}
    assert sorted(turns) == pytest.approx([0, math.pi / 2, math.pi, 3 * math.pi / 2])


# Averaged over variants.


def asked(model, poses, variants):
    return frame_probabilities(model, tracks_of(poses), ALL, variants=variants)


def same(one, other):
    return np.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(("variants", "is_same"), [(1, False), (2, True), (4, True)])
def test_a_scene_and_its_mirror_are_predicted_alike(scene, variants, is_same):
    poses = poses_of()
    one, other = (asked(scene, each, variants) for each in (poses, mirrored(poses)))
    assert same(one, other) == is_same


@pytest.mark.parametrize(("variants", "is_same"), [(1, False), (2, False), (4, True)])
@pytest.mark.parametrize("animals", [2, 3])
def test_a_scene_and_its_animals_numbered_backwards_are_predicted_alike(
    scene, variants, is_same, animals
):
    poses = poses_of(animals=animals)
    backwards = poses.copy()
    backwards[:, :animals] = poses[:, animals - 1 :: -1]
    one, other = (asked(scene, each, variants) for each in (poses, backwards))
    assert same(one, other) == is_same


@pytest.mark.parametrize("variants", [1, 4])
def test_which_numbers_absent_animals_have_does_not_matter(scene, variants):
    poses = poses_of(animals=2)
    spread = poses[:, [2, 0, 3, 1]]
    assert same(asked(scene, poses, variants), asked(scene, spread, variants))


@pytest.mark.parametrize(("variants", "is_same"), [(4, False), (8, True)])
def test_a_scene_and_half_a_turn_are_predicted_alike_where_turns_matter(
    turning, variants, is_same
):
    poses = poses_of()
    assert same(asked(turning, poses, variants), asked(turning, -poses, variants)) == (
        is_same
    )


def test_the_mean_is_that_of_the_single_variants(scene):
    poses = poses_of()
    alone = [asked(scene, each, 1) for each in (poses, mirrored(poses))]
    np.testing.assert_allclose(
        asked(scene, poses, 2), np.mean(alone, axis=0), atol=1e-5
    )


def test_more_variants_than_there_are_change_nothing(scene, pair):
    poses = poses_of()
    assert np.array_equal(asked(scene, poses, 4), asked(scene, poses, 99))
    two, many = (
        view_probabilities(pair, tracks_of(poses), View(1, 2), "A", variants=count)
        for count in (2, 99)
    )
    assert np.array_equal(two, many)


@pytest.mark.parametrize("variants", [1, 2, 4])
def test_probabilities_still_sum_to_one_and_the_impossible_gets_nothing(
    scene, variants
):
    possible = np.array([True, False, True, False])
    found = frame_probabilities(
        scene, tracks_of(poses_of()), possible, variants=variants
    )
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert (found[:, ~possible] == 0).all()


def test_a_scene_without_animals_still_has_probabilities(scene):
    nobody = np.full((FRAMES, 4, 18, 2), np.nan, np.float32)
    assert np.isfinite(asked(scene, nobody, 4)).all()


@pytest.mark.parametrize(("variants", "is_same"), [(1, False), (2, True)])
@pytest.mark.parametrize("view", [View(1, 2), View(2, 1), View(3, 1), View(2, 2)])
def test_a_pair_and_its_mirror_are_predicted_alike(pair, view, variants, is_same):
    poses = poses_of(animals=3, missing=0.05)
    one, other = (
        view_probabilities(pair, tracks_of(each), view, "A", variants=variants)
        for each in (poses, mirrored(poses))
    )
    assert same(one, other) == is_same


def test_variants_never_exchange_agent_and_target(pair):
    poses = poses_of(missing=0.05)
    forth, back = (
        view_probabilities(pair, tracks_of(poses), view, "A", variants=2)
        for view in (View(1, 2), View(2, 1))
    )
    assert not same(forth, back)


def test_slots_in_any_variant_are_those_of_animals_in_front_and_of_both_sides():
    second, third = 18, 36
    left_ear_and_nose_of_two = [second + LEFT, second + NOSE, third + NOSE]

    assert slots_in_variants(left_ear_and_nose_of_two) == (
        *(NOSE, LEFT, RIGHT),
        *(18 + NOSE, 18 + LEFT, 18 + RIGHT),
    )
    assert slots_in_variants([]) == ()


@pytest.mark.parametrize("count", [1, 4])
def test_naming_the_slots_that_occur_changes_no_prediction(count, monkeypatch):
    monkeypatch.setattr("mabe.models.model.has_quick_bf16", lambda device: False)
    config = RunConfig(**SMALL)
    model = randomised(config, config.scene_task)
    poses = np.roll(poses_of(), 1, axis=1)  # the first animal is never there
    poses[:, :, RIGHT] = np.nan
    seen = np.isfinite(poses[..., 0]).any(axis=0).ravel()
    named = Tracks(FRAMES, tracks_of(poses).read, tuple(np.flatnonzero(seen).tolist()))

    np.testing.assert_allclose(
        frame_probabilities(model, named, ALL, variants=count),
        frame_probabilities(model, tracks_of(poses), ALL, variants=count),
        atol=1e-5,
    )
