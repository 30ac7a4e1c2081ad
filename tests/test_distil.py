"""Distilling: one network learns what a model predicts, without any labels."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from chases import TINY_PAIRS, write_chases
from hypothesis import given
from hypothesis import strategies as st
from stories import TINY, TINY_TREES, write_fights

from mabe.bouts import View
from mabe.cli.main import main
from mabe.config import RunConfig, build_config
from mabe.data.pair_windows import TaughtView
from mabe.data.prepare import load_store
from mabe.decoding.rules import NEVER, ClassRule, DecisionRules
from mabe.experiments.distil import settings_of_student
from mabe.models.checkpoint import load_checkpoint, save_checkpoint, save_rules
from mabe.pair_task import UNWATCHED
from mabe.scene_task import TaskKind
from mabe.training import teacher
from mabe.training.losses import (
    pair_loss,
    pair_loss_of_shares,
    pair_loss_weights,
    pair_share_weights,
    scene_loss,
    scene_loss_of_shares,
)
from mabe.training.objectives import load_training_data
from mabe.training.objectives.taught import possible_where_taught
from mabe.training.reuse import load_source
from mabe.training.run import train

STUDENT = [
    *("--set", "gru_width=16", "--set", "sequence_length=64", "--set", "batch_size=8"),
    *("--set", "steps_per_epoch=40", "--set", "num_workers=1"),
]
"""A student that learns the stories in seconds."""


@given(st.integers(0, 10_000), st.floats(0.1, 8))
def test_shares_of_0_and_1_have_the_loss_of_labels(seed, rare):
    torch.manual_seed(seed)
    logits = torch.randn(2, 5, 3)
    classes = torch.randint(-1, 3, (2, 5))
    possible = torch.ones(2, 3, dtype=torch.bool)
    weights = torch.tensor([1.0, rare, 2.0])
    shares = torch.nn.functional.one_hot(classes.clamp(min=0), 3).float()
    shares[classes < 0] = 0
    torch.testing.assert_close(
        scene_loss_of_shares(logits, shares, possible, weights),
        scene_loss(logits, classes, possible, weights),
    )

    states = torch.randint(-1, 2, (2, 5, 3))
    of_pairs = (torch.tensor([1.0, 0.5, 2.0]), weights)
    torch.testing.assert_close(
        pair_loss_of_shares(logits, states.float(), *of_pairs),
        pair_loss(logits, states, *of_pairs),
    )
    torch.testing.assert_close(
        pair_share_weights(states.float(), *of_pairs),
        pair_loss_weights(states, *of_pairs),
    )


def test_a_student_as_unsure_as_its_teacher_has_the_least_loss():
    shares = torch.tensor([[[0.3, 0.7]]])
    possible, even = torch.ones(1, 2, dtype=torch.bool), torch.ones(2)
    found = torch.linspace(0.05, 0.95, 19)
    logits = torch.stack([torch.log(found), torch.log1p(-found)], dim=-1)
    of_scenes = [
        scene_loss_of_shares(each[None, None], shares, possible, even)
        for each in logits
    ]
    assert found[int(torch.stack(of_scenes).argmin())] == pytest.approx(0.3)

    of_pairs = [
        pair_loss_of_shares(
            torch.logit(each).reshape(1, 1, 1), shares[..., :1], even[:1], even[:1]
        )
        for each in found
    ]
    assert found[int(torch.stack(of_pairs).argmin())] == pytest.approx(0.3)


def test_an_impossible_class_has_no_part_in_the_loss():
    logits = torch.tensor([[[0.0, 0.0, 50.0]]], requires_grad=True)
    shares = torch.tensor([[[0.5, 0.5, 0.0]]])
    possible = torch.tensor([[True, True, False]])
    loss = scene_loss_of_shares(logits, shares, possible, torch.ones(3))
    loss.backward()
    assert loss.item() == pytest.approx(np.log(2))
    assert logits.grad.isfinite().all()


def test_what_is_likely_is_drawn_as_a_bout_and_what_is_not_looked_at_never():
    shares = np.full((6, 2), 0.1, np.float16)
    shares[2:4, 0] = 0.9
    shares[:, 1] = UNWATCHED  # impossible between these two
    shares[5] = UNWATCHED  # too far from each other
    view = TaughtView(0, View(1, 2), shares)

    assert view.counted_spans().tolist() == [[0, 5]]
    assert view.occurring() == [0]
    assert view.action_spans(0).tolist() == [[2, 4]]
    assert [view.watched_frames(action) for action in (0, 1)] == [5, 0]


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    """Four labelled videos, six without labels, and three to score."""
    root = tmp_path_factory.mktemp("distil")
    write_fights(root / "labelled", videos=4, seconds=16)
    write_fights(root / "films", videos=6, seconds=20, labelled=False)
    write_fights(root / "scored", videos=3, seconds=24)
    settings = {**TINY, **TINY_TREES, "classes": {"quiet": [], "attack": ["attack"]}}
    places = {"data_dir": root / "labelled", "checkpoint_dir": root / "teacher"}
    train(build_config(settings | places, where="test"))
    return root


def distil(root, *words, out="student"):
    places = [str(root / name) for name in ("teacher", "films")]
    return main(["distil", *places, "--out", str(root / out), *STUDENT, *words])


@pytest.fixture(scope="module")
def student(fights):
    assert distil(fights) == 0
    return fights / "student"


def test_of_films_without_labels_a_student_learns_what_its_teacher_knows(
    fights, student, capsys
):
    assert main(["evaluate", str(student), str(fights / "scored"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["macro_f1"] > 0.9

    report = json.loads((student / "distillation.json").read_text(encoding="utf-8"))
    assert report["recordings"] == 6
    assert report["frames"] == 6 * 20 * 10
    assert report["agreement"].keys() == {"quiet", "attack"}
    assert report["macro_agreement"] > 0.9


def test_where_there_are_labels_they_are_learned_unless_they_are_to_be_ignored(
    fights, tmp_path, monkeypatch
):
    data = write_fights(tmp_path / "data", videos=2, seconds=8)
    settings = {"data_dir": data, "fps": 10.0, "teacher": fights / "teacher"}
    classes = {"quiet": [], "attack": ["attack"]}
    config = RunConfig(**settings, classes=classes, feature_set="social")
    unsure = np.full((80, 2), 0.5, np.float32)
    monkeypatch.setattr(teacher, "predict_view", lambda *_args, **_named: unsure)

    taught = load_training_data(config, notes=False)
    imitated = load_training_data(config.changed(ignore_labels=True), notes=False)
    for (_, _, of_labels), (_, _, of_model) in zip(
        taught.taught(), imitated.taught(), strict=True
    ):
        assert (of_model == 0.5).all()
        assert sorted(np.unique(of_labels)) == [0, 1]
        assert (of_labels.sum(axis=1) == 1).all()
        assert of_labels[:, 1].mean() == 0.5  # every second block is a fight


def test_its_card_names_the_teacher_and_all_that_either_learned_from(
    fights, student, capsys
):
    known, made = load_checkpoint(fights / "teacher"), load_checkpoint(student)
    assert made.trained_on > known.trained_on | known.validated_on
    [member] = made.members
    assert member.provenance.distilled_from.startswith("teacher/best.safetensors (")
    assert member.provenance.validation["f1_macro"] is None
    assert member.provenance.epoch == 2
    assert main(["info", str(student)]) == 0
    assert "Imitates" in capsys.readouterr().out


def test_thresholds_of_its_teacher_fit_other_probabilities_and_are_left_out(
    fights, capsys
):
    known = load_checkpoint(fights / "teacher")
    plain = known.rules
    steady = plain.with_class(1, replace(plain.classes[1], min_bout_s=0.5))
    strict = plain.with_class(1, replace(steady.classes[1], threshold=0.7))
    place = fights / "strict" / "best.safetensors"
    save_rules(known, strict, tuned_on=["a track"], path=place)
    words = [str(place), str(fights / "films"), "--out", str(fights / "tuned")]
    assert main(["distil", *words, *STUDENT]) == 0

    made = load_checkpoint(fights / "tuned")
    assert made.rules == steady != plain
    assert made.tuned_on == ("a track",)
    assert "mabe calibrate" in capsys.readouterr().out


def test_a_class_that_a_model_never_chooses_is_not_chosen_by_its_student():
    rule = ClassRule(name="rare", threshold=NEVER, lab_thresholds={"A": 0.3, "B": 0.5})
    other = ClassRule(name="rare", threshold=0.2, lab_thresholds={"A": NEVER})
    rules = DecisionRules(kind=TaskKind.PAIR, classes=(rule,))

    [kept] = rules.for_other_probabilities().classes
    assert (kept.threshold, kept.lab_thresholds) == (NEVER, {"A": 0.5, "B": 0.5})
    assert other.for_other_probabilities().lab_thresholds == {"A": NEVER}


def test_the_same_command_gives_the_same_and_a_finished_run_is_left_as_it_is(
    fights, student
):
    before = (student / "best.safetensors").read_bytes()
    assert distil(fights, out="again") == 0
    assert (fights / "again" / "best.safetensors").read_bytes() == before
    assert distil(fights, "--resume") == 0
    assert (student / "best.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("fps=20", "--set fps: the model that is imitated settles this"),
        ("actions=[attack]", "--set actions: the model that is imitated"),
        ("max_sequences=3", "all recordings are learned from"),
        ("model_type=trees", "a network imitates the model"),
        ("model_type=auto", "a network imitates the model"),
    ],
)
def test_what_contradicts_the_model_is_refused(fights, change, said, capsys):
    assert distil(fights, "--set", change, out="refused") == 2
    assert said in capsys.readouterr().err
    assert not (fights / "refused").exists()


def test_a_run_goes_on_with_its_teacher_wherever_it_is_and_with_no_other(
    fights, student, tmp_path, capsys
):
    moved = shutil.copytree(fights / "teacher", tmp_path / "teacher")
    words = [str(moved), str(fights / "films"), "--out", str(student), "--resume"]
    assert main(["distil", *words, *STUDENT]) == 0

    shutil.copy(student / "best.safetensors", moved / "best.safetensors")
    assert main(["distil", *words, *STUDENT]) == 2
    assert "teacher_hash" in capsys.readouterr().err


def test_a_labelled_class_that_nobody_watched_for_is_learned(fights, tmp_path):
    data = write_fights(tmp_path / "data", videos=2, seconds=8)
    listing = data / "train.csv"
    watched = listing.read_text(encoding="utf-8").replace("attack", "sniff")
    listing.write_text(watched, encoding="utf-8")
    config = RunConfig(
        data_dir=data,
        fps=10.0,
        teacher=fights / "teacher",
        classes={"quiet": [], "attack": ["attack"], "sniff": ["sniff"]},
        feature_set="social",
    )
    assert possible_in(config) == {(True, True, True)}
    assert possible_in(config.changed(ignore_labels=True)) == {(True, False, True)}


def possible_in(config):
    """Return the classes that are possible in the recordings of a run."""
    store = load_store(config.data_dir, rate_fps=config.fps)
    return {
        tuple(possible_where_taught(config, config.scene_task, recording).tolist())
        for recording in store.recordings
    }


def test_a_student_takes_over_who_made_its_teacher(fights, tmp_path):
    known = load_checkpoint(fights / "teacher")
    [member] = known.members
    signed = replace(member.provenance, licence="cc-by-nc-4.0", author="A. Lab")
    place = tmp_path / "signed" / "best.safetensors"
    save_checkpoint(place, member.model, signed)
    settings = settings_of_student(
        load_source(place), place, fights / "films", tmp_path / "out", {"cite": "B"}
    )
    assert (settings.licence, settings.author) == ("cc-by-nc-4.0", "A. Lab")
    assert settings.cite == "B"


def test_who_chases_whom_is_learned_from_a_teacher_too(tmp_path, capsys):
    write_chases(tmp_path / "labelled", videos=4, seconds=16)
    write_chases(tmp_path / "films", videos=6, seconds=20, watched=[])
    for path in (tmp_path / "films" / "train_annotation").rglob("*.parquet"):
        path.unlink()
    places = {
        "data_dir": tmp_path / "labelled",
        "checkpoint_dir": tmp_path / "teacher",
    }
    train(build_config({**TINY_PAIRS, **TINY_TREES, **places}, where="test"))
    assert distil(tmp_path) == 0
    assert "Agreement with" in capsys.readouterr().out

    write_chases(tmp_path / "scored", videos=3, seconds=24)
    words = [str(tmp_path / "student"), str(tmp_path / "scored")]
    assert main(["evaluate", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["macro_f1"] > 0.8
