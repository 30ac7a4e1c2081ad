"""The model of `mabe train DATA`: what is chosen, and that it fits together."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from chases import write_chases
from hypothesis import given
from hypothesis import strategies as st
from kaggle_files import write_labels
from stories import TINY, write_fights

from mabe.bouts import Bout, Watched
from mabe.cli.main import main
from mabe.config import RunConfig, build_config
from mabe.data.prepare import load_store
from mabe.errors import ConfigError, RunError, StopRequested
from mabe.experiments import auto_recipe as recipes
from mabe.experiments import train_auto
from mabe.experiments.auto_recipe import guess_task
from mabe.experiments.checklist import gather_facts
from mabe.experiments.checklist.findings import Verdict
from mabe.experiments.checklist.training_checks import check_epochs
from mabe.experiments.importance import FILE_NAME as IMPORTANCE
from mabe.experiments.importance import explain_run, format_importance
from mabe.experiments.out_of_fold import FILE_NAME, read_out_of_fold
from mabe.experiments.train_auto import train_recipe, with_guessed_task
from mabe.experiments.train_by_config import merge_settings
from mabe.inference.frame_probabilities import Tracks, frame_probabilities
from mabe.inference.predict import Predictor
from mabe.models.checkpoint import load_checkpoint, plain_rules
from mabe.models.ensemble import Ensemble
from mabe.models.trees_model import TreesModel
from mabe.recording import StoredRecording
from mabe.runtime.documents import read_json
from mabe.runtime.executors import HERE
from mabe.training.run import train

QUICK = {
    "tree_rounds": 8,
    "tree_min_rows": 5,
    "tree_feature_share": 0.5,
    "tree_learning_rate": 0.3,
    "gru_width": 8,
    "epochs": 1,
    "steps_per_epoch": 12,
    "learning_rate": 0.01,
    "batch_size": 8,
    "sequence_length": 64,
    "num_workers": 1,
    "device": "cpu",
    "model_type": "auto",
}


def choose(frames=100_000, groups=20, **given):
    return recipes.choose_recipe(given, groups=groups, counted_frames=frames)


def test_the_recipe_is_trees_and_networks():
    recipe = choose()

    assert [kind.name for kind in recipe.kinds] == ["trees", "network"]
    assert all(kind.config.feature_set == "social" for kind in recipe.kinds)
    assert recipe.runs == 5 * (1 + recipes.NETWORKS) + 1 + recipes.FINAL_NETWORKS


def test_no_held_out_recording_chooses_an_epoch():
    assert all(kind.config.early_stopping_patience == 0 for kind in choose().kinds)


def test_what_the_user_sets_stays_and_the_rest_is_the_recipes():
    trees, network = choose(dropout=0.1, fps=25.0, learning_rate=0.5).kinds

    assert network.config.dropout == 0.1
    assert network.config.learning_rate == 0.5
    assert network.config.fps == trees.config.fps == 25.0
    assert network.config.sequence_length == round(25 * recipes.WINDOW_S)
    assert network.config.weight_decay == recipes.NETWORK["weight_decay"]


def test_a_setting_that_is_given_counts_also_where_it_equals_the_default():
    usual = RunConfig().fps
    _, network = choose(fps=usual).kinds

    assert network.config.fps == usual != choose().kinds[1].config.fps


def test_the_user_may_set_the_number_of_folds():
    assert choose(folds=3).folds == 3
    assert choose(folds=8, groups=4).folds == 4


def test_one_fold_alone_is_refused_as_all_are_trained():
    with pytest.raises(ConfigError, match="every fold"):
        choose(folds=3, fold=1)


def test_few_groups_make_as_many_folds_and_many_frames_more_steps():
    assert choose(groups=3).folds == 3
    _, small = choose(frames=10_000).kinds
    _, large = choose(frames=20_000_000).kinds
    assert small.config.steps_per_epoch * 2 == recipes.FEWEST_STEPS
    assert large.config.steps_per_epoch * 2 == 5_000
    assert (small.seeds, large.seeds) == (recipes.NETWORKS, 1)


def recording(*bouts, watched=()):
    return StoredRecording(
        lab="L",
        video="1",
        fps=30.0,
        native_length=100,
        length=100,
        slots=(0,),
        origin_cm=(0.0, 0.0),
        offset=0,
        bouts=bouts,
        watched=watched,
        has_labels=True,
        tracking_hash="",
        content_hash="",
        missing_share=0.0,
        notes=(),
    )


def test_labels_that_fill_every_frame_once_ask_for_a_scene():
    filled = recording(Bout(0, 60, "calm", 1, 2), Bout(60, 100, "fight", 1, 2))

    guess = guess_task([filled])

    assert guess.settings == {
        "task": "scene",
        "classes": {"none": [], "calm": ["calm"], "fight": ["fight"]},
    }
    assert "calm, fight" in guess.reasons[0]


def classes_of(*actions, **settings):
    """The classes for a recording of 100 frames in which the actions alternate."""
    bouts = [
        Bout(start, start + 10, actions[start // 10 % len(actions)], 1, 2)
        for start in range(0, 100, 10)
    ]
    guess = guess_task([recording(*bouts)], **settings)
    return guess.settings["classes"], " ".join(guess.reasons)


def test_the_most_frequent_action_is_not_taken_for_the_background():
    classes, reasons = classes_of("social", "social", "aggression", "nonsocial")
    assert list(classes) == ["nonsocial", "social", "aggression"]
    assert "Background: nonsocial (by name)" in reasons


@pytest.mark.parametrize("name", ["other", "None", "no-behavior", "Non_Social"])
def test_the_background_is_known_by_what_it_is_called(name):
    classes, _ = classes_of("play", "play", name)
    assert list(classes) == [name, "play"]


def test_without_a_background_every_class_has_bouts():
    classes, reasons = classes_of("play", "fight")
    assert classes == {"none": [], "play": ["play"], "fight": ["fight"]}
    assert "Background: none" in reasons


def test_the_background_can_be_set():
    assert list(classes_of("play", "fight", background=["fight"])[0]) == [
        "fight",
        "play",
    ]
    assert classes_of("other", "fight", background=[])[0] == {
        "none": [],
        "other": ["other"],
        "fight": ["fight"],
    }
    with pytest.raises(ConfigError, match="occur nowhere"):
        classes_of("play", "fight", background=["sleep"])


def test_what_looks_like_the_time_around_a_test_is_asked_about():
    classes, reasons = classes_of("social", "nonsocial", "base")
    assert list(classes) == ["nonsocial", "social", "base"]
    assert "--set 'ignore=[base]'" in reasons


def test_what_is_to_be_ignored_is_no_class():
    classes, _ = classes_of("calm", "fight", ignore=["calm"])
    assert classes == {"none": [], "fight": ["fight"]}


def test_without_a_background_the_frequent_action_has_bouts_too(tmp_path):
    data = write_fights(tmp_path / "data", videos=3)
    table = (data / "train.csv").read_text(encoding="utf-8")
    (data / "train.csv").write_text(table.replace("sniff", "play"), encoding="utf-8")
    for path in sorted((data / "train_annotation/Lab").iterdir()):
        # What is no fight is annotated as play, so that every frame has a label.
        fights = pq.read_table(path).to_pylist()
        starts = [0, *(each["stop_frame"] for each in fights)]
        stops = [*(each["start_frame"] for each in fights), 600]
        play = [
            (1, 2, "play", start, stop)
            for start, stop in zip(starts, stops, strict=True)
            if start < stop
        ]
        marked = [(1, 2, "attack", f["start_frame"], f["stop_frame"]) for f in fights]
        write_labels(data, [*marked, *play], video=path.stem)
    given = with_guessed_task(
        {**QUICK, "data_dir": data, "store_dir": tmp_path / "store", "folds": 3}
    )
    assert given["classes"]["none"] == []
    assert set(given["classes"]) == {"none", "play", "attack"}
    root = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "NETWORKS", 1)
        train_recipe({**given, "checkpoint_dir": root}, executor=HERE)
    predictor = Predictor(load_checkpoint(root))
    store = load_store(data, rate_fps=predictor.rate_fps, store_dir=tmp_path / "store")
    actions = {bout.action for bout in predictor.predict_bouts(store, 0).bouts}
    assert actions == {"play", "attack"}


def test_a_background_beside_classes_is_refused():
    given = {"classes": {"a": ["x"], "b": ["y"]}, "background": ["x"]}
    with pytest.raises(ConfigError, match="first of `classes`"):
        with_guessed_task(given)


@pytest.mark.parametrize(
    "bouts",
    [
        (Bout(0, 60, "sniff", 1, 2),),  # a frame without a label is "nothing"
        (Bout(0, 60, "sniff", 1, 2), Bout(60, 100, "sniff", 2, 1)),
        (Bout(0, 100, "sniff", 1, 2), Bout(50, 100, "chase", 1, 2)),
        (Bout(0, 100, "rear", 1, 1),),
        (),
    ],
)
def test_any_other_labels_ask_who_does_what_to_whom(bouts):
    watched = (Watched(1, 2, "sniff"),)

    assert guess_task([recording(*bouts, watched=watched)]).settings == {"task": "pair"}


@pytest.mark.parametrize("named", [["play"], None])
def test_data_with_nothing_beside_the_background_are_refused_in_words(named):
    only = "play" if named else "other"
    with pytest.raises(ConfigError, match=f"no action but {only}.*nothing is left"):
        classes_of(only, background=named)


def test_a_quick_test_has_three_epochs_unless_it_is_told_otherwise(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("epochs: 100\n")
    assert merge_settings(config, max_sequences=10)["epochs"] == 3
    assert merge_settings(config)["epochs"] == 100
    more = merge_settings(config, max_sequences=10, changes={"epochs": 8})
    assert more["epochs"] == 8
    config.write_text("epochs: 2\n")
    assert merge_settings(config, max_sequences=10)["epochs"] == 2


def test_a_background_asks_for_a_scene_where_labels_leave_frames_out():
    bouts = (Bout(0, 20, "bite", 1, 2), Bout(50, 60, "chase", 1, 2))
    guess = guess_task([recording(*bouts)], background=[])
    assert guess.settings == {
        "task": "scene",
        "classes": {"none": [], "bite": ["bite"], "chase": ["chase"]},
    }
    asked = " ".join(guess_task([recording(*bouts)]).reasons)
    assert "All have agent 1 and target 2" in asked
    assert "background=[]" in asked


@pytest.mark.parametrize(
    "second",
    [
        Bout(50, 60, "chase", 2, 1),
        Bout(50, 60, "rear", 1, 1),
        Bout(10, 30, "chase", 1, 2),
    ],
)
def test_a_background_is_refused_for_labels_that_are_no_scene(second):
    bouts = Bout(0, 20, "bite", 1, 2), second
    with pytest.raises(ConfigError, match="one pair"):
        guess_task([recording(*bouts)], background=[])
    assert "convention" not in " ".join(guess_task([recording(*bouts)]).reasons)


@pytest.fixture(scope="module")
def fights(tmp_path_factory):
    return write_fights(tmp_path_factory.mktemp("fights") / "data", videos=4)


def settings(data, root, **changes):
    store = data.with_name(f"{data.name}-store")
    places = {"data_dir": data, "checkpoint_dir": root, "store_dir": store}
    return {**QUICK, "class_weights": [1, 1, 1, 1], **places, **changes}


@pytest.fixture(scope="module")
def run(fights, tmp_path_factory):
    """Four videos, two networks a fold."""
    root = tmp_path_factory.mktemp("recipe") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipes, "NETWORKS", 2)
        patch.setattr(train_auto, "FEWEST_TO_TUNE", 4)
        return train_recipe(settings(fights, root), executor=HERE).run_dir


def test_the_model_to_use_learned_from_all_recordings(run):
    checkpoint = load_checkpoint(run)

    assert isinstance(checkpoint.model, Ensemble)
    members = checkpoint.model.members
    is_trees = [isinstance(member, TreesModel) for member in members]
    assert sum(is_trees) == recipes.FINAL_TREES
    assert len(members) == recipes.FINAL_TREES + recipes.FINAL_NETWORKS
    of_kinds = read_json(run / "recipe.json")["weights"]
    weights = np.array(checkpoint.model.weights)
    assert weights[is_trees].sum() == pytest.approx(of_kinds["trees"])
    assert weights.sum() == pytest.approx(1)
    for member in checkpoint.members:
        assert len(set(member.provenance.trained_on)) == 4
        assert not member.provenance.validated_on


def test_its_networks_differ_by_their_seeds(run):
    networks = [
        member
        for member in load_checkpoint(run).model.members
        if not isinstance(member, TreesModel)
    ]
    firsts = [next(network.parameters()).detach().numpy() for network in networks]
    for one, other in itertools.combinations(firsts, 2):
        assert not np.allclose(one, other)


@given(
    frames=st.integers(1, 200_000),
    share=st.floats(0.01, 1.0),
    batch=st.sampled_from([2, 16, 64]),
)
def test_a_network_is_trained_on_few_recordings_a_fixed_number_of_times(
    frames, share, batch
):
    recipe = recipes.choose_recipe(
        {"batch_size": batch},
        groups=20,
        counted_frames=frames,
        counted_in_window=lambda length: share * length,
    )
    config = recipe.kinds[1].config
    steps = config.epochs * config.steps_per_epoch
    of_step = batch * max(1 / batch, share * config.sequence_length)
    if recipes.FEWEST_STEPS < steps < recipes.USUAL_STEPS:
        assert abs(steps - recipes.PASSES * frames / of_step) <= 2
    assert recipes.FEWEST_STEPS <= steps <= recipes.USUAL_STEPS


def test_patience_is_refused_as_nothing_is_left_to_stop_the_model_to_use():
    with pytest.raises(ConfigError, match="fixed number of epochs"):
        choose(early_stopping_patience=3)
    assert choose(early_stopping_patience=0).kinds


def test_decisions_are_tuned_only_where_that_is_worth_it_on_what_did_not_choose(run):
    scores = json.loads((run / "recipe.json").read_text(encoding="utf-8"))["scores"]
    plain, nested = (scores[name]["score"] for name in ("together", "tuned, nested"))
    checkpoint = load_checkpoint(run)

    is_tuned = checkpoint.rules != plain_rules(checkpoint.model.task)
    assert is_tuned == bool(checkpoint.tuned_on) == (nested > plain)
    assert scores["expected"]["score"] == max(plain, nested)


def test_every_recording_is_scored_by_members_that_never_saw_it(run):
    answers = read_out_of_fold(run / FILE_NAME)
    report = json.loads((run / "recipe.json").read_text(encoding="utf-8"))

    assert len(answers.views) == 4
    assert report["scores"]["together"]["score"] > 0.9
    assert report["scores"]["tuned, nested"]["score"] > 0.9
    for kind in ("trees", "network"):
        for path in (run / kind).glob("seed*/fold*/last.safetensors"):
            card = load_checkpoint(path).members[0].provenance
            answered = read_out_of_fold(path.parent / FILE_NAME).tracks
            assert not set(card.trained_on) & set(answered)


def test_members_with_the_same_features_share_them_and_predict_as_they_do_alone(
    run, fights
):
    joined = load_checkpoint(run).model
    place = settings(fights, run)["store_dir"]
    store = load_store(fights, rate_fps=10.0, store_dir=place)
    tracks, possible = Tracks.of_stored(store, 0), np.ones(4, bool)
    extracted = [0]

    def count(member, poses):
        extracted[0] += 1
        return member.extract_features(poses)

    together = frame_probabilities(joined, tracks, possible, extract=count)

    alone = sum(
        weight * frame_probabilities(member, tracks, possible)
        for member, weight in zip(joined.members, joined.weights, strict=True)
    )
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert extracted[0] == 2  # one for the trees, one for the networks' only window


def test_what_it_goes_by_is_kept_and_told(run):
    told = format_importance(explain_run(run, folds=1))

    kept = json.loads((run / IMPORTANCE).read_text(encoding="utf-8"))
    assert set(kept) == {"trees", "network"}
    assert "facing" in kept["trees"]
    best = max(kept["trees"].values(), key=lambda drops: drops["f1_macro"])
    assert best["f1_macro"] >= 0
    assert "drop in F1 when a feature group is shuffled" in told


def test_the_checklist_knows_its_runs(run):
    facts = gather_facts(run, None, None)

    assert len(facts.trainings) == len(facts.members) == 12
    assert check_epochs(facts).verdict is not Verdict.FAILED  # trees have only one


def parts_of(run):
    """Return the weights and trees of a run's model."""
    for member in load_checkpoint(run).model.members:
        yield from map(str, getattr(getattr(member, "forest", None), "texts", ()))
        yield from (each.detach().numpy().tobytes() for each in member.parameters())


