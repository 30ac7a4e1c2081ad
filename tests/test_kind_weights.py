"""Weights of two kinds of models: the more accurate one has the greater weight."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mabe.bouts import SCENE, View
from mabe.decoding.view_predictions import OutOfFold, ViewPredictions
from mabe.experiments import kind_weights
from mabe.experiments.kind_weights import (
    LEAST_WEIGHT,
    blend_kinds,
    weights_of_kinds,
)
from mabe.experiments.out_of_fold import join
from mabe.scene_task import TaskKind

CLASSES = ("background", "aggressive")
FRAMES = 200


def joined(kinds, folds):
    return join(blend_kinds(kinds, folds))


def labels_of(video):
    """Every second block of ten frames is a fight; of each video another one."""
    fights = (np.arange(FRAMES) // 10 + video) % 2
    return np.eye(2, dtype=np.int8)[fights]


def told(sure, videos=4):
    """What a kind says of some videos: the truth by `sure`, below 0.5 the opposite."""
    views = []
    for video in range(videos):
        labels = labels_of(video)
        probabilities = np.where(labels == 1, sure, 1 - sure).astype(np.float16)
        views.append(
            ViewPredictions(
                kind=TaskKind.SCENE,
                classes=CLASSES,
                lab="Lab",
                video=str(video),
                view=SCENE,
                track=f"track {video}",
                fps=10.0,
                probabilities=probabilities,
                labels=labels,
            )
        )
    return OutOfFold(TaskKind.SCENE, CLASSES, tuple(views))


def folds_of(videos):
    return [{f"track {video}"} for video in range(videos)]


def turned_round(predictions, video):
    """Exchange the classes in the labels of one video."""
    views = (
        replace(view, labels=1 - view.labels) if view.video == video else view
        for view in predictions.views
    )
    return replace(predictions, views=tuple(views))


def as_pair(predictions):
    """The same as predictions of two actions of a pair."""
    views = (
        replace(view, kind=TaskKind.PAIR, view=View(1, 2)) for view in predictions.views
    )
    return replace(predictions, kind=TaskKind.PAIR, views=tuple(views))


def test_a_kind_that_is_right_has_the_greatest_weight_and_the_other_the_least():
    found = weights_of_kinds([told(0.9), told(0.2)])
    np.testing.assert_allclose(found, [1 - LEAST_WEIGHT, LEAST_WEIGHT])


def test_kinds_that_say_the_same_have_equal_weights():
    np.testing.assert_allclose(weights_of_kinds([told(0.7), told(0.7)]), 0.5)


@pytest.mark.parametrize("videos", [0, 1])
def test_one_recording_or_none_decides_nothing(videos):
    kinds = [told(0.9, videos), told(0.2, videos)]
    np.testing.assert_allclose(weights_of_kinds(kinds), 0.5)
    views = joined(kinds, folds_of(videos) or [set()]).views
    assert [set(np.unique(view.probabilities)) for view in views] == [
        {np.float16(0.45), np.float16(0.55)}
    ] * videos


def test_many_short_views_are_drawn_from_evenly(monkeypatch):
    """Few cells of many: the kind that is right is still found."""
    monkeypatch.setattr(kind_weights, "MOST_CELLS", 50)
    found = weights_of_kinds([told(0.9, 40), told(0.2, 40)])
    np.testing.assert_allclose(found, [1 - LEAST_WEIGHT, LEAST_WEIGHT])
    assert weights_of_kinds([told(0.7), told(0.6)]) == pytest.approx(
        weights_of_kinds([told(0.7), told(0.6)])
    )


def test_frames_that_nobody_watched_decide_nothing():
    """Of a pair: where nothing was watched, or is impossible, anything may be said."""
    kinds = [as_pair(told(0.9)), as_pair(told(0.2))]
    spoilt = []
    for kind in kinds:
        views = []
        for view in kind.views:
            labels, probabilities = view.labels.copy(), view.probabilities.copy()
            labels[::2], probabilities[::2] = -1, 1 - probabilities[::2]
            probabilities[1::4] = np.nan
            views.append(replace(view, labels=labels, probabilities=probabilities))
        spoilt.append(replace(kind, views=tuple(views)))
    np.testing.assert_allclose(weights_of_kinds(spoilt), weights_of_kinds(kinds))


def test_where_nothing_was_watched_weights_are_equal():
    kinds = [as_pair(told(0.9)), as_pair(told(0.2))]
    blank = [
        replace(
            kind,
            views=tuple(
                replace(view, labels=np.full_like(view.labels, -1))
                for view in kind.views
            ),
        )
        for kind in kinds
    ]
    np.testing.assert_allclose(weights_of_kinds(blank), 0.5)


def test_a_single_kind_stays_as_it_is():
    assert weights_of_kinds([told(0.9)]) == pytest.approx([1])
    blended = joined([told(0.9)], folds_of(4))
    for one, other in zip(blended.views, told(0.9).views, strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)


@given(st.lists(st.floats(0.05, 0.95), min_size=2, max_size=3))
def test_weights_sum_to_one_and_none_is_below_the_least(sure):
    found = weights_of_kinds([told(each) for each in sure])
    assert found.sum() == pytest.approx(1)
    assert found.min() >= LEAST_WEIGHT - 1e-9


def test_a_recording_is_blended_by_weights_that_others_chose():
    """Where the labels of one are turned round, its own blend stays the same."""
    kinds = [told(0.9), told(0.4)]
    odd = [turned_round(kind, "0") for kind in kinds]
    before, after = (
        {view.video: view.probabilities for view in joined(each, folds_of(4)).views}
        for each in (kinds, odd)
    )
    np.testing.assert_array_equal(before["0"], after["0"])
    assert not np.array_equal(before["1"], after["1"])


def test_recordings_held_out_together_have_no_part_in_each_others_weights():
    """Two of one animal: where the labels of one are turned round, both stay."""
    folds = [{"track 0", "track 1"}, {"track 2", "track 3"}]
    kinds = [told(0.9), told(0.4)]
    odd = [turned_round(kind, "0") for kind in kinds]
    before, after = (
        {view.video: view.probabilities for view in joined(each, folds).views}
        for each in (kinds, odd)
    )
    for video in ("0", "1"):
        np.testing.assert_array_equal(before[video], after[video])
    assert not np.array_equal(before["2"], after["2"])
