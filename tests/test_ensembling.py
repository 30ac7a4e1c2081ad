"""Joining a run that knows the story with copies of it that know less."""

import json
import shutil

import numpy as np
import pytest
import torch
from epochs import epoch
from stories import TINY, write_fights

from mabe.bouts import SCENE, View
from mabe.config import build_config, dump_config, load_config
from mabe.decoding.view_predictions import OutOfFold, ViewPredictions
from mabe.errors import RunError
from mabe.experiments.ensembling import (
    drop_useless,
    find_weights,
    join_runs,
    kept_epochs,
)
from mabe.experiments.out_of_fold import FILE_NAME, read_out_of_fold
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.models.checkpoint import load_checkpoint, save_checkpoint, save_ensemble
from mabe.models.model import build_model
from mabe.scene_task import TaskKind
from mabe.training.history import write_history
from mabe.training.objectives import load_training_data
from mabe.training.run import train


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A run that has learned the story; it kept epochs 2, 4 and 6."""
    folder = tmp_path_factory.mktemp("good")
    data = write_fights(folder / "data", videos=4, seconds=8)
    values = {**TINY, "folds": 2, "epochs": 6, "save_freq": 2, "data_dir": data}
    values |= {"checkpoint_dir": folder / "run", "store_dir": folder / "store"}
    return train(build_config(values, where="test")).run_dir


def config_of(run):
    return load_config(run / "config.yaml")


def copy_of(run, place, change=lambda model: None):
    """Copy a run, and change what its model knows."""
    shutil.copytree(run, place)
    checkpoint = load_checkpoint(place)
    with torch.no_grad():
        change(checkpoint.model)
    member = checkpoint.members[0]
    save_checkpoint(place / "best.safetensors", member.model, member.provenance)
    return place


def be_wrong(model):
    """Take fights for peace, and peace for fights; say nothing else."""
    head = model.network.head
    for values in (head.weight, head.bias):
        values[[0, 3]] = values[[3, 0]].clone()


def be_unsure(model):
    """Say the same of every frame."""
    model.network.head.weight.zero_()
    model.network.head.bias.zero_()


@pytest.fixture(scope="module")
def wrong(good, tmp_path_factory):
    return copy_of(good, tmp_path_factory.mktemp("wrong") / "run", be_wrong)


@pytest.fixture(scope="module")
def unsure(good, tmp_path_factory):
    return copy_of(good, tmp_path_factory.mktemp("unsure") / "run", be_unsure)


def weights_of(path):
    return load_checkpoint(path).model.weights


# Which weights.


def told(*probabilities, labels):
    """What each of some runs says of one action in a few frames."""
    column = np.array(labels, np.int8)[:, None]
    return [
        OutOfFold(
            TaskKind.PAIR,
            ("attack",),
            (
                ViewPredictions(
                    kind=TaskKind.PAIR,
                    classes=("attack",),
                    lab="Lab",
                    video="1",
                    view=View(1, 2),
                    track="x",
                    fps=25.0,
                    probabilities=np.array(each, np.float16)[:, None],
                    labels=column,
                ),
            ),
        )
        for each in probabilities
    ]


def log_loss(weights, probabilities, labels):
    blended = (weights @ probabilities).clip(1e-3, 1 - 1e-3)
    return -np.mean(np.where(labels, np.log(blended), np.log(1 - blended)))


@pytest.mark.parametrize("seed", range(5))
def test_the_weights_are_those_of_the_least_log_loss(seed):
    # As in use, there is something to choose: both know part of the truth.
    rng = np.random.default_rng(seed)
    labels = rng.random(400) < 0.3
    odds = np.where(labels, 1.5, -1.5) + rng.normal(0, (2.0, 3.0), (400, 2)).T
    probabilities = (1 / (1 + np.exp(-odds))).astype(np.float16).astype(float)
    found = find_weights(told(*probabilities, labels=labels))
    grid = np.linspace(0, 1, 201)
    best = min(log_loss(np.array([w, 1 - w]), probabilities, labels) for w in grid)
    assert log_loss(found, probabilities, labels) == pytest.approx(best, abs=1e-3)
    assert found.sum() == pytest.approx(1)
    assert found[0] > found[1] > 0


def test_balanced_weights_favour_the_run_that_knows_the_rare_frames():
    # One action in ten frames: the first run misses it, the second sees too much.
    labels = [1] + [0] * 9
    runs = told([0.1] * 10, [0.6] + [0.3] * 9, labels=labels)
    plain, balanced = find_weights(runs), find_weights(runs, balance=1.0)
    assert plain[0] > 0.5 > balanced[0]


def test_runs_that_say_the_same_have_the_same_say():
    probabilities = [0.2, 0.9, 0.4]
    found = find_weights(
        told(probabilities, probabilities, probabilities, labels=[0, 1, 1])
    )
    np.testing.assert_allclose(found, 1 / 3)


def test_the_order_of_the_runs_does_not_matter():
    one, other = [0.2, 0.8, 0.3], [0.6, 0.9, 0.9]
    forth = find_weights(told(one, other, labels=[0, 1, 1]))
    back = find_weights(told(other, one, labels=[0, 1, 1]))
    np.testing.assert_allclose(forth, back[::-1])


def test_what_nobody_looked_for_or_is_impossible_decides_nothing():
    plain = find_weights(told([0.2, 0.8], [0.6, 0.9], labels=[0, 1]))
    # The first would be ruined by the third frame, and the second by the fourth.
    more = told([0.2, 0.8, 0.0, 0.5], [0.6, 0.9, 1.0, np.nan], labels=[0, 1, -1, 0])
    np.testing.assert_allclose(find_weights(more), plain)


def test_being_sure_and_wrong_costs_much_and_not_infinitely():
    found = find_weights(told([0.0, 1.0], [0.4, 0.6], labels=[1, 0]))
    assert np.isfinite(found).all()
    assert found[1] > 0.99


def test_the_useless_are_left_out_and_the_others_share_their_say():
    dropped = drop_useless(np.array([0.599, 0.4, 0.001]))
    np.testing.assert_allclose(dropped, [0.599 / 0.999, 0.4 / 0.999, 0])


def test_of_very_many_equals_none_is_useless():
    assert drop_useless(np.full(150, 1 / 150)).all()


# Joined runs.


def test_a_run_that_is_wrong_is_left_out(good, wrong, tmp_path):
    lines = join_runs([good, wrong], tmp_path).to_lines()
    assert lines[0] == f"{good}: weight 1.00"
    assert lines[1] == f"{wrong}: weight 0.00, left out"
    joined = load_checkpoint(tmp_path)
    assert len(joined.members) == 1
    mine = joined.model.state_dict()
    for name, value in load_checkpoint(good).model.state_dict().items():
        assert value.equal(mine[name])


def noisy_answers(*, noise, seed):
    """Say the truth in noise of its own: log-odds of 3 either way, and a deviation."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(4000)[:, None] // 100 % 2 == [0, 1]).astype(np.int8)
    said = 3 * (2 * labels - 1) + rng.normal(0, noise, labels.shape)
    view = ViewPredictions(
        kind=TaskKind.SCENE,
        classes=("background", "aggressive"),
        lab="Lab",
        video="1",
        view=SCENE,
        track="a",
        fps=30.0,
        probabilities=(1 / (1 + np.exp(-said))).astype(np.float16),
        labels=labels,
    )
    return OutOfFold(view.kind, view.classes, (view,))


