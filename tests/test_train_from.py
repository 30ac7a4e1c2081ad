"""Training from a model: what is kept, what is new, and who is scored."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import torch
from chases import TINY_PAIRS, write_chases
from stories import FPS, TINY, TINY_TREES, write_fights, write_labels

from mabe.cli.main import main
from mabe.config import build_config
from mabe.errors import ConfigError
from mabe.experiments.checklist import gather_facts
from mabe.experiments.checklist.findings import Verdict
from mabe.experiments.checklist.training_checks import check_leaks
from mabe.experiments.cross_validation import OutOfFoldScore
from mabe.experiments.out_of_fold import read_out_of_fold
from mabe.experiments.recipe_report import RecipeReport, comparison
from mabe.experiments.rule_tuning import find_predictions
from mabe.inference.evaluate import Unseen, evaluate
from mabe.inference.predict import Predictor
from mabe.models.boosted_trees import Forest
from mabe.models.checkpoint import load_checkpoint
from mabe.models.model import Context, build_model
from mabe.models.model_config import ModelConfig
from mabe.models.reused_weights import (
    freeze_trunk,
    is_head,
    move_towards,
    start_from,
)
from mabe.models.trees_model import BaseTrees, build_trees
from mabe.pair_task import UNKNOWN_LAB, PairTask
from mabe.runtime.documents import read_json
from mabe.training.run import train

SMALL = ModelConfig(
    fps=10.0, model_type="conv_gru", gru_width=4, lab_channels=2, sequence_length=32
)
TINY_NETWORK = {
    **TINY,
    "model_type": "conv_gru",
    "feature_set": "social",
    "fps": 10.0,
    "gru_width": 8,
    "epochs": 2,
    "steps_per_epoch": 5,
}


def pair_task(actions, labs):
    pairs = frozenset((action, False) for action in actions)
    return PairTask(
        actions=tuple(actions), labs=tuple(labs), vocabulary=dict.fromkeys(labs, pairs)
    )


def networks(seed=0):
    """Return a new network, and an old one with other actions and labs."""
    torch.manual_seed(seed)
    new = build_model(SMALL, pair_task(["attack", "bite", "sniff"], ["A", "C"]))
    old = build_model(SMALL, pair_task(["chase", "sniff"], ["A", "B"]))
    for parameter in (*new.parameters(), *old.parameters()):
        torch.nn.init.normal_(parameter)
    return new, old


def test_a_network_keeps_the_trunk_and_the_heads_of_actions_that_it_knew():
    new, old = networks()
    fresh = {name: value.clone() for name, value in new.state_dict().items()}
    start_from(new, old)
    weights, known = new.state_dict(), old.state_dict()

    for name, value in weights.items():
        if is_head(name):  # attack and bite are new, sniff was the second
            assert torch.equal(value[:2], fresh[name][:2])
            assert torch.equal(value[2], known[name][1])
        elif name != "lab.weight":
            assert torch.equal(value, known[name])


def test_a_new_lab_starts_as_an_unknown_one_and_a_known_one_as_it_was():
    new, old = networks()
    start_from(new, old)
    assert torch.equal(new.lab.weight[UNKNOWN_LAB], old.lab.weight[UNKNOWN_LAB])
    assert torch.equal(new.lab.weight[1], old.lab.weight[1])
    assert torch.equal(new.lab.weight[2], old.lab.weight[UNKNOWN_LAB])


def test_before_it_learns_a_network_predicts_known_actions_as_the_old_one():
    new, old = networks()
    start_from(new, old)
    poses = torch.randn(1, 40, 5, 18, 2)
    context = Context(lab="A")
    found, before = (
        each.eval().probabilities(each.extract_features(poses), context)
        for each in (new, old)
    )
    torch.testing.assert_close(found[..., 2], before[..., 1])


def test_weights_to_use_are_moved_towards_the_old_ones_as_far_as_these_go():
    new, old = networks()
    fresh = {name: value.clone() for name, value in new.state_dict().items()}
    move_towards(new, old, 0.25)
    weights, known = new.state_dict(), old.state_dict()

    for name, value in weights.items():
        if is_head(name):  # attack and bite are new, sniff was the second
            assert torch.equal(value[:2], fresh[name][:2])
            expected = 0.75 * fresh[name][2] + 0.25 * known[name][1]
            torch.testing.assert_close(value[2], expected)
        elif name == "network.conv.weight":
            torch.testing.assert_close(value, 0.75 * fresh[name] + 0.25 * known[name])


def test_of_a_frozen_network_only_the_heads_and_the_labs_learn():
    new, _ = networks()
    freeze_trunk(new)
    learning = {name for name, each in new.named_parameters() if each.requires_grad}
    assert learning == {
        *("network.head.weight", "network.head.bias", "lab.weight"),
        *("network.quick_head.weight", "network.quick_head.bias"),
    }


def test_a_network_with_other_features_is_refused():
    new, _ = networks()
    other = SMALL.model_copy(update={"use_motion_features": False})
    with pytest.raises(ConfigError, match="features differ"):
        start_from(new, build_model(other, pair_task(["sniff"], ["A"])))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four videos of an old lab, and six: these and two new ones."""
    root = tmp_path_factory.mktemp("from")
    write_fights(root / "old", videos=4, seconds=16)
    write_fights(root / "new", videos=6, seconds=16)
    return root


