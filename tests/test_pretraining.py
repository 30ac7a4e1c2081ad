"""Pretraining: a network sees the poses of recordings that nobody labelled."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from chases import TINY_PAIRS, write_chases
from hypothesis import given
from hypothesis import strategies as st
from stories import TINY, TINY_TREES, write_fights

from mabe.cli.main import main
from mabe.config import build_config
from mabe.errors import ConfigError, DataError, StopRequested
from mabe.experiments import auto_recipe
from mabe.experiments.train_auto import train_recipe
from mabe.experiments.train_from import with_source
from mabe.models.checkpoint import load_checkpoint
from mabe.models.model import build_model
from mabe.models.reused_weights import is_head
from mabe.models.span_predictor import SpanPredictor
from mabe.runtime.devices import choose_device
from mabe.runtime.distributed import make_fabric
from mabe.runtime.executors import HERE
from mabe.training import pretraining, run
from mabe.training.objectives import load_training_data
from mabe.training.pretraining import (
    HiddenSpans,
    draw_spans,
    pretrain,
    recordings_to_see,
)

GRU = {
    "model_type": "conv_gru",
    "feature_set": "social",
    "fps": 10.0,
    "gru_width": 16,
    "augment_shift_cm": 0.0,
    "augment_noise_cm": 0.0,
    "augment_scale": 0.0,
    "augment_time_stretch": 0.0,
    "augment_keypoint_dropout": 0.0,
    "augment_animal_dropout": 0.0,
}
TWO_CLASSES = {"classes": {"quiet": [], "attack": ["attack"]}}


def settings(data, run_dir=None, **changes):
    values = {**TINY, **GRU, **TWO_CLASSES, "epochs": 1, "steps_per_epoch": 4}
    values |= {"pretraining_steps": 5, "data_dir": data}
    if run_dir:
        values["checkpoint_dir"] = run_dir
    return build_config(values | changes, where="test")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five labelled videos, and four without labels."""
    root = tmp_path_factory.mktemp("pretraining")
    return with_films(root / "data", labelled=5, films=4)


def with_films(folder, *, labelled, films):
    write_fights(folder, videos=labelled + films)
    return without_labels(folder, range(labelled + 1, labelled + films + 1))


def without_labels(folder, videos):
    """Let some videos be films that nobody has scored."""
    index = folder / "train.csv"
    rows = list(csv.DictReader(index.read_text(encoding="utf-8").splitlines()))
    wanted = {str(video) for video in videos}
    for row in rows:
        if row["video_id"] in wanted:
            row["behaviors_labeled"] = "[]"
            labels = f"train_annotation/Lab/{row['video_id']}.parquet"
            (folder / labels).unlink()
    with index.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return folder


def names(data, places):
    return [data.store.recordings[place].video for place in places]


def fabric():
    return make_fabric(choose_device("cpu"), "32")


def pretrained(config):
    loaded = load_training_data(config)
    objective = loaded.objective(config)
    seen = recordings_to_see(loaded)
    return pretrain(config, objective, fabric(), seen), objective, seen


