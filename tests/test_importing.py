"""Importing a lab's folder, and predicting on its files without importing them."""

import csv
import json

import pytest
import yaml
from format_files import write_dlc_csv, write_simba
from stories import TINY, write_fights

from mabe.bouts import Bout, Watched
from mabe.cli.main import main
from mabe.config import build_config
from mabe.data.sources import find_sources, read_pose_file
from mabe.data.store import from_recording
from mabe.errors import ConfigError, DataError
from mabe.inference.predict import Predictor, predict, within_tracks
from mabe.io.import_plan import plan_import
from mabe.io.importer import run_import
from mabe.io.project import Project, dump_project, load_project
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.models.checkpoint import load_checkpoint
from mabe.skeleton import KEYPOINTS
from mabe.training.run import train

HEAD = "Time,Media file path,Total length,FPS,Subject,Behavior,Comment,Status\n"


def write_boris(path, *events, name="day1", length=6 / 25):
    """Write (start, stop, subject, behaviour) in frames of 25 fps."""
    rows = "".join(
        f"{frame / 25:.3f},/v/{name}.avi,{length:.3f},25.0,{subject},{behaviour},,"
        f"{word}\n"
        for start, stop, subject, behaviour in events
        for frame, word in ((start, "START"), (stop, "STOP"))
    )
    path.write_text(f"Observation id,{name}\n{HEAD}{rows}")


@pytest.fixture
def folder(tmp_path):
    """Two DeepLabCut recordings, one of them scored, and a file of notes."""
    place = tmp_path / "Our lab"
    place.mkdir()
    write_dlc_csv(place / "day1DLC_net_shuffle1.csv")
    write_dlc_csv(place / "day10DLC_net_shuffle1.csv")
    write_boris(place / "day1.csv", (1, 3, "a", "sniff"), (2, 5, "b", "rear"))
    (place / "notes.txt").write_text("it rained\n")
    return place


def bring_in(folder, *options, out="data"):
    place = folder.parent / out
    command = ["import", str(folder), "--out", str(place), *options]
    return main(command), place


def videos(data, *names):
    found = {info.video: info for info in read_index(data)}
    return [found[name] for name in names]


def sources_of(out):
    return json.loads((out / "provenance.json").read_text(encoding="utf-8"))["sources"]


def test_tracks_and_labels_find_each_other_and_become_the_standard_layout(
    folder, capsys
):
    code, data = bring_in(folder, "--fps", "25", "--pixels-per-cm", "2")
    told = capsys.readouterr().out

    assert code == 0
    first, second = videos(data, "day1", "day10")
    assert (first.name, second.name) == ("Our_lab/day1", "Our_lab/day10")
    assert first.has_labels
    assert not second.has_labels
    assert (first.fps, first.pixels_per_cm, first.animals) == (25, 2, ("a", "b"))
    # Everyone who is a subject is watched for every action of the project.
    assert first.watched == (
        *(Watched(1, 1, "rear"), Watched(1, 2, "sniff")),
        *(Watched(2, 1, "sniff"), Watched(2, 2, "rear")),
    )
    recording = read_recording(first)
    assert recording.bouts == (Bout(1, 3, "sniff", 1, 2), Bout(2, 5, "rear", 2, 2))
    nose_of_b = recording.slots.tolist().index(len(KEYPOINTS) + KEYPOINTS.index("nose"))
    assert recording.xy_px[0, nose_of_b].tolist() == [110, 110.5]
    assert "labels: day1.csv" in told
    assert "notes.txt: not recognised" in told
    assert "rear → rear to self  (guess" in told


def test_a_folder_gives_the_recordings_and_labels_of_its_imported_data_set(folder):
    rows = "".join(f"{frame},0,{int(frame < 3)}\n" for frame in range(6))
    unlabelled = rows.replace("5,0,0", "5,-1,-1")
    (folder / "day10_labels.csv").write_text(f",background,sniff\n{unlabelled}")
    _, data = bring_in(folder, "--fps", "25", "--pixels-per-cm", "2")
    of_folder = find_sources(
        folder,
        rate_fps=25.0,
        project=Project(fps=25, pixels_per_cm=2),
        with_labels=True,
    )
    of_data_set = find_sources(data, rate_fps=25.0)

    assert [(s.name, s.has_labels) for s in of_folder] == [
        (s.name, s.has_labels) for s in of_data_set
    ]
    for one, other in zip(of_folder, of_data_set, strict=True):
        first, second = (
            store.recordings[index] for store, index in (one.open(), other.open())
        )
        assert first.tracking_hash == second.tracking_hash
        assert (first.bouts, first.watched) == (second.bouts, second.watched)
        assert first.coverage == second.coverage


