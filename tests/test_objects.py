"""Objects in tracks: which points they are, and where they rest."""

import numpy as np
import pytest
from pydantic import ValidationError

from mabe.errors import DataError
from mabe.io.objects import (
    ObjectSettings,
    add_objects,
    named_objects,
    take_objects,
)
from mabe.io.readers.poses import Poses

SCALE = 10.0
"""Pixels per cm."""


def objects(value):
    return {
        name: ObjectSettings.model_validate(settings)
        for name, settings in named_objects(value).items()
    }


@pytest.fixture
def one_track():
    """A mouse whose tracker has two objects as further keypoints; the cup jumps."""
    xy = np.full((100, 1, 4, 2), np.nan, np.float32)
    xy[:, 0, 0] = np.column_stack([np.arange(100), np.zeros(100)])
    xy[:, 0, 1] = xy[:, 0, 0] - 5
    xy[:, 0, 2] = (200, 100)
    xy[:5, 0, 2] = (300, 100)
    xy[50:60, 0, 2] = np.nan
    xy[:, 0, 3] = (20, 80)
    return Poses(xy, keypoints=("nose", "tail_base", "cup", "lever"), name="day1")


@pytest.fixture
def individuals():
    """A mouse, and a ball that rolls, as individuals of one tracker."""
    xy = np.full((100, 2, 2, 2), np.nan, np.float32)
    xy[:, 0] = 50
    xy[:, 1, 1] = np.column_stack([np.linspace(0, 100, 100), np.zeros(100)])
    return Poses(xy, keypoints=("nose", "center"), animals=("mouse", "ball"))


def test_keypoints_that_are_objects_leave_the_animal(one_track):
    animals, found = take_objects(one_track, objects(["cup", "lever"]))

    assert animals.animals == ("animal1",)
    assert animals.keypoints == ("nose", "tail_base")
    assert [each.name for each in found] == ["cup", "lever"]


def test_an_object_that_rests_is_at_one_place_also_where_it_jumped_or_was_lost(
    one_track,
):
    both = add_objects(
        *take_objects(one_track, objects(["cup", "lever"])), pixels_per_cm=SCALE
    )

    assert both.animals == ("animal1", "cup", "lever")
    assert (both.xy_px[:, 1, 0] == (200, 100)).all()
    assert (both.xy_px[:, 2, 0] == (20, 80)).all()
    assert np.isnan(both.xy_px[:, 1:, 1]).all()
    np.testing.assert_array_equal(both.xy_px[:, 0], one_track.xy_px[:, 0, :2])
    assert "object cup: at (200, 100) px in all frames" in both.notes


def test_an_object_that_moves_keeps_its_track(individuals):
    animals, found = take_objects(individuals, objects(["ball"]))
    both = add_objects(animals, found, pixels_per_cm=SCALE, keypoint=1)

    assert animals.animals == ("mouse",)
    np.testing.assert_array_equal(both.xy_px[:, 1, 1], individuals.xy_px[:, 1, 1])
    assert "object ball: moves; its track is used as it is" in both.notes


def test_fixed_places_are_in_pixels_or_cm_and_need_no_track(individuals):
    given = objects({"ball": "ball", "door": [30, 40], "cup": {"cm": [3, 4]}})
    both = add_objects(*take_objects(individuals, given), pixels_per_cm=SCALE)

    assert both.animals == ("mouse", "ball", "door", "cup")
    for at in (2, 3):
        assert (both.xy_px[:, at, 0] == (30, 40)).all()


def test_poses_without_objects_stay_as_they_are(individuals):
    animals, found = take_objects(individuals, {})

    assert add_objects(animals, found, pixels_per_cm=SCALE) is animals
    np.testing.assert_array_equal(animals.xy_px, individuals.xy_px)


def test_an_individual_that_holds_only_objects_is_no_animal(individuals):
    """As the unique points of multi-animal DeepLabCut, named `single`."""
    single = Poses(
        individuals.xy_px,
        keypoints=("nose", "cup"),
        animals=("mouse", "single"),
    )
    single.xy_px[:, 0, 1] = np.nan

    animals, [cup] = take_objects(single, objects(["cup"]))

    assert animals.animals == ("mouse",)
    assert np.isfinite(cup.xy_px).all()


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (["ship"], "is in none of its tracks; it has the individuals"),
        (["center"], "a keypoint of 2 individuals"),
        (["mouse", "ball"], "leaves no animal"),
    ],
)
def test_what_is_no_object_is_refused_with_the_reason(individuals, given, reason):
    with pytest.raises(DataError, match=reason):
        take_objects(individuals, objects(given))


def test_an_object_that_is_never_tracked_is_refused(individuals):
    individuals.xy_px[:, 1] = np.nan

    with pytest.raises(DataError, match="never tracked surely enough"):
        take_objects(individuals, objects(["ball"]))


def test_a_fixed_place_needs_another_name_than_an_animal(individuals):
    taken = take_objects(individuals, objects({"mouse": [1, 2]}))

    with pytest.raises(DataError, match="both an animal and an object"):
        add_objects(*taken, pixels_per_cm=SCALE)


@pytest.mark.parametrize(
    "value", [{}, {"px": [1, 2], "track": "a"}, [1], [1, float("nan")], {"m": [1, 2]}]
)
def test_settings_that_say_no_place_or_several_are_refused(value):
    with pytest.raises(ValidationError):
        ObjectSettings.model_validate(value)