@given(st.integers(1, 600), st.floats(1, 60), st.integers(0, 10_000))
def test_hidden_spans_lie_in_their_windows_and_are_no_longer_than_a_quarter(
    length, rate_fps, seed
):
    hidden = draw_spans(np.random.default_rng(seed), 3, length, rate_fps=rate_fps)
    assert hidden.shape == (3, length)
    assert hidden.any(axis=1).all()
    most = pretraining.SPANS * max(1, length // 4)
    assert (hidden.sum(axis=1) <= min(length, most)).all()


def test_films_without_labels_are_seen_and_what_is_held_out_is_not(data):
    loaded = load_training_data(settings(data))
    seen, held_out = recordings_to_see(loaded), loaded.held_out
    assert len(held_out) == 1
    assert names(loaded, seen) == [
        each for each in "123456789" if each not in names(loaded, held_out)
    ]


def test_all_films_of_an_animal_that_is_held_out_are_left_out(tmp_path):
    folder = with_films(tmp_path / "data", labelled=4, films=4)
    index = folder / "train.csv"
    lines = index.read_text(encoding="utf-8").splitlines()
    animals = ["mouse1_id", *("ABCDABCD")]
    index.write_text(
        "\n".join(f"{line},{each}" for line, each in zip(lines, animals, strict=True)),
        encoding="utf-8",
    )
    loaded = load_training_data(settings(folder, split_by="animal"))
    [held_out] = names(loaded, loaded.held_out)
    same_animal = str(int(held_out) + 4)
    seen = names(loaded, recordings_to_see(loaded))
    assert sorted({*"12345678"} - {*seen}) == [held_out, same_animal]


def test_of_very_many_recordings_some_are_seen(data, monkeypatch):
    loaded = load_training_data(settings(data))
    length = loaded.store.recordings[0].length
    monkeypatch.setattr(pretraining, "MOST_FRAMES", 3 * length)
    assert len(recordings_to_see(loaded)) == 3


class Usual(torch.nn.Module):
    """Predicts what is usual: zero."""

    def __init__(self, predictor):
        super().__init__()
        self.predictor = predictor

    def forward(self, *shown):
        _, truth = self.predictor(*shown)
        return torch.zeros_like(truth), truth


@pytest.mark.parametrize("task", ["scene", "pair"])
def test_a_network_learns_to_predict_what_is_hidden(task, tmp_path):
    if task == "scene":
        config = settings(write_fights(tmp_path / "data", videos=4, seconds=40))
    else:
        own = {"task": "pair", "lab_channels": 2}
        config = settings(write_chases(tmp_path / "data", seconds=40), **own)
    config = config.changed(pretraining_steps=150, learning_rate=1e-2)
    predictor, objective, seen = pretrained(config)
    model = predictor.inputs
    spans = HiddenSpans(objective, objective.sample_poses(model, seen))
    batch = spans.draw(np.random.default_rng(0), 16, 1.0)
    targets = spans.targets(batch, torch.device("cpu"))
    shown = torch.as_tensor(batch.poses)

    with torch.inference_mode():
        learned = targets.loss(predictor.eval(), shown) / targets.total()
        usual = targets.loss(Usual(predictor), shown) / targets.total()
    assert learned < 0.6 * usual


def test_hidden_frames_are_not_seen_by_the_network(data):
    config = settings(data)
    objective = load_training_data(config).objective(config)
    torch.manual_seed(0)
    model = build_model(config.model, objective.task)
    predictor = SpanPredictor(model).eval()
    features = torch.randn(2, 64, len(model.features.names))
    hidden = torch.zeros(2, 64, dtype=torch.bool)
    hidden[:, 20:40] = True
    changed = features.masked_fill(hidden[..., None], 7.0)
    with torch.inference_mode():
        one, other = predictor(features, hidden), predictor(changed, hidden)
    torch.testing.assert_close(one[0], other[0])
    assert not torch.equal(one[1], other[1])


def test_the_training_starts_from_all_layers_but_the_heads(data):
    config = settings(data)
    predictor, objective, _ = pretrained(config)
    torch.manual_seed(0)
    model = build_model(config.model, objective.task)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    predictor.start(model)
    learned = predictor.network.state_dict()
    for name, value in model.network.state_dict().items():
        expected = before[f"network.{name}"] if is_head(name) else learned[name]
        assert torch.equal(value, expected), name
    assert model.scaling.spread_F.min() > 0
    assert not torch.equal(model.scaling.spread_F, before["scaling.spread_F"])


def test_the_same_run_twice_gives_the_same_model_which_pretraining_changes(
    data, tmp_path
):
    runs = {
        name: run.train(settings(data, tmp_path / name, **changes)).model_path
        for name, changes in {
            "one": {},
            "two": {},
            "without": {"pretraining_steps": 0},
        }.items()
    }
    weights = {
        name: load_checkpoint(path).model.state_dict() for name, path in runs.items()
    }
    assert all(
        torch.equal(value, weights["two"][name])
        for name, value in weights["one"].items()
    )
    assert any(
        not torch.equal(value, weights["without"][name])
        for name, value in weights["one"].items()
    )


def test_a_stop_in_pretraining_is_gone_on_from_and_one_after_it_needs_no_second(
    data, tmp_path, monkeypatch
):
    whole = run.train(settings(data, tmp_path / "whole"))
    config = settings(data, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "any_of", lambda *_: True)
        with pytest.raises(StopRequested, match="--resume begins it again"):
            run.train(config)
    resumed = run.train(config, resume=True)
    expected = load_checkpoint(whole.model_path).model.state_dict()
    found = load_checkpoint(resumed.model_path).model.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())

    def refuse(*_):
        raise AssertionError("pretrained again")

    monkeypatch.setattr(run, "pretrain", refuse)
    run.train(config, resume=True)


def test_films_that_came_later_make_it_another_run(tmp_path):
    folder = with_films(tmp_path / "data", labelled=3, films=1)
    config = settings(folder, tmp_path / "run")
    run.train(config)
    later = write_fights(tmp_path / "later", videos=5)
    for path in (later / "train_tracking").rglob("5.parquet"):
        shutil.copy(path, folder / path.relative_to(later))
    shutil.copy(later / "train.csv", folder / "train.csv")
    with pytest.raises(DataError, match="have changed"):
        run.train(config, resume=True)


