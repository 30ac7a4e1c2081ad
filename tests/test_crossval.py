"""Cross-validations of two tiny stories: who saw what, and what a stop changes."""

import csv
import json
import shutil
from collections import Counter

import numpy as np
import polars as pl
import pytest
from chases import TINY_PAIRS, write_chases
from kaggle_files import write_index, write_labels
from stories import TINY, write_fights

from mabe.bouts import View
from mabe.config import build_config
from mabe.errors import ConfigError, DataError, RunError, StopRequested
from mabe.experiments import cross_validation as joining
from mabe.experiments import fold_runs
from mabe.experiments.cross_validation import (
    CrossvalReport,
    Identity,
    OutOfFoldScore,
    SeedScore,
    crossval,
)
from mabe.experiments.fold_runs import FoldRun, train_fold_run
from mabe.experiments.out_of_fold import FILE_NAME, join, read_out_of_fold
from mabe.inference.evaluate import Unseen, evaluate
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint
from mabe.pair_task import PairTask
from mabe.scene_task import SceneTask, TaskKind
from mabe.training import training_loop

FOLDS, SEEDS = 2, 2


def settings(data, root, story=TINY, **changes):
    values = {**story, "data_dir": data, "checkpoint_dir": root, "epochs": 2}
    values["store_dir"] = data.with_name(f"{data.name}-store")
    return build_config({**values, **changes}, where="test")


