"""What is acted is what is labelled, and the files are what labs would hand in."""

import csv
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mabe.bouts import Bout
from mabe.data.simulate import simulate
from mabe.data.simulate.actions import motion_of_action
from mabe.data.simulate.arena import Arena, unit
from mabe.data.simulate.bodies import pose_bodies
from mabe.data.simulate.bout_script import write_script
from mabe.data.simulate.movement import move_animals
from mabe.data.simulate.plan import METADATA_COLUMNS
from mabe.data.simulate.plan_new import plan_invented
from mabe.data.simulate.random_signals import random_stream, smooth
from mabe.data.simulate.tracker_errors import Camera, film
from mabe.errors import ConfigError, DataError

FPS = 30.0
ROOM = Arena(width_cm=60, height_cm=60)
PARTS = ("nose", "ear_left", "ear_right", "body_center", "tail_base")
NOSE, EAR_LEFT, EAR_RIGHT, CENTRE, TAIL_BASE = range(len(PARTS))
REAL = Path(os.environ.get("MABE_DATA", Path(__file__).parents[2] / "shared" / "data"))


def act_out(*bouts, frames=300, arena=ROOM, seed=0, animals=(1, 2)):
    """Return true poses in cm: frame, animal, part, xy."""
    motions = move_animals(
        bouts,
        animals=animals,
        arena=arena,
        frames=frames,
        fps=FPS,
        rng=random_stream("test", seed),
    )
    sizes = [1.0] * len(motions)
    return pose_bodies(motions, sizes=sizes, parts=PARTS, first=0, stop=frames)


def many(action, *, seconds=2.0, count=20, agent=1, target=2):
    """Return the poses of many separate bouts, without their first 0.3 s."""
    last = 100 + round(seconds * FPS)
    bout = Bout(start=100, stop=last, action=action, agent=agent, target=target)
    return np.stack([act_out(bout, seed=seed)[109:last] for seed in range(count)])


def apart_cm(one, other):
    return np.linalg.norm(one - other, axis=-1)


def speed_cm_per_s(poses):
    steps = np.diff(poses[..., CENTRE, :], axis=-3)
    return np.linalg.norm(steps, axis=-1) * FPS


def approach_cm_per_s(poses, *, agent, target):
    """Speed of one animal towards where the other is now."""
    centre = poses[..., CENTRE, :]
    velocity = np.diff(centre[..., agent, :], axis=-2) * FPS
    way = (centre[..., target, :] - centre[..., agent, :])[..., :-1, :]
    return np.sum(velocity * way, axis=-1) / np.linalg.norm(way, axis=-1)


