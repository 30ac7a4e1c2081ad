"""Files after public bug reports; `case.md` of each names the report and the values.

Two mice in all of them, unless the case says otherwise: the nose of mouse m at frame f
is at (100 + f + 200 m, 100).
"""

import json
from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from door_cases import bouts, case, content, events_of, imported, poses_of
from format_files import write_dlc_csv, write_xlsx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mabe.data.sources import read_pose_file
from mabe.data.store import from_recording
from mabe.io.confidence import drop_unsure
from mabe.io.project import Project
from mabe.io.readers.annotations import Event
from mabe.io.readers.left_out import LeftOut, NothingToImport

TABLE = "trialDLC_dlcrnetms5_socialMar1shuffle1_50000_el"


def nose_x(poses, animal, frame):
    at = poses.keypoints.index("nose")
    return float(poses.xy_px[frame - poses.first_frame, animal, at, 0])


def missing(poses, animal, keypoint):
    """Return the frames in which a keypoint of an animal is missing."""
    at = poses.keypoints.index(keypoint)
    rows = np.flatnonzero(~poses.present[:, animal, at])
    return (rows + poses.first_frame).tolist()


# NWB.


def test_corners_at_the_first_and_the_last_moment_are_no_animal():
    poses = poses_of("nwb_constant_corners", "cage1.nwb")

    assert poses.animals == ("subject_1", "subject_2")
    assert (len(poses.xy_px), poses.fps) == (20, 25)
    assert "objects, no animals, left out: corners" in poses.notes


def test_frames_whose_time_was_lost_stay_in_their_rows():
    poses = poses_of("nwb_lost_times", "trial.nwb")

    assert [nose_x(poses, 0, frame) for frame in (0, 14, 15, 19)] == [
        100,
        114,
        115,
        119,
    ]
    assert "timestamps that do not increase: 5, rows are counted instead" in poses.notes


def test_keypoints_with_times_of_their_own_are_on_common_frames():
    poses = poses_of("nwb_nodes_apart", "trial.nwb")

    assert missing(poses, 0, "nose") == [0, 1, 2, 3, 4]
    assert missing(poses, 0, "tail_base") == [10, 11, 12]
    assert nose_x(poses, 0, 5) == 105


# SLEAP.


def test_an_instance_placed_without_a_track_is_no_third_animal():
    poses = poses_of("slp_placed_without_track", "trial.slp")

    assert poses.animals == ("m1", "m2")
    assert missing(poses, 1, "nose") == [7, 8]
    assert any(
        note.startswith("instances of no track left out: 2") for note in poses.notes
    )


def test_frames_labelled_to_train_sleap_are_no_recording():
    with pytest.raises(NothingToImport, match="labelled to train SLEAP"):
        content("slp_training_frames", "trial.slp")


def test_two_mice_without_tracks_are_two_mice():
    poses = poses_of("slp_without_tracks", "trial.slp")

    assert len(poses.animals) == 2
    assert poses.present.all()
    assert (nose_x(poses, 0, 19), nose_x(poses, 1, 19)) == (119, 319)
    assert any("order in the frame is used as their identity" in n for n in poses.notes)


def test_rows_that_sleap_leaves_out_are_missing_points():
    poses = poses_of("sleap_csv_gaps", "labels.v001.000_trial.analysis.csv")

    assert poses.first_frame == 2
    assert poses.present[:, 1].any(axis=1).sum() == 4
    assert 6 in missing(poses, 1, "tail_base")
    assert 6 not in missing(poses, 1, "nose")
    assert nose_x(poses, 1, 15) == 315


# DeepLabCut.


def test_an_empty_first_row_is_a_frame():
    poses = poses_of("dlc_first_row_empty", f"{TABLE}.csv")

    assert (poses.first_frame, len(poses.xy_px)) == (0, 20)
    assert missing(poses, 0, "nose") == [0]
    assert nose_x(poses, 0, 1) == 101


def test_rows_that_begin_later_keep_the_frames_of_the_video():
    [recording] = imported("dlc_rows_begin_later").values()

    assert recording.standard.poses.first_frame == 100
    assert bouts(recording) == [(1, 2, "attack", 105, 115)]


def test_names_stored_as_numbers_are_names():
    poses = poses_of("dlc_numeric_names", f"{TABLE}.h5")

    assert (poses.animals, poses.keypoints) == (("1", "2"), ("1", "2", "3", "4"))
    assert poses.present.all()


