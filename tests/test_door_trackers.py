"""Tracks as other trackers write them, with the right values by hand."""

import json
import shutil

import numpy as np
import pytest
from door_cases import bouts, case, imported

from mabe.errors import DataError
from mabe.io.import_plan import describe_plan, plan_import
from mabe.io.importer import run_import
from mabe.io.project import Project
from mabe.io.readers.formats import read_file
from mabe.io.readers.left_out import NothingToImport

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
