"""Tracks as other trackers write them, with the right values by hand."""

import io
import json
import shutil
import sqlite3
import zipfile
from contextlib import closing

import numpy as np
import pytest
from door_cases import bouts, case, imported
from scipy.io import loadmat, savemat

from mabe.errors import DataError
from mabe.io.import_plan import describe_plan, plan_import
from mabe.io.importer import run_import
from mabe.io.inspector import inspect
from mabe.io.project import Project
from mabe.io.readers.annotations import SELF, Event
from mabe.io.readers.file_head import Peek
from mabe.io.readers.formats import read_file
from mabe.io.readers.left_out import LeftOut, NothingToImport
from mabe.io.readers.matlab import variables_of

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


# TRex: an npz file for each individual.


def test_trex_individuals_are_one_recording():
    [(name, recording)] = imported(
        "trex_npz", fps=None, keypoints={"pose0": "nose"}
    ).items()

    standard = recording.standard
    poses = standard.poses
    assert (name, standard.fps, standard.pixels_per_cm) == ("trial", 25, 8)
    assert not standard.is_scale_estimated
    assert (poses.animals, poses.first_frame) == (("id0", "id1"), 0)
    assert poses.keypoints == ("pose0", "pose1", "pose2", "pose3", "centroid")
    assert poses.xy_px.shape == (250, 2, 5, 2)
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [260, 236])
    np.testing.assert_allclose(poses.xy_px[0, 0, 4], [260.075, 212.075])
    lost = ~poses.present[:, :, 4]
    assert [np.flatnonzero(of).tolist() for of in lost.T] == [[*range(100, 105)]] * 2
    assert bouts(recording) == BOTH


def write_trex(path, frames, *, scale=0.1, **arrays):
    """Write an individual whose centroid is its frame number in pixels."""
    at = np.asarray(frames, float)
    given = {"cm_per_pixel": np.array([scale])} if scale is not None else {}
    centroid = {"X#wcentroid": at * (scale or 1), "Y#wcentroid": at * (scale or 1)}
    np.savez(path, frame=at, frame_rate=30.0, **given, **(centroid | arrays))


def test_individuals_of_trex_may_begin_and_end_at_other_frames(tmp_path):
    write_trex(tmp_path / "a_fish10.npz", [4, 5])
    write_trex(tmp_path / "a_fish9.npz", [7, 9])
    write_trex(tmp_path / "b_fish9.npz", [0])

    plan = plan_import(tmp_path, Project(pixels_per_cm=10))
    [poses] = read_file(tmp_path / "a_fish10.npz").poses

    assert [files.track.name for files in plan.recordings] == ["a", "b"]
    assert (poses.animals, poses.first_frame) == (("fish9", "fish10"), 4)
    right = np.full((6, 2), np.nan)
    right[[0, 1], 1], right[[3, 5], 0] = [4, 5], [7, 9]
    np.testing.assert_allclose(poses.xy_px[:, :, 0, 0], right, rtol=1e-6)
    assert poses.fps == 30


@pytest.mark.parametrize("scale", [None, 0, 1])
def test_a_trex_that_was_not_calibrated_gives_no_scale(tmp_path, scale):
    write_trex(tmp_path / "a_id0.npz", [0, 1], scale=scale)

    [poses] = read_file(tmp_path / "a_id0.npz").poses

    assert poses.pixels_per_cm is None
    assert any("not calibrated" in note for note in poses.notes)


def test_outlines_of_trex_are_no_tracks(tmp_path):
    np.savez(tmp_path / "a_posture_id0.npz", outline_points=[1], midline_points=[1])

    with pytest.raises(NothingToImport, match="outlines of TRex"):
        read_file(tmp_path / "a_posture_id0.npz")


def test_arrays_of_trex_must_be_of_one_length(tmp_path):
    write_trex(tmp_path / "a_id0.npz", [0, 1], **{"X#wcentroid": np.zeros(3)})

    with pytest.raises(DataError, match="arrays of one length"):
        read_file(tmp_path / "a_id0.npz")


def npy(array, shape=None):
    """Return an npy file, whose header may declare another shape."""
    file = io.BytesIO()
    if shape is None:
        np.save(file, array, allow_pickle=True)
    else:
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(array.tobytes())
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy(np.zeros(2), (10**8,)), "declares the shape"),
        (npy(np.zeros(2), (10**15,)), "no array of numbers"),
        (npy(np.array([{}, {}], object)), "no array of numbers"),
        (npy(np.array(["a", "b"])), "no array of numbers"),
        (npy(np.zeros(2))[:60], "cannot be read as npz"),
        (npy(np.zeros(1 << 24)), "far more bytes than the file holds"),
    ],
)
def test_hostile_arrays_of_npz_files_are_refused(tmp_path, content, reason):
    path = tmp_path / "a_id0.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("frame.npy", npy(np.arange(2.0)))
        archive.writestr("X#wcentroid.npy", content)

    with pytest.raises(DataError, match=reason):
        read_file(path)


