"""Real files of the formats labs use: each is known by content, and read as it is.

What is expected here was looked up in the files by other means (a text editor, h5py).
"""

import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mabe.io.confidence import drop_unsure
from mabe.io.import_plan import plan_import
from mabe.io.importer import run_import
from mabe.io.inspector import inspect
from mabe.io.match_keypoints import match_names
from mabe.io.project import Project
from mabe.io.readers.annotations import Event
from mabe.io.readers.formats import read_file
from mabe.io.standardize import separate_animals, standardize

ROOT = Path(os.environ.get("MABE_DATA", Path(__file__).parents[2] / "shared" / "data"))
FORMATS = ROOT / "formats"
MADE_BY_DLC = "DLC_dlcrnetms5_pilot_studySep24shuffle1_100000_el_filtered.csv"

pytestmark = pytest.mark.skipif(
    not FORMATS.is_dir(), reason=f"no real files at {FORMATS}; set MABE_DATA"
)


def find(pattern):
    [path] = FORMATS.glob(pattern)
    return path


def poses_of(pattern):
    [poses] = read_file(find(pattern)).poses
    return poses


def annotations_of(pattern):
    [annotations] = read_file(find(pattern)).annotations
    return annotations


def known(poses):
    return {m.name: m.keypoint for m in match_names(poses.keypoints) if m.keypoint}


def test_every_file_is_recognised_whatever_it_is_called(tmp_path):
    files = sorted(path for path in FORMATS.rglob("*") if path.is_file())
    assert len(files) >= 14
    for number, path in enumerate(files):
        nameless = tmp_path / f"file{number}"
        shutil.copyfile(path, nameless)
        assert read_file(nameless).format == read_file(path).format


def test_names_of_a_lab_with_words_for_the_role_of_a_file_belong_together():
    plan = plan_import(
        FORMATS / "object_exploration", Project(fps=25, pixels_per_cm=10)
    )
    recordings = list(run_import(plan, None))

    for recording, cage in zip(recordings, ("1 - A_L", "3 - B_R"), strict=True):
        [labels] = recording.files.labels
        assert labels.path.name == f"TS - Caja {cage} - Labels.csv"
        assert recording.files.track.path.name == f"TS - Caja {cage} - Position.h5"
        assert {bout.action for bout in recording.bouts} == {"Left", "Right"}
        assert [g.what for g in recording.guesses] == ["frames count from 1"]
    # The first row with a 1 for Left has the number 138, the first of all the number 1.
    assert (recordings[0].bouts[0].start, recordings[0].bouts[0].action) == (
        137,
        "Left",
    )


def test_every_file_can_be_inspected():
    text = "\n".join(inspect(FORMATS, Project()))
    assert "not recognised" not in text
    assert "cannot be read" not in text


def test_a_multi_animal_deeplabcut_csv():
    poses = poses_of(f"deeplabcut/e3v813a*{MADE_BY_DLC}")

    assert poses.name == "e3v813a-20210610T122332-122642"
    assert poses.animals == ("adult", "juvenile")
    assert poses.keypoints == (
        *("nose", "leftear", "rightear", "neck", "lefthip", "righthip", "tail"),
    )
    assert (poses.first_frame, poses.length) == (0, 5700)
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [606.248, 718.07], rtol=1e-6)
    np.testing.assert_allclose(poses.confidence[0, 0, 0], 0.88881, atol=1e-5)
    np.testing.assert_allclose(poses.xy_px[-1, 1, -1], [342.081, 277.109], rtol=1e-6)
    assert len(known(poses)) == 7


def test_a_single_animal_deeplabcut_csv_that_holds_a_black_and_a_white_mouse():
    poses = poses_of("deeplabcut/single_animal_table.csv")
    assert poses.length == 98
    assert len(poses.keypoints) == 28

    two = separate_animals(poses)

    assert two.animals == ("B", "W")
    np.testing.assert_allclose(two.xy_px[0, 0, 0], [261.76999, 215.63529], rtol=1e-6)
    np.testing.assert_array_equal(two.xy_px[:, 1, 0], poses.xy_px[:, 0, 14])
    assert len(known(two)) == 14


def test_deeplabcut_hdf5_written_as_an_appendable_table():
    poses = poses_of("deeplabcut/DMD*.h5")

    assert poses.name == "DMD_mal_Test_1"
    assert poses.xy_px.shape == (2632, 2, 22, 2)
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [452.088, 339.107], rtol=1e-6)
    np.testing.assert_allclose(poses.xy_px[-1, 1, -1], [235.988, 236.97], rtol=1e-6)
    assert known(poses)["Left_bhip"] == "hip_left"
    assert known(poses)["Center_head"] == "head"


def test_deeplabcut_hdf5_written_as_a_fixed_frame():
    poses = poses_of("deeplabcut/madlc_table.h5")

    assert poses.animals == ("mouse_black_tail", "mouse_white_tail")
    assert poses.xy_px.shape == (100, 2, 14, 2)
    nose = poses.keypoints.index("Nose")
    np.testing.assert_allclose(poses.xy_px[0, 0, nose], [188.547, 379.996], rtol=1e-6)
    np.testing.assert_allclose(poses.confidence[0, 0, nose], 0.991, rtol=1e-6)
    at_origin = (poses.xy_px == 0).all(axis=-1)
    assert at_origin.mean() == pytest.approx(0.25)
    assert drop_unsure(poses).present.mean() <= 0.75


def test_a_mabe22_clip():
    poses = poses_of("mabe22/*.h5")

    assert poses.xy_px.shape == (1800, 3, 12, 2)
    assert poses.fps == 30
    nose = poses.keypoints.index("nose")
    assert poses.xy_px[0, 0, nose].tolist() == [101, 440]
    assert set(known(poses).values()) == {
        *("nose", "ear_left", "ear_right", "neck", "body_center"),
        *("tail_base", "tail_midpoint", "tail_tip"),
    }
    assert any("(0, 0)" in note for note in drop_unsure(poses).notes)


