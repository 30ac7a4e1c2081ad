"""Some of a model's actions: what is left out competes in scenes, not in pairs."""

import dataclasses
import json

import polars as pl
import pytest
import torch
from stories import write_fights

from mabe.cli.main import main
from mabe.errors import ConfigError
from mabe.inference.predict import Predictor, predict
from mabe.models.checkpoint import Provenance, load_checkpoint, save_checkpoint
from mabe.models.model import build_model
from mabe.models.model_config import ModelConfig
from mabe.pair_task import PairTask
from mabe.scene_task import SceneTask

CONFIG = ModelConfig(
    fps=10.0, conv_channels=(4,), lstm_hidden=4, lstm_layers=1, sequence_length=32
)
PAIRS = PairTask(
    actions=("attack", "chase", "sniff"),
    labs=("Lab",),
    vocabulary={"Lab": frozenset({("attack", False), ("chase", False)})},
)
SCENE = SceneTask.from_groups({"quiet": [], "sniff": ["sniff"], "attack": ["attack"]})


def fixed_model(task, logits, path):
    """Write a model that gives the same logits in every frame; return a predictor."""
    torch.manual_seed(0)
    model = build_model(CONFIG, task)
    with torch.no_grad():
        model.network.head.weight.zero_()
        model.network.head.bias.copy_(torch.tensor(logits))
    nothing = Provenance(epoch=1, step=1, trained_on=(), validated_on=(), validation={})
    save_checkpoint(path, model, nothing)
    return Predictor(load_checkpoint(path))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "data"
    data = write_fights(root, videos=1, seconds=4, labelled=False)
    listing = data / "train.csv"
    text = listing.read_text(encoding="utf-8")
    listing.write_text(text.replace("[]", ""), encoding="utf-8")
    return data


def actions_of(predictor, video, out):
    [recording] = predict(predictor, video, out)
    return {bout.action for bout in recording.bouts}


def test_in_a_pair_an_action_left_out_does_not_compete(video, tmp_path):
    all_of_them = fixed_model(PAIRS, [1.0, 3.0, -3.0], tmp_path / "m.safetensors")
    attack = dataclasses.replace(all_of_them, actions=("attack",))

    assert actions_of(all_of_them, video, tmp_path / "all") == {"chase"}
    assert actions_of(attack, video, tmp_path / "attack") == {"attack"}
    [table] = (tmp_path / "attack" / "probabilities").glob("*/*.parquet")
    columns = set(pl.read_parquet(table).columns) - {"frame"}
    assert columns == {"mouse1,mouse2,attack", "mouse2,mouse1,attack"}


def test_in_a_scene_all_classes_compete(video, tmp_path):
    all_of_them = fixed_model(SCENE, [0.0, 3.0, 1.0], tmp_path / "m.safetensors")
    attack = dataclasses.replace(all_of_them, actions=("attack",))
    sniff = dataclasses.replace(all_of_them, actions=("sniff",))

    assert actions_of(all_of_them, video, tmp_path / "all") == {"sniff"}
    assert actions_of(attack, video, tmp_path / "attack") == set()
    assert actions_of(sniff, video, tmp_path / "sniff") == {"sniff"}


def test_an_unknown_action_is_an_error_that_lists_the_known(video, tmp_path, capsys):
    fixed_model(SCENE, [0.0, 3.0, 1.0], tmp_path / "m.safetensors")
    words = ["predict", str(tmp_path / "m.safetensors"), str(video)]
    words += ["--out", str(tmp_path / "out"), "--actions", "sniff, нападение"]

    assert main(words) == 2
    assert "нападение; it predicts sniff, attack" in capsys.readouterr().err


def test_no_action_is_an_error(tmp_path):
    predictor = fixed_model(SCENE, [0.0, 3.0, 1.0], tmp_path / "m.safetensors")
    with pytest.raises(ConfigError, match="at least one of sniff, attack"):
        dataclasses.replace(predictor, actions=())
    with pytest.raises(ConfigError, match="quiet"):  # a background has no bouts
        dataclasses.replace(predictor, actions=("quiet",))


def test_other_actions_are_not_taken_from_an_earlier_call(video, tmp_path, capsys):
    fixed_model(SCENE, [0.0, 3.0, 1.0], tmp_path / "m.safetensors")
    words = ["predict", str(tmp_path / "m.safetensors"), str(video)]
    words += ["--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert main([*words, "--actions", "attack"]) == 0

    assert "kept" not in capsys.readouterr().out
    provenance = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert provenance["actions"] == ["attack"]


def test_inspect_describes_a_model_its_predictions_and_a_store(video, tmp_path, capsys):
    fixed_model(SCENE, [0.0, 3.0, 1.0], tmp_path / "m.safetensors")
    out, store = tmp_path / "out", tmp_path / "store"
    model = tmp_path / "m.safetensors"
    assert main(["predict", str(model), str(video), "--out", str(out)]) == 0
    assert main(["prepare", str(video), "--out", str(store), "--fps", "10"]) == 0
    capsys.readouterr()

    for path, kind, words in (
        (model, "model", "one class in each frame"),
        (out, "predictions", "Predictions of 1 recording by m.safetensors"),
        (store, "store", "Store of 1 recording, 0 with labels, 40 frames at 10 fps"),
    ):
        assert main(["inspect", str(path)]) == 0
        assert words in capsys.readouterr().out
        assert main(["inspect", str(path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["kind"] == kind
