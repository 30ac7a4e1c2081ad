"""Zones as targets of actions: from project.yaml to models and their predictions."""

import json

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from mabe.bouts import View, Watched
from mabe.cli.main import main
from mabe.config import Augmentation, build_config
from mabe.data.clips import Clips, read_clips
from mabe.data.pair_windows import from_view
from mabe.data.prepare import load_store
from mabe.data.store import open_store
from mabe.errors import ConfigError, DataError
from mabe.features.target_zone import TargetZoneFeatures
from mabe.inference.tta import Variant
from mabe.io.project import load_project
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.models.checkpoint import load_checkpoint
from mabe.pair_task import PairTask, all_views
from mabe.skeleton import BORDER, KEYPOINTS, RODENT, PoseLayout
from mabe.training.augmentation import RandomNumbers, augment, draw_changes
from mabe.training.gpu_poses import ResidentPoses
from mabe.training.run import train
from mabe.viz.review.skeleton_drawing import bounds_cm, zone_outlines
from mabe.zones import Circle, Polygon, Several, Zone, border_lines, border_points

FPS = 10.0
SCALE = 10.0
SECONDS = 60
NAMES = ("nose", "body_center", "tail_base")


def nest_of(number):
    """Where the nest of a recording is: another corner, half of them round."""
    x, y = ((120, 120), (480, 120), (480, 380), (120, 380))[number % 4]
    if number % 2:
        return {"circle": [x, y, 60]}
    return {"rectangle": [x - 60, y - 60, x + 60, y + 60]}


def walk(number):
    """A mouse that walks about an arena of 60 by 50 cm, [time, keypoint, 2] in px."""
    time = np.arange(int(SECONDS * FPS)) / FPS
    x = 300 + 270 * np.sin(0.23 * time + number)
    y = 250 + 220 * np.sin(0.31 * time + 2 * number)
    body = np.column_stack([x, y])
    ahead = np.gradient(body, axis=0)
    ahead *= 25 / np.linalg.norm(ahead, axis=1, keepdims=True)
    xy = np.stack([body + ahead, body, body - ahead], axis=1)
    return xy + np.random.default_rng(number).normal(0, 0.5, xy.shape)


def digs(number):
    """Bouts (start, stop): the mouse digs while its nose is in the nest."""
    x, y, radius = 0.0, 0.0, 0.0
    place, nose = nest_of(number), walk(number)[:, 0]
    if "circle" in place:
        x, y, radius = place["circle"]
        inside = np.hypot(*(nose - (x, y)).T) <= radius
    else:
        left, top, right, bottom = place["rectangle"]
        low, high = np.array([left, top]), np.array([right, bottom])
        inside = ((nose >= low) & (nose <= high)).all(axis=1)
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    return edges.reshape(-1, 2).tolist()


def write_recording(folder, number, *, target="nest"):
    """Write tracks, and labels with a target; None: no labels."""
    xy = walk(number)
    frames = np.repeat(np.arange(len(xy)), len(NAMES))
    pl.DataFrame(
        {
            "frame": frames,
            "individual": ["mouse"] * len(frames),
            "keypoint": list(NAMES) * len(xy),
            "x": xy[:, :, 0].reshape(-1),
            "y": xy[:, :, 1].reshape(-1),
        }
    ).write_parquet(folder / f"day{number}.parquet")
    if target is not None:
        table = "".join(f"mouse,{target},dig,{a},{b}\n" for a, b in digs(number))
        head = "agent,target,action,start_frame,stop_frame\n"
        (folder / f"day{number}_bouts.csv").write_text(head + table)


