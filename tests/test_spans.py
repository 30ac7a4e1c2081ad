import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mabe.bouts import Bout, find_spans, label_runs, mean_in_windows

frames = arrays(bool, st.integers(0, 60))


@given(frames)
def test_spans_cover_exactly_the_true_frames(active):
    covered = [t for start, stop in find_spans(active) for t in range(start, stop)]
    assert covered == np.flatnonzero(active).tolist()


@given(frames)
def test_spans_are_sorted_and_never_touch(active):
    edges = find_spans(active).ravel()
    assert (np.diff(edges) > 0).all()


def test_runs_name_every_stretch_of_one_label():
    runs = label_runs(np.array([2, 2, 0, 1, 1, 1]))
    assert runs.tolist() == [[0, 2, 2], [2, 3, 0], [3, 6, 1]]


def test_no_frames_have_no_runs():
    assert len(label_runs(np.array([], int))) == 0


def test_a_bout_that_ends_before_it_starts_cannot_be_built():
    with pytest.raises(ValueError, match="start < stop"):
        Bout(5, 5, "attack", 1, 2)


def test_windows_around_one_frame_hold_that_frame_alone():
    assert mean_in_windows([np.array([[50, 51]])], 8) == 1


def test_windows_in_long_spans_are_filled_but_for_the_ends():
    assert mean_in_windows([np.array([[0, 10_000]])], 10) == pytest.approx(10, rel=0.01)
    assert mean_in_windows([], 10) == 0


@given(
    active=st.lists(st.booleans(), min_size=1, max_size=30), window=st.integers(1, 12)
)
def test_windows_are_drawn_around_any_frame_at_any_place(active, window):
    spans = find_spans(np.array(active))
    padded = np.pad(np.array(active, int), window)
    held = [
        padded[start : start + window].sum()
        for frame in np.flatnonzero(padded)
        for start in range(frame - window + 1, frame + 1)
    ]
    expected = np.mean(held) if held else 0
    assert mean_in_windows([spans], window) == pytest.approx(expected)
