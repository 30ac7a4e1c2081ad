import math
from dataclasses import replace

import pytest
import torch

from mabe.config import Augmentation
from mabe.features.animal_order import center_scene, pack_animals
from mabe.runtime.launch_environment import ProcessGroup
from mabe.skeleton import KEYPOINTS
from mabe.training.augmentation import RandomNumbers, draw_changes
from mabe.training.augmentation import augment as change

NONE = Augmentation.none()


def augment(poses, how, dice):
    return change(poses, draw_changes(poses.shape, how, dice))


@pytest.fixture
def dice():
    return RandomNumbers(torch.Generator().manual_seed(1))


@pytest.fixture
def poses():
    """Eight windows of two animals, gaps included."""
    torch.manual_seed(0)
    poses = torch.randn(8, 12, 4, 18, 2) * 5
    poses[:, :, 2:] = math.nan
    poses[torch.rand(8, 12, 4, 18) < 0.2] = math.nan
    return poses


def distances(poses):
    """Distance of every keypoint of the first animal from every one of the second."""
    return (poses[:, :, 0, :, None] - poses[:, :, 1, None]).norm(dim=-1)


def test_without_augmentation_poses_stay_as_they_are(poses, dice):
    torch.testing.assert_close(
        augment(poses, NONE, dice), poses, rtol=0, atol=0, equal_nan=True
    )


def test_turning_and_shifting_keep_all_distances(poses, dice):
    changed = augment(poses, replace(NONE, turn=True, shift_cm=3.0), dice)
    torch.testing.assert_close(
        distances(changed), distances(poses), equal_nan=True, rtol=1e-4, atol=1e-4
    )
    assert not torch.allclose(changed.nan_to_num(), poses.nan_to_num())


def test_a_mirrored_animal_keeps_its_left_ear_on_its_left(dice):
    animal = torch.full((64, 1, 4, 18, 2), math.nan)
    places = {"nose": (1.0, 0.0), "ear_left": (0.0, 1.0), "ear_right": (0.0, -1.0)}
    for name, place in places.items():
        animal[:, :, 0, KEYPOINTS.index(name)] = torch.tensor(place)
    changed = augment(animal, replace(NONE, mirror=True), dice)[:, 0, 0]
    nose, left, right = (changed[:, KEYPOINTS.index(name)] for name in places)
    middle = (left + right) / 2
    ahead, side = nose - middle, left - middle
    # Left of the heading, as before: the cross product keeps its sign.
    cross = ahead[:, 0] * side[:, 1] - ahead[:, 1] * side[:, 0]
    assert (cross > 0).all()
    assert 10 < (nose[:, 0] < 0).sum() < 54  # about half of them are mirrored


def test_reordering_keeps_absent_animals_last_and_every_animal_whole(poses, dice):
    changed = augment(poses, replace(NONE, reorder_animals=True), dice)
    assert changed[:, :, 2:].isnan().all()
    kept = 0
    for before, after in zip(poses, changed, strict=True):
        first_two = [before[:, [0, 1]], before[:, [1, 0]]]
        matches = [torch.allclose(after[:, :2], p, equal_nan=True) for p in first_two]
        assert any(matches)
        kept += matches[0]
    assert 0 < kept < 8


def test_packing_forgets_which_numbers_the_animals_had(poses):
    apart = poses[:, :, [2, 0, 3, 1]]
    torch.testing.assert_close(
        pack_animals(apart), poses, rtol=0, atol=0, equal_nan=True
    )
    torch.testing.assert_close(
        pack_animals(poses), poses, rtol=0, atol=0, equal_nan=True
    )


def test_scale_stays_within_its_share(poses, dice):
    changed = augment(poses, replace(NONE, scale=0.1), dice)
    ratio = (distances(changed) / distances(poses)).nanmean(dim=(1, 2, 3))
    assert ((ratio > 0.9) & (ratio < 1.1)).all()
    assert ratio.std() > 0.01


def test_a_dropped_keypoint_is_missing_for_its_whole_window(poses, dice):
    changed = augment(poses, replace(NONE, keypoint_dropout=0.5), dice)
    newly = changed[..., 0].isnan() & ~poses[..., 0].isnan()
    whole = changed[..., 0].isnan().all(dim=1)
    assert newly.any()
    assert (whole[:, None] | ~newly).all()


def test_the_only_animal_is_never_dropped(poses, dice):
    alone = poses.clone()
    alone[:, :, 1:] = math.nan
    how = replace(NONE, animal_dropout=1.0)
    assert augment(alone, how, dice)[:, :, 0].isfinite().any()
    assert augment(poses, how, dice)[:, :, 0].isnan().all()


def test_noise_has_the_size_it_says(dice):
    still = torch.zeros(4, 100, 4, 18, 2)
    noisy = augment(still, replace(NONE, noise_cm=0.5), dice)
    assert noisy.std().item() == pytest.approx(0.5, rel=0.02)


def test_centering_forgets_where_the_camera_stood(poses):
    torch.testing.assert_close(
        center_scene(poses + torch.tensor([30.0, -12.0])),
        center_scene(poses),
        equal_nan=True,
        rtol=1e-4,
        atol=1e-4,
    )


def test_centering_a_window_without_points_leaves_them_missing():
    assert center_scene(torch.full((1, 5, 4, 18, 2), math.nan)).isnan().all()


def test_the_same_generator_gives_the_same_poses_twice(poses):
    first, second = (
        augment(poses, Augmentation(), RandomNumbers(torch.Generator().manual_seed(3)))
        for _ in range(2)
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)


def test_windows_shared_by_processes_get_the_numbers_they_get_in_one(poses):
    def changed(part, group):
        dice = RandomNumbers(torch.Generator().manual_seed(3), group)
        return augment(part, Augmentation(animal_dropout=0.5), dice)

    shared = [changed(poses[4 * r : 4 * r + 4], ProcessGroup(r, 2)) for r in range(2)]
    torch.testing.assert_close(
        torch.cat(shared), changed(poses, ProcessGroup()), equal_nan=True
    )
