"""Whole runs on the story of two mice that fight or mind their own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kaggle_files import write_labels
from stories import TINY, write_fights

from mabe.cli.main import main
from mabe.config import RunConfig, build_config
from mabe.errors import ConfigError, DataError, RunError, StopRequested
from mabe.models.checkpoint import load_checkpoint
from mabe.training.objectives import SceneObjective
from mabe.training.run import train
from mabe.training.run_directory import lock_run

MODELS = ("best.safetensors", "last.safetensors")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))


def settings(data, run_dir, **changes) -> RunConfig:
    values = {**TINY, "data_dir": data, "checkpoint_dir": run_dir, "epochs": 2}
    return build_config({**values, **changes}, where="test")


def history(run_dir: Path):
    """What a run has learned, without how long it took."""
    records = json.loads((run_dir / "history.json").read_text(encoding="utf-8"))
    return [{k: v for k, v in r.items() if k != "seconds"} for r in records]


def assert_same_run(one: Path, other: Path) -> None:
    assert history(one) == history(other)
    for name in MODELS:
        first, second = (
            load_checkpoint(run / name).model.state_dict() for run in (one, other)
        )
        for key, value in first.items():
            torch.testing.assert_close(value, second[key], rtol=0, atol=0)


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    return train(settings(data, run_dir)).run_dir


def test_a_fight_is_told_from_peace_on_videos_never_seen(data, tmp_path):
    run_dir = train(settings(data, tmp_path / "run", epochs=12)).run_dir
    last = history(run_dir)[-1]
    assert last["f1_macro"] > 0.9
    assert set(last["per_class"]) == {"background", "social", "mating", "aggressive"}


def test_the_run_directory_documents_itself(undisturbed):
    about = json.loads((undisturbed / "run.json").read_text(encoding="utf-8"))
    assert len(about["learned"]) == 4
    assert len(about["held_out"]) == 2
    assert not set(about["trained_on"]) & set(about["validated_on"])
    assert about["torch"] == torch.__version__
    assert (undisturbed / "config.yaml").read_text().startswith("data_dir:")
    record = json.loads((undisturbed / "history.json").read_text())[0]
    assert record.keys() >= {
        "epoch", "step", "learning_rate", "train_loss", "val_loss", "accuracy",
        "f1_macro", "per_class", "seconds",
    }  # fmt: skip
    assert record["per_class"]["aggressive"].keys() == {
        "f1", "precision", "recall", "support",
    }  # fmt: skip


def test_the_same_seed_gives_the_same_run_twice(data, undisturbed, tmp_path):
    again = train(settings(data, tmp_path / "again")).run_dir
    assert_same_run(undisturbed, again)


def kill_training(config: RunConfig, *, after_saves: int) -> None:
    """Train in another process that is killed with the state saved so often."""
    code = f"""
import os, signal
import torch
from mabe.training import training_loop, run as runs
torch.set_num_threads({torch.get_num_threads()})  # sums depend on it, a little
from mabe.config import build_config
saves = 0
save_state = training_loop.save_state
def save_then_die(*args):
    global saves
    save_state(*args)
    saves += 1
    if saves == {after_saves}:
        os.kill(os.getpid(), signal.SIGKILL)
training_loop.save_state = save_then_die
runs.train(build_config({config.model_dump(mode="json")!r}, where="test"))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert result.returncode == -signal.SIGKILL, result.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("after_saves", [1, 4])
def test_a_killed_run_goes_on_to_the_same_end(data, undisturbed, tmp_path, after_saves):
    # The state is saved after every step here, so the kill falls within an epoch.
    config = settings(data, tmp_path / "run", save_every_s=1e-9)
    kill_training(config, after_saves=after_saves)
    train(config, resume=True)
    assert_same_run(undisturbed, tmp_path / "run")