# BORIS.


def test_the_last_state_lasts_until_the_end():
    assert events_of("boris_last_state_open", "trial.csv") == [
        (0, 100, "rest", "m1"),
        (100, 175, "run", "m1"),
        (175, 250, "rest", "m1"),
    ]
    [annotations] = content("boris_last_state_open", "trial.csv").annotations
    assert any("assumed to last until the end" in note for note in annotations.notes)


def test_coarse_samples_are_said():
    assert events_of("boris_coarse_binary", "trial.tsv", fps=1) == [(10, 20, "hop", "")]
    [annotations] = content("boris_coarse_binary", "trial.tsv").annotations
    assert "sampled every 10 s: shorter events may be missing" in annotations.notes


@pytest.mark.parametrize("file", ["table.csv", "study.boris"])
def test_pictures_are_frames(file):
    assert events_of("boris_pictures", file) == [
        (25, 50, "rear", "m1"),
        (60, 60, "groom", "m2"),
    ]


def test_a_boris_export_to_excel_is_read_like_its_csv(tmp_path):
    header = "Observation id,Time offset (s),FPS,Subject,Behavior,Behavior type,Time"
    rows = [
        ["day1", 0, 25, "m1", "rear", "START", 1],
        ["day1", 0, 25, "m1", "rear", "STOP", 2.04],
    ]
    write_xlsx(tmp_path / "x.xlsx", {"day1": [header.split(","), *rows]})

    assert events_of(tmp_path, "x.xlsx") == [(25, 51, "rear", "m1")]


# SimBA and Excel.


def test_animals_whose_name_comes_first_are_animals():
    found = content("simba_named_animals", "trial.csv")
    poses = drop_unsure(found.poses[0], None)

    assert poses.animals == ("Animal_1", "Animal_2")
    assert set(poses.keypoints) == {"nose", "left_ear", "right_ear", "tail_base"}
    assert missing(poses, 1, "nose") == [3]
    assert events_of("simba_named_animals", "trial.csv") == [(5, 10, "attack", "")]


def test_the_line_that_tells_excel_the_separator_is_no_header():
    assert events_of("excel_separator_line", "trial.csv", fps=10) == [
        (15, 20, "dig", "m1"),
        (30, 40, "rear", "m1"),
    ]


def test_each_sheet_that_is_a_table_is_read(tmp_path):
    table = [["Mouse", "Behaviour", "Start (s)", "Stop (s)"], ["m1", "dig", 1, 2.5]]
    notes = [["These are notes"], ["nothing else"]]
    sheets = {"day1": table, "day2": table, "notes": notes}
    write_xlsx(tmp_path / "x.xlsx", sheets)

    first, second = content(tmp_path, "x.xlsx").annotations
    assert (first.name, second.name) == ("day1", "day2")
    assert first.events == second.events


def test_lines_of_title_above_a_table_are_passed(tmp_path):
    title = [["Study of 2025", "", "", ""], ["", "scored by Anna", "", ""]]
    table = [["Mouse", "Behaviour", "Start (s)", "Stop (s)"], ["m1", "dig", 1, 2.5]]
    write_xlsx(tmp_path / "x.xlsx", {"day1": [*title, *table]})

    assert events_of(tmp_path, "x.xlsx", fps=10) == [(10, 25, "dig", "m1")]


def test_columns_of_a_sheet_may_be_named_in_the_project(tmp_path):
    write_dlc_csv(tmp_path / "day1DLC_net_shuffle1.csv")
    table = [["Who", "What", "On", "Off"], ["a", "dig", 0.04, 0.12]]
    write_xlsx(tmp_path / "day1.xlsx", {"day1": table})
    columns = {"subject": "Who", "action": "What", "start_s": "On", "stop_s": "Off"}

    [recording] = imported(tmp_path, columns=columns, pixels_per_cm=10).values()
    assert [bout[2:] for bout in bouts(recording)] == [("dig", 1, 3)]


def test_a_workbook_without_a_table_says_which_columns_are_needed(tmp_path):
    write_xlsx(tmp_path / "x.xlsx", {"notes": [["These are notes"], ["nothing"]]})

    with pytest.raises(LeftOut, match="columns subject, action, start_s, stop_s"):
        content(tmp_path, "x.xlsx")