def test_the_better_of_two_has_more_of_a_say_in_either_order():
    one, other = noisy_answers(noise=3.0, seed=1), noisy_answers(noise=3.5, seed=2)
    better, worse = find_weights([one, other])
    assert 0.6 < better < 0.95
    assert better + worse == pytest.approx(1)
    assert find_weights([other, one]) == pytest.approx((worse, better), abs=1e-6)


def test_all_count_the_same_where_asked_to(good, wrong, tmp_path):
    join_runs([good, wrong], tmp_path, equal=True)
    assert weights_of(tmp_path) == (0.5, 0.5)
    assert load_checkpoint(tmp_path).tuned_on == ()


def test_recordings_that_chose_weights_are_remembered(good, unsure, tmp_path):
    join_runs([good, unsure], tmp_path)
    joined = load_checkpoint(tmp_path)
    assert set(joined.tuned_on) == load_checkpoint(good).validated_on


def test_it_is_said_how_each_does_alone_and_joined(good, wrong, tmp_path):
    lines = join_runs([good, wrong], tmp_path, equal=True).to_lines()
    alone = [float(line.split()[1]) for line in lines if line.startswith("  alone")]
    assert alone[0] > 0.9
    assert alone[1] < 0.1
    assert any(line.startswith("  joined") for line in lines)
    assert lines[-1].startswith("✓ 2 models as one")


