import csv
import json
import shutil

import numpy as np
import polars as pl
import pytest
from stories import FPS, TINY, write_fights

from mabe.config import build_config
from mabe.data.prepare import prepare
from mabe.errors import ConfigError, DataError
from mabe.inference.evaluate import Unseen, evaluate, evaluate_scenes
from mabe.inference.predict import Predictor, predict
from mabe.models.checkpoint import load_checkpoint
from mabe.training.run import train

FRAMES = int(24 * FPS)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data")


@pytest.fixture(scope="module")
def unseen(tmp_path_factory):
    """Eight videos of the same story, of which six are those of `data`."""
    return write_fights(tmp_path_factory.mktemp("unseen") / "data", videos=8)


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    values = {**TINY, "epochs": 12, "data_dir": data, "store_dir": folder / "store"}
    values["checkpoint_dir"] = folder / "run"
    return train(build_config(values, where="test")).run_dir


@pytest.fixture(scope="module")
def checkpoint(run):
    return load_checkpoint(run)


@pytest.fixture(scope="module")
def predicted(checkpoint, unseen, tmp_path_factory):
    """The predictions of all recordings of `unseen`."""
    out = tmp_path_factory.mktemp("predicted")
    predict(Predictor(checkpoint), unseen, out)
    return out


def read_bouts(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_predicted_bouts_are_the_fights_at_the_recordings_own_frames(predicted):
    bouts = [b for b in read_bouts(predicted / "bouts.csv") if b["video"] == "8"]
    # In an even video the fights are from 4 to 8 s, 12 to 16 s and 20 to 24 s.
    long = [b for b in bouts if int(b["stop_frame"]) - int(b["start_frame"]) > FPS]
    starts = [float(b["start_s"]) for b in long]
    assert starts == pytest.approx([4, 12, 20], abs=0.7)
    for bout in bouts:
        assert bout["class"] == "aggressive"
        assert 0 <= int(bout["start_frame"]) < int(bout["stop_frame"]) <= FRAMES
        assert float(bout["start_s"]) == pytest.approx(int(bout["start_frame"]) / FPS)
        assert 0.25 < float(bout["probability"]) <= 1


def test_there_is_a_probability_for_each_class_and_frame(predicted):
    table = pl.read_parquet(predicted / "probabilities" / "Lab" / "8.parquet")
    assert table.columns == ["frame", "background", "social", "mating", "aggressive"]
    assert table["frame"].to_list() == list(range(FRAMES))
    np.testing.assert_allclose(table.drop("frame").to_numpy().sum(1), 1, rtol=1e-5)


def test_classes_nobody_watched_for_are_not_predicted(predicted):
    table = pl.read_parquet(predicted / "probabilities" / "Lab" / "8.parquet")
    assert (table["mating"] == 0).all()


def test_one_file_a_folder_and_a_store_give_the_same(
    checkpoint, unseen, predicted, tmp_path
):
    prepare(unseen, tmp_path / "store", rate_fps=33.3, workers=1, progress=False)
    one_file = unseen / "train_tracking" / "Lab" / "8.parquet"
    of_store, of_file = tmp_path / "of_store", tmp_path / "of_file"
    predict(Predictor(checkpoint), tmp_path / "store", of_store)
    predict(Predictor(checkpoint), one_file, of_file)
    tables = [
        pl.read_parquet(folder / "probabilities" / "Lab" / "8.parquet")
        for folder in (predicted, of_store, of_file)
    ]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    assert len(read_bouts(of_file / "bouts.csv")) < len(
        read_bouts(predicted / "bouts.csv")
    )


def test_files_of_an_earlier_call_stay_and_are_told(
    checkpoint, unseen, predicted, tmp_path, capsys
):
    shutil.copytree(predicted, tmp_path, dirs_exist_ok=True)
    one_file = unseen / "train_tracking" / "Lab" / "8.parquet"
    predict(Predictor(checkpoint), one_file, tmp_path / "new")
    assert "earlier call" not in capsys.readouterr().out
    shutil.rmtree(tmp_path / "new")
    predict(Predictor(checkpoint), one_file, tmp_path)
    assert "holds 7 files of an earlier call" in capsys.readouterr().out
    assert len(list(tmp_path.rglob("*.parquet"))) == 8


def test_recordings_without_labels_are_marked_too(checkpoint, tmp_path):
    quiet = write_fights(tmp_path / "quiet", videos=1, seconds=8, labelled=False)
    predict(Predictor(checkpoint), quiet, tmp_path / "out")
    assert (tmp_path / "out" / "probabilities" / "Lab" / "1.parquet").exists()


def test_predicting_what_was_learned_from_is_said(
    checkpoint, data, unseen, tmp_path, capsys
):
    predict(Predictor(checkpoint), data, tmp_path / "known")
    assert "the model was trained on 4 of 6 recordings" in capsys.readouterr().out
    new = unseen / "train_tracking/Lab/8.parquet"
    predict(Predictor(checkpoint), new, tmp_path / "new")
    assert "the model was trained on" not in capsys.readouterr().out


def test_recordings_learned_from_are_left_out_of_the_score(checkpoint, unseen):
    scores = evaluate_scenes(Unseen(Predictor(checkpoint), unseen))
    known = set(checkpoint.trained_on)
    assert len(known) == 4  # of six; two were held out
    assert len(scores.videos) == 8 - 4
    assert any("4 left out: training recordings" in note for note in scores.notes)
    assert any("2 of them were held out" in note for note in scores.notes)


def test_scores_say_how_good_it_is(checkpoint, unseen):
    scores = evaluate(Unseen(Predictor(checkpoint), unseen))
    summary = scores.to_json()
    assert summary["f1_macro"] == scores.macro_f1 > 0.9
    assert summary["accuracy"] > 0.9
    assert summary["bouts"]["per_class"]["aggressive"]["support"] == 4 * 3
    assert summary["per_class"]["mating"]["f1"] is None
    assert set(summary["per_video"]) == {v for v in summary["per_video"] if "Lab/" in v}
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    table = scores.to_text()
    assert "aggressive" in table
    assert "macro" in table
    listed = [line for line in table.splitlines() if line.startswith("Lab/")]
    worst_first = [float(line.split()[1]) for line in listed]
    assert len(worst_first) == 4
    assert worst_first == sorted(worst_first)


def test_nothing_left_to_score_is_an_error_that_says_why(checkpoint, tmp_path):
    quiet = write_fights(tmp_path / "quiet", videos=2, seconds=8, labelled=False)
    with pytest.raises(DataError, match="0 were trained on and 2 have no frame"):
        evaluate(Unseen(Predictor(checkpoint), quiet))


def test_a_note_says_that_training_recordings_are_scored(checkpoint, data):
    scores = evaluate_scenes(Unseen(Predictor(checkpoint), data, include_training=True))
    assert len(scores.videos) == 6
    assert any("too high for new recordings" in note for note in scores.notes)


def test_a_store_of_another_rate_is_refused(checkpoint, unseen, tmp_path):
    prepare(unseen, tmp_path / "store", rate_fps=20.0, workers=1, progress=False)
    with pytest.raises(ConfigError, match=r"prepared at 20\.0 fps"):
        predict(Predictor(checkpoint), tmp_path / "store", tmp_path / "out")


def test_a_truncated_file_is_named_and_can_be_left_out(checkpoint, tmp_path, capsys):
    data = write_fights(tmp_path / "data", videos=3, seconds=8)
    broken = data / "train_tracking" / "Lab" / "2.parquet"
    broken.write_bytes(broken.read_bytes()[:500])
    with pytest.raises(DataError, match=r"2\.parquet.*--skip-bad"):
        predict(Predictor(checkpoint), data, tmp_path / "out")
    found = predict(Predictor(checkpoint), data, tmp_path / "out", skip_bad=True)
    assert [video.video for video in found] == ["1", "3"]


def test_a_folder_without_recordings_says_where_it_looked(checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        predict(Predictor(checkpoint), tmp_path / "empty", tmp_path / "out")
