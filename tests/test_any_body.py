"""Bodies that are no rodent's: roles of keypoints, features, and groups of any size."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mabe.bouts import View
from mabe.config import build_config
from mabe.data.pair_windows import NOBODY, from_view, order_animals, order_by_distance
from mabe.data.store import PoseStore, from_recording, open_store
from mabe.data.store_index import write_index
from mabe.features.nearest_pair import NearestPairFeatures
from mabe.features.social import SocialFeatures
from mabe.io.guess_skeleton import guess_skeleton
from mabe.io.skeleton_settings import SkeletonSettings
from mabe.recording import Recording, VideoInfo
from mabe.skeleton import KEYPOINTS, RODENT, PoseLayout, Skeleton, TrackedPoint
from mabe.training.skeleton_of_data import settle_skeleton
from mabe.viz.review.skeleton_drawing import BodyDrawing, find_bones

RATE = 20.0
BODY = {
    "nose": (4.0, 0.0),
    "ear_left": (3.0, 1.0),
    "ear_right": (3.0, -1.0),
    "body_center": (0.0, 0.0),
    "lateral_left": (0.2, 1.5),
    "lateral_right": (0.2, -1.5),
    "hip_left": (-2.5, 1.2),
    "hip_right": (-2.5, -1.2),
    "tail_base": (-4.0, 0.0),
}
"""Where the points of a body are: ahead, and to the left of its centre, in cm."""

FLY = (
    *("head_tip", "eye_L", "eye_R", "thorax", "wing_L", "wing_R"),
    *("haltere_L", "haltere_R", "abdomen_tip"),
)
LETTERS = tuple("abcdefghi")


def walks(animals=1, frames=600, *, seed=0, missing=0.0):
    """Return bodies that turn slowly while they walk ahead, with a little noise."""
    rng = np.random.default_rng(seed)
    turns = rng.normal(0, 0.15, (frames, animals)).cumsum(axis=0)
    heading = turns / 4 + rng.uniform(0, 2 * math.pi, animals)
    ahead = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    left = np.stack([-ahead[..., 1], ahead[..., 0]], axis=-1)
    centre = (ahead * rng.uniform(0.2, 1.0, (frames, animals, 1))).cumsum(axis=0)
    centre = centre + rng.uniform(-20, 20, (animals, 2))
    places = np.array(list(BODY.values()))
    poses = centre[:, :, None] + places[:, :1] * ahead[:, :, None]
    poses = poses + places[:, 1:] * left[:, :, None]
    poses += rng.normal(0, 0.05, poses.shape)
    poses[rng.random(poses.shape[:3]) < missing] = np.nan
    return poses.astype(np.float32)


def recording(poses, keypoints):
    """Return a recording of these poses at 1 pixel per cm."""
    layout = PoseLayout(poses.shape[1], keypoints)
    info = VideoInfo(
        lab="lab",
        video="video",
        fps=RATE,
        pixels_per_cm=1.0,
        watched=(),
        has_labels=True,
        tracking_path=Path(),
        annotation_path=None,
    )
    return Recording(
        info=info,
        slots=np.arange(layout.slots),
        keypoints=keypoints,
        xy_px=poses.reshape(len(poses), -1, 2),
        bouts=(),
    )


def roles(found):
    return {name: found.landmarks[name] for name in ("snout", "neck", "body", "rump")}


# What a keypoint is.


def test_names_of_a_fly_tell_its_front_its_centre_and_its_rear():
    found = guess_skeleton(FLY, [], RATE)

    assert roles(found.skeleton) == {
        "snout": ("head_tip",),
        "neck": ("eye_L+eye_R",),
        "body": ("thorax",),
        "rump": ("abdomen_tip",),
    }
    assert ("wing_L", "wing_R") in found.skeleton.pairs
    assert {each.reason for each in found.guesses} == {"its name"}


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_points_without_names_are_told_by_how_they_lie_and_move(missing):
    poses = [walks(2, seed=seed, missing=missing) for seed in range(3)]

    found = guess_skeleton(LETTERS, poses, RATE).skeleton

    assert roles(found) == {
        "snout": ("a",),
        "neck": found.neck,
        "body": ("d",),
        "rump": ("i",),
    }
    assert set(found.neck[0].split("+")) == {"b", "c"}
    assert {frozenset(pair) for pair in found.pairs} == {
        frozenset("bc"),
        frozenset("ef"),
        frozenset("gh"),
    }
    assert set(found.front) == {"a", "b", "c"}


def test_an_animal_that_never_moves_has_no_front_and_the_guess_says_so():
    poses = walks(1, 300)
    still = np.repeat(poses[:1], 300, axis=0)

    found = guess_skeleton(LETTERS, [still], RATE)

    assert not found.skeleton.has_heading
    assert "front and rear unknown" in found.guesses[-1].what


def test_keypoints_of_rodents_keep_their_roles_beside_further_ones():
    names = (*KEYPOINTS[:5], "tail_base", "forepaw_L", "forepaw_R")

    found = guess_skeleton(names, [], RATE)

    assert found.skeleton.snout == ("nose", "head", "ear_left+ear_right")
    assert found.skeleton.further == ("forepaw_L", "forepaw_R")
    assert found.skeleton.pairs == (
        ("ear_left", "ear_right"),
        ("forepaw_L", "forepaw_R"),
    )
    assert [each.what for each in found.guesses] == [
        "left and right: forepaw_L – forepaw_R"
    ]


def test_roles_in_project_yaml_are_those_of_the_skeleton():
    given = SkeletonSettings(snout="tip", body=["mid"], rump="end", pairs=[["l", "r"]])

    found = given.skeleton(("tip", "mid", "end", "l", "r"))

    assert (found.front, found.rear) == (("tip",), ("mid", "end"))
    assert SkeletonSettings.of(found).plain() == {
        "snout": ["tip"],
        "body": ["mid"],
        "rump": ["end"],
        "front": ["tip"],
        "rear": ["mid", "end"],
        "pairs": [["l", "r"]],
    }


@given(st.permutations(FLY))
def test_the_mirror_of_a_mirror_is_the_skeleton_itself(names):
    order = guess_skeleton(tuple(names), [], RATE).skeleton.mirror_order()
    assert [order[place] for place in order] == list(range(len(names)))


# Poses of any keypoints and any number of animals.


def test_a_store_keeps_nine_points_of_twelve_flies(tmp_path):
    poses = walks(12, 40)
    stored = from_recording(recording(poses, FLY), RATE)
    stored.quantized(0).tofile(tmp_path / "poses-1.i16")
    write_index(
        tmp_path, rate_fps=RATE, poses="poses-1.i16", recordings=stored.recordings
    )

    read = open_store(tmp_path)

    assert read.layout == PoseLayout(12, tuple(sorted(FLY)))
    assert read.recordings[0].tracked_animals == tuple(range(1, 13))
    wing = read.layout.keypoints.index("wing_L")
    expected = poses[:, 11, FLY.index("wing_L")] - read.recordings[0].origin_cm
    np.testing.assert_allclose(
        read.poses_cm(0, 0, 40)[:, 11, wing], expected, atol=0.003
    )


def test_a_model_reads_the_keypoints_that_it_knows_and_misses_the_others():
    stored = from_recording(recording(walks(2, 30), FLY), RATE)

    seen = stored.in_layout(PoseLayout(2, ("thorax", "antenna"))).poses_cm(0, 0, 30)

    assert np.isfinite(seen[:, :, 0]).all()
    assert np.isnan(seen[:, :, 1]).all()


def test_two_data_sets_with_the_same_points_have_the_same_hash_and_others_another():
    poses = walks(2, 30)
    flies, again = recording(poses, FLY), recording(poses.copy(), FLY)

    assert flies.tracking_hash() == again.tracking_hash()
    renamed = recording(poses, tuple(reversed(FLY)))
    assert renamed.tracking_hash() != flies.tracking_hash()


def test_tracked_points_are_named():
    [first, *_, last] = recording(walks(3, 5), FLY).points
    assert first == TrackedPoint(0, "head_tip")
    assert last == TrackedPoint(2, "abdomen_tip")


# Features.


def features_of(names, poses, *, directed):
    """Return the social features of poses under other names, by their names."""
    skeleton = guess_skeleton(names, [poses], RATE).skeleton
    if names == tuple(BODY):
        full = np.full((*poses.shape[:2], len(KEYPOINTS), 2), np.nan, np.float32)
        full[:, :, [KEYPOINTS.index(name) for name in names]] = poses
        poses, skeleton = full, RODENT
    module = SocialFeatures(
        rate_fps=RATE, max_gap_s=0.5, directed=directed, skeleton=skeleton
    )
    values = module(torch.from_numpy(poses)[None])[0].numpy()
    return dict(zip(module.names, values.T, strict=True))


@pytest.mark.parametrize("names", [FLY, LETTERS])
@pytest.mark.parametrize("directed", [False, True])
def test_renamed_points_have_the_features_of_rodents_and_further_ones(names, directed):
    poses = walks(2, 400, seed=3)
    # Flies' names in the order of the body's points.
    order = [list(BODY).index(name) for name in ORDER_OF_FLY]
    named = poses[:, :, order] if names == FLY else poses

    rodent = features_of(tuple(BODY), poses, directed=directed)
    renamed = features_of(names, named, directed=directed)

    assert rodent.keys() < renamed.keys()
    for name, values in rodent.items():
        np.testing.assert_allclose(renamed[name], values, atol=2e-4, err_msg=name)
    further = [name for name in renamed if name not in rodent]
    assert "nearest_point_cm" in further
    assert len(further) > 10


ORDER_OF_FLY = (
    *("nose", "ear_left", "ear_right", "body_center", "lateral_left"),
    *("lateral_right", "hip_left", "hip_right", "tail_base"),
)


@given(st.integers(0, 99), st.floats(0, 2 * math.pi))
@settings(max_examples=15)
def test_further_points_do_not_depend_on_the_camera(seed, angle):
    poses = walks(2, 60, seed=seed)
    turn = np.array([[math.cos(angle), math.sin(angle)]] * 2)
    turn[1] = [-math.sin(angle), math.cos(angle)]
    mirrored = (poses @ turn + 7.0) * [-1.0, 1.0]
    skeleton = guess_skeleton(FLY, [], RATE).skeleton
    module = SocialFeatures(
        rate_fps=RATE, max_gap_s=0.5, directed=True, skeleton=skeleton
    )
    swapped = mirrored[:, :, skeleton.mirror_order()].astype(np.float32)

    before, after = (
        module(torch.from_numpy(each)[None]).numpy() for each in (poses, swapped)
    )

    places = module.groups["further_points"] + module.groups["nearest"]
    np.testing.assert_allclose(after[..., places], before[..., places], atol=2e-2)


def test_a_wing_that_is_spread_is_further_from_its_own_body():
    names = ("head", "thorax", "abdomen", "wing_L", "wing_R")
    still = np.zeros((1, 40, 2, 5, 2), np.float32)
    still[..., 0] = np.array([4, 0, -4, -1, -1])
    still[..., 1] = np.array([0, 0, 0, 1, -1])
    still[:, :, 1, :, 1] += 30
    still[:, 20:, 0, 3, 1] = 5  # the left wing of the first fly
    skeleton = Skeleton(
        keypoints=names,
        snout=("head",),
        body=("thorax",),
        rump=("abdomen",),
        pairs=(("wing_L", "wing_R"),),
    )
    module = SocialFeatures(
        rate_fps=RATE, max_gap_s=0.5, directed=True, skeleton=skeleton
    )

    values = dict(zip(module.names, module(torch.from_numpy(still))[0].T, strict=True))

    apart = values["agent.wing_L/wing_R.aside_difference_cm"]
    assert apart[5].item() == pytest.approx(0.0)
    assert apart[30].item() == pytest.approx(4.0)
    assert values["target.wing_L/wing_R.aside_difference_cm"].max() == 0


def test_a_single_point_heads_where_it_travels():
    frames = np.arange(60, dtype=np.float32)
    poses = np.zeros((1, 60, 2, 1, 2), np.float32)
    poses[0, :, 0, 0, 0] = frames  # eastwards, towards the other
    poses[0, :, 1, 0, 0] = 100 + 0.5 * frames
    skeleton = guess_skeleton(("blob",), [], RATE).skeleton
    module = SocialFeatures(
        rate_fps=RATE, max_gap_s=0.5, directed=True, skeleton=skeleton
    )

    values = dict(zip(module.names, module(torch.from_numpy(poses))[0].T, strict=True))

    assert values["agent.facing_cosine"][30].item() == pytest.approx(1.0)
    assert values["target.facing_cosine"][30].item() == pytest.approx(-1.0)
    assert values["agent.speed_cm_per_s"][30].item() == pytest.approx(RATE, rel=1e-3)


# Groups.


def test_beside_agent_and_target_the_nearest_of_a_group_are_seen():
    poses = np.zeros((10, 12, 1, 2), np.float32)
    poses[:, :, 0, 0] = 10.0 * np.arange(12)

    order = order_by_distance(poses, agent=5)

    assert order_animals(View(5, 12), order) == [4, 11, 3, 5, 2]
    seen = from_view(poses, View(5, 12))
    assert seen[0, :, 0, 0].tolist() == [40, 110, 30, 50, 20]


def test_an_animal_that_is_not_tracked_is_the_last_to_be_seen():
    poses = np.zeros((10, 6, 1, 2), np.float32)
    poses[:, :, 0, 0] = 10.0 * np.arange(6)
    poses[:, 1] = np.nan

    assert order_animals(View(1, 6), order_by_distance(poses, agent=1)) == [
        *(0, 5, 2, 3, 4),
    ]
    alone = order_animals(View(1, 1), order_by_distance(poses, agent=1))
    assert alone == [0, NOBODY, 2, 3, 4]


@given(st.integers(5, 8), st.integers(0, 50))
@settings(max_examples=10)
def test_the_nearest_pair_of_a_group_is_that_of_all_pairs(animals, seed):
    poses = walks(animals, 80, seed=seed)
    full = np.full((1, 80, animals, len(KEYPOINTS), 2), np.nan, np.float32)
    full[0][:, :, [KEYPOINTS.index(name) for name in BODY]] = poses
    module = NearestPairFeatures(rate_fps=RATE, max_gap_s=0.5)
    points = torch.from_numpy(full)

    quick = module(points)

    every = [
        module.social(points[:, :, [a, b]])
        for a in range(animals)
        for b in range(a + 1, animals)
    ]
    gaps = torch.stack([x[..., module.gap] for x in every], dim=-1)
    place = gaps.argmin(dim=-1)[..., None, None]
    slow = torch.stack(every, dim=2).take_along_dim(place, dim=2).squeeze(2)
    torch.testing.assert_close(quick, slow, equal_nan=True)


def test_a_store_of_rodents_has_room_for_the_challenge():
    few = ("nose", "tail_base")
    places = [KEYPOINTS.index(name) for name in few]
    poses = walks(2, 10)[:, :, [0, 8]]
    one = replace(
        recording(poses, few),
        slots=np.array([*places, *(len(KEYPOINTS) + place for place in places)]),
        keypoints=KEYPOINTS,
    )

    store = from_recording(one, RATE)

    assert isinstance(store, PoseStore)
    assert store.layout == PoseLayout()
    assert store.poses_cm(0, 0, 10).shape == (10, 4, 18, 2)


def test_a_fly_is_drawn_along_its_body_with_its_wings_at_the_thorax():
    bones = find_bones(FLY)
    assert ("head_tip", "thorax") in bones
    assert ("thorax", "abdomen_tip") in bones
    assert ("thorax", "wing_L") in bones
    assert find_bones(LETTERS) == []


@pytest.mark.parametrize("names", [FLY, LETTERS])
def test_the_front_of_each_animal_is_marked_by_names_or_else_by_movements(names):
    # LETTERS are the points of BODY in order, and an animal travels towards its nose.
    one = recording(walks(2, 600), names)

    drawing = BodyDrawing.of(from_recording(one, RATE), 0)

    foremost = {FLY: "head_tip", LETTERS: "a"}[names]
    at = [place for place, name in enumerate(names * 2) if name == foremost]
    assert drawing.fronts == [[place] for place in at]
    assert len(drawing.bones) >= 4


def test_no_front_is_marked_where_nothing_tells_it():
    still = np.tile(walks(1, 1), (300, 1, 1, 1))
    drawing = BodyDrawing.of(from_recording(recording(still, LETTERS), RATE), 0)
    assert drawing.fronts == []


def test_mice_and_flies_in_one_data_set_meet_in_their_roles(tmp_path):
    poses = walks(2, 300)
    order = [list(BODY).index(name) for name in ORDER_OF_FLY]
    mice = tuple(name for name in KEYPOINTS if name in BODY)
    of_mice = poses[:, :, [list(BODY).index(name) for name in mice]]
    stores = [
        from_recording(recording(each, names), RATE)
        for each, names in ((of_mice, mice), (poses[:, :, order], FLY))
    ]
    both = np.concatenate([store.quantized(0).ravel() for store in stores])
    records = [store.recordings[0] for store in stores]
    records[1] = replace(records[1], offset=records[0].values, video="flies")
    store = PoseStore(
        root=tmp_path, rate_fps=RATE, recordings=tuple(records), poses=both
    )
    config = build_config(
        {"data_dir": tmp_path, "feature_set": "social", "task": "pair"}, where="here"
    )

    settled, told = settle_skeleton(config, store)

    assert settled.body.snout[0] == "nose"
    assert settled.body.snout[-1] == "head_tip"
    assert settled.body.rump == ("tail_base", "hip_left+hip_right", "abdomen_tip")
    assert any("thorax" in line for line in told)
    seen = store.in_layout(PoseLayout(4, settled.body.keypoints))
    module = SocialFeatures(
        rate_fps=RATE, max_gap_s=0.5, directed=True, skeleton=settled.body
    )
    mouse, fly = (
        module(torch.from_numpy(seen.poses_cm(index, 0, 300)[None])) for index in (0, 1)
    )
    facing = module.groups["facing"]
    torch.testing.assert_close(mouse[..., facing], fly[..., facing], atol=0.02, rtol=0)


def test_a_pair_of_wings_alone_is_no_front_and_rear():
    poses = [walks(2, seed=seed)[:, :, [4, 5]] for seed in range(3)]
    found = guess_skeleton(("wing_L", "wing_R"), poses, RATE)
    assert not found.skeleton.has_heading
    assert "front and rear unknown" in found.guesses[-1].what


def test_names_tell_what_a_rodents_names_leave_open():
    found = guess_skeleton(("nose", "body_center", "peduncle", "tail_fin"), [], RATE)
    assert found.skeleton.snout == ("nose",)
    assert found.skeleton.rump == ("peduncle",)
    assert found.skeleton.tip == ("tail_fin",)
    assert [str(each) for each in found.guesses] == [
        "tip: tail_fin (its name)",
        "rump: peduncle (its name)",
    ]


def test_given_roles_may_be_spelled_as_the_lab_does_and_unknown_ones_are_named():
    given = SkeletonSettings(snout="Nose", rump="tailbase", body="middel")
    keypoints = ("nose", "tail_base", "wing_L")
    assert given.skeleton(keypoints).snout[0] == "nose"
    assert given.skeleton(keypoints).rump == ("tail_base",)
    assert given.unknown(keypoints) == ["middel"]


def test_roles_given_for_flies_leave_mice_theirs():
    given = SkeletonSettings(snout="head_tip", body="thorax", rump="abdomen_tip")
    both = given.skeleton((*KEYPOINTS, *FLY))
    assert both.snout[0] == "head_tip"
    assert "nose" in both.snout
    assert "tail_base" in both.rump
