"""When annotators watched: outside of it a frame is neither yes nor no, anywhere."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kaggle_files import write_coverage, write_index, write_labels, write_tracking
from pair_stories import RATE, stored

from mabe.bouts import (
    SCENE,
    Bout,
    View,
    Watched,
    WatchedSpan,
    covered_bouts,
    gaps_between,
    spans_of,
)
from mabe.data.pair_windows import count_states
from mabe.data.prepare import prepare
from mabe.data.store import open_store
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.pair_task import UNWATCHED, PairTask
from mabe.scene_task import NOT_COUNTED, SceneTask

FIGHTS = PairTask(
    actions=("attack", "sniff"),
    labs=("Lab",),
    vocabulary={"Lab": frozenset({("attack", False), ("sniff", False)})},
)
ACTIONS = SceneTask.from_groups({"none": [], "sniff": ["sniff"], "attack": ["attack"]})
BOTH = ["1>2 attack", "1>2 sniff"]


def attacks(recording, task=FIGHTS):
    """The state of `attack` in every frame of the view 1 > 2."""
    labels = {each.view: each for each in task.view_labels(recording, 0, RATE)}
    return labels[View(1, 2)].frames(0, recording.length)[:, 0].tolist()


# Spans.


def test_spans_of_an_action_are_joined_where_they_meet():
    coverage = (
        WatchedSpan(0, 3, "attack", 1, 2),
        WatchedSpan(3, 5, "attack", 1, 2),
        WatchedSpan(8, 9, "attack", 1, 2),
        WatchedSpan(0, 9, "sniff", 1, 2),
    )
    assert spans_of(coverage, Watched(1, 2, "attack")).tolist() == [[0, 5], [8, 9]]


def test_gaps_are_what_is_between_spans_within_the_recording():
    assert gaps_between(np.array([[2, 4], [6, 12]]), 10).tolist() == [[0, 2], [4, 6]]
    assert gaps_between(np.empty((0, 2), int), 3).tolist() == [[0, 3]]


spans = st.tuples(st.integers(0, 19), st.integers(1, 20)).filter(lambda s: s[0] < s[1])


@given(st.lists(spans, max_size=4), st.lists(spans, max_size=4))
def test_what_is_left_of_bouts_is_what_both_the_bouts_and_the_coverage_name(
    bouts, watched
):
    def frames(those):
        return {frame for start, stop in those for frame in range(start, stop)}

    left = covered_bouts(
        [Bout(*span, "attack", 1, 2) for span in bouts],
        tuple(WatchedSpan(*span, "attack", 1, 2) for span in watched),
    )
    left_spans = [(bout.start, bout.stop) for bout in left]
    assert frames(left_spans) == frames(bouts) & frames(watched)


# The pair task.


def test_a_frame_outside_what_was_watched_is_neither_yes_nor_no():
    recording = stored(
        ("1>2 attack", 2, 4),
        watched=BOTH,
        frames=8,
        coverage=[("1>2 attack", 1, 6), ("1>2 sniff", 0, 8)],
    )
    assert attacks(recording) == [UNWATCHED, 0, 1, 1, 0, 0, UNWATCHED, UNWATCHED]


def test_a_bout_outside_what_was_watched_counts_only_where_it_was_watched():
    recording = stored(
        ("1>2 attack", 2, 6), watched=BOTH, frames=8, coverage=[("1>2 attack", 0, 4)]
    )
    assert attacks(recording) == [0, 0, 1, 1, *[UNWATCHED] * 4]


def test_an_action_that_coverage_does_not_name_was_never_watched():
    recording = stored(watched=BOTH, frames=4, coverage=[("1>2 attack", 0, 4)])
    [labels] = FIGHTS.view_labels(recording, 0, RATE)
    assert labels.watched.tolist() == [True, False]
    assert recording.annotated == (Watched(1, 2, "attack"),)


def test_a_recording_in_which_nothing_was_watched_is_not_annotated():
    recording = stored(watched=BOTH, frames=4, coverage=[])
    assert not FIGHTS.is_annotated(recording)
    assert not ACTIONS.is_annotated(recording)


def test_an_action_without_a_direction_was_watched_where_either_direction_was():
    task = dataclasses.replace(FIGHTS, undirected=frozenset({"attack"}))
    recording = stored(
        watched=["1>2 attack", "2>1 attack"],
        frames=6,
        coverage=[("1>2 attack", 0, 2), ("2>1 attack", 4, 6)],
    )
    assert attacks(recording, task) == [0, 0, UNWATCHED, UNWATCHED, 0, 0]


def test_frames_that_count_are_counted_action_by_action():
    recording = stored(
        ("1>2 attack", 0, 2),
        watched=BOTH,
        frames=10,
        coverage=[("1>2 attack", 0, 5), ("1>2 sniff", 0, 8)],
    )
    views = FIGHTS.view_labels(recording, 0, RATE)
    happened, watched = count_states(views, 2)
    assert (happened.tolist(), watched.tolist()) == ([2, 0], [5, 8])
    assert views[0].counted_spans().tolist() == [[0, 8]]


@given(
    st.lists(spans, max_size=3),
    st.lists(spans, max_size=3),
    st.sampled_from([5.0, 10.0, 20.0]),
)
def test_full_coverage_is_no_coverage_and_less_coverage_only_hides(bouts, watched, fps):
    named = [("1>2 attack", *span) for span in bouts]
    usual = {"watched": ["1>2 attack"], "frames": 20, "fps": fps}
    known = attacks(stored(*named, **usual))
    covered = stored(*named, **usual, coverage=[("1>2 attack", 0, 20)])
    assert attacks(covered) == known
    some = stored(*named, **usual, coverage=[("1>2 attack", *span) for span in watched])
    if FIGHTS.view_labels(some, 0, RATE):
        assert all(
            state in (of_all, UNWATCHED)
            for state, of_all in zip(attacks(some), known, strict=True)
        )


# The scene task.


def classes_of(*bouts, coverage, watched=BOTH, frames=6):
    recording = stored(*bouts, watched=watched, frames=frames, coverage=coverage)
    return ACTIONS.labels_of(recording).tolist()


def test_background_is_known_only_where_everything_was_watched():
    coverage = [("1>2 sniff", 0, 6), ("1>2 attack", 2, 4)]
    assert classes_of(coverage=coverage) == [
        *[NOT_COUNTED] * 2,
        *[0] * 2,
        *[NOT_COUNTED] * 2,
    ]


def test_a_class_is_known_where_every_later_class_was_watched():
    everything = [("1>2 attack", 0, 6), ("1>2 sniff", 0, 3)]
    attack = ("1>2 attack", 0, 6)
    assert classes_of(attack, coverage=everything) == [2] * 6
    sniff = ("1>2 sniff", 0, 3)
    only_sniff = [("1>2 sniff", 0, 6), ("1>2 attack", 0, 2)]
    expected = [1, 1, *[NOT_COUNTED] * 4]
    assert classes_of(sniff, coverage=only_sniff) == expected


def test_the_annotations_of_a_scene_follow_its_coverage():
    recording = stored(watched=BOTH, frames=3, coverage=[(each, 1, 3) for each in BOTH])
    states = ACTIONS.annotations(recording)[SCENE].frames(0, 3)
    assert states.tolist() == [[-1, -1, -1], [1, 0, 0], [1, 0, 0]]


# The file.


@pytest.fixture
def folder(tmp_path):
    """One video of 100 frames, watched for sniffing in frames 10 to 39."""
    write_index(tmp_path, {})
    write_tracking(tmp_path, [(frame, 1, "nose", frame, 5) for frame in range(100)])
    write_labels(tmp_path, [(1, 2, "sniff", 30, 50)])
    write_coverage(tmp_path, [(1, 2, "sniff", 10, 40)])
    return tmp_path


def test_a_coverage_file_is_read_with_the_labels(folder):
    [info] = read_index(folder)
    recording = read_recording(info)
    assert recording.coverage == (WatchedSpan(10, 40, "sniff", 1, 2),)
    assert any("10 frames" in note and "watched" in note for note in recording.notes)


def test_coverage_goes_through_the_store(folder, tmp_path):
    prepare(folder, tmp_path / "store", rate_fps=30)
    [recording] = open_store(tmp_path / "store").recordings
    assert recording.coverage == (WatchedSpan(10, 40, "sniff", 1, 2),)


def test_a_store_without_coverage_is_one_that_earlier_versions_read(tmp_path):
    write_index(tmp_path, {})
    write_tracking(tmp_path, [(frame, 1, "nose", frame, 5) for frame in range(9)])
    write_labels(tmp_path, [(1, 2, "sniff", 3, 5)])
    prepare(tmp_path, tmp_path / "store", rate_fps=30)
    index = json.loads((tmp_path / "store/index.json").read_text(encoding="utf-8"))
    assert index["version"] == 4
    assert "coverage" not in index["recordings"][0]


def test_a_changed_coverage_file_is_read_again(folder, tmp_path):
    prepare(folder, tmp_path / "store", rate_fps=30)
    write_coverage(folder, [(1, 2, "sniff", 0, 60)])
    prepare(folder, tmp_path / "store", rate_fps=30)
    [recording] = open_store(tmp_path / "store").recordings
    assert recording.coverage == (WatchedSpan(0, 60, "sniff", 1, 2),)


def test_a_coverage_file_with_columns_missing_is_refused_by_name(folder):
    path = write_coverage(folder, [(1, 2, "sniff", 10, 40)])
    pl.read_parquet(path).drop("stop_frame").write_parquet(path)
    [info] = read_index(folder)
    with pytest.raises(Exception, match="stop_frame") as refused:
        read_recording(info)
    assert str(path) in str(refused.value)
