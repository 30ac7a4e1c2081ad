"""Agreement of bouts, frames and measures, compared with other people's code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from observation_stories import observed, spans

from mabe.bouts import find_spans
from mabe.measures.agreement import compare, measure_agreement, measure_uncertainty
from mabe.measures.observation import PREDICTED
from mabe.metrics.banos import Banos, edge_errors, score_banos
from mabe.metrics.binary_agreement import count_agreement, count_with_tolerance
from mabe.metrics.method_agreement import compare_methods

pairs_of_frames = st.integers(1, 60).flatmap(
    lambda length: st.tuples(
        *(
            st.lists(st.booleans(), min_size=length, max_size=length).map(
                lambda values: np.array(values, bool)
            )
            for _ in range(2)
        )
    )
)


@settings(max_examples=40)
@given(pairs_of_frames)
def test_banos_is_what_its_own_package_computes(frames):
    banos, pd = pytest.importorskip("banos"), pytest.importorskip("pandas")
    annotated, predicted = frames

    mine = score_banos(find_spans(annotated), find_spans(predicted))

    theirs = banos.score(
        pd.DataFrame({"a": predicted.astype(int)}),
        pd.DataFrame({"a": annotated.astype(int)}),
    )["a"]
    names = ("precision", "recall", "f1_score", "so", "tp", "ic")
    for name, value in zip(names, Banos.__slots__, strict=True):
        expected = theirs[name]
        np.testing.assert_allclose(getattr(mine, value), expected, err_msg=name)


@given(pairs_of_frames)
def test_kappa_and_f1_are_those_of_a_count_of_frames(frames):
    one, other = frames

    got = count_agreement(find_spans(one), find_spans(other), len(one))

    agreed = (one == other).mean()
    chance = one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean())
    if chance < 1:
        assert got.kappa == pytest.approx((agreed - chance) / (1 - chance))
    else:
        assert np.isnan(got.kappa)
    if one.any() or other.any():
        assert got.f1 == pytest.approx(
            2 * (one & other).sum() / (one.sum() + other.sum())
        )


@given(pairs_of_frames, st.integers(0, 6))
def test_the_tolerance_leaves_out_what_a_loop_over_frames_does(frames, tolerance):
    annotated, predicted = frames
    bouts = [
        (start, stop)
        for start, stop in find_spans(annotated).tolist()
        if predicted[start:stop].any()
    ]
    edges = [edge for bout in bouts for edge in bout]
    missed = false = 0
    for at in range(len(annotated)):
        # Frame `at` lies between the edges `at` and `at + 1`.
        near = any(edge - tolerance <= at < edge + tolerance for edge in edges)
        missed += annotated[at] and not predicted[at] and not near
        false += predicted[at] and not annotated[at] and not near

    got = count_with_tolerance(
        find_spans(annotated), find_spans(predicted), len(annotated), tolerance
    )

    assert (got.one_only, got.other_only) == (missed, false)


def test_a_bout_that_is_a_few_frames_off_is_forgiven_and_a_missed_one_is_not():
    annotated = spans((100, 150), (300, 304))

    off = count_with_tolerance(annotated, spans((103, 152)), 600, 5)
    plain = count_agreement(annotated, spans((103, 152)), 600)

    assert (off.one_only, off.other_only) == (4, 0)
    assert (plain.one_only, plain.other_only) == (3 + 4, 2)


def test_edges_are_late_or_early_by_the_outermost_predicted_bouts():
    errors = edge_errors(
        spans((100, 150), (200, 210), (300, 320)),
        spans((105, 120), (130, 149), (299, 330)),
    )

    assert errors.onset.tolist() == [5, -1]
    assert errors.offset.tolist() == [-1, 10]


def test_the_icc_is_that_of_its_two_way_table():
    """Mean squares by loops; figures of two raters and six subjects."""
    one = np.array([9.0, 6, 8, 7, 10, 6])
    other = np.array([8.0, 5, 6, 2, 6, 4])
    table = np.stack([one, other], axis=1)
    n, k = table.shape
    grand = table.mean()
    rows = k * sum((row.mean() - grand) ** 2 for row in table) / (n - 1)
    columns = n * sum((column.mean() - grand) ** 2 for column in table.T) / (k - 1)
    total = ((table - grand) ** 2).sum()
    error = (total - rows * (n - 1) - columns * (k - 1)) / ((n - 1) * (k - 1))
    expected = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)

    got = compare_methods(one, other)

    assert got.icc == pytest.approx(expected)
    assert got.icc_low < got.icc < got.icc_high
    assert got.bias == pytest.approx((other - one).mean())
    spread = 1.96 * (other - one).std(ddof=1)
    assert (got.limit_low, got.limit_high) == pytest.approx(
        (got.bias - spread, got.bias + spread)
    )


def test_the_interval_of_the_icc_holds_the_true_one_as_often_as_it_claims():
    generator = np.random.default_rng(3)
    true, inside = 0.8, 0
    for _ in range(400):
        subjects = generator.normal(0, np.sqrt(true), 20)
        one, other = subjects + generator.normal(0, np.sqrt(0.2), (2, 20))
        got = compare_methods(one, other)
        inside += got.icc_low <= true <= got.icc_high
    assert 0.92 < inside / 400 < 0.98


def test_equal_measures_have_no_bias_and_agree_in_full():
    values = np.array([1.0, 2, 5, 3])

    got = compare_methods(values, values)

    assert (got.bias, got.limit_low, got.limit_high, got.icc) == (0, 0, 0, 1)


def test_predictions_are_compared_in_the_frames_that_were_watched():
    """The false bout at 50 s lies where nobody watched."""
    annotated = observed(
        [(100, 150, "attack", 1, 2)], coverage=[(0, 400, "attack", 1, 2)]
    )
    predicted = observed(
        [(100, 150, "attack", 1, 2), (500, 550, "attack", 1, 2)], source=PREDICTED
    )

    compared = compare(annotated, predicted)
    _, (row,) = measure_agreement([compared], tolerance_s=0.2)

    assert (row.one, row.other, row.watched_s) == ("annotated", "predicted", 40)
    assert (row.bouts, row.other_bouts, row.f1, row.kappa) == (1, 1, 1, 1)


def test_a_scene_is_compared_with_labels_of_pairs():
    annotated = observed([(100, 150, "attack", 1, 2), (140, 160, "attack", 2, 1)])
    predicted = observed([(100, 160, "attack", 0, 0)], source=PREDICTED)

    _, (row,) = measure_agreement([compare(annotated, predicted)], tolerance_s=0.2)

    assert (row.bouts, row.f1) == (1, 1)


def test_the_uncertainty_is_the_bias_of_predicted_time():
    """Every predicted bout is a second too long, in five recordings of 60 s."""
    compared = []
    for number in range(1, 6):
        start, stop = 100, 100 + 20 * number
        one = observed([(start, stop, "attack", 1, 2)], video=str(number))
        other = observed(
            [(start, stop + 10, "attack", 1, 2)], video=str(number), source=PREDICTED
        )
        compared.append(compare(one, other))

    rows = {row.measure: row.agreement for row in measure_uncertainty(compared)}

    assert rows["total_s"].n == 5
    assert rows["total_s"].bias == pytest.approx(1)
    assert rows["total_s"].limit_low == pytest.approx(1)
    assert rows["share"].bias == pytest.approx(1 / 60)
    assert rows["bouts"].bias == 0


def test_a_pair_without_direction_is_one_unit():
    one = observed([(0, 100, "fight", 1, 2)]).without_direction({"fight"})

    (row, *_) = measure_uncertainty([compare(one, one)])

    assert (row.level, row.agreement.n) == ("pair", 1)
