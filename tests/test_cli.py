import subprocess
import sys
from pathlib import Path

import pytest

from mabe.cli.main import main

ROOT = Path(__file__).parent.parent


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
