"""The checklist, on runs whose faults anybody can see."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from chases import TINY_PAIRS, write_chases
from epochs import epoch
from hypothesis import given
from hypothesis import strategies as st
from pair_stories import stored
from stories import TINY, write_fights

from mabe.bouts import SCENE
from mabe.cli.main import main
from mabe.config import build_config
from mabe.decoding import DecisionRules
from mabe.decoding.calibration import Calibration
from mabe.decoding.view_predictions import OutOfFold, ViewPredictions
from mabe.experiments.checklist import (
    CHECKS,
    Finding,
    Verdict,
    findings_json,
    format_findings,
    run_checks,
)
from mabe.experiments.checklist.facts import (
    CalibrationFacts,
    ClassCalibration,
    ClassScore,
    DataFacts,
    Facts,
    LabFacts,
    MemberFacts,
    ScoreFacts,
    SubmissionFacts,
    TrainingFacts,
)
from mabe.experiments.checklist.findings import has_failed
from mabe.experiments.checklist.read_data_facts import describe_data
from mabe.experiments.checklist.read_score_facts import calibrate, score_answers
from mabe.experiments.cross_validation import crossval
from mabe.experiments.rule_tuning import NestedTuning
from mabe.scene_task import CHALLENGE_CLASSES, SceneTask, TaskKind
from mabe.training.run import train

OK, WARNING, FAILED, SKIPPED = Verdict


def training(losses=(0.5,) * 60, *, f1=None, used=None, **more):
    """A run of so many epochs, in each of which the macro F1 rises unless given."""
    f1 = f1 or [0.4 + 0.001 * number for number in range(len(losses))]
    epochs = tuple(
        epoch(number, score, train_loss=0.4, val_loss=loss)
        for number, (loss, score) in enumerate(zip(losses, f1, strict=True), start=1)
    )
    values = {"planned_epochs": len(losses), "patience": 0, "is_annealed": False}
    used = used or len(losses)
    return TrainingFacts(name="r", epochs=epochs, used_epoch=used, **{**values, **more})


def scored(name, f1=0.8, *, recall=0.8, labelled=100, is_predicted=True):
    return ClassScore(
        name=name, f1=f1, recall=recall, labelled=labelled, is_predicted=is_predicted
    )


def scores(*classes, macro_f1=0.7):
    classes = classes or (scored("background"), scored("social"))
    return ScoreFacts(
        macro_f1=macro_f1, macro_from="here", classes=classes, classes_from="here"
    )


def calibrated(given, refined=None):
    return CalibrationFacts(
        classes=(ClassCalibration("social", given, refined),),
        is_tuned=refined is not None,
    )


def lab(missing=0.05, bouts=None, name="Lab"):
    return LabFacts(
        lab=name,
        recordings=2,
        missing_share=missing,
        keypoints=frozenset({"nose", "tail_base"}),
        bouts={"attack": 20} if bouts is None else bouts,
    )


def data(*labs, **more):
    values = {"recordings": 2, "unlabelled": 0, "without_bouts": (), "untracked": ()}
    values |= {"names_of": {"a": ("Lab/1",), "b": ("Lab/2",)}}
    return DataFacts(labs=labs or (lab(),), **{**values, **more})


def member(trained_on="ab", validated_on="c", answered="", name="r"):
    return MemberFacts(
        name=name,
        trained_on=frozenset(trained_on),
        validated_on=frozenset(validated_on),
        answered=frozenset(answered),
    )


def facts(**changes):
    """A run without a fault."""
    values = {
        "kind": TaskKind.SCENE,
        "trainings": (training(),),
        "members": (member(answered="c"),),
        "answered": frozenset("c"),
        "scores": scores(),
        "calibration": calibrated(0.05),
        "data": data(),
        "submission": SubmissionFacts(path="s.csv", rows=3, against_data=True),
    }
    return Facts(**{**values, **changes})


def finding_of(name, **changes) -> Finding:
    return {each.name: each for each in run_checks(facts(**changes))}[name]


def test_a_run_without_a_fault_passes_every_check():
    findings = run_checks(facts())
    assert {finding.verdict for finding in findings} == {OK}
    assert len({finding.name for finding in findings}) == len(CHECKS) == 11
    assert not has_failed(findings, strict=True)


def test_what_is_not_ok_says_what_to_do():
    nothing = {"scores": None, "calibration": None, "data": None, "submission": None}
    bad = run_checks(facts(trainings=(), members=(), answered=frozenset(), **nothing))
    assert {finding.verdict for finding in bad} == {SKIPPED}
    for finding in bad:
        assert (
            finding.advice or "nothing" in finding.found or "not app" in finding.found
        )


# Training


@pytest.mark.parametrize(
    ("done", "more", "verdict"),
    [
        (50, {}, OK),
        (49, {}, FAILED),
        (49, {"is_annealed": True}, WARNING),
        (80, {"planned_epochs": 100}, FAILED),
    ],
)
def test_fifty_epochs_are_enough_if_the_run_is_finished(done, more, verdict):
    run = training((0.5,) * done, **more)
    assert finding_of("epochs", trainings=(run,)).verdict is verdict


@pytest.mark.parametrize(("since_best", "verdict"), [(5, OK), (4, FAILED)])
def test_stopped_early_means_as_many_epochs_without_a_better_score_as_it_waits(
    since_best, verdict
):
    f1 = [0.1, 0.5, *[0.5] * since_best]
    run = training((0.5,) * len(f1), f1=f1, patience=5, planned_epochs=100)
    assert finding_of("epochs", trainings=(run,)).verdict is verdict


def test_of_several_runs_the_worst_is_told():
    runs = (training(), training((0.5,) * 10, planned_epochs=20))
    found = finding_of("epochs", trainings=runs)
    assert found.verdict is FAILED
    assert "10 of 20 epochs, not finished (1 of 2 runs)" in found.found


@pytest.mark.parametrize(
    ("after", "verdict"),
    [(1.09, OK), (1.11, WARNING), (1.25, WARNING), (1.26, FAILED)],
)
def test_a_held_out_loss_above_its_lowest_where_it_is_used_is_overfitting(
    after, verdict
):
    losses = (2.0, *[1.0] * 5, *[after] * 44)
    assert (
        finding_of("validation loss", trainings=(training(losses),)).verdict is verdict
    )


def test_a_loss_that_rises_only_after_the_epoch_in_use_is_a_warning():
    losses = (2.0, *[1.0] * 9, *[3.0] * 40)
    used_late = finding_of("validation loss", trainings=(training(losses, used=20),))
    used_early = finding_of("validation loss", trainings=(training(losses, used=5),))
    assert (used_late.verdict, used_early.verdict) == (FAILED, WARNING)
    assert "not where it is used" in used_early.found


def test_single_jumps_and_losses_near_zero_are_no_overfitting():
    jumps = tuple(1.0 + 0.12 * (number % 2) for number in range(50))
    tiny = (1.0, *[1e-4] * 30, *[5e-4] * 19)
    for losses in (jumps, tiny):
        run = (training(losses),)
        assert finding_of("validation loss", trainings=run).verdict is OK


@given(st.lists(st.floats(0.05, 5), min_size=5, max_size=60))
def test_a_loss_that_only_falls_is_never_overfitting(losses):
    run = training(tuple(sorted(losses, reverse=True)))
    assert finding_of("validation loss", trainings=(run,)).verdict is OK


def test_four_epochs_show_no_trend():
    four, five = training((1.0, 1, 1, 9)), training((1.0, 1, 1, 9, 9))
    assert finding_of("validation loss", trainings=(four,)).verdict is SKIPPED
    assert finding_of("validation loss", trainings=(five,)).verdict is FAILED


# Leaks


@pytest.mark.parametrize(
    "leaky",
    [
        {"members": (member("ab", "bc"),), "answered": frozenset()},
        {"members": (member("ab", "c", answered="bc"),), "answered": frozenset("c")},
        {"members": (member("ab"), member("ab", "d")), "answered": frozenset("bc")},
        {  # answered together, but in no fold's own answers
            "members": (member("a", "b", "b"), member("b", "a", "a")),
            "answered": frozenset("abc"),
        },
    ],
)
def test_a_track_that_was_learned_from_and_judges_is_a_leak(leaky):
    found = finding_of("leaks", **leaky, data=None)
    assert found.verdict is FAILED
    assert len(found.details) == 1


def test_folds_that_answer_what_the_others_learned_from_leak_nothing():
    folds = (member("a", "b", "b"), member("b", "a", "a"))
    found = finding_of("leaks", members=folds, answered=frozenset("ab"))
    assert found.verdict is OK


def test_a_leak_is_told_by_all_names_of_its_track():
    names = {"b": ("Lab/2", "Lab/2-again"), "c": ("Lab/3",)}
    found = finding_of("leaks", members=(member("ab", "b"),), data=data(names_of=names))
    assert "Lab/2 = Lab/2-again" in found.found
    apart = finding_of("leaks", data=data(names_of=names))
    assert apart.verdict is OK
    assert "1 track under several names" in apart.found


# Scores


@pytest.mark.parametrize(
    ("macro", "verdict"), [(0.401, OK), (0.40, FAILED), (None, FAILED)]
)
def test_the_macro_f1_has_to_be_above_040(macro, verdict):
    assert finding_of("macro F1", scores=scores(macro_f1=macro)).verdict is verdict


@pytest.mark.parametrize(
    ("f1", "verdict"), [(0.301, OK), (0.30, FAILED), (None, WARNING)]
)
def test_every_class_has_to_be_above_030(f1, verdict):
    found = finding_of("class F1", scores=scores(scored("a"), scored("b", f1)))
    assert found.verdict is verdict
    assert verdict is OK or "b" in found.found


@pytest.mark.parametrize(
    ("recall", "verdict"), [(0.41, OK), (0.40, FAILED), (None, SKIPPED)]
)
def test_above_40_percent_of_the_background_has_to_be_left_alone(recall, verdict):
    first = scored("background", recall=recall)
    # What the other classes are is of no account here.
    found = finding_of("background recall", scores=scores(first, scored("b", recall=0)))
    assert found.verdict is verdict


def test_pairs_have_no_background_and_it_is_said():
    first = scored("attack", recall=0.0)
    found = finding_of("background recall", kind=TaskKind.PAIR, scores=scores(first))
    assert found.verdict is SKIPPED
    assert "not applicable" in found.found


def test_a_class_that_people_saw_has_to_be_predicted_somewhere():
    never = scored("b", 0.0, is_predicted=False)
    assert finding_of("never predicted", scores=scores(never)).verdict is FAILED
    unseen = replace(never, labelled=0)
    assert finding_of("never predicted", scores=scores(unseen)).verdict is OK


@pytest.mark.parametrize(
    ("given", "refined", "verdict"),
    [
        (0.10, None, OK),
        (0.11, None, WARNING),
        (0.26, None, FAILED),
        (0.26, 0.10, OK),
        (0.05, 0.11, WARNING),
    ],
)
def test_calibration_is_judged_as_the_model_is_used(given, refined, verdict):
    found = finding_of("calibration", calibration=calibrated(given, refined))
    assert found.verdict is verdict


def answers(probabilities, labels, kind=TaskKind.SCENE, names=("background", "social")):
    """One view; probabilities and labels are those of the second class."""
    probabilities, labels = np.array(probabilities), np.array(labels)
    view = ViewPredictions(
        kind=kind,
        classes=names,
        lab="Lab",
        video="1",
        view=SCENE,
        track="a",
        fps=10.0,
        probabilities=np.stack([1 - probabilities, probabilities], axis=1).astype(
            np.float16
        ),
        labels=np.stack([1 - labels, labels], axis=1).astype(np.int8),
    )
    return OutOfFold(kind, names, (view,))


def test_scores_are_counted_as_the_rules_decide():
    four = answers([0.9, 0.9, 0.4, 0.4], [1, 0, 1, 0])
    plain = DecisionRules.plain(TaskKind.SCENE, four.classes)
    found = score_answers(four, plain, is_tuned=False, tuning=None)
    assert [each.f1 for each in found.classes] == [0.5, 0.5]
    assert found.macro_f1 == 0.5
    eager = plain.with_class(1, replace(plain.classes[1], threshold=0.01))
    found = score_answers(four, eager, is_tuned=True, tuning=None)
    assert [each.f1 for each in found.classes] == [0, pytest.approx(2 / 3)]
    assert [each.is_predicted for each in found.classes] == [False, True]


def test_a_tuned_model_is_judged_by_its_nested_score():
    four = answers([0.9, 0.9, 0.4, 0.4], [1, 0, 1, 0])
    rules = DecisionRules.plain(TaskKind.SCENE, four.classes)
    tuning = NestedTuning(0.25, {"background": 0.1, "social": 0.2})
    assert score_answers(four, rules, is_tuned=True, tuning=tuning).macro_f1 == 0.25


def test_the_expected_error_is_the_gap_between_chance_and_frequency():
    half = answers([0.8] * 10, [1, 0] * 5)
    plain = DecisionRules.plain(TaskKind.SCENE, half.classes)
    found = calibrate(half, plain, None)
    assert not found.is_tuned
    for each in found.classes:
        assert each.given == pytest.approx(0.3, abs=0.01)
        assert each.refined is None
    # Log-odds of 0.8, 1.386, less as much are those of one half: right.
    mended = replace(plain.classes[1], calibration=Calibration(1.0, -1.386))
    found = calibrate(half, plain.with_class(1, mended), None)
    assert found.classes[1].given == pytest.approx(0.3, abs=0.01)
    assert found.classes[1].refined == pytest.approx(0.0, abs=0.01)


# Data


@pytest.mark.parametrize(("bouts", "verdict"), [(10, OK), (9, WARNING), (0, WARNING)])
def test_ten_bouts_of_every_watched_action_are_wanted(bouts, verdict):
    held = data(lab(bouts={"attack": 50, "sniff": bouts}))
    assert finding_of("coverage of labels", data=held).verdict is verdict


@pytest.mark.parametrize("gap", [{"unlabelled": 1}, {"without_bouts": ("Lab/2",)}])
def test_recordings_without_labels_are_a_warning_and_no_label_at_all_a_failure(gap):
    assert finding_of("coverage of labels", data=data(**gap)).verdict is WARNING
    none = data(lab(bouts={"attack": 0}))
    assert finding_of("coverage of labels", data=none).verdict is FAILED


@pytest.mark.parametrize(
    ("missing", "verdict"),
    [(0.20, OK), (0.21, WARNING), (0.50, WARNING), (0.51, FAILED)],
)
def test_the_lab_with_most_points_missing_is_judged(missing, verdict):
    labs = (lab(0.01), lab(missing, name="Other"))
    found = finding_of("missing points", data=data(*labs))
    assert found.verdict is verdict
    assert "Other" in found.found
    assert "16 of 18 keypoints never occur" in found.found


def test_a_recording_in_which_nothing_was_tracked_is_a_warning():
    found = finding_of("missing points", data=data(untracked=("Lab/2",)))
    assert found.verdict is WARNING


def test_data_are_described_by_lab_action_and_track():
    watched = ["1>2 attack", "1>2 sniff", "1>2 base"]
    hidden = ["1>2 mount"]  # nobody looked yet, so it is not "never seen"
    some = [
        stored(("1>2 attack", 0, 5), ("1>2 attack", 8, 9), watched=watched),
        replace(stored(watched=watched), video="2", missing_share=0.5, length=60),
        replace(stored(watched=hidden, has_labels=False), video="3", missing_share=1.0),
    ]
    task = SceneTask.from_groups(CHALLENGE_CLASSES, ignore=["base"])
    found = describe_data(some, task)
    assert found.labs[0].bouts == {"attack": 2, "sniff": 0}
    assert found.labs[0].missing_share == pytest.approx((30 + 20) / 100)
    assert found.labs[0].keypoints == {"nose"}
    assert found.without_bouts == ("Lab/2",)
    assert found.unlabelled == 1
    assert found.untracked == ("Lab/3",)
    assert found.names_of == {"": ("Lab/1", "Lab/2", "Lab/3")}


@pytest.mark.parametrize(
    ("problems", "verdict"),
    [({}, OK), ({"warnings": ("w",)}, WARNING), ({"errors": ("e",)}, FAILED)],
)
def test_a_submission_has_to_be_valid(problems, verdict):
    file = SubmissionFacts(path="s.csv", rows=1, against_data=True, **problems)
    assert (
        finding_of("submission", submission=file, kind=TaskKind.PAIR).verdict is verdict
    )


# What is shown


def test_a_line_a_check_advice_below_what_is_not_ok_and_the_counts():
    findings = (
        Finding("a", OK, "fine", "unseen"),
        Finding("long name", FAILED, "broken", "mend it"),
    )
    assert format_findings(findings).splitlines() == [
        "✓ a          fine",
        "✗ long name  broken",
        "             → mend it",
        "",
        "2 checks: 1 ok, 0 warning, 1 failed, 0 skipped",
    ]


@pytest.mark.parametrize(
    ("verdict", "strict", "fails"),
    [
        (OK, True, False),
        (SKIPPED, True, False),
        (WARNING, False, False),
        (WARNING, True, True),
        (FAILED, False, True),
    ],
)
def test_warnings_fail_only_where_asked(verdict, strict, fails):
    findings = (Finding("a", verdict, "x"),)
    assert has_failed(findings, strict=strict) is fails
    assert findings_json("r", findings, strict=strict)["passed"] is not fails


# Whole runs


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    place = tmp_path_factory.getbasetemp() / "checklist-cache"
    monkeypatch.setenv("MABE_CACHE", str(place))


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("f") / "data", videos=4, seconds=16)


@pytest.fixture(scope="module")
def folds(fights, tmp_path_factory):
    """A cross-validation of two folds."""
    root = tmp_path_factory.mktemp("folds")
    values = {**TINY, "epochs": 2, "data_dir": fights, "store_dir": root / "store"}
    config = build_config({**values, "checkpoint_dir": root / "cv"}, where="test")
    crossval(config, folds=2, seeds=1)
    return root / "cv"


def check(capsys, *args):
    """The exit code, and each check's finding by its name."""
    capsys.readouterr()
    code = main(["check", *map(str, args), "--json"])
    values = json.loads(capsys.readouterr().out)
    return code, {each["name"]: each for each in values["findings"]}


