"""What killed programs leave: it stops no later one, and is removed by it."""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from format_files import write_long
from kills import files_in, killed_at
from stories import write_fights

from mabe.bouts import Bout
from mabe.cli.main import main
from mabe.config import build_config
from mabe.data.prepare import load_store
from mabe.experiments.cross_validation import make_plan
from mabe.inference.predict import Predictor
from mabe.io.probabilities import Origin, read_origin, write_probabilities
from mabe.runtime import unfinished
from mabe.runtime.files import write_text
from mabe.runtime.unfinished import is_unfinished
from mabe.training.objectives import load_training_data
from mabe.training.run_directory import is_begun

MODELS = Path(__file__).parent / "models_of_d8a304b"
DEAD = 2**22 + 1
"""An id above those that Linux gives."""


@pytest.fixture(autouse=True)
def _another_process():
    unfinished._cleared.clear()


def left_by(process, folder, name="notes.txt", machine=None):
    """Leave a half-written file of a process."""
    machine = machine or unfinished._machine()
    path = folder / f".{name}.{machine}-{process}-0123abcd.tmp"
    path.write_text("half")
    return path


# ── files ──


def test_what_a_dead_process_left_is_removed_and_the_rest_is_not(tmp_path):
    dead = left_by(DEAD, tmp_path)
    alive = left_by(os.getppid(), tmp_path)
    elsewhere = left_by(DEAD, tmp_path, machine="ffffff")
    own = tmp_path / ".notes.tmp"
    own.write_text("precious")

    write_text(tmp_path / "other.txt", "new")

    assert not dead.exists()
    assert alive.exists()
    assert elsewhere.exists()
    assert own.exists()


def test_what_another_machine_left_is_removed_after_a_day(tmp_path):
    old = left_by(1, tmp_path, machine="ffffff")
    earlier = tmp_path / ".notes.txt.0123abcd.tmp"  # of a version before 0.3
    earlier.write_text("half")
    for path in (old, earlier):
        os.utime(path, (0, 0))
    write_text(tmp_path / "other.txt", "new")
    assert [each.name for each in tmp_path.iterdir()] == ["other.txt"]


def test_a_folder_that_was_being_written_is_removed_too(tmp_path):
    folder = tmp_path / f".out.{unfinished._machine()}-{DEAD}-0123abcd.tmp"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "half").write_text("half")
    write_text(tmp_path / "other.txt", "new")
    assert not folder.exists()


def test_a_file_that_is_being_written_is_never_taken_for_left(tmp_path):
    with unfinished.unfinished(tmp_path / "a") as beside:
        beside.write_text("half")
        write_text(tmp_path / "b", "whole")
        assert beside.exists()
        assert is_unfinished(beside.name)
    assert not beside.exists()


SLEEP = """
import sys, time
from pathlib import Path
from mabe.runtime.files import write_atomically
def write(beside):
    beside.write_text("half")
    print(beside.name, flush=True)
    time.sleep(60)
write_atomically(Path(sys.argv[1]) / "notes.txt", write)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_process_that_is_killed_leaves_a_file_that_the_next_one_removes(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", SLEEP, tmp_path], stdout=subprocess.PIPE, text=True
    ) as process:
        name = process.stdout.readline().strip()
        write_text(tmp_path / "other.txt", "new")
        assert (tmp_path / name).exists()  # it is still being written
        process.kill()
        process.wait()
    unfinished._cleared.clear()
    write_text(tmp_path / "other.txt", "newer")
    assert not (tmp_path / name).exists()


# ── commands ──


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return shutil.copytree(MODELS / "scenes", tmp_path_factory.mktemp("data") / "s")


@pytest.fixture(scope="module")
def predicted(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("predicted") / "p"
    words = ["predict", MODELS / "pair_trees.safetensors", MODELS / "pairs"]
    assert run(*words, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def trained(scenes, tmp_path_factory):
    """A run directory with a model, whose evaluation and report are written."""
    run_dir = shutil.copytree(MODELS / "run", tmp_path_factory.mktemp("run") / "r")
    shutil.copy(MODELS / "scene_v2.safetensors", run_dir / "best.safetensors")
    return run_dir


def run(*words):
    return main([str(word) for word in words])


def killed_anywhere(command, out, *, every=1, ignore=r"^$"):
    """Kill a command at (some of) its renames, and compare the next run's files."""

    def files():
        found = files_in(out.parent).items()
        return {name: each for name, each in found if not re.search(ignore, name)}

    def fresh():
        if out.parent.exists():
            shutil.rmtree(out.parent)
        out.parent.mkdir()

    fresh()
    assert run(*command) == 0
    whole = files()
    for number in count(1, every):
        fresh()
        if not killed_at(number, lambda: run(*command)):
            break
        assert run(*command) == 0, number
        assert files() == whole, number
    assert number > every


