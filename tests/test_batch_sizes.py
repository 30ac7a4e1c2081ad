"""`batch_size: auto`, with memory that ends where the test says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stories import TINY, write_fights
from test_training import SmallCard

from mabe.config import RunConfig, build_config, load_config
from mabe.runtime.distributed import make_fabric
from mabe.training.batch_size import (
    has_memory_for,
    largest_fitting,
    settle_batch_size,
    useful_windows,
)
from mabe.training.objectives import load_training_data
from mabe.training.run import train
from mabe.training.state import start_state

CPU = make_fabric(torch.device("cpu"), "32")


@given(st.integers(1, 5000), st.integers(1, 4096))
def test_the_largest_that_fits_is_found_to_within_a_third(room, most):
    found = largest_fitting(lambda windows: windows <= room, most=most)
    limit = min(room, most)
    assert found <= limit
    assert limit < 1.5 * found


def test_no_more_is_tried_than_is_wanted_and_nothing_after_it_failed_twice():
    tried = []

    def fits(windows):
        tried.append(windows)
        return windows <= 20

    assert largest_fitting(fits, most=4096) == 16
    assert tried == [2, 4, 8, 16, 32, 24]


def test_an_epoch_keeps_about_a_hundred_steps():
    config = RunConfig(sequence_length=100)
    assert useful_windows(100 * 100 * 128, config, processes=1) == 128
    assert useful_windows(100 * 100 * 128, config, processes=4) == 32
    assert useful_windows(1000, config, processes=1) == 8
    assert useful_windows(10**12, config, processes=1) == 4096


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))


def settings(data, run_dir, **changes):
    values = {**TINY, "data_dir": data, "checkpoint_dir": run_dir, "epochs": 1}
    return build_config({**values, **changes}, where="test")


def test_a_trial_tells_what_fits_and_leaves_no_trace(data, tmp_path):
    config = settings(data, tmp_path / "run")
    objective = load_training_data(config).objective(config)
    state = start_state(config, objective.task, CPU, objective)
    state.model.module.forward = SmallCard(windows=13).limit(state.model.module.forward)
    before = {k: v.clone() for k, v in state.model.module.state_dict().items()}

    def fits(windows):
        return has_memory_for(state, objective, config, CPU, windows)

    assert largest_fitting(fits, most=64) == 12
    for name, value in state.model.module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(p.grad is None for p in state.model.parameters())
    assert not state.optimizer.state_dict()["state"]
    assert state.step == 0
    again = start_state(
        config, objective.task, CPU, objective
    ).model.module.state_dict()
    for name, value in again.items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_run_with_auto_is_the_run_with_the_number_it_chose(data, tmp_path):
    automatic = settings(data, tmp_path / "auto", batch_size="auto")
    train(automatic)
    chosen = load_config(tmp_path / "auto" / "config.yaml").batch_size
    assert chosen == 8
    train(settings(data, tmp_path / "given", batch_size=chosen))
    one, other = (
        torch.load(tmp_path / name / "state.pt", weights_only=True)["model"]
        for name in ("auto", "given")
    )
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0)


def test_what_was_chosen_is_told_with_its_reason(data, tmp_path):
    config = settings(data, tmp_path / "run", batch_size="auto")
    objective = load_training_data(config).objective(config)
    _, why = settle_batch_size(config, objective, CPU)
    assert why == "Batch size: 8 windows (an epoch keeps about 100 steps or more)"


def test_an_unsettled_batch_size_is_no_number():
    with pytest.raises(ValueError, match="has to be settled"):
        _ = RunConfig(batch_size="auto").windows
