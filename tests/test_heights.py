"""Poses of three dimensions: from files to features, models and their predictions."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mabe.bouts import View
from mabe.cli.main import main
from mabe.config import Augmentation, build_config
from mabe.data import prepare_parts
from mabe.data.clips import Clips, read_clips
from mabe.data.poses_in_cm import STEP_CM
from mabe.data.prepare import load_store, prepare
from mabe.data.store import from_recording, open_store
from mabe.features.directed import directed_features
from mabe.features.heights import HeightFeatures
from mabe.inference.frame_probabilities import (
    Tracks,
    in_layout_of,
    view_probabilities,
)
from mabe.inference.tta import Variant
from mabe.io.project import Project, load_project
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.io.readers.poses import Poses
from mabe.io.standardize import standardize, to_recording
from mabe.models.checkpoint import load_checkpoint
from mabe.models.ensemble import Ensemble
from mabe.skeleton import KEYPOINTS, RODENT, PoseLayout
from mabe.training.augmentation import RandomNumbers, augment, draw_changes
from mabe.training.gpu_poses import ResidentPoses
from mabe.training.run import train
from mabe.training.skeleton_of_data import settle_skeleton

FPS = 10.0
SCALE = 10.0
FRAMES = 900
NAMES = ("nose", "body_center", "tail_base")
FLOOR_PX = 35.0
"""Where the floor is on the trackers' z."""


def rears(number):
    """Bouts (start, stop) in which the mouse rears, of 1 to 3 s."""
    random = np.random.default_rng(number)
    starts = (
        np.arange(20, FRAMES - 60, 60)
        + random.integers(0, 25, 14)[: len(range(20, FRAMES - 60, 60))]
    )
    return [(int(a), int(a + random.integers(10, 30))) for a in starts]


def walk(number):
    """A mouse that walks about, ``[time, keypoint, xyz]`` in px; rearing is in z alone.

    In a real picture a rearing mouse becomes shorter. Here nothing in x and y tells.
    """
    time = np.arange(FRAMES) / FPS
    x = 300 + 270 * np.sin(0.23 * time + number)
    y = 250 + 220 * np.sin(0.31 * time + 2 * number)
    body = np.column_stack([x, y])
    ahead = np.gradient(body, axis=0)
    ahead *= 25 / np.linalg.norm(ahead, axis=1, keepdims=True)
    xy = np.stack([body + ahead, body, body - ahead], axis=1)
    up = np.zeros(FRAMES)
    for start, stop in rears(number):
        up[start:stop] = 1
    z = FLOOR_PX + np.outer(up, [60, 30, 0]) + [12, 15, 5]
    xyz = np.concatenate([xy, z[..., None]], axis=-1)
    return xyz + np.random.default_rng(number).normal(0, 1, xyz.shape)


def write_film(folder, number, *, axes="xyz", labels=True, xyz=None):
    """Write tracks with some axes, and labels of rearing."""
    xyz = walk(number) if xyz is None else xyz
    columns = {
        "frame": np.repeat(np.arange(len(xyz)), len(NAMES)),
        "individual": ["mouse"] * len(xyz) * len(NAMES),
        "keypoint": list(NAMES) * len(xyz),
    }
    columns |= {a: xyz[:, :, "xyz".index(a)].reshape(-1) for a in axes}
    pl.DataFrame(columns).write_parquet(folder / f"day{number}.parquet")
    if labels:
        rows = "".join(f"mouse,self,rear,{a},{b}\n" for a, b in rears(number))
        head = "agent,target,action,start_frame,stop_frame\n"
        (folder / f"day{number}_bouts.csv").write_text(head + rows)


def import_films(folder, numbers=range(4), axes="xyz", **project):
    for number in numbers:
        write_film(folder, number, axes=axes if isinstance(axes, str) else axes[number])
    text = yaml.safe_dump({"fps": FPS, "pixels_per_cm": SCALE} | project)
    (folder / "project.yaml").write_text(text)
    assert main(["import", str(folder), "--out", str(folder / "data")]) == 0
    return folder / "data"


