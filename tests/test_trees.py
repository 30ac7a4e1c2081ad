"""Forests on rows whose label is whether one number is above a half."""

from dataclasses import replace

import numpy as np
import pytest

from mabe.errors import DataError, RunError
from mabe.models.boosted_trees import (
    Forest,
    LabelledRows,
    TreesConfig,
    grow_for_actions,
    grow_for_classes,
    rows_on_disk,
)

SMALL = TreesConfig(
    rounds=20, learning_rate=0.05, leaves=15, min_rows_in_leaf=5, feature_share=1.0
)


def part(seed, rows=600):
    """Five numbers a row, a fifth of them missing; the first one decides."""
    rng = np.random.default_rng(seed)
    values = rng.random((rows, 5)).astype(np.float32)
    labels = (values[:, :1] > 0.5).astype(np.int8)
    values[:, 1:][rng.random((rows, 4)) < 0.2] = np.nan
    return LabelledRows(values, labels)


def grow(parts, *, weights=(1.0, 1.0), config=SMALL):
    with rows_on_disk(parts) as rows:
        return grow_for_classes(
            rows, classes=("low", "high"), class_weights=weights, config=config
        )


@pytest.fixture(scope="module")
def forest():
    return grow([part(0), part(1)])


def test_what_was_learned_is_found_in_new_rows(forest):
    new = part(7)

    found = forest.probabilities(new.rows, threads=1)

    assert found.shape == (600, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert (found.argmax(axis=1) == new.labels[:, 0]).mean() > 0.98


def test_the_number_that_decides_is_the_most_important(forest):
    assert forest.importance().argmax() == 0


def test_packed_and_unpacked_trees_say_the_same(forest):
    again = Forest.from_bytes(forest.to_bytes(), where="here")

    assert again == forest
    rows = part(8).rows
    np.testing.assert_array_equal(
        again.probabilities(rows, threads=1), forest.probabilities(rows, threads=1)
    )


@pytest.mark.parametrize(
    "spoil", [lambda b: b[:-100], lambda b: b"x" + b, lambda b: b"\xff"]
)
def test_damaged_trees_are_refused_before_they_are_parsed(forest, spoil):
    with pytest.raises(RunError, match=r"run/best: its trees are cut off or damaged"):
        Forest.from_bytes(spoil(forest.to_bytes()), where="run/best")


def test_the_same_rows_make_the_same_trees(forest):
    assert grow([part(0), part(1)]) == forest


def test_rows_that_do_not_count_teach_nothing(forest):
    wrong = part(3)
    hidden = replace(wrong, labels=np.full_like(wrong.labels, -1))

    assert grow([part(0), part(1), hidden]) == forest


def test_a_heavy_class_is_found_more_often():
    rng = np.random.default_rng(0)
    confused = replace(part(0), labels=rng.integers(0, 2, (600, 1)))
    rows = part(5).rows

    even = grow([confused]).probabilities(rows, threads=1)[:, 1].mean()
    heavy = grow([confused], weights=(1.0, 5.0)).probabilities(rows, threads=1)

    assert heavy[:, 1].mean() > even + 0.1


def test_one_class_alone_teaches_nothing_and_is_refused():
    alone = part(0)
    alone = replace(alone, labels=np.ones_like(alone.labels))

    with pytest.raises(DataError, match="at least two classes"):
        grow([alone])
    with pytest.raises(DataError, match="at least two classes"):
        grow([])


def test_each_action_has_trees_of_its_own_and_only_what_was_watched_counts():
    """The first happens where the number is high, the second never; the third is only
    watched in one half of the rows, where it happens when the number is low."""
    known = part(0)
    high = known.labels[:, 0]
    watched = np.arange(600) < 300
    labels = np.stack([high, np.zeros(600), np.where(watched, 1 - high, -1)], axis=1)

    with rows_on_disk([LabelledRows(known.rows, labels.astype(np.int8))]) as rows:
        forest = grow_for_actions(rows, happening_weights=(1.0,) * 3, config=SMALL)

    assert [bool(text) for text in forest.texts] == [True, False, True]
    new = part(7)
    found = forest.probabilities(new.rows, threads=1)
    is_high = new.labels[:, 0] == 1
    assert ((found[:, 0] > 0.5) == is_high).mean() > 0.97
    assert (found[:, 1] == 0).all()
    assert ((found[:, 2] > 0.5) == ~is_high).mean() > 0.97
    assert Forest.from_bytes(forest.to_bytes(), where="here") == forest
    assert forest.importance().argmax() == 0


def test_forests_that_share_bins_predict_what_each_alone_does():
    """Labels of an action reach its trees in the second forest of the bins, too."""
    known = part(0)
    high = known.labels[:, 0]
    both = np.stack([high, 1 - high], axis=1).astype(np.int8)
    half = np.where(np.arange(600)[:, None] < 300, both, np.int8(-1))
    with rows_on_disk([LabelledRows(known.rows, both)]) as rows:
        shared = rows.binned()
        for labels in (both, half):
            alone, found = (
                grow_for_actions(
                    replace(each, labels=labels),
                    happening_weights=(1.0, 1.0),
                    config=SMALL,
                )
                for each in (rows, shared)
            )
            new = part(7)
            for forest in (alone, found):
                chosen = forest.probabilities(new.rows, threads=1) > 0.5
                is_high = new.labels[:, 0] == 1
                assert (chosen[:, 0] == is_high).mean() > 0.97
                assert (chosen[:, 1] == ~is_high).mean() > 0.97


def test_actions_that_share_rows_have_the_trees_of_each_alone():
    """Neither labels nor weights of one action reach the other."""
    known = part(0)
    first = known.labels[:, 0].astype(np.int8)
    second = (known.rows[:, 1] > 0.5).astype(np.int8)

    def trees(labels, weights):
        with rows_on_disk([LabelledRows(known.rows, labels)]) as rows:
            return grow_for_actions(rows, happening_weights=weights, config=SMALL).texts

    together = trees(np.stack([first, second], axis=1), (1.0, 3.0))
    assert together == trees(first[:, None], (1.0,)) + trees(second[:, None], (3.0,))
    assert together[0] != together[1]


def test_actions_without_both_labels_are_refused():
    with (
        rows_on_disk([LabelledRows(part(0).rows, np.zeros((600, 2), np.int8))]) as rows,
        pytest.raises(DataError, match="an action that happens in some frames"),
    ):
        grow_for_actions(rows, happening_weights=(1.0, 1.0), config=SMALL)
