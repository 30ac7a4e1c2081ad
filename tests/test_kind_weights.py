"""Weights of two kinds of models: who is right more often has more to say."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mabe.bouts import SCENE
from mabe.decoding.view_predictions import OutOfFold, ViewPredictions
from mabe.experiments.kind_weights import (
    LEAST_WEIGHT,
    blend_kinds,
    weights_of_kinds,
)
from mabe.scene_task import TaskKind

CLASSES = ("background", "aggressive")
FRAMES = 200


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


def test_a_kind_that_is_right_has_the_greatest_weight_and_the_other_the_least():
    found = weights_of_kinds([told(0.9), told(0.2)])
    np.testing.assert_allclose(found, [1 - LEAST_WEIGHT, LEAST_WEIGHT])


def test_kinds_that_say_the_same_have_equal_weights():
    np.testing.assert_allclose(weights_of_kinds([told(0.7), told(0.7)]), 0.5)


def test_of_no_recording_weights_are_equal():
    np.testing.assert_allclose(weights_of_kinds([told(0.9, 0), told(0.2, 0)]), 0.5)
    assert blend_kinds([told(0.9, 0), told(0.2, 0)]).views == ()


def test_a_single_kind_stays_as_it_is():
    assert weights_of_kinds([told(0.9)]) == pytest.approx([1])
    blended = blend_kinds([told(0.9)])
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
    odd = [
        replace(
            kind,
            views=(
                replace(kind.views[0], labels=1 - kind.views[0].labels),
                *kind.views[1:],
            ),
        )
        for kind in kinds
    ]
    before, after = (
        {view.video: view.probabilities for view in blend_kinds(each).views}
        for each in (kinds, odd)
    )
    np.testing.assert_array_equal(before["0"], after["0"])
    assert not np.array_equal(before["1"], after["1"])


def test_of_a_single_recording_the_blend_is_the_plain_mean():
    [view] = blend_kinds([told(0.9, 1), told(0.5, 1)]).views
    assert set(np.unique(view.probabilities)) == {np.float16(0.3), np.float16(0.7)}
