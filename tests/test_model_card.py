"""The card of a model: what it says is so, and it hurts no page."""

import json

import numpy as np
import pytest
import torch

from mabe.bouts import SCENE
from mabe.cli.main import main
from mabe.decoding.view_predictions import OutOfFold, ViewPredictions
from mabe.experiments.model_card import read_model_card, write_model_card
from mabe.experiments.out_of_fold import write_out_of_fold
from mabe.models.checkpoint import Provenance, save_checkpoint
from mabe.models.input_contract import InputContract
from mabe.models.model import build_model
from mabe.models.model_config import ModelConfig
from mabe.scene_task import SceneLabels, SceneTask, TaskKind

NAMES = ("quiet", "драка")


@pytest.fixture
def run(tmp_path):
    """A model with a card, and nothing beside it."""
    torch.manual_seed(0)
    config = ModelConfig(fps=10.0, model_type="conv_gru", gru_width=4)
    task = SceneTask.from_groups({"quiet": [], "драка": ["attack", "bite|<b>"]})
    contract = InputContract((("nose", "tail_base"),), (2,), (25.0, 30.0))
    about = Provenance(
        epoch=1,
        step=1,
        trained_on=("t1", "t2"),
        validated_on=("t3",),
        validation={
            "f1_macro": 0.7,
            "per_class": {"quiet": {"f1": 0.9}, "драка": {"f1": 0.5}},
        },
        contract=contract,
        data_dir="/home/somebody/rats",
        licence="cc-by-4.0",
    )
    save_checkpoint(
        tmp_path / "run" / "best.safetensors", build_model(config, task), about
    )
    return tmp_path / "run"


def view(number, wrong):
    """Ten frames of each class, of which some fights are taken for quiet."""
    labels = np.repeat([0, 1], 10)
    found = labels.copy()
    found[10 : 10 + wrong] = 0
    probabilities = np.where(found[:, None] == np.arange(2), 0.9, 0.1)
    return ViewPredictions(
        kind=TaskKind.SCENE,
        classes=NAMES,
        lab="Lab",
        video=f"v{number}",
        view=SCENE,
        track=f"t{number}",
        fps=10.0,
        probabilities=probabilities.astype(np.float16),
        labels=SceneLabels(labels.astype(np.int8), 2).frames(0, 20),
    )


def test_without_out_of_fold_predictions_the_scores_are_of_what_was_held_out(run):
    card = read_model_card(run)

    assert card.scores.score == 0.7
    assert "chose the epoch" in card.scores.how
    assert [each.f1 for each in card.scores.classes] == [0.9, 0.5]
    assert card.trained_on == 2
    assert card.keypoints == ("nose", "tail_base")


def test_the_scores_of_a_cross_validation_have_intervals_and_say_where_it_fails(run):
    views = tuple(view(number, wrong=number) for number in range(6))
    found = OutOfFold(TaskKind.SCENE, NAMES, views)
    write_out_of_fold(run / "out_of_fold.npz", found)
    scores = read_model_card(run).scores

    fight = scores.classes[1]  # 45 hits, 15 missed, none wrong
    assert fight.f1 == pytest.approx(2 * 45 / (60 + 45))
    assert fight.low < fight.f1 < fight.high
    assert fight.recordings == scores.recordings == 6
    assert [name for name, _ in scores.worst] == ["Lab/v5", "Lab/v4", "Lab/v3"]
    assert scores.confusions == ("25 % of драка predicted as quiet",)


def test_the_card_is_plain_values_and_two_texts(run, capsys):
    card = read_model_card(run)
    assert json.loads(json.dumps(card.to_json()))["licences"] == ["cc-by-4.0"]
    assert main(["info", str(run)]) == 0
    printed = capsys.readouterr().out
    for words in ("драка", "cc-by-4.0", "2 tracks of rats", "25, 30 fps"):
        assert words in printed
    assert "not given (mabe train --author)" in printed
    assert "somebody" not in printed + card.to_markdown()


def test_names_from_data_break_no_table_and_no_page(run):
    page = write_model_card(run).read_text(encoding="utf-8")
    [row] = [line for line in page.splitlines() if line.startswith("| Predicts")]

    assert "bite\\|&lt;b>" in row
    assert row.replace("\\|", "").count("|") == 3
    assert page.splitlines()[0] == "---"