def train_on(data, **changes):
    values = {
        "data_dir": str(data),
        "store_dir": str(data.parent / "store"),
        "checkpoint_dir": str(data.parent / "run"),
        "task": "pair",
        "model_type": "trees",
        "feature_set": "social",
        "fps": FPS,
        "tree_rounds": 20,
        "tree_min_rows": 20,
        "device": "cpu",
        "num_workers": 1,
    }
    return train(build_config(values | changes, where="test"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four films of the story, imported."""
    return import_films(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def store(data):
    return load_store(data, rate_fps=FPS, store_dir=data.parent / "store")


@pytest.fixture(scope="module")
def trained(data):
    return train_on(data)


@pytest.fixture(scope="module")
def new_films(tmp_path_factory):
    """Two films without labels."""
    folder = tmp_path_factory.mktemp("new")
    for number in (10, 11):
        write_film(folder, number, labels=False)
    (folder / "project.yaml").write_text("fps: 10\npixels_per_cm: 10\n")
    return folder


def predict(run, folder, out):
    assert main(["predict", str(run.model_path), str(folder), "--out", str(out)]) == 0
    return pl.read_csv(out / "bouts.csv")


def frame_f1(found, numbers):
    """F1 of the frames in which the mouse rears, over some films."""
    counts = np.zeros(3, int)
    for number in numbers:
        real, said = np.zeros((2, FRAMES), bool)
        for start, stop in rears(number):
            real[start:stop] = True
        rows = found.filter(pl.col("video").cast(pl.String) == f"day{number}")
        for start, stop in rows.select("start_frame", "stop_frame").iter_rows():
            said[start:stop] = True
        counts += [(real & said).sum(), real.sum(), said.sum()]
    return 2 * counts[0] / max(1, counts[1] + counts[2])


def test_an_action_that_only_height_shows_is_learned_with_it(
    trained, new_films, tmp_path
):
    found = predict(trained, new_films, tmp_path / "out")

    assert load_checkpoint(trained.model_path).model.config.heights
    assert frame_f1(found, (10, 11)) > 0.95


@pytest.fixture(scope="module")
def trained_flat(tmp_path_factory):
    return train_on(import_films(tmp_path_factory.mktemp("flat"), vertical="none"))


def test_and_not_without_it(trained_flat, new_films, tmp_path):
    found = predict(trained_flat, new_films, tmp_path / "out")

    assert not load_checkpoint(trained_flat.model_path).model.config.heights
    assert frame_f1(found, (10, 11)) < 0.6


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_models_with_and_without_heights_predict_together(
    trained, trained_flat, store, order
):
    runs = trained, trained_flat
    members = [load_checkpoint(runs[at].model_path).model for at in order]

    def probabilities(model):
        tracks = Tracks.of_stored(in_layout_of(model, store), 0)
        return view_probabilities(model, tracks, View(1, 1), "lab")

    each = [probabilities(member) for member in members]
    assert np.abs(each[0] - each[1]).max() > 0.1
    together = probabilities(Ensemble.of(members))
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-6)


def test_a_network_learns_it_too(data, new_films, tmp_path):
    run = train_on(
        data,
        model_type="conv_gru",
        gru_width=16,
        epochs=3,
        steps_per_epoch=30,
        batch_size=8,
        sequence_length=40,
        checkpoint_dir=str(tmp_path / "run"),
    )
    found = predict(run, new_films, tmp_path / "out")

    assert load_checkpoint(run.model_path).model.config.heights
    assert frame_f1(found, (10, 11)) > 0.8


def test_a_film_without_z_is_refused_in_one_sentence(trained, tmp_path, capsys):
    write_film(tmp_path, 10, axes="xy", labels=False)
    (tmp_path / "project.yaml").write_text("fps: 10\npixels_per_cm: 10\n")
    command = ["predict", str(trained.model_path), str(tmp_path), "--out"]

    assert main([*command, str(tmp_path / "out")]) != 0
    assert "its tracks have two dimensions, and the model was trained on three" in (
        capsys.readouterr().err
    )


def test_where_only_some_films_have_z_x_and_y_are_used_and_it_is_said(tmp_path, capsys):
    data = import_films(tmp_path, numbers=range(3), axes=["xyz", "xy", "xyz"])
    run = train_on(data)

    assert (
        "heights: not used, as 1 of 3 recordings lack them" in capsys.readouterr().out
    )
    assert not load_checkpoint(run.model_path).model.config.heights


def test_a_model_made_from_one_without_heights_has_none_either(data, trained):
    """Else its features would be others, and it would refuse what the other takes."""
    config = build_config(
        {"data_dir": data, "task": "pair", "feature_set": "social", "fps": FPS},
        where="test",
    )
    store = load_store(data, rate_fps=FPS)
    assert settle_skeleton(config, store)[0].heights
    for source in ("from_model", "teacher"):
        made_from = config.changed(**{source: trained.model_path})
        settled, told = settle_skeleton(made_from, store)
        assert not settled.heights
        assert "the model that this one is made from has none" in told[0]


def test_an_import_says_that_z_is_taken_to_point_up(data, capsys):
    assert main(["inspect", str(data.parent / "day0.parquet")]) == 0
    assert "three dimensions: z is taken to point up" in capsys.readouterr().out
    text = (data / "project.yaml").read_text()
    assert "x, y and heights  (z is taken to point up" in text


def test_import_writes_z_and_a_store_keeps_heights_above_the_floor(store, data):
    info = read_index(data)[0]
    recording = read_recording(info)
    again = open_store(store.root)

    assert recording.z_px is not None
    np.testing.assert_allclose(recording.z_px, walk(0)[..., 2], atol=1e-3)
    assert again.recordings == store.recordings
    floor = np.percentile(walk(0)[..., 2], 1) / SCALE
    assert again.recordings[0].floor_cm == pytest.approx(floor, abs=0.01)
    poses = in_3d(again).inputs_cm(0, 0, FRAMES)[:, 0]
    nose = poses[:, KEYPOINTS.index("nose"), 2]
    np.testing.assert_allclose(nose, walk(0)[:, 0, 2] / SCALE - floor, atol=STEP_CM)


def test_a_store_of_a_version_that_did_not_read_heights_is_made_again(
    data, tmp_path, monkeypatch
):
    make = partial(prepare, data, tmp_path / "store", rate_fps=FPS, progress=False)
    with monkeypatch.context() as older:
        older.setattr(prepare_parts, "_READS", 1)
        older.setattr(prepare_parts, "has_heights", lambda path: False)
        older.setattr(
            prepare_parts,
            "read_recording",
            lambda info: replace(read_recording(info), z_px=None),
        )
        assert not make().recordings[0].has_heights
    assert make().recordings[0].has_heights


def in_3d(store):
    return store.in_layout(PoseLayout(has_heights=True))


def test_what_does_not_ask_for_heights_reads_x_and_y_alone(store):
    assert store.poses_cm(0, 0, 5).shape[-1] == 2
    assert store.quantized(0).flags.c_contiguous


def test_clips_of_a_store_with_heights_have_x_and_y_as_without(store):
    clips = Clips(
        np.array([0, 1]), np.array([3, FRAMES - 5]), 12, np.array([[0, -1], [0, -1]])
    )
    for length in (12, 9):
        plain, full = (
            read_clips(each, clips, length) for each in (store, in_3d(store))
        )
        np.testing.assert_array_equal(plain, full[..., :2])
        np.testing.assert_array_equal(np.isnan(full[..., 2]), np.isnan(plain[..., 0]))
        resident = ResidentPoses(store, torch.device("cpu"))
        np.testing.assert_allclose(resident.read(clips, length).numpy(), plain)


def recording_of(xyz, **project):
    """A recording of one mouse, from ``[time, keypoint, xyz]``."""
    poses = Poses(
        xyz[:, None, :, :2].astype(np.float32),
        z_px=xyz[:, None, :, 2].astype(np.float32),
        keypoints=NAMES,
        fps=FPS,
        pixels_per_cm=SCALE,
    )
    standard = standardize(poses, Project(**project))
    return to_recording(standard, Path("film"), lab="lab")


@pytest.mark.parametrize(
    ("vertical", "order", "side"),
    [
        ("z", "xyz", 1),
        ("-z", "xyz", -1),
        ("y", "xzy", 1),
        ("-y", "xzy", -1),
        ("x", "yzx", 1),
        ("-x", "yzx", -1),
    ],
)
def test_any_axis_may_point_up(vertical, order, side):
    """`order` is which axis of the file is which of the story's x, y and height."""
    true = walk(0)[:50]
    turned = np.empty_like(true)
    for own, axis in enumerate(order):
        turned[..., "xyz".index(axis)] = true[..., own] * (side if own == 2 else 1)
    recording = recording_of(turned, vertical=vertical)

    np.testing.assert_allclose(recording.xy_px, true[..., :2], rtol=1e-6)
    np.testing.assert_allclose(recording.z_px, true[..., 2], rtol=1e-6)


def test_points_without_z_leave_x_and_y():
    xyz = walk(0)[:50]
    xyz[7, 1, 2] = np.nan
    recording = recording_of(xyz)

    assert recording.z_px is None
    assert (
        "three dimensions: x and y are used: 1 point without z (0.7 %)"
        in recording.notes
    )


def test_a_height_out_of_reach_is_missing_and_it_is_said():
    xyz = walk(0)
    xyz[500, 0, 2] += 200 * SCALE  # 2 m above the floor
    [stored] = from_recording(recording_of(xyz), FPS).recordings
    assert "1 point without a height, or over 164 cm above the floor" in stored.notes[1]
    [usual] = from_recording(recording_of(walk(0)), FPS).recordings
    assert len(usual.notes) == 1  # z is taken to point up


def test_z_that_is_left_out_by_the_project_is_no_guess(tmp_path, capsys):
    folder = tmp_path / "films"
    folder.mkdir()
    write_film(folder, 0)
    words = ["import", str(folder), "--out", str(tmp_path / "out")]
    (folder / "project.yaml").write_text("vertical: none\nfps: 10\npixels_per_cm: 10\n")
    assert main(words) == 0
    assert "z is left out" not in capsys.readouterr().out
    assert "z is left out" not in (tmp_path / "out/project.yaml").read_text()


def test_a_vertical_that_is_no_axis_is_refused(tmp_path):
    (tmp_path / "project.yaml").write_text("vertical: up\n")
    with pytest.raises(Exception, match="vertical"):
        load_project(tmp_path)


@pytest.mark.parametrize("lift", [-500.0, 3.25, 1e4])
def test_heights_do_not_depend_on_where_the_floor_is(lift):
    xyz = walk(1)[:200]
    raised = xyz + np.array([0, 0, lift])
    plain, moved = (
        in_3d(from_recording(recording_of(each), FPS)).inputs_cm(0, 0, 200)
        for each in (xyz, raised)
    )

    np.testing.assert_array_equal(plain[..., :2], moved[..., :2])
    np.testing.assert_allclose(plain[..., 2], moved[..., 2], atol=1.01 * STEP_CM)


poses_3d = st.integers(0, 2**32 - 1)
BODY = {"rate_fps": 30.0, "max_gap_s": 0.5}


def some_poses(seed):
    """Two mice that wander; some points are missing."""
    random = np.random.default_rng(seed)
    steps = random.normal(0, 0.3, (1, 40, 2, len(KEYPOINTS), 3))
    poses = np.cumsum(steps, axis=1) + random.normal(0, 5, (1, 1, 2, 1, 3))
    poses[..., 2] = np.abs(poses[..., 2])
    poses[random.random(poses.shape[:-1]) < 0.1] = np.nan
    return torch.from_numpy(poses.astype(np.float32))


@settings(max_examples=20, deadline=None)
@given(poses_3d)
def test_features_of_x_and_y_are_the_same_beside_heights(seed):
    poses = some_poses(seed)
    plain = directed_features(**BODY)
    both = directed_features(**BODY, heights=True)

    assert both.names[: len(plain.names)] == plain.names
    torch.testing.assert_close(
        both(poses)[..., : len(plain.names)],
        plain(poses[..., :2].contiguous()),
        rtol=0,
        atol=0,
        equal_nan=True,
    )


@settings(max_examples=20, deadline=None)
@given(poses_3d, st.floats(0, 7), st.booleans())
def test_features_of_heights_depend_on_no_side_and_direction(seed, turn, mirror):
    poses = some_poses(seed)
    features = HeightFeatures(**BODY)
    changed = Variant(mirror=mirror, turn=turn).of(poses, RODENT)
    moved = changed + torch.tensor([12.0, -30.0, 0.0])

    torch.testing.assert_close(
        features(moved), features(poses), rtol=1e-3, atol=1e-3, equal_nan=True
    )


def feature(features, poses, name):
    return features(poses)[0, :, features.names.index(name)]


def test_a_mouse_that_rises_has_a_pitch_and_a_vertical_speed():
    """Its nose rises at 3 cm/s from 0 to 6 cm; its tail base stays, 6 cm behind."""
    time = torch.arange(60) / 30
    poses = torch.full((1, 60, 2, len(KEYPOINTS), 3), torch.nan)
    poses[0, :, 0, KEYPOINTS.index("nose")] = torch.stack(
        [torch.full((60,), 6.0), torch.zeros(60), 3 * time], dim=1
    )
    poses[0, :, 0, KEYPOINTS.index("tail_base")] = 0.0
    features = HeightFeatures(**BODY)

    rise = feature(features, poses, "agent.snout_rise_cm_per_s")
    np.testing.assert_allclose(rise.numpy()[3:-3], 3.0, rtol=1e-4)
    pitch = feature(features, poses, "agent.trunk_pitch_rad")
    np.testing.assert_allclose(pitch, np.arctan2(3 * time.numpy(), 6), atol=1e-5)
    long = feature(features, poses, "agent.trunk_length_cm")
    np.testing.assert_allclose(long, np.hypot(3 * time.numpy(), 6), rtol=1e-5)


def test_an_animal_that_stands_on_another_is_near_in_the_picture_alone():
    poses = torch.zeros((1, 9, 2, len(KEYPOINTS), 3))
    poses[0, :, 1, :, 2] = 4.0
    features = directed_features(**BODY, heights=True)

    nearest = feature(features, poses, "nearest_cm")
    np.testing.assert_allclose(nearest, 0.0)
    in_space = feature(features, poses, "nearest_point_3d_cm")
    np.testing.assert_allclose(in_space, 4.0)
    above = feature(features, poses, "snout-body.above_cm")
    np.testing.assert_allclose(above, -4.0)


def test_augmentation_leaves_heights_with_their_points():
    """Every point's height is told by its x; only stretches change it."""
    random = np.random.default_rng(0)
    poses = torch.from_numpy(random.uniform(1, 9, (8, 5, 4, len(KEYPOINTS), 3)))
    poses[:4, :, 2:] = torch.nan
    poses[..., 2] = poses[..., :2].norm(dim=-1)
    how = Augmentation(
        turn=True,
        mirror=True,
        scale=0.2,
        shift_cm=0.0,
        noise_cm=0.0,
        reorder_animals=True,
        keypoint_dropout=0.2,
        animal_dropout=0.5,
    )
    dice = RandomNumbers(torch.Generator().manual_seed(0))
    shape = poses[..., :2].shape
    changed = augment(poses.float(), draw_changes(shape, how, dice))

    assert torch.isnan(changed[..., 0]).sum() > torch.isnan(poses[..., 0]).sum()
    torch.testing.assert_close(
        changed[..., 2],
        changed[..., :2].norm(dim=-1),
        rtol=1e-4,
        atol=1e-4,
        equal_nan=True,
    )