def test_what_was_taken_is_written_down_and_gives_the_same_again(folder):
    _, data = bring_in(folder, "--fps", "25")
    project = load_project(data)
    text = (data / "project.yaml").read_text(encoding="utf-8")

    assert project.subjects == {"a": "a", "b": "b"}
    assert project.keypoints["leftear"] == "ear_left"
    assert project.actions["rear"].target == "self"
    assert "rear → rear to self  (an action without a partner)" in text
    _, again = bring_in(folder, "--project", str(data / "project.yaml"), out="again")
    assert load_project(again) == project
    for path in sorted(data.rglob("*")):
        if path.is_file() and path.name != "project.yaml":
            assert path.read_bytes() == (again / path.relative_to(data)).read_bytes()


def test_settings_beside_the_files_count(folder):
    settings = {
        "lab": "Lab",
        "fps": 25,
        "animals": ["b", "a"],
        "keypoints": {"leftear": None, "tailbase": "tail_tip"},
        "pixels_per_cm": 3,
        "actions": {"sniff": "smell", "rear": None},
    }
    (folder / "project.yaml").write_text(yaml.safe_dump(settings))
    _, data = bring_in(folder)

    [first] = videos(data, "day1")
    recording = read_recording(first)
    assert first.animals == ("b", "a")
    assert recording.bouts == (Bout(1, 3, "smell", 2, 1),)
    parts = {point.keypoint for point in recording.points}
    assert parts == {"nose", "tail_tip"}


def test_a_dry_run_needs_no_place_to_write(folder, capsys):
    assert main(["import", str(folder), "--fps", "25", "--dry-run"]) == 0
    assert "nothing written" in capsys.readouterr().out
    assert main(["import", str(folder), "--fps", "25"]) == 2
    assert "--out" in capsys.readouterr().err


def test_a_dry_run_writes_nothing(folder, capsys):
    code, data = bring_in(folder, "--fps", "25", "--dry-run")
    assert code == 0
    assert not data.exists()
    assert "nothing written" in capsys.readouterr().out


def test_a_folder_that_is_no_import_is_left_alone(folder, capsys):
    (folder.parent / "data").mkdir()
    (folder.parent / "data" / "thesis.tex").write_text("x")
    code, data = bring_in(folder, "--fps", "25")
    assert code == 2
    assert "left alone" in capsys.readouterr().err
    assert [path.name for path in data.iterdir()] == ["thesis.tex"]


def test_lengths_that_differ_by_much_name_both_and_may_be_allowed(folder, capsys):
    write_boris(folder / "day1.csv", (1, 3, "a", "sniff"), length=2)
    code, _ = bring_in(folder, "--fps", "25")
    assert code == 2
    told = capsys.readouterr().out
    assert "labels of 50 frames" in told
    assert "tracks of 6" in told
    (folder / "project.yaml").write_text("fps: 25\nmax_length_difference: 50\n")
    assert bring_in(folder)[0] == 0


def test_files_may_be_paired_by_hand(folder):
    (folder / "day1.csv").rename(folder / "scores of monday.csv")
    told = folder / "scores of monday.csv"
    told.write_text(told.read_text().replace("day1", "monday"))
    assert not any(p.labels for p in plan_import(folder, Project()).recordings)

    settings = {
        "recordings": [{"tracks": "day10DLC_net_shuffle1.csv", "labels": [told.name]}]
    }
    by_hand = plan_import(folder, Project(**settings)).recordings
    assert [(p.track.name, len(p.labels)) for p in by_hand] == [
        ("day10", 1),
        ("day1", 0),
    ]
    with pytest.raises(DataError, match=r"nothing\.h5"):
        plan_import(folder, Project(recordings=({"tracks": "nothing.h5"},)))