@pytest.fixture(scope="module")
def old(data):
    settings = {**TINY, **TINY_TREES, "classes": {"quiet": [], "attack": ["attack"]}}
    places = {"data_dir": data / "old", "checkpoint_dir": data / "run"}
    return train(build_config(settings | places, where="test")).run_dir


@pytest.fixture(scope="module")
def new(data, old):
    assert main(words(data, old, "out")) == 0
    return data / "out"


@pytest.fixture(scope="module")
def old_network(data):
    """A network that learned fights."""
    settings = {**TINY_NETWORK, "classes": {"quiet": [], "attack": ["attack"]}}
    places = {"data_dir": data / "old", "checkpoint_dir": data / "network"}
    return train(build_config(settings | places, where="test")).run_dir


def learned_on(data, old_network, name, **changes):
    """Return the weights of a network that learned on, by their names."""
    settings = {
        **TINY_NETWORK,
        "classes": {"quiet": [], "attack": ["attack"]},
        "data_dir": data / "new",
        "checkpoint_dir": data / name,
        "from_model": old_network,
        "hold_out": False,
    }
    run = train(build_config(settings | changes, where="test"))
    return load_checkpoint(run.run_dir / "last.safetensors").model.state_dict()


def test_the_network_to_use_lies_halfway_between_the_old_and_the_new_weights(
    data, old_network
):
    old = load_checkpoint(old_network).model.state_dict()
    alone = learned_on(data, old_network, "alone", old_share=0.0)
    halfway = learned_on(data, old_network, "halfway")

    moved = [name for name in old if not torch.equal(alone[name], old[name])]
    assert moved
    for name in moved:
        expected = (alone[name] + old[name]) / 2
        torch.testing.assert_close(halfway[name], expected, atol=1e-6, rtol=1e-4)


def test_a_frozen_trunk_stays_as_it_was_to_the_last_bit(data, old_network):
    old = load_checkpoint(old_network).model.state_dict()
    frozen = learned_on(data, old_network, "frozen", freeze=True)
    for name, value in frozen.items():
        assert torch.equal(value, old[name]) != is_head(name)


def test_with_a_new_action_the_new_weights_are_used_alone(data, old_network, capsys):
    classes = {"quiet": [], "attack": ["attack"], "sniff": ["sniff"]}
    alone = learned_on(data, old_network, "new-0", classes=classes, old_share=0.0)
    capsys.readouterr()
    asked = learned_on(data, old_network, "new-50", classes=classes, old_share=0.5)
    assert all(torch.equal(alone[name], asked[name]) for name in alone)
    assert "Weights to use: the new ones" in capsys.readouterr().out


def words(data, old, name):
    return [
        *("train", str(data / "new"), "--from", str(old), "--out", str(data / name)),
        *("--set", "tree_rounds=5", "--set", "tree_min_rows=5", "--workers", "1"),
    ]


