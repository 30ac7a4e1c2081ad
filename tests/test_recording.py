from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pair_stories import stored

from mabe.recording import Recording, VideoInfo


def recording(xy_px, slots=(0, 12)):
    info = VideoInfo(
        lab="Lab",
        video="1",
        fps=30.0,
        pixels_per_cm=10.0,
        watched=(),
        has_labels=False,
        tracking_path=Path("nowhere.parquet"),
        annotation_path=None,
    )
    return Recording(info=info, slots=np.array(slots), xy_px=xy_px, bouts=())


@pytest.fixture
def xy_px():
    points = np.random.default_rng(0).normal(300, 50, (20, 2, 2)).astype(np.float32)
    points[3:6, 1] = np.nan
    return points


def test_copies_of_a_track_are_known_by_their_content(xy_px):
    one = recording(xy_px)
    renamed = replace(one, info=replace(one.info, lab="Other", video="2"))
    assert renamed.tracking_hash() == one.tracking_hash()


def test_the_hash_of_a_track_is_that_of_earlier_versions():
    xy_px = np.arange(80, dtype=np.float32).reshape(20, 2, 2)
    xy_px[3:6, 1] = np.nan
    assert recording(xy_px).tracking_hash() == "fb279e6846b1dfe6b521"


def test_other_bits_of_the_same_values_are_the_same_track(xy_px):
    xy_px[0, 0] = 0
    other = xy_px.copy()
    other[0, 0] = -0.0
    other.view(np.int32)[3:5, 1] = -1  # another NaN, a negative one
    assert recording(other).tracking_hash() == recording(xy_px).tracking_hash()


def test_frames_behind_the_last_tracked_one_do_not_make_another_track(xy_px):
    longer = np.concatenate([xy_px, np.full((5, 2, 2), np.nan, np.float32)])
    assert recording(longer).tracking_hash() == recording(xy_px).tracking_hash()


def test_any_other_point_is_another_track(xy_px):
    moved = xy_px.copy()
    moved[7, 0, 0] += 0.01
    hashes = {
        recording(xy_px).tracking_hash(),
        recording(moved).tracking_hash(),
        recording(xy_px, slots=(0, 13)).tracking_hash(),
        recording(xy_px[1:]).tracking_hash(),
    }
    assert len(hashes) == 4


def test_a_video_needs_a_rate_and_a_scale(xy_px):
    info = recording(xy_px).info
    for wrong in ({"fps": 0.0}, {"fps": float("nan")}, {"pixels_per_cm": -1.0}):
        with pytest.raises(ValueError, match="Lab/1"):
            replace(info, **wrong)


def test_animals_have_names_where_the_lab_names_every_tracked_one():
    two = stored(animals=(1, 2))
    assert two.animal_names == ()
    assert replace(two, animals=("adult", "juvenile")).animal_names == (
        "adult",
        "juvenile",
    )
    assert replace(two, animals=("adult",)).animal_names == ()
    assert replace(two, animals=("10.0", "24.0")).animal_names == ()  # ids