@pytest.mark.parametrize("stopped", [3, 10], ids=["in a fold", "in a model to use"])
def test_a_recipe_stopped_and_gone_on_with_repeats_nothing(
    run, fights, tmp_path, monkeypatch, stopped
):
    """The same with a run cut short: fold runs are kept, and the end is the same."""
    monkeypatch.setattr(recipes, "NETWORKS", 2)
    root = tmp_path / "run"
    given = settings(fights, root)
    calls = [0]

    def stop_once(own, **how):
        calls[0] += 1
        if calls[0] == stopped:
            raise KeyboardInterrupt
        return train(own, **how)

    with monkeypatch.context() as patch:
        patch.setattr("mabe.experiments.fold_runs.train", stop_once)
        with pytest.raises(KeyboardInterrupt):
            train_recipe(given, executor=HERE)
    train_recipe(given, resume=True, executor=HERE)

    assert (root / FILE_NAME).read_bytes() == (run / FILE_NAME).read_bytes()
    one, other = (load_checkpoint(each) for each in (root, run))
    assert one.rules == other.rules
    assert list(parts_of(root)) == list(parts_of(run))


def test_a_recipe_of_an_earlier_version_gets_its_models_of_all_recordings(
    run, fights, tmp_path, monkeypatch
):
    """Earlier versions joined the models of the folds."""
    monkeypatch.setattr(recipes, "NETWORKS", 2)
    root = tmp_path / "run"
    shutil.copytree(run, root)
    for kind in ("trees", "network"):
        shutil.rmtree(root / kind / "all")
    shutil.copy(root / "network" / "best.safetensors", root / "best.safetensors")
    train_recipe(settings(fights, root), resume=True, executor=HERE)

    assert list(parts_of(root)) == list(parts_of(run))


