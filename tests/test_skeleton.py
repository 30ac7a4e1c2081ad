import pytest

from mabe.skeleton import (
    KEYPOINTS,
    SLOTS,
    match_keypoint,
    mirror_order,
    nearest_keypoints,
)


def test_four_animals_of_eighteen_keypoints_make_72_slots():
    assert len(set(KEYPOINTS)) == 18
    assert SLOTS == 72


@pytest.mark.parametrize(
    ("name", "keypoint"),
    [
        ("ear_left", "ear_left"),
        ("left_ear", "ear_left"),
        ("leftear", "ear_left"),
        ("Ear_left_1", "ear_left"),
        ("tailbase", "tail_base"),
        ("spine_1", "spine_1"),
        ("tail_middle_2", "tail_middle_2"),
        ("headpiece_topbackleft", "headpiece"),
        ("Centroid", "body_center"),
    ],
)
def test_names_of_labs_stand_for_canonical_keypoints(name, keypoint):
    assert match_keypoint(name) == keypoint


def test_an_unknown_name_matches_nothing_but_has_nearest_names():
    assert match_keypoint("left_whisker") is None
    assert "ear_left" in nearest_keypoints("ear_lefft")


def test_the_mirror_exchanges_left_and_right_and_keeps_the_middle():
    order = mirror_order()
    assert KEYPOINTS[order[KEYPOINTS.index("ear_left")]] == "ear_right"
    assert order[KEYPOINTS.index("nose")] == KEYPOINTS.index("nose")
    assert [order[i] for i in order] == list(range(18))
