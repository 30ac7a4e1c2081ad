"""Other forms of tracks: HDF5, tidy tables, MAT-files of version 7.3, Ctrax, APT …."""

import json
import shutil

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from door_cases import bouts, case, imported
from mat73 import write_mat73
from scipy.io import savemat

from mabe.errors import DataError
from mabe.io.import_plan import describe_plan, plan_import
from mabe.io.importer import run_import
from mabe.io.project import Project
from mabe.io.readers.file_head import Peek
from mabe.io.readers.formats import read_file
from mabe.io.readers.left_out import LeftOut, NothingToImport
from mabe.io.readers.matlab import variables_of


def poses_in(path):
    """Return the only tracks of a file."""
    [poses] = read_file(path).poses
    return poses


def csv(path, *lines):
    """Write lines of a text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


# idtracker.ai: HDF5 and tidy tables.

XY = np.arange(16.0).reshape(4, 2, 2)
ABOUT = {"frames_per_second": 25, "body_length": 20.5}
SESSION = {"video_paths": ["/d/trial.mp4"], "identities_labels": ["Lou", "Max"]}


def write_h5(path):
    with h5py.File(path, "w") as file:
        file["trajectories"] = XY
        file["id_probabilities"] = np.ones((4, 2, 1))
        file.create_group("areas")
        for name, value in {**ABOUT, **SESSION, "length_unit": -1}.items():
            file.attrs[name] = value


def tidy_rows():
    return [
        (frame, frame / 25, animal, *XY[frame, animal], 0.9)
        for frame in range(4)
        for animal in range(2)
    ]


TIDY = ["frame", "time", "individual", "x", "y", "probability"]


def write_tidy(path):
    rows = [",".join(map(str, row)) for row in tidy_rows()]
    csv(path, ",".join(TIDY), *rows)
    about = json.dumps({**ABOUT, **SESSION})
    (path.parent / "attributes_tidy.json").write_text(about)


def write_parquet(path):
    columns = dict(zip(TIDY, zip(*tidy_rows(), strict=True), strict=True))
    about = {"idtrackerai_attributes": json.dumps({**ABOUT, **SESSION})}
    pq.write_table(pa.table(columns).replace_schema_metadata(about), path)


FORMS = {
    "trajectories.h5": write_h5,
    "trajectories_tidy.csv": write_tidy,
    "trajectories.parquet": write_parquet,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_idtracker_has_the_same_tracks(tmp_path, form):
    FORMS[form](tmp_path / form)

    poses = poses_in(tmp_path / form)

    np.testing.assert_allclose(poses.xy_px[:, :, 0], XY)
    assert (poses.name, poses.fps, poses.animals) == ("trial", 25, ("Lou", "Max"))
    assert (poses.keypoints, poses.first_frame) == (("body_center",), 0)
    assert any("body_length is a length in pixels" in note for note in poses.notes)


def test_all_forms_of_a_session_of_idtracker_are_one_recording(tmp_path):
    folder = tmp_path / "session_trial" / "trajectories"
    folder.mkdir(parents=True)
    for form, write in FORMS.items():
        write(folder / form)

    plan = plan_import(tmp_path, Project(pixels_per_cm=8))

    [files] = plan.recordings
    assert files.track.path.name == "trajectories.h5"
    assert plan.left_out == 0


def test_an_animal_without_a_row_in_a_tidy_table_is_missing(tmp_path):
    path = csv(tmp_path / "t.csv", ",".join(TIDY), "0,0,0,1,2,1", "2,0.1,1,,,")

    poses = poses_in(path)

    assert poses.xy_px.shape == (3, 2, 1, 2)
    assert np.argwhere(poses.present).tolist() == [[0, 0, 0]]


# Other programs' forms of one recording.


def test_a_sleap_project_is_read_instead_of_the_tables_exported_from_it(tmp_path):
    shutil.copy(case("slp_hand_corrected") / "trial.slp", tmp_path)
    for name in ("trial.analysis.csv", "trial.csv"):
        shutil.copy(case("sleap_csv") / "trial_sleap.csv", tmp_path / name)

    plan = plan_import(tmp_path, Project(fps=25))

    [files] = plan.recordings
    assert files.track.path.name == "trial.slp"
    said = [line for line in describe_plan(plan) if "is of the same video" in line]
    assert len(said) == 2


def write_jabs(path):
    """Write one mouse in three frames, as version 2 has it."""
    with h5py.File(path, "w") as file:
        group = file.create_group("poseest")
        group["points"] = np.ones((3, 12, 2), np.uint16)
        group["confidence"] = np.ones((3, 12), np.float32)


def test_of_several_versions_of_jabs_poses_the_last_is_read(tmp_path):
    for version in (2, 10, 9):
        write_jabs(tmp_path / f"cage_pose_est_v{version}.h5")

    plan = plan_import(tmp_path, Project())

    [files] = plan.recordings
    assert files.track.path.name == "cage_pose_est_v10.h5"


@pytest.mark.parametrize("form", ["same file twice", "other folder"])
def test_trex_and_deeplabcut_of_one_film_are_one_recording_in_one_folder(
    tmp_path, form
):
    place = tmp_path if form == "same file twice" else tmp_path / "dlc"
    place.mkdir(exist_ok=True)
    csv(tmp_path / "trial_id0.csv", TREX, "0,1,2,0,0", "1,1,2,0.04,0")
    tracks = "trialDLC_dlcrnetms5_socialMar1shuffle1_50000_el.csv"
    shutil.copy(case("sheet_semi") / tracks, place)

    plan = plan_import(tmp_path, Project(fps=25))

    assert len(plan.recordings) == (1 if form == "same file twice" else 2)


def test_tracks_that_flytracker_writes_for_jaaba_are_no_second_recording(tmp_path):
    shutil.copytree(case("flytracker"), tmp_path, dirs_exist_ok=True)
    copied = tmp_path / "trial" / "trial_JAABA"
    shutil.copytree(case("jaaba") / "trial", copied)
    (copied / "registered_trx.mat").rename(copied / "trx.mat")

    plan = plan_import(tmp_path, Project())

    [files] = plan.recordings
    assert files.track.format == "FlyTracker"
    assert [each.path.name for each in files.labels] == ["labeled_chase.mat"]
    assert plan.left_out == 0


# TRex: CSV.

TREX = "frame,X#wcentroid (cm),Y#wcentroid (cm),time (s),missing"


def test_individuals_of_trex_as_csv_are_one_recording_in_centimetres(tmp_path):
    csv(tmp_path / "a_id0.csv", TREX, "3,1,2,0.12,0", "4,1.5,2,0.16,0")
    csv(tmp_path / "a_id1.csv", TREX, "4,7,8,0.16,0", "5,inf,inf,0.2,1")

    plan = plan_import(tmp_path, Project())
    poses = poses_in(tmp_path / "a_id0.csv")

    assert [files.track.name for files in plan.recordings] == ["a"]
    assert (poses.animals, poses.first_frame) == (("id0", "id1"), 3)
    assert (poses.fps, poses.pixels_per_cm) == (25, 1)
    right = [[1, np.nan], [1.5, 7], [np.nan, np.nan]]
    np.testing.assert_allclose(poses.xy_px[:, :, 0, 0], right)
    assert any("1 cm per pixel" in note for note in poses.notes)


def test_pose_points_of_trex_as_csv_are_pixels_and_leave_the_centroid_out(tmp_path):
    header = "frame,X#wcentroid (cm),Y#wcentroid (cm),poseX0,poseY0,poseX1,poseY1"
    path = csv(tmp_path / "a_id0.csv", header, "0,1,2,30,40,50,60")

    poses = poses_in(path)

    assert (poses.keypoints, poses.pixels_per_cm) == (("pose0", "pose1"), None)
    np.testing.assert_allclose(poses.xy_px[0, 0], [[30, 40], [50, 60]])
    assert any("centroid, in cm, is left out" in note for note in poses.notes)


def test_trex_is_read_from_npz_where_both_forms_are_there(tmp_path):
    shutil.copytree(case("trex_npz"), tmp_path, dirs_exist_ok=True)
    for individual in ("id0", "id1"):
        csv(tmp_path / "data" / f"trial_{individual}.csv", TREX, "0,1,2,0,0")

    plan = plan_import(tmp_path, Project(fps=25))

    [files] = plan.recordings
    assert (files.track.format, plan.left_out) == ("TRex npz", 0)


# MAT-files of version 7.3.


def test_mat_files_of_version_73_give_the_same_values(tmp_path):
    numbers = np.arange(24.0).reshape(2, 3, 4)
    elements = [{"a": np.array([[1.0]]), "b": "x"}, {"a": np.array([[2.0]]), "b": "yz"}]
    write_mat73(
        tmp_path / "a.mat",
        {
            "numbers": numbers,
            "text": "Mäuse",
            "nothing": np.empty((0, 0)),
            "cells": [np.array([[5.0]]), "word", []],
            "inner": [{"c": [np.array([[6.0]])]}],
            "elements": elements,
        },
    )

    found = variables_of(Peek(tmp_path / "a.mat"))

    np.testing.assert_array_equal(found["numbers"], numbers)
    assert (found["text"], found["nothing"].size) == ("Mäuse", 0)
    assert [found["cells"][0].item(), *found["cells"][1:]] == [5, "word", []]
    assert found["inner"][0]["c"][0].item() == 6
    assert [each["a"].item() for each in found["elements"]] == [1, 2]
    assert [each["b"] for each in found["elements"]] == ["x", "yz"]
    assert set(found) == {"numbers", "text", "nothing", "cells", "inner", "elements"}


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("jaaba", ["trial/registered_trx.mat", "trial/labeled_chase.mat"]),
        ("flytracker", ["trial/trial-track.mat", "calibration.mat"]),
    ],
)
def test_jaaba_and_flytracker_may_be_saved_in_version_73(tmp_path, name, files):
    right = imported(name, fps=None)
    shutil.copytree(case(name), tmp_path, dirs_exist_ok=True)
    for file in files:
        write_mat73(tmp_path / file, dict(variables_of(Peek(case(name) / file))))

    found = {
        each.standard.name: each
        for each in run_import(plan_import(tmp_path, Project()), None)
    }

    assert found.keys() == right.keys()
    for recording, expected in right.items():
        ours, theirs = found[recording].standard, expected.standard
        np.testing.assert_allclose(ours.poses.xy_px, theirs.poses.xy_px)
        assert (ours.fps, ours.pixels_per_cm) == (theirs.fps, theirs.pixels_per_cm)
        assert bouts(found[recording]) == bouts(expected)


def test_references_that_lead_round_in_a_circle_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        cell = file.create_dataset("trx", (1, 1), h5py.ref_dtype)
        cell[0, 0] = cell.ref
    head = b"MATLAB 7.3 MAT-file".ljust(512)
    path.write_bytes(head + path.read_bytes()[512:])

    with pytest.raises(DataError, match="is the file broken"):
        read_file(path)


# Ctrax.


def write_ctrax(path, **changes):
    """Write two flies in four frames; the second is found again as number 2."""
    columns = {
        "ntargets": [2, 1, 2, 2],
        "identity": [0, 1, 0, 0, 2, 0, 2],
        "x_pos": [10, 50, 11, 12, 52, 13, 53],
        "y_pos": [20, 60, 20, 20, 60, 20, 60],
        "angle": [0, np.pi / 2, 0, 0, 0, 0, 0],
        "maj_ax": [2] * 7,
        "min_ax": [1] * 7,
        "timestamps": [0, 0.04, 0.08, 0.12],
        "startframe": [5],
    }
    given = {**columns, **changes}
    made = {name: np.array(value, float)[:, None] for name, value in given.items()}
    savemat(path, made)


def test_ctrax_gives_ellipses_whose_pieces_of_track_are_joined(tmp_path):
    write_ctrax(tmp_path / "flies.mat")

    poses = poses_in(tmp_path / "flies.mat")

    assert (poses.name, poses.fps, poses.first_frame) == ("flies", 25, 5)
    assert poses.keypoints == ("head", "body_center", "tail_base")
    assert poses.animals == ("animal1", "animal2")
    np.testing.assert_allclose(poses.xy_px[:, 0, 1, 0], [10, 11, 12, 13])
    np.testing.assert_allclose(poses.xy_px[:, 1, 1, 0], [50, np.nan, 52, 53])
    np.testing.assert_allclose(poses.xy_px[0, :, 0], [[14, 20], [50, 64]], atol=1e-5)
    assert any("y points upwards" in note for note in poses.notes)


def test_timestamps_of_ctrax_in_days_give_no_rate(tmp_path):
    write_ctrax(tmp_path / "flies.mat", timestamps=np.arange(4) / 25 / 86400)

    assert poses_in(tmp_path / "flies.mat").fps is None


def test_detections_of_ctrax_that_are_not_counted_are_refused(tmp_path):
    write_ctrax(tmp_path / "flies.mat", ntargets=[2, 2, 2, 2])

    with pytest.raises(DataError, match="counts 8 detections"):
        read_file(tmp_path / "flies.mat")


# APT.

FIRST = np.arange(12.0).reshape(2, 2, 3) + 1
SECOND = np.arange(4.0).reshape(2, 2, 1) + 101


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_targets_of_apt_begin_at_their_own_frames(tmp_path, version):
    path = tmp_path / "fly.trk"
    if version == "5":
        cells = np.empty((1, 2), object)
        cells[0, 0], cells[0, 1] = FIRST, SECOND
    else:
        cells = [FIRST, SECOND]
    variables = {
        "pTrk": cells,
        "startframes": np.array([[4.0, 5.0]]),
        "pTrkiTgt": np.array([[3.0, 7.0]]),
    }
    if version == "5":
        with path.open("wb") as file:
            savemat(file, variables)
    else:
        write_mat73(path, variables)

    poses = poses_in(path)

    assert (poses.animals, poses.first_frame) == (("3", "7"), 3)
    assert poses.keypoints == ("point1", "point2")
    np.testing.assert_allclose(poses.xy_px[:, 0, 0], [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_allclose(poses.xy_px[1, 1], [[100, 101], [102, 103]])
    assert np.isnan(poses.xy_px[[0, 2], 1]).all()


def test_one_matrix_of_apt_has_its_frames_beside_it(tmp_path):
    variables = {"pTrk": FIRST, "pTrkFrm": np.array([[2, 3, 5]])}
    savemat(tmp_path / "fly.mat", variables)

    poses = poses_in(tmp_path / "fly.mat")

    assert (poses.animals, poses.first_frame, len(poses.xy_px)) == (("1",), 1, 4)
    np.testing.assert_allclose(poses.xy_px[:, 0, 0, 0], [0, 1, np.nan, 2])


def test_sparse_tracks_of_apt_are_refused_by_name(tmp_path):
    savemat(tmp_path / "fly.mat", {"pTrk": {"idx": [1], "val": [2.0]}})

    with pytest.raises(LeftOut, match="APT in its sparse form"):
        read_file(tmp_path / "fly.mat")


# AnimalTA.


def test_arenas_of_animalta_are_recordings():
    found = read_file(case("animalta_real") / "arenas.csv").poses

    assert [poses.name for poses in found] == [f"arenas_Arena{n}" for n in range(9)]
    assert {(p.animals, p.first_frame, len(p.xy_px)) for p in found} == {
        (("Ind0",), 19098, 19)
    }
    np.testing.assert_allclose(found[1].xy_px[0, 0, 0], [903.3467258, 328.4163466])


def test_a_row_for_each_animal_of_animalta_is_read_by_its_frame():
    poses = poses_in(case("animalta_real") / "individuals.csv")

    assert (poses.name, poses.first_frame, len(poses.xy_px)) == ("individuals", 0, 19)
    np.testing.assert_allclose(poses.xy_px[[0, 18], 0, 0], [[514, 133], [529, 124]])


def test_head_and_tail_of_animalta_are_points_of_one_animal(tmp_path):
    names = [f"{axis}_Arena0_Ind0_{part}" for part in ("Head", "Tail") for axis in "XY"]
    path = csv(
        tmp_path / "film_Coordinates.csv",
        ";".join(["Frame", "Time", *names]),
        "0;0.0;120;80;100;82",
        "1;0.03;NA;NA;102;83",
    )

    poses = poses_in(path)

    assert (poses.name, poses.keypoints) == ("film", ("head", "tail_base"))
    assert poses.present[:, 0].tolist() == [[True, True], [False, True]]


def test_corrected_coordinates_of_animalta_are_read_instead_of_raw_ones(tmp_path):
    head = "Frame;Time;X_Arena0_Ind0;Y_Arena0_Ind0"
    csv(tmp_path / "coordinates" / "film_Coordinates.csv", head, "0;0;1;2")
    csv(tmp_path / "corrected_coordinates" / "film_Corrected.csv", head, "0;0;3;4")

    plan = plan_import(tmp_path, Project())

    [files] = plan.recordings
    assert (files.track.path.name, plan.left_out) == ("film_Corrected.csv", 0)


# MMPose.


def instance(x, **more):
    return {"keypoints": [[x, 2.0], [3.0, 4.0]], "keypoint_scores": [0.9, 0.2], **more}


def test_predictions_of_mmposes_inferencer_count_frames_from_zero(tmp_path):
    frames = [
        {"frame_id": 0, "instances": [instance(1.0)]},
        {"frame_id": 1, "instances": []},
        {"frame_id": 2, "instances": [instance(5.0)]},
    ]
    (tmp_path / "film.json").write_text(json.dumps(frames))

    poses = poses_in(tmp_path / "film.json")

    assert (poses.first_frame, poses.keypoints) == (0, ("point0", "point1"))
    np.testing.assert_allclose(poses.xy_px[:, 0, 0, 0], [1, np.nan, 5])
    np.testing.assert_allclose(poses.confidence[0, 0], [0.9, 0.2])
    assert poses.usual_confidence == 0.3


def test_predictions_of_mmposes_demo_count_frames_from_one_and_name_keypoints(tmp_path):
    data = {
        "meta_info": {"keypoint_id2name": {"0": "nose", "1": "tail"}},
        "instance_info": [{"frame_id": 1, "instances": [instance(1.0)]}],
    }
    (tmp_path / "film.json").write_text(json.dumps(data))

    poses = poses_in(tmp_path / "film.json")

    assert (poses.first_frame, poses.keypoints) == (0, ("nose", "tail"))


def test_several_animals_of_mmpose_have_no_identity(tmp_path):
    frames = [{"frame_id": 0, "instances": [instance(1.0), instance(2.0)]}]
    (tmp_path / "film.json").write_text(json.dumps(frames))

    with pytest.raises(LeftOut, match="no identities"):
        read_file(tmp_path / "film.json")


# Files that are cut off say so.


@pytest.mark.parametrize(
    ("name", "file"),
    [("coco_gt", "trial.json"), ("label_studio", "trial.json")],
)
def test_json_that_is_cut_off_is_said_to_be_cut_off(tmp_path, name, file):
    paths = sorted(case(name).glob("*.json"))
    content = paths[0].read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) - 20])

    with pytest.raises(DataError, match="is it cut off"):
        read_file(tmp_path / file)


# Hints.


def test_points_in_space_and_other_programs_are_refused_by_name(tmp_path):
    texts = {
        "FreeMoCap": "frame,timestamp,model,keypoint,x,y,z\n0,,b,n,1,2,3",
        "ToxTrac": "Time (sec)\tArena\tTrack\tPos. X (mm)\n0\t1\t1\t2",
        "FastTrack": "xHead\tyHead\ttHead\txTail\timageNumber\tid\n1\t2\t3\t4\t0\t0",
        "OCTRON": "video_name: a\nframe_count_analyzed: 9\n\nframe_idx,track_id\n0,1",
        "Bonsai": "Item1.X,Item1.Y,Item2.X\n1,2,3",
        "TrackMate": "LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y\na,1,1,1,2,3",
        "CVAT": "<?xml version='1.0'?>\n<annotations>\n<version>1.1</version>\n<meta>",
        "AlphaTracker": '{"0.png": [{"keypoints": [1, 2, 0.9], "idx": 1}]}',
    }
    for program, text in texts.items():
        path = tmp_path / ("a.json" if text.startswith("{") else "a.csv")
        path.write_text(text)
        with pytest.raises(LeftOut, match=program):
            read_file(path)
        path.unlink()


def test_points_of_dannce_are_refused_by_name(tmp_path):
    pred = {"pred": np.zeros((2, 3, 4)), "sampleID": [1.0, 2.0]}
    savemat(tmp_path / "save_data_AVG.mat", pred)

    with pytest.raises(LeftOut, match="DANNCE"):
        read_file(tmp_path / "save_data_AVG.mat")


def test_a_table_of_fictrac_is_refused_by_name(tmp_path):
    csv(tmp_path / "walk.dat", ", ".join(f"{n}.5" for n in range(23)))

    with pytest.raises(LeftOut, match="FicTrac"):
        read_file(tmp_path / "walk.dat")


def test_what_programs_computed_is_nothing_to_import(tmp_path):
    csv(tmp_path / "moseq_df.csv", "name,centroid_x,syllable,frame_index", "a,1,2,0")
    with h5py.File(tmp_path / "results.h5", "w") as file:
        group = file.create_group("film")
        group["syllable"], group["latent_state"] = [1], [[1.0]]
    csv(tmp_path / "all_event_probability.csv", "a,b", "1,2")

    for name in ("moseq_df.csv", "results.h5", "all_event_probability.csv"):
        with pytest.raises(NothingToImport, match="a program's"):
            read_file(tmp_path / name)


# The small files of these forms that lie in tests/door_own.


@pytest.mark.parametrize(
    ("name", "recording", "first", "frames", "fps", "animals"),
    [
        ("idtracker_forms", "trial", 0, 4, 25, ("Lou", "Max")),
        ("trex_csv", "a", 3, 3, 25, ("id0", "id1")),
        ("matlab_73", "trial", 0, 250, 25, ("1", "2")),
        ("ctrax", "flies", 5, 4, 25, ("animal1", "animal2")),
        ("apt", "fly", 3, 3, None, ("3", "7")),
        ("mmpose", "film", 0, 10, None, ("animal1",)),
    ],
)
def test_a_folder_of_each_form_is_one_recording(
    name, recording, first, frames, fps, animals
):
    plan = plan_import(case(name), Project())

    [files] = plan.recordings
    track = files.track
    [poses] = read_file(track.path).poses
    assert (track.name, track.first_frame, track.fps) == (recording, first, fps)
    assert (len(poses.xy_px), poses.animals, plan.left_out) == (frames, animals, 0)