def test_a_run_that_was_killed_before_anything_was_saved_starts_again(
    data, undisturbed, tmp_path
):
    config = settings(data, tmp_path / "run")
    train(config)
    for path in (tmp_path / "run").glob("*"):
        if path.name not in ("run.json", "config.yaml"):
            path.unlink()
    train(config, resume=True)
    assert_same_run(undisturbed, tmp_path / "run")


def test_a_finished_run_is_resumed_to_nothing_more(data, undisturbed, tmp_path):
    before = history(undisturbed)
    train(settings(data, undisturbed), resume=True)
    assert history(undisturbed) == before


def test_an_earlier_run_is_set_aside_and_never_overwritten(data, tmp_path):
    first = train(settings(data, tmp_path / "run", epochs=1)).run_dir
    kept = (first / "best.safetensors").read_bytes()
    train(settings(data, tmp_path / "run", epochs=1, seed=9))
    assert (tmp_path / "run.earlier-1" / "best.safetensors").read_bytes() == kept
    assert (tmp_path / "run" / "best.safetensors").read_bytes() != kept


def test_resuming_with_other_settings_is_refused_by_name(data, undisturbed):
    with pytest.raises(ConfigError, match=r"learning_rate was 0\.005 and is 0\.1"):
        train(settings(data, undisturbed, learning_rate=0.1), resume=True)


def test_a_run_can_be_given_more_epochs_unless_its_schedule_knows_its_end(
    data, undisturbed, tmp_path
):
    run_dir = train(settings(data, tmp_path / "run", epochs=1)).run_dir
    train(settings(data, run_dir, epochs=2), resume=True)
    assert_same_run(undisturbed, run_dir)
    assert "epochs: 2" in (run_dir / "config.yaml").read_text(encoding="utf-8")
    cosine = train(
        settings(data, tmp_path / "cosine", epochs=1, scheduler="cosine")
    ).run_dir
    with pytest.raises(ConfigError, match="epochs was 1 and is 2"):
        train(settings(data, cosine, epochs=2, scheduler="cosine"), resume=True)


def test_resuming_on_changed_labels_is_refused(tmp_path):
    data = write_fights(tmp_path / "data", videos=3, seconds=8)
    config = settings(data, tmp_path / "run", epochs=1)
    train(config)
    write_labels(data, [(1, 2, "attack", 0, 9)], video="2")
    with pytest.raises(DataError, match="their labels have changed"):
        train(config, resume=True)


def test_a_run_is_resumed_with_its_own_settings_where_none_are_given(data, tmp_path):
    run_dir = train(settings(data, tmp_path / "run")).run_dir
    assert main(["train", "--checkpoint-dir", str(run_dir), "--resume"]) == 0


def test_resuming_before_the_first_save_minds_the_settings_too(data, tmp_path):
    run_dir = train(settings(data, tmp_path / "run", epochs=1)).run_dir
    (run_dir / "state.pt").unlink()
    with pytest.raises(ConfigError, match="dropout"):
        train(settings(data, run_dir, epochs=1, dropout=0.9), resume=True)


@pytest.mark.parametrize("what", ["a folder of one's own", "a file"])
def test_what_is_no_run_is_never_moved_or_written_into(data, tmp_path, what):
    place = tmp_path / "thesis"
    if what == "a file":
        place.write_text("years of work")
    else:
        place.mkdir()
        (place / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="something else than a run"):
        train(settings(data, place, epochs=1))
    assert place.exists()
    assert not list(tmp_path.glob("*earlier*"))


def test_two_runs_never_write_to_one_directory(data, tmp_path):
    with lock_run(tmp_path / "run"), pytest.raises(RunError, match="is writing here"):
        train(settings(data, tmp_path / "run", epochs=1))


