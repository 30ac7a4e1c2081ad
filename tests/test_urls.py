"""URLs in the place of paths: fetched before a command, put back after it."""

import json
import shutil
from pathlib import Path

import fsspec
import pytest
from chases import write_chases
from format_files import write_dlc_csv

from mabe.cli.main import main

MODELS = Path(__file__).parent / "models_of_d8a304b"


@pytest.fixture
def memory(tmp_path, monkeypatch):
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


@pytest.fixture
def labs(memory, tmp_path):
    """A run and its data at URLs, and the data here."""
    data = write_chases(tmp_path / "data", videos=2, seconds=3)
    memory.put(str(data), "/labs/data", recursive=True)
    memory.put(str(MODELS / "pair_trees.safetensors"), "/labs/run/best.safetensors")
    return data


def names_below(memory, folder):
    return sorted(name.removeprefix(f"{folder}/") for name in memory.find(folder))


def test_predictions_are_those_of_local_paths(memory, labs, tmp_path, capsys):
    model = MODELS / "pair_trees.safetensors"
    assert main(["predict", str(model), str(labs), "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    words = ["memory://labs/run", "memory://labs/data", "--out", "memory://labs/out"]
    assert main(["predict", *words, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["out"] == "memory://labs/out"
    assert told["bouts_file"] == "memory://labs/out/bouts.csv"
    here = sorted(
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    )
    assert names_below(memory, "/labs/out") == here
    assert (
        memory.cat("/labs/out/bouts.csv") == (tmp_path / "out/bouts.csv").read_bytes()
    )
    assert list(Path.cwd().glob("memory:*")) == []


def test_a_second_call_keeps_what_the_first_predicted(memory, labs, capsys):
    words = ["memory://labs/run", "memory://labs/data", "--out", "memory://labs/out"]
    assert main(["predict", *words]) == 0
    capsys.readouterr()
    assert main(["predict", *words]) == 0
    shown = capsys.readouterr().out
    assert "2 of 2 recordings predicted before, and unchanged: kept" in shown
    assert "memory://labs/out/bouts.csv" in shown


def test_a_file_is_written_beside_others_that_stay(memory, labs, capsys):
    memory.pipe("/labs/other.html", b"mine")
    memory.pipe("/labs/page.failures.csv", b"file,reason\n")
    words = ["memory://labs/run", "--data", str(labs), "--include-training"]
    assert main(["report", *words, "--out", "memory://labs/page.html"]) == 0
    assert memory.cat("/labs/page.html").startswith(b"<!")
    assert memory.cat("/labs/other.html") == b"mine"
    assert not memory.exists("/labs/page.failures.csv")
    assert "✓ memory://labs/page.html" in capsys.readouterr().out


def test_a_folder_of_tracks_is_imported_from_one_url_to_another(
    memory, tmp_path, capsys
):
    write_dlc_csv(tmp_path / "aDLC_x.csv")
    memory.put(str(tmp_path / "aDLC_x.csv"), "/labs/tracks/aDLC_x.csv")
    words = ["memory://labs/tracks", "--out", "memory://labs/new", "--fps", "30"]
    assert main(["import", *words]) == 0
    assert "train.csv" in names_below(memory, "/labs/new")

    memory.pipe("/labs/mine/notes.txt", b"mine")
    words[2] = "memory://labs/mine"
    assert main(["import", *words]) == 2
    assert "memory://labs/mine" in capsys.readouterr().err
    assert names_below(memory, "/labs/mine") == ["notes.txt"]


def test_a_command_that_fails_puts_nothing(memory, labs, capsys):
    words = ["memory://labs/run", "memory://labs/absent", "--out", "memory://labs/out"]
    assert main(["predict", *words]) == 2
    assert "memory://labs/absent" in capsys.readouterr().err
    assert names_below(memory, "/labs/out") == []


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["train", "data", "--out", "s3://bucket/run"], "checkpoint-dir"),
        (["crossval", "--checkpoint-dir", "s3://bucket/run"], "checkpoint-dir"),
        (["train", "--set", "checkpoint_dir=s3://bucket/run"], "checkpoint_dir"),
        (["inspect", "data", "--log", "s3://bucket/log"], "log"),
        (["studio", "s3://bucket/project"], "project-dir"),
    ],
)
def test_where_a_url_makes_no_sense_it_is_refused_in_one_line(
    words, option, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{option}: s3://bucket" in line
    assert "give a local path" in line
    assert list(tmp_path.iterdir()) == []


def test_a_url_with_nothing_is_named(memory, capsys):
    assert main(["check", "memory://labs/nothing"]) == 2
    assert "memory://labs/nothing: no such file or folder" in capsys.readouterr().err
    assert main(["tune", "memory://labs/nothing"]) == 2
    assert "memory://labs/nothing: no model here" in capsys.readouterr().err


def test_what_is_written_names_urls_and_no_temporary_copies(memory, labs, tmp_path):
    """Lists of failures, scores, notes and reports of what came from URLs."""
    shutil.copytree(labs, tmp_path / "bad")
    (tmp_path / "bad/train_tracking/Lab/2.parquet").write_bytes(b"PAR1")
    write_dlc_csv(tmp_path / "aDLC_x.csv")
    for name, path in {
        "bad": tmp_path / "bad",
        "tracks/aDLC_x.csv": tmp_path / "aDLC_x.csv",
        "tracks/bDLC_x.csv": tmp_path / "bad/train_tracking/Lab/2.parquet",
    }.items():
        memory.put(str(path), f"/labs/{name}", recursive=path.is_dir())
    run, out = "memory://labs/run", tmp_path / "out"
    told = {}
    for name, *words in (
        ("import", "memory://labs/tracks", "--fps", "30", "--skip-bad"),
        ("predict", run, "memory://labs/tracks", "--fps", "30", "--skip-bad"),
        ("evaluate", run, "memory://labs/bad", "--include-training", "--skip-bad"),
        ("summary", "memory://labs/out/predict", "--data", "memory://labs/data"),
    ):
        for place in (str(out / name), f"memory://labs/out/{name}"):
            no_figures = ["--no-figures"] if name == "summary" else []
            told[name] = main([name, *words, "--out", place, *no_figures])
        if name == "predict":
            labelled = ["memory://labs/data", "--out", "memory://labs/out/predict"]
            assert main(["predict", run, *labelled]) == 0

    assert told == {"import": 3, "predict": 3, "evaluate": 3, "summary": 0}
    written = {str(path): path.read_bytes() for path in out.rglob("*.*")}
    written |= {path: memory.cat(path) for path in memory.find("/labs/out")}
    assert sum(path.endswith("failures.csv") for path in written) == 5
    assert [path for path, data in written.items() if b"mabe-url-" in data] == []
    assert b"memory://labs/bad" in written[str(out / "evaluate/metrics.json")]
