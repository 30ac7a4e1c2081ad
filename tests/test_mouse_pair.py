"""The benchmark on one real video of a resident mouse and a visitor."""

import csv
import importlib.util
import io
import json
import pickle
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mabe.io.readers.kaggle import read_index, read_recording
from mabe.metrics import mabe_f_score
from mabe.skeleton import TrackedPoint

h5py = pytest.importorskip("h5py", reason="DeepLabCut's HDF5 files need h5py")


def load_benchmark(name):
    path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mouse_pair = load_benchmark("mouse_pair")

needs_data = pytest.mark.skipif(
    not mouse_pair.FOLDER.is_dir(),
    reason=f"no real data at {mouse_pair.FOLDER}; set MABE_DATA",
)
FRAMES = 2632
BORDERS = [(0, 1679), (1754, 2632)]
TINY = {"epochs": 1, "steps_per_epoch": 30, "sequence_length": 50, "lstm_hidden": 8}
SECONDS_OF_GAP = 75 / 25


@pytest.fixture(scope="module")
def video():
    return mouse_pair.read_video(mouse_pair.TRACKS, mouse_pair.MARKS)


@pytest.fixture(scope="module")
def recordings(video, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    mouse_pair.convert(video, folder)
    return [read_recording(info) for info in read_index(folder)]


@pytest.fixture(scope="module")
def found(video, tmp_path_factory):
    """What a tiny network finds in the last third after a few steps."""
    work = tmp_path_factory.mktemp("run")
    mouse_pair.convert(video, work / "data")
    mouse_pair.prepare(work / "data", work / "store", rate_fps=mouse_pair.FPS)
    config = mouse_pair.settings(work, seed=1, **TINY)
    found = mouse_pair.learn(config)
    return found, json.loads((config.checkpoint_dir / "run.json").read_text())


def raw_points():
    """Return x, y, likelihood as [frame, individual, part, 3], straight from HDF5."""
    with h5py.File(mouse_pair.TRACKS) as file:
        return file["df_with_missing/table"]["values_block_0"].reshape(-1, 2, 22, 3)


def raw_marks():
    with mouse_pair.MARKS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@needs_data
def test_the_recordings_are_the_first_two_thirds_and_the_last_with_3_s_between(
    recordings,
):
    assert [recording.length for recording in recordings] == [1679, 878]
    assert [recording.info.fps for recording in recordings] == [25, 25]
    (_, stop), (start, end) = BORDERS
    assert end == FRAMES
    assert (start - stop) / 25 == SECONDS_OF_GAP


@needs_data
def test_no_bout_is_in_both_recordings():
    (_, stop), (start, _) = BORDERS
    for column in mouse_pair.COLUMNS:
        between = [row[column] for row in raw_marks()[stop:start]]
        assert "0.0" in between


@needs_data
@pytest.mark.parametrize(
    ("part", "frame", "of_resident"),
    [(0, 50, 1), (0, 300, 0), (0, 594, 0), (0, 595, 1), (1, 0, 1), (1, 877, 1)],
)
def test_a_point_is_where_the_file_has_it_under_the_name_of_the_right_mouse(
    recordings, part, frame, of_resident
):
    """Before frame 117 and from 595 on the resident is individual2."""
    recording = recordings[part]
    raw = raw_points()[BORDERS[part][0] + frame]
    of_point = {point: place for place, point in enumerate(recording.points)}
    for name, place in (("nose", 0), ("ear_left", 1), ("tail_base", 16)):
        for mouse, individual in ((0, of_resident), (1, 1 - of_resident)):
            x, y, likelihood = raw[individual, place]
            seen = likelihood >= 0.6 and np.isfinite(x) and np.isfinite(y)
            expected = (x, y) if seen else (np.nan, np.nan)
            found = recording.xy_px[frame, of_point[TrackedPoint(mouse, name)]]
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@needs_data
def test_as_many_points_are_seen_as_the_tracker_was_sure_of(recordings):
    x, y, likelihood = np.moveaxis(raw_points(), -1, 0)
    in_corner = (x == 0) & (y == 0)
    sure = (likelihood >= 0.6) & np.isfinite(x) & np.isfinite(y) & ~in_corner
    for recording, (start, stop) in zip(recordings, BORDERS, strict=True):
        assert np.isfinite(recording.xy_px[..., 0]).sum() == sure[start:stop].sum()
        assert len(recording.keypoints) == 22


@needs_data
def test_no_point_is_left_in_the_corner_of_the_picture(video):
    assert (raw_points()[..., :2] == 0).all(axis=-1).any()
    assert not (video.xy_px == 0).all(axis=-1).any()


@needs_data
def test_as_many_frames_are_labelled_as_the_table_marks(recordings):
    marks = raw_marks()
    for recording, (start, stop) in zip(recordings, BORDERS, strict=True):
        for column, of in mouse_pair.COLUMNS.items():
            marked = sum(row[column] == "1.0" for row in marks[start:stop])
            labelled = sum(
                bout.stop - bout.start
                for bout in recording.bouts
                if (bout.agent, bout.target, bout.action)
                == (of.agent, of.target, of.action)
            )
            assert labelled == marked
    sniffs = [b for b in recordings[1].bouts if (b.agent, b.action) == (1, "sniff")]
    assert [(b.start + 1754, b.stop + 1754) for b in sniffs] == [
        *[(1793, 1798), (1921, 1947), (2141, 2155)],
        *[(2389, 2457), (2463, 2479), (2580, 2595)],
    ]


@needs_data
def test_the_resident_was_not_watched_for_what_only_the_visitor_has_a_column_for(
    recordings,
):
    for recording in recordings:
        watched = {(w.agent, w.action) for w in recording.info.watched}
        assert {(1, "sniff"), (2, "sniff"), (2, "chase"), (2, "dominance")} <= watched
        assert not {(1, "chase"), (1, "dominance")} & watched


@needs_data
def test_the_sniffer_has_its_nose_nearer_once_the_identities_are_mended(video):
    first, last = mouse_pair.divide(FRAMES)
    as_tracked = mouse_pair.read_video(
        mouse_pair.TRACKS, mouse_pair.MARKS, exchanged_at=()
    )
    assert mouse_pair.sureness(video, first).share > 0.85
    assert mouse_pair.sureness(as_tracked, first).share < 0.65
    assert mouse_pair.sureness(video, last).share > 0.85


@needs_data
def test_what_is_learned_on_the_first_part_is_scored_on_the_last_alone(found):
    comparison, facts = found
    assert facts["learned"] == ["MousePair/first"]
    assert facts["held_out"] == ["MousePair/last"]
    assert [video.video for video in comparison.predicted] == ["last"]
    assert set(comparison.solution["video_id"]) == {"last"}
    grade = mouse_pair.grade(comparison, comparison.submission)
    assert 0 <= grade.score <= 1
    assert 0 <= grade.sniff_exchanged <= 1


@needs_data
def test_the_rules_are_graded_as_the_challenge_would(found, video):
    truth, _ = found
    for rule in (mouse_pair.near_nose(video), mouse_pair.most_frequent(video)):
        grade = mouse_pair.grade(truth, rule)
        assert grade.score == pytest.approx(mabe_f_score(truth.solution, rule))
    # Always sniffing hits 144 + 132 of 2 × 878 frames, whoever sniffs whom.
    sniff = 2 * 276 / (276 + 2 * 878)
    assert grade.by_action["sniff"] == pytest.approx(sniff)
    assert grade.sniff_exchanged == pytest.approx(sniff)


@needs_data
def test_exchanged_labels_still_agree_where_both_sniff_at_once(found):
    truth, _ = found
    columns = list(mouse_pair.MARK_COLUMNS)
    sniffs = truth.solution.filter(action="sniff").select(columns)
    grade = mouse_pair.grade(truth, sniffs)
    both = 10 + 47 + 16 + 3  # frames 2145–2155, 2410–2457, 2463–2479, 2582–2585
    assert grade.by_action["sniff"] == 1
    assert grade.sniff_exchanged == pytest.approx(2 * both / (144 + 132))


def test_the_mice_keep_their_places_until_the_tracker_exchanges_them():
    resident_is_second = np.array([[[[0.0, 0]], [[7, 7]]]] * 2)
    resident_is_first = resident_is_second[:, ::-1]
    tracked = np.concatenate(
        [resident_is_second, resident_is_first, resident_is_second]
    )
    ordered = mouse_pair.resident_first(tracked, (2, 4))
    assert (ordered[:, 0] == 7).all()
    assert (ordered[:, 1] == 0).all()


def test_the_parts_share_no_frame_however_long_the_video_is():
    for frames in range(300, 3000, 111):
        first, last = mouse_pair.divide(frames)
        assert (first.start, last.stop) == (0, frames)
        assert last.start - first.stop == 75
        assert all(a <= b for a, b in pairwise([0, first.stop, last.start, frames]))


def test_names_of_columns_that_would_run_code_are_refused():
    unpickler = mouse_pair._PlainUnpickler(io.BytesIO(pickle.dumps(print)))
    with pytest.raises(mouse_pair.DataError, match=r"builtins\.print"):
        unpickler.load()