@pytest.mark.parametrize(
    "names",
    [
        ("SIGINT",),
        ("SIGTERM",),
        pytest.param(
            ("SIGHUP", "SIGHUP", "SIGTERM"),  # as when an ssh connection ends
            marks=pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGHUP"),
        ),
    ],
)
def test_a_request_to_stop_while_scoring_loses_nothing(
    data, undisturbed, tmp_path, monkeypatch, names
):
    config = settings(data, tmp_path / "run")
    score = SceneObjective.score

    def ask_to_stop(*args):
        for name in names:
            signal.raise_signal(signal.Signals[name])
        return score(*args)

    monkeypatch.setattr(SceneObjective, "score", ask_to_stop)
    with pytest.raises(StopRequested, match="--resume continues from there"):
        train(config)
    monkeypatch.undo()
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    train(config, resume=True)
    assert_same_run(undisturbed, tmp_path / "run")


def test_resuming_where_nothing_was_begun_says_so(data, tmp_path):
    with pytest.raises(RunError, match="nothing to resume"):
        train(settings(data, tmp_path / "nowhere"), resume=True)


def test_a_damaged_state_is_one_line(data, tmp_path):
    run_dir = train(settings(data, tmp_path / "run", epochs=1)).run_dir
    (run_dir / "state.pt").write_bytes(b"not a state")
    with pytest.raises(RunError, match=r"state\.pt: cannot be read"):
        train(settings(data, run_dir, epochs=1), resume=True)


def test_classes_that_cannot_be_learned_or_scored_are_named(data, tmp_path, capsys):
    train(settings(data, tmp_path / "run", epochs=1))
    told = capsys.readouterr().out
    assert "! No frame to learn from: social, mating" in told
    assert "! No held-out frame, so no score: social, mating" in told


def test_every_so_many_epochs_a_model_is_kept(data, tmp_path):
    run_dir = train(settings(data, tmp_path / "run", epochs=3, save_freq=2)).run_dir
    kept = sorted(path.stem for path in run_dir.glob("*.safetensors"))
    assert kept == ["best", "epoch_002", "last"]


def test_a_run_can_be_told_to_use_few_recordings(data, tmp_path):
    run_dir = train(settings(data, tmp_path / "run", epochs=1, max_sequences=3)).run_dir
    about = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    assert len(about["learned"]) + len(about["held_out"]) == 3


def test_data_nobody_annotated_cannot_be_learned_from(tmp_path):
    unlabelled = write_fights(tmp_path / "data", videos=2, seconds=4, labelled=False)
    with pytest.raises(DataError, match="none of 2 recordings"):
        train(settings(unlabelled, tmp_path / "run"))


def test_one_labelled_video_cannot_be_held_out(tmp_path):
    one = write_fights(tmp_path / "data", videos=1, seconds=4)
    with pytest.raises(DataError, match="at least two groups are needed"):
        train(settings(one, tmp_path / "run"))


def test_actions_in_no_class_are_listed(data, tmp_path):
    config = settings(
        data,
        tmp_path / "run",
        classes={"background": [], "social": ["sniff"]},
        other="error",
    )
    with pytest.raises(ConfigError, match="attack"):
        train(config)


def test_an_empty_folder_says_how_to_get_data(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="mabe simulate"):
        train(settings(tmp_path / "empty", tmp_path / "run"))


def test_a_file_that_is_absent_is_named_and_can_be_left_out(tmp_path, capsys):
    data = write_fights(tmp_path / "data", videos=4, seconds=8)
    (data / "train_tracking" / "Lab" / "2.parquet").unlink()
    config = settings(data, tmp_path / "run", epochs=1)
    with pytest.raises(DataError, match=r"2\.parquet"):
        train(config)
    train(config, skip_bad=True)
    about = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert len(about["learned"]) + len(about["held_out"]) == 3


def test_tiny_recordings_do_no_harm(tmp_path):
    data = write_fights(tmp_path / "data", videos=4, seconds=0.12)  # 3 frames
    train(settings(data, tmp_path / "run", epochs=1))
    assert (tmp_path / "run" / "best.safetensors").exists()