def keep_videos(folder, numbers):
    """List only some of the videos of a data set."""
    listing = folder / "train.csv"
    header, *rows = listing.read_text(encoding="utf-8").splitlines()
    kept = [rows[number - 1] for number in numbers]
    listing.write_text("\n".join([header, *kept]), encoding="utf-8")


def test_trees_that_add_nothing_predict_as_the_old_ones(old):
    trees = load_checkpoint(old).model
    rows = np.random.default_rng(0).normal(size=(50, len(trees.statistic_names())))
    rows = rows.astype(np.float32)
    base = BaseTrees(tuple(trees.task.classes), trees.forest)
    on_top = build_trees(trees.config, trees.task, Forest(("",) * 2), [base])
    before = trees.block_probabilities(rows, Context())
    np.testing.assert_allclose(
        on_top.block_probabilities(rows, Context()), before, rtol=1e-5
    )


def test_what_the_old_model_learned_from_is_never_scored(old, new):
    known = load_checkpoint(old)
    scored = set(read_out_of_fold(new / "out_of_fold.npz").tracks)

    assert len(scored) == 2
    assert not scored & (known.trained_on | known.validated_on)
    assert known.trained_on <= load_checkpoint(new).trained_on


def test_rules_of_a_single_member_are_tuned_on_what_no_fold_learned_from(new):
    found = find_predictions(new, load_checkpoint(new))
    assert found.tracks == read_out_of_fold(new / "out_of_fold.npz").tracks


def test_the_checklist_scores_it_and_finds_no_leak(new):
    facts = gather_facts(new, None, None)
    assert facts.scores.macro_f1 is not None
    assert check_leaks(facts).verdict is Verdict.OK


def test_the_card_says_what_a_model_started_from_and_loads(old, new):
    checkpoint = load_checkpoint(new)
    assert len(checkpoint.members) == 1  # the forest of all recordings
    for member in checkpoint.members:
        assert member.provenance.started_from.startswith("run/best.safetensors (")
        assert member.model.config.base_classes == (("quiet", "attack"),)
        assert set(member.provenance.contract.rates_fps) == {25.0}


def test_the_old_model_is_scored_on_the_same_recordings(data, old, new):
    scores = read_json(new / "recipe.json")["scores"]
    fresh = frozenset({"Lab/5", "Lab/6"})
    unseen = Unseen(Predictor(load_checkpoint(old)), data / "new", only=fresh)
    expected = evaluate(unseen).macro_f1
    assert scores["the old model"]["score"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("old_score", "new_score", "lines"),
    [(0.7, 0.6, 1), (0.6, 0.7, 0), (0.7, 0.7, 0), (None, 0.7, 0), (0.7, None, 0)],
)
def test_a_warning_needs_two_scores_and_the_old_one_above(old_score, new_score, lines):
    def scored(score):
        return OutOfFoldScore(score=score, interval=(None, None), f1={})

    report = RecipeReport(
        reasons=(),
        kinds={},
        weights={},
        together=scored(new_score),
        tuned=None,
        expected=new_score,
        as_it_is=scored(old_score),
    )
    assert len(comparison(report)) == lines


def test_a_warning_is_printed_where_the_old_model_was_better(tmp_path, old, capsys):
    """Of two new videos one is labelled the wrong way round."""
    write_fights(tmp_path, videos=6, seconds=16)
    keep_videos(tmp_path, [5, 6])
    path = next(tmp_path.glob("train_annotation/*/5.parquet"))
    bouts = pl.read_parquet(path)
    length = int(16 * FPS)
    edges = sorted({0, length, *bouts["start_frame"], *bouts["stop_frame"]})
    fights = set(bouts["start_frame"])
    wrong = [(start, stop) for start, stop in pairwise(edges) if start not in fights]
    write_labels(tmp_path, [(1, 2, "attack", *span) for span in wrong], video="5")
    command = ["train", str(tmp_path), "--from", str(old), "--workers", "1"]
    settings = ["--set", "tree_rounds=60", "--set", "tree_min_rows=5"]
    assert main([*command, *settings, "--out", str(tmp_path / "out")]) == 0
    assert "The old model as it is scores higher" in capsys.readouterr().out


