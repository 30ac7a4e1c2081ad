"""Features of a view, of bodies whose motion is known by hand, at 10 frames a second.

A body is drawn heading along x with its middle, the mean of its points, at (0, 0).
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mabe.features.egocentric import body_axis, into_frame, turning_rate, without_gaps
from mabe.features.pair_view import BODY_MOTION, OTHERS, PairFeatures, PairLayout
from mabe.skeleton import KEYPOINTS, RODENT

RATE = 10.0
NAN = math.nan
BODY_CM = {
    "nose": (4.0, 0.0),
    "ear_left": (2.0, 1.0),
    "ear_right": (2.0, -1.0),
    "body_center": (0.0, 0.0),
    "hip_left": (-2.0, 1.0),
    "hip_right": (-2.0, -1.0),
    "tail_base": (-4.0, 0.0),
}


@pytest.fixture(autouse=True, scope="module")
def _in_double_precision():
    """So that what has to be equal is equal to many digits."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(usual)


def scene(*, frames=20, windows=1):
    """Windows without animals; seats are agent, target and three others."""
    return torch.full((windows, frames, 5, 18, 2), NAN)


def along(x, y=0.0, frames=20):
    """Places [time, xy] of something with the given x and y, each fixed or a list."""
    columns = [torch.as_tensor(value, dtype=torch.float64) for value in (x, y)]
    return torch.stack([column.expand(frames) for column in columns], dim=-1)


def put(poses, seat, place, heading=0.0, points=tuple(BODY_CM)):
    """Draw a body with its middle at a place, heading at an angle (radians)."""
    angle = torch.as_tensor(heading, dtype=torch.float64).expand(poses.shape[1])
    for name in points:
        ahead, left = BODY_CM[name]
        offset = torch.stack(
            [
                ahead * angle.cos() - left * angle.sin(),
                ahead * angle.sin() + left * angle.cos(),
            ],
            dim=-1,
        )
        poses[:, :, seat, KEYPOINTS.index(name)] = place + offset
    return poses


def pair(agent, target, *, agent_heading=0.0, target_heading=0.0):
    poses = put(scene(frames=len(agent)), 0, agent, agent_heading)
    return put(poses, 1, target, target_heading)


def features(poses, *, max_gap_s=0.5, use_motion_features=True):
    module = PairFeatures(
        rate_fps=RATE, use_motion_features=use_motion_features, max_gap_s=max_gap_s
    )
    return module(poses)


def seen(poses, **settings):
    """Each feature of the first window by its name."""
    values = features(poses, **settings)[0]
    return dict(zip(NAMES, values.T, strict=True))


NAMES = PairLayout(use_motion_features=True).names()
SIDED = torch.tensor(
    [
        name.endswith(("across", "turning", "sideways", "facing_across"))
        for name in NAMES
    ]
)
"""Features that have a left and a right."""


def assert_all(values, expected, **tolerance):
    """Assert that a feature has one value in all frames."""
    expected = torch.full_like(values, expected)
    tolerance = tolerance or {"rtol": 1e-6, "atol": 1e-6}
    torch.testing.assert_close(values, expected, **tolerance)


def assert_same(found, expected, atol=1e-6):
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=atol, equal_nan=True)


