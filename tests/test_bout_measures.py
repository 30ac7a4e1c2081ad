"""Bouts are counted and timed in what was watched, as loops, pandas and BORIS do it."""

import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observation_stories import FPS, observed, spans

from mabe.bouts import Bout, RecordingBouts, Watched, find_spans
from mabe.io.predictions import PredictionProvenance
from mabe.io.writers.boris import BorisHeading, boris_project
from mabe.measures.bout_measures import (
    animal_series,
    measure,
    measure_bins,
    measure_bouts,
    pair_series,
    received_series,
    recording_series,
)
from mabe.measures.observation import observe

DATA = Path(os.environ.get("MABE_DATA", "../shared/data"))


def rows(series):
    return {
        (row.place.agent, row.place.target, row.place.action): row.measures
        for row in measure(series, FPS)
    }


def test_a_minute_with_three_bouts_is_measured_as_one_counts_it():
    story = observed(
        [
            (100, 120, "sniff", 1, 2),
            (150, 160, "sniff", 1, 2),
            (300, 360, "sniff", 1, 2),
        ]
    )

    of_pair = rows(pair_series(story))["resident", "intruder", "sniff"]

    assert of_pair.bouts == 3
    assert of_pair.watched_s == 60
    assert of_pair.total_s == pytest.approx(9)
    assert of_pair.share == pytest.approx(0.15)
    assert of_pair.per_min == 3
    assert (of_pair.mean_s, of_pair.median_s, of_pair.longest_s) == (3, 2, 6)
    assert of_pair.latency_s == 10
    assert of_pair.interval_mean_s == pytest.approx((3 + 14) / 2)


def test_only_watched_time_counts():
    """Watched from 20 to 40 s: a bout is cut, one lies outside."""
    story = observed(
        [(50, 60, "sniff", 1, 2), (190, 220, "sniff", 1, 2), (250, 260, "sniff", 1, 2)],
        coverage=[(200, 400, "sniff", 1, 2)],
    )

    of_pair = rows(pair_series(story))["resident", "intruder", "sniff"]

    assert (of_pair.bouts, of_pair.watched_s) == (2, 20)
    assert of_pair.total_s == pytest.approx(3)
    assert of_pair.share == pytest.approx(0.15)
    assert of_pair.latency_s == 0


def test_an_interval_with_an_unwatched_frame_is_no_interval():
    story = observed(
        [(0, 10, "rear", 1, 1), (100, 110, "rear", 1, 1), (150, 160, "rear", 1, 1)],
        coverage=[(0, 50, "rear", 1, 1), (60, 600, "rear", 1, 1)],
    )

    assert rows(pair_series(story))["resident", "self", "rear"].interval_mean_s == 4


def test_an_action_that_was_watched_for_and_never_occurs_has_a_row_of_zero():
    story = observed([], watched=[(1, 2, "attack")])

    of_pair = rows(pair_series(story))["resident", "intruder", "attack"]

    assert (of_pair.bouts, of_pair.total_s, of_pair.share) == (0, 0, 0)
    assert math.isnan(of_pair.latency_s)
    assert math.isnan(of_pair.mean_s)


def test_an_animal_is_measured_with_all_its_partners_and_as_the_target_of_others():
    story = observed(
        [(0, 20, "sniff", 1, 2), (10, 30, "sniff", 1, 3), (100, 110, "sniff", 2, 1)],
        animals=("a", "b", "c"),
    )

    acting, receiving = rows(animal_series(story)), rows(received_series(story))

    assert acting["a", "", "sniff"].bouts == 1  # two partners at the same time
    assert acting["a", "", "sniff"].total_s == 3
    assert acting["b", "", "sniff"].total_s == 1
    assert receiving["", "a", "sniff"].total_s == 1
    assert receiving["", "c", "sniff"].total_s == 2
    assert rows(recording_series(story))["", "", "sniff"].total_s == 4


