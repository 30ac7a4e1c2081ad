import numpy as np
import pytest
from pair_stories import stored

from mabe.bouts import SCENE, Bout, Watched
from mabe.errors import ConfigError
from mabe.scene_task import CHALLENGE_CLASSES, NOT_COUNTED, SceneTask

TASK = SceneTask.from_groups(CHALLENGE_CLASSES)
WATCHED = [
    Watched(1, 2, "sniff"),
    Watched(1, 2, "attack"),
    Watched(1, 1, "rear"),
]


def labels_of(*bouts, task=TASK, watched=WATCHED, length=10):
    return task.frame_labels(bouts, watched, length).tolist()


def test_a_watched_frame_without_a_bout_is_background():
    assert labels_of() == [0] * 10


def test_bouts_give_their_class_from_start_to_before_stop():
    assert labels_of(Bout(2, 5, "sniff", 1, 2)) == [0, 0, 1, 1, 1, 0, 0, 0, 0, 0]


def test_of_two_classes_at_once_the_later_one_counts():
    social, aggressive = Bout(0, 6, "sniff", 1, 2), Bout(4, 8, "attack", 2, 1)
    expected = [1, 1, 1, 1, 3, 3, 3, 3, 0, 0]
    assert labels_of(social, aggressive) == expected
    assert labels_of(aggressive, social) == expected


def test_an_action_in_no_group_is_background():
    assert labels_of(Bout(0, 10, "rear", 1, 1)) == [0] * 10


def test_an_unwatched_video_is_not_a_negative():
    assert labels_of(watched=[]) == [NOT_COUNTED] * 10
    assert not TASK.possible([]).any()


def test_a_video_watched_for_background_alone_teaches_nothing():
    assert labels_of(watched=[Watched(1, 1, "rear")]) == [NOT_COUNTED] * 10


def test_only_watched_classes_and_background_are_possible():
    assert TASK.possible(WATCHED).tolist() == [True, True, False, True]


def test_what_was_marked_was_watched_whatever_the_metadata_say():
    bout = Bout(0, 2, "mount", 1, 2)
    assert TASK.possible(WATCHED, [bout]).all()


def test_labels_without_a_list_of_what_was_watched_are_believed():
    labels = labels_of(Bout(0, 2, "mount", 1, 2), watched=[], length=4)
    assert labels == [2, 2, 0, 0]


def test_predictions_choose_among_what_is_watched_or_among_all():
    watched = stored(watched=["1>2 sniff", "1>2 attack", "1>1 rear"])
    assert TASK.choices(watched)[SCENE].tolist() == [True, True, False, True]
    assert TASK.choices(stored(watched=[]))[SCENE].all()


def test_annotations_have_a_state_for_each_class():
    recording = stored(("1>2 sniff", 0, 2), watched=["1>2 sniff", "1>2 attack"])
    frames = TASK.annotations(recording)[SCENE].frames(1, 3)
    assert frames.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert TASK.is_annotated(recording)
    unwatched = stored(watched=[])
    assert (TASK.annotations(unwatched)[SCENE].frames(0, 5) == NOT_COUNTED).all()
    assert not TASK.is_annotated(unwatched)


def test_classes_are_made_of_the_actions_that_annotators_mark():
    task = SceneTask.from_groups({"rest": (), "social": ("sniff",), "fight": ()})
    assert task.actions_of_classes == ((), ("sniff",), ("fight",))


def test_ignored_actions_count_neither_way_even_over_others():
    task = SceneTask.from_groups(
        {"background": ["nonsocial"], "social": ["social"]}, ignore=["base"]
    )
    watched = [Watched(1, 2, a) for a in ("social", "nonsocial", "base")]
    bouts = [Bout(0, 6, "social", 1, 2), Bout(4, 8, "base", 1, 2)]
    labels = labels_of(*bouts, task=task, watched=watched)
    assert labels == [1, 1, 1, 1, -1, -1, -1, -1, 0, 0]


def test_unplaced_actions_are_listed_unless_others_are_background():
    groups = {"background": (), "social": ("sniff",)}
    strict = SceneTask.from_groups(groups, others_are_first=False)
    with pytest.raises(ConfigError, match=r"\['dance', 'sing'\].*other: background"):
        strict.check_actions(["sniff", "sing", "dance"])
    SceneTask.from_groups(groups).check_actions(["sniff", "sing", "dance"])


def test_an_action_in_two_classes_is_refused():
    with pytest.raises(ConfigError, match="'sniff'"):
        SceneTask.from_groups({"background": ["sniff"], "social": ["sniff"]})


def test_labels_are_small_because_there_are_tens_of_millions():
    assert TASK.frame_labels([], WATCHED, 3).dtype == np.int8