# MATLAB: JAABA and FlyTracker.


def test_flytracker_gives_ellipses_of_which_the_ends_are_head_and_tail():
    [(name, recording)] = imported("flytracker", fps=None).items()

    standard = recording.standard
    poses = standard.poses
    assert (name, poses.animals, poses.length) == ("trial", ("1", "2"), 250)
    assert (standard.fps, standard.pixels_per_cm) == (25, 8)
    assert standard.parts == ("head", "body_center", "tail_base")
    np.testing.assert_allclose(poses.xy_px[0, 0, :, 0], [296.075, 260.075, 224.075])
    np.testing.assert_allclose(poses.xy_px[0, 0, :, 1], [212.075] * 3)


def test_the_direction_of_flytracker_is_measured_upwards(tmp_path):
    fields = np.array(["pos x", "pos y", "ori", "major axis len"], object)
    data = np.array([[[100.0, 50.0, np.pi / 2, 20.0]]])
    savemat(tmp_path / "a-track.mat", {"trk": {"names": fields, "data": data}})

    [poses] = read_file(tmp_path / "a-track.mat").poses

    np.testing.assert_allclose(
        poses.xy_px[0, 0], [[100, 40], [100, 50], [100, 60]], atol=1e-4
    )


def test_jaaba_tracks_begin_at_their_first_frame():
    poses = next(iter(imported("jaaba", fps=None).values())).standard.poses

    assert (poses.name, poses.animals) == ("trial", ("1", "2"))
    assert (poses.fps, poses.pixels_per_cm) == (25, 8)
    assert (poses.first_frame, poses.length) == (0, 250)
    assert poses.present[:, 0].all()
    absent = ~poses.present[:, 1].any(axis=-1)
    assert np.flatnonzero(absent).tolist() == [*range(10)]
    # MATLAB counts pixels from 1.
    np.testing.assert_allclose(poses.xy_px[0, 0, 1], [259.075, 211.075])
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [259.075 + 36, 211.075])
    np.testing.assert_allclose(poses.xy_px[10, 1, 1], [464.575, 258.3])


def test_jaaba_labels_say_what_was_looked_at():
    [recording] = imported("jaaba", fps=None).values()

    assert bouts(recording) == [(1, 2, "chase", 25, 50), (2, 1, "chase", 50, 75)]
    spans = [(s.agent, s.start, s.stop) for s in recording.labels.coverage]
    assert sorted(spans) == [(1, 25, 50), (1, 100, 125), (2, 50, 75)]


def test_no_chase_is_a_negative_of_chase(tmp_path):
    cells = np.empty((3, 1), object)
    names = np.array(["chase", "No_chase", "wing"], object)
    cells[:, 0] = [np.array([1, 11, 21]), np.array([11, 21, 31]), names]
    variables = {k: cells[at : at + 1] for at, k in enumerate(("t0s", "t1s", "names"))}
    savemat(tmp_path / "labeled_x.mat", {**variables, "flies": [[3]]})

    [annotations] = read_file(tmp_path / "labeled_x.mat").annotations

    assert [(e.start, e.behaviour) for e in annotations.events] == [
        (0, "chase"),
        (20, "wing"),
    ]
    assert [(w.start, w.behaviour, w.subject) for w in annotations.watched] == [
        (0, "chase", "3"),
        (10, "chase", "3"),
        (20, "wing", "3"),
    ]


def test_scores_of_jaaba_are_no_labels(tmp_path):
    savemat(tmp_path / "scores_chase.mat", {"allScores": {"scores": [1.0]}})

    with pytest.raises(NothingToImport, match="a classifier of JAABA computed"):
        read_file(tmp_path / "scores_chase.mat")


def test_a_matlab_file_of_version_73_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "trx.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))

    with pytest.raises(DataError, match="is it cut off"):
        read_file(path)


@pytest.mark.parametrize("is_compressed", [False, True])
def test_variables_of_matlab_are_those_that_scipy_reads(tmp_path, is_compressed):
    cells = np.empty((2, 3), object)
    for at in np.ndindex(2, 3):
        cells[at] = np.arange(sum(at) + 1.0)
    variables = {
        "numbers": np.arange(24.0).reshape(2, 3, 4),
        "small": np.array([[1, 2, 3]], np.uint8),
        "truth": np.array([[True, False]]),
        "nothing": np.empty((0, 0)),
        "text": "Mäuse",
        "cells": cells,
        "inner": {"a": {"b": "c", "d": -1.5}, "e": np.int16(-7)},
    }
    path = tmp_path / "a.mat"
    savemat(path, variables, do_compression=is_compressed)

    found = variables_of(Peek(path))
    right = loadmat(path, simplify_cells=False)

    assert found.keys() == variables.keys()
    for name in ("numbers", "small", "truth", "nothing"):
        np.testing.assert_array_equal(found[name], right[name])
    assert found["text"] == "Mäuse"
    for ours, theirs in zip(found["cells"], cells.ravel(order="F"), strict=True):
        np.testing.assert_array_equal(ours.ravel(), theirs)
    [inner] = found["inner"]
    [a] = inner["a"]
    assert (a["b"], float(a["d"].item()), int(inner["e"].item())) == ("c", -1.5, -7)


