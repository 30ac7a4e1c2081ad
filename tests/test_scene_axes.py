import math

import pytest
import torch

from mabe.features import scene_axes
from mabe.features.tracked_slots import Rows
from mabe.skeleton import KEYPOINTS

NAN = math.nan
TWO = torch.tensor([0, 1])
"""One keypoint of the first animal, one of the second."""


def rows_of(points, animal_S):
    """Put every point of every window in a row: keypoint 0, 1, 2 ... of its animal."""
    before = [int((animal_S[:place] == a).sum()) for place, a in enumerate(animal_S)]
    slot_S = animal_S * len(KEYPOINTS) + torch.tensor(before)
    windows = len(points)
    return Rows(
        torch.arange(windows).repeat_interleave(len(slot_S)),
        slot_S.repeat(windows),
        windows,
    )


def in_scene_frame(points_BTS2, animal_S):
    windows = len(points_BTS2)
    points_NT2 = points_BTS2.transpose(1, 2).flatten(0, 1)
    seen_NT2 = scene_axes.in_scene_frame(points_NT2, rows_of(points_BTS2, animal_S))
    return seen_NT2.unflatten(0, (windows, -1)).transpose(1, 2)


def animal_centers(points_BTS2, animal_S):
    points_NT2 = points_BTS2.transpose(1, 2).flatten(0, 1)
    return scene_axes.animal_centers(points_NT2, rows_of(points_BTS2, animal_S))


def scene(*animals):
    """Points of one window: a list of (x, y) over time for each animal."""
    return torch.tensor(animals).transpose(0, 1)[None]


def test_the_gap_between_two_animals_is_their_distance_along_x():
    points = scene([(3.0, 4.0)] * 2, [(0.0, 0.0)] * 2)
    seen = in_scene_frame(points, TWO)[0]
    torch.testing.assert_close(seen[:, 0], torch.tensor([[2.5, 0.0]] * 2))
    torch.testing.assert_close(seen[:, 1], torch.tensor([[-2.5, 0.0]] * 2))


@pytest.mark.parametrize("animals", [2, 3, 4])
def test_turning_and_shifting_the_arena_changes_nothing(animals):
    torch.manual_seed(0)
    points = torch.randn(3, 20, 5 * animals, 2).cumsum(dim=1) * 3
    points[torch.rand(3, 20, 5 * animals) < 0.3] = NAN
    animal = torch.arange(animals).repeat_interleave(5)
    angle = torch.tensor(1.1)
    turn = torch.stack(
        [
            torch.stack([angle.cos(), angle.sin()]),
            torch.stack([-angle.sin(), angle.cos()]),
        ]
    )
    torch.testing.assert_close(
        in_scene_frame(points @ turn + torch.tensor([30.0, -7.0]), animal),
        in_scene_frame(points, animal),
        rtol=1e-3,
        atol=1e-3,
        equal_nan=True,
    )


def test_distances_stay_what_they_are():
    torch.manual_seed(0)
    points = torch.randn(2, 9, 6, 2)
    animal = torch.tensor([0, 0, 0, 1, 1, 2])
    seen = in_scene_frame(points, animal)
    torch.testing.assert_close(torch.cdist(seen, seen), torch.cdist(points, points))


def test_missing_points_stay_missing_and_others_do_not_become_so():
    points = scene([(3.0, 4.0), (NAN, NAN), (3.0, 4.0)], [(0.0, 0.0)] * 3)
    seen = in_scene_frame(points, TWO)[0, :, :, 0]
    assert seen.isnan().tolist() == [[False, False], [True, False], [False, False]]


def test_the_frame_does_not_jump_while_an_animal_is_not_seen():
    gone = [(4.0, 0.0), (NAN, NAN), (8.0, 0.0), (NAN, NAN)]
    centers = animal_centers(scene(gone, [(0.0, 0.0)] * 4), TWO)[0]
    torch.testing.assert_close(centers[:, 0, 0], torch.tensor([4.0, 6.0, 8.0, 8.0]))
    assert centers[:, 2:].isnan().all()


def test_one_animal_alone_keeps_the_arenas_directions():
    points = torch.tensor([[[[1.0, 5.0], [3.0, 9.0]]]])
    seen = in_scene_frame(points, torch.tensor([2, 2]))
    torch.testing.assert_close(seen, torch.tensor([[[[-1.0, -2.0], [1.0, 2.0]]]]))


def test_a_scene_without_animals_stays_empty():
    assert in_scene_frame(torch.full((1, 4, 2, 2), NAN), TWO).isnan().all()
