import math

import pytest
import torch

from mabe.features.tracked_slots import Rows
from mabe.skeleton import KEYPOINTS, SLOTS

SECOND = len(KEYPOINTS)
"""The second animal's first slot."""


@pytest.fixture
def poses():
    """Two windows: in one two animals' noses are tracked, in the other the first's."""
    torch.manual_seed(0)
    poses = torch.full((2, 5, SLOTS, 2), math.nan)
    poses[0, :, 0] = torch.randn(5, 2)
    poses[0, 2:, SECOND] = torch.randn(3, 2)
    poses[1, :, 0] = torch.randn(5, 2)
    return poses


def on_a_gpu(monkeypatch):
    monkeypatch.setattr("mabe.runtime.tensors.is_on_cpu", lambda _: False)


def test_only_what_is_seen_is_worked_on(poses):
    rows = Rows.of(poses, torch.arange(SLOTS))
    assert rows.window_N.tolist() == [0, 0, 1]
    assert rows.slot_N.tolist() == [0, SECOND, 0]
    torch.testing.assert_close(rows.take(poses)[2], poses[1, :, 0])


def test_a_gpu_works_on_all_without_looking(poses, monkeypatch):
    on_a_gpu(monkeypatch)
    rows = Rows.of(poses, torch.tensor([0, SECOND]))
    assert rows.slot_N.tolist() == [0, SECOND, 0, SECOND]
    torch.testing.assert_close(rows.take(poses)[0], poses[0, :, 0])
    assert rows.take(poses)[3].isnan().all()


@pytest.mark.parametrize("on_gpu", [False, True])
def test_an_animals_sum_is_that_of_its_own_points(poses, on_gpu, monkeypatch):
    if on_gpu:
        on_a_gpu(monkeypatch)
    poses[0, :, 1] = poses[0, :, 0]
    rows = Rows.of(poses, torch.tensor([0, 1, SECOND]))
    sums = rows.sum_of_animals(rows.take(poses).nan_to_num(nan=0.0))
    torch.testing.assert_close(sums[0, 0], 2 * poses[0, :, 0])
    torch.testing.assert_close(sums[0, 1], poses[0, :, SECOND].nan_to_num(nan=0.0))
    torch.testing.assert_close(sums[1, 0], poses[1, :, 0])
    assert not sums[:, 2:].any()
