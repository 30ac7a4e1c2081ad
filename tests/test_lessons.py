"""Scores of held-out recordings in the pair task, by hand."""

import math

import numpy as np
import pytest

from mabe.decoding import NO_ACTION
from mabe.lessons import count_answers, summarise_labs

ACTIONS = ("attack", "sniff")


def counts(states, chosen):
    """Frames hit, missed and wrong of each action."""
    return count_answers(np.array(states, np.int8), np.array(chosen)).tolist()


def test_frames_are_hit_missed_or_wrong():
    states = [[1, 0], [1, 0], [0, 1], [0, 0], [0, 0]]
    chosen = [0, NO_ACTION, 0, 1, NO_ACTION]
    assert counts(states, chosen) == [[1, 1, 1], [0, 1, 1]]


def test_where_nobody_looked_nothing_is_right_or_wrong():
    assert counts([[-1, -1], [-1, 0]], [0, 0]) == [[0, 0, 0], [0, 0, 0]]


def test_of_two_actions_at_once_the_one_that_is_not_chosen_is_missed():
    assert counts([[1, 1]], [0]) == [[1, 0, 0], [0, 1, 0]]


def test_no_frame_has_no_answer():
    assert counts(np.empty((0, 2), int), np.empty(0, int)) == [[0, 0, 0]] * 2


def of(*rows):
    """Counts of hit, missed and wrong frames, one row for each action."""
    return np.array(rows)


def test_the_score_is_the_mean_over_labs_of_the_mean_over_their_actions():
    summary = summarise_labs(
        {
            "big": of([900, 100, 100], [0, 100, 0]),  # 0.9 and 0
            "small": of([1, 0, 0], [1, 1, 1]),  # 1 and 0.5
        },
        ACTIONS,
    )
    assert summary["per_lab"] == {
        "big": pytest.approx(0.45),
        "small": pytest.approx(0.75),
    }
    assert summary["f1_macro"] == pytest.approx(0.6)


def test_an_action_that_does_not_occur_in_a_lab_is_left_out_of_its_mean():
    summary = summarise_labs(
        {"one": of([1, 0, 0], [0, 0, 0]), "other": of([1, 0, 0], [0, 0, 5])}, ACTIONS
    )
    assert summary["per_lab"] == {"one": 1.0, "other": 1.0}


def test_a_lab_without_any_action_is_left_out_of_the_mean():
    summary = summarise_labs(
        {"one": of([1, 1, 1], [0, 0, 0]), "quiet": of([0, 0, 0], [0, 0, 5])}, ACTIONS
    )
    assert summary["f1_macro"] == pytest.approx(0.5)
    assert summary["per_lab"]["quiet"] is None


def test_actions_are_pooled_over_labs():
    summary = summarise_labs(
        {"one": of([8, 0, 0], [0, 0, 0]), "other": of([0, 2, 2], [0, 0, 0])}, ACTIONS
    )
    row = summary["per_class"]["attack"]
    assert row["f1"] == pytest.approx(0.8)  # 16 / (16 + 2 + 2)
    assert row["support"] == 10


def test_without_any_lab_there_is_no_score():
    summary = summarise_labs({}, ACTIONS)
    assert summary["f1_macro"] is None
    assert not summary["per_lab"]
    assert not math.isnan(len(summary["per_class"]))
