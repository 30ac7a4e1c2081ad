from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mabe.data.splits import split_folds, split_train_validation, spread_over_labs
from mabe.errors import DataError
from mabe.recording import StoredRecording


def stored_video(lab, tracking_hash):
    return StoredRecording(
        lab=lab,
        video=tracking_hash,
        fps=30.0,
        native_length=1,
        length=1,
        slots=(0,),
        origin_cm=(0.0, 0.0),
        offset=0,
        bouts=(),
        watched=(),
        has_labels=True,
        tracking_hash=tracking_hash,
        content_hash="",
        missing_share=0.0,
        notes=(),
    )


def videos(**labs):
    return [
        stored_video(lab, f"{lab}{i}")
        for lab, count in labs.items()
        for i in range(count)
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=40))
def test_every_recording_is_in_one_fold_with_all_its_copies(pairs):
    recordings = [stored_video(lab, str(track)) for lab, track in pairs]
    folds = split_folds(recordings, folds=4, seed=0)
    assert sorted(i for fold in folds for i in fold) == list(range(len(recordings)))
    for track in {r.tracking_hash for r in recordings}:
        homes = [
            f for f in folds if any(recordings[i].tracking_hash == track for i in f)
        ]
        assert len(homes) == 1


def test_every_lab_is_spread_over_the_folds():
    recordings = videos(big=20, small=5)
    for fold in split_folds(recordings, folds=5, seed=3):
        assert Counter(recordings[i].lab for i in fold) == {"big": 4, "small": 1}


def test_labs_of_one_video_do_not_all_land_in_one_fold():
    recordings = videos(a=1, b=1, c=1, d=1, e=1)
    assert [len(fold) for fold in split_folds(recordings, folds=5, seed=0)] == [1] * 5


def test_the_split_depends_on_its_seed_alone():
    recordings = videos(a=20)
    first, again, other = (split_folds(recordings, folds=5, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_training_and_validation_share_nothing():
    learned, held_out = split_train_validation(videos(a=43), folds=5, fold=0, seed=0)
    assert len(held_out) == 9
    assert not set(learned) & set(held_out)
    assert len(learned) + len(held_out) == 43


def test_one_track_cannot_be_split_even_with_two_annotators():
    with pytest.raises(DataError, match=r"2 labelled recordings.* 1 different"):
        split_train_validation([stored_video("a", "x")] * 2, folds=5, fold=0, seed=0)


def test_a_quick_test_takes_labs_in_turn():
    recordings = videos(a=10, b=10, c=1)
    kept = spread_over_labs(recordings, most=5)
    assert Counter(recordings[i].lab for i in kept) == {"a": 2, "b": 2, "c": 1}


# Whole labs.

LABS_AND_TRACKS = st.lists(
    st.tuples(st.sampled_from("abcdefg"), st.integers(0, 30)), max_size=40
)


@given(LABS_AND_TRACKS, st.integers(2, 5), st.integers(0, 9))
def test_dealing_labs_leaves_every_lab_and_all_its_copies_in_one_fold(
    pairs, folds, seed
):
    recordings = [stored_video(lab, str(track)) for lab, track in pairs]
    dealt = split_folds(recordings, folds=folds, seed=seed, by="lab")
    assert sorted(i for fold in dealt for i in fold) == list(range(len(recordings)))
    assert all(fold == sorted(fold) and fold for fold in dealt)
    for attribute in ("lab", "tracking_hash"):
        homes = [{getattr(recordings[i], attribute) for i in fold} for fold in dealt]
        assert sum(map(len, homes)) == len(set().union(*homes))


def test_labs_that_share_a_track_stay_together_also_by_way_of_a_third():
    recordings = [
        stored_video(lab, track)
        for lab, track in [
            ("a", "1"),
            ("b", "2"),
            ("c", "1"),
            ("c", "2"),  # joins a and b
            ("d", "3"),
            ("d", "4"),
            ("e", "5"),
        ]
    ]
    dealt = split_folds(recordings, folds=3, seed=0, by="lab")
    labs = sorted("".join(sorted({recordings[i].lab for i in f})) for f in dealt)
    assert labs == ["abc", "d", "e"]


def test_big_labs_are_dealt_first_so_that_folds_are_alike():
    recordings = videos(a=1, b=2, c=3, d=9, e=5, f=4)
    for seed in range(5):
        dealt = split_folds(recordings, folds=3, seed=seed, by="lab")
        assert sorted(map(len, dealt)) == [7, 8, 9]


def test_which_labs_go_together_depends_on_the_seed_alone():
    recordings = videos(**dict.fromkeys("abcdefgh", 3))
    first, again, other = (
        split_folds(recordings, folds=4, seed=seed, by="lab") for seed in (1, 1, 2)
    )
    assert first == again != other
    assert [len(fold) for fold in first] == [6] * 4


def test_fewer_labs_than_folds_give_fewer_folds():
    recordings = videos(a=4, b=4)
    assert len(split_folds(recordings, folds=5, seed=0, by="lab")) == 2


def test_labs_held_out_are_not_learned_from():
    recordings = videos(**dict.fromkeys("abcde", 4))
    seen = []
    for fold in range(5):
        learned, held_out = split_train_validation(
            recordings, folds=5, fold=fold, seed=0, by="lab"
        )
        assert sorted(learned + held_out) == list(range(20))
        assert not {recordings[i].lab for i in learned} & {
            recordings[i].lab for i in held_out
        }
        seen += held_out
    assert sorted(seen) == list(range(20))


def test_one_lab_alone_cannot_be_held_out():
    with pytest.raises(DataError, match="split_by: lab"):
        split_train_validation(videos(a=9), folds=5, fold=0, seed=0, by="lab")
    shared = [stored_video(lab, "x") for lab in "ab"]
    with pytest.raises(DataError, match="split_by: lab"):
        split_train_validation(shared, folds=5, fold=0, seed=0, by="lab")