def wandering(seed, *, missing=0.2, windows=2, frames=25):
    """Five bodies that wander and wriggle, some of their points missing."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator)

    place = 10 * normal(windows, 1, 5, 1, 2) + normal(windows, frames, 5, 1, 2).cumsum(
        1
    )
    angle = 3 * normal(windows, 1, 5) + 0.3 * normal(windows, frames, 5).cumsum(1)
    turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], dim=-1)
    body = torch.full((18, 2), NAN)
    for name, offset in BODY_CM.items():
        body[KEYPOINTS.index(name)] = torch.tensor(offset)
    poses = place + body @ turn.unflatten(-1, (2, 2))
    poses = poses + 0.1 * normal(*poses.shape)
    gone = torch.rand(poses.shape[:-1], generator=generator) < missing
    return poses.masked_fill(gone[..., None], NAN)


# The names.


@pytest.mark.parametrize("use_motion_features", [True, False])
def test_every_feature_has_a_name_of_its_own(use_motion_features):
    layout = PairLayout(use_motion_features)
    names = layout.names()
    assert len(names) == len(set(names)) == layout.size
    values = features(scene(), use_motion_features=use_motion_features)
    assert values.shape == (1, 20, layout.size)
    assert layout.size == layout.places + layout.motion + OTHERS * layout.other


def test_each_value_stands_where_its_name_says():
    poses = put(scene(), 0, along(0.0))
    time_s = torch.arange(20) / RATE
    for seat in range(1, 5):
        for number in range(18):
            speed = 0.25 * number + seat
            place = along(100.0 * seat + number, speed * time_s + number)
            poses[0, :, seat, number] = place
    found = seen(poses)
    for number, name in enumerate(KEYPOINTS):
        for seat, who in enumerate(["target", "other1", "other2", "other3"], start=1):
            assert_all(found[f"{who}.{name}.along"], 100.0 * seat + number)
            assert found[f"{who}.{name}.across"][0].item() == pytest.approx(number)
            assert_all(found[f"{who}.{name}.speed"], 0.25 * number + seat)
        assert_all(found[f"target.{name}.acceleration"], 0.0)
    assert_all(found["agent.nose.along"], 4.0)
    assert_all(found["agent.ear_left.across"], 1.0)
    assert_all(found["agent.ear_left.speed"], 0.0)


def test_without_motion_features_the_same_names_have_the_same_values():
    poses = wandering(0)
    few = PairLayout(use_motion_features=False).names()
    kept = torch.tensor([NAMES.index(name) for name in few])
    assert_same(features(poses, use_motion_features=False), features(poses)[..., kept])
    lost = {name.split(".")[-1] for name in set(NAMES) - set(few)}
    assert lost == {"speed", "acceleration"}


# Where the target is.


@pytest.mark.parametrize("heading", [0.0, 0.7, math.pi / 2, 3.0, -2.0])
def test_a_target_straight_ahead_is_along_and_not_across(heading):
    ahead = along(10 * math.cos(heading) + 5, 10 * math.sin(heading) - 8)
    found = seen(pair(along(5.0, -8.0), ahead, agent_heading=heading))
    assert_all(found["target.body_center.along"], 10.0)
    assert_all(found["target.body_center.across"], 0.0)


def test_left_is_positive_and_behind_is_negative():
    found = seen(pair(along(0.0), along(0.0, 7.0)))
    assert_all(found["target.body_center.across"], 7.0)
    found = seen(pair(along(0.0), along(-6.0, -7.0)))
    assert_all(found["target.body_center.along"], -6.0)
    assert_all(found["target.body_center.across"], -7.0)


def test_the_agents_own_body_is_where_it_was_drawn_however_it_heads():
    found = seen(pair(along(3.0, 9.0), along(0.0), agent_heading=2.2))
    for name, (ahead, left) in BODY_CM.items():
        assert_all(found[f"agent.{name}.along"], ahead)
        assert_all(found[f"agent.{name}.across"], left)


# Motion.


def test_a_chaser_walks_ahead_and_its_target_runs_away():
    time_s = torch.arange(20) / RATE
    found = seen(pair(along(10 * time_s), along(5 + 20 * time_s)))
    assert_all(found["agent.forward"], 10.0)
    assert_all(found["agent.sideways"], 0.0)
    assert_all(found["target.away"], 20.0)
    assert_all(found["target.across"], 0.0)
    assert_all(found["agent.nose.speed"], 10.0)
    assert_all(found["target.nose.speed"], 20.0)


def test_the_chased_has_its_target_behind_coming_its_way():
    time_s = torch.arange(20) / RATE
    found = seen(pair(along(5 + 20 * time_s), along(10 * time_s)))
    assert_all(found["agent.forward"], 20.0)
    assert_all(found["target.away"], 10.0)
    assert (found["target.body_center.along"] < 0).all()


def test_a_target_that_comes_has_a_negative_speed_away():
    time_s = torch.arange(20) / RATE
    found = seen(
        pair(along(0.0), along(60 - 15 * time_s), target_heading=torch.tensor(math.pi))
    )
    assert_all(found["agent.forward"], 0.0)
    assert_all(found["target.away"], -15.0)


def test_backing_away_is_negative_and_left_is_positive():
    time_s = torch.arange(20) / RATE
    found = seen(pair(along(-8 * time_s, 3 * time_s), along(9.0, 4 * time_s)))
    assert_all(found["agent.forward"], -8.0)
    assert_all(found["agent.sideways"], 3.0)
    assert_all(found["target.across"], 4.0)


def test_turning_left_is_positive_through_a_whole_circle():
    turns = 2.0 * torch.arange(40) / RATE  # 2 rad/s: more than one circle in 4 s
    still = along(0.0, frames=40)
    found = seen(pair(still, still + 9, agent_heading=turns, target_heading=-turns))
    assert_all(found["agent.turning"], 2.0)
    assert_all(found["target.turning"], -2.0)


@pytest.mark.parametrize(
    ("heading", "cosine", "sine"),
    [(0.0, 1, 0), (math.pi, -1, 0), (math.pi / 2, 0, 1), (-math.pi / 2, 0, -1)],
)
def test_facing_differs_between_parallel_and_face_to_face(heading, cosine, sine):
    poses = pair(
        along(0.0), along(9.0), agent_heading=1.0, target_heading=1.0 + heading
    )
    found = seen(poses)
    assert_all(found["target.facing_along"], cosine)
    assert_all(found["target.facing_across"], sine)


def test_acceleration_is_that_of_the_speed():
    time_s = torch.arange(20) / RATE
    faster, slower = 15 * time_s**2, 60 * time_s - 15 * time_s**2  # by 30 cm/s²
    found = seen(pair(along(faster), along(slower)))
    assert_all(found["agent.nose.acceleration"][2:-2], 30.0)
    assert_all(found["target.nose.acceleration"][2:-2], -30.0)


# What changes nothing, and what exchanges what.


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    angle=st.floats(-7, 7),
    shift=st.tuples(st.floats(-99, 99), st.floats(-99, 99)),
)
def test_turning_and_shifting_the_arena_changes_nothing(seed, angle, shift):
    poses = wandering(seed)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, sin], [-sin, cos]])
    moved = poses @ turn + torch.tensor(shift)
    assert_same(features(moved), features(poses), atol=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_in_a_mirror_left_and_right_change_sign_and_nothing_else(seed):
    poses = wandering(seed)
    mirrored = poses[:, :, :, RODENT.mirror_order()] * torch.tensor([1.0, -1.0])
    across = [NAMES.index(f"agent.{name}.across") for name in KEYPOINTS]
    assert SIDED[across].all()
    sign = torch.where(SIDED, -1.0, 1.0)
    # Left ear and right ear keep their names, so they are compared crosswise.
    assert_same(features(mirrored), exchange_sides(features(poses)) * sign, atol=1e-5)


def exchange_sides(values):
    """Give each feature the value of the same feature of the other side."""

    def other_side(name):
        words = name.split(".")
        if words[1] in KEYPOINTS:
            words[1] = KEYPOINTS[RODENT.mirror_order()[KEYPOINTS.index(words[1])]]
        return ".".join(words)

    return values[..., [NAMES.index(other_side(name)) for name in NAMES]]


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_exchanging_agent_and_target_exchanges_what_is_their_own(seed):
    poses = wandering(seed)
    exchanged = poses[:, :, [1, 0, 2, 3, 4]]
    one = dict(zip(NAMES, features(poses).unbind(-1), strict=True))
    other = dict(zip(NAMES, features(exchanged).unbind(-1), strict=True))
    for name in ("nose.speed", "tail_base.acceleration", "turning"):
        assert_same(other[f"agent.{name}"], one[f"target.{name}"])
        assert_same(other[f"target.{name}"], one[f"agent.{name}"])
    assert_same(other["target.facing_along"], one["target.facing_along"])
    assert_same(other["target.facing_across"], -one["target.facing_across"])


def test_exchanging_roles_exchanges_ahead_and_behind():
    poses = pair(along(0.0), along(10.0))
    found, exchanged = seen(poses), seen(poses[:, :, [1, 0, 2, 3, 4]])
    assert_all(found["target.body_center.along"], 10.0)
    assert_all(exchanged["target.body_center.along"], -10.0)


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_exchanging_others_exchanges_their_features_alone(seed):
    poses = wandering(seed)
    found = features(poses).split([len(NAMES) - OTHERS * 54, *[54] * OTHERS], dim=2)
    moved = features(poses[:, :, [0, 1, 4, 2, 3]])
    assert_same(moved, torch.cat([found[i] for i in (0, 3, 1, 2)], dim=2))


def test_other_windows_of_the_batch_change_nothing():
    poses = wandering(3, windows=3)
    poses[0, :, 1] = NAN
    poses[1, :, :, KEYPOINTS.index("nose")] = NAN
    poses[2] = NAN
    alone = torch.cat([features(window[None]) for window in poses])
    assert_same(features(poses), alone)


def test_frames_that_do_not_exist_change_nothing_before_them():
    poses = wandering(4)
    padded = torch.cat([poses, torch.full_like(poses, NAN)], dim=1)
    assert_same(features(padded)[:, : poses.shape[1]], features(poses))


# What is missing.


def is_of(*seats):
    return [name for name in NAMES if name.split(".")[0] in seats]


def test_an_absent_target_has_no_features():
    found = seen(put(scene(), 0, along(0.0)))
    for name in is_of("target", "other1", "other2", "other3"):
        assert found[name].isnan().all(), name
    for name in ("agent.nose.along", "agent.forward", "agent.turning"):
        assert found[name].isfinite().all(), name


def test_an_absent_agent_has_no_features_and_others_have_no_places():
    found = seen(put(scene(), 1, along(0.0), heading=1.0))
    known = {name for name, values in found.items() if values.isfinite().any()}
    assert known == {
        "target.turning",
        *(f"target.{name}.{kind}" for name in BODY_CM for kind in CHANGES),
    }


CHANGES = ("speed", "acceleration")


def test_an_agent_without_a_heading_still_has_distances_to_others():
    poses = put(scene(), 0, along(0.0), points=["tail_base"])
    put(poses, 1, along(6.0, 8.0))
    found = seen(poses)
    distance = found["target.body_center.along"].hypot(
        found["target.body_center.across"]
    )
    assert_all(distance, math.hypot(6 + 4, 8))  # from the base of its tail
    for name in BODY_MOTION:
        assert found[name].isnan().all() != (name == "target.turning"), name


def test_short_gaps_are_bridged_and_long_ones_stay():
    time_s = torch.arange(20) / RATE
    whole = pair(along(10 * time_s), along(30 - 5 * time_s))
    gappy = whole.clone()
    gappy[:, 8:12, 1] = NAN  # 0.4 s
    assert_same(seen(gappy)["target.nose.along"], seen(whole)["target.nose.along"])
    open_gap = seen(gappy, max_gap_s=0.3)["target.nose.along"]
    assert open_gap.isnan().nonzero().flatten().tolist() == [8, 9, 10, 11]


def test_nothing_jumps_while_the_agents_nose_is_not_seen():
    time_s = torch.arange(20) / RATE
    whole = pair(
        along(10 * time_s, 2 * time_s), along(30.0), agent_heading=torch.tensor(0.2)
    )
    gappy = whole.clone()
    gappy[:, 9:13, 0, KEYPOINTS.index("nose")] = NAN
    assert_same(features(gappy), features(whole))


def test_a_point_that_vanishes_or_comes_back_is_no_motion_of_the_body():
    time_s = torch.arange(20) / RATE
    poses = pair(along(10 * time_s), along(30.0))
    poses[:, 12:, 0, KEYPOINTS.index("nose")] = NAN  # to the end: nothing to bridge
    poses[:, :5, 1, KEYPOINTS.index("tail_base")] = NAN
    found = seen(poses)
    assert_all(found["agent.forward"], 10.0)
    assert_all(found["target.away"], 0.0)


def test_while_a_body_is_not_seen_its_place_and_heading_go_straight_on():
    time_s = torch.arange(20) / RATE
    whole = pair(along(10 * time_s), along(30.0), agent_heading=0.5 * time_s)
    gappy = whole.clone()
    gappy[:, 5:15, 0] = NAN
    found, expected = seen(gappy), seen(whole)
    for name in ("target.body_center.along", "agent.turning"):
        torch.testing.assert_close(found[name], expected[name], rtol=0.05, atol=0.05)
    for name in ("agent.nose.along", "agent.forward"):
        assert found[name].isnan().nonzero().flatten().tolist() == [*range(5, 15)]


def test_a_speed_across_a_gap_is_missing_and_not_huge():
    poses = pair(along(0.0), along(30.0))
    poses[:, 6:14, 1] = NAN
    poses[:, 14:, 1] += 50  # it reappears far away
    found = seen(poses)
    assert found["target.nose.speed"][6:14].isnan().all()
    assert_all(found["target.nose.speed"][14:], 0.0)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_windows_of_any_length_have_features(frames):
    values = features(pair(along(0.0, frames=frames), along(9.0, frames=frames)))
    named = dict(zip(NAMES, values[0].T, strict=True))
    assert values.shape == (1, frames, len(NAMES))
    assert_all(named["target.body_center.along"], 9.0)
    assert_all(named["agent.turning"], 0.0)


def test_a_window_without_animals_has_no_features():
    assert features(scene()).isnan().all()


# The agent's frame itself.


def heading_of(front, rear):
    """The heading over time of a body with a nose and a base of its tail."""
    points = torch.stack([torch.tensor(front), torch.tensor(rear)], dim=1)
    keypoints = torch.tensor([KEYPOINTS.index(n) for n in ("nose", "tail_base")])
    return body_axis(points[None], keypoints)[0]


def test_a_body_heads_from_its_rear_to_its_front():
    heading = heading_of([[3.0, 4.0], [0.0, -2.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert_same(heading, torch.tensor([[0.6, 0.8], [0.0, -1.0]]))


def test_while_the_front_is_not_seen_the_heading_turns_evenly_between_its_ends():
    gone = [NAN, NAN]
    heading = heading_of([gone, [5.0, 0.0], gone, [0.0, 5.0], gone], [[0.0, 0.0]] * 5)
    half = math.sqrt(0.5)
    expected = [[1.0, 0.0], [1.0, 0.0], [half, half], [0.0, 1.0], [0.0, 1.0]]
    assert_same(heading, torch.tensor(expected))


def test_where_front_and_rear_coincide_the_heading_is_as_if_unseen():
    heading = heading_of([[0.0, 5.0], [0.0, 0.0], [0.0, 5.0]], [[0.0, 0.0]] * 3)
    assert_same(heading, torch.tensor([[0.0, 1.0]] * 3))


def test_half_way_between_opposite_headings_there_is_still_one():
    heading = heading_of([[0.0, 5.0], [NAN, NAN], [0.0, -5.0]], [[0.0, 0.0]] * 3)
    assert_same(heading.norm(dim=-1), torch.ones(3))


def test_a_body_whose_front_is_never_seen_has_no_heading():
    assert heading_of([[NAN, NAN]] * 3, [[0.0, 0.0]] * 3).isnan().all()


def test_tails_do_not_make_a_heading():
    points = torch.tensor([[[[0.0, 0.0], [5.0, 0.0], [0.0, 99.0]]]])
    names = ("tail_base", "nose", "tail_tip")
    keypoints = torch.tensor([KEYPOINTS.index(name) for name in names])
    assert_same(body_axis(points, keypoints), torch.tensor([[[1.0, 0.0]]]))


def test_vectors_keep_their_length_in_any_frame():
    torch.manual_seed(0)
    vectors = torch.randn(2, 7, 3, 2)
    axis = torch.nn.functional.normalize(torch.randn(2, 7, 2), dim=-1)
    assert_same(into_frame(vectors, axis).norm(dim=-1), vectors.norm(dim=-1))


def test_turning_across_the_back_is_the_short_way_round():
    angle = torch.tensor([[3.0, -3.0, -2.9]])
    axis = torch.stack([angle.cos(), angle.sin()], dim=-1)
    rate = turning_rate(axis, RATE)
    expected = (2 * math.pi - 6) * RATE
    assert_same(rate, torch.tensor([[expected, expected, 0.1 * RATE]]), atol=1e-4)


def test_gaps_are_filled_straight_and_held_at_both_ends():
    x = torch.tensor([NAN, 2.0, NAN, NAN, 5.0, NAN])
    points = torch.stack([x, -x], dim=-1)[None]
    filled = without_gaps(points)[0]
    assert filled[:, 0].tolist() == [2, 2, 3, 4, 5, 5]
    assert filled[:, 1].tolist() == [-2, -2, -3, -4, -5, -5]
