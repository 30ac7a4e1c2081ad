import numpy as np
import pytest

from mabe.io.keypoint_names import match_keypoint, nearest_keypoints
from mabe.skeleton import ANIMALS, KEYPOINTS, RODENT, SLOTS, PoseLayout

CORNERS = [
    f"headpiece_{level}{end}{side}"
    for level in ("bottom", "top")
    for end in ("back", "front")
    for side in ("left", "right")
]


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
        ("EarL", "ear_left"),
        ("BASE_TAIL", "tail_base"),
        ("nape", "neck"),
        ("extra_tail", None),
    ],
)
def test_names_of_labs_stand_for_canonical_keypoints(name, keypoint):
    assert match_keypoint(name) == keypoint


def test_every_body_part_of_the_challenge_keeps_its_keypoint():
    for name in KEYPOINTS:
        assert match_keypoint(name) == name
    for corner in CORNERS:
        assert match_keypoint(corner) == "headpiece"


def test_slots_count_animals_first_and_keypoints_second():
    usual = PoseLayout()
    slots = [usual.slot_of(a, k) for a in range(ANIMALS) for k in range(len(KEYPOINTS))]
    assert slots == list(range(SLOTS))
    assert (usual.animal_of(20), usual.keypoint_of(20)) == (1, 2)
    every = np.arange(SLOTS)
    back = usual.slot_of(usual.animal_of(every), usual.keypoint_of(every))
    assert (back == every).all()


def test_an_unknown_name_matches_nothing_but_has_nearest_names():
    assert match_keypoint("left_whisker") is None
    assert "ear_left" in nearest_keypoints("ear_lefft")


def test_the_mirror_exchanges_left_and_right_and_keeps_the_middle():
    order = RODENT.mirror_order()
    assert KEYPOINTS[order[KEYPOINTS.index("ear_left")]] == "ear_right"
    assert order[KEYPOINTS.index("nose")] == KEYPOINTS.index("nose")
    assert [order[i] for i in order] == list(range(18))
