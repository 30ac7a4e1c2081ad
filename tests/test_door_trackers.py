"""Tracks as other trackers write them, with the right values by hand."""

import json
import shutil

import numpy as np
import pytest
from door_cases import bouts, case, imported

from mabe.errors import DataError
from mabe.io.import_plan import describe_plan, plan_import
from mabe.io.importer import run_import
from mabe.io.inspector import inspect
from mabe.io.project import Project
from mabe.io.readers.formats import read_file
from mabe.io.readers.left_out import LeftOut, NothingToImport

BOTH = [(1, 2, "attack", 25, 50), (2, 1, "sniff", 100, 125)]


# idtracker.ai.

CSV_FOLDER = "session_trial/trajectories/trajectories_csv"


def test_idtracker_csv_has_rate_video_and_animals_in_its_attributes():
    [(name, recording)] = imported("idtracker_csv", fps=None, pixels_per_cm=8).items()

    poses = recording.standard.poses
    assert (name, recording.standard.fps) == ("trial", 25)
    assert (poses.animals, poses.keypoints) == (("1", "2"), ("body_center",))
    assert poses.xy_px.shape == (250, 2, 1, 2)
    np.testing.assert_allclose(
        poses.xy_px[0, :, 0], [[260.075, 212.075], [472.1, 256.85]]
    )
    assert np.flatnonzero(~poses.present[:, 1, 0]).tolist() == [40, 41, 42, 43, 44]
    assert poses.present[:, 0].all()
    assert bouts(recording) == BOTH
    notes = " ".join(recording.notes)
    assert "one point an animal" in notes
    assert "body_length is a length in pixels" in notes


def test_idtracker_gives_no_scale_so_it_is_asked_for():
    plan = plan_import(case("idtracker_csv"), Project())

    with pytest.raises(DataError, match="give --pixels-per-cm"):
        list(run_import(plan, None))


@pytest.mark.parametrize(
    "file", ["areas.csv", "id_probabilities.csv", "attributes.json"]
)
def test_files_beside_the_trajectories_are_read_with_them(file):
    with pytest.raises(NothingToImport, match="together with trajectories"):
        read_file(case("idtracker_csv") / CSV_FOLDER / file)


@pytest.mark.parametrize("clock", ["time", "seconds", None])
def test_the_time_of_idtracker_has_two_names_or_is_absent(tmp_path, clock):
    header = ["x1", "y1", "x2", "y2"] if clock is None else [clock, "x1", "y1"]
    path = tmp_path / "trajectories.csv"
    row = ["0.5"] * (clock is not None) + ["10", "20", "30", "40"][
        : 4 if not clock else 2
    ]
    path.write_text("\n".join([",".join(header), *[",".join(row)] * 3]))

    [poses] = read_file(path).poses

    assert len(poses.animals) == (2 if clock is None else 1)
    np.testing.assert_allclose(poses.xy_px[:, 0, 0], [[10, 20]] * 3)
    assert (poses.name, poses.fps) == ("trajectories", None)


def write_session(folder, *results, forms=("npy", "csv")):
    """Write results of a session as idtracker.ai names them, shifted by their place."""
    trajectories = folder / "session_day1" / "trajectories"
    trajectories.mkdir(parents=True)
    for shift, result in enumerate(results):
        xy = np.arange(12.0).reshape(3, 2, 2) + 100 * shift
        attributes = {
            "frames_per_second": 30,
            "body_length": 20.5,
            "video_paths": ["/data/a.mp4", "/data/b.mp4"],
            "identities_labels": ["Lou", "Max"],
        }
        if "npy" in forms:
            np.save(trajectories / f"{result}.npy", {"trajectories": xy, **attributes})
        if "csv" in forms:
            table = trajectories / f"{result}_csv"
            table.mkdir()
            rows = [",".join(map(str, row)) for row in xy.reshape(3, 4)]
            text = "\n".join(["x1,y1,x2,y2", *rows])
            (table / "trajectories.csv").write_text(text)
            (table / "attributes.json").write_text(json.dumps(attributes))
    return trajectories


@pytest.mark.parametrize("forms", [("npy", "csv"), ("npy",), ("csv",)])
@pytest.mark.parametrize(
    ("results", "best"),
    [
        (("with_gaps", "without_gaps"), 1),
        (("validated", "with_gaps", "without_gaps"), 0),
        (("trajectories",), 0),
        (("with_gaps",), 0),
    ],
)
def test_a_session_of_idtracker_is_one_recording(tmp_path, forms, results, best):
    write_session(tmp_path, *results, forms=forms)

    plan = plan_import(tmp_path, Project())

    [files] = plan.recordings
    assert (files.track.name, files.track.fps) == ("day1", 30)
    assert files.track.animals == ("Lou", "Max")
    [poses] = read_file(files.track.path).poses
    np.testing.assert_allclose(poses.xy_px[0, 1, 0], [2 + 100 * best, 3 + 100 * best])
    assert plan.left_out == 0
    assert all("idtracker.ai" in line for line in describe_plan(plan) if "!" in line)


def test_a_dictionary_of_idtracker_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    path = tmp_path / "trajectories.npy"
    np.save(path, {"trajectories": Evil(), "frames_per_second": 30})

    with pytest.raises(DataError):
        read_file(path)