def test_a_broken_file_is_named_and_may_be_left_out(folder, capsys):
    (folder / "day2.csv").write_text("Time,Subject,Behavior,Status\n1,a,sniff,WHAT\n")
    code, data = bring_in(folder, "--fps", "25")
    assert code == 3
    told = capsys.readouterr().out
    assert "day2.csv: line 2" in told
    assert "✓" not in told
    assert len(read_index(data)) == 2
    with (data / "failures.csv").open(newline="") as file:
        [failure] = csv.DictReader(file)
    assert failure["file"].endswith("day2.csv")
    assert "line 2" in failure["reason"]
    assert bring_in(folder, "--fps", "25", "--skip-bad")[0] == 3
    (folder / "day2.csv").unlink()
    assert bring_in(folder, "--fps", "25")[0] == 0
    assert not (data / "failures.csv").exists()


def test_pieces_are_recordings_of_their_own(folder):
    _, data = bring_in(folder, "--fps", "25", "--pieces", "2")

    first, second = videos(data, "day1.1of2", "day1.2of2")
    assert read_recording(first).bouts == (
        Bout(1, 3, "sniff", 1, 2),
        Bout(2, 3, "rear", 2, 2),
    )
    assert read_recording(second).bouts == (Bout(0, 2, "rear", 2, 2),)
    assert (read_recording(first).length, read_recording(second).length) == (3, 3)