def settings_of(numbers):
    return {
        "fps": FPS,
        "pixels_per_cm": SCALE,
        "zones": {"middle": {"circle": [300, 250, 80]}},
        "recordings": [
            {"name": f"day{number}", "zones": {"nest": nest_of(number)}}
            for number in numbers
        ],
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four recordings of the story, imported; the nest is elsewhere in each."""
    return import_story(tmp_path_factory.mktemp("lab"))


def import_story(folder, **changes):
    for number in range(4):
        write_recording(folder, number, **changes)
    (folder / "project.yaml").write_text(yaml.safe_dump(settings_of(range(4))))
    out = folder / "data"
    assert main(["import", str(folder), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def store(data):
    return load_store(data, rate_fps=FPS, store_dir=data.parent / "store")


def train_on(data):
    return train(
        build_config(
            {
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
            },
            where="test",
        )
    )


@pytest.fixture(scope="module")
def trained(data):
    return train_on(data)


def with_borders(store):
    return store.in_layout(PoseLayout(store.individuals, (*KEYPOINTS, *BORDER)))


def test_naming_a_zone_as_the_target_is_all_that_an_import_needs(data):
    info = read_index(data)[0]

    assert info.animals == ("mouse", "middle", "nest")
    assert [(zone.number, zone.zone.name) for zone in info.zones] == [
        (2, "middle"),
        (3, "nest"),
    ]
    assert info.watched == (Watched(1, 3, "dig"),)
    assert {(b.agent, b.target) for b in read_recording(info).bouts} == {(1, 3)}


def test_a_store_keeps_the_zones_and_reads_them_back(store, data):
    again = open_store(store.root)

    assert again.recordings == store.recordings
    assert [r.zones[1].zone.centre for r in again.recordings][:2] == [
        pytest.approx((12, 12)),
        pytest.approx((48, 12)),
    ]
    assert all_views(again.recordings[0]) == [View(1, 1), View(1, 2), View(1, 3)]


def test_the_border_of_a_zone_takes_the_targets_place(store):
    seen = with_borders(store)
    x, y = store.recordings[0].origin_cm
    poses = seen.poses_cm(0, 5, 8)
    agent, target = (from_view(poses, View(1, 3), (2, 3))[:, at] for at in (0, 1))

    assert np.isfinite(agent[:, KEYPOINTS.index("nose")]).all()
    assert np.isnan(agent[:, len(KEYPOINTS) :]).all()
    known = np.isfinite(target[0, :, 0])
    assert known.sum() == 1 + 5  # its centre, and four corners of a closed line
    assert target[0, KEYPOINTS.index("body_center")] + (x, y) == pytest.approx(
        (12, 12), abs=0.01
    )
    assert store.poses_cm(0, 5, 8).shape[2] == len(KEYPOINTS)


def test_poses_on_a_device_hold_the_same_zones(store):
    seen = with_borders(store)
    clips = Clips(
        np.array([0, 1]), np.array([3, 590]), 12, np.array([[0, 2, -1], [0, 1, -1]])
    )
    resident = ResidentPoses(seen, torch.device("cpu"))

    for length in (12, 9):
        np.testing.assert_allclose(
            resident.read(clips, length).numpy(), read_clips(seen, clips, length)
        )


def frame_f1(found, numbers):
    """F1 of the frames in which the mouse digs, over some recordings."""
    counts = np.zeros(3, int)
    for number in numbers:
        real, said = np.zeros((2, int(SECONDS * FPS)), bool)
        for start, stop in digs(number):
            real[start:stop] = True
        rows = found.filter(pl.col("video") == f"day{number}")
        for start, stop in rows.select("start_frame", "stop_frame").iter_rows():
            said[start:stop] = True
        counts += [(real & said).sum(), real.sum(), said.sum()]
    return 2 * counts[0] / max(1, counts[1] + counts[2])


@pytest.fixture(scope="module")
def new_films(tmp_path_factory):
    """Two films without labels, whose nests are where project.yaml says."""
    folder = tmp_path_factory.mktemp("new")
    for number in (10, 11):
        write_recording(folder, number, target=None)
    (folder / "project.yaml").write_text(yaml.safe_dump(settings_of((10, 11))))
    return folder


def predict(run, folder, out):
    assert main(["predict", str(run.model_path), str(folder), "--out", str(out)]) == 0
    return pl.read_csv(out / "bouts.csv")


def test_a_model_learns_an_action_at_a_zone_that_moves(trained, new_films, tmp_path):
    """Places in the arena would not do: the nest is in another corner each time."""
    task = load_checkpoint(trained.model_path).model.task
    found = predict(trained, new_films, tmp_path / "out")

    assert list(task.zone_actions.values()) == [frozenset({("dig", "nest")})]
    assert set(found["target"]) == {"nest"}
    assert set(found["agent"]) == {"mouse"}
    assert frame_f1(found, (10, 11)) > 0.85


def test_without_the_zone_it_cannot_be_learned(new_films, tmp_path):
    run = train_on(import_story(tmp_path, target="self"))
    found = predict(run, new_films, tmp_path / "out")

    assert not load_checkpoint(run.model_path).model.config.zone_targets
    assert frame_f1(found, (10, 11)) < 0.5


def test_a_recording_without_the_zone_is_refused_in_one_sentence(
    trained, new_films, tmp_path, capsys
):
    for path in new_films.glob("day10*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "project.yaml").write_text("fps: 10\npixels_per_cm: 10\n")
    command = [
        "predict",
        str(trained.model_path),
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]

    assert main(command) != 0
    assert "predicts dig at nest, and the recording has no zones" in (
        capsys.readouterr().err
    )


def test_the_project_of_an_import_gives_the_same_again(data, tmp_path):
    again = tmp_path / "again"
    for path in data.parent.glob("day[01]*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    written = load_project(data / "project.yaml")
    assert written.actions["dig"].target == "zone"
    text = (data / "project.yaml").read_text().split("recordings:")[0]
    own = yaml.safe_dump({"recordings": settings_of((0, 1))["recordings"]})
    (tmp_path / "project.yaml").write_text(text + own)

    assert main(["import", str(tmp_path), "--out", str(again)]) == 0
    for one, other in zip(read_index(again), read_index(data), strict=False):
        assert (one.watched, one.zones) == (other.watched, other.zones)
        assert read_recording(one).bouts == read_recording(other).bouts


BORIS = (
    "Observation id,Subject,Behavior,Modifier #1,Behavior type,Time,FPS,"
    "Media duration (s),Media file name\n"
)


def boris_rows(modifier, start_s, stop_s, behaviour="dig", subject="mouse"):
    return "".join(
        f"day0,{subject},{behaviour},{modifier},{status},{time},10,60,day0.mp4\n"
        for status, time in (("START", start_s), ("STOP", stop_s))
    )


def import_boris(folder, rows, **changes):
    write_recording(folder, 0, target=None)
    (folder / "day0.csv").write_text(BORIS + rows)
    settings = settings_of([0]) | changes
    (folder / "project.yaml").write_text(yaml.safe_dump(settings))
    assert main(["import", str(folder), "--out", str(folder / "out")]) == 0
    [info] = read_index(folder / "out")
    return info, [(b.action, b.target) for b in read_recording(info).bouts]


def test_a_modifier_of_boris_that_names_a_zone_is_the_target(tmp_path):
    rows = boris_rows("nest", 1, 3) + boris_rows("Middle", 5, 6)
    info, bouts = import_boris(tmp_path, rows)

    assert info.animals == ("mouse", "middle", "nest")
    assert bouts == [("dig", 3), ("dig", 2)]
    assert info.watched == (Watched(1, 2, "dig"), Watched(1, 3, "dig"))
    found = read_recording(info).bouts
    assert [(bout.start, bout.stop) for bout in found] == [(10, 30), (50, 60)]


def test_of_several_modifiers_the_one_that_names_a_zone_is_the_target(tmp_path):
    """As BORIS writes two sets of modifiers in one cell of its older exports."""
    info, bouts = import_boris(tmp_path, boris_rows("fast|nest", 1, 3))

    assert bouts == [("dig", 3)]
    assert info.watched == (Watched(1, 3, "dig"),)


def test_a_modifier_that_names_no_zone_of_the_recording_is_said(tmp_path, capsys):
    """When the mouse did not dig is then unknown, until the project says so."""
    rows = boris_rows("nest", 1, 3) + boris_rows("cave", 5, 6)
    settings = {"actions": {"dig": {"target": "zone"}}}
    info, bouts = import_boris(tmp_path, rows, **settings)

    told = capsys.readouterr().out
    assert (info.watched, bouts) == ((), [])
    assert (
        "dig: not used here, and not counted as absent, because cave cannot be one of "
        "mouse, middle, nest; in project.yaml set `recordings: {day0: {subjects: "
        "{cave: null}}}`"
    ) in told

    own = {"zones": {"nest": nest_of(0)}, "subjects": {"cave": None}}
    _, bouts = import_boris(tmp_path, rows, **settings, recordings={"day0": own})
    assert bouts == [("dig", 3)]


def test_an_action_towards_another_animal_is_not_watched_for_at_zones(tmp_path):
    xy = np.tile(np.arange(60.0)[:, None] + [[0, 0]], (1, 1))
    rows = [
        (frame, who, "nose", x + at, y)
        for frame, (x, y) in enumerate(xy.tolist())
        for who, at in (("a", 0), ("b", 30))
    ]
    names = ["frame", "individual", "keypoint", "x", "y"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(tmp_path / "f.parquet")
    (tmp_path / "f_bouts.csv").write_text(
        "agent,target,action,start_frame,stop_frame\na,b,chase,3,9\nb,nest,dig,5,9\n"
    )
    project = {"fps": 10, "pixels_per_cm": 10, "zones": {"nest": {"circle": [9, 9, 5]}}}
    (tmp_path / "project.yaml").write_text(yaml.safe_dump(project))

    assert main(["import", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    [info] = read_index(tmp_path / "out")
    assert info.watched == (
        Watched(1, 2, "chase"),
        Watched(1, 3, "dig"),
        Watched(2, 1, "chase"),
        Watched(2, 3, "dig"),
    )


def test_a_zone_called_like_an_animal_is_measured_and_no_target(tmp_path, capsys):
    write_recording(tmp_path, 0, target=None)
    project = settings_of(())
    project["zones"] = {"Mouse": {"circle": [100, 100, 50]}}
    (tmp_path / "project.yaml").write_text(yaml.safe_dump(project))

    assert main(["import", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    [info] = read_index(tmp_path / "out")
    assert info.zones == ()
    assert (tmp_path / "out" / "zones.csv").is_file()
    assert "no action can be directed at the zones Mouse" in capsys.readouterr().out


def test_an_event_at_a_zone_that_a_recording_lacks_is_left_out(tmp_path, capsys):
    for number in (0, 1):
        write_recording(tmp_path, number)
    (tmp_path / "project.yaml").write_text(yaml.safe_dump(settings_of((0,))))

    assert main(["import", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    first, second = read_index(tmp_path / "out")
    assert first.watched == (Watched(1, 3, "dig"),)
    assert second.watched == ()
    assert read_recording(second).bouts == ()
    assert "nest" in capsys.readouterr().out


def test_a_table_without_the_shape_of_a_zone_is_refused(data, tmp_path):
    (tmp_path / "train.csv").write_bytes((data / "train.csv").read_bytes())
    with pytest.raises(DataError, match=r"zones\.csv, which does not exist"):
        read_index(tmp_path)
    (tmp_path / "zones.csv").write_text("zone,x_cm,y_cm,radius_cm\nelse,1,1,1\n")
    with pytest.raises(DataError, match=r"middle is a zone, and .* holds no shape"):
        read_index(tmp_path)


def test_motion_features_alone_do_not_do(data):
    settings = {"task": "pair", "feature_set": "motion", "zone_targets": True}
    with pytest.raises(ConfigError, match="feature_set: social"):
        build_config({"data_dir": str(data), **settings}, where="test")


# Borders as points, and the features of them


ROUND = Zone("round", Circle(3.0, -2.0, 4.0))
NOTCHED = Zone("notched", Polygon(((0, 0), (8, 0), (8, 8), (4, 3), (0, 8))))
ARMS = Zone(
    "arms",
    Several(
        (
            Polygon.rectangle(left=-9, top=-1, right=-3, bottom=1),
            Polygon(((3, 1), (9, 1), (9, -1), (3, -1))),
        )
    ),
)


def test_a_border_is_closed_lines_parted_by_missing_points():
    lines = border_lines(border_points(ARMS))

    assert [len(line) for line in lines] == [5, 5]
    assert all(line[0] == line[-1] for line in lines)
    assert len(border_points(ROUND)) == len(BORDER)


def test_a_border_of_many_corners_keeps_its_shape():
    angles = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    many = Polygon(tuple(zip(10 * np.cos(angles), 6 * np.sin(angles), strict=True)))
    [line] = border_lines(border_points(Zone("oval", many)))
    few = Polygon(tuple(line[:-1]))
    points = np.random.default_rng(0).uniform(-15, 15, (200, 2))

    assert len(line) == len(BORDER)
    np.testing.assert_allclose(
        few.signed_distance(points), many.signed_distance(points), atol=0.15
    )


def signals(zone, nose, tail, *, change=None):
    """The features of a mouse and a zone, by name; a change is of all points."""
    features = TargetZoneFeatures(rate_fps=FPS, max_gap_s=0.5)
    nose, tail = np.broadcast_arrays(np.asarray(nose, float), np.asarray(tail, float))
    poses = np.full((1, len(nose), 2, len(KEYPOINTS) + len(BORDER), 2), np.nan)
    poses[0, :, 0, KEYPOINTS.index("nose")] = nose
    poses[0, :, 0, KEYPOINTS.index("tail_base")] = tail
    poses[0, :, 1, KEYPOINTS.index("body_center")] = zone.centre
    poses[0, :, 1, len(KEYPOINTS) :] = border_points(zone)
    tensor = torch.tensor(poses, dtype=torch.float32)
    values = features(tensor if change is None else change(tensor))[0].numpy()
    return dict(zip(features.names, values.T, strict=True))


@pytest.mark.parametrize("zone", [ROUND, NOTCHED, ARMS], ids=lambda zone: zone.name)
def test_the_distance_to_the_border_is_that_of_the_zone(zone):
    nose = np.random.default_rng(0).uniform(-12, 12, (300, 2))
    found = signals(zone, nose, np.full((300, 2), 20.0))
    expected = zone.signed_distance(nose)
    exact = 0.08 if zone is ROUND else 1e-3
    is_clear = np.abs(expected) > exact

    np.testing.assert_allclose(found["snout_to_border_cm"], expected, atol=exact)
    np.testing.assert_array_equal(
        found["snout_in_zone"][is_clear], expected[is_clear] < 0
    )


def test_a_mouse_that_walks_into_a_zone_is_known_by_hand():
    box = Zone("box", Polygon.rectangle(left=0, top=-5, right=10, bottom=5))
    nose = np.column_stack([np.arange(-6, 7), np.zeros(13)])
    found = signals(box, nose, nose - [4.0, 0.0])

    np.testing.assert_allclose(
        found["snout_to_border_cm"][:11], -np.arange(-6.0, 5), atol=1e-5
    )
    np.testing.assert_allclose(found["rump_to_border_cm"][:7], np.arange(10, 3, -1.0))
    np.testing.assert_array_equal(found["snout_in_zone"], np.arange(-6, 7) >= 0)
    np.testing.assert_allclose(found["snout_into_zone_cm_per_s"][1:10], 10, atol=1e-3)
    np.testing.assert_allclose(found["snout_to_zone_centre_cm"][0], 11)
    np.testing.assert_allclose(found["trunk_border_cosine"][:6], 1, atol=1e-5)
    np.testing.assert_allclose(found["trunk_zone_centre_cosine"][:11], 1, atol=1e-5)


def test_a_target_that_is_no_zone_has_no_features():
    features = TargetZoneFeatures(rate_fps=FPS, max_gap_s=0.5)
    poses = torch.randn(1, 4, 2, len(KEYPOINTS) + len(BORDER), 2)
    poses[:, :, 1, len(KEYPOINTS) :] = torch.nan

    assert features(poses).isnan().all()


@pytest.mark.parametrize("zone", [ROUND, NOTCHED, ARMS], ids=lambda zone: zone.name)
@pytest.mark.parametrize(("turn", "mirror"), [(0.0, True), (1.0, False), (-2.0, True)])
def test_turning_and_mirroring_poses_turns_and_mirrors_the_zone(turn, mirror, zone):
    rng = np.random.default_rng(1)
    nose, tail = rng.uniform(-10, 10, (2, 9, 2))
    change = Variant(turn=turn, mirror=mirror)
    plain, changed = (
        signals(zone, nose, tail, change=each)
        for each in (None, lambda poses: change.of(poses, RODENT))
    )

    for name, values in plain.items():
        np.testing.assert_allclose(changed[name], values, atol=2e-3, err_msg=name)


def test_augmentation_turns_a_zone_with_the_animal_and_adds_it_no_noise():
    how = Augmentation(noise_cm=0.5, shift_cm=9.0, keypoint_dropout=0.3)
    keypoints = len(KEYPOINTS)
    poses = torch.randn(6, 5, 2, keypoints + len(BORDER), 2)
    poses[..., keypoints:, :] = poses[:, :1, :, keypoints:]  # a zone rests
    dice = RandomNumbers(torch.Generator().manual_seed(0))
    changes = draw_changes((6, 5, 2, keypoints, 2), how, dice)
    changed = augment(poses, changes, RODENT)

    border = changed[..., keypoints:, :]
    assert changed.shape == poses.shape
    assert border.isfinite().all()
    torch.testing.assert_close(border, border[:, :1].expand_as(border))
    without = augment(poses[..., :keypoints, :], changes, RODENT)
    torch.testing.assert_close(changed[..., :keypoints, :], without, equal_nan=True)
    ratio = (border[:, 0, 0, 0] - border[:, 0, 0, 1]).norm(dim=1) / (
        poses[:, 0, 0, keypoints] - poses[:, 0, 0, keypoints + 1]
    ).norm(dim=1)
    assert ((ratio - 1).abs() <= how.scale + 1e-4).all()


def test_a_model_keeps_its_zone_actions():
    task = PairTask(
        actions=("dig",),
        labs=("A",),
        vocabulary={"A": frozenset()},
        zone_actions={"A": frozenset({("dig", "nest")})},
    )
    again = PairTask.from_json(json.loads(json.dumps(task.to_json())))

    assert again == task == task.join([task, again])
    assert task.can_occur("A", View(1, 3), "nest").tolist() == [True]
    assert task.can_occur("B", View(1, 3), "nest").tolist() == [True]
    assert task.can_occur("A", View(1, 3), "middle").tolist() == [False]
    assert task.can_occur("A", View(1, 2)).tolist() == [False]


def test_pages_have_the_outlines_of_zones_within_their_bounds(store):
    about = store.recordings[0]
    nest = zone_outlines(about)[1]
    corners = np.array(nest["lines"][0]) + about.origin_cm
    left, top, right, bottom = bounds_cm(store, 0)

    assert nest["name"] == "nest"
    assert len(corners) == 5  # closed
    assert (corners.min(0), corners.max(0)) == (
        pytest.approx((6, 6)),
        pytest.approx((18, 18)),
    )
    assert ((corners - about.origin_cm) >= [left, top]).all()
    assert ((corners - about.origin_cm) <= [right, bottom]).all()