def test_probabilities_of_the_joined_are_the_weighted_mean_of_the_members(
    good, unsure, tmp_path
):
    first, second = (load_checkpoint(run) for run in (good, unsure))
    members = [first.members[0], second.members[0]]
    save_ensemble(tmp_path / "best.safetensors", members, [3.0, 1.0])
    poses = 10 * np.random.default_rng(0).normal(size=(90, 4, 18, 2))
    tracks = Tracks(90, lambda start, stop: poses[start:stop].astype(np.float32))
    possible = np.ones(4, bool)
    one, other, joined = (
        frame_probabilities(model, tracks, possible)
        for model in (
            first.model,
            second.model,
            load_checkpoint(tmp_path).model,
        )
    )
    assert np.abs(one - other).max() > 0.1
    np.testing.assert_allclose(joined, 0.75 * one + 0.25 * other, atol=1e-6)


def test_the_answers_beside_the_joined_are_what_the_joined_says(good, wrong, tmp_path):
    join_runs([good, wrong], tmp_path / "out", equal=True)
    data = load_training_data(config_of(good))
    joined = load_checkpoint(tmp_path / "out").model
    found = {
        view.video: view
        for view in read_out_of_fold(tmp_path / "out" / FILE_NAME).views
    }
    assert len(found) == len(data.held_out) == 2
    for index in data.held_out:
        about = data.store.recordings[index]
        possible = joined.task.choices(about)[SCENE]
        said = frame_probabilities(
            joined, Tracks.of_stored(data.store, index), possible
        )
        told_before = found[about.video].probabilities[:, possible]
        np.testing.assert_allclose(told_before, said[:, possible], atol=2e-3)


def test_who_is_left_out_has_no_part_in_the_answers_either(good, wrong, tmp_path):
    join_runs([good, wrong], tmp_path / "both")
    join_runs([good], tmp_path / "alone")
    both, alone = (tmp_path / name / FILE_NAME for name in ("both", "alone"))
    assert both.read_bytes() == alone.read_bytes()


def test_an_ensemble_in_an_ensemble_keeps_the_products_of_weights(
    good, unsure, wrong, tmp_path
):
    members = [load_checkpoint(run).members[0] for run in (good, unsure)]
    inner = tmp_path / "inner" / "best.safetensors"
    save_ensemble(inner, members, [3.0, 1.0], tuned_on=["a track"])
    lines = join_runs([inner.parent, wrong], tmp_path / "outer").to_lines()
    assert (
        "All weighted equally" in lines[2]
    )  # what the inner was tuned on is not there
    outer = load_checkpoint(tmp_path / "outer")
    assert outer.model.weights == pytest.approx((0.375, 0.125, 0.5))
    for mine, run in zip(outer.members, (good, unsure, wrong), strict=True):
        head = load_checkpoint(run).model.network.head.weight
        assert mine.model.network.head.weight.equal(head)
    # It chose the inner weights, which are still in use.
    assert outer.tuned_on == ("a track",)


# What cannot be joined.


def fresh(folder, run, **changes):
    """A model of other settings that has learned nothing, as a file."""
    checkpoint = load_checkpoint(run)
    config = build_config(dump_config(config_of(run)) | changes, where="test")
    place = folder / "other" / "best.safetensors"
    provenance = checkpoint.members[0].provenance
    save_checkpoint(place, build_model(config.model, config.scene_task), provenance)
    shutil.copy(run / "config.yaml", place.parent)
    return place.parent


