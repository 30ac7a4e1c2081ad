"""Social features, of scenes whose values are known by hand.

A body is 8 cm long: nose 4 cm ahead of its middle, tail base 4 cm behind. Films have
20 frames a second, so that spans are whole frames.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mabe.features.identity_swaps import exchanged_frames
from mabe.features.kinematics import change_over, seconds_since
from mabe.features.landmarks import find_landmarks
from mabe.features.social import LONGEST_WAIT_S, SocialFeatures
from mabe.features.vectors import least
from mabe.skeleton import KEYPOINTS, LANDMARKS, RODENT

RATE = 20.0
NAN = math.nan
BODY_CM = {"nose": 4.0, "body_center": 0.0, "tail_base": -4.0}


@pytest.fixture(autouse=True, scope="module")
def _in_double_precision():
    """So that what has to be equal is equal to many digits."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(usual)


def body(x, y=0.0, *, heading=0.0, frames=40, points=BODY_CM):
    """One animal [time, keypoint, xy] at a place, fixed or a list, heading anywhere."""
    place = torch.stack(
        [torch.as_tensor(value).expand(frames) for value in (x, y)],
        dim=-1,
    )
    ahead = torch.tensor([math.cos(heading), math.sin(heading)])
    animal = torch.full((frames, len(KEYPOINTS), 2), NAN)
    for name, cm in points.items():
        animal[:, KEYPOINTS.index(name)] = place + cm * ahead
    return animal


def film(*animals):
    """One window [1, time, 4, keypoint, xy] with some animals."""
    poses = torch.full((1, len(animals[0]), 4, 18, 2), NAN)
    for number, animal in enumerate(animals):
        poses[0, :, number] = animal
    return poses


def features_of(poses, *, directed=True, max_gap_s=0.5):
    """Signals [time] by name."""
    module = SocialFeatures(rate_fps=RATE, max_gap_s=max_gap_s, directed=directed)
    values = module(poses)
    assert values.shape == (*poses.shape[:2], len(module.names))
    return dict(zip(module.names, values[0].unbind(dim=1), strict=True))


def moving(speed_cm_per_s, start=0.0, frames=40):
    """Where something that moves evenly is, frame by frame."""
    return start + speed_cm_per_s * torch.arange(frames) / RATE


def close(signal, expected):
    np.testing.assert_allclose(
        signal, np.broadcast_to(expected, signal.shape), atol=1e-9
    )


@pytest.fixture
def chase():
    """The agent runs along x at 10 cm/s; the target flees at 20 cm/s, 15 cm ahead."""
    return film(body(moving(10)), body(moving(20, start=15)))


def random_film(seed, frames=60):
    """Two animals that wander, with points missing here and there."""
    rng = torch.Generator().manual_seed(seed)
    steps = torch.randn((1, frames, 4, 18, 2), generator=rng)
    offset = 8 * torch.randn((1, 1, 4, 18, 2), generator=rng)
    poses = steps.cumsum(dim=1) + offset
    hidden = torch.rand(poses.shape[:-1], generator=rng) < 0.3
    poses = poses.masked_fill(hidden[..., None], NAN)
    poses[:, :, 2:] = NAN
    return poses


def test_the_chaser_approaches_although_the_gap_grows(chase):
    told = features_of(chase)

    close(told["agent.approach_cm_per_s"], 10)
    close(told["target.approach_cm_per_s"], -20)
    close(told["gap_change_cm_per_s"], 10)
    close(told["gap_trend_cm_per_s"], 10)
    close(told["chase_cm_per_s"], 10)


def test_coming_together_is_no_chase():
    told = features_of(film(body(moving(10)), body(moving(-5, start=60))))

    close(told["chase_cm_per_s"], 0)
    close(told["relative_speed_cm_per_s"], 15)
    close(told["velocity_cosine"], -1)


def test_an_agent_behind_its_target_has_its_snout_at_the_rump(chase):
    told = features_of(chase)

    assert told["snout-rump.distance_cm"][0] == pytest.approx(15 - 4 - 4)
    assert told["rump-snout.distance_cm"][0] == pytest.approx(15 + 4 + 4)
    assert told["nearest_cm"][0] == pytest.approx(7)
    assert told["nearest_bodies"][0] == pytest.approx(7 / 8)


def test_the_agent_faces_the_target_that_looks_away(chase):
    told = features_of(chase)

    close(told["agent.facing_cosine"], 1)
    close(told["target.facing_cosine"], -1)
    close(told["heading_cosine"], 1)
    assert told["agent.others_rump_ahead_cm"][0] == pytest.approx(11)
    assert told["target.others_snout_ahead_cm"][0] == pytest.approx(-11)


