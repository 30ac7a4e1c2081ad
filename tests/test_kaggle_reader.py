"""Reading the Kaggle layout, with the quirks real files have."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kaggle_files import write_index, write_labels, write_table, write_tracking

from mabe.bouts import Bout, Watched
from mabe.data.store import from_recording
from mabe.errors import DataError
from mabe.io.match_keypoints import match_names
from mabe.io.readers import kaggle_tracks as long_table
from mabe.io.readers.kaggle import find_video, read_index, read_recording
from mabe.runtime import disk_arrays as spool
from mabe.skeleton import KEYPOINTS

NOSE, TAIL_BASE = KEYPOINTS.index("nose"), KEYPOINTS.index("tail_base")
HEADPIECE = KEYPOINTS.index("headpiece")
DATA = Path(os.environ.get("MABE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture
def story(tmp_path):
    """Two mice, three frames; mouse 2 has no nose and is seen in frame 2 only."""
    write_index(tmp_path, {})
    points = [
        (0, 1, "nose", 1, 2),
        (2, 2, "tail_base", 7, 8),
        (1, 1, "nose", 3, 4),
    ]
    write_tracking(tmp_path, points)
    write_labels(tmp_path, [(1, 2, "sniff", 0, 2), (1, 1, "rear", 1, 3)])
    return tmp_path


def read(folder):
    [info] = read_index(folder)
    return read_recording(info)


def test_points_come_to_their_slots_and_absent_rows_are_missing(story):
    recording = read(story)

    nan = np.nan
    assert recording.slots.tolist() == [NOSE, len(KEYPOINTS) + TAIL_BASE]
    np.testing.assert_array_equal(recording.xy_px[:, 0], [[1, 2], [3, 4], [nan, nan]])
    np.testing.assert_array_equal(
        recording.xy_px[:, 1], [[nan, nan], [nan, nan], [7, 8]]
    )
    assert recording.notes == ()


def test_labels_keep_the_exclusive_stop_and_a_self_action_is_its_own_target(story):
    assert read(story).bouts == (Bout(0, 2, "sniff", 1, 2), Bout(1, 3, "rear", 1, 1))


def test_a_label_behind_the_last_tracked_frame_lengthens_the_recording(story):
    write_labels(story, [(1, 2, "sniff", 0, 50)])

    assert read(story).length == 50


@pytest.mark.parametrize("whole", [pa.int8(), pa.int16(), pa.uint32(), pa.int64()])
@pytest.mark.parametrize("real", [pa.float32(), pa.float64()])
@pytest.mark.parametrize("text", [pa.string(), pa.dictionary(pa.int8(), pa.string())])
def test_every_width_of_column_reads_alike(story, whole, real, text):
    expected = read(story)
    points = [(0, 1, "nose", 1, 2), (2, 2, "tail_base", 7, 8), (1, 1, "nose", 3, 4)]
    types = {"video_frame": whole, "mouse_id": whole, "bodypart": text}
    write_tracking(story, points, x=real, y=real, **types)
    types = dict.fromkeys(("agent_id", "target_id", "start_frame", "stop_frame"), whole)
    write_labels(story, [(1, 2, "sniff", 0, 2), (1, 1, "rear", 1, 3)], **types)

    recording = read(story)

    np.testing.assert_array_equal(recording.xy_px, expected.xy_px)
    assert recording.bouts == expected.bouts


def test_a_late_frame_does_not_overflow_a_narrow_column(tmp_path):
    write_index(tmp_path, {})
    points = [(32_767, 4, "tail_tip", 1, 2)]
    write_tracking(tmp_path, points, video_frame=pa.int16(), mouse_id=pa.int8())

    recording = read(tmp_path)

    assert recording.length == 32_768
    assert recording.xy_px[-1].tolist() == [[1, 2]]


def test_batches_join_to_the_same_recording(story, monkeypatch):
    whole = read(story).xy_px

    monkeypatch.setattr(long_table, "_BATCH_ROWS", 1)

    np.testing.assert_array_equal(read(story).xy_px, whole)


def test_a_file_whose_writer_kept_no_statistics_reads_alike(story):
    expected = read(story)
    path = expected.info.tracking_path
    pq.write_table(pq.read_table(path), path, write_statistics=False)

    np.testing.assert_array_equal(read(story).xy_px, expected.xy_px)


def test_animals_that_come_late_and_out_of_order_stand_in_the_order_of_slots(
    tmp_path, monkeypatch
):
    write_index(tmp_path, {})
    points = [(0, 2, "tail_base", 1, 1), (1, 1, "tail_base", 2, 2)]
    write_tracking(tmp_path, [*points, (2, 1, "nose", 3, 3)])
    at_once = read(tmp_path)
    monkeypatch.setattr(long_table, "_BATCH_ROWS", 1)

    late = read(tmp_path)

    body = len(KEYPOINTS)
    assert late.slots.tolist() == [NOSE, TAIL_BASE, body + TAIL_BASE]
    np.testing.assert_array_equal(late.xy_px, at_once.xy_px)
    assert late.xy_px[0, 2].tolist() == [1, 1]


def test_a_recording_too_long_for_memory_reads_alike(story, monkeypatch):
    at_once = from_recording(read(story), 30.0)
    monkeypatch.setattr(spool, "LARGEST_IN_MEMORY", 0)
    monkeypatch.setattr(spool, "_RELEASE_BYTES", 0)

    on_disk = from_recording(read(story), 30.0)

    assert on_disk.recordings == at_once.recordings
    length = at_once.recordings[0].length
    np.testing.assert_array_equal(
        on_disk.poses_cm(0, 0, length), at_once.poses_cm(0, 0, length)
    )
    assert on_disk.tracked_span(0) == (0, 3)


def test_the_headpiece_is_the_mean_of_the_corners_that_are_there(tmp_path):
    write_index(tmp_path, {})
    corners = [
        (0, 1, "headpiece_topfrontleft", 0, 0),
        (0, 1, "headpiece_topfrontright", 4, 0),
        (0, 1, "headpiece_topbackleft", 2, 6),
        (1, 1, "headpiece_topbackleft", 5, 5),
        (2, 1, "nose", 9, 9),
    ]
    write_tracking(tmp_path, corners)

    recording = read(tmp_path)

    assert recording.slots.tolist() == [NOSE, HEADPIECE]
    np.testing.assert_array_equal(
        recording.xy_px[:, 1], [[2, 2], [5, 5], [np.nan, np.nan]]
    )


@pytest.mark.parametrize(
    "names",
    [
        ["EarL", "BASE_TAIL", "nape"],
        ["Left_bhip", "haunch_right", "Snout", "wing"],
        ["nose", "Tail_1", "Tail_2", "Tail_3"],
        ["nose", "tail", "tail_base", "TailTip"],
        ["nose", "tail1"],
    ],
)
def test_names_of_labs_are_matched_as_import_matches_them(tmp_path, names):
    write_index(tmp_path, {})
    points = [(0, 1, name, at, at) for at, name in enumerate(names)]
    write_tracking(tmp_path, points)

    recording = read(tmp_path)

    keypoints = [point.keypoint for point in recording.points]
    found = dict(zip(recording.xy_px[0, :, 0].tolist(), keypoints, strict=True))
    expected = {
        at: match.keypoint or match.name for at, match in enumerate(match_names(names))
    }
    assert found == expected


def test_names_of_animals_and_known_spellings_are_matched_for_each_animal(tmp_path):
    write_index(tmp_path, {})
    names = [(1, "Ear_left_1"), (2, "Ear_left_2"), (1, "nose"), (1, "snout")]
    write_tracking(tmp_path, [(0, m, n, at, at) for at, (m, n) in enumerate(names)])

    recording = read(tmp_path)

    ear = KEYPOINTS.index("ear_left")
    assert recording.slots.tolist() == [NOSE, ear, len(KEYPOINTS) + ear]
    assert recording.xy_px[0, :, 0].tolist() == [2.5, 0, 1]


def test_unknown_parts_are_keypoints_of_their_own_and_a_misspelling_has_a_hint(
    tmp_path,
):
    write_index(tmp_path, {})
    parts = ["forepaw_left", "nose", "tail_bse"]
    write_tracking(tmp_path, [(0, 1, part, 1, 1) for part in parts])

    recording = read(tmp_path)

    assert recording.keypoints == ("nose", "forepaw_left", "tail_bse")
    assert recording.slots.tolist() == [0, 1, 2]
    note, _no_annotation = recording.notes
    assert "'tail_bse'" in note
    assert "tail_base" in note


def test_of_a_point_given_twice_the_last_one_wins_and_is_reported(tmp_path):
    write_index(tmp_path, {})
    write_tracking(tmp_path, [(0, 1, "nose", 1, 1), (0, 1, "nose", 2, 2)])

    recording = read(tmp_path)

    assert recording.xy_px.tolist() == [[[2, 2]]]
    assert "points given twice: 1, the last one was taken" in recording.notes


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, None])
def test_a_point_with_half_a_place_is_missing_as_a_whole(tmp_path, bad):
    write_index(tmp_path, {})
    write_tracking(tmp_path, [(0, 1, "nose", bad, 1), (1, 1, "nose", 1, 1)])

    assert np.isnan(read(tmp_path).xy_px[0]).all()


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((-1, 1, "nose", 1, 1), "video_frame -1 is below 0"),
        ((0, 1001, "nose", 1, 1), "mouse_id must be 1 to 1,000, found 1001 to 1001"),
        ((0, 0, "nose", 1, 1), "mouse_id must be 1 to 1,000"),
        ((None, 1, "nose", 1, 1), "must be given in every row"),
        ((1_000_000_000, 1, "nose", 1, 1), "expected at most 20,000,000 frames"),
    ],
)
def test_an_impossible_point_names_the_file_and_the_reason(tmp_path, point, message):
    write_index(tmp_path, {})
    write_tracking(tmp_path, [point])

    with pytest.raises(DataError, match=rf"1\.parquet: .*{message}"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ((1, 2, "sniff", 5, 4), "row 1: expected 0 <= start_frame <= stop_frame"),
        ((1, 2, "sniff", -1, 4), "row 1"),
        ((1, 1001, "sniff", 1, 4), "row 1: agent_id and target_id must be 1 to 1,000"),
        ((1, 2, None, 1, 4), "must be given in every row"),
    ],
)
def test_an_impossible_label_names_the_file_and_the_row(story, label, message):
    write_labels(story, [(1, 2, "sniff", 0, 1), label])

    with pytest.raises(DataError, match=rf"annotation.*1\.parquet: .*{message}"):
        read(story)


def test_labels_of_zero_length_are_dropped_with_a_note(story):
    write_labels(story, [(1, 2, "sniff", 2, 2), (1, 2, "sniff", 0, 1)])

    recording = read(story)

    assert recording.bouts == (Bout(0, 1, "sniff", 1, 2),)
    assert recording.notes == ("labels of zero length: 1, dropped",)


def test_labels_that_nobody_announced_are_kept_with_a_note(story):
    write_labels(story, [(2, 1, "mount", 0, 1)])

    recording = read(story)

    assert recording.bouts == (Bout(0, 1, "mount", 2, 1),)
    assert "mount" in recording.notes[0]


def test_an_empty_annotation_file_means_nothing_happened(story):
    write_labels(story, [])

    assert read(story).bouts == ()


def test_a_watched_video_without_annotation_is_all_negative(tmp_path):
    write_index(tmp_path, {})

    [info] = read_index(tmp_path)

    assert info.annotation_path is None
    assert info.watched == (Watched(1, 1, "rear"), Watched(1, 2, "sniff"))


def test_where_labels_are_hidden_what_to_look_for_is_known_and_no_answer(tmp_path):
    write_index(tmp_path, {}, split="test")
    (tmp_path / "test_annotation").rmdir()

    [info] = read_index(tmp_path)

    assert [entry.action for entry in info.watched] == ["rear", "sniff"]
    assert not info.has_labels


@pytest.mark.parametrize("nothing", ["", "[]", "null", "nan"])
def test_an_unlabelled_clip_is_unwatched(tmp_path, nothing):
    write_index(tmp_path, {"behaviors_labeled": nothing})

    [info] = read_index(tmp_path)

    assert info.watched == ()
    assert not info.has_labels


def test_quoted_duplicates_in_what_was_watched_count_once(tmp_path):
    entries = [
        "'mouse1','mouse2','sniff'",
        "mouse1','mouse2','sniff'",
        "mouse1,mouse2,sniff",
        "mouse2, self, rear",
    ]
    write_index(tmp_path, {"behaviors_labeled": json.dumps(entries)})

    [info] = read_index(tmp_path)

    assert info.watched == (Watched(1, 2, "sniff"), Watched(2, 2, "rear"))


def test_the_name_of_an_action_keeps_its_blanks_as_in_annotation_files(tmp_path):
    write_index(tmp_path, {"behaviors_labeled": '["mouse1, mouse2, jump up"]'})

    [info] = read_index(tmp_path)

    assert info.watched == (Watched(1, 2, "jump up"),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"pix_per_cm_approx": ""}, "Lab/1: pix_per_cm_approx must be .* 'nothing'"),
        ({"pix_per_cm_approx": "0"}, "Lab/1: pix_per_cm_approx .* found '0'"),
        ({"pix_per_cm_approx": "NaN"}, "Lab/1: pix_per_cm_approx"),
        ({"frames_per_second": "fast"}, "Lab/1: frames_per_second"),
        ({"behaviors_labeled": "[mouse1"}, "Lab/1: behaviors_labeled is no JSON"),
        ({"behaviors_labeled": '["mouse0,self,dig"]'}, "mouse0,self,dig"),
        ({"video_id": ""}, "lab_id and video_id must both be given"),
    ],
)
def test_a_row_that_makes_no_sense_names_its_video(tmp_path, row, message):
    write_index(tmp_path, row)

    with pytest.raises(DataError, match=message):
        read_index(tmp_path)


def test_a_table_with_missing_columns_is_refused_with_their_names(tmp_path):
    (tmp_path / "train.csv").write_text("lab_id,video_id\nLab,1\n", encoding="utf-8")

    with pytest.raises(DataError, match=r"no column .*'pix_per_cm_approx'"):
        read_index(tmp_path)


def test_a_video_with_two_rows_is_refused(tmp_path):
    write_index(tmp_path, {}, {})

    with pytest.raises(DataError, match="Lab/1 has two rows"):
        read_index(tmp_path)


@pytest.mark.parametrize("has_table", [False, True])
def test_no_videos_says_where_it_looked_and_how_to_get_some(tmp_path, has_table):
    if has_table:
        write_index(tmp_path)

    with pytest.raises(DataError) as caught:
        read_index(tmp_path)

    message = str(caught.value)
    hints = ["train.csv", "mabe import", "mabe simulate", "docs/kaggle.md"]
    assert all(hint in message for hint in [str(tmp_path), *hints])
    assert "\n" not in message


def test_an_absent_tracking_file_fails_when_it_is_read(tmp_path):
    write_index(tmp_path, {})

    with pytest.raises(DataError, match=r"tracking file does not exist"):
        read(tmp_path)


def test_a_truncated_file_and_one_of_another_kind_are_named(story):
    path = story / "train_tracking" / "Lab" / "1.parquet"
    content = path.read_bytes()
    for broken in (content[: len(content) // 2], b"", b"a,b\n1,2\n"):
        path.write_bytes(broken)

        with pytest.raises(DataError, match=r"1\.parquet: cannot be read as parquet"):
            read(story)


def test_a_corrupt_page_is_named(story):
    path = story / "train_tracking" / "Lab" / "1.parquet"
    start = pq.ParquetFile(path).metadata.row_group(0).column(3).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 16] = b"\xff" * 16
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"1\.parquet: cannot be read as parquet"):
        read(story)


def test_an_annotation_where_tracks_belong_is_recognised(story):
    path = story / "train_tracking" / "Lab" / "1.parquet"
    write_table(path, ["agent_id", "action"], [(1, "sniff")])

    with pytest.raises(DataError, match=r"no column .*'x'.*Is this an annotation"):
        read(story)


def test_a_tracking_file_finds_its_row_two_folders_up(story):
    info = find_video(story / "train_tracking" / "Lab" / "1.parquet")

    assert info == read_index(story)[0]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("train_tracking/Lab/2.parquet", "no row with lab_id Lab and video_id 2"),
        ("test_tracking/Lab/1.parquet", r"test\.csv, which does not exist"),
        ("1.parquet", "expected a file like <split>_tracking/<lab>/<video>"),
    ],
)
def test_a_tracking_file_without_metadata_says_what_is_wanted(story, place, message):
    with pytest.raises(DataError, match=message):
        find_video(story / place)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
def test_every_real_annotation_reads(tmp_path):
    real = DATA / "mabe2025"

    videos = read_index(real, splits=("train",))

    assert len(videos) == 862
    [negative] = [info for info in videos if info.video == "1375833299"]
    assert negative.watched
    assert negative.annotation_path is None
    assert sum(info.annotation_path is not None for info in videos) == 846


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
def test_a_real_recording_agrees_with_its_rows_one_by_one():
    info = read_index(DATA / "rat_dyad")[0]

    recording = read_recording(info)

    table = pq.read_table(info.tracking_path).slice(1000, 300).to_pylist()
    slots = recording.slots.tolist()
    for row in table:
        keypoint = KEYPOINTS.index(row["bodypart"])
        slot = slots.index((row["mouse_id"] - 1) * len(KEYPOINTS) + keypoint)
        assert recording.xy_px[row["video_frame"], slot].tolist() == [
            row["x"],
            row["y"],
        ]


def test_labels_that_go_on_without_tracks_are_told(tmp_path):
    write_index(tmp_path, {})
    write_tracking(tmp_path, [(frame, 1, "nose", 1, 1) for frame in range(3)])
    write_labels(tmp_path, [(1, 2, "sniff", 0, 700)])

    assert "tracking ends at frame 3, labels go on to 700" in read(tmp_path).notes


def test_labels_that_end_with_the_tracks_are_nothing_to_tell(tmp_path):
    write_index(tmp_path, {})
    write_tracking(tmp_path, [(frame, 1, "nose", 1, 1) for frame in range(90)])
    write_labels(tmp_path, [(1, 2, "sniff", 0, 92)])

    assert read(tmp_path).notes == ()


def test_without_a_list_of_what_was_watched_videos_can_still_be_marked(tmp_path):
    path = write_index(tmp_path, {})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith(",behaviors_labeled")
    header = lines[0].removesuffix(",behaviors_labeled")
    path.write_text(f"{header}\nLab,1,10.0,30.0,10.0\n", encoding="utf-8")

    [info] = read_index(tmp_path)

    assert info.watched == ()
    assert not info.has_labels


def test_a_folder_that_is_not_there_is_called_that(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_index(tmp_path / "nowhere")
