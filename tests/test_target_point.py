"""Features of an agent and a target that is one point, on stories known by hand."""

import math

import pytest
import torch

from mabe.features.target_point import TargetPointFeatures
from mabe.skeleton import RODENT, Skeleton

FPS = 25.0
FEATURES = TargetPointFeatures(rate_fps=FPS, max_gap_s=0.2)


def at(name):
    return RODENT.keypoints.index(name)


@pytest.fixture
def approach():
    """A mouse walks along x at 10 cm/s; an object is 10 cm before its snout."""
    poses = torch.full((1, 50, 5, len(RODENT.keypoints), 2), torch.nan)
    forward = torch.arange(50) * 10 / FPS
    body = {
        "nose": (0.0, 0.0),
        "ear_left": (-2.0, 1.0),
        "ear_right": (-2.0, -1.0),
        "neck": (-3.0, 0.0),
        "body_center": (-5.0, 0.0),
        "tail_base": (-8.0, 0.0),
    }
    for name, (x, y) in body.items():
        poses[0, :, 0, at(name), 0] = x + forward
        poses[0, :, 0, at(name), 1] = y
    poses[0, :, 1, at("body_center")] = torch.tensor([10.0, 0.0])
    return poses


def values_of(poses, name, features=FEATURES):
    return features(poses)[0, :, features.names.index(name)]


def test_distances_are_from_each_part(approach):
    for name, expected in {
        "snout_to_target_cm": 10,
        "head_to_target_cm": 12,
        "neck_to_target_cm": 13,
        "body_to_target_cm": 15,
        "rump_to_target_cm": 18,
        "nearest_to_target_cm": 10,
    }.items():
        assert values_of(approach, name)[0] == pytest.approx(expected)


def test_the_target_is_ahead_of_a_mouse_that_walks_to_it_and_not_aside(approach):
    assert values_of(approach, "head_target_cosine")[0] == pytest.approx(1)
    assert values_of(approach, "trunk_target_ahead_cm")[0] == pytest.approx(10)
    assert values_of(approach, "head_target_aside_cm")[0] == pytest.approx(0)
    assert values_of(approach, "head_turning_rad_per_s").abs().max() < 1e-4


def test_an_approach_has_the_speed_of_the_walk(approach):
    speed = values_of(approach, "snout_to_target_cm_per_s")[:20]

    torch.testing.assert_close(speed, torch.full((20,), 10.0), atol=1e-2, rtol=0)


def test_a_lowered_head_is_shorter_in_the_picture(approach):
    lowered = approach.clone()
    lowered[0, 25:, 0, at("nose"), 0] -= 1.0

    length = values_of(lowered, "head_cm")

    assert length[0] == pytest.approx(2)
    assert length[-1] == pytest.approx(1)


def test_turning_moving_and_mirroring_the_arena_changes_nothing(approach):
    approach[0, :, 0, at("nose"), 1] += torch.linspace(0, 2, 50)
    expected = FEATURES(approach)
    cos, sin = math.cos(1.0), math.sin(1.0)
    turned = approach @ torch.tensor([[cos, sin], [-sin, cos]]) + 7
    mirrored = approach * torch.tensor([1.0, -1.0])

    for changed in (turned, mirrored):
        torch.testing.assert_close(
            FEATURES(changed), expected, atol=2e-3, rtol=1e-3, equal_nan=True
        )


def test_the_other_animals_do_not_matter(approach):
    with_others = approach.clone()
    with_others[:, :, 2:] = 1.0

    torch.testing.assert_close(
        FEATURES(with_others), FEATURES(approach), equal_nan=True
    )


def test_what_is_missing_is_missing_and_not_guessed(approach):
    no_target = approach.clone()
    no_target[:, :, 1] = torch.nan
    no_ears = approach.clone()
    no_ears[0, :, 0, [at("ear_left"), at("ear_right")]] = torch.nan

    assert values_of(no_target, "snout_to_target_cm").isnan().all()
    assert values_of(no_target, "head_cm").isfinite().all()
    torch.testing.assert_close(
        values_of(no_ears, "head_cm"), values_of(approach, "neck_cm")
    )


def test_every_feature_is_in_one_group():
    places = sorted(place for group in FEATURES.groups.values() for place in group)

    assert places == list(range(len(FEATURES.names)))
    assert len(set(FEATURES.names)) == len(FEATURES.names)


def test_an_animal_of_one_point_has_distances_and_motion():
    blob = TargetPointFeatures(
        rate_fps=FPS,
        max_gap_s=0.2,
        skeleton=Skeleton(keypoints=("blob",), body=("blob",)),
    )
    poses = torch.full((1, 50, 5, 1, 2), torch.nan)
    poses[0, :, 0, 0, 0] = torch.arange(50) * 10 / FPS
    poses[0, :, 0, 0, 1] = 0
    poses[0, :, 1, 0] = torch.tensor([30.0, 0.0])

    assert values_of(poses, "body_to_target_cm", blob)[0] == pytest.approx(30)
    assert values_of(poses, "body_to_target_cm_per_s", blob)[9] == pytest.approx(10)
    assert values_of(poses, "head_target_cosine", blob).isnan().all()
