"""Who a process is among those that a launcher started."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mabe.cli.main import main
from mabe.config import RunConfig
from mabe.errors import ConfigError
from mabe.runtime.devices import choose_device
from mabe.runtime.launch_environment import ProcessGroup
from mabe.training.run import train


def torchrun(rank, size, *, local_size=None):
    local_size = local_size or size
    return {
        "TORCHELASTIC_RUN_ID": "a run",
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_RANK": str(rank % local_size),
        "LOCAL_WORLD_SIZE": str(local_size),
    }


def srun(rank, size, *, tasks_per_node):
    return {
        "SLURM_NTASKS": str(size),
        "SLURM_STEP_NUM_TASKS": str(size),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": "1",
        "SLURM_NTASKS_PER_NODE": tasks_per_node,
    }


@pytest.fixture
def started_twice(monkeypatch):
    """This process is the second of two."""
    for name, value in torchrun(1, 2).items():
        monkeypatch.setenv(name, value)


def test_a_process_by_itself_is_first_and_has_all_windows():
    group = ProcessGroup.from_environment({})
    assert group == ProcessGroup()
    assert group.is_first
    assert group.label == ""
    assert group.own(10) == slice(0, 10)


def test_torchrun_tells_each_process_its_place():
    group = ProcessGroup.from_environment(torchrun(5, 8, local_size=4))
    assert group == ProcessGroup(5, 8, 1, 4, "torchrun")
    assert group.machines == 2
    assert not group.is_first
    assert group.label == " [process 6 of 8]"


def test_one_process_of_torchrun_is_by_itself():
    assert ProcessGroup.from_environment(torchrun(0, 1)) == ProcessGroup()


def test_so_does_slurm():
    group = ProcessGroup.from_environment(srun(3, 4, tasks_per_node="2"))
    assert group == ProcessGroup(3, 4, 1, 2, "slurm")


def test_a_batch_script_is_one_process_whatever_its_tasks():
    assert (
        ProcessGroup.from_environment({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"})
        == ProcessGroup()
    )


def test_slurm_has_to_say_how_many_are_on_each_machine():
    with pytest.raises(ConfigError, match="--ntasks-per-node"):
        ProcessGroup.from_environment(srun(0, 4, tasks_per_node=""))


def test_machines_with_unequal_numbers_of_processes_are_refused():
    with pytest.raises(ConfigError, match="same number"):
        ProcessGroup.from_environment(torchrun(0, 3, local_size=2))


@given(st.integers(1, 6), st.integers(1, 5))
def test_every_window_is_one_process_s_own(size, each):
    windows = list(range(size * each))
    dealt = [
        windows[ProcessGroup(rank, size).own(len(windows))] for rank in range(size)
    ]
    assert [window for part in dealt for window in part] == windows
    assert {len(part) for part in dealt} == {each}


@pytest.mark.usefixtures("started_twice")
@pytest.mark.parametrize("command", ["predict", "crossval", "simulate"])
def test_what_needs_one_process_is_refused_in_several(command, monkeypatch, capsys):
    monkeypatch.setattr("mabe.cli.main.time.sleep", lambda _: None)
    assert main([command, "a", "b"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"mabe [process 2 of 2]: mabe {command} runs in one process")


@pytest.mark.usefixtures("started_twice")
def test_so_are_recipes_and_trees(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mabe.cli.main.time.sleep", lambda _: None)
    assert main(["train", str(tmp_path)]) == 2
    assert "model_type: auto runs in one process" in capsys.readouterr().err
    trees = RunConfig(model_type="trees", feature_set="social")
    with pytest.raises(ConfigError, match="model_type: trees runs in one process"):
        train(trees)


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        ConfigError, match=r"2 processes on this machine, but 1 visible GPU"
    ):
        choose_device("cuda", ProcessGroup(1, 2, 1, 2, "torchrun"))
    with pytest.raises(ConfigError, match="cuda:1 cannot be shared by the 2 processes"):
        choose_device("cuda:1", ProcessGroup(1, 2, 1, 2, "torchrun"))
    assert choose_device("cpu", ProcessGroup(1, 2, 1, 2, "torchrun")) == torch.device(
        "cpu"
    )
