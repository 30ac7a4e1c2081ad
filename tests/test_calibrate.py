"""New rules for an existing model: kept where they are no better, and said."""

import json

import numpy as np
import pytest
from stories import TINY, write_fights

from mabe.bouts import SCENE
from mabe.cli.main import main
from mabe.config import build_config
from mabe.decoding.recalibration import is_steadily_better, recalibrate
from mabe.decoding.rules import ClassRule, DecisionRules
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError
from mabe.models.checkpoint import load_checkpoint
from mabe.scene_task import SceneLabels, TaskKind
from mabe.training.run import train

NAMES = ("background", "social", "aggressive")
PLAIN = DecisionRules.plain(TaskKind.SCENE, NAMES)


def recording(number, *, shift=0.0, classes=(0, 1), lab="New", seconds=30):
    """Blocks of 2 s of each class; the log-odds of social are off by a shift."""
    rng = np.random.default_rng(number)
    frames = int(seconds * 10)
    labels = np.array(classes)[(np.arange(frames) // 20 + number) % len(classes)]
    noise = np.repeat(rng.normal(0, 0.3, (frames // 20, 3)), 20, axis=0)
    logits = noise + 4 * (labels[:, None] == np.arange(3))
    logits[:, 1] += shift
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return ViewPredictions(
        kind=TaskKind.SCENE,
        classes=NAMES,
        lab=lab,
        video=str(number),
        view=SCENE,
        track=f"track{number}",
        fps=10.0,
        probabilities=probabilities.astype(np.float32),
        labels=SceneLabels(labels.astype(np.int8), 3).frames(0, frames),
    )


def test_a_threshold_that_is_wrong_for_a_new_camera_is_put_right():
    views = [recording(number, shift=-5) for number in range(5)]
    found = recalibrate(views, PLAIN)

    assert found.score_before < 0.6
    assert found.score_after > 0.9
    assert found.is_better
    assert found.is_shown
    assert found.rules == found.found


def test_rules_that_are_right_are_kept():
    views = [recording(number) for number in range(3)]
    found = recalibrate(views, PLAIN)

    assert found.score_before > 0.95
    assert not found.is_better
    assert not found.is_shown
    assert found.rules is PLAIN


def test_a_gain_from_few_recordings_is_used_and_not_called_shown():
    found = recalibrate([recording(n, shift=-5) for n in range(3)], PLAIN)

    assert found.is_better
    assert not found.is_shown


def test_two_recordings_are_too_few():
    with pytest.raises(DataError, match="at least 3"):
        recalibrate([recording(0), recording(1)], PLAIN)


def test_a_class_that_no_recording_shows_keeps_its_rule():
    strict = ClassRule(name="aggressive", threshold=0.9, min_bout_s=0.3)
    before = PLAIN.with_class(2, strict)
    found = recalibrate([recording(n, shift=-5) for n in range(4)], before)

    assert found.is_better
    assert found.kept_classes == ("aggressive",)
    assert found.rules.classes[2] == strict


def test_an_action_that_a_lab_does_not_show_may_still_be_predicted_there():
    views = [recording(n, shift=-5) for n in range(4)]
    found = recalibrate(views, PLAIN).found

    assert all(t < 1 for rule in found.classes for t in rule.lab_thresholds.values())


def test_one_recording_does_not_decide():
    """Two recordings have no difference, and one has a large gain."""
    old = np.array([[[[50, 50, 40]]], [[[50, 50, 40]]], [[[50, 50, 0]]]])
    new = old.copy()
    new[2, 0, 0, 2] = 50
    assert not is_steadily_better(old, new, TaskKind.PAIR)
    new[:, 0, 0, 2] = 50
    assert is_steadily_better(old, new, TaskKind.PAIR)


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    """A model of two videos, and a data set with these and three others."""
    root = tmp_path_factory.mktemp("calibrate")
    run = root / "run"
    settings = TINY | {
        "data_dir": write_fights(root / "old", videos=2, seconds=12),
        "checkpoint_dir": run,
        "classes": {"background": ["sniff"], "fight": ["attack"]},
        "epochs": 1,
    }
    train(build_config(settings, where="test"))
    return run, write_fights(root / "new", videos=4, seconds=12)


@pytest.fixture(scope="module")
def calibrated(fights, tmp_path_factory):
    """The folder that a calibration wrote; the model's bytes are as they were."""
    run, data = fights
    out = tmp_path_factory.mktemp("calibrated") / "out"
    before = (run / "best.safetensors").read_bytes()
    assert main(["calibrate", str(run), str(data), "--out", str(out)]) == 0
    assert (run / "best.safetensors").read_bytes() == before
    return out


def test_a_calibrated_model_is_a_file_of_its_own(fights, calibrated):
    report = json.loads((calibrated / "calibration.json").read_text())
    new, old = load_checkpoint(calibrated), load_checkpoint(fights[0])

    assert report["old_rules"] == json.loads(old.rules.to_json())
    assert (new.rules == old.rules) == (report["rules"] == "kept")
    assert bool(new.tuned_on) == (report["rules"] == "new")
    assert "1 left out: training recordings of the model" in report["notes"]
    assert len(report["folds"]) == 3


def test_without_a_folder_the_same_model_lies_beside_the_old(
    fights, calibrated, capsys
):
    run, data = fights
    beside = run / "best-calibrated.safetensors"
    assert main(["calibrate", str(run), str(data)]) == 0

    assert beside.read_bytes() == (calibrated / "best.safetensors").read_bytes()
    printed = capsys.readouterr().out
    assert str(beside) in printed
    assert "Rules kept" in printed or "Rules changed" in printed


def test_a_folder_with_something_else_is_left_alone(fights, tmp_path, capsys):
    run, data = fights
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["calibrate", str(run), str(data), "--out", str(tmp_path)]) == 2
    assert "holds something already" in capsys.readouterr().err
    assert main(["calibrate", str(run), str(data), "--out", str(run)]) == 2