def test_the_same_command_gives_the_same_model(data, old, new, capsys):
    assert main(words(data, old, "again")) == 0
    printed = capsys.readouterr().out
    assert "4 of 6 labelled recordings had a part in the model" in printed
    one, two = (data / name / "best.safetensors" for name in ("out", "again"))
    assert one.read_bytes() == two.read_bytes()


def test_patience_is_refused_as_nothing_is_left_to_stop_the_model(data, old, capsys):
    patience = ["--set", "early_stopping_patience=3"]
    assert main([*words(data, old, "patient"), *patience]) == 2
    assert "fixed number of epochs" in capsys.readouterr().err


def test_a_finished_run_is_resumed_by_the_same_command(data, old, new):
    before = (new / "best.safetensors").read_bytes()
    assert main([*words(data, old, "out"), "--resume"]) == 0
    assert (new / "best.safetensors").read_bytes() == before


def test_settings_that_contradict_the_model_are_refused(data, old, capsys):
    command = words(data, old, "other")
    assert main([*command, "--set", "fps=20"]) == 2
    assert "fps is 10.0 in the model and 20" in capsys.readouterr().err
    assert main([*command, "--set", "task=pair"]) == 2
    assert "the model's task is scene" in capsys.readouterr().err
    assert main(["train", str(data / "new"), "--keep-actions"]) == 2
    assert "--from" in capsys.readouterr().err


def test_of_one_recording_a_model_is_made_and_not_scored(data, old, capsys):
    write_fights(data / "one", videos=7, seconds=16)
    keep_videos(data / "one", [7])
    command = words(data, old, "of-one")
    command[1] = str(data / "one")
    assert main(command) == 0
    assert "No score" in capsys.readouterr().out
    assert len(load_checkpoint(data / "of-one").members) == 1


def test_old_actions_are_kept_where_that_is_wanted(tmp_path):
    """The old model knows chases, the new labels are of flights alone."""
    old_data = write_chases(tmp_path / "old", videos=2, seconds=16)
    settings = {**TINY_PAIRS, **TINY_TREES, "data_dir": old_data, "hold_out": False}
    old_run = train(
        build_config({**settings, "checkpoint_dir": tmp_path / "run"}, where="test")
    ).run_dir
    new_data = write_chases(tmp_path / "new", videos=4, seconds=16, lab="New")
    for path in (new_data / "train_annotation").rglob("*.parquet"):
        rename_action(path, "chase", "flee")
    listing = new_data / "train.csv"
    text = listing.read_text(encoding="utf-8")
    listing.write_text(text.replace("chase", "flee"), encoding="utf-8")
    changes = {
        "data_dir": new_data,
        "checkpoint_dir": tmp_path / "out",
        "from_model": old_run,
        "keep_actions": True,
    }
    run = train(build_config(settings | changes, where="test")).run_dir
    kept = load_checkpoint(run).model
    assert kept.task.actions == ("chase", "flee")
    assert ("chase", False) in kept.task.vocabulary["New"]
    rows = np.random.default_rng(0).normal(size=(50, len(kept.statistic_names())))
    rows = rows.astype(np.float32)
    before = load_checkpoint(old_run).model.block_probabilities(rows, Context())
    found = kept.block_probabilities(rows, Context())
    np.testing.assert_allclose(found[:, 0], before[:, 0], rtol=1e-5)
    assert found[:, 1].max() > 0


def rename_action(path, before, after):
    table = pl.read_parquet(path)
    table = table.with_columns(pl.col("action").replace({before: after}))
    table.write_parquet(path)


@pytest.mark.parametrize(
    "words", [["--freeze"], ["--keep-actions"], ["--set", "old_share=0.2"]]
)
def test_what_is_for_a_model_to_start_from_is_refused_without_one(
    words, tmp_path, capsys
):
    data = write_fights(tmp_path / "data", videos=3, seconds=8)
    out = str(tmp_path / "run")
    assert main(["train", str(data), "--out", out, *words]) == 2
    assert "are for --from MODEL" in capsys.readouterr().err
