"""Runs of trees, from files to predictions, on simple stories."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from chases import TINY_PAIRS, write_chases
from stories import TINY, TINY_TREES, write_fights

from mabe.config import build_config
from mabe.errors import ConfigError
from mabe.inference.evaluate import Unseen, evaluate
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.inference.predict import Predictor
from mabe.io.guess_skeleton import guess_skeleton
from mabe.models.checkpoint import load_checkpoint
from mabe.training import skeleton_of_data
from mabe.training.objectives import load_training_data
from mabe.training.run import train
from mabe.viz.report.gather_contents import own_data

ALL = np.ones(4, bool)


def settings(data, root, story, **changes):
    values = {**story, **TINY_TREES, "data_dir": data, "checkpoint_dir": root}
    values["store_dir"] = data.with_name(f"{data.name}-store")
    return build_config({**values, **changes}, where="test")


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data", videos=6)


@pytest.fixture(scope="module")
def run(fights, tmp_path_factory):
    root = tmp_path_factory.mktemp("run") / "trees"
    return train(settings(fights, root, TINY)).run_dir


def test_trees_find_the_fights_of_a_video_they_never_saw(run):
    [epoch] = json.loads((run / "history.json").read_text(encoding="utf-8"))

    assert epoch["f1_macro"] > 0.9
    assert load_checkpoint(run).members[0].provenance.validation["f1_macro"] > 0.9


def test_trees_are_scored_as_any_model_is(run, fights):
    predictor = Predictor(load_checkpoint(run))

    scores = evaluate(Unseen(predictor, fights))

    assert "aggressive" in scores.to_text()
    assert scores.macro_f1 > 0.9


def test_loaded_trees_predict_what_the_saved_ones_did(run, fights):
    config = settings(fights, run, TINY)
    objective = load_training_data(config).objective(config)

    again = objective.score(load_checkpoint(run / "last.safetensors").model)

    [epoch] = json.loads((run / "history.json").read_text(encoding="utf-8"))
    assert again.loss == epoch["val_loss"]


def test_a_finished_run_of_trees_is_not_grown_again(run, fights, monkeypatch):
    def fail(*_args, **_options):
        raise AssertionError("grown again")

    monkeypatch.setattr("mabe.training.run.grow_trees", fail)

    train(settings(fights, run, TINY), resume=True)


def test_the_same_data_make_the_same_trees(run, fights, tmp_path):
    again = train(settings(fights, tmp_path / "again", TINY)).run_dir

    one, other = (load_checkpoint(each).model.forest for each in (run, again))
    assert one == other


def test_trees_learn_who_chases_whom(tmp_path):
    data = write_chases(tmp_path / "data", videos=6)
    run = train(settings(data, tmp_path / "run", TINY_PAIRS)).run_dir

    [epoch] = json.loads((run / "history.json").read_text(encoding="utf-8"))
    assert epoch["f1_macro"] > 0.9
    predictor = Predictor(load_checkpoint(run))
    assert evaluate(Unseen(predictor, data)).macro_f1 > 0.85


def test_a_run_finds_its_data_from_any_folder(tmp_path, monkeypatch):
    data = write_chases(tmp_path / "here" / "data", videos=2, seconds=12)
    monkeypatch.chdir(tmp_path / "here")
    train(settings(Path("data"), Path("run"), TINY_PAIRS))
    monkeypatch.chdir(tmp_path)

    checkpoint = load_checkpoint(tmp_path / "here" / "run")
    assert own_data(checkpoint) == data
    facts = json.loads((tmp_path / "here" / "run" / "run.json").read_text("utf-8"))
    assert facts["data"] == str(data)


def test_the_roles_of_a_run_are_guessed_once(tmp_path, monkeypatch):
    renamed = {"nose": "a", "body_center": "b", "tail_base": "c"}
    data = write_chases(tmp_path / "data", videos=3, seconds=16)
    for path in (data / "train_tracking").glob("*/*.parquet"):
        table = pl.read_parquet(path)
        table.with_columns(pl.col("bodypart").replace(renamed)).write_parquet(path)
    guesses = []

    def guess(*given):
        guesses.append(guess_skeleton(*given))
        return guesses[-1]

    monkeypatch.setattr(skeleton_of_data, "guess_skeleton", guess)
    run = train(settings(data, tmp_path / "run", TINY_PAIRS))

    assert len(guesses) == 1
    body = load_checkpoint(run.run_dir).model.config.body
    assert body == run.config.body
    assert (body.snout, body.rump) == (("a",), ("c",))


def test_a_long_recording_is_predicted_in_stretches_without_a_seam(
    run, fights, monkeypatch
):
    trees = load_checkpoint(run).model
    config = settings(fights, run, TINY)
    data = load_training_data(config)
    once = data.store.poses_cm(0, 0, data.store.recordings[0].length)
    # Body length, which contact is measured in, is that of all that is read: so a
    # recording that repeats itself.
    poses = np.concatenate([once] * 8)
    tracks = Tracks(len(poses), lambda start, stop: poses[start:stop])
    whole = frame_probabilities(trees, tracks, ALL)

    monkeypatch.setattr("mabe.models.prediction_windows.STRETCH_FRAMES", 600)

    assert len(list(trees.stretches(len(poses)))) > 2
    np.testing.assert_allclose(
        frame_probabilities(trees, tracks, ALL), whole, atol=0.02
    )


def test_stretches_read_what_is_around_them_and_decide_on_every_frame_once(run):
    trees = load_checkpoint(run).model

    for length in (1, 5_999, 6_000, 6_001, 14_321):
        found = list(trees.stretches(length))
        assert sum(each.length for each in found) == length
        assert found[0].start == found[0].read_from == 0
        assert found[-1].stop == found[-1].read_to == length
        for before, after in pairwise(found):
            assert before.stop == after.start
            assert after.read_from == after.start - 30 * 10


def test_what_is_not_possible_is_not_found(run, fights):
    config = settings(fights, run, TINY)
    data = load_training_data(config)
    tracks = Tracks.of_stored(data.store, 0)
    possible = np.array([True, True, False, False])

    found = frame_probabilities(load_checkpoint(run).model, tracks, possible)

    assert (found[:, 2:] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)


def test_trees_take_social_features_only(fights, tmp_path):
    with pytest.raises(ConfigError, match="feature_set: social"):
        settings(fights, tmp_path, TINY, feature_set="motion")


@torch.no_grad()
def test_each_statistic_has_a_name(run, fights):
    trees = load_checkpoint(run).model
    poses = torch.full((1, 40, 4, 18, 2), torch.nan)

    rows = trees.rows(trees.extract_features(poses)[0])

    assert rows.shape == (40 // trees.block_frames, len(trees.statistic_names()))
    assert len(set(trees.statistic_names())) == rows.shape[1]