def test_an_animal_at_the_side_is_aside_and_not_ahead():
    told = features_of(film(body(0), body(0, 10)))

    close(told["agent.others_body_ahead_cm"], 0)
    close(told["agent.others_body_aside_cm"], 10)
    close(told["target.others_body_aside_cm"], 10)
    close(told["agent.facing_cosine"], 0)


def test_without_direction_the_faster_comes_first(chase):
    told = features_of(chase, directed=False)

    close(told["larger.speed_cm_per_s"], 20)
    close(told["smaller.speed_cm_per_s"], 10)
    assert told["larger.others_rump_ahead_cm"][0] == pytest.approx(11)
    assert told["smaller.others_rump_ahead_cm"][0] == pytest.approx(-19)


def test_what_is_known_of_one_animal_alone_is_given_for_both():
    told = features_of(film(body(moving(10))), directed=False)

    close(told["larger.speed_cm_per_s"], 10)
    close(told["smaller.speed_cm_per_s"], 10)
    assert told["gap_cm"].isnan().all()
    close(told["smaller.tracked_landmarks"], 0)


def test_a_bent_body_is_as_long_as_its_way_and_bends():
    bent = body(0)
    bent[:, KEYPOINTS.index("nose")] = torch.tensor([0.0, 4.0])
    told = features_of(film(bent, body(30)))

    close(told["agent.body_length_cm"], 8)
    close(told["agent.bend_cosine"], 0)
    close(told["target.bend_cosine"], 1)


def test_turning_is_in_radians_a_second():
    turns = torch.cat([body(0, heading=0.1 * f, frames=1) for f in range(40)])
    told = features_of(film(turns, body(30)))

    close(told["agent.turning_rad_per_s"][4:], 0.1 * RATE)
    close(told["target.turning_rad_per_s"], 0)


def test_a_contact_is_remembered_and_foreseen():
    distance = torch.full((400,), 30.0)
    distance[100:110] = 9.0  # 1 cm from tail base to nose, an eighth of a body
    told = features_of(film(body(0, frames=400), body(distance, frames=400)))

    close(told["since_contact_s"][:100], LONGEST_WAIT_S)
    close(told["since_contact_s"][100:110], 0)
    assert told["since_contact_s"][129] == pytest.approx(1)
    assert told["since_contact_s"][399] == LONGEST_WAIT_S
    assert told["until_contact_s"][80] == pytest.approx(1)
    close(told["until_contact_s"][110:], LONGEST_WAIT_S)


def test_an_animal_hidden_for_long_is_where_it_was_for_the_gap_alone():
    hidden = body(30)
    hidden[5:35] = NAN
    told = features_of(film(body(0), hidden))

    close(told["gap_cm"], 30)
    close(told["target.tracked_landmarks"][5:35], 0)
    assert told["body-body.distance_cm"][5:35].isnan().all()
    assert told["nearest_cm"][5:35].isnan().all()


def test_short_gaps_are_bridged_and_long_ones_are_not():
    runner = body(moving(10))
    runner[10:20] = NAN
    poses = film(body(-30), runner)

    close(features_of(poses, max_gap_s=0.5)["target.rump_speed_cm_per_s"], 10)
    unbridged = features_of(poses, max_gap_s=0.4)["target.rump_speed_cm_per_s"]
    assert unbridged[8:22].isnan().all()


def test_a_swap_of_identities_changes_nothing_without_direction(chase):
    swapped = chase.clone()
    swapped[:, 13:29] = chase[:, 13:29, [1, 0, 2, 3]]

    told, expected = (features_of(p, directed=False) for p in (swapped, chase))

    for name, signal in expected.items():
        close(told[name].nan_to_num(-99), signal.nan_to_num(-99))


def test_with_direction_a_swap_is_left_as_it_is(chase):
    swapped = chase.clone()
    swapped[:, 13:] = chase[:, 13:, [1, 0, 2, 3]]

    assert features_of(swapped)["snout-rump.distance_cm"][20] > 20


def test_animals_that_only_pass_each_other_are_not_taken_for_swapped():
    passing = film(body(moving(20)), body(moving(-20, start=40), 1.0))
    landmarks = find_landmarks(passing[:, :, :2])

    assert not exchanged_frames(landmarks).any()


def test_stir_does_not_care_whose_landmark_it_is():
    still = film(body(0), body(30))
    mixed = still.clone()
    nose = KEYPOINTS.index("nose")
    mixed[:, ::2, :2, nose] = still[:, ::2, [1, 0], nose]

    close(features_of(mixed)["landmark_speed_cm_per_s"], 0)
    assert features_of(mixed)["agent.snout_speed_cm_per_s"].max() > 100