def test_the_model_says_of_which_recordings_it_saw_the_poses(data, tmp_path, capsys):
    trained = run.train(settings(data, tmp_path / "run"))
    checkpoint = load_checkpoint(trained.model_path)
    assert len(checkpoint.trained_on) == 4
    assert len(checkpoint.pretrained_on) == 4

    capsys.readouterr()
    assert main(["info", str(tmp_path / "run"), "--json"]) == 0
    card = json.loads(capsys.readouterr().out)["card"]
    assert (card["trained_on"], card["pretrained_on"]) == (4, 4)

    assert main(["info", str(tmp_path / "run")]) == 0
    assert "pretrained on the poses of 4 tracks more" in capsys.readouterr().out

    labelled = write_fights(tmp_path / "labelled", videos=9)
    assert main(["evaluate", str(tmp_path / "run"), str(labelled)]) == 0
    told = capsys.readouterr().out
    assert "4 of them gave their poses, without labels, to the pretraining" in told


def test_pretraining_and_a_model_to_start_from_exclude_each_other(data, tmp_path):
    with pytest.raises(ConfigError, match="pretraining_steps: a run that starts"):
        settings(data, from_model=tmp_path / "model")


def test_the_pair_task_is_pretrained_too(tmp_path):
    folder = without_labels(write_chases(tmp_path / "data", videos=5), [5])
    config = build_config(
        {
            **TINY_PAIRS,
            "data_dir": folder,
            "checkpoint_dir": tmp_path / "run",
            "epochs": 1,
            "steps_per_epoch": 3,
            "pretraining_steps": 3,
        },
        where="test",
    )
    checkpoint = load_checkpoint(run.train(config).model_path)
    assert len(checkpoint.pretrained_on) == 1


def recipe_for(counted_frames, pose_frames, **given):
    return auto_recipe.choose_recipe(
        given, groups=5, counted_frames=counted_frames, pose_frames=pose_frames
    )


@pytest.mark.parametrize(
    ("labelled", "poses", "is_pretrained"),
    [
        (20_000, 140_000, True),
        (20_000, 40_000, True),
        (20_000, 39_000, False),  # more than half have labels
        (200_000, 2_000_000, False),  # labels are enough
    ],
)
def test_the_recipe_pretrains_where_few_poses_have_labels(
    labelled, poses, is_pretrained
):
    recipe = recipe_for(labelled, poses)
    [network] = [kind.config for kind in recipe.kinds if not kind.config.is_grown]
    assert (network.pretraining_steps > 0) == is_pretrained
    assert any("pretrained" in reason for reason in recipe.reasons) == is_pretrained


def test_what_the_user_sets_of_pretraining_stays():
    for steps, poses in ((0, 140_000), (7, 140_000), (7, 0)):
        recipe = recipe_for(20_000, poses, pretraining_steps=steps)
        assert recipe.kinds[1].config.pretraining_steps == steps


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Three videos with labels, four without; one network for each fold."""
    root = tmp_path_factory.mktemp("recipe")
    folder = with_films(root / "data", labelled=3, films=4)
    quick = {
        **TINY_TREES,
        **TWO_CLASSES,
        **GRU,
        **{"model_type": "auto", "data_dir": folder, "checkpoint_dir": root / "run"},
        **{"sequence_length": 64, "batch_size": 8, "steps_per_epoch": 4, "epochs": 1},
        **{"num_workers": 1, "device": "cpu", "pretraining_steps": 3},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto_recipe, "NETWORKS", 1)
        patch.setattr(auto_recipe, "FINAL_NETWORKS", 1)
        train_recipe(quick, executor=HERE, explain=False)
    return root / "run"


def test_a_fold_never_sees_the_poses_that_it_is_scored_on(recipe):
    [films] = {
        frozenset(load_checkpoint(path).pretrained_on)
        for path in (recipe / "network" / "all").glob("*/last.safetensors")
    }
    assert len(films) == 4
    folds = list((recipe / "network").glob("seed*/fold*/last.safetensors"))
    assert len(folds) == 3
    for path in folds:
        fold = load_checkpoint(path)
        assert fold.pretrained_on == films
        assert len(fold.validated_on) == 1
        assert not fold.validated_on & (fold.pretrained_on | fold.trained_on)


def test_the_model_to_use_saw_the_poses_of_all_films(recipe):
    checkpoint = load_checkpoint(recipe)
    assert (len(checkpoint.trained_on), len(checkpoint.pretrained_on)) == (3, 4)
    trees, network = checkpoint.members
    assert not trees.provenance.pretrained_on
    assert len(network.provenance.pretrained_on) == 4


def test_learning_on_from_films_whose_poses_were_seen_is_said(recipe, tmp_path):
    scored = write_fights(tmp_path / "scored", videos=6)
    source = with_source(
        {"data_dir": scored, "from_model": recipe, "model_type": "auto"}
    )
    assert "3 of 6 labelled recordings had a part in the model" in str(source.reasons)
    assert "saw the poses of 3 of them, without labels" in str(source.reasons)