def test_an_action_without_direction_belongs_to_both_animals():
    story = observed([(0, 20, "fight", 1, 2)]).without_direction({"fight"})

    acting = rows(animal_series(story))

    assert acting["resident", "", "fight"] == acting["intruder", "", "fight"]
    assert not received_series(story)


def test_bins_divide_bouts_and_count_starts():
    story = observed([(90, 120, "sniff", 1, 2), (300, 310, "sniff", 1, 2)], length=350)

    bins = list(measure_bins(pair_series(story), length=350, fps=FPS, bin_s=10.0))

    assert [(b.bin, b.start_s, b.stop_s) for b in bins][-1] == (4, 30, 35)
    assert [b.bouts for b in bins] == [1, 0, 0, 1]
    assert [b.total_s for b in bins] == pytest.approx([1, 2, 0, 1])
    assert [b.watched_s for b in bins] == [10, 10, 10, 5]


frames = st.lists(st.booleans(), min_size=1, max_size=60).map(
    lambda values: np.array(values, bool)
)


@given(st.data(), frames)
def test_measures_are_those_of_a_plain_loop_over_frames(data, watched):
    active = np.array(
        data.draw(
            st.lists(st.booleans(), min_size=len(watched), max_size=len(watched))
        ),
        bool,
    )
    active &= watched

    got = measure_bouts(find_spans(active), find_spans(watched), FPS)

    durations, intervals, latency, seen, last_stop = [], [], None, 0, None
    for at in range(len(watched)):
        is_start = active[at] and not (at and active[at - 1])
        if not watched[at]:
            last_stop = None
        if is_start:
            latency = seen if latency is None else latency
            if last_stop is not None:
                intervals.append(at - last_stop)
            stop = at
            while stop < len(active) and active[stop]:
                stop += 1
            durations.append(stop - at)
            last_stop = stop
        seen += watched[at]
    assert got.bouts == len(durations)
    assert got.total_s == pytest.approx(sum(durations) / FPS)
    assert got.watched_s == pytest.approx(watched.sum() / FPS)
    if durations:
        assert got.median_s == pytest.approx(statistics.median(durations) / FPS)
        assert got.latency_s == pytest.approx(latency / FPS)
    if intervals:
        assert got.interval_mean_s == pytest.approx(statistics.mean(intervals) / FPS)
    else:
        assert math.isnan(got.interval_mean_s)


@settings(max_examples=30)
@given(frames, st.floats(0.3, 9))
def test_bins_add_up_to_the_whole(active, bin_s):
    story = observed(
        [(start, stop, "rear", 1, 1) for start, stop in find_spans(active).tolist()],
        length=len(active),
        watched=[(1, 1, "rear")],
    )

    bins = list(
        measure_bins(pair_series(story), length=len(active), fps=FPS, bin_s=bin_s)
    )

    whole = measure_bouts(find_spans(active), spans((0, len(active))), FPS)
    assert sum(b.watched_s for b in bins) == pytest.approx(whole.watched_s)
    assert sum(b.total_s for b in bins) == pytest.approx(whole.total_s)
    assert sum(b.bouts for b in bins) == whole.bouts


def read_real_labels():
    if not (DATA / "rat_dyad").is_dir():
        pytest.skip("rat_dyad is not here; set MABE_DATA")
    return DATA / "rat_dyad"