def test_a_jabs_file_whose_coordinates_are_y_then_x():
    poses = poses_of("jabs/*.h5")

    assert poses.animals == ("mouse1", "mouse2", "mouse3")
    assert poses.xy_px.shape == (1800, 3, 12, 2)
    # Frame 0: instance 0 is animal 2, instance 1 is animal 1.
    assert poses.xy_px[0, 1, 0].tolist() == [516, 758]
    assert poses.xy_px[0, 0, 0].tolist() == [304, 97]
    assert np.isnan(poses.xy_px[0, 1, 1]).all()  # confidence 0
    assert poses.pixels_per_cm == pytest.approx(1 / 0.073341824)
    assert poses.fps == 30


def test_a_sleap_project_that_tracks_400_frames_from_the_middle_of_a_video():
    pytest.importorskip("sleap_io")
    poses = poses_of("sleap/*.slp")

    assert (poses.first_frame, poses.length) == (55605, 56005)
    assert poses.animals == ("track_0", "track_1", "track_2")
    assert poses.xy_px[0, 2, 0].tolist() == [540, 668]
    assert poses.confidence[0, 2, 0] == pytest.approx(0.8515625)
    assert known(poses)["TTI"] == "tail_base"
    assert known(poses)["Ear_L"] == "ear_left"
    assert known(poses)["Tail_1"] == "tail_midpoint"
    assert len(known(poses)) == 15


def test_a_sleap_project_is_what_sleap_io_makes_of_it():
    sleap_io = pytest.importorskip("sleap_io")
    poses = poses_of("sleap/*.slp")

    labels = sleap_io.load_slp(str(find("sleap/*.slp")), open_videos=False)
    dense = labels.numpy(return_confidence=True)[poses.first_frame : poses.length]
    np.testing.assert_array_equal(poses.xy_px, dense[..., :2].astype(np.float32))
    np.testing.assert_array_equal(poses.confidence, dense[..., 2].astype(np.float32))


def test_an_nwb_file_whose_timestamps_count_frames():
    poses = poses_of("nwb/*.nwb")

    assert poses.animals == ("ind1",)
    assert sorted(poses.keypoints) == ["leftear", "rightear", "snout", "tailbase"]
    assert poses.length == 2330
    assert poses.fps is None
    at = poses.keypoints.index("leftear")
    np.testing.assert_allclose(
        poses.xy_px[:2, 0, at],
        [[71.736145, 103.006226], [70.503670, 100.298149]],
        rtol=1e-6,
    )


def test_simba_features_with_points_in_front_and_targets_behind():
    content = read_file(find("simba/*.csv"))
    [poses], [annotations] = content.poses, content.annotations

    assert poses.animals == ("animal1", "animal2")
    assert poses.xy_px.shape == (101, 2, 8, 2)
    np.testing.assert_allclose(poses.xy_px[0, 0, 0], [412.1799, 235.34105], rtol=1e-6)
    assert known(poses)["Tail_end"] == "tail_tip"
    assert known(poses)["Lat_left"] == "lateral_left"
    assert annotations.events == (Event(0, 101, "sniff"),)
    assert len(annotations.behaviours) == 11
    assert "walk_away" in annotations.behaviours


def test_boris_tables_of_three_observations():
    interact = annotations_of("boris/e3v813a*.csv")
    assert (interact.name, interact.fps, interact.length) == ("DLC3", 30, 190)
    assert len(interact.events) == 10
    assert interact.events[0] == Event(29.85, 34.725, "interact", "adult")
    [video] = interact.media
    assert video.endswith("DLC3/e3v813a-20210610T122332-122642_reencode")

    several = annotations_of("boris/multiple_behaviors.csv")
    assert Counter(e.behaviour for e in several.events) == {"interact": 15, "mount": 2}

    at_once = annotations_of("boris/simultaneous_events.csv")
    assert at_once.events == (
        Event(9.955, 11.256, "mm", "mouse"),
        Event(26.605, 31.705, "mm", "mouse"),
        Event(28.205, 30.63, "aa", "mouse"),
    )


def test_the_streams_of_a_caltech_annotation():
    annotations = annotations_of("caltech_annotator/*.txt")

    first = [event for event in annotations.events if event.subject == "S1"]
    second = [event for event in annotations.events if event.subject == "S2"]
    assert len(first) == 70
    assert min(first) == Event(0, 535, "base", "S1")
    assert max(first) == Event(12535, 14734, "base", "S1")
    assert Event(1528, 1542, "lateralthreat", "S2") in second
    assert annotations.length == 14734
    assert len(annotations.behaviours) == 11


def test_one_hot_labels_hold_as_many_frames_as_their_columns_say():
    annotations = annotations_of("deeplabcut/*_labels.csv")

    frames = Counter()
    for event in annotations.events:
        frames[event.behaviour] += event.stop - event.start
    assert annotations.length == 2632
    assert [frames[name] for name in annotations.behaviours] == [
        *(1080, 961, 34, 29, 300, 102, 47, 0, 66, 0),
    ]


@pytest.mark.parametrize(
    "pattern", ["jabs/*", "mabe22/*", "sleap/*", "simba/*", "nwb/*"]
)
def test_every_pose_file_can_be_standardised(pattern):
    if "sleap" in pattern:
        pytest.importorskip("sleap_io")
    poses = poses_of(pattern)
    standard = standardize(poses, Project(fps=30))

    assert standard.fps == (poses.fps or 30)
    assert 1 < standard.pixels_per_cm < 200
