"""Whole runs of the pair task on a story of one who chases and one who flees."""

import csv
import json
import shutil

import numpy as np
import polars as pl
import pytest
import torch
from chases import TINY_PAIRS, write_chases
from stories import FPS, TINY, write_fights

from mabe.bouts import View
from mabe.cli.main import main
from mabe.config import build_config
from mabe.data.store import from_recording
from mabe.errors import ConfigError, DataError, StopRequested
from mabe.inference.evaluate import Unseen, compare, evaluate, evaluate_pairs
from mabe.inference.frame_probabilities import Tracks, view_probabilities
from mabe.inference.predict import Predictor, predict
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.metrics import mabe_f_score
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run import train

FRAMES = int(24 * FPS)


def settings(data, folder, **more):
    values = {**TINY_PAIRS, "epochs": 30, "data_dir": data, **more}
    values |= {"checkpoint_dir": folder / "run", "store_dir": folder / "store"}
    return build_config(values, where="test")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_chases(tmp_path_factory.mktemp("chases") / "data")


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    """Eight videos of the same story, of which six are those of `data`."""
    return write_chases(tmp_path_factory.mktemp("unseen") / "data", videos=8)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return train(settings(data, tmp_path_factory.mktemp("run"))).run_dir


@pytest.fixture(scope="module")
def checkpoint(run):
    return load_checkpoint(run)


@pytest.fixture(scope="module")
def predicted(checkpoint, unseen, tmp_path_factory):
    """The predictions of all recordings of `unseen`."""
    out = tmp_path_factory.mktemp("predicted")
    predict(Predictor(checkpoint), unseen, out)
    return out


def read_rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_who_chases_whom_is_learned_and_exchanging_the_two_is_wrong(checkpoint, unseen):
    found = compare(Unseen(Predictor(checkpoint), unseen))
    exchanged = found.solution.rename(
        {"agent_id": "target_id", "target_id": "agent_id"}
    )
    assert mabe_f_score(found.solution, found.submission) > 0.85
    assert mabe_f_score(exchanged, found.submission) < 0.15


def test_recordings_learned_from_are_left_out_of_the_score(checkpoint, unseen):
    report = evaluate_pairs(Unseen(Predictor(checkpoint), unseen))
    assert any("4 left out: training recordings" in note for note in report.notes)
    labels = sum(action.label_frames for action in report.strict.actions)
    assert labels == 4 * FRAMES // 2  # four of eight videos, chases in half of each


def test_bouts_say_who_and_whom_at_the_recordings_own_frames(predicted):
    bouts = [b for b in read_rows(predicted / "bouts.csv") if b["video"] == "8"]
    long = [b for b in bouts if int(b["stop_frame"]) - int(b["start_frame"]) > FPS]
    # In video 8 the chases are from 4, 12 and 20 s on, mouse 1 beginning.
    assert [float(b["start_s"]) for b in long] == pytest.approx([4, 12, 20], abs=0.7)
    assert [(b["agent"], b["target"]) for b in long] == [
        ("mouse1", "mouse2"),
        ("mouse2", "mouse1"),
        ("mouse1", "mouse2"),
    ]
    assert all(int(b["stop_frame"]) <= FRAMES for b in bouts)


def test_there_is_a_probability_for_each_view_and_action(predicted):
    table = pl.read_parquet(predicted / "probabilities" / "Lab" / "8.parquet")
    assert table.columns == ["frame", "mouse1,mouse2,chase", "mouse2,mouse1,chase"]
    assert table["frame"].to_list() == list(range(FRAMES))
    assert table.drop("frame").to_numpy().max() <= 1


def test_only_what_the_metadata_ask_for_is_marked(checkpoint, tmp_path):
    asked = write_chases(tmp_path / "a", videos=1, watched=["mouse2,mouse1,chase"])
    predict(Predictor(checkpoint), asked, tmp_path / "out")
    assert {b["agent"] for b in read_rows(tmp_path / "out" / "bouts.csv")} == {"mouse2"}


def test_a_scored_recording_is_marked_as_a_new_one_is(
    checkpoint, unseen, predicted, tmp_path
):
    hidden = tmp_path / "hidden"
    shutil.copytree(unseen, hidden)
    shutil.rmtree(hidden / "train_annotation")
    predict(Predictor(checkpoint), hidden, tmp_path)
    same = [(folder / "bouts.csv").read_bytes() for folder in (predicted, tmp_path)]
    assert same[0] == same[1]