def test_a_cell_array_that_declares_more_than_the_file_holds_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    cells = np.empty((1, 77), object)
    cells[0, :] = 0.0
    savemat(path, {"c": cells})
    content = path.read_bytes()
    shape = np.array([1, 77], "<i4").tobytes()
    assert content.count(shape) == 1
    path.write_bytes(content.replace(shape, np.array([1 << 15] * 2, "<i4").tobytes()))

    with pytest.raises(DataError, match="1,073,741,824 cells are declared"):
        read_file(path)


# COCO keypoints.


def test_coco_keypoints_with_tracks_are_a_recording():
    [(name, recording)] = imported("coco_gt", fps=None).items()

    poses = recording.standard.poses
    assert (name, recording.standard.fps) == ("trial", 25)
    assert (poses.animals, poses.first_frame) == (("1", "2"), 0)
    assert poses.keypoints == ("nose", "left_ear", "right_ear", "tail_base")
    assert poses.xy_px.shape == (250, 2, 4, 2)
    assert poses.present.all()
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [260, 236])
    assert bouts(recording) == BOTH


def coco(*marks, names=("nose", "tail")):
    """Return a document: each mark is a picture, an animal's keys, and its points."""
    files = list(dict.fromkeys(file for file, _, _ in marks))
    return {
        "annotations": [
            {"image_id": files.index(file), "category_id": 1, "keypoints": xyv, **keys}
            for file, keys, xyv in marks
        ],
        "images": [{"id": at, "file_name": file} for at, file in enumerate(files)],
        "categories": [
            {"id": 1, "name": "mouse", "keypoints": names},
            {"id": 2, "name": "rat", "keypoints": names},
        ],
    }


POINTS = [1, 2, 2, 3, 4, 1]


def read_coco(tmp_path, *marks):
    (tmp_path / "day.json").write_text(json.dumps(coco(*marks)))
    return read_file(tmp_path / "day.json").poses


@pytest.mark.parametrize(
    ("file", "name", "frame"),
    [
        ("trial/frame_000012.png", "trial", 12),
        ("trial_12.jpg", "trial", 12),
        ("data/images/img00012.png", "day", 12),
        ("C:/films/a-b/12.png".replace("/", "\\"), "a-b", 12),
        ("cage1 7.png", "cage1", 7),
    ],
)
def test_names_of_pictures_give_recording_and_frame(tmp_path, file, name, frame):
    [poses] = read_coco(tmp_path, (file, {}, POINTS))

    assert (poses.name, poses.first_frame) == (name, frame)
    assert poses.animals == ("mouse",)


@pytest.mark.parametrize("keys", [{"track_id": 7}, {"attributes": {"track_id": 7}}])
def test_points_that_were_not_marked_are_missing(tmp_path, keys):
    [poses] = read_coco(
        tmp_path, ("a_3.png", keys, POINTS), ("a_5.png", keys, [0, 0, 0, 5, 6, 2])
    )

    assert (poses.animals, poses.first_frame) == (("7",), 3)
    assert poses.present[:, 0].tolist() == [[True, True], [False] * 2, [False, True]]


def test_categories_are_the_animals_where_nothing_else_is(tmp_path):
    [poses] = read_coco(
        tmp_path, ("a_0.png", {"category_id": 2}, POINTS), ("a_0.png", {}, POINTS)
    )

    assert poses.animals == ("mouse", "rat")


@pytest.mark.parametrize(
    ("marks", "reason"),
    [
        ([("a_0.png", {}, POINTS)] * 2, "without `track_id`"),
        ([("a.png", {}, POINTS)], "without a number in their names"),
        ([("a_0.png", {}, [])], "without keypoints"),
        ([("a_0.png", {"category_id": 9}, POINTS)] * 2, "keypoints"),
        ([("a_0.png", {}, POINTS[:-1])], "5 numbers for 2 keypoints"),
        ([("a_99999999999.png", {}, POINTS)], "no frame below"),
    ],
)
def test_coco_that_is_no_track_says_why(tmp_path, marks, reason):
    with pytest.raises(DataError, match=reason):
        read_coco(tmp_path, *marks)


# Live Mouse Tracker.