def test_a_cross_validation_is_checked_with_its_data(folds, fights, capsys):
    code, found = check(capsys, folds, fights)
    assert code == 1
    assert found["epochs"]["verdict"] == "failed"
    assert "2 of 2 epochs" in found["epochs"]["found"]
    assert found["leaks"]["verdict"] == "ok"
    assert "4 held-out tracks" in found["leaks"]["found"]
    assert found["coverage of labels"]["details"] == [
        "watched, never annotated: Lab sniff",
        "fewer than 10 bouts: Lab attack (8)",
    ]
    assert found["missing points"]["verdict"] == "ok"
    assert "15 of 18 keypoints never occur" in found["missing points"]["found"]
    assert found["calibration"]["verdict"] != "skipped"


def test_answers_to_what_a_fold_learned_from_are_a_leak(folds, capsys, tmp_path):
    mixed = tmp_path / "cv"
    shutil.copytree(folds, mixed)
    of_the_other = folds / "seed1" / "fold1" / "out_of_fold.npz"
    shutil.copy(of_the_other, mixed / "seed1" / "fold0")
    _, found = check(capsys, mixed)
    assert found["leaks"]["verdict"] == "failed"
    assert "seed1/fold0 learned from" in found["leaks"]["details"][0]


def test_one_run_is_checked_by_what_it_held_out(folds, capsys):
    run = folds / "seed1" / "fold0"
    history = json.loads((run / "history.json").read_text())
    assert main(["check", str(run)]) == 1
    shown = capsys.readouterr().out
    assert f"{max(epoch['f1_macro'] for epoch in history):.3f}" in shown
    assert "no DATA given" in shown
    assert shown.splitlines()[-1].startswith("11 checks: ")


