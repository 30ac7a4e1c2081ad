"""Any lab's keypoint names, matched by alias and by left and right."""

import pytest

from mabe.errors import ConfigError
from mabe.io.keypoint_names import split_words
from mabe.io.match_keypoints import (
    format_matches,
    match_names,
    split_animals,
)
from mabe.skeleton import KEYPOINTS


def match(*names, **mapping):
    return {each.name: each.keypoint for each in match_names(names, mapping)}


@pytest.mark.parametrize("keypoint", KEYPOINTS)
def test_our_own_names_are_themselves(keypoint):
    assert match(keypoint) == {keypoint: keypoint}


@pytest.mark.parametrize(
    ("name", "keypoint"),
    [
        *(("leftear", "ear_left"), ("Ear_L", "ear_left"), ("LEFT_EAR", "ear_left")),
        *(("right ear", "ear_right"), ("earR", "ear_right"), ("R.ear", "ear_right")),
        *(("Left_bhip", "hip_left"), ("haunch_right", "hip_right")),
        *(("Left_fhip", "lateral_left"), ("LatRight", "lateral_right")),
        *(("shoulder_left", "lateral_left"), ("Snout", "nose"), ("nosetip", "nose")),
        *(
            ("BASE_NECK", "neck"),
            ("CENTER_SPINE", "body_center"),
            ("Trunk", "body_center"),
        ),
        *(("center back", "body_center"), ("centroid", "body_center")),
        *(("tailbase", "tail_base"), ("TTI", "tail_base"), ("BASE_TAIL", "tail_base")),
        *(("tail", "tail_base"), ("Tail_end", "tail_tip"), ("TailTip", "tail_tip")),
        *(("mid_tail", "tail_midpoint"), ("tail_middle", "tail_midpoint")),
        *(("Center_head", "head"), ("wing", None), ("left_forepaw", None)),
    ],
)
def test_names_of_labs(name, keypoint):
    assert match(name) == {name: keypoint}


def test_numbered_tail_points_spread_over_the_tail():
    assert match("tail1") == {"tail1": "tail_midpoint"}
    assert match("Tail_1", "Tail_2") == {
        "Tail_1": "tail_middle_1",
        "Tail_2": "tail_middle_2",
    }
    assert match("Tail_2", "Tail_0", "Tail_1") == {
        "Tail_0": "tail_middle_1",
        "Tail_1": "tail_midpoint",
        "Tail_2": "tail_middle_2",
    }


def test_of_two_names_for_one_keypoint_the_likelier_has_it():
    found = match_names(["tail", "tail_base", "tail_tip"])
    assert [each.keypoint for each in found] == [None, "tail_base", "tail_tip"]
    assert found[0].reason == "no keypoint of rodents, kept: tail_base is tail_base"


def test_a_mapping_goes_before_all_else():
    assert match("tail", "nose", "x", tail="tail_tip", x="tail_base") == {
        "tail": "tail_tip",
        "nose": "nose",
        "x": "tail_base",
    }
    [left_out] = match_names(["nose"], {"nose": None})
    assert not left_out.is_kept


def test_a_mapping_that_makes_no_sense_is_refused():
    with pytest.raises(ConfigError, match=r"'tail_bas'.*nearest: tail_base"):
        match_names(["tail"], {"tail": "tail_bas"})
    with pytest.raises(ConfigError, match="several names"):
        match_names(["a", "b"], {"a": "nose", "b": "nose"})


def test_words_in_front_of_all_names_are_looked_over():
    assert match("rat_snout", "rat_earL", "rat_tailbase") == {
        "rat_snout": "nose",
        "rat_earL": "ear_left",
        "rat_tailbase": "tail_base",
    }


def test_names_are_taken_apart():
    assert split_words("EarLeft") == (frozenset({"ear"}), "left")
    assert split_words("spine_1") == (frozenset({"spine", "1"}), "")


def test_animals_that_share_a_track_are_told_apart():
    parts = ("nose", "ear_left", "tail_base")
    assert split_animals(parts) is None
    assert list(
        split_animals([f"B_{p}" for p in parts] + [f"W_{p}" for p in parts])
    ) == [
        "B",
        "W",
    ]
    assert list(split_animals([f"{p}{n}" for n in (1, 2) for p in parts])) == ["1", "2"]
    assert split_animals(["left_ear", "left_hip", "left_paw"]) is None
    halves = [
        f"{side}_{part}" for side in ("left", "right") for part in ("a", "b", "c")
    ]
    assert split_animals(halves) is None


def test_the_table_says_what_everything_is_taken_for():
    text = format_matches(match_names(["snout", "wing"]))
    assert "snout  nose" in text
    assert "wing   wing" in text