def read_rows(data):
    with (data / "train.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def add_copy(data, video, copy):
    """Give a track to a second annotator, under a name of its own."""
    for folder in ("train_tracking", "train_annotation"):
        place = data / folder / "Lab"
        shutil.copy(place / f"{video}.parquet", place / f"{copy}.parquet")
    rows = read_rows(data)
    twin = next(row for row in rows if row["video_id"] == video)
    write_index(data, *rows, twin | {"video_id": copy})


def merge(folder, *parts, **animals):
    """Write the videos of several labs into one folder; animals by name of video."""
    rows = []
    for part in parts:
        shutil.copytree(part, folder, dirs_exist_ok=True)
        rows += read_rows(part)
    named = [
        {**row, "mouse1_id": animals[f"{row['lab_id']}{row['video_id']}"]}
        for row in rows
    ]
    write_index(folder, *named)
    return folder


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    """Five videos, of which two have the same track."""
    data = tmp_path_factory.mktemp("fights") / "data"
    write_fights(data, videos=4, seconds=8)
    add_copy(data, "1", "5")
    return data


@pytest.fixture(scope="module")
def labs(tmp_path_factory):
    """Two labs of two videos; in each video of A the first mouse is the same one."""
    folder = tmp_path_factory.mktemp("labs")
    parts = [
        write_chases(folder / lab, videos=2, seconds=8, lab=lab) for lab in ("A", "B")
    ]
    # Lab B has an animal of that name too, which is another one.
    animals = {"A1": "7.0", "A2": "7.0", "B1": "7.0", "B2": "8.0"}
    data = merge(folder / "data", *parts, **animals)
    # The story is the same in both labs, and a copied track would tie them together.
    rename_tracks(data)
    return data


def rename_tracks(data):
    """Move the tracks of lab B by a centimetre, so that they are no copies."""
    for path in (data / "train_tracking" / "B").glob("*.parquet"):
        pl.read_parquet(path).with_columns(pl.col("x") + 10).write_parquet(path)


@pytest.fixture(scope="module")
def undisturbed(fights, tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed") / "cv"
    crossval(settings(fights, root), folds=FOLDS, seeds=SEEDS)
    return root


@pytest.fixture(scope="module")
def chases(tmp_path_factory):
    data = tmp_path_factory.mktemp("chases") / "data"
    return write_chases(data, videos=3, seconds=8)


@pytest.fixture(scope="module")
def pairs(chases, tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs") / "cv"
    crossval(settings(chases, root, TINY_PAIRS), folds=3, seeds=1)
    return root


def read_report(root):
    return json.loads((root / "crossval.json").read_text(encoding="utf-8"))


def trial_dirs(root):
    return sorted(path.parent for path in root.glob(f"seed*/fold*/{FILE_NAME}"))


def videos(answers):
    return sorted((view.lab, view.video) for view in answers.views)


# Who saw what.


def test_every_recording_is_marked_exactly_once(undisturbed):
    answers = read_out_of_fold(undisturbed / FILE_NAME)
    assert videos(answers) == [("Lab", number) for number in "12345"]
    for seed in (1, 2):
        parts = [
            read_out_of_fold(undisturbed / f"seed{seed}" / f"fold{fold}" / FILE_NAME)
            for fold in range(FOLDS)
        ]
        assert videos(join(parts)) == videos(answers)


def test_every_view_of_a_pair_is_marked_exactly_once(pairs):
    answers = read_out_of_fold(pairs / FILE_NAME)
    assert sorted(view.key for view in answers.views) == [
        ("Lab", video, View(agent, 3 - agent)) for video in "123" for agent in (1, 2)
    ]
    assert (answers.kind, answers.classes) == (TaskKind.PAIR, ("chase",))


@pytest.mark.parametrize("root", ["undisturbed", "pairs"])
def test_what_marks_a_recording_never_saw_its_track(root, request):
    root = request.getfixturevalue(root)
    for run in trial_dirs(root):
        learned = load_checkpoint(run / "last.safetensors").trained_on
        held_out = set(read_out_of_fold(run / FILE_NAME).tracks)
        assert learned
        assert held_out
        assert not learned & held_out


def test_copies_of_a_track_are_marked_by_the_same_run(undisturbed):
    for run in trial_dirs(undisturbed):
        names = {view.video for view in read_out_of_fold(run / FILE_NAME).views}
        assert ("1" in names) == ("5" in names)


def test_all_runs_of_a_seed_have_the_seed_and_seeds_differ(undisturbed):
    first, other = (
        read_out_of_fold(undisturbed / f"seed{seed}" / "fold0" / FILE_NAME)
        for seed in (1, 2)
    )
    assert videos(first) == videos(other)  # seeds are scored on the same recordings
    assert not np.array_equal(
        first.views[0].probabilities, other.views[0].probabilities
    )


def test_the_answers_of_seeds_are_averaged(undisturbed):
    by_seed = [
        join(
            [
                read_out_of_fold(undisturbed / f"seed{seed}" / f"fold{f}" / FILE_NAME)
                for f in range(FOLDS)
            ]
        )
        for seed in (1, 2)
    ]
    one, other = ({v.key: v.probabilities for v in part.views} for part in by_seed)
    for view in read_out_of_fold(undisturbed / FILE_NAME).views:
        mean = (one[view.key].astype(float) + other[view.key]) / 2
        np.testing.assert_allclose(view.probabilities, mean, atol=1e-3)


@pytest.mark.parametrize(
    ("group_by", "folds", "expected"),
    [
        ("lab", 2, ["A1 A2", "B1 B2"]),
        ("animal", 3, ["A1 A2", "B1", "B2"]),
    ],
)
def test_what_is_held_out_whole_can_be_chosen(
    labs, tmp_path, group_by, folds, expected
):
    config = settings(labs, tmp_path / "cv", TINY_PAIRS, split_by=group_by, epochs=1)
    crossval(config, folds=folds, seeds=1)
    held_out = [
        sorted({f"{v.lab}{v.video}" for v in read_out_of_fold(run / FILE_NAME).views})
        for run in trial_dirs(tmp_path / "cv")
    ]
    assert sorted(" ".join(names) for names in held_out) == expected


@pytest.mark.parametrize(
    ("group_by", "pieces"), [("recording", 4), ("animal", 3), ("lab", 2)]
)
def test_more_folds_than_pieces_are_refused_before_anything_is_trained(
    labs, tmp_path, group_by, pieces
):
    config = settings(labs, tmp_path / "cv", TINY_PAIRS, split_by=group_by)
    with pytest.raises(ConfigError, match=rf"--folds 5: .* give --folds {pieces} or"):
        crossval(config, folds=5, seeds=1)
    assert not (tmp_path / "cv").exists()


# What is computed once.


@pytest.fixture
def labelled(monkeypatch):
    """The lengths of the recordings whose labels are computed, one after the other."""
    lengths = []
    frame_labels, view_labels = SceneTask.frame_labels, PairTask.view_labels

    def of_scene(task, bouts, watched, length, coverage):
        lengths.append(length)
        return frame_labels(task, bouts, watched, length, coverage)

    def of_views(task, recording, index, rate_fps):
        lengths.append(recording.native_length)
        return view_labels(task, recording, index, rate_fps)

    monkeypatch.setattr(SceneTask, "frame_labels", of_scene)
    monkeypatch.setattr(PairTask, "view_labels", of_views)
    return lengths


@pytest.mark.parametrize("story", [TINY, TINY_PAIRS])
def test_a_fold_computes_the_labels_of_each_recording_once(
    fights, chases, tmp_path, labelled, story
):
    data = fights if story is TINY else chases
    fold_run = FoldRun(settings(data, tmp_path / "run", story, fold=0, folds=2))
    train_fold_run(fold_run, skip_bad=False)
    assert fold_run.is_finished
    assert len(labelled) == len(read_rows(data))


# Stopped and gone on with.


def press_ctrl_c_in(monkeypatch, name, *, call, of=fold_runs):
    """Stop in the given call of a function that a module uses."""
    real = getattr(of, name)
    calls = Counter()

    def stop(*args, **more):
        calls[name] += 1
        if calls[name] == call:
            raise StopRequested("stopped")
        return real(*args, **more)

    monkeypatch.setattr(of, name, stop)


def stop_within_run(monkeypatch, run):
    """Stop a run after its first epoch's step, before its models are written."""
    real, calls = training_loop.save_models, Counter()

    def stop(*args, **more):
        calls["epochs"] += 1
        if calls["epochs"] == 2 * run:  # runs have two epochs; stop in the second
            raise StopRequested("stopped")
        return real(*args, **more)

    monkeypatch.setattr(training_loop, "save_models", stop)


@pytest.fixture
def trained(monkeypatch):
    """The (seed, fold) of the runs that are trained, or gone on with."""
    real, seen = fold_runs.train, []

    def note(own, **how):
        seen.append((own.seed, own.fold))
        return real(own, **how)

    monkeypatch.setattr(fold_runs, "train", note)
    return seen


@pytest.mark.parametrize(
    "where", ["within it", "before it is asked", "before its answers are written"]
)
def test_stopped_in_the_second_run_and_gone_on_with_is_the_same(
    fights, undisturbed, tmp_path, monkeypatch, trained, where
):
    config = settings(fights, tmp_path / "cv")
    with monkeypatch.context() as patch:
        if where == "within it":
            stop_within_run(patch, 2)
        elif where == "before it is asked":
            press_ctrl_c_in(patch, "predict_held_out", call=2)
        else:
            press_ctrl_c_in(patch, "write_out_of_fold", call=2)
        with pytest.raises(StopRequested):
            crossval(config, folds=FOLDS, seeds=1)
    assert len(trial_dirs(tmp_path / "cv")) == 1
    trained.clear()
    report = crossval(config, folds=FOLDS, seeds=1)
    assert trained == [(1, 1)]
    assert report.seeds[1].to_json() == read_report(undisturbed)["seeds"]["1"]
    for run in trial_dirs(tmp_path / "cv"):
        twin = undisturbed / run.relative_to(tmp_path / "cv")
        assert (run / FILE_NAME).read_bytes() == (twin / FILE_NAME).read_bytes()
        assert_same_model(run / "last.safetensors", twin / "last.safetensors")


@pytest.mark.parametrize("name", ["write_out_of_fold", "save_ensemble"])
def test_stopped_after_the_last_run_and_gone_on_with_is_the_same(
    fights, undisturbed, tmp_path, monkeypatch, trained, name
):
    root = tmp_path / "cv"
    shutil.copytree(undisturbed, root)
    for written in (FILE_NAME, "best.safetensors"):
        (root / written).unlink()
    with monkeypatch.context() as patch:
        press_ctrl_c_in(patch, name, call=1, of=joining)
        with pytest.raises(StopRequested):
            crossval(settings(fights, root), folds=FOLDS, seeds=SEEDS)
    crossval(settings(fights, root), folds=FOLDS, seeds=SEEDS)
    assert trained == []
    for written in (FILE_NAME, "crossval.json", "best.safetensors"):
        assert (root / written).read_bytes() == (undisturbed / written).read_bytes()


def assert_same_model(one, other):
    first, second = (load_checkpoint(root).members for root in (one, other))
    for mine, theirs in zip(first, second, strict=True):
        assert mine.provenance == theirs.provenance
        weights = theirs.model.state_dict()
        for name, value in mine.model.state_dict().items():
            assert value.equal(weights[name])


def refuse_to_work(monkeypatch):
    def refuse(*_args, **_more):
        raise AssertionError("nothing was left to do")

    monkeypatch.setattr(fold_runs, "train", refuse)
    monkeypatch.setattr(fold_runs, "predict_held_out", refuse)


def test_what_is_finished_is_neither_trained_nor_asked_again(
    fights, undisturbed, monkeypatch
):
    refuse_to_work(monkeypatch)
    before = (undisturbed / "best.safetensors").read_bytes()
    report = crossval(settings(fights, undisturbed), folds=FOLDS, seeds=SEEDS)
    assert report.to_json() == read_report(undisturbed)
    assert (undisturbed / "best.safetensors").read_bytes() == before


def test_a_seed_can_be_added_later(fights, undisturbed, tmp_path, trained):
    root = tmp_path / "cv"
    shutil.copytree(undisturbed, root)
    shutil.rmtree(root / "seed2")
    crossval(settings(fights, root), folds=FOLDS, seeds=SEEDS)
    assert trained == [(2, 0), (2, 1)]
    assert (root / FILE_NAME).read_bytes() == (undisturbed / FILE_NAME).read_bytes()


@pytest.mark.parametrize(
    ("changes", "folds", "key"),
    [
        ({"learning_rate": 0.1}, FOLDS, "learning_rate"),
        ({"dropout": 0.5, "split_seed": 3}, FOLDS, "dropout', 'split_seed"),
        ({"epochs": 3}, FOLDS, "epochs"),
        # It decides whether the best or the last model of a run is used.
        ({"early_stopping_patience": 0}, FOLDS, "early_stopping_patience"),
        ({}, 3, "number_of_folds"),
    ],
)
def test_other_settings_in_its_place_are_refused_by_name(
    fights, undisturbed, monkeypatch, changes, folds, key
):
    refuse_to_work(monkeypatch)
    config = settings(fights, undisturbed, **changes)
    with pytest.raises(RunError, match=rf"\['{key}'\] changed.*--checkpoint-dir"):
        crossval(config, folds=folds, seeds=SEEDS)


def test_what_decides_nothing_may_change(fights, undisturbed, monkeypatch):
    refuse_to_work(monkeypatch)
    config = settings(fights, undisturbed, save_freq=1, num_workers=0, save_every_s=9)
    crossval(config, folds=FOLDS, seeds=SEEDS)


def test_a_recording_more_is_another_cross_validation(
    fights, undisturbed, tmp_path, monkeypatch
):
    refuse_to_work(monkeypatch)
    more = tmp_path / "data"
    write_fights(more, videos=6, seconds=8)
    with pytest.raises(RunError, match=r"\['recordings'\] changed"):
        crossval(settings(more, undisturbed), folds=FOLDS, seeds=SEEDS)


def test_other_labels_are_another_cross_validation(
    fights, undisturbed, tmp_path, monkeypatch
):
    refuse_to_work(monkeypatch)
    shutil.copytree(fights, tmp_path / "data")
    write_labels(tmp_path / "data", [(1, 2, "attack", 0, 9)], video="2")
    with pytest.raises(RunError, match=r"\['recordings'\] changed"):
        crossval(settings(tmp_path / "data", undisturbed), folds=FOLDS, seeds=SEEDS)


def test_a_folder_of_ones_own_is_left_alone(fights, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="something else than a cross-validation"):
        crossval(settings(fights, tmp_path), folds=FOLDS, seeds=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# What comes out.


@pytest.mark.parametrize(("root", "members"), [("undisturbed", 4), ("pairs", 3)])
def test_all_runs_are_one_model_in_which_all_count_the_same(root, members, request):
    checkpoint = load_checkpoint(request.getfixturevalue(root))
    assert len(checkpoint.members) == members
    assert checkpoint.model.weights == pytest.approx([1 / members] * members)


@pytest.mark.parametrize(("patience", "epoch"), [(15, 1), (0, 2)])
def test_no_recording_chooses_the_epoch_where_their_number_is_fixed(
    fights, tmp_path, patience, epoch
):
    # Nothing is learned, so the first of two equal epochs is the best one.
    config = settings(
        fights, tmp_path, early_stopping_patience=patience, learning_rate=1e-12
    )
    crossval(config, folds=FOLDS, seeds=1)
    members = load_checkpoint(tmp_path).members
    assert [member.provenance.epoch for member in members] == [epoch] * FOLDS


@pytest.mark.parametrize(
    ("root", "data"), [("undisturbed", "fights"), ("pairs", "chases")]
)
def test_the_final_model_has_nothing_left_to_be_scored_on(root, data, request):
    checkpoint = load_checkpoint(request.getfixturevalue(root))
    data = request.getfixturevalue(data)
    with pytest.raises(DataError, match=r"nothing to score.* were trained on") as why:
        evaluate(Unseen(Predictor(checkpoint), data))
    assert "\n" not in str(why.value)


@pytest.mark.parametrize("root", ["undisturbed", "pairs"])
def test_fewer_than_five_recordings_have_a_score_and_no_interval(root, request):
    report = read_report(request.getfixturevalue(root))
    for scores in (report["all_seeds"], *report["seeds"].values()):
        assert 0 <= scores["score"] <= 1
        assert scores["interval_95"] == [None, None]


def test_the_report_is_a_table(fights, undisturbed):
    report = crossval(settings(fights, undisturbed), folds=FOLDS, seeds=SEEDS)
    text = report.to_text()
    assert [line.split()[:2] for line in text.splitlines()[1:3]] == [
        ["seed", "1"],
        ["seed", "2"],
    ]
    assert f"{report.all_seeds.score:.3f}" in text
    assert "social -" in text  # nothing to score


def test_a_fold_in_which_nothing_happens_has_no_score_and_spoils_nothing(tmp_path):
    data = write_chases(tmp_path / "data", videos=3, seconds=8)
    write_labels(data, [], video="3")
    config = settings(data, tmp_path / "cv", TINY_PAIRS, epochs=1, learning_rate=1e-9)
    report = crossval(config, folds=3, seeds=1)
    assert report.to_json() == read_report(tmp_path / "cv")
    # A fresh network finds nothing; in video 3 that is all that can be said.
    assert Counter(report.seeds[1].folds) == {0.0: 2, None: 1}
    assert "-" in report.to_text().splitlines()[1]


def test_a_report_without_any_score_can_be_shown():
    nothing = OutOfFoldScore(score=None, interval=(None, None), f1={"chase": None})
    seed = SeedScore(nothing, (None, None))
    report = CrossvalReport(
        identity=Identity(config={}, number_of_folds=2, recordings=""),
        classes=("chase",),
        seeds={1: seed, 2: seed},
        all_seeds=nothing,
    )
    text = report.to_text()
    assert [line.split()[0] for line in text.splitlines()[1:4]] == [
        "seed",
        "seed",
        "averaged",
    ]
