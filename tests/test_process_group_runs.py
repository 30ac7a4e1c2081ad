"""Whole runs in two processes, on the story of mice that fight or mind their own."""

import json
import os
import shutil

import pytest
import torch
from process_groups import ROOT, launch, launch_as_slurm, write_config, write_script
from stories import TINY, write_fights

from mabe.config import build_config
from mabe.errors import ConfigError
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run import train

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
SHARED = {
    **TINY,
    "batch_size": 4,
    "dropout": 0.0,
    "epochs": 2,
    "pretraining_steps": 1,
    "precision": "32",  # whose rounding is too fine to tell one process from two
}
"""Each of two processes sees four windows in a step."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache, monkeypatch):
    monkeypatch.setenv("MABE_CACHE", str(cache))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    place = tmp_path_factory.mktemp("fights")
    data = write_fights(place / "data")
    return write_config(place / "config.yaml", {**SHARED, "data_dir": data})


@pytest.fixture(scope="module")
def together(config, cache):
    """A run of two processes, and what they said."""
    run_dir = config.parent / "together"
    script = ROOT / "train_local_5090.py"
    args = ("--config", config, "--checkpoint-dir", run_dir)
    return run_dir, launch(script, *args, cache=cache)


def alone(config, run_dir, **changes):
    """Settings of a run in this process."""
    settings = json.loads(config.read_text(encoding="utf-8"))
    return build_config(
        {**settings, "checkpoint_dir": run_dir, **changes}, where="test"
    )


def history(run_dir):
    records = json.loads((run_dir / "history.json").read_text(encoding="utf-8"))
    return [{k: v for k, v in r.items() if k != "seconds"} for r in records]


def losses(run_dir):
    return [
        loss
        for record in history(run_dir)
        for loss in (record["train_loss"], record["val_loss"])
    ]


def weights(run_dir):
    return load_checkpoint(run_dir / "last.safetensors").model.state_dict()


def assert_same_run(one, other):
    assert history(one) == history(other)
    for key, value in weights(one).items():
        torch.testing.assert_close(value, weights(other)[key], rtol=0, atol=0)


def test_two_processes_learn_what_one_learns_from_twice_as_many_windows(
    config, together, tmp_path
):
    run_dir, result = together
    assert result.returncode == 0, result.stderr
    one = train(alone(config, tmp_path / "one", batch_size=8)).run_dir
    assert losses(run_dir) == pytest.approx(losses(one), rel=1e-4)
    assert [r["step"] for r in history(run_dir)] == [r["step"] for r in history(one)]


def test_only_the_first_process_tells_and_writes(together):
    run_dir, result = together
    lines = result.stdout.splitlines()
    assert len(lines) == len(set(lines))
    assert sum(line.startswith("Epoch   1/2") for line in lines) == 1
    assert "Processes: 2 (cpu), started by torchrun" in lines
    assert any("2 processes × 4 windows" in line for line in lines)
    about = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    assert about["windows_per_step"] == 8
    assert not list(run_dir.parent.glob("*.earlier-*"))
    assert not list(run_dir.glob(".*.tmp"))


KILLED_IN_AN_EPOCH = """
from mabe.training import training_loop, run as runs
saves, save_state = 0, training_loop.save_state
def save_then_die(*args):
    global saves
    save_state(*args)
    saves += 1
    if saves == 4:
        os.kill(os.getpid(), signal.SIGKILL)
training_loop.save_state = save_then_die
"""


def test_a_killed_run_of_two_processes_goes_on_to_the_same_end(
    config, together, cache, tmp_path
):
    killed = write_script(tmp_path / "killed.py", KILLED_IN_AN_EPOCH)
    # The state is saved after every step here, so the kill falls within an epoch.
    args = ("train", "--config", config, "--checkpoint-dir", tmp_path / "run")
    often = ("--set", "save_every_s=1e-9")
    result = launch(killed, *args, *often, cache=cache)
    assert result.returncode != 0
    assert not (tmp_path / "run" / "best.safetensors").exists()
    plain = write_script(tmp_path / "plain.py", "")
    result = launch(plain, *args, "--resume", cache=cache)
    assert result.returncode == 0, result.stderr
    assert "Continuing from step 4" in result.stdout
    assert_same_run(together[0], tmp_path / "run")


SECOND_FAILS = """
from mabe.training import training_step as training
from mabe.errors import DataError
draw_batch = training.draw_batch
def draw(objective, config, step, group):
    if rank == 1 and step == 3:
        raise DataError("the disk of this machine is gone")
    return draw_batch(objective, config, step, group)
training.draw_batch = draw
"""


def test_a_process_that_fails_ends_the_run_and_says_why(config, cache, tmp_path):
    script = write_script(tmp_path / "fails.py", SECOND_FAILS)
    args = ("train", "--config", config, "--checkpoint-dir", tmp_path / "run")
    result = launch(script, *args, cache=cache)  # a run that hangs fails by its limit
    assert result.returncode != 0
    assert "mabe [process 2 of 2]: the disk of this machine is gone" in result.stderr


SMALL_SECOND_CARD = """
from mabe.models.model import SceneModel
forward = SceneModel.forward
def limited(self, poses):
    if rank == 1 and self.training and len(poses) > 2:
        raise torch.OutOfMemoryError("CUDA out of memory")
    return forward(self, poses)
SceneModel.forward = limited
"""


def test_where_one_process_is_short_of_memory_all_take_smaller_pieces(
    config, together, cache, tmp_path
):
    """Started as SLURM does, which has to make no difference."""
    script = write_script(tmp_path / "small.py", SMALL_SECOND_CARD)
    args = ("train", "--config", config, "--checkpoint-dir", tmp_path / "run")
    codes, said = launch_as_slurm(script, *args, cache=cache)
    assert codes == [0, 0], said
    assert "Processes: 2 (cpu), started by slurm" in said
    assert said.count("going on with 2 windows at a time") == 1
    assert losses(tmp_path / "run") == pytest.approx(losses(together[0]), rel=1e-4)


def test_one_process_goes_on_with_a_run_of_two_on_the_same_windows(
    config, together, tmp_path
):
    run_dir = shutil.copytree(together[0], tmp_path / "run")
    train(alone(config, run_dir, batch_size=8, epochs=3), resume=True)
    one = train(alone(config, tmp_path / "one", batch_size=8, epochs=3)).run_dir
    assert losses(run_dir) == pytest.approx(losses(one), rel=1e-4)


def test_to_go_on_with_other_windows_in_a_step_is_refused(config, together):
    with pytest.raises(ConfigError, match="a step saw 8 windows and would see 4"):
        train(alone(config, together[0]), resume=True)


def test_a_batch_size_of_auto_is_the_runs_own_when_it_goes_on(
    config, together, tmp_path
):
    run_dir = shutil.copytree(together[0], tmp_path / "run")
    train(alone(config, run_dir, batch_size="auto", epochs=3), resume=True)
    assert "batch_size: 8" in (run_dir / "config.yaml").read_text(encoding="utf-8")
