"""How a recording differs from those that a model was trained on."""

from dataclasses import replace

import pytest
from pair_stories import stored

from mabe.errors import DataError
from mabe.models.input_contract import InputContract
from mabe.skeleton import KEYPOINTS


def recording(*keypoints, animals=2, fps=30.0):
    """A recording in which some animals have these keypoints."""
    slots = tuple(
        animal * len(KEYPOINTS) + KEYPOINTS.index(name)
        for animal in range(animals)
        for name in sorted(keypoints, key=KEYPOINTS.index)
    )
    return replace(stored(), slots=slots, fps=fps)


SMALL = ("nose", "tail_base")


LARGE = ("nose", "ear_left", "ear_right", "tail_base")


CONTRACT = InputContract.of(
    [recording(*SMALL), recording(*LARGE), recording(*LARGE, fps=25.0)]
)


def notes(*keypoints, read=KEYPOINTS, **how):
    here = recording(*keypoints, **how)
    return CONTRACT.compare(here, working_fps=10.0, read=read)


def test_each_set_of_keypoints_is_kept_once_the_most_frequent_first():
    assert CONTRACT.keypoint_sets == (LARGE, SMALL)
    assert CONTRACT.rates_fps == (30.0, 25.0)
    assert CONTRACT.animals == (2,)


@pytest.mark.parametrize("keypoints", [SMALL, LARGE])
def test_a_recording_like_some_of_the_training_has_no_note(keypoints):
    assert notes(*keypoints) == []


def test_missing_keypoints_are_those_of_the_most_similar_training_recording():
    assert notes("nose") == [
        "keypoints not tracked here (treated as missing): tail_base"
    ]
    assert notes("nose", "ear_left", "ear_right") == [
        "keypoints not tracked here (treated as missing): tail_base"
    ]


def test_a_keypoint_is_unknown_only_where_no_training_recording_has_it():
    assert notes("nose", "ear_left", "tail_base") == [
        "keypoints not tracked here (treated as missing): ear_right"
    ]
    assert notes(*LARGE, "neck") == [
        "keypoints that no training recording has (of little use): neck"
    ]


def test_other_numbers_of_animals_and_other_rates_are_noted():
    assert notes(*SMALL, animals=3, fps=60.0) == [
        "3 animals; the model was trained on 2",
        "60 fps; the model was trained on 30, 25 fps (resampled to 10)",
    ]


def test_a_recording_without_a_known_keypoint_is_refused():
    with pytest.raises(DataError, match="its keypoints are neck; the model reads none"):
        notes("neck")


def test_keypoints_that_the_model_does_not_read_are_noted():
    """Training recordings have ears, of which the features of a model make nothing."""
    assert notes(*LARGE, read=SMALL) == [
        "keypoints that the model does not read: ear_left, ear_right; it predicts from "
        "nose, tail_base alone"
    ]
    assert notes("nose", "ear_left", read=SMALL)[0] == (
        "keypoints not tracked here (treated as missing): tail_base"
    )


def test_a_recording_that_shares_only_keypoints_that_are_not_read_is_refused():
    with pytest.raises(DataError, match="ear_left; the model reads none of them"):
        notes("ear_left", read=SMALL)


def test_the_union_has_what_any_of_the_contracts_has():
    other = InputContract.of([recording(*SMALL, "neck", animals=1, fps=60.0)])

    union = InputContract.union([CONTRACT, other])

    assert union.keypoint_sets == (LARGE, SMALL, ("nose", "neck", "tail_base"))
    assert union.animals == (1, 2)
    assert union.rates_fps == (30.0, 25.0, 60.0)