RECIPE = Path(__file__).parent / "hostile" / "resume_same_command_auto" / "auto.yaml"


@pytest.mark.parametrize("changes", [{}, {"background": []}])
def test_the_same_command_resumes_a_recipe_that_chose_its_task(
    tmp_path, monkeypatch, capsys, changes
):
    monkeypatch.setattr(recipes, "NETWORKS", 1)
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    data = write_fights(tmp_path / "data", videos=4)
    (tmp_path / "auto.yaml").write_text(
        json.dumps({**yaml.safe_load(RECIPE.read_text()), **QUICK, **changes})
    )
    words = ["train", "--config", tmp_path / "auto.yaml", "--data-dir", data]
    words = [str(word) for word in (*words, "--out", tmp_path / "run")]
    words += ["--workers", "1"]

    def stop(*_, **__):
        raise StopRequested("stopped")

    with monkeypatch.context() as patch:
        patch.setattr("mabe.experiments.train_auto._train_all", stop)
        assert main(words) == 130
        capsys.readouterr()
        assert main([*words, "--resume"]) == 130  # it got as far
    other = ["--set", "classes={a: [], b: [attack]}", "--set", "background=null"]
    assert main([*words, *other, "--resume"]) == 2
    assert "cannot be resumed with settings" in capsys.readouterr().err