def test_a_session_without_its_attributes_has_no_rate(tmp_path):
    folder = case("idtracker_csv") / CSV_FOLDER
    shutil.copy(folder / "trajectories.csv", tmp_path)

    [poses] = read_file(tmp_path / "trajectories.csv").poses

    assert (poses.fps, poses.animals) == (None, ("1", "2"))


# Ultralytics (YOLO): a text for each frame.

NAMED = {"point1": "nose", "point2": "ear_left", "point3": "ear_right"}


def test_yolo_texts_are_frames_of_one_recording():
    keypoints = {**NAMED, "point4": "tail_base"}
    [(name, recording)] = imported(
        "yolo_txt", size=(640, 480), keypoints=keypoints
    ).items()

    poses = recording.standard.poses
    assert (name, poses.animals) == ("trial", ("1", "2"))
    assert (poses.first_frame, poses.xy_px.shape) == (0, (100, 2, 4, 2))
    # Values of the case are rounded to six digits.
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [260.0, 236.0], atol=1e-3)
    absent = ~poses.present[:, 1].any(axis=-1)
    assert np.flatnonzero(absent).tolist() == [40, 41, 42, 43]
    assert poses.present[:, 0].all()
    assert recording.standard.parts == ("nose", "ear_left", "ear_right", "tail_base")


def test_yolo_texts_without_the_size_of_the_picture_ask_for_it():
    lines = list(inspect(case("yolo_txt"), Project()))

    assert len(lines) == 2
    assert any("99 files" in line and "YOLO" in line for line in lines)
    assert any("set `size: [width, height]`" in line for line in lines)
    with pytest.raises(DataError, match="set `size"):
        plan_import(case("yolo_txt"), Project(fps=25))


def test_yolo_texts_without_names_of_keypoints_ask_for_them():
    plan = plan_import(case("yolo_txt"), Project(fps=25, size=(640, 480)))

    with pytest.raises(DataError, match="map them under `keypoints`"):
        list(run_import(plan, None))


def yolo_row(track, x, *, points=4, depth=3, score=False, has_track=True):
    """Return an animal of which all points lie in its box."""
    rng = np.random.default_rng(track)
    at = np.column_stack(
        [rng.uniform(x, x + 0.2, points), rng.uniform(0.4, 0.5, points)]
    )
    given = at if depth == 2 else np.column_stack([at, np.full(points, 0.9)])
    row = [0, x + 0.1, 0.45, 0.2, 0.1, *given.ravel()]
    row += [0.875] if score else []
    row += [track] if has_track else []
    return " ".join(f"{each:g}" for each in row), at


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("score", [False, True])
@pytest.mark.parametrize("points", [3, 4, 6, 12])
@pytest.mark.parametrize("has_track", [False, True])
def test_the_columns_of_yolo_are_told_from_the_boxes(
    tmp_path, depth, score, points, has_track
):
    form = {"points": points, "depth": depth, "score": score, "has_track": has_track}
    text, right = yolo_row(7, 0.7, **form)
    for frame in (1, 2, 10):
        (tmp_path / f"a_1_{frame}.txt").write_text(text)

    [poses] = read_file(tmp_path / "a_1_2.txt").poses

    assert poses.animals == ("7",) if has_track else ("class 0",)
    assert (poses.name, poses.unit) == ("a_1", "picture")
    assert poses.xy_px.shape == (10, 1, points, 2)
    for frame in (0, 1, 9):
        np.testing.assert_allclose(poses.xy_px[frame, 0], right, atol=1e-5)
    assert not poses.present[2:9].any()


def test_columns_of_yolo_that_fit_several_layouts_are_refused(tmp_path):
    # On the diagonal of the picture x and y are alike.
    row = [0, 0.5, 0.5, 0.2, 0.2, *np.linspace(0.42, 0.58, 12).tolist(), 3]
    (tmp_path / "a_1.txt").write_text(" ".join(f"{each:g}" for each in row))

    with pytest.raises(LeftOut, match="several layouts fit"):
        read_file(tmp_path / "a_1.txt")


def test_animals_that_yolo_did_not_track_have_no_identity(tmp_path):
    rows = [yolo_row(n, 0.6 + 0.05 * n, has_track=False)[0] for n in (1, 5)]
    (tmp_path / "a_1.txt").write_text("\n".join(rows))

    with pytest.raises(LeftOut, match="without tracks, of several animals"):
        read_file(tmp_path / "a_1.txt")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a_1.txt", "0 0.5 0.5 0.1 0.1 1", "columns cannot be told"),
        ("a_0001.txt", yolo_row(1, 0.7)[0], "of pictures, not of a video"),
        ("a.txt", yolo_row(1, 0.7)[0], "of pictures, not of a video"),
    ],
)
def test_other_texts_of_yolo_are_refused(tmp_path, name, text, reason):
    (tmp_path / name).write_text(text)

    with pytest.raises(LeftOut, match=reason):
        read_file(tmp_path / name)


@pytest.mark.parametrize("text", ["0 0.5", "a b c d e f", "0 0.5 0.5 0.1 0.1 2 3"])
def test_a_broken_frame_of_yolo_is_named(tmp_path, text):
    (tmp_path / "a_1.txt").write_text(yolo_row(1, 0.7)[0])
    (tmp_path / "a_2.txt").write_text(text)

    with pytest.raises(DataError, match=r"a_2\.txt"):
        read_file(tmp_path / "a_1.txt")
