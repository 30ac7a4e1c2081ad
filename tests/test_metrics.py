import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mabe.metrics import (
    accuracy,
    class_scores,
    confusion_matrix,
    count_bouts,
    count_matches,
    counts_of_confusion,
)


def scores_of_confusion(confusion):
    return class_scores(counts_of_confusion(confusion))


LABELS = np.array([0, 0, 1, 1, 1, 2, -1, -1])
CHOSEN = np.array([0, 1, 1, 1, 0, 2, 2, 0])


def test_counts_by_hand():
    confusion = confusion_matrix(LABELS, CHOSEN, 3)
    assert confusion.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 1]]
    scores = scores_of_confusion(confusion)
    np.testing.assert_allclose(scores.f1, [1 / 2, 2 / 3, 1])
    assert scores.macro_f1 == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert accuracy(confusion) == pytest.approx(4 / 6)


def test_a_class_that_never_occurs_is_left_out_of_the_mean():
    scores = scores_of_confusion(confusion_matrix(LABELS, CHOSEN, 4))
    assert np.isnan(scores.f1[3])
    assert scores.macro_f1 == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)


def test_predicting_a_class_that_never_occurs_costs_the_class_it_is_taken_from():
    scores = scores_of_confusion(np.array([[5, 5], [0, 0]]))
    assert scores.f1[0] == pytest.approx(2 / 3)
    assert np.isnan(scores.f1[1])
    assert scores.macro_f1 == pytest.approx(2 / 3)


def test_nothing_counted_has_no_score():
    assert np.isnan(scores_of_confusion(np.zeros((3, 3), int)).macro_f1)


@given(
    arrays(np.int8, 80, elements=st.integers(-1, 2)),
    arrays(np.int8, 80, elements=st.integers(0, 2)),
)
def test_f1_agrees_with_counting_frame_by_frame(labels, chosen):
    scores = scores_of_confusion(confusion_matrix(labels, chosen, 3))
    for c in range(3):
        pairs = [(t, p) for t, p in zip(labels, chosen, strict=True) if t >= 0]
        hits = sum(t == c and p == c for t, p in pairs)
        either = sum(int(t == c) + int(p == c) for t, p in pairs)
        if any(t == c for t, _ in pairs):
            assert scores.f1[c] == pytest.approx(2 * hits / either)
        else:
            assert np.isnan(scores.f1[c])


def test_bouts_match_by_more_than_half_of_their_union():
    true = np.array([[0, 10], [20, 30], [40, 50]])
    assert count_matches(true, np.array([[1, 10]])) == 1
    assert count_matches(true, np.array([[0, 30]])) == 0  # a merged bout is no match
    assert count_matches(true, np.array([[0, 5]])) == 0  # exactly half is not more
    assert count_matches(true, true) == 3
    assert count_matches(true, np.empty((0, 2), int)) == 0


@given(arrays(bool, 60), arrays(bool, 60))
def test_matches_agree_with_comparing_all_pairs(one, other):
    from mabe.bouts import find_spans

    true, found = find_spans(one), find_spans(other)
    expected = 0
    for a, b in true:
        for c, d in found:
            overlap = max(0, min(b, d) - max(a, c))
            expected += 2 * overlap > (b - a) + (d - c) - overlap
    assert count_matches(true, found) == expected


def test_a_bout_in_many_pieces_matches_none_of_them():
    labels = np.array([0, 1, 1, 1, 1, 1, 1, 0])
    chosen = np.array([0, 1, 0, 1, 0, 1, 0, 0])
    assert count_bouts(labels, chosen, 2)[1].tolist() == [1, 3, 0]