def test_live_mouse_tracker_is_a_recording_without_labels():
    [(name, recording)] = imported("lmt", fps=None).items()

    standard = recording.standard
    poses = standard.poses
    assert (name, standard.fps, standard.pixels_per_cm) == ("trial", 30, 5.7)
    assert (poses.animals, poses.first_frame) == (("Lou", "Max"), 0)
    assert standard.parts == ("nose", "body_center", "tail_base")
    assert poses.xy_px.shape == (250, 2, 3, 2)
    np.testing.assert_allclose(
        poses.xy_px[0, 0], [[260, 236], [260.075, 212.075], [260.3, 164.2]]
    )
    absent = ~poses.present[:, 1].any(axis=-1)
    assert np.flatnonzero(absent).tolist() == [*range(60, 70)]
    assert poses.present[:, 0].all()
    # The program's own events are shown, and never taken as labels.
    assert not recording.has_labels
    plan = plan_import(case("lmt"), Project())
    assert any("predicted by a program" in line for line in describe_plan(plan))


def test_events_of_live_mouse_tracker_are_a_programs():
    [annotations] = read_file(case("lmt") / "trial.sqlite").annotations

    assert (annotations.by, annotations.fps) == ("program", 30)
    assert list(annotations.events) == [
        Event(30, 60, "Oral-genital Contact", "Lou", "Max"),
        Event(75, 90, "Rear isolated", "Lou", SELF),
        Event(120, 150, "Oral-genital Contact", "Max", "Lou"),
    ]


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"

ANIMAL = "CREATE TABLE ANIMAL (ID, NAME, RFID)"

DETECTION = """
CREATE TABLE DETECTION (FRAMENUMBER, ANIMALID, MASS_X, MASS_Y, FRONT_X, FRONT_Y,
BACK_X, BACK_Y)
"""


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("CREATE TABLE other (x)", "an SQLite database of an unknown program"),
        (
            f"{ANIMAL}; CREATE VIEW DETECTION AS {ENDLESS} SELECT * FROM n",
            "an SQLite database of an unknown program",
        ),
        (f"{ANIMAL}; {DETECTION}", "of no animal"),
        (f"CREATE TABLE ANIMAL (ID); {DETECTION}", "no such column"),
        (
            f"{ANIMAL}; INSERT INTO ANIMAL VALUES (1, 'a', ''); {DETECTION};"
            " INSERT INTO DETECTION VALUES (1.5, 1, 1, 2, 3, 4, 5, 6)",
            "whole frame numbers",
        ),
        (
            f"{ANIMAL}; INSERT INTO ANIMAL VALUES (1, 'a', ''); {DETECTION};"
            " INSERT INTO DETECTION VALUES (1, 1, 1, 2, 3, 4, 5, 6);"
            "INSERT INTO DETECTION VALUES (99999999999, 1, 1, 2, 3, 4, 5, 6)",
            "expected frame numbers",
        ),
    ],
)
def test_databases_that_hold_no_tracks_are_refused(tmp_path, script, reason):
    path = tmp_path / "a b#?.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)

    with pytest.raises(DataError, match=reason):
        read_file(path)


# Damaged files of all of these.

FILES = [
    ("idtracker_csv", f"{CSV_FOLDER}/trajectories.csv"),
    ("idtracker_csv", f"{CSV_FOLDER}/attributes.json"),
    ("yolo_txt", "labels/trial_1.txt"),
    ("trex_npz", "data/trial_id0.npz"),
    ("jaaba", "trial/registered_trx.mat"),
    ("jaaba", "trial/labeled_chase.mat"),
    ("flytracker", "trial/trial-track.mat"),
    ("flytracker", "calibration.mat"),
    ("coco_gt", "trial.json"),
    ("lmt", "trial.sqlite"),
]


def damaged(content, rng):
    """Return a file cut off, or with some bytes changed, or a part left out."""
    kind = rng.integers(3)
    if kind == 0:
        return content[: rng.integers(len(content))]
    if kind == 1:
        start, stop = sorted(rng.integers(len(content), size=2))
        return content[:start] + content[stop:]
    changed = bytearray(content)
    for at in rng.integers(min(len(content), 4000), size=8):
        changed[at] = rng.integers(256)
    return bytes(changed)


@pytest.mark.parametrize(("name", "file"), FILES)
@pytest.mark.parametrize("seed", range(5))
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path, name, file, seed):
    rng = np.random.default_rng(seed)
    folder = tmp_path / "case"
    shutil.copytree(case(name), folder)
    content = (folder / file).read_bytes()
    told = []
    for _ in range(10):
        (folder / file).write_bytes(damaged(content, rng))
        try:
            plan_import(folder, Project(fps=25, size=(640, 480)))
            for path in sorted((folder / file).parent.iterdir())[:3]:
                read_file(path)
        except DataError as error:
            told.append(str(error))
    assert not any("\n" in line for line in told)