def test_predict_after_a_kill(tmp_path, scenes):
    out = tmp_path / "w" / "out"
    model = MODELS / "scene_tcn.safetensors"
    killed_anywhere(["predict", model, scenes, "--out", out], out)


@pytest.mark.parametrize("to", ["boris", "csv", "calms21", "submission"])
def test_export_after_a_kill(tmp_path, predicted, to):
    out = tmp_path / "w" / "out"
    killed_anywhere(["export", predicted, "--to", to, "--out", out], out)


def test_import_after_a_kill(tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "w" / "out"
    raw.mkdir()
    for name in ("a", "b"):
        write_long(raw / f"{name}.csv")
    options = ("--fps", "30", "--pixels-per-cm", "10")
    killed_anywhere(["import", raw, "--out", out, *options], out)


def test_evaluate_after_a_kill(tmp_path, trained, scenes):
    out = tmp_path / "w" / "out"
    options = ("--include-training", "--out", out)
    killed_anywhere(["evaluate", trained, scenes, *options], out)


def test_ensemble_after_a_kill(tmp_path):
    out = tmp_path / "w" / "out"
    models = [MODELS / f"scene_{name}.safetensors" for name in ("tcn", "v2")]
    killed_anywhere(["ensemble", *models, "--out", out], out)


def test_summary_after_a_kill(tmp_path, predicted):
    out = tmp_path / "w" / "out"
    # An Excel file holds the time at which it was written.
    words = ["summary", predicted, "--no-figures", "--out", out]
    killed_anywhere(words, out, every=23, ignore=r"\.xlsx$")


def test_another_ensemble_is_not_replaced(tmp_path, capsys):
    tcn, v2 = (MODELS / f"scene_{name}.safetensors" for name in ("tcn", "v2"))
    assert run("ensemble", tcn, v2, "--out", tmp_path / "out") == 0
    whole = files_in(tmp_path)
    assert run("ensemble", tcn, tcn, "--out", tmp_path / "out") == 2
    assert "another model" in capsys.readouterr().err
    assert files_in(tmp_path) == whole


def test_an_import_over_an_earlier_one_is_whole_or_no_data_set(tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    for name in ("a", "b"):
        write_long(raw / f"{name}.csv")
    words = ["import", raw, "--out", out, "--pixels-per-cm", "10", "--fps"]

    def data_set():
        return {k: v for k, v in files_in(out).items() if k.startswith("train")}

    assert run(*words, "25") == 0
    new = data_set()
    for number in count(1):
        assert run(*words, "30") == 0
        old = data_set()
        if not killed_at(number, lambda: run(*words, "25")):
            break
        assert not (out / "train.csv").is_file() or data_set() in (old, new), number
    assert number > 6


# ── runs ──


TINY = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 4, "sequence_length": 16}


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data", videos=4)


@pytest.mark.parametrize("at", range(1, 10))
def test_a_run_killed_as_it_begins_is_begun_again_by_the_same_command(
    tmp_path, fights, at
):
    out = tmp_path / "runs" / "r"
    settings = {
        **TINY,
        "classes": {"other": [], "fight": ["attack"]},
        "model_type": "tcn",
        "tcn_width": 4,
        "tcn_layers": 2,
    }
    (tmp_path / "c.yaml").write_text(json.dumps(settings))
    words = ["train", "--config", tmp_path / "c.yaml", "--data-dir", fights]
    words += ["--out", out]
    load_store(fights, rate_fps=33.3)

    assert killed_at(at, lambda: run(*words))
    assert run(*words, *(["--resume"] if is_begun(out) else [])) == 0

    names = {each.name for each in out.parent.rglob("*")}
    assert not [name for name in names if "earlier" in name or is_unfinished(name)]
    assert {"run.json", "config.yaml", "best.safetensors", "state.pt"} <= names


def test_a_crossvalidation_killed_as_it_begins(tmp_path, fights):
    config = build_config(
        {
            **TINY,
            "classes": {"other": [], "fight": ["attack"]},
            "model_type": "trees",
            "feature_set": "social",
            "data_dir": fights,
            "checkpoint_dir": tmp_path / "cv",
        },
        where="settings",
    )
    data = load_training_data(config, skip_bad=False)
    assert killed_at(1, lambda: make_plan(config, data, folds=2, seeds=1))
    make_plan(config, data, folds=2, seeds=1)
    make_plan(config, data, folds=2, seeds=1)
    assert [each.name for each in (tmp_path / "cv").iterdir()] == ["crossval.json"]


# ── predictions that are there ──


TCN, V2 = (MODELS / f"scene_{name}.safetensors" for name in ("tcn", "v2"))


@pytest.fixture
def predicted_here(monkeypatch):
    """The recordings that were predicted, not kept, in the order of the calls."""
    names = []
    predict_recording = Predictor.predict_recording

    def note(self, store, index):
        names.append(store.recordings[index].name)
        return predict_recording(self, store, index)

    monkeypatch.setattr(Predictor, "predict_recording", note)
    return names


def test_predict_goes_on_where_it_was_stopped(tmp_path, scenes, predicted_here):
    words = ["predict", TCN, scenes, "--out"]
    assert run(*words, tmp_path / "whole") == 0
    everything = [*predicted_here]
    assert len(everything) == 2
    predicted_here.clear()
    # Killed after the file of the first recording was renamed into place.
    assert killed_at(2, lambda: run(*words, tmp_path / "out"))
    assert predicted_here == everything[:1]

    assert run(*words, tmp_path / "out") == 0

    assert predicted_here == everything
    assert files_in(tmp_path / "out") == files_in(tmp_path / "whole")


def test_what_is_predicted_and_unchanged_is_kept(
    tmp_path, scenes, predicted_here, capsys
):
    words = ["predict", TCN, scenes, "--out", tmp_path / "out"]
    assert run(*words) == 0
    whole = files_in(tmp_path / "out")
    predicted_here.clear()

    assert run(*words) == 0

    assert predicted_here == []
    assert "2 of 2 recordings predicted before, and unchanged: kept" in (
        capsys.readouterr().out
    )
    assert files_in(tmp_path / "out") == whole


def test_another_model_or_other_poses_are_predicted_anew(
    tmp_path, scenes, predicted_here
):
    data = shutil.copytree(scenes, tmp_path / "data")
    out = tmp_path / "out"

    def newly_predicted(model, *options):
        predicted_here.clear()
        assert run("predict", model, data, "--out", out, *options) == 0
        return len(predicted_here)

    assert newly_predicted(TCN) == 2
    assert newly_predicted(V2) == 2
    assert newly_predicted(V2, "--tta", "2") == 2
    assert newly_predicted(V2, "--tta", "2") == 0
    path = next(data.glob("train_tracking/*/*.parquet"))
    table = pl.read_parquet(path).with_columns(pl.col("x") + 1)
    table.write_parquet(path)
    assert newly_predicted(V2, "--tta", "2") == 1
    for damaged in out.glob("probabilities/*/*.parquet"):
        damaged.write_bytes(damaged.read_bytes()[:-9])
    assert newly_predicted(V2, "--tta", "2") == 2


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'["k", "m", 1, [[1]]]', b"\xff"])
def test_an_origin_that_is_damaged_is_none(tmp_path, text):
    path = tmp_path / "p.parquet"
    columns = {"a": np.zeros(3, np.float32)}
    origin = Origin("key", "model", 1, (Bout(0, 2, "a", 1, 2, 0.25),))
    write_probabilities(path, columns, frames=3, origin=origin)
    assert read_origin(path) == origin
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"mabe": text}), path)
    assert read_origin(path) is None


def test_probabilities_of_another_model_are_not_summarized(tmp_path, capsys):
    """Killed as a second model had predicted one recording of two."""
    out = tmp_path / "out"
    first, second = (MODELS / f"pair_{name}.safetensors" for name in ("trees", "tuned"))
    assert run("predict", first, MODELS / "pairs", "--out", out) == 0
    words = ["summary", out, "--no-figures", "--out", tmp_path / "s"]
    assert run(*words) == 0
    assert killed_at(2, lambda: run("predict", second, MODELS / "pairs", "--out", out))
    capsys.readouterr()

    assert run(*words) == 2
    assert "was not predicted by the model of bouts.csv" in capsys.readouterr().err
    # The bouts of the first model are whole, beside its own provenance.
    assert run("export", out, "--to", "csv", "--out", tmp_path / "e") == 0
