"""Objects as targets of actions: from project.yaml to models and their predictions."""

import json

import numpy as np
import polars as pl
import pytest
import yaml

from mabe.bouts import View, Watched
from mabe.cli.main import main
from mabe.config import build_config
from mabe.data.pair_windows import from_view
from mabe.data.prepare import load_store
from mabe.data.sources import find_sources, read_pose_file
from mabe.data.store import from_recording, open_store
from mabe.errors import ConfigError, DataError
from mabe.experiments.auto_recipe import rate_for_objects
from mabe.features.target_point import TargetPointFeatures
from mabe.inference.frame_probabilities import in_layout_of
from mabe.io.project import Project, dump_project, load_project
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.io.writers.zones_csv import write_zones
from mabe.models.checkpoint import load_checkpoint
from mabe.models.input_contract import InputContract
from mabe.pair_task import OBJECT_FPS, PairTask, all_views
from mabe.training.run import train
from mabe.zones import Polygon, Zone

FPS = 25.0
SCALE = 10.0
CUP, LEVER = (100.0, 100.0), (300.0, 100.0)


def walk(number, seconds=40):
    """A mouse that walks to and fro between two objects, [time, keypoint, 2] in px.

    It explores an object while its nose is nearer than 3 cm.
    """
    time = np.arange(int(seconds * FPS)) / FPS
    nose_x = 200 + 110 * np.sin(0.6 * time + number)
    ahead = np.sign(np.gradient(nose_x)) * 20
    nose = np.column_stack([nose_x, np.full(len(time), 95.0)])
    xy = np.stack([nose, nose - np.column_stack([ahead, 0 * ahead])], axis=1)
    return xy + np.random.default_rng(number).normal(0, 0.5, xy.shape)


