"""Files as labs have them: what other programs write, with the right values by hand."""

import numpy as np
import pytest
from door_cases import bouts, case, content, events_of, imported, poses_of

from mabe.errors import DataError
from mabe.io.file_matching import plan_import
from mabe.io.importer import describe_plan
from mabe.io.inspector import inspect
from mabe.io.project import Project
from mabe.io.readers.left_out import LeftOut

MICE = ("nose", "left_ear", "right_ear", "tail_base")


# SLEAP.


@pytest.mark.parametrize("layout", ["sleap", "instances", "frames"])
def test_sleap_csv_in_all_three_layouts(layout):
    poses = poses_of("sleap_csv", f"trial_{layout}.csv")

    assert poses.animals == ("resident", "intruder")
    assert set(poses.keypoints) == set(MICE)
    assert (poses.first_frame, poses.length) == (10, 60)
    assert poses.present.all()
    nose = poses.keypoints.index("nose")
    np.testing.assert_allclose(
        poses.xy_px[0, :, nose], [[193.9, 269.6], [387.9, 232.4]]
    )
    assert poses.confidence[0, 0, nose] == pytest.approx(0.9)


def test_a_corrected_instance_replaces_the_predicted_one_it_was_made_from():
    poses = poses_of("slp_hand_corrected", "trial.slp")

    assert len(poses.animals) == 1
    assert poses.xy_px.shape[0] == 60
    np.testing.assert_allclose(poses.xy_px[10, 0, 0], [193.9, 269.7], atol=0.06)
    # The wrong prediction lies 40 px off: no jump is left.
    assert np.abs(np.diff(poses.xy_px[:, 0, 0], axis=0)).max() < 10
    assert "3 predicted instances replaced by the person's own" in poses.notes


def test_broken_tracks_are_as_many_animals_as_there_are_at_a_time():
    poses = poses_of("slp_fragments", "trial.slp")

    assert len(poses.animals) == 2
    assert poses.present.all()
    [note] = poses.notes
    assert note.startswith("24 pieces of track of at most 2 animals at a time")
    assert "identities are uncertain" in note
    # Pieces go on where they ended: nobody jumps to the other animal.
    assert np.abs(np.diff(poses.xy_px[:, :, 0], axis=0)).max() < 20


# DeepLabCut.


@pytest.mark.parametrize("name", ["CollectedData_me.h5", "machinelabels-iter0.h5"])
def test_frames_labelled_to_train_deeplabcut_are_called_so(name):
    with pytest.raises(LeftOut, match="frames labelled to train DeepLabCut"):
        content("dlc_labelled_h5", f"labeled-data/trial/{name}")


def test_scorers_that_pandas_numbered_are_one():
    [recording] = imported("dlc_pandas_suffix").values()

    poses = recording.standard.poses
    assert (poses.animals, poses.keypoints) == (("ind1", "ind2"), MICE)
    assert poses.length == 250
    assert bouts(recording) == [
        (1, 2, "attack", 25, 50),
        (2, 1, "sniff", 100, 125),
    ]


def test_a_deeplabcut_project_is_one_recording_and_one_note_on_the_rest():
    plan = plan_import(case("dlc_project"), Project(fps=25))
    recordings = imported("dlc_project")

    assert list(recordings) == ["trial"]
    assert bouts(recordings["trial"]) == [
        (1, 2, "attack", 25, 50),
        (2, 1, "sniff", 100, 125),
    ]
    notes = [line for line in describe_plan(plan) if line.startswith("  !")]
    assert len(notes) == 1
    assert "frames labelled to train DeepLabCut" in notes[0]


def test_paths_of_pictures_in_three_columns_are_training_data():
    with pytest.raises(LeftOut, match="frames labelled to train DeepLabCut"):
        content("dlc_project", "labeled-data/trial/CollectedData_me.csv")


def test_coords_of_the_ensemble_smoother_are_left_out_with_a_note():
    poses = poses_of("lp_eks", "mouse1.csv")

    assert (poses.keypoints, poses.xy_px.shape) == (MICE, (60, 1, 4, 2))
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [202.2, 270.1])
    assert any("x_ens_median" in note for note in poses.notes)


# SimBA.


def test_a_simba_project_is_one_recording_with_a_persons_labels():
    [recording] = imported("simba_project", fps=None).values()

    standard = recording.standard
    assert (standard.name, standard.fps) == ("Together_1", 25)
    assert standard.pixels_per_cm == pytest.approx(12)
    assert bouts(recording) == [(1, 2, "Attack", 50, 75)]


def test_targets_beside_their_probability_are_no_labels():
    project = "project_folder/csv"
    machine = content("simba_project", f"{project}/machine_results/Together_1.csv")

    assert machine.annotations == ()
    assert "predicted by SimBA, no labels: Attack" in machine.poses[0].notes


def test_simba_stages_that_are_not_read_are_one_line_each_reason():
    lines = list(inspect(case("simba_project"), Project()))

    told = [line for line in lines if line.startswith("!")]
    assert len(told) == 2
    assert told[0].startswith("! 4 files not read")
    assert "settings of a SimBA project" in told[1]


def test_simba_yolo_results_have_an_animal_for_each_class():
    [recording] = imported("simba_yolo").values()

    assert recording.standard.animals == ("resident", "intruder")
    assert recording.standard.poses.xy_px.shape == (250, 2, 4, 2)
    np.testing.assert_allclose(recording.standard.poses.xy_px[0, 0, 0], [260, 236])
    assert bouts(recording) == [
        (1, 2, "attack", 25, 50),
        (2, 1, "sniff", 100, 125),
    ]


# BORIS.


def test_the_media_creation_date_is_subtracted():
    assert events_of("boris_creation_date", "study.boris") == [
        (75, 100, "attack", "resident")
    ]


def test_a_table_with_dates_for_times_names_the_option_of_boris(tmp_path):
    path = tmp_path / "trial.csv"
    path.write_text(
        "Observation id,trial\nTime,Media file path,Total length,FPS,Subject,Behavior,"
        "Comment,Status\n1740823203.0,trial.mp4,10,25,resident,attack,,START\n"
    )
    with pytest.raises(DataError, match="media creation date as offset"):
        content(tmp_path, "trial.csv")


def test_a_compressed_project_is_a_project():
    assert events_of("boris_gz", "study.boris.gz") == [(75, 100, "attack", "resident")]
    [recording] = imported("boris_gz").values()
    assert bouts(recording) == [(1, 2, "attack", 75, 100)]


def test_an_interval_that_was_observed_is_what_was_watched():
    [recording] = imported("boris_interval").values()

    assert bouts(recording) == [(1, 2, "attack", 75, 90), (1, 2, "attack", 125, 135)]
    spans = {(span.start, span.stop) for span in recording.coverage}
    assert spans == {(62, 150)}


def test_a_modifier_that_is_an_amount_names_no_animal():
    [recording] = imported("numeric_modifier").values()

    assert bouts(recording) == [
        (1, 2, "attack", 25, 50),
        (1, 2, "attack", 75, 100),
        (2, 1, "attack", 125, 150),
        (2, 1, "attack", 175, 200),
    ]
    assert any("numbers name no animal" in note for note in recording.notes)
