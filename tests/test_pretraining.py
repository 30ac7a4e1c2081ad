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
from kills import Killed
from stories import GRU, STILL, TINY, TINY_TREES, write_fights

from mabe.bouts import find_spans
from mabe.cli.main import main
from mabe.config import build_config
from mabe.errors import ConfigError, DataError, StopRequested
from mabe.experiments import auto_recipe
from mabe.experiments.train_auto import train_recipe
from mabe.experiments.train_from import with_source
from mabe.models.checkpoint import load_checkpoint, plain_rules
from mabe.models.model import build_model
from mabe.models.reused_weights import is_head
from mabe.models.span_predictor import SpanPredictor
from mabe.runtime.devices import choose_device
from mabe.runtime.distributed import make_fabric
from mabe.runtime.executors import HERE
from mabe.training import pretraining, run, training_loop
from mabe.training.objectives import load_training_data
from mabe.training.pretraining import (
    HiddenSpans,
    draw_spans,
    pretrain,
    recordings_to_pretrain_on,
)

TWO_CLASSES = {"classes": {"quiet": [], "attack": ["attack"]}}


def settings(data, run_dir=None, **changes):
    values = {**TINY, **GRU, **STILL, **TWO_CLASSES, "epochs": 1, "steps_per_epoch": 4}
    values |= {"pretraining_steps": 5, "data_dir": data}
    if run_dir:
        values["checkpoint_dir"] = run_dir
    return build_config(values | changes, where="test")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five labelled videos, and four without labels."""
    root = tmp_path_factory.mktemp("pretraining")
    return with_films(root / "data", labelled=5, films=4)


def with_films(folder, *, labelled, films, seconds=24):
    write_fights(folder, videos=labelled + films, seconds=seconds)
    return without_labels(folder, range(labelled + 1, labelled + films + 1))


def read_rows(folder):
    text = (folder / "train.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def write_rows(folder, rows):
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, dict.fromkeys(key for row in rows for key in row))
        writer.writeheader()
        writer.writerows(rows)


def without_labels(folder, videos):
    """Let some videos be films that nobody has scored."""
    rows = read_rows(folder)
    wanted = {str(video) for video in videos}
    for row in rows:
        if row["video_id"] in wanted:
            row["behaviors_labeled"] = "[]"
            labels = f"train_annotation/Lab/{row['video_id']}.parquet"
            (folder / labels).unlink()
    write_rows(folder, rows)
    return folder


def names(data, places):
    return [data.store.recordings[place].video for place in places]


def fabric():
    return make_fabric(choose_device("cpu"), "32")


def pretrained(config):
    loaded = load_training_data(config)
    objective = loaded.objective(config)
    seen = recordings_to_pretrain_on(loaded)
    return pretrain(config, objective, fabric(), seen), objective, seen


def hidden_frames(length, rate_fps, seed, windows=3):
    rng = np.random.default_rng(seed)
    return draw_spans(rng, windows, length, rate_fps=rate_fps)


@given(st.integers(1, 600), st.floats(1, 60), st.integers(0, 10_000))
def test_in_each_window_something_is_hidden_and_in_none_too_much(
    length, rate_fps, seed
):
    hidden = hidden_frames(length, rate_fps, seed)
    assert hidden.shape == (3, length)
    assert hidden.any(axis=1).all()
    spans = max(1, round(length / rate_fps / pretraining.SPAN_EVERY_S))
    longest = min(max(1, length // 4), max(1, round(5 * rate_fps)))
    assert (hidden.sum(axis=1) <= spans * longest).all()


@given(st.integers(4, 80), st.integers(0, 10_000))
def test_a_short_window_has_one_hidden_span_of_a_quarter_at_most(length, seed):
    for window in hidden_frames(length, 10.0, seed):
        [span] = find_spans(window)
        assert min(5, length // 4) <= span[1] - span[0] <= length // 4


@pytest.mark.parametrize(("window_s", "rate_fps"), [(46, 10), (16, 30), (46, 30)])
def test_about_a_third_of_the_recipes_windows_is_hidden(window_s, rate_fps):
    hidden = hidden_frames(window_s * rate_fps, rate_fps, seed=0, windows=500)
    assert 0.28 < hidden.mean() < 0.45


def used_and_held_out(config):
    data = load_training_data(config)
    return names(data, recordings_to_pretrain_on(data)), names(data, data.held_out)


def test_films_without_labels_are_used_and_what_is_held_out_is_not(data):
    used, held_out = used_and_held_out(settings(data))
    assert len(held_out) == 1
    assert used == [each for each in "123456789" if each not in held_out]


def name_animals(folder, animals):
    """Give each video its animals: one letter for the first, one for the second."""
    rows = read_rows(folder)
    for row, pair in zip(rows, animals, strict=True):
        row["mouse1_id"], row["mouse2_id"] = pair
    write_rows(folder, rows)


def test_films_of_an_animal_that_is_held_out_are_left_out(tmp_path):
    folder = with_films(tmp_path / "data", labelled=4, films=4)
    name_animals(folder, ["ab", "cd", "ef", "gh"] * 2)
    used, held_out = used_and_held_out(settings(folder, split_by="animal"))
    [video] = held_out
    assert {*"12345678"} - {*used} == {video, str(int(video) + 4)}


def test_a_film_that_links_two_animals_keeps_no_other_recording_out(tmp_path):
    """A film of an animal held out and of one learned from; another of the latter."""
    folder = with_films(tmp_path / "data", labelled=2, films=2)
    config = settings(folder, split_by="animal")
    name_animals(folder, ["ab", "cd", "ac", "ab"])
    [held_out] = used_and_held_out(config)[1]
    others = {"1": "cd", "2": "ab"}[held_out]
    name_animals(folder, ["ab", "cd", "ac", others])
    used, again = used_and_held_out(config)
    assert again == [held_out]
    assert used == sorted({"1", "2", "4"} - {held_out})


def test_an_unlabelled_copy_of_a_held_out_video_is_left_out(data, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    [held_out] = used_and_held_out(settings(data))[1]
    tracks = folder / "train_tracking" / "Lab"
    shutil.copy(tracks / f"{held_out}.parquet", tracks / "9.parquet")
    used, again = used_and_held_out(settings(folder))
    assert again == [held_out]
    assert used == [each for each in "12345678" if each != held_out]


def test_a_quick_test_uses_no_labelled_recordings_beyond_its_own(data):
    used, held_out = used_and_held_out(settings(data, max_sequences=3))
    assert len(held_out) == 1
    assert len({*used} & {*"12345"}) == 2
    assert {*used} > {*"6789"}


@pytest.mark.parametrize(("recordings", "expected"), [(2, 4), (6, 6), (100, 8)])
def test_of_very_many_recordings_those_learned_from_and_some_others_are_used(
    data, monkeypatch, recordings, expected
):
    loaded = load_training_data(settings(data))
    length = loaded.store.recordings[0].length
    monkeypatch.setattr(pretraining, "MOST_FRAMES", recordings * length)
    used = recordings_to_pretrain_on(loaded)
    assert len(used) == expected
    assert {*loaded.learned} <= {*used}


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
    predictor.copy_into(model)
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


def weights_of(trained):
    return load_checkpoint(trained.model_path).model.state_dict()


def assert_same_weights(one, other):
    for name, value in weights_of(one).items():
        assert torch.equal(value, weights_of(other)[name]), name


def refuse(*_):
    raise AssertionError("pretrained again")


def test_a_stop_in_pretraining_begins_it_again(data, tmp_path, monkeypatch):
    whole = run.train(settings(data, tmp_path / "whole"))
    config = settings(data, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "any_of", lambda *_: True)
        with pytest.raises(StopRequested, match="--resume begins it again"):
            run.train(config)
    assert_same_weights(run.train(config, resume=True), whole)


@pytest.mark.parametrize("after_saves", [0, 1, 2])
def test_a_run_that_ends_after_pretraining_is_resumed_without_a_second(
    data, tmp_path, monkeypatch, after_saves
):
    whole = run.train(settings(data, tmp_path / "whole"))
    config = settings(data, tmp_path / "run", save_every_s=1e-9)
    save, left = training_loop.save_state, [after_saves]

    def save_then_die(*values):
        if not left[0]:
            raise Killed
        left[0] -= 1
        save(*values)

    with monkeypatch.context() as patch:
        patch.setattr(training_loop, "save_state", save_then_die)
        with pytest.raises(Killed):
            run.train(config)
    monkeypatch.setattr(run, "pretrain", refuse)
    assert_same_weights(run.train(config, resume=True), whole)


def add_film(folder, later):
    write_fights(later, videos=5)
    film = "train_tracking/Lab/5.parquet"
    shutil.copy(later / film, folder / film)
    row = read_rows(later)[-1] | {"behaviors_labeled": "[]"}
    write_rows(folder, [*read_rows(folder), row])


def measure_anew(folder, _later):
    rows = read_rows(folder)
    rows[-1]["pix_per_cm_approx"] = "20.0"
    write_rows(folder, rows)


@pytest.mark.parametrize("change", [add_film, measure_anew])
def test_other_films_make_it_another_run(change, tmp_path):
    folder = with_films(tmp_path / "data", labelled=3, films=1)
    config = settings(folder, tmp_path / "run")
    run.train(config)
    run.train(config, resume=True)
    change(folder, tmp_path / "later")
    with pytest.raises(DataError, match="have changed"):
        run.train(config, resume=True)


def test_the_model_says_on_which_recordings_it_was_pretrained(data, tmp_path, capsys):
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
    assert "the poses of 4 of them were used in pretraining" in told


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
        **STILL,
        **{"model_type": "auto", "data_dir": folder, "checkpoint_dir": root / "run"},
        **{"sequence_length": 64, "batch_size": 8, "steps_per_epoch": 4, "epochs": 1},
        **{"num_workers": 1, "device": "cpu", "pretraining_steps": 3},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto_recipe, "NETWORKS", 1)
        patch.setattr(auto_recipe, "FINAL_NETWORKS", 1)
        train_recipe(quick, executor=HERE, explain=False)
    return root / "run"


def test_a_fold_is_never_pretrained_on_what_it_is_scored_on(recipe):
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


def test_the_model_to_use_was_pretrained_on_all_films(recipe):
    checkpoint = load_checkpoint(recipe)
    assert (len(checkpoint.trained_on), len(checkpoint.pretrained_on)) == (3, 4)
    trees, network = checkpoint.members
    assert not trees.provenance.pretrained_on
    assert len(network.provenance.pretrained_on) == 4


def test_it_is_said_where_from_scores_recordings_of_the_pretraining(recipe, tmp_path):
    scored = write_fights(tmp_path / "scored", videos=6)
    source = with_source(
        {"data_dir": scored, "from_model": recipe, "model_type": "auto"}
    )
    assert "3 of 6 labelled recordings had a part in the model" in str(source.reasons)
    assert "The poses of 3 of them were used in the pretraining" in str(source.reasons)


def test_on_from_a_pretrained_model_its_films_stay_on_the_card(data, tmp_path):
    old = run.train(settings(data, tmp_path / "old"))
    films = load_checkpoint(old.model_path).pretrained_on
    scored = write_fights(tmp_path / "scored", videos=2, seconds=12)
    new = run.train(
        settings(
            scored,
            tmp_path / "new",
            from_model=tmp_path / "old",
            pretraining_steps=0,
            hold_out=False,
        )
    )
    assert load_checkpoint(new.model_path).pretrained_on == films


@pytest.mark.parametrize("task", ["scene", "pair"])
@pytest.mark.parametrize("network", ["conv_gru", "tcn", "conv_bilstm"])
def test_every_network_is_pretrained_on_recordings_shorter_than_a_window(
    network, task, tmp_path
):
    folder = with_films(tmp_path / "data", labelled=3, films=1, seconds=5)
    trained = run.train(
        settings(folder, tmp_path / "run", model_type=network, task=task)
    )
    assert all(value.isfinite().all() for value in weights_of(trained).values())


def test_what_comes_after_a_recordings_end_is_not_predicted(tmp_path):
    folder = with_films(tmp_path / "data", labelled=3, films=1, seconds=5)
    config = settings(folder)
    loaded = load_training_data(config)
    objective = loaded.objective(config)
    model = build_model(config.model, objective.task)
    used = recordings_to_pretrain_on(loaded)
    spans = HiddenSpans(objective, objective.sample_poses(model, used))
    batch = spans.draw(np.random.default_rng(0), 200, 1.0)
    length = loaded.store.recordings[0].length
    assert batch.hidden_BT[:, :length].any(axis=0).all()
    assert not batch.hidden_BT[:, length:].any()


def test_a_network_is_told_whose_view_it_predicts(tmp_path):
    config = settings(write_chases(tmp_path / "data"), task="pair", lab_channels=2)
    loaded = load_training_data(config)
    objective = loaded.objective(config)
    model = build_model(config.model, objective.task)
    spans = HiddenSpans(objective, objective.sample_poses(model, loaded.learned))
    batch = spans.draw(np.random.default_rng(0), 8, 1.0)
    lab_B, is_self_B = spans.targets(batch, torch.device("cpu")).view
    assert lab_B.tolist() == [objective.task.lab_number("Lab")] * 8
    assert is_self_B.tolist() == batch.windows.is_self.tolist()


def test_the_run_says_how_many_recordings_have_no_labels(data, tmp_path, capsys):
    run.train(settings(data, tmp_path / "run"))
    printed = capsys.readouterr().out
    assert "5 steps on the poses of 8 recordings" in printed
    assert "4 of them without labels; none is held out" in printed


def test_of_few_recordings_no_rules_are_tuned(recipe):
    checkpoint = load_checkpoint(recipe)
    assert checkpoint.rules == plain_rules(checkpoint.model.task)
    assert not checkpoint.tuned_on