def test_a_matlab_file_of_version_7_3_is_no_hdf5_table(tmp_path):
    with h5py.File(tmp_path / "x.mat", "w", userblock_size=512) as file:
        file["trx"] = np.zeros(3)
    head = b"MATLAB 7.3 MAT-file".ljust(512)
    whole = (tmp_path / "x.mat").read_bytes()
    (tmp_path / "x.mat").write_bytes(head + whole[512:])

    with pytest.raises(LeftOut, match="MATLAB"):
        content(tmp_path, "x.mat")


# What other versions of the programs write.


def test_mars_writes_the_poses_of_one_video(tmp_path):
    points = np.arange(5 * 2 * 2 * 7).reshape(5, 2, 2, 7).tolist()
    document = {"keypoints": points, "scores": np.ones((5, 2, 7)).tolist(), "bbox": []}
    path = tmp_path / "mouse001_pose_top_v1_8.json"
    path.write_text(json.dumps(document))

    [poses] = content(tmp_path, path.name).poses
    assert (poses.name, poses.fps, poses.animals) == (
        "mouse001",
        None,
        ("resident", "intruder"),
    )
    assert poses.xy_px[0, 0, 1].tolist() == [1, 8]


def test_numbered_tracks_of_a_long_table_are_laid_together(tmp_path):
    """A third of the film each, one after the other, and another mouse throughout."""
    rows = ["frame_idx,node,x,y,track"]
    rows += [f"{f},nose,{100 + f},50,track_{f // 10}" for f in range(30)]
    rows += [f"{f},nose,{500 + f},50,track_9" for f in range(30)]
    (tmp_path / "x.csv").write_text("\n".join(rows))

    [poses] = content(tmp_path, "x.csv").poses
    assert len(poses.animals) == 2
    assert poses.present.all()
    assert np.abs(np.diff(poses.xy_px[..., 0], axis=0)).max() == 1


def test_numbered_animals_are_never_laid_together(tmp_path):
    rows = ["frame,mouse_id,bodypart,x,y"]
    rows += [f"{f},{1 + f // 10},nose,{100 + f},50" for f in range(30)]
    (tmp_path / "x.csv").write_text("\n".join(rows))

    assert poses_of(tmp_path, "x.csv").animals == ("1", "2", "3")


def test_two_cameras_as_pynwb_writes_them(tmp_path):
    pynwb = pytest.importorskip("pynwb")
    ndx_pose = pytest.importorskip("ndx_pose")
    start = datetime(2025, 1, 1, tzinfo=UTC)
    file = pynwb.NWBFile(
        session_description="x", identifier="x", session_start_time=start
    )
    module = file.create_processing_module("behavior", "x")
    skeleton = ndx_pose.Skeleton(name="mouse", nodes=["nose"])
    module.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    for name, begins in (("left", 2.0), ("right", 2.5)):
        series = ndx_pose.PoseEstimationSeries(
            name="nose",
            description="x",
            data=np.full((9, 2), 50.0),
            unit="pixels",
            reference_frame="x",
            starting_time=begins,
            rate=30.0,
        )
        pose = ndx_pose.PoseEstimation(
            name=f"{name}Pose",
            pose_estimation_series=[series],
            description="x",
            devices=[file.create_device(name=f"{name}_camera", description="x")],
            skeleton=skeleton,
        )
        module.add(pose)
    with pynwb.NWBHDF5IO(str(tmp_path / "s.nwb"), "w") as io:
        io.write(file)

    found = content(tmp_path, "s.nwb").poses
    assert [(each.name, each.start_s, each.animals) for each in found] == [
        ("s_left_camera", 2.0, ("animal1",)),
        ("s_right_camera", 2.5, ("animal1",)),
    ]


