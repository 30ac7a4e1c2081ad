"""Features of tiny tracks whose motion is known by hand, at 10 frames per second."""

import math

import pytest
import torch

from mabe.features.coordinates_and_speeds import MotionFeatures, feature_names
from mabe.features.gaps import bridge_gaps
from mabe.features.kinematics import change_per_second
from mabe.models.input_scaling import MotionScaling, asinh
from mabe.runtime import tensors as cache

RATE = 10.0
NAN = math.nan


def motion(**settings):
    """Features in the arena's own frame, gaps left open."""
    usual = {"rate_fps": RATE, "use_motion_features": True}
    usual |= {"max_gap_s": 0.0, "scene_frame": False}
    return MotionFeatures(**(usual | settings))


def scene(*, frames=20):
    """A scene without animals."""
    return torch.full((1, frames, 4, 18, 2), NAN)


def nose_along_x(x):
    """A scene in which only the first animal's nose is tracked, moving along x (cm)."""
    poses = scene(frames=len(x))
    poses[0, :, 0, 0, 0] = torch.as_tensor(x)
    poses[0, :, 0, 0, 1] = torch.where(torch.as_tensor(x).isnan(), NAN, 0.0)
    return poses


def nose_features(poses, *, max_gap_s=0.0):
    features = motion(max_gap_s=max_gap_s)(poses)
    names = feature_names(use_motion_features=True)
    return {
        kind: features[0, :, names.index(f"mouse1.nose.{kind}")]
        for kind in ("x", "y", "speed", "acceleration")
    }


def test_v1_has_144_inputs_and_v2_has_288_in_the_documented_order():
    names = feature_names(use_motion_features=True)
    assert len(feature_names(use_motion_features=False)) == 144
    assert len(names) == len(set(names)) == 288
    assert names[:3] == ["mouse1.nose.x", "mouse1.nose.y", "mouse1.head.x"]
    assert names[143] == "mouse4.headpiece.y"
    assert names[144] == "mouse1.nose.speed"
    assert names[216] == "mouse1.nose.acceleration"
    assert names[287] == "mouse4.headpiece.acceleration"


def test_each_coordinate_stands_where_its_name_says():
    poses = torch.arange(144.0).view(1, 1, 4, 18, 2)
    features = motion(use_motion_features=False)
    assert features(poses).flatten().tolist() == list(range(144))


def test_constant_velocity_has_its_speed_and_no_acceleration():
    nose = nose_features(nose_along_x(2.0 * torch.arange(20)))  # 2 cm a frame
    torch.testing.assert_close(nose["speed"], torch.full((20,), 20.0))
    torch.testing.assert_close(nose["acceleration"], torch.zeros(20))


def test_constant_acceleration_has_its_value_away_from_the_ends():
    time_s = torch.arange(20) / RATE
    nose = nose_features(nose_along_x(0.5 * 30.0 * time_s**2))  # 30 cm/s²
    torch.testing.assert_close(nose["speed"][1:-1], 30.0 * time_s[1:-1])
    torch.testing.assert_close(
        nose["acceleration"][2:-2], torch.full((16,), 30.0), rtol=1e-3, atol=0
    )


def test_a_diagonal_runs_at_the_length_of_its_velocity():
    poses = scene()
    poses[0, :, 0, 0] = torch.arange(20)[:, None] * torch.tensor([0.3, 0.4])
    torch.testing.assert_close(
        nose_features(poses)["speed"], torch.full((20,), 5.0), rtol=1e-4, atol=1e-4
    )


def test_a_speed_across_a_gap_is_missing_and_not_huge():
    x = 2.0 * torch.arange(20)
    x[8:14] = NAN
    x[14:] += 50  # it reappears far away
    nose = nose_features(nose_along_x(x))
    assert nose["speed"][8:14].isnan().all()
    seen = nose["speed"][~nose["speed"].isnan()]
    torch.testing.assert_close(seen, torch.full((14,), 20.0))


def test_a_point_seen_alone_has_a_place_but_no_speed():
    x = torch.full((20,), NAN)
    x[10] = 3.0
    nose = nose_features(nose_along_x(x))
    assert nose["x"][10] == 3.0
    assert nose["speed"].isnan().all()


def test_in_the_scene_frame_turning_the_arena_changes_no_feature_at_all():
    torch.manual_seed(0)
    poses = torch.randn(1, 30, 4, 18, 2).cumsum(dim=1)
    poses[:, :, 3] = NAN
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    features = motion(scene_frame=True)
    torch.testing.assert_close(
        features(poses), features(poses @ turn), rtol=1e-3, atol=0.1, equal_nan=True
    )