def test_a_recipe_that_runs_again_sets_the_earlier_one_aside(fights, tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    (root / "notes.txt").write_text("mine", encoding="utf-8")

    with pytest.raises(RunError, match="holds something else than a run"):
        train_recipe(settings(fights, root), executor=HERE)


def test_a_run_that_names_one_kind_is_not_a_recipe(fights, tmp_path):
    with pytest.raises(ConfigError, match="auto is several runs"):
        train(build_config(settings(fights, tmp_path / "run"), where="test"))
    with pytest.raises(RunError, match="no finished runs here"):
        explain_run(tmp_path)


def test_the_question_is_guessed_only_where_nobody_asked_one(fights, tmp_path):
    places = {"data_dir": fights, "store_dir": fights.with_name("data-store")}

    assert with_guessed_task({**QUICK, **places})["task"] == "pair"
    asked = {**TINY, "data_dir": fights, "classes": {"a": [], "b": ["x"]}}
    assert with_guessed_task(asked) is asked


def without_labels(data, *, video):
    """Make a video of a data set one that nobody labelled."""
    (data / "train_annotation" / "Lab" / f"{video}.parquet").unlink()
    table = pl.read_csv(data / "train.csv")
    is_it = pl.col("video_id").cast(pl.String) == video
    labelled = pl.when(is_it).then(pl.lit("[]")).otherwise(pl.col("behaviors_labeled"))
    table.with_columns(labelled.alias("behaviors_labeled")).write_csv(
        data / "train.csv"
    )


def test_one_command_trains_on_labelled_data_and_says_what_it_chose(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(recipes, "NETWORKS", 1)
    monkeypatch.setenv("MABE_CACHE", str(tmp_path / "cache"))
    data = write_chases(tmp_path / "data", videos=5)
    without_labels(data, video="5")
    words = [f"--set={key}={value}" for key, value in QUICK.items()]

    code = main(
        ["train", str(data), "--out", str(tmp_path / "run"), "--workers", "2", *words]
    )

    told = capsys.readouterr().out
    assert code == 0
    assert "Task: pair" in told
    assert "4 folds by recording" in told
    assert "Expected score on new recordings" in told
    assert "nobody labelled them: 1 recording" in told
    assert "mabe distil" in told
    scores = json.loads((tmp_path / "run" / "recipe.json").read_text(encoding="utf-8"))
    assert scores["scores"]["together"]["score"] > 0.8
    assert main(["evaluate", str(tmp_path / "run"), str(data)]) == 2  # all were seen
    assert replace(load_checkpoint(tmp_path / "run")).path.is_file()