def test_tracks_and_targets_of_one_file(tmp_path):
    place = tmp_path / "simba"
    place.mkdir()
    write_simba(place / "v1.csv", {"attack": [0, 1, 1, 0, 0, 0]})
    _, data = bring_in(place, "--fps", "30")

    [info] = read_index(data)
    assert read_recording(info).bouts == (Bout(1, 3, "attack", 1, 2),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fsp: 30", "unknown key 'fsp'; did you mean 'fps'"),
        ("fps: fast", "fps: .*found 'fast'"),
        ("fps: -1", "fps"),
        ("- a", "expected `key: value` lines"),
        ("fps: [", "cannot be read as YAML"),
        ("actions: {a: {traget: self}}", "actions.a.traget"),
    ],
)
def test_a_project_that_makes_no_sense_says_where(tmp_path, text, message):
    (tmp_path / "project.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_project(tmp_path)
    assert "project.yaml" in str(caught.value)


def test_changes_of_a_project_are_checked_too():
    changed = Project(fps=25).with_changes(pixels_per_cm=3, lab=None)
    assert (changed.fps, changed.pixels_per_cm, changed.lab) == (25, 3, None)
    with pytest.raises(ConfigError, match=r"fps: .*found -5"):
        changed.with_changes(fps=-5)


def test_projects_survive_being_written(tmp_path):
    project = Project(
        fps=25,
        subjects={"a": "b", "x": None},
        actions={"groom": "clean", "rest": None, "sniff": {"target": "other"}},
        recordings=({"tracks": "a.h5", "labels": ("b.csv",)},),
    )
    (tmp_path / "project.yaml").write_text(dump_project(project), encoding="utf-8")
    assert load_project(tmp_path) == project


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model of pairs, of two animals with three keypoints at 25 fps."""
    place = tmp_path_factory.mktemp("run")
    data = write_fights(place / "data", videos=4, seconds=8)
    train(
        build_config(
            {
                **TINY,
                "task": "pair",
                "data_dir": str(data),
                "store_dir": str(place / "store"),
                "checkpoint_dir": str(place / "run"),
                "epochs": 1,
                "steps_per_epoch": 2,
            },
            where="test",
        )
    )
    return Predictor(load_checkpoint(place / "run"))


def test_the_card_says_what_was_learned_from(model):
    contract = model.checkpoint.contract
    assert contract.keypoint_sets == (("nose", "body_center", "tail_base"),)
    assert contract.animals == (2,)
    assert contract.rates_fps == (25.0,)


def test_a_pose_file_is_marked_as_the_same_recording_imported(model, folder):
    """Importing first changes nothing: the same points, the same probabilities."""
    file = folder / "day1DLC_net_shuffle1.csv"
    project = Project(fps=25, pixels_per_cm=2)
    [directly] = predict(model, file, folder / "out1", project=project)
    _, data = bring_in(folder, "--fps", "25", "--pixels-per-cm", "2")
    [imported] = [
        each for each in predict(model, data, folder / "out2") if each.video == "day1"
    ]

    assert directly.video == imported.video
    assert directly.length == imported.length == 6
    first, second = (
        next(each for each in sources_of(folder / out) if each["video"] == "day1")
        for out in ("out1", "out2")
    )
    assert first["tracks_hash"] == second["tracks_hash"]
    assert first["file"] == file.name


@pytest.mark.parametrize(
    "names", ["headpiece_topfrontleft headpiece_back", "led1 led2"]
)
def test_several_points_of_a_headpiece_are_its_mean_imported_and_directly(
    tmp_path, names
):
    folder, both = tmp_path / "lab", names.split()
    folder.mkdir()
    points = {both[0]: (10, 20), both[1]: (14, 26), "nose": (30, 30)}
    rows = [(f, "m", k, x + f, y) for f in range(4) for k, (x, y) in points.items()]
    with (folder / "day1.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("frame", "animal", "keypoint", "x", "y"))
        writer.writerows(rows)
    keypoints = {each: "headpiece" for each in both if each.startswith("led")}
    project = Project(fps=25, pixels_per_cm=2, keypoints=keypoints)
    directly = read_pose_file(folder / "day1.csv", 0, project, usual_fps=25)
    list(run_import(plan_import(folder, project), tmp_path / "out"))
    imported = read_recording(read_index(tmp_path / "out")[0])
    assert imported.tracking_hash() == directly.tracking_hash()
    assert imported.xy_px[0].tolist() == [[30, 30], [12, 23]]
    assert not [note for note in imported.notes if "given twice" in note]


def test_what_differs_from_the_card_is_said(model, folder, capsys):
    predict(model, folder / "day1DLC_net_shuffle1.csv", folder / "out")

    told = capsys.readouterr().err
    assert "keypoints not tracked here (treated as missing): body_center" in told
    assert "keypoints that no training recording has (of little use): ear_left" in told
    assert "frame rate unknown: 25 fps assumed" in told
    assert "pixels per cm unknown" in told
    [source] = sources_of(folder / "out")
    assert any("body_center" in note for note in source["notes"])


def test_other_numbers_of_animals_and_rates_are_said(model, tmp_path, capsys):
    place = tmp_path / "x.csv"
    place.write_text(
        "frame,keypoint,x,y\n" + "".join(f"{f},nose,{f},1\n" for f in range(30))
    )
    project = Project(fps=60, pixels_per_cm=10)
    predict(model, place, tmp_path / "out", project=project)
    told = capsys.readouterr().err
    assert "1 animal; the model was trained on 2" in told
    assert "60 fps; the model was trained on 25 fps (resampled to 33.3)" in told


def test_a_note_on_several_recordings_is_one_line_with_a_count(model, tmp_path, capsys):
    folder = tmp_path / "poses"
    folder.mkdir()
    rows = "".join(f"{f},nose,{f},1\n" for f in range(30))
    for name in ("x", "y", "z"):
        (folder / f"{name}.csv").write_text(f"frame,keypoint,x,y\n{rows}")
    predict(model, folder, tmp_path / "out", project=Project(fps=25, pixels_per_cm=10))
    notes = capsys.readouterr().err.splitlines()
    assert "mabe: 3 of 3 recordings: 1 animal; the model was trained on 2" in notes
    assert sum("1 animal" in note for note in notes) == 1


def test_a_recording_without_any_known_keypoint_is_refused(model, tmp_path):
    place = tmp_path / "x.csv"
    place.write_text("frame,keypoint,x,y\n0,left_ear,1,1\n1,left_ear,2,1\n")
    project = Project(fps=25, pixels_per_cm=10)
    with pytest.raises(
        DataError, match=r"its keypoints are ear_left; the model reads none of them"
    ):
        predict(model, place, tmp_path / "out", project=project)


def test_nothing_is_marked_where_nothing_is_tracked(model, tmp_path):
    place = tmp_path / "x.csv"
    rows = [
        f"{frame},{animal},{part},{x + frame % 3},{animal}\n"
        for frame in range(500, 600)
        for animal in (1, 2)
        for part, x in (("nose", 10), ("body_center", 60), ("tail_base", 100))
    ]
    place.write_text("frame,id,keypoint,x,y\n" + "".join(rows))
    project = Project(fps=25, pixels_per_cm=10)
    store = from_recording(read_pose_file(place, 0, project, usual_fps=25), 33.3)
    bouts = [
        Bout(start, stop, "attack", 1, 2, 0.9)
        for start, stop in [(0, 400), (0, 600), (520, 530)]
    ]

    kept = [(bout.start, bout.stop) for bout in within_tracks(bouts, store, 0)]
    assert kept == [(500, 600), (520, 530)]
    [marked] = predict(model, place, tmp_path / "out", project=project)
    assert marked.length == 600


def test_of_files_of_one_video_the_filtered_and_hdf5_are_taken(folder):
    names = ("day1DLC_net_shuffle1_filtered.csv", "day3DLC_net.csv", "day3DLC_raw.csv")
    for name in names:
        write_dlc_csv(folder / name)
    plan = plan_import(folder, Project())

    taken = sorted(files.track.path.name for files in plan.recordings)
    assert taken == [
        *("day10DLC_net_shuffle1.csv", "day1DLC_net_shuffle1_filtered.csv"),
        "day3DLC_net.csv",
    ]
    assert len(plan.notes) == 2
    assert "day3DLC_raw.csv: left out, day3DLC_net.csv is of the same video" in str(
        plan.notes
    )


def test_labels_go_to_the_tracks_in_their_own_folder(tmp_path):
    for cage in ("cage1", "cage2"):
        (tmp_path / cage).mkdir()
        write_dlc_csv(tmp_path / cage / "day1DLC_net.csv")
        write_boris(tmp_path / cage / "scores.csv", (1, 3, "a", cage))
    plan = plan_import(tmp_path, Project())

    assert [
        (p.track.name, [m.annotations.behaviours for m in p.labels])
        for p in plan.recordings
    ] == [
        ("cage1_day1", [("cage1",)]),
        ("cage2_day1", [("cage2",)]),
    ]


def test_a_folder_of_pose_files_is_marked_file_by_file(model, folder):
    marked = predict(model, folder, folder / "out", project=Project(fps=25))
    assert [each.video for each in marked] == ["day10", "day1"]


def write_walk(path, body_px):
    """Write the tracks of a body of this length that walks along a line."""
    rows = [
        f"{frame},m1,{point},{x + frame},50"
        for frame in range(60)
        for point, x in (("nose", body_px), ("tail_base", 0.0))
    ]
    text = "\n".join(["frame,individual,keypoint,x,y", *rows])
    path.write_text(text, encoding="utf-8")


def test_films_of_one_camera_have_one_estimated_scale(tmp_path, capsys):
    lab = tmp_path / "lab"
    lab.mkdir()
    for name, body_px in (("a", 90.0), ("b", 99.0), ("c", 93.0)):
        write_walk(lab / f"{name}.csv", body_px)

    assert (
        main(["import", str(lab), "--out", str(tmp_path / "data"), "--fps", "30"]) == 0
    )

    with (tmp_path / "data" / "train.csv").open(encoding="utf-8", newline="") as file:
        scales = [float(row["pix_per_cm_approx"]) for row in csv.DictReader(file)]
    assert scales == pytest.approx([93 / 9] * 3, rel=1e-4)
    assert "from the length of bodies of all films" in capsys.readouterr().out


def test_films_of_different_cameras_keep_their_own_estimates(tmp_path):
    lab = tmp_path / "lab"
    lab.mkdir()
    for name, body_px in (("near", 180.0), ("far", 90.0)):
        write_walk(lab / f"{name}.csv", body_px)

    assert (
        main(["import", str(lab), "--out", str(tmp_path / "data"), "--fps", "30"]) == 0
    )

    with (tmp_path / "data" / "train.csv").open(encoding="utf-8", newline="") as file:
        scales = {float(row["pix_per_cm_approx"]) for row in csv.DictReader(file)}
    assert scales == {10.0, 20.0}