def test_one_animal_tracked_twice_is_a_feature():
    told = features_of(film(body(0), body(0.5)))

    close(told["doubled_share"], 3 / len(LANDMARKS))


@pytest.mark.parametrize(
    ("points", "landmark", "x"),
    [
        ({"head": 3.0}, "snout", 3.0),
        ({"nose": 4.0, "head": 3.0}, "snout", 4.0),
        ({"ear_left": 2.0, "ear_right": 4.0}, "snout", 3.0),
        ({"nose": 4.0, "tail_base": -6.0}, "body", -1.0),
        ({"lateral_left": -1.0, "lateral_right": 2.0}, "body", 0.5),
        ({"hip_left": -3.0, "hip_right": -2.0}, "rump", -2.5),
        ({"ear_left": 2.0}, "snout", NAN),
    ],
)
def test_absent_parts_are_derived_where_geometry_allows(points, landmark, x):
    found = find_landmarks(film(body(0, points=points)))

    place = found[0, :, 0, LANDMARKS.index(landmark)]
    np.testing.assert_allclose(place[:, 0], np.full(40, x))


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10_000),
    angle=st.floats(0, 2 * math.pi),
    mirrored=st.booleans(),
    directed=st.booleans(),
)
def test_turning_moving_and_mirroring_the_arena_change_nothing(
    seed, angle, mirrored, directed
):
    poses = random_film(seed)
    turn = torch.tensor(
        [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]],
        dtype=torch.float64,
    )
    moved = (
        poses[..., list(RODENT.mirror_order()), :] * torch.tensor([1, -1])
        if mirrored
        else poses
    )
    moved = moved @ turn + torch.tensor([12.0, -7.0])

    told, expected = (features_of(p, directed=directed) for p in (moved, poses))

    for name, signal in expected.items():
        np.testing.assert_allclose(told[name], signal, atol=1e-6, err_msg=name)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_without_direction_the_order_of_the_animals_does_not_matter(seed):
    poses = random_film(seed)

    told = features_of(poses[:, :, [1, 0, 2, 3]], directed=False)

    for name, signal in features_of(poses, directed=False).items():
        np.testing.assert_allclose(told[name], signal, atol=1e-6, err_msg=name)


def test_with_direction_the_roles_are_exchanged_with_the_animals():
    poses = random_film(3)

    there, back = features_of(poses), features_of(poses[:, :, [1, 0, 2, 3]])

    for name in there:
        if name.startswith("agent."):
            other = name.replace("agent.", "target.")
            np.testing.assert_allclose(there[name], back[other], err_msg=name)


@pytest.mark.parametrize("directed", [True, False])
def test_every_feature_has_a_name_of_its_own(directed):
    names = SocialFeatures(rate_fps=RATE, max_gap_s=0.5, directed=directed).names

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_windows_may_be_as_short_as_a_frame(frames):
    told = features_of(film(body(0, frames=frames), body(30, frames=frames)))

    close(told["gap_cm"], 30)
    close(told["agent.speed_cm_per_s"], 0)


def test_a_scene_without_animals_has_no_features_but_counts():
    told = features_of(film(body(0, points={})))

    known = {name for name, signal in told.items() if not signal.isnan().any()}
    assert {name.split(".")[-1] for name in known} == {
        "since_contact_s",
        "until_contact_s",
        "doubled_share",
        "tracked_landmarks",
        "snout_tracked",
    }


@given(
    events=st.lists(st.booleans(), min_size=1, max_size=50),
    longest_s=st.integers(1, 4),
)
def test_time_since_an_event_is_what_the_obvious_loop_says(events, longest_s):
    expected, waited = [], float(longest_s)
    for happens in events:
        waited = 0.0 if happens else min(waited + 1 / RATE, longest_s)
        expected.append(waited)

    told = seconds_since(torch.tensor([events]), RATE, longest_s=longest_s)

    np.testing.assert_allclose(told[0], expected, atol=1e-5)


def test_a_change_is_cut_at_the_ends_and_missing_beside_a_gap():
    values = torch.tensor([[0.0, 1.0, 2.0, NAN, 4.0, 5.0]])

    told = change_over(values, 0.1, RATE)

    np.testing.assert_allclose(told[0], [20, 20, NAN, 20, NAN, 20])


def test_the_least_of_what_is_there():
    values = torch.tensor([[3.0, NAN, 2.0], [NAN, NAN, NAN]])

    np.testing.assert_array_equal(least(values), [2.0, NAN])
