"""What every command shares: JSON, quiet, log files, exit codes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import typer
import yaml
from chases import write_chases
from epochs import epoch
from hub_server import serving_hub
from kaggle_files import write_index

from mabe.cli.command_page import keys_of, result_of, walk_commands, with_commands
from mabe.cli.main import app, main
from mabe.cli.reporting import COMMON_KEYS, to_plain
from mabe.cli.results import Trained
from mabe.runtime import console
from mabe.runtime.console import progress_bar
from mabe.training.history import write_history

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "tests" / "models_of_d8a304b"
COMMANDS = dict(walk_commands(typer.main.get_command(app)))
TELLING = sorted(name for name in COMMANDS if result_of(COMMANDS[name]))
TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MABE_CACHE", str(tmp_path_factory.mktemp("cache")))
        with serving_hub(tmp_path_factory.mktemp("hub")):
            yield


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Chases, a run and a cross-validation of them, predictions and a submission."""
    folder = tmp_path_factory.mktemp("work")
    data = write_chases(folder / "data", videos=4, seconds=8)
    write_chases(folder / "fresh", videos=3, seconds=9)  # of other tracks
    row = {"video_id": "1", "frames_per_second": "25", "pix_per_cm_approx": "10"}
    write_index(data, row, split="test")
    shutil.copytree(data / "train_tracking", data / "test_tracking")
    settings = {
        "task": "pair",
        "model_type": "trees",
        "feature_set": "social",
        "tree_rounds": 10,
        "tree_learning_rate": 0.5,
        "num_workers": 1,
    }
    settings |= {"device": "cpu", "data_dir": str(data), "seed": 1}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    write_history(folder / "epochs", [epoch(1, 0.4), epoch(2, 0.5)])
    shutil.copy(MODELS / "scene_v2.safetensors", folder / "epochs" / "best.safetensors")
    tracks = folder / "tracks"
    shutil.copytree(ROOT / "tests" / "door" / "dlc_in_name", tracks)
    return folder


SHORT = [*("--set", "steps_per_epoch=2"), *("--set", "sequence_length=32")]


def words_of(work):
    """Return the words of each command, in an order in which they can be run."""
    config, data, run = work / "config.yaml", work / "data", work / "run"
    crossval, out = work / "crossval", work / "out"
    of_run = [run, "--data", data, "--out"]
    return {
        "simulate": [work / "new", "--videos", 1, "--minutes", 0.05, "--workers", 1],
        "prepare": [data, "--workers", 1],
        "inspect": [work / "tracks"],
        "import": [work / "tracks", "--out", work / "imported", "--fps", 30],
        "train": ["--config", config, "--out", run],
        "crossval": ["--config", config, "--checkpoint-dir", crossval, "--folds", 3],
        "tune": [crossval, "--folds", 3],
        "explain": [crossval],
        "calibrate": [run, work / "fresh", "--out", work / "calibrated"],
        "distil": [run, data, "--out", work / "student", *SHORT],
        "info": [run],
        "push": [run, "hf://lab/chases"],
        "ensemble": [run, crossval / "seed1" / "fold0", "--out", work / "joined"],
        "predict": [run, data, "--out", out],
        "export": [out, "--to", "csv"],
        "evaluate": [run, data, "--out", work],
        "submit": [run, data, "--held-out", "--out", work / "submission.csv"],
        "score": [work / "submission.solution.csv", work / "submission.csv"],
        "check-submission": [work / "submission.csv", "--out", work / "problems.json"],
        "check": [run, data],
        "report": [*of_run, work / "report.html"],
        "video": [out, "Lab/1", "--data", data, "--to", 0.2, "--out", work / "a.mp4"],
        "plot ethogram": [*of_run, work / "ethogram.svg"],
        "plot traces": [*of_run, work / "traces.svg"],
        "plot confusion": [*of_run, work / "confusion.svg"],
        "plot learning-curve": [work / "epochs", "--out", work / "curve.svg"],
        "summary": [out, "--data", data, "--out", work / "measures", "--no-figures"],
    }


def run_command(name, words, capsys, *options):
    capsys.readouterr()
    code = main([*name.split(), *map(str, [*words, *options])])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_every_command_prints_one_object_with_the_keys_that_are_documented(
    work, capsys
):
    words = words_of(work)
    told = {f"mabe {name}" for name in words}
    assert sorted(told) == TELLING

    for name, given in words.items():
        code, out, errors = run_command(name, given, capsys, "--json")
        values = json.loads(out)
        keys = keys_of(result_of(COMMANDS[f"mabe {name}"]))

        assert list(values) == [*COMMON_KEYS, *keys], (name, errors)
        assert (values["command"], values["exit_code"]) == (name, code), errors
        assert values["error"] is None
        lines = [line for line in errors.splitlines() if line.strip()]
        assert all(TIMED.match(line) for line in lines), name


@pytest.mark.parametrize("name", TELLING)
def test_every_key_says_what_it_holds(name):
    result = result_of(COMMANDS[name])
    assert f"`{name}`" in result.__doc__ or name.startswith("mabe plot")
    assert all(keys_of(result).values())
    assert not COMMON_KEYS.keys() & keys_of(result).keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_quiet_and_logged(name):
    options = {each for p in COMMANDS[name].params for each in p.opts}
    assert {"--quiet", "--log"} <= options
    assert ("--json" in options) == (name in TELLING)