OTHER_CLASSES = {"background": [], "fight": ["attack"]}
RENAMED = {"background": [], "social": ["sniff"], "mating": [], "war": ["attack"]}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"classes": OTHER_CLASSES}, "different tasks"),
        ({"classes": RENAMED}, "different tasks"),
        ({"fps": 25.0}, r"work at \[25.0, 33.3\] frames per second"),
    ],
)
@pytest.mark.parametrize("equal", [True, False])
def test_what_does_not_belong_together_is_refused_and_nothing_written(
    good, tmp_path, changes, match, equal
):
    other = fresh(tmp_path, good, **changes)
    with pytest.raises(RunError, match=match) as error:
        join_runs([good, other], tmp_path / "out", equal=equal)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("classes", [OTHER_CLASSES, RENAMED])
def test_runs_of_other_classes_on_the_same_recordings_are_refused_in_one_line(
    good, tmp_path, classes
):
    other = fresh(tmp_path, good, classes=classes)
    own = dump_config(config_of(good)) | {"classes": classes}
    (other / "config.yaml").write_text(json.dumps(own))  # JSON is YAML
    with pytest.raises(RunError, match="different tasks"):
        join_runs([good, other], tmp_path / "out")


def test_what_an_output_holds_is_never_overwritten(good, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="holds something already"):
        join_runs([good], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_runs_that_held_out_other_recordings_count_the_same_and_it_is_said(
    good, tmp_path
):
    values = dump_config(config_of(good))
    values |= {"fold": 1, "epochs": 1, "checkpoint_dir": tmp_path / "fold1"}
    other = train(build_config(values, where="test")).run_dir
    lines = join_runs([good, other], tmp_path / "out").to_lines()
    assert weights_of(tmp_path / "out") == (0.5, 0.5)
    assert "did not hold out the same recordings" in lines[2]
    assert load_checkpoint(tmp_path / "out").tuned_on == ()
    assert not (tmp_path / "out" / FILE_NAME).exists()


# Epochs of one run.


@pytest.fixture
def five_epochs(tmp_path):
    """A run that kept epochs 1 to 5 and 10, of which 2 and 4 were the best."""
    f1 = {1: 0.1, 2: 0.9, 3: None, 4: 0.8, 5: 0.3, 10: 0.2}
    for number in f1:
        (tmp_path / f"epoch_{number:03d}.safetensors").touch()
    history = [epoch(number, f1.get(number, 0.99)) for number in range(1, 11)]
    write_history(tmp_path, history)
    return tmp_path


@pytest.mark.parametrize(
    ("choice", "epochs"),
    [
        ({"last": 2, "best": None}, [5, 10]),
        ({"last": 3, "best": None}, [4, 5, 10]),
        ({"last": None, "best": 2}, [2, 4]),
        ({"last": None, "best": 3}, [2, 4, 5]),
        ({"last": 99, "best": None}, [1, 2, 3, 4, 5, 10]),
    ],
)
def test_the_last_or_the_best_kept_epochs_are_chosen(five_epochs, choice, epochs):
    names = [path.stem for path in kept_epochs(five_epochs, **choice)]
    assert sorted(names) == [f"epoch_{epoch:03d}" for epoch in epochs]


@pytest.mark.parametrize("choice", [{"last": 2}, {"best": 2}])
def test_epochs_of_a_run_that_kept_none_are_one_line(tmp_path, choice):
    with pytest.raises(RunError, match=r"has 0 saved epochs.*save_freq"):
        join_runs([tmp_path], tmp_path / "out", **choice)


def test_last_and_best_together_are_refused(good, tmp_path):
    with pytest.raises(RunError, match="--last and --best exclude each other"):
        join_runs([good], tmp_path / "out", last=2, best=2)


def test_epochs_of_a_run_are_joined(good, tmp_path):
    lines = join_runs([good], tmp_path, last=2, equal=True).to_lines()
    joined = load_checkpoint(tmp_path)
    assert [member.provenance.epoch for member in joined.members] == [4, 6]
    assert "epoch_004" in lines[0]


def test_joining_leaves_the_runs_as_they_were(good, unsure, tmp_path):
    before = {path: path.read_bytes() for path in good.iterdir()}
    join_runs([good, unsure], tmp_path / "one")
    join_runs([good], tmp_path / "other", last=2)
    assert {path: path.read_bytes() for path in good.iterdir()} == before
