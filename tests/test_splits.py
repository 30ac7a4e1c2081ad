from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mabe.errors import DataError
from mabe.splits import split_folds, split_train_validation, spread_over_labs
from mabe.store import StoredRecording


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
    with pytest.raises(DataError, match=r"2 labelled recording\(s\).* 1 different"):
        split_train_validation([stored_video("a", "x")] * 2, folds=5, fold=0, seed=0)


def test_a_quick_test_takes_labs_in_turn():
    recordings = videos(a=10, b=10, c=1)
    kept = spread_over_labs(recordings, most=5)
    assert Counter(recordings[i].lab for i in kept) == {"a": 2, "b": 2, "c": 1}