def test_a_pair_run_is_checked_with_its_submission(tmp_path, capsys):
    chases = write_chases(tmp_path / "data", videos=3, seconds=8)
    values = {**TINY_PAIRS, "epochs": 1, "data_dir": chases}
    config = build_config({**values, "checkpoint_dir": tmp_path / "run"}, where="test")
    run = train(config).run_dir
    submission = run / "submission.csv"
    submission.write_text(
        "row_id,video_id,agent_id,target_id,action,start_frame,stop_frame\n"
        "0,1,mouse1,mouse2,chase,0,50\n"
    )
    _, found = check(capsys, run, chases)
    assert found["submission"]["verdict"] == "ok"
    assert "not applicable" in found["background recall"]["found"]
    submission.write_text(submission.read_text().replace("mouse2", "mouse9"))
    _, found = check(capsys, run, chases)
    assert found["submission"]["verdict"] == "failed"
    assert "line 2" in found["submission"]["found"]


@pytest.mark.parametrize(
    ("lost", "told"),
    [
        ("seed1/fold0/history.json", "with at least one epoch, but it is absent"),
        ("seed1/fold1/out_of_fold.npz", "found 1 finished of 2 runs"),
        ("best.safetensors", "no model here"),
    ],
)
def test_half_a_cross_validation_is_one_line(folds, lost, told, tmp_path, capsys):
    half = tmp_path / "cv"
    shutil.copytree(folds, half)
    (half / lost).unlink()
    assert main(["check", str(half)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("text", ["[]", "{", '[{"epoch": 1}]', "7"])
def test_a_history_without_epochs_is_one_line(folds, text, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(folds / "seed1" / "fold0", run)
    (run / "history.json").write_text(text)
    assert main(["check", str(run)]) == 2
    error = capsys.readouterr().err
    assert "history.json" in error
    assert error.count("\n") == 1


def test_a_submission_that_was_named_has_to_be_there(folds, capsys):
    assert main(["check", str(folds), "--submission", "nowhere.csv"]) == 2
    assert "nowhere.csv" in capsys.readouterr().err
