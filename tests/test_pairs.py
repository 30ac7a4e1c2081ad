"""Labels of the pair task: who does what to whom, who does not, and who was watched."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_stories import RATE, stored

from mabe.bouts import View, Watched
from mabe.errors import ConfigError, DataError
from mabe.pair_task import UNKNOWN_LAB, PairTask, all_views, watched_in_labels
from mabe.resampling import nearest_frames

FIGHTS = PairTask(
    actions=("attack", "rear", "sniff"),
    labs=("Lab",),
    vocabulary={
        "Lab": frozenset({("attack", False), ("rear", True), ("sniff", False)})
    },
    ignored=frozenset({"handling"}),
)


def labels_of(recording, task=FIGHTS):
    """What is learned of each view, as text like ``"1>2"`` to `ViewLabels`."""
    found = task.view_labels(recording, 0, RATE)
    return {f"{labels.view.agent}>{labels.view.target}": labels for labels in found}


def states(labels, task=FIGHTS):
    """The state of each action in every frame."""
    frames = labels.frames(0, labels.length)
    return {
        action: column.tolist()
        for action, column in zip(task.actions, frames.T, strict=True)
    }


def found_in(recording, task=FIGHTS):
    """What may be predicted, as text like ``"1>2 attack"``."""
    return {
        f"{view.agent}>{view.target} {task.actions[place]}"
        for view, possible in task.choices(recording).items()
        for place in np.flatnonzero(possible)
    }


def task_of(*recordings, **settings):
    return PairTask.from_recordings(recordings, **settings)


# What people said.


def test_what_was_watched_happens_or_not_and_all_else_nobody_knows():
    recording = stored(
        ("1>2 attack", 2, 4), watched=["1>2 attack", "1>2 sniff"], frames=6
    )
    (labels,) = labels_of(recording).values()
    assert labels.view == View(1, 2)
    assert states(labels) == {
        "attack": [0, 0, 1, 1, 0, 0],
        "sniff": [0] * 6,
        "rear": [-1] * 6,
    }


def test_an_action_that_was_marked_was_watched_whatever_the_metadata_say():
    recording = stored(("2>1 attack", 0, 2), watched=["1>2 sniff"], frames=4)
    labels = labels_of(recording)
    assert states(labels["2>1"])["attack"] == [1, 1, 0, 0]
    assert states(labels["2>1"])["sniff"] == [-1] * 4
    assert states(labels["1>2"])["attack"] == [-1] * 4


def test_an_action_on_oneself_is_a_view_of_its_own():
    recording = stored(("1>1 rear", 0, 1), watched=["1>2 sniff"], frames=2)
    labels = labels_of(recording)
    assert labels.keys() == {"1>1", "1>2"}
    assert states(labels["1>1"])["rear"] == [1, 0]
    assert labels["1>1"].view.is_self
    assert not labels["1>2"].view.is_self


def test_a_recording_that_is_still_to_be_annotated_says_nothing():
    assert not labels_of(stored(watched=["1>2 attack"], has_labels=False))


def test_a_recording_in_which_nothing_was_seen_says_no():
    (labels,) = labels_of(stored(watched=["1>2 attack"], frames=3)).values()
    assert states(labels)["attack"] == [0, 0, 0]


def test_ignored_frames_say_nothing_of_anybody():
    recording = stored(
        ("1>2 attack", 1, 4),
        ("2>1 handling", 2, 6),
        watched=["1>2 attack", "1>1 rear"],
        frames=8,
    )
    labels = labels_of(recording)
    assert states(labels["1>2"])["attack"] == [0, 1, -1, -1, -1, -1, 0, 0]
    assert states(labels["1>1"])["rear"] == [0, 0, -1, -1, -1, -1, 0, 0]
    assert "2>1" not in labels  # only what is ignored was marked there


def test_stretches_that_count_leave_ignored_frames_out_and_count_no_frame_twice():
    recording = stored(
        ("1>2 attack", 1, 6),
        ("1>2 attack", 4, 9),
        ("1>2 handling", 3, 5),
        frames=12,
    )
    labels = labels_of(recording)["1>2"]
    assert labels.counted_spans().tolist() == [[0, 3], [5, 12]]
    attack, sniff = (FIGHTS.actions.index(name) for name in ("attack", "sniff"))
    assert labels.action_spans(attack).tolist() == [[1, 3], [5, 9]]
    assert labels.action_spans(sniff).tolist() == []


def test_animals_that_are_not_tracked_have_no_view():
    recording = stored(
        ("1>3 attack", 0, 5), watched=["3>3 rear", "1>2 sniff"], animals=(1, 2)
    )
    assert labels_of(recording).keys() == {"1>2"}
    assert all_views(stored(animals=(2, 4))) == [
        View(2, 2),
        View(2, 4),
        View(4, 2),
        View(4, 4),
    ]


def test_actions_that_are_not_asked_for_leave_no_trace():
    recording = stored(
        ("1>2 chase", 0, 9), ("1>2 attack", 3, 5), watched=["2>1 chase"], frames=6
    )
    labels = labels_of(recording)
    assert labels.keys() == {"1>2"}
    assert labels["1>2"].bouts.tolist() == [[3, 5, 0]]


def test_a_label_with_an_end_behind_the_last_frame_ends_there():
    (labels,) = labels_of(stored(("1>2 attack", 2, 90), frames=4)).values()
    assert states(labels)["attack"] == [0, 0, 1, 1]
    (labels,) = labels_of(stored(("1>2 attack", 70, 90), frames=4)).values()
    assert labels.bouts.tolist() == []


def test_a_label_between_two_frames_of_the_working_rate_is_dropped():
    # 30 fps to 10: frames 0, 3, 6 … are shown.
    recording = stored(("1>2 attack", 4, 5), ("1>2 attack", 6, 7), fps=30.0, frames=12)
    (labels,) = labels_of(recording).values()
    assert labels.bouts.tolist() == [[2, 3, 0]]


SPANS = st.tuples(st.integers(0, 60), st.integers(1, 20))


@given(
    marked=st.lists(st.tuples(st.sampled_from(["attack", "sniff"]), SPANS), max_size=6),
    handled=st.lists(SPANS, max_size=2),
    fps=st.sampled_from([3.0, 9.9, 10.0, 25.0, 30.0, 33.3, 120.0]),
    window=st.tuples(st.integers(0, 30), st.integers(0, 30)),
)
def test_labels_at_the_working_rate_are_those_of_each_frames_nearest_own_frame(
    marked, handled, fps, window
):
    frames = 64
    recording = stored(
        *((f"1>2 {action}", start, start + n) for action, (start, n) in marked),
        *(("2>1 handling", start, start + n) for start, n in handled),
        watched=["1>2 attack"],
        fps=fps,
        frames=frames,
    )
    nearest = nearest_frames(
        recording.length, from_fps=fps, to_fps=RATE, from_length=frames
    )
    expected = np.full((recording.length, 3), -1)
    for place, action in enumerate(FIGHTS.actions):
        spans = [span for name, span in marked if name == action]
        if spans or action == "attack":
            for frame, own in enumerate(nearest):
                happens = any(start <= own < start + n for start, n in spans)
                expected[frame, place] = happens
    for frame, own in enumerate(nearest):
        if any(start <= own < start + n for start, n in handled):
            expected[frame] = -1

    labels = labels_of(recording)["1>2"]
    assert np.array_equal(labels.frames(0, labels.length), expected)
    start, stop = sorted(min(place, labels.length) for place in window)
    assert np.array_equal(labels.frames(start, stop), expected[start:stop])
    assert (np.diff(labels.bouts[:, 0]) >= 0).all()
    assert (labels.bouts[:, 1] > labels.bouts[:, 0]).all()


# Labels that name two animals, but not who is the agent.

SOCIAL = PairTask(
    actions=("attack", "social"),
    labs=("Lab",),
    vocabulary={"Lab": frozenset({("attack", False), ("social", False)})},
    undirected=frozenset({"social"}),
)


def test_labels_without_a_direction_hold_in_both():
    recording = stored(
        ("1>2 social", 1, 3),
        ("1>2 attack", 3, 4),
        watched=["1>2 attack", "1>2 social"],
        frames=5,
    )
    labels = labels_of(recording, SOCIAL)
    assert states(labels["1>2"], SOCIAL)["social"] == [0, 1, 1, 0, 0]
    assert states(labels["2>1"], SOCIAL)["social"] == [0, 1, 1, 0, 0]
    assert states(labels["1>2"], SOCIAL)["attack"] == [0, 0, 0, 1, 0]
    assert states(labels["2>1"], SOCIAL)["attack"] == [-1] * 5


def test_only_the_direction_that_was_given_is_asked():
    recording = stored(("1>2 social", 1, 3), watched=["1>2 social"], frames=5)
    labels = labels_of(recording, SOCIAL)
    assert labels["1>2"].watched_as_annotated.tolist() == [False, True]
    assert labels["2>1"].watched_as_annotated.tolist() == [False, False]
    assert found_in(recording, SOCIAL) == {"1>2 social"}


def test_where_some_labels_have_a_direction_the_others_still_are_asked_once():
    recording = stored(
        ("1>2 social", 1, 3),
        ("2>1 attack", 0, 2),
        watched=["1>2 social", "2>1 attack", "2>1 handling"],
        frames=4,
    )
    back = labels_of(recording, SOCIAL)["2>1"]
    assert states(back, SOCIAL) == {"attack": [1, 1, 0, 0], "social": [0, 1, 1, 0]}
    assert states(back.as_annotated(), SOCIAL) == {
        "attack": [1, 1, 0, 0],
        "social": [-1] * 4,
    }


def test_what_is_asked_for_but_not_to_be_learned_makes_no_direction_asked():
    recording = stored(
        ("1>2 social", 1, 3), ("2>1 handling", 0, 1), watched=["2>1 base"]
    )
    assert not labels_of(recording, SOCIAL)["2>1"].watched_as_annotated.any()


def test_a_label_given_in_both_directions_is_there_once():
    recording = stored(("1>2 social", 1, 3), ("2>1 social", 1, 3))
    assert labels_of(recording, SOCIAL)["1>2"].bouts.tolist() == [[1, 3, 1]]


def test_actions_on_oneself_have_no_other_direction():
    recording = stored(("1>1 social", 1, 3))
    labels = labels_of(recording, SOCIAL)
    assert labels.keys() == {"1>1"}
    assert labels["1>1"].bouts.tolist() == [[1, 3, 1]]


# What may be predicted.


def test_only_what_was_watched_is_looked_for():
    assert found_in(stored(watched=["1>2 attack", "2>2 rear"])) == {
        "1>2 attack",
        "2>2 rear",
    }


def test_without_metadata_every_pair_and_every_animal_is_looked_at():
    assert found_in(stored(animals=(1, 3))) == {
        "1>3 attack",
        "1>3 sniff",
        "3>1 attack",
        "3>1 sniff",
        "1>1 rear",
        "3>3 rear",
    }


def test_what_never_occurs_in_a_lab_is_never_found_there_though_it_is_watched():
    task = task_of(
        stored(("1>2 attack", 0, 5), lab="A"),
        stored(("1>1 rear", 0, 5), ("1>2 sniff", 0, 5), lab="B"),
    )
    everything = ["1>2 attack", "1>2 sniff", "1>1 rear"]
    assert found_in(stored(watched=everything, lab="A"), task) == {"1>2 attack"}
    assert found_in(stored(watched=everything, lab="B"), task) == {
        "1>2 sniff",
        "1>1 rear",
    }


def test_an_action_on_oneself_is_not_one_on_another():
    task = task_of(stored(("1>1 sniff", 0, 5)))
    assert found_in(stored(watched=["1>2 sniff", "1>1 sniff"]), task) == {"1>1 sniff"}


def test_in_an_unknown_lab_whatever_occurs_anywhere_may_be_found():
    task = task_of(
        stored(("1>2 attack", 0, 5), lab="A"), stored(("1>1 rear", 0, 5), lab="B")
    )
    assert found_in(stored(lab="C", animals=(1, 2)), task) == {
        "1>2 attack",
        "2>1 attack",
        "1>1 rear",
        "2>2 rear",
    }


def test_in_a_known_lab_that_never_saw_anything_nothing_is_found():
    task = task_of(
        stored(("1>2 attack", 0, 5), lab="A"),
        stored(watched=["1>2 attack"], lab="B"),
    )
    assert task.labs == ("A", "B")
    assert found_in(stored(watched=["1>2 attack"], lab="B"), task) == set()


def test_labels_have_no_say_in_what_is_looked_for():
    bare = stored(watched=["1>2 attack"])
    marked = stored(("2>1 attack", 0, 5), ("1>2 sniff", 5, 9), watched=["1>2 attack"])
    assert found_in(marked) == found_in(bare)
    assert found_in(stored(("2>1 attack", 0, 5))) == found_in(stored())


def test_animals_that_are_not_tracked_are_not_looked_for():
    recording = stored(watched=["1>3 attack", "1>2 attack"], animals=(1, 2))
    assert found_in(recording) == {"1>2 attack"}


# Building the task.


def test_a_task_has_all_that_occurs_but_what_is_ignored():
    task = task_of(
        stored(("1>2 sniff", 0, 5), ("1>2 handling", 5, 9), lab="B"),
        stored(("1>1 rear", 0, 5), lab="A"),
        ignore=["handling"],
    )
    assert task.actions == ("rear", "sniff")
    assert task.labs == ("A", "B")
    assert task.vocabulary == {
        "A": frozenset({("rear", True)}),
        "B": frozenset({("sniff", False)}),
    }
    assert task.ignored == {"handling"}


def test_labs_and_what_occurs_there_come_from_what_is_learned_alone():
    task = task_of(
        stored(("1>2 sniff", 0, 5), lab="A"),
        stored(("1>2 attack", 0, 5), lab="A"),
        stored(("1>1 rear", 0, 5), lab="B"),
        learned=[1],
    )
    assert task.labs == ("A",)
    assert task.vocabulary == {"A": frozenset({("attack", False)})}


def test_labs_have_numbers_and_unknown_ones_share_one():
    task = task_of(stored(("1>2 sniff", 0, 5), lab="A"), stored(lab="B"))
    assert [task.lab_number(lab) for lab in ("A", "B", "C")] == [1, 2, UNKNOWN_LAB]


@pytest.mark.parametrize("key", ["actions", "ignore", "undirected"])
def test_a_name_that_is_in_no_label_is_named_with_those_that_are(key):
    recording = stored(("1>2 sniff", 0, 5), watched=["1>2 snif"])
    message = rf"{key}: \['snif'\] occur nowhere in the labels.*\['sniff'\]"
    with pytest.raises(ConfigError, match=message):
        task_of(recording, **{key: ["snif"]})


def test_a_name_that_only_held_out_recordings_have_is_no_mistake():
    task = task_of(
        stored(("1>2 sniff", 0, 5)),
        stored(("1>2 attack", 0, 5)),
        learned=[0],
        actions=["attack", "sniff"],
    )
    assert task.actions == ("attack", "sniff")


def test_no_label_at_all_is_a_line_for_people():
    with pytest.raises(DataError, match="no action to learn; found no label at all"):
        task_of(stored(watched=["1>2 sniff"]))
    with pytest.raises(DataError, match=r"no action to learn; found \['sniff'\]"):
        task_of(stored(("1>2 sniff", 0, 5)), ignore=["sniff"])


def test_what_labels_answer_of_what_is_asked():
    recording = stored(
        ("2>1 attack", 0, 5), ("1>2 handling", 5, 9), watched=["1>2 sniff"]
    )
    attack, sniff = Watched(2, 1, "attack"), Watched(1, 2, "sniff")
    assert watched_in_labels(recording, actions=None, ignore=["handling"]) == {
        attack,
        sniff,
    }
    assert watched_in_labels(recording, actions=["attack"], ignore=[]) == {attack}
    unlabelled = stored(watched=["1>2 sniff"], has_labels=False)
    assert watched_in_labels(unlabelled, actions=None, ignore=[]) == set()


NAMES = st.sampled_from(["attack", "rear", "sniff", "Übergriff"])


@given(
    actions=st.lists(NAMES, unique=True, min_size=1),
    labs=st.lists(NAMES, unique=True),
    vocabulary=st.dictionaries(NAMES, st.frozensets(st.tuples(NAMES, st.booleans()))),
    ignored=st.frozensets(NAMES),
    undirected=st.frozensets(NAMES),
)
def test_a_task_comes_back_from_json(actions, labs, vocabulary, ignored, undirected):
    task = PairTask(
        actions=tuple(actions),
        labs=tuple(labs),
        vocabulary=vocabulary,
        ignored=ignored,
        undirected=undirected,
    )
    assert PairTask.from_json(json.loads(json.dumps(task.to_json()))) == task
