"""Scores of held-out recordings in the pair task, by hand."""

from pathlib import Path

import numpy as np
import pytest
from pair_stories import RATE, stored

from mabe.bouts import NO_ACTION
from mabe.config import RunConfig
from mabe.data.pair_windows import label_views
from mabe.data.store import PoseStore
from mabe.errors import ConfigError
from mabe.metrics.frame_scores import count_frames
from mabe.metrics.summary import summarise_labs
from mabe.pair_task import PairTask
from mabe.training.objectives import ClassCount
from mabe.training.objectives.pair import PairData

ACTIONS = ("attack", "sniff")


def counts(states, chosen):
    """Frames of each action: labelled, predicted, and both."""
    return count_frames(np.array(chosen), np.array(states, np.int8)).tolist()


def test_frames_are_labelled_predicted_or_both():
    states = [[1, 0], [1, 0], [0, 1], [0, 0], [0, 0]]
    chosen = [0, NO_ACTION, 0, 1, NO_ACTION]
    assert counts(states, chosen) == [[2, 2, 1], [1, 1, 0]]


def test_where_nobody_looked_nothing_is_right_or_wrong():
    assert counts([[-1, -1], [-1, 0]], [0, 0]) == [[0, 0, 0], [0, 0, 0]]


def test_of_two_actions_at_once_the_one_that_is_not_chosen_is_missed():
    assert counts([[1, 1]], [0]) == [[1, 1, 1], [1, 0, 0]]


def test_no_frame_has_no_answer():
    assert counts(np.empty((0, 2), int), np.empty(0, int)) == [[0, 0, 0]] * 2


def of(*rows):
    """Counts of frames hit, missed and wrong, one row for each action."""
    return np.array([[hit + miss, hit + wrong, hit] for hit, miss, wrong in rows])


def test_the_score_is_the_mean_over_labs_of_the_mean_over_their_actions():
    summary = summarise_labs(
        {
            "big": of([900, 100, 100], [0, 100, 0]),  # 0.9 and 0
            "small": of([1, 0, 0], [1, 1, 1]),  # 1 and 0.5
        },
        ACTIONS,
    )
    assert summary.lab_f1 == {
        "big": pytest.approx(0.45),
        "small": pytest.approx(0.75),
    }
    assert summary.macro_f1 == pytest.approx(0.6)


def test_an_action_that_does_not_occur_in_a_lab_is_left_out_of_its_mean():
    summary = summarise_labs(
        {"one": of([1, 0, 0], [0, 0, 0]), "other": of([1, 0, 0], [0, 0, 5])}, ACTIONS
    )
    assert summary.lab_f1 == {"one": 1.0, "other": 1.0}


def test_a_lab_without_any_action_is_left_out_of_the_mean():
    summary = summarise_labs(
        {"one": of([1, 1, 1], [0, 0, 0]), "quiet": of([0, 0, 0], [0, 0, 5])}, ACTIONS
    )
    assert summary.macro_f1 == pytest.approx(0.5)
    assert summary.lab_f1["quiet"] is None


def test_actions_are_pooled_over_labs():
    summary = summarise_labs(
        {"one": of([8, 0, 0], [0, 0, 0]), "other": of([0, 2, 2], [0, 0, 0])}, ACTIONS
    )
    row = summary.per_class["attack"]
    assert row.f1 == pytest.approx(0.8)  # 16 / (16 + 2 + 2)
    assert row.support == 10


def test_without_any_lab_there_is_no_score():
    summary = summarise_labs({}, ACTIONS)
    assert summary.macro_f1 is None
    assert not summary.lab_f1
    assert summary.per_class["attack"].f1 is None


def objective_of(learned, held_out, **settings):
    store = PoseStore(
        root=Path("memory"),
        rate_fps=RATE,
        recordings=(learned, held_out),
        poses=np.empty(0, np.int16),
    )
    config = RunConfig(task="pair", **settings)
    task = PairTask.from_recordings(
        store.recordings, learned=[0], undirected=config.undirected
    )
    data = PairData(config, store, [0], [1], label_views(store, task))
    return data.objective(config)


def test_labels_without_a_direction_are_learned_twice_and_asked_once():
    recording = stored(
        ("1>2 sniff", 0, 5),
        ("2>1 attack", 5, 8),
        watched=["1>2 sniff", "2>1 attack"],
    )
    objective = objective_of(recording, recording, undirected=["sniff"])
    assert objective.class_counts() == [
        ClassCount("attack", 3, 3),
        ClassCount("sniff", 10, 5),
    ]


def test_what_may_be_predicted_is_found_once_for_a_recording(monkeypatch):
    """Of n animals it takes n² steps, and there are n² views."""
    recording = stored(("1>2 sniff", 0, 5), watched=["1>2 sniff", "2>1 sniff"])
    objective = objective_of(recording, recording)
    asked = []
    choices = PairTask.choices

    def counted(task, about):
        asked.append(about)
        return choices(task, about)

    monkeypatch.setattr(PairTask, "choices", counted)
    assert len(list(objective.held_out_views())) == 2
    assert len(asked) == 1


def test_actions_weigh_what_the_config_says():
    recording = stored(("1>2 sniff", 0, 5), ("1>2 attack", 5, 10))
    objective = objective_of(recording, recording, action_weights={"sniff": 3.0})
    assert objective.weights.action == (1.0, 3.0)


def test_a_weight_for_an_action_that_is_not_learned_is_named():
    recording = stored(("1>2 sniff", 0, 5))
    with pytest.raises(ConfigError, match=r"action_weights: \['snif'\].*\['sniff'\]"):
        objective_of(recording, recording, action_weights={"snif": 3.0})