def test_measures_of_rat_dyad_are_those_of_pandas():
    pd = pytest.importorskip("pandas")
    from mabe.io.readers.kaggle import read_index, read_labels

    folder = read_real_labels()
    infos = read_index(folder)[:12]
    for info in infos:
        table = pd.read_parquet(info.annotation_path).sort_values("start_frame")
        length = int(table["stop_frame"].max())
        bouts, _ = read_labels(info)
        recording = RecordingBouts(
            lab=info.lab, video=info.video, fps=info.fps, length=length, bouts=bouts
        )
        story = observe("annotated", recording, info.watched)
        got = {
            row.place.action: row.measures for row in measure(pair_series(story), 30)
        }
        for action, of_action in table.groupby("action"):
            # Touching rows of one action are one bout.
            new = of_action["start_frame"] > of_action["stop_frame"].shift()
            number = (new | (of_action.index == of_action.index[0])).cumsum()
            joined = of_action.groupby(number).agg(
                start=("start_frame", "min"), stop=("stop_frame", "max")
            )
            seconds = (joined["stop"] - joined["start"]) / 30
            gaps = (joined["start"] - joined["stop"].shift()).dropna() / 30
            mine = got[action]
            assert mine.bouts == len(joined)
            assert mine.total_s == pytest.approx(seconds.sum())
            assert mine.mean_s == pytest.approx(seconds.mean())
            assert mine.median_s == pytest.approx(seconds.median())
            assert mine.longest_s == pytest.approx(seconds.max())
            assert mine.latency_s == pytest.approx(joined["start"].min() / 30)
            assert mine.share == pytest.approx(seconds.sum() * 30 / length)
            if len(gaps):
                assert mine.interval_mean_s == pytest.approx(gaps.mean())


def boris_time_budget(project, observation):
    """Return BORIS's own figures, by subject, behaviour and modifier."""
    script = Path(__file__).with_name("boris_time_budget.py")
    python = os.environ.get("MABE_BORIS_PYTHON", sys.executable)
    done = subprocess.run(
        [python, str(script), str(project), observation],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    if done.returncode == 3:
        pytest.skip(
            "BORIS is not installed; install boris-behav-obs in an environment of its "
            "own and set MABE_BORIS_PYTHON to its python"
        )
    assert done.returncode == 0, done.stderr
    budget = json.loads(done.stdout.splitlines()[-1])
    return {(row["subject"], row["behavior"], row["modifiers"]): row for row in budget}


def write_project(folder, recording):
    provenance = PredictionProvenance(
        mabe="0",
        model="model.safetensors",
        model_hash="0",
        task="pair",
        actions=tuple(sorted({bout.action for bout in recording.bouts})),
        rules={},
        rate_fps=recording.fps,
        variants=1,
        sources=(),
    )
    path = folder / "project.boris"
    path.write_text(
        json.dumps(boris_project([recording], BorisHeading.of_predictions(provenance)))
    )
    return path


def test_the_time_budget_of_boris_has_the_same_figures(tmp_path):
    """200 bouts of two animals at 29.97 frames per second, exported to BORIS."""
    generator = np.random.default_rng(4)
    edges = np.sort(generator.choice(9000, 400, replace=False)).reshape(-1, 2)
    which = generator.integers(0, 4, len(edges))
    kinds = [("sniff", 1, 2), ("sniff", 2, 1), ("rear", 1, 1), ("attack", 1, 2)]
    bouts = tuple(
        Bout(int(start), int(stop), *kinds[kind])
        for (start, stop), kind in zip(edges, which, strict=True)
    )
    recording = RecordingBouts(
        lab="Lab",
        video="day1",
        fps=29.97,
        length=9000,
        animals=("M24", "M25"),
        bouts=bouts,
    )

    budget = boris_time_budget(write_project(tmp_path, recording), "day1")

    entries = {Watched(b.agent, b.target, b.action) for b in bouts}
    story = observe("annotated", recording, entries)
    for row in measure(pair_series(story), recording.fps):
        theirs = budget.pop((row.place.agent, row.place.action, row.place.target))
        mine = row.measures
        assert theirs["number"] == mine.bouts
        assert theirs["duration"] == pytest.approx(mine.total_s, abs=0.001 * mine.bouts)
        assert theirs["duration_mean"] == pytest.approx(mine.mean_s, abs=0.0015)
        assert theirs["inter_duration_mean"] == pytest.approx(
            mine.interval_mean_s, abs=0.0015
        )
    assert not budget