def files_of(folder):
    """Return the hash of every file, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows_of(folder):
    with (folder / "train.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    """All 24 default videos, a quarter of a minute each."""
    folder = tmp_path_factory.mktemp("simulated") / "kaggle"
    simulate(folder, minutes=0.25, workers=1, progress=False)
    return folder


# What is acted


def test_the_chaser_runs_at_the_chased_who_runs_away():
    poses = many("chase")

    assert np.median(approach_cm_per_s(poses, agent=0, target=1)) > 25
    assert np.median(approach_cm_per_s(poses, agent=1, target=0)) < -20
    assert np.median(speed_cm_per_s(poses)) > 25


def test_who_chases_whom_can_be_exchanged():
    poses = many("chase", agent=2, target=1)

    assert np.median(approach_cm_per_s(poses, agent=1, target=0)) > 25
    assert np.median(approach_cm_per_s(poses, agent=0, target=1)) < -20


def test_a_mount_is_one_body_on_the_other_from_behind():
    poses = many("mount")
    agent, target = poses[..., 0, :, :], poses[..., 1, :, :]
    ahead = target[..., NOSE, :] - target[..., TAIL_BASE, :]
    behind = agent[..., CENTRE, :] - target[..., CENTRE, :]

    assert (apart_cm(agent[..., CENTRE, :], target[..., CENTRE, :]) < 6).mean() > 0.9
    assert (np.sum(ahead * behind, axis=-1) < 0).mean() > 0.9


@pytest.mark.parametrize(
    ("action", "goal"),
    [("sniffgenital", TAIL_BASE), ("sniffface", NOSE), ("sniffbody", CENTRE)],
)
def test_a_sniffer_has_its_nose_where_the_action_says(action, goal):
    poses = many(action)
    before = np.stack([act_out(seed=seed)[109:160] for seed in range(20)])

    def close_share(poses):
        nose, other = poses[..., 0, NOSE, :], poses[..., 1, goal, :]
        return (apart_cm(nose, other) < 3).mean()

    assert close_share(poses) > 0.75
    assert close_share(before) < 0.1


def test_the_sniffer_is_not_the_sniffed():
    poses = many("sniffgenital")
    agents = apart_cm(poses[..., 0, NOSE, :], poses[..., 1, TAIL_BASE, :])
    targets = apart_cm(poses[..., 1, NOSE, :], poses[..., 0, TAIL_BASE, :])

    assert np.median(agents) < 3
    assert np.median(targets) > 8


def test_an_approach_closes_the_gap_and_an_escape_opens_it():
    near, far = many("approach", seconds=0.8), many("escape", seconds=0.8)

    def gap(poses):
        return apart_cm(poses[..., 0, CENTRE, :], poses[..., 1, CENTRE, :])

    assert np.median(gap(near)[:, 0] - gap(near)[:, -1]) > 4
    assert np.median(gap(far)[:, -1] - gap(far)[:, 0]) > 8


def test_a_rearing_animal_is_short_and_stands():
    poses = many("rear", target=1)
    length = apart_cm(poses[..., NOSE, :], poses[..., TAIL_BASE, :])

    assert np.median(length[..., 0]) < 0.65 * np.median(length[..., 1])
    assert np.median(speed_cm_per_s(poses)[..., 0]) < 2


def test_an_attack_is_close_and_fast():
    poses = many("attack")

    gap = apart_cm(poses[..., 0, CENTRE, :], poses[..., 1, CENTRE, :])
    assert np.quantile(gap, 0.9) < 8
    assert np.median(speed_cm_per_s(poses)[..., 0]) > 15


def test_an_unknown_action_has_a_motion_of_its_own_always_the_same():
    names = [f"unheard{i}" for i in range(12)]

    assert all(
        motion_of_action(name, is_self=False) == motion_of_action(name, is_self=False)
        for name in names
    )
    assert len({repr(motion_of_action(name, is_self=False)) for name in names}) == 12
    assert len({repr(motion_of_action(name, is_self=True)) for name in names}) == 12


def test_an_unknown_action_is_told_from_wandering_and_repeats_itself():
    poses, again = many("nonsocial2"), many("nonsocial2")

    gap = apart_cm(poses[..., 0, CENTRE, :], poses[..., 1, CENTRE, :])
    assert np.array_equal(poses, again)
    assert np.median(gap) < 16


def test_a_label_edge_is_no_teleport():
    bouts = [
        Bout(start=100, stop=160, action="mount", agent=1, target=2),
        Bout(start=160, stop=200, action="sniffface", agent=2, target=1),
        Bout(start=205, stop=230, action="attack", agent=1, target=3),
        Bout(start=215, stop=260, action="sniff", agent=3, target=2),
    ]
    fastest = [
        speed_cm_per_s(act_out(*bouts, seed=seed, animals=(1, 2, 3))).max()
        for seed in range(20)
    ]

    assert max(fastest) < 250


def test_an_agent_with_time_to_come_is_there_when_its_bout_begins():
    bout = Bout(start=200, stop=260, action="mount", agent=1, target=2)
    poses = np.stack([act_out(bout, seed=seed) for seed in range(20)])
    gap = apart_cm(poses[:, :, 0, CENTRE], poses[:, :, 1, CENTRE])

    assert gap[:, 200].max() < 6
    assert np.median(gap[:, 100]) > 8


def test_left_is_left_of_where_the_nose_points():
    poses = act_out(frames=600)
    ahead = poses[..., NOSE, :] - poses[..., TAIL_BASE, :]
    across = poses[..., EAR_LEFT, :] - poses[..., EAR_RIGHT, :]

    turn = ahead[..., 0] * across[..., 1] - ahead[..., 1] * across[..., 0]
    assert (turn > 0).mean() > 0.99


@given(
    width=st.floats(12, 120),
    height=st.floats(12, 120),
    is_round=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_nobody_leaves_the_arena(width, height, is_round, seed):
    arena = Arena(
        width_cm=width, height_cm=width if is_round else height, is_round=is_round
    )
    bouts = [
        Bout(start=20, stop=60, action="chase", agent=1, target=2),
        Bout(start=50, stop=90, action="mount", agent=2, target=1),
        Bout(start=90, stop=130, action="escape", agent=1, target=2),
    ]
    poses = act_out(*bouts, frames=150, arena=arena, seed=seed)

    inside = arena.keep_inside(poses, margin_cm=0)
    assert apart_cm(poses, inside).max() < 6
    assert apart_cm(poses, inside)[..., CENTRE].max() < 0.01


@given(
    seconds=st.floats(0.5, 60),
    fps=st.floats(10, 120),
    animals=st.integers(2, 4),
    seed=st.integers(0, 1000),
)
def test_a_script_asks_nobody_for_two_things_at_once(seconds, fps, animals, seed):
    bouts = write_script(
        seconds=seconds,
        fps=fps,
        animals=animals,
        pair_actions=("approach", "sniff", "attack", "escape", "chase"),
        self_actions=("rear",),
        rng=random_stream("script", seed),
    )

    busy = np.zeros((animals + 1, int(seconds * fps)), int)
    for bout in bouts:
        for animal in {bout.agent, bout.target}:
            busy[animal, bout.start : bout.stop] += 1
    assert busy.max(initial=0) <= 1
    assert all(bout.stop <= seconds * fps for bout in bouts)


# How it is tracked


def test_the_camera_misses_about_as_much_as_it_is_said_to():
    camera = Camera(
        fps=FPS,
        pixels_per_cm=10,
        width_px=600,
        height_px=600,
        missing_share=0.2,
        jitter_cm=0.1,
    )
    poses = act_out(frames=6000)
    points = film(poses, camera, random_stream("film"))

    assert 0.15 < np.isnan(points[..., 0]).mean() < 0.25


def test_the_picture_has_y_downwards_and_the_arena_in_its_middle():
    camera = Camera(
        fps=FPS,
        pixels_per_cm=10,
        width_px=600,
        height_px=400,
        missing_share=0.02,
        jitter_cm=0.0,
    )
    poses = np.zeros((500, 1, 1, 2), np.float32) + np.float32([3, 5])
    points = film(poses, camera, random_stream("film"))

    np.testing.assert_allclose(np.nanmedian(points, axis=(0, 1, 2)), [330, 150], atol=4)


def test_animals_are_swapped_only_where_two_are_close():
    camera = Camera(
        fps=FPS,
        pixels_per_cm=10,
        width_px=600,
        height_px=600,
        missing_share=0.02,
        jitter_cm=0.05,
    )
    bout = Bout(start=0, stop=6000, action="mount", agent=1, target=2)
    poses = act_out(bout, frames=6000)
    apart = np.zeros_like(poses)
    apart[:, 1] += np.float32([30, 0])

    def swapped_share(poses):
        points = film(poses, camera, random_stream("film"))
        wrong = points[:, 0, NOSE] / 10 - np.float32([30, 30])
        return np.nanmean(
            apart_cm(wrong * np.float32([1, -1]), poses[:, 1, NOSE]) < 0.7
        )

    assert swapped_share(poses) > 0.005
    assert swapped_share(poses + apart) == 0


# What the files say


def test_train_csv_has_the_challenges_columns_in_order(data_set):
    header = (data_set / "train.csv").read_text(encoding="utf-8").splitlines()[0]

    assert header.split(",") == list(METADATA_COLUMNS)
    assert header.startswith("lab_id,video_id,mouse1_strain,mouse1_color,mouse1_sex")
    assert header.endswith("body_parts_tracked,behaviors_labeled,tracking_method")
    assert len(METADATA_COLUMNS) == 38


def test_labs_differ_as_labs_do(data_set):
    rows = rows_of(data_set)

    def kinds(column):
        return {row[column] for row in rows}

    assert len(kinds("lab_id")) == 6
    assert len(kinds("frames_per_second")) >= 5
    assert len(kinds("pix_per_cm_approx")) >= 5
    assert len(kinds("body_parts_tracked")) >= 5
    assert {"circular", "square", "rectangular"} <= kinds("arena_shape")


def test_tracking_has_long_rows_with_integer_widths_of_the_labs_own(data_set):
    paths = sorted((data_set / "train_tracking").glob("*/*.parquet"))
    schemas = {path.parent.name: pq.read_schema(path) for path in paths}
    widths = {
        (str(s.field("video_frame").type), str(s.field("mouse_id").type))
        for s in schemas.values()
    }

    assert len(paths) == 24
    assert len(widths) >= 4
    for schema in schemas.values():
        assert schema.names == ["video_frame", "mouse_id", "bodypart", "x", "y"]
        assert schema.field("bodypart").type == pa.string()


def test_only_listed_animals_parts_and_frames_are_tracked(data_set):
    for row in rows_of(data_set):
        place = f"{row['lab_id']}/{row['video_id']}.parquet"
        table = pq.read_table(data_set / "train_tracking" / place)
        mice = {i for i in range(1, 5) if row[f"mouse{i}_strain"]}

        assert set(table["mouse_id"].to_pylist()) == mice
        assert set(table["bodypart"].to_pylist()) <= set(
            json.loads(row["body_parts_tracked"])
        )
        frames = np.asarray(table["video_frame"])
        assert (np.diff(frames) >= 0).all()
        assert not np.isnan(np.asarray(table["x"])).any()


def test_quirks_of_real_labs_are_there(data_set):
    rows = rows_of(data_set)
    empty, unlabelled, absent, past = 0, 0, 0, 0
    for row in rows:
        place = f"{row['lab_id']}/{row['video_id']}.parquet"
        path = data_set / "train_annotation" / place
        unlabelled += not row["behaviors_labeled"]
        absent += bool(row["behaviors_labeled"]) and not path.exists()
        if path.exists():
            table = pq.read_table(path)
            start, stop = (
                np.asarray(table[f"{end}_frame"]) for end in ("start", "stop")
            )
            duration = float(row["video_duration_sec"])
            empty += int((start == stop).sum())
            past += stop.max(initial=0) > duration * float(row["frames_per_second"])

    assert (empty, unlabelled, absent) == (1, 2, 1)
    assert past == 4
    assert any("'mouse2'" in row["behaviors_labeled"] for row in rows)


def test_labels_are_what_was_acted():
    for plan in plan_invented(videos=24, minutes=0.5, seed=1).videos:
        if plan.annotation is None:
            continue
        labels = {
            tuple(row.values())
            for row in plan.annotation.to_pylist()
            if row["start_frame"] < row["stop_frame"]
        }
        acted = {(b.agent, b.target, b.action, b.start, b.stop) for b in plan.bouts}
        assert labels <= acted
        assert {label[2] for label in acted - labels} <= {"rear", "selfgroom"}


def test_every_point_moves_as_fast_as_a_mouse_can():
    for plan in plan_invented(videos=6, minutes=1, seed=0).videos:
        fps = plan.camera.fps
        motions = move_animals(
            plan.bouts,
            animals=plan.animals,
            arena=plan.arena,
            frames=plan.frames,
            fps=fps,
            rng=random_stream("speeds", plan.name),
        )
        poses = pose_bodies(
            motions,
            sizes=[1.0] * len(motions),
            parts=plan.body_parts,
            first=0,
            stop=plan.frames,
        )
        speed = np.linalg.norm(np.diff(poses, axis=0), axis=-1) * fps

        assert 1 < np.median(speed) < 60
        assert np.mean(speed < 300) > 0.999


# The same again


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(tmp_path):
    for name, workers in (("one", 1), ("two", 2)):
        simulate(
            tmp_path / name, videos=3, minutes=0.1, workers=workers, progress=False
        )

    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert len(files_of(tmp_path / "one")) == 3 + 3 + 2


def test_another_seed_gives_other_poses(tmp_path):
    for seed in (0, 1):
        simulate(
            tmp_path / str(seed),
            videos=1,
            minutes=0.1,
            seed=seed,
            workers=1,
            progress=False,
        )

    one, other = (set(files_of(tmp_path / str(seed)).values()) for seed in (0, 1))
    assert not one & other


def test_a_rerun_makes_only_what_is_absent_or_cut_off(tmp_path):
    out = tmp_path / "data"
    make = {"videos": 4, "minutes": 0.1, "workers": 1, "progress": False}
    simulate(out, **make)
    whole = files_of(out)
    first, second, *_ = sorted((out / "train_tracking").glob("*/*.parquet"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-100])
    first.with_name(f".{first.name}.99.tmp").write_bytes(b"half")

    assert simulate(out, **make).written == 2
    assert files_of(out) == whole
    assert simulate(out, **make).written == 0


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")

    with pytest.raises(DataError, match=r"new or empty folder, found .*thesis\.tex"):
        simulate(tmp_path, videos=1, minutes=0.1, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "thesis.tex"]


def test_another_simulation_is_not_mixed_into_one(tmp_path):
    out = tmp_path / "data"
    simulate(out, videos=1, minutes=0.1, workers=1, progress=False)

    with pytest.raises(DataError, match="other settings"):
        simulate(out, videos=1, minutes=0.1, seed=5, workers=1, progress=False)


@pytest.mark.parametrize("wrong", [{"videos": 0}, {"minutes": -1.0}, {"workers": 0}])
def test_a_number_below_one_is_refused_by_name(tmp_path, wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        simulate(tmp_path / "data", progress=False, **wrong)


# Like a real one


@pytest.fixture
def real(tmp_path):
    """A lab with two mice: one labelled video in odd types, one watched without."""
    facts = {
        "lab_id": "TinyLab",
        "mouse1_strain": "C57",
        "mouse2_strain": "C57",
        "frames_per_second": "30.0",
        "video_duration_sec": "5.0",
        "pix_per_cm_approx": "10.0",
        "video_width_pix": "400",
        "video_height_pix": "300",
        "arena_width_cm": "38.0",
        "arena_height_cm": "28.0",
        "arena_shape": "rectangular",
        "body_parts_tracked": '["nose", "tail_base"]',
        "behaviors_labeled": '["mouse1,mouse2,waltz", "mouse1,self,rear"]',
        "tracking_method": "by, hand",
    }
    folder = tmp_path / "real"
    folder.mkdir()
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, METADATA_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerow({**facts, "video_id": "11"})
        writer.writerow({**facts, "video_id": "33"})
        writer.writerow({**facts, "video_id": "22", "lab_id": "OtherLab"})
    labels = pa.table(
        {
            "agent_id": pa.array([1, 1, 2], pa.int8()),
            "target_id": pa.array([2, 1, 1], pa.int8()),
            "action": pa.array(["waltz", "rear", "sniff"]),
            "start_frame": pa.array([10, 100, 40], pa.int16()),
            "stop_frame": pa.array([40, 163, 40], pa.int16()),
        }
    )
    path = folder / "train_annotation" / "TinyLab" / "11.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(labels, path)
    return folder


def test_a_likeness_has_the_same_listing_and_labels(real, tmp_path):
    out = tmp_path / "out"
    summary = simulate(out, like=real, workers=1, progress=False)

    assert (out / "train.csv").read_text() == (real / "train.csv").read_text()
    place = "train_annotation/TinyLab/11.parquet"
    assert pq.read_table(out / place).equals(pq.read_table(real / place))
    assert [p.name for p in out.glob("train_annotation/*/*")] == ["11.parquet"]
    assert (summary.labs, summary.videos, summary.bouts) == (2, 3, 2)


def test_a_likeness_lasts_until_its_last_label(real, tmp_path):
    out = tmp_path / "out"
    simulate(out, like=real, workers=1, progress=False)

    def last_frame(video):
        path = out / "train_tracking" / "TinyLab" / f"{video}.parquet"
        return int(np.asarray(pq.read_table(path)["video_frame"]).max())

    assert 150 < last_frame(11) <= 162
    assert last_frame(33) <= 149


def test_a_part_of_a_likeness_is_spread_over_its_labs(real, tmp_path):
    out = tmp_path / "out"
    simulate(out, like=real, videos=2, workers=1, progress=False)

    assert [row["video_id"] for row in rows_of(out)] == ["11", "22"]


def test_a_likeness_has_the_test_videos_of_the_real_one(real, tmp_path):
    lines = (real / "train.csv").read_text().splitlines()
    (real / "test.csv").write_text(f"{lines[0]}\n{lines[-1]}\n")
    simulate(tmp_path / "out", like=real, workers=1, progress=False)

    assert (tmp_path / "out/test.csv").read_text() == (real / "test.csv").read_text()
    tracks = [path.name for path in (tmp_path / "out").glob("test_tracking/*/*")]
    assert tracks == ["22.parquet"]
    assert not (tmp_path / "out/test_annotation").exists()


def test_without_a_real_test_csv_the_first_video_is_the_test_video(real, tmp_path):
    out = tmp_path / "out"
    simulate(out, like=real, workers=1, progress=False)

    assert len((out / "test.csv").read_text().splitlines()) == 2
    place = Path("TinyLab") / "11.parquet"
    one, other = (out / f"{name}_tracking" / place for name in ("train", "test"))
    assert one.read_bytes() == other.read_bytes()


def test_a_folder_without_train_csv_cannot_be_imitated(tmp_path):
    with pytest.raises(DataError, match=r"train\.csv: no such file"):
        simulate(tmp_path / "out", like=tmp_path, progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("30.0", "fast", "TinyLab/11: frames_per_second .* 'fast'"),
        ("pix_per_cm_approx", "scale", r"no column \['pix_per_cm_approx'\]"),
        ("\nOtherLab", "\nCut\nOtherLab", "row 4 has 1 values"),
    ],
)
def test_a_listing_that_cannot_be_read_is_named(real, tmp_path, right, wrong, says):
    path = real / "train.csv"
    path.write_text(path.read_text().replace(right, wrong, 1))

    with pytest.raises(DataError, match=says):
        simulate(tmp_path / "out", like=real, progress=False)


def test_a_broken_annotation_is_named(real, tmp_path):
    path = real / "train_annotation" / "TinyLab" / "11.parquet"
    path.write_bytes(b"PAR1")

    with pytest.raises(DataError, match=r"11\.parquet: expected an annotation"):
        simulate(tmp_path / "out", like=real, progress=False)


def test_the_challenges_labels_come_back_unchanged(tmp_path):
    source = REAL / "mabe2025"
    if not (source / "train.csv").is_file():
        pytest.skip(f"no real metadata at {source}; set MABE_DATA to find it")
    out = tmp_path / "out"
    source_rows = {row["video_id"]: row for row in rows_of(source)}
    simulate(out, like=source, videos=8, workers=1, progress=False)

    for row in rows_of(out):
        place = f"train_annotation/{row['lab_id']}/{row['video_id']}.parquet"
        assert row == source_rows[row["video_id"]]
        ours, theirs = (pq.read_table(folder / place) for folder in (out, source))
        assert ours.to_pylist() == theirs.to_pylist()
        assert [f.type for f in ours.schema if f.name != "action"] == [
            f.type for f in theirs.schema if f.name != "action"
        ]


# The tools


def test_smoothing_leaves_the_ends_and_a_straight_line_alone():
    line = np.arange(20.0)

    np.testing.assert_allclose(smooth(line, frames=7), line)
    assert smooth(np.eye(9)[4], frames=3).tolist() == [0] * 3 + [1 / 3] * 3 + [0] * 3


def test_a_walk_into_a_wall_comes_back():
    walk = np.array([[0.0, 0.0], [25.0, 0.0], [35.0, 0.0]])
    folded = ROOM.fold_inside(walk, margin_cm=0)

    np.testing.assert_allclose(folded, [[0, 0], [25, 0], [25, 0]])


def test_the_nearest_wall_is_faced():
    wall, heading = ROOM.nearest_wall(np.array([1.0, -20.0]))

    assert wall.tolist() == [1, -30]
    np.testing.assert_allclose(unit(heading), [0, -1], atol=1e-9)
