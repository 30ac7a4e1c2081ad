import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mabe.bouts import Bout, find_spans, label_runs

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