def explores(xy):
    """Bouts (target, start, stop) of the story."""
    bouts = []
    for name, place in (("cup", CUP), ("lever", LEVER)):
        near = np.linalg.norm(xy[:, 0] - place, axis=1) < 3 * SCALE
        edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
        bouts += [(name, int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    return bouts


def write_recording(folder, number, *, labels=True):
    """Write the tracks as a long table; objects are individuals of one point."""
    xy = walk(number)
    rows = {"frame": [], "individual": [], "keypoint": [], "x": [], "y": []}

    def add(individual, keypoint, points):
        rows["frame"] += range(len(points))
        rows["individual"] += [individual] * len(points)
        rows["keypoint"] += [keypoint] * len(points)
        rows["x"] += points[:, 0].tolist()
        rows["y"] += points[:, 1].tolist()

    add("mouse", "nose", xy[:, 0])
    add("mouse", "body_center", xy[:, 1])
    for name, place in (("cup", CUP), ("lever", LEVER)):
        add(name, "body_center", np.tile(place, (len(xy), 1)))
    pl.DataFrame(rows).write_parquet(folder / f"day{number}.parquet")
    if labels:
        table = "".join(f"mouse,{t},explore,{a},{b}\n" for t, a, b in explores(xy))
        head = "agent,target,action,start_frame,stop_frame\n"
        (folder / f"day{number}_bouts.csv").write_text(head + table)


SETTINGS = {
    "fps": FPS,
    "pixels_per_cm": SCALE,
    "objects": ["cup", "lever"],
    "actions": {"explore": {"target": "other"}},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five recordings of the story, imported."""
    folder = tmp_path_factory.mktemp("lab")
    for number in range(1, 6):
        write_recording(folder, number)
    (folder / "project.yaml").write_text(yaml.safe_dump(SETTINGS))
    out = folder / "data"
    assert main(["import", str(folder), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def store(data):
    return load_store(data, rate_fps=FPS, store_dir=data.parent / "store")


@pytest.fixture(scope="module")
def trained(data):
    config = build_config(
        {
            "data_dir": str(data),
            "store_dir": str(data.parent / "store"),
            "checkpoint_dir": str(data.parent / "run"),
            "task": "pair",
            "model_type": "trees",
            "feature_set": "social",
            "fps": FPS,
            "tree_rounds": 30,
            "tree_min_rows": 20,
            "device": "cpu",
            "num_workers": 1,
        },
        where="test",
    )
    return train(config)


def test_naming_the_objects_is_all_that_an_import_needs(data):
    info = read_index(data)[0]

    assert info.animals == ("mouse", "cup", "lever")
    assert info.objects == (2, 3)
    assert info.watched == (Watched(1, 2, "explore"), Watched(1, 3, "explore"))
    assert {(b.agent, b.target) for b in read_recording(info).bouts} == {(1, 2), (1, 3)}


def test_the_project_of_an_import_can_be_used_again(data, tmp_path):
    again = tmp_path / "again"
    written = load_project(data / "project.yaml")
    (tmp_path / "project.yaml").write_text(dump_project(written))
    for path in data.parent.glob("day1*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())

    assert main(["import", str(tmp_path), "--out", str(again)]) == 0
    assert read_index(again)[0].objects == (2, 3)


def test_objects_are_targets_and_never_agents(store):
    recording = store.recordings[0]

    assert recording.tracked_animals == (1,)
    assert all_views(recording) == [View(1, 1), View(1, 2), View(1, 3)]
    assert set(PairTask.from_recordings(store.recordings).choices(recording)) == {
        View(1, 2),
        View(1, 3),
    }


def test_objects_are_not_counted_as_animals(store):
    assert InputContract.of(store.recordings).animals == (1,)


def test_a_view_has_its_object_as_target_and_no_other_object(store):
    poses = store.poses_cm(0, 0, 10)
    seated = from_view(poses, View(1, 3), store.recordings[0].objects)

    np.testing.assert_array_equal(seated[:, 0], poses[:, 0])
    np.testing.assert_array_equal(seated[:, 1], poses[:, 2])
    assert np.isnan(seated[:, 2:]).all()


def test_a_scene_does_not_contain_objects(store):
    scene = store.in_layout(store.layout, objects=False)

    assert np.isnan(scene.poses_cm(0, 0, 10)[:, 1:]).all()
    np.testing.assert_array_equal(
        scene.poses_cm(0, 0, 10)[:, 0], store.poses_cm(0, 0, 10)[:, 0]
    )


def test_predicting_on_the_labs_own_files_finds_the_same_objects(data, store):
    project = load_project(data.parent / "project.yaml")
    read = read_pose_file(
        data.parent / "day1.parquet", 0, project, usual_fps=FPS, name="day1"
    )
    [stored] = from_recording(read, FPS).recordings

    assert read.info.objects == (2, 3)
    assert stored.tracking_hash == store.recordings[0].tracking_hash


def test_a_recordings_own_objects_rate_and_scale_are_used_in_prediction(data, tmp_path):
    """Day1 has a bell too, and was filmed at another rate and scale."""
    (tmp_path / "day1.parquet").write_bytes((data.parent / "day1.parquet").read_bytes())
    own = {"objects": {"bell": [250.0, 120.0]}, "fps": 20.0, "pixels_per_cm": 8.0}
    settings = SETTINGS | {"recordings": {"day1": own}}
    (tmp_path / "project.yaml").write_text(yaml.safe_dump(settings))
    assert main(["import", str(tmp_path), "--out", str(tmp_path / "data")]) == 0
    imported = read_recording(read_index(tmp_path / "data")[0])

    [source] = find_sources(tmp_path / "day1.parquet", rate_fps=FPS)
    read = source.read()
    assert (read.info.fps, read.info.pixels_per_cm) == (20.0, 8.0)
    assert read.info.objects == imported.info.objects == (2, 3, 4)
    bell = read.xy_px[:, [point.animal for point in read.points].index(3)]
    np.testing.assert_allclose(bell, np.tile([250.0, 120.0], (len(bell), 1)))
    assert read.tracking_hash() == imported.tracking_hash()


def test_trees_learn_which_object_is_explored(trained, store):
    model = load_checkpoint(trained.model_path).model

    assert trained.macro_f1 > 0.9
    assert model.config.object_targets
    assert model.block_frames == 1
    assert in_layout_of(model, store).has_objects
    some = TargetPointFeatures(rate_fps=FPS, max_gap_s=0.5).names
    assert set(some) <= set(model.features.names)


def test_predictions_name_the_objects(trained, data, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    write_recording(new, 9, labels=False)
    (new / "project.yaml").write_text(yaml.safe_dump(SETTINGS))
    out = tmp_path / "out"

    command = ["predict", str(trained.model_path), str(new), "--out", str(out)]
    assert main(command) == 0
    found = pl.read_csv(out / "bouts.csv")

    assert set(found["agent"]) == {"mouse"}
    assert set(found["target"]) == {"cup", "lever"}
    expected = explores(walk(9))
    assert len(found) == pytest.approx(len(expected), abs=2)


def test_the_working_rate_is_that_of_the_recordings(store):
    assert rate_for_objects(store.recordings) == {"fps": FPS}
    assert rate_for_objects([]) == {}
    assert OBJECT_FPS >= FPS


def test_objects_are_read_from_a_track_of_one_animal_and_from_places(tmp_path):
    xy = walk(1)
    columns = {
        ("mouse", "nose"): xy[:, 0],
        ("mouse", "body_center"): xy[:, 1],
        ("mouse", "obj_1"): np.tile(CUP, (len(xy), 1)),
    }
    rows = [
        (frame, individual, keypoint, *point)
        for (individual, keypoint), points in columns.items()
        for frame, point in enumerate(points.tolist())
    ]
    names = ["frame", "individual", "keypoint", "x", "y"]
    path = tmp_path / "day1.parquet"
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(path)
    project = Project(**SETTINGS | {"objects": {"cup": "obj_1", "lever": [300, 100]}})

    recording = read_pose_file(path, 0, project, usual_fps=FPS)
    [stored] = from_recording(recording, FPS).recordings

    assert recording.info.animals == ("mouse", "cup", "lever")
    assert stored.tracked_individuals == (1, 2, 3)
    assert not any("obj_1" in name for name in recording.keypoints)


def test_an_action_without_a_target_is_not_directed_at_an_object(tmp_path):
    write_recording(tmp_path, 1, labels=False)
    (tmp_path / "day1_bouts.csv").write_text(
        "agent,action,start_frame,stop_frame\nmouse,groom,10,20\n"
    )
    (tmp_path / "project.yaml").write_text(
        yaml.safe_dump({k: v for k, v in SETTINGS.items() if k != "actions"})
    )
    out = tmp_path / "data"

    assert main(["import", str(tmp_path), "--out", str(out)]) == 0
    assert read_index(out)[0].watched == (Watched(1, 1, "groom"),)


def test_a_table_with_impossible_objects_is_refused(data, tmp_path):
    for path in data.glob("train.csv"):
        text = path.read_text().replace("[2, 3]", "[0]")
        (tmp_path / "train.csv").write_text(text)

    with pytest.raises(DataError, match="objects must be a list of numbers"):
        read_index(tmp_path)


@pytest.mark.parametrize("objects", [{"cup": [1]}, {"cup": {"m": [1, 2]}}, "cup"])
def test_objects_that_say_no_place_are_refused(objects, tmp_path):
    path = tmp_path / "project.yaml"
    path.write_text(yaml.safe_dump({"objects": objects}))

    with pytest.raises(ConfigError, match="objects"):
        load_project(path)


def test_objects_of_a_project_are_written_in_their_shortest_form():
    given = {"cup": "obj_1", "lever": [1.0, 2.0], "door": {"cm": [3.0, 4.0]}}
    text = dump_project(Project(objects=given))

    assert yaml.safe_load(text)["objects"] == given


def test_a_store_says_which_individuals_are_objects(store):
    index = json.loads((store.root / "index.json").read_text(encoding="utf-8"))

    assert index["recordings"][0]["objects"] == [2, 3]
    assert open_store(store.root).recordings == store.recordings


def test_a_summary_has_the_visits_to_objects_and_zones(data, tmp_path):
    left = Zone("left", Polygon.rectangle(left=0, top=0, right=20, bottom=20))
    write_zones(data / "zones.csv", {f"day{n}": [left] for n in range(1, 6)}, unit="cm")
    out = tmp_path / "summary"

    try:
        assert main(["summary", str(data), "--out", str(out), "--within", "4"]) == 0
    finally:
        (data / "zones.csv").unlink()
    [path] = out.rglob("places*.csv")
    found = pl.read_csv(path).filter(pl.col("recording") == "day1")
    by_place = {row["place"]: row for row in found.to_dicts()}
    in_left = (walk(1)[:, 1, 0] < 200).mean()

    assert set(by_place) == {"left", "cup", "lever"}
    assert set(found["animal"]) == {"mouse"}
    assert by_place["left"]["visits_share"] == pytest.approx(in_left, abs=0.02)
    assert by_place["cup"]["kind"] == "object"
    assert by_place["cup"]["visits_s"] > 1
