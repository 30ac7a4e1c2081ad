import csv
import subprocess
import sys
from pathlib import Path

import pytest
from stories import write_fights

from mabe import __version__
from mabe.cli.main import main

ROOT = Path(__file__).parent.parent
MODELS = Path(__file__).parent / "models_of_d8a304b"


@pytest.mark.parametrize(
    "command",
    [
        *("simulate", "prepare", "train", "crossval", "tune", "ensemble", "predict"),
        *("evaluate", "submit", "check-submission", "score", "check"),
        *("report", "view", "plot"),
    ],
)
def test_every_command_explains_itself(command, capsys):
    assert main([command, "--help"]) == 0
    assert "Usage: mabe" in capsys.readouterr().out


def test_help_does_not_wait_for_torch():
    code = "import sys; from mabe.cli.main import main; main(['--help']); "
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_wrong_option_or_command_is_exit_code_2(capsys):
    assert main(["train", "--epocs", "3"]) == 2
    assert main(["trian"]) == 2
    assert main(["predict"]) == 2


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["train", "--config", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["train", "--set", "epoch=3"], "did you mean 'epochs'?"),
        (["train", "--data-dir", "nowhere"], "mabe simulate"),
        (["prepare", "nowhere"], "nowhere"),
        (["predict", "nowhere", "data", "--out", "out"], "no model here"),
        (["evaluate", "nowhere", "data"], "no model here"),
        (["tune", "nowhere"], "no model here"),
        (["report", "nowhere"], "no model here"),
        (["view", "nowhere", "1"], "no model here"),
        (["plot", "traces", "nowhere", "--out", "x.svg"], "no model here"),
        (["ensemble", "nowhere", "--out", "out"], "no model here"),
        (["submit", "nowhere", "data"], "no model here"),
        (["score", "nowhere.csv", "other.csv"], "nowhere.csv"),
        (["check-submission", "nowhere.csv"], "nowhere.csv"),
        (["crossval", "--set", "split_by=frame"], "rewards memory"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_exit_code_2(
    args, expected, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    assert main(args) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.startswith("mabe: ")
    assert error.count("\n") == 1


def test_the_local_script_is_the_same_code_path(tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / "train_local_5090.py"),
            "--max-sequences",
            "10",
            "--data-dir",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert result.returncode == 2
    assert "Device: " in result.stdout
    assert "kaggle" in result.stderr.lower()
    assert "mabe simulate" in result.stderr


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mabe ")


def listed(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["file"], row["reason"]) for row in csv.DictReader(file)]


def test_what_is_left_out_is_listed_and_told_by_the_exit_code(tmp_path, capsys):
    data = write_fights(tmp_path / "data", videos=3)
    broken = data / "train_tracking" / "Lab" / "2.parquet"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    out = tmp_path / "out"
    model = MODELS / "scene_tcn.safetensors"
    for words in (
        ["prepare", data, "--workers", "1"],
        ["predict", model, data],
        ["evaluate", model, data],
        ["summary", data, "--no-figures"],
    ):
        command = [str(word) for word in (*words, "--out", out / words[0])]
        assert main(command) == 2
        assert main([*command, "--skip-bad"]) == 3
        [(file, reason)] = listed(out / words[0] / "failures.csv")
        assert file == "Lab/2"
        assert "2.parquet" in reason
        assert "1 left out; listed in" in capsys.readouterr().err
    broken.write_bytes(whole)
    for words in (["prepare", data, "--workers", "1"], ["predict", model, data]):
        command = [str(word) for word in (*words, "--out", out / words[0])]
        assert main(command) == 0
        assert not (out / words[0] / "failures.csv").exists()


def test_python_m_mabe_is_the_command_line():
    words = [sys.executable, "-m", "mabe", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"mabe {__version__}\n"