def test_the_page_of_commands_is_current():
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert with_commands(page) == page, (
        "run: python -m mabe.cli.command_page docs/commands.md"
    )


def test_values_that_json_cannot_hold_become_null_and_text():
    result = Trained(run=Path("runs/a"), model=Path("s3://b/m"), macro_f1=float("nan"))
    assert to_plain(result) == {
        "run": "runs/a",
        "model": "s3://b/m",
        "macro_f1": None,
    }


# Exit codes.


@pytest.fixture
def videos(tmp_path):
    return write_chases(tmp_path / "videos", videos=2, seconds=2)


def test_all_done_is_exit_code_0(videos, capsys):
    code, out, errors = run_command("prepare", [videos], capsys)
    assert (code, errors) == (0, "")
    assert out.startswith("✓ 2 recordings")


def test_a_failed_check_is_exit_code_1(tmp_path, capsys):
    wrong = tmp_path / "submission.csv"
    wrong.write_text("row_id,video_id,agent_id,target_id,action,start_frame\n")
    code, out, _ = run_command("check-submission", [wrong], capsys, "--json")
    values = json.loads(out)
    assert (code, values["exit_code"], values["valid"]) == (1, 1, False)
    assert values["error"] is None


def test_an_input_that_cannot_be_used_is_exit_code_2(tmp_path, capsys):
    absent = tmp_path / "absent"
    code, out, errors = run_command("prepare", [absent], capsys, "--json")
    values = json.loads(out)
    assert (code, values["exit_code"]) == (2, 2)
    assert list(values) == list(COMMON_KEYS)
    assert errors.splitlines()[-1] == f"mabe: {values['error']}"


def test_a_wrong_option_is_exit_code_2_and_prints_no_object(capsys):
    code, out, errors = run_command("prepare", ["x", "--jsn"], capsys, "--json")
    assert (code, out) == (2, "")
    assert "--jsn" in errors


def test_what_is_left_out_is_exit_code_3_and_listed(videos, tmp_path, capsys):
    bad = videos / "train_tracking" / "Lab" / "2.parquet"
    bad.write_bytes(b"PAR1")
    words = [videos, "--out", tmp_path / "store", "--skip-bad"]
    code, out, _ = run_command("prepare", words, capsys, "--json")
    values = json.loads(out)
    assert (code, values["exit_code"]) == (3, 3)
    assert values["recordings"] == 1
    listed = pl.read_csv(tmp_path / "store" / "failures.csv")
    assert listed.to_dicts() == values["failures"]
    assert values["failures"][0]["file"] == "Lab/2"


# Quiet, and log files.


def test_quietly_an_import_prints_its_last_lines_only(work, tmp_path, capsys):
    words = [work / "tracks", "--fps", 30, "--dry-run"]
    _, loud, _ = run_command("import", words, capsys)
    code, quiet, errors = run_command("import", words, capsys, "--quiet")
    assert (code, errors) == (0, "")
    assert loud.endswith(quiet)
    assert quiet.count("\n") < loud.count("\n") / 2


def test_quietly_with_json_only_the_object_is_printed(videos, capsys):
    code, out, errors = run_command("inspect", [videos], capsys, "--json", "--quiet")
    assert (code, errors) == (0, "")
    assert json.loads(out)["videos"] == 2


def test_a_log_holds_all_that_was_printed_of_several_calls(videos, tmp_path, capsys):
    log = tmp_path / "logs" / "mabe.log"
    _, shown, _ = run_command("prepare", [videos], capsys, "--log", log)
    run_command("prepare", [tmp_path / "absent"], capsys, "--json", "--log", log)

    lines = log.read_text("utf-8").splitlines()
    assert all(TIMED.match(line) for line in lines)
    assert lines[1].endswith(shown.strip())
    assert "mabe: " in lines[-1]
    assert "absent" in lines[-1]


def test_a_log_that_cannot_be_written_is_refused_before_the_work(
    videos, tmp_path, capsys
):
    store = tmp_path / "store"
    words = [videos, "--out", store, "--log", videos / "train.csv" / "mabe.log"]
    code, _, errors = run_command("prepare", words, capsys)
    assert code == 2
    assert "--log" in errors
    assert not store.exists()


def test_without_a_terminal_progress_is_printed_as_lines(monkeypatch, capsys):
    monkeypatch.setattr(console, "PROGRESS_LINE_S", 0)
    for _ in progress_bar(range(2), desc="Reading", unit="video"):
        pass
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first.startswith("Reading: 0 of 2 videos in 00:00")
    assert last.startswith("Reading: 2 of 2 videos in 00:00")
    for _ in progress_bar(range(2), desc="Epoch", unit="batch"):
        pass
    assert "Epoch: 2 of 2 batches in" in capsys.readouterr().err
    monkeypatch.setattr(console, "PROGRESS_LINE_S", 30)
    with progress_bar(total=2, desc="Reading", unit="video") as bar:
        bar.update()
        bar.set_postfix_str("a name")
    assert capsys.readouterr().err == ""


def test_names_of_any_script_survive_a_console_that_lacks_them(tmp_path):
    (tmp_path / "мыши").mkdir()
    command = [sys.executable, "-m", "mabe", "inspect", tmp_path / "мыши", "--json"]
    for encoding in ("utf-8", "ascii"):
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 2
        assert "мыши: no file here" in json.loads(done.stdout.decode(encoding))["error"]