def test_animals_that_are_absent_have_no_features():
    features = motion(max_gap_s=0.5)
    values = features(nose_along_x(2.0 * torch.arange(20)))
    seen = {
        name
        for name, column in zip(
            feature_names(use_motion_features=True), values[0].T, strict=True
        )
        if not column.isnan().all()
    }
    assert seen == {
        f"mouse1.nose.{kind}" for kind in ("x", "y", "speed", "acceleration")
    }


def test_turning_the_arena_changes_no_speed():
    torch.manual_seed(0)
    poses = torch.randn(1, 30, 4, 18, 2).cumsum(dim=1)
    turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    features = motion(rate_fps=33.3)
    straight, turned = features(poses), features(poses @ turn)
    torch.testing.assert_close(
        straight[..., 144:], turned[..., 144:], rtol=1e-3, atol=0.5
    )
    assert not torch.allclose(straight[..., :144], turned[..., :144])


@pytest.mark.parametrize("rate", [10.0, 33.3, 120.0])
def test_speed_is_per_second_at_any_rate(rate):
    position_cm = 12.0 * torch.arange(30) / rate
    speed = change_per_second(position_cm[None, :, None], rate)
    torch.testing.assert_close(speed, torch.full((1, 30, 1), 12.0), rtol=1e-4, atol=0)


def test_a_short_gap_is_bridged_by_a_straight_line():
    x = torch.tensor([0.0, 1.0, NAN, NAN, 4.0, 5.0])
    bridged = bridge_gaps(nose_along_x(x), longest=2)[0, :, 0, 0, 0]
    torch.testing.assert_close(bridged, torch.arange(6.0))


def test_a_gap_longer_than_allowed_stays():
    x = torch.tensor([0.0, NAN, NAN, NAN, 4.0])
    bridged = bridge_gaps(nose_along_x(x), longest=2)[0, :, 0, 0, 0]
    assert bridged.isnan().tolist() == [False, True, True, True, False]


def test_a_gap_at_the_edge_has_one_end_and_stays():
    x = torch.tensor([NAN, 1.0, 2.0, NAN])
    bridged = bridge_gaps(nose_along_x(x), longest=5)[0, :, 0, 0, 0]
    assert bridged.isnan().tolist() == [True, False, False, True]


def test_bridging_touches_nothing_that_was_seen():
    torch.manual_seed(0)
    poses = torch.randn(2, 40, 4, 18, 2)
    poses[torch.rand(2, 40, 4, 18) < 0.3] = NAN
    bridged = bridge_gaps(poses, longest=4)
    seen = ~poses.isnan()
    torch.testing.assert_close(bridged[seen], poses[seen], rtol=0, atol=0)


@pytest.mark.parametrize("missing", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("longest", [1, 3, 40])
def test_a_processor_bridges_gap_by_gap_what_a_gpu_bridges_at_once(
    monkeypatch, missing, longest
):
    torch.manual_seed(0)
    poses = torch.randn(3, 40, 2, 5, 2)
    poses[torch.rand(3, 40, 2, 5) < missing] = NAN
    gap_by_gap = bridge_gaps(poses, longest=longest)
    monkeypatch.setattr(cache, "is_on_cpu", lambda _: False)
    at_once = bridge_gaps(poses, longest=longest)
    assert torch.equal(gap_by_gap.nan_to_num(99), at_once.nan_to_num(99))


def test_tails_are_tamed_as_by_torchs_own_asinh():
    values = torch.cat([torch.logspace(-30, 38, 500), torch.tensor([0.0, NAN])])
    values = torch.cat([values, -values])
    close = {"rtol": 1e-6, "atol": 0, "equal_nan": True}
    usual = values[values.isnan() | (values.abs() < 1e18)]
    torch.testing.assert_close(asinh(usual), usual.asinh(), **close)
    torch.testing.assert_close(
        asinh(values), values.asinh(), rtol=0, atol=0.7, equal_nan=True
    )


def test_the_network_gets_zero_and_a_flag_for_a_missing_point():
    scaling = MotionScaling(features=288)
    features = motion()
    channels = scaling(features(nose_along_x(2.0 * torch.arange(20))))
    assert channels.shape[-1] == scaling.channels == 288 + 72
    flags = channels[0, :, 288:]
    assert flags[:, 0].eq(1).all()
    assert flags[:, 1:].eq(0).all()
    assert channels[0, :, 2:144].eq(0).all()


def test_a_leap_of_a_metre_does_not_drown_other_values():
    scaling = MotionScaling(features=288)
    features = torch.zeros(1, 1, 288)
    features[..., 144] = 3000.0  # cm/s: one frame of a swapped identity
    features[..., 145] = 5.0
    channels = scaling(features)[0, 0]
    assert 6 < channels[144] < 8
    assert 0.4 < channels[145] < 0.6