def test_a_run_that_was_stopped_ends_the_same(data, tmp_path, monkeypatch):
    whole = train(settings(data, tmp_path / "whole", epochs=2)).run_dir
    config = settings(data, tmp_path / "cut", epochs=2)
    monkeypatch.setattr("mabe.training.training_loop.save_models", _press_ctrl_c)
    with pytest.raises(StopRequested):
        train(config)
    monkeypatch.undo()
    cut = train(config, resume=True).run_dir
    one, other = (
        load_checkpoint(run / "last.safetensors").model.state_dict()
        for run in (whole, cut)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


def _press_ctrl_c(*_args, **_more):
    raise StopRequested("stopped")


def test_a_submission_marks_the_test_videos_alone_and_is_valid(
    run, unseen, tmp_path, capsys
):
    kaggle = tmp_path / "kaggle"
    shutil.copytree(unseen, kaggle)
    (kaggle / "train_tracking").rename(kaggle / "test_tracking")
    table = (kaggle / "train.csv").read_text().splitlines()
    last_two = [table[0], *table[-2:]]
    (kaggle / "test.csv").write_text("\n".join(last_two) + "\n")
    (kaggle / "train.csv").unlink()
    shutil.rmtree(kaggle / "train_annotation")
    out = tmp_path / "submission.csv"
    assert main(["submit", str(run), str(kaggle), "--out", str(out)]) == 0
    assert "✓" in capsys.readouterr().out
    assert {row["video_id"] for row in read_rows(out)} == {"7", "8"}
    assert main(["check-submission", str(out), "--data", str(kaggle)]) == 0


def test_a_held_out_submission_comes_with_its_solution(run, unseen, tmp_path, capsys):
    out = tmp_path / "held.csv"
    assert main(["submit", str(run), str(unseen), "--held-out", "--out", str(out)]) == 0
    capsys.readouterr()
    solution = str(tmp_path / "held.solution.csv")
    assert main(["score", solution, str(out), "--json"]) == 0
    score = json.loads(capsys.readouterr().out)["score"]
    report = evaluate(Unseen(Predictor(load_checkpoint(run)), unseen)).to_json()
    assert score == pytest.approx(report["score"], abs=1e-12)
    assert score > 0.85


def test_a_model_of_scenes_cannot_submit(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    data = write_fights(tmp_path / "data", videos=2, seconds=8)
    values = {**TINY, "epochs": 1, "data_dir": data, "checkpoint_dir": tmp_path / "run"}
    train(build_config(values, where="test"))
    assert main(["submit", str(tmp_path / "run"), str(data)]) == 2
    assert "Train with `task: pair`" in capsys.readouterr().err


def test_finding_nothing_is_a_score_of_zero_and_no_submission(
    data, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    blind = train(settings(data, tmp_path, epochs=1, learning_rate=1e-9)).run_dir
    # A fresh network of pairs answers "one in twenty" to everything.
    capsys.readouterr()
    assert main(["evaluate", str(blind), str(data)]) == 0
    assert "score" in capsys.readouterr().out
    assert main(["submit", str(blind), str(with_test_videos(data, tmp_path))]) == 2
    assert "predicts no bout" in capsys.readouterr().err


def test_a_submission_is_of_test_videos_not_of_those_to_learn_from(run, data, capsys):
    assert main(["submit", str(run), str(data)]) == 2
    assert "has no test.csv" in capsys.readouterr().err


def with_test_videos(data, folder):
    """A copy of a data set whose training videos are test videos."""
    kaggle = folder / "test-videos"
    shutil.copytree(data, kaggle)
    (kaggle / "train_tracking").rename(kaggle / "test_tracking")
    (kaggle / "train.csv").rename(kaggle / "test.csv")
    shutil.rmtree(kaggle / "train_annotation")
    return kaggle


def test_labels_without_direction_count_for_both_and_are_asked_once(tmp_path):
    data = write_chases(tmp_path / "d", videos=3, watched=["mouse1,mouse2,chase"])
    config = settings(data, tmp_path, epochs=1, undirected=["chase"])
    checkpoint = load_checkpoint(train(config).run_dir)
    model = checkpoint.model
    recording = read_recording(read_index(data)[0])
    tracks = Tracks.of_stored(from_recording(recording, config.fps), 0)
    one, other = (
        view_probabilities(model, tracks, view, "Lab")
        for view in (View(1, 2), View(2, 1))
    )
    np.testing.assert_allclose(one, other, atol=1e-6)
    predict(Predictor(checkpoint), data, tmp_path / "out")
    table = pl.read_parquet(tmp_path / "out" / "probabilities" / "Lab" / "1.parquet")
    assert table.columns == ["frame", "mouse1,mouse2,chase"]


def test_an_action_that_is_nowhere_is_named(data, tmp_path):
    with pytest.raises(ConfigError, match=r"actions: \['chaes'\].*\['chase'\]"):
        train(settings(data, tmp_path, actions=["chaes"]))


def test_data_without_any_label_say_so(tmp_path):
    data = write_chases(tmp_path / "data", videos=2, seconds=4)
    shutil.rmtree(data / "train_annotation")
    with pytest.raises(DataError, match="frame that counts"):
        train(settings(data, tmp_path))