def test_an_identity_names_the_track_that_it_belongs_to(tmp_path):
    """A cross-video identity may be the subject of an event."""
    sio = pytest.importorskip("sleap_io")
    skeleton = sio.Skeleton(["nose"])
    video = sio.Video("a.mp4", open_backend=False)
    tracks = [sio.Track("track_0"), sio.Track("track_1")]
    anna, ben = sio.Identity("anna"), sio.Identity("ben")

    def animal(frame, track, identity):
        one = sio.PredictedInstance.from_numpy(
            np.array([[10.0 + frame, 5.0 * (1 + tracks.index(track))]]),
            skeleton=skeleton,
            track=track,
        )
        one.identity = identity
        return one

    frames = [
        sio.LabeledFrame(
            video=video,
            frame_idx=at,
            instances=[animal(at, tracks[0], anna), animal(at, tracks[1], ben)],
        )
        for at in range(9)
    ]
    event = sio.UserEvent(
        type="attack", video=video, start_frame=2, end_frame=4, subject=ben, target=anna
    )
    labels = sio.Labels(labeled_frames=frames, events=[event])
    sio.save_slp(labels, str(tmp_path / "x.slp"), verbose=False)

    [annotations] = content(tmp_path, "x.slp").annotations
    assert annotations.events == (Event(2, 5, "attack", "track_1", "track_0"),)


@pytest.mark.parametrize("header", ["one", "all"])
def test_a_table_that_pandas_saved_with_its_row_numbers(tmp_path, header):
    """`read_csv(path).to_csv(path)`, with one row of names or with all of them."""
    path = write_dlc_csv(tmp_path / "plain.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    rows[0][1:] = [
        f"{name}.{at}" if at else name for at, name in enumerate(rows[0][1:])
    ]
    numbers = ["", *map(str, range(len(rows) - 1))]
    if header == "all":
        numbers = [*[""] * 4, *map(str, range(len(rows) - 4))]
    text = "\n".join(",".join([n, *row]) for n, row in zip(numbers, rows, strict=True))
    (tmp_path / "x.csv").write_text(text)

    [saved], [plain] = (content(tmp_path, f).poses for f in ("x.csv", "plain.csv"))
    assert saved.animals == plain.animals
    np.testing.assert_array_equal(saved.xy_px, plain.xy_px)


# One truth in every table that people make.

SPANS = st.lists(st.integers(0, 60), min_size=2, max_size=8, unique=True).map(
    lambda ends: list(zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False))
)


def write_frames(path, spans, separator):
    """Write a row for every frame with 0 or 1, numbered from 0."""
    marked = {frame for start, stop in spans for frame in range(start, stop)}
    rows = [f"Frame number{separator}dig"]
    rows += [f"{frame}{separator}{int(frame in marked)}" for frame in range(64)]
    path.write_text("\n".join(rows))


def write_words(path, spans, separator):
    """Write a row for every frame with a word or none."""
    marked = {frame for start, stop in spans for frame in range(start, stop)}
    rows = [f"frame{separator}behaviour"]
    rows += [
        f"{frame}{separator}{'dig' if frame in marked else 'none'}"
        for frame in range(64)
    ]
    path.write_text("\n".join(rows))


def write_seconds(path, spans, separator):
    """Write a row for every bout in seconds at 25 frames a second."""
    rows = [separator.join(("Behaviour", "Start (s)", "Stop (s)"))]
    for start, stop in spans:
        cells = ("dig", f"{start / 25:.3f}", f"{stop / 25:.3f}")
        rows.append(separator.join(cells))
    text = "\n".join(rows)
    path.write_text(text if separator == "," else text.replace(".", ","))


def write_challenge(path, spans, separator):
    """Write a row for every bout in frames, as the challenge does."""
    rows = [
        separator.join(("agent_id", "target_id", "action", "start_frame", "stop_frame"))
    ]
    rows += [separator.join(("1", "2", "dig", f"{a}", f"{b}")) for a, b in spans]
    path.write_text("\n".join(rows))


@pytest.mark.parametrize(
    "write", [write_frames, write_words, write_seconds, write_challenge]
)
@given(spans=SPANS, separator=st.sampled_from([",", ";", "\t"]))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_same_bouts_are_read_from_every_kind_of_table(
    tmp_path, write, spans, separator
):
    write(tmp_path / "x.csv", spans, separator)
    found = [event[:3] for event in events_of(tmp_path, "x.csv")]
    assert found == [(start, stop, "dig") for start, stop in spans]


def test_the_start_on_the_clock_of_a_session_reaches_the_predictions():
    project = Project(fps=25)
    file = case("nwb_session_clock") / "session1.nwb"
    store = from_recording(read_pose_file(file, 0, project, usual_fps=25.0), 25.0)
    assert store.recordings[0].start_s == 4
