"""Accuracy of the automatic recipe on three real data sets, and of changes to it.

    python benchmarks/accuracy.py WORK                          the recipe as it is
    python benchmarks/accuracy.py WORK --set tree_rounds=400    with a setting changed
    python benchmarks/accuracy.py WORK --videos 5 --folds 0 2 4   from five videos
    python benchmarks/accuracy.py WORK --tasks rat_dyad --kinds trees

A change is judged on all three tasks and from few videos. Every figure is on
recordings that the predicting models did not learn from; those of tuned rules are
nested. `WORK/runs` keeps each fold run under a hash of its settings, of the recordings
that it learned from and of the code in `src/mabe`, so that nothing is trained twice,
and several changes share what they leave as it is. `--any-code` takes runs of other
code too: for a change that does not concern training.

With `--videos N` a fold learns from N of its recordings, others in each fold.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml

from mabe.config import RunConfig, dump_config, read_settings
from mabe.data.splits import find_groups
from mabe.decoding.nested_tuning import tune
from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import OutOfFold, score_with_confidence
from mabe.experiments.auto_recipe import (
    ModelKind,
    Recipe,
    at_working_rate,
    choose_recipe,
)
from mabe.experiments.fold_runs import FoldRun, train_fold_run
from mabe.experiments.kind_weights import blend_kinds
from mabe.experiments.out_of_fold import blend, join
from mabe.experiments.train_auto import with_guessed_task
from mabe.metrics.bout_scores import count_matches
from mabe.metrics.frame_scores import f1_scores
from mabe.training import run as training_run
from mabe.training.objectives import TrainingData, load_training_data

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("MABE_DATA", ROOT.parent / "shared" / "data"))
TASKS = ("rat_dyad", "rat_dyad_fine", "mouse_objects")
KINDS = ("trees", "network")


@dataclass(frozen=True)
class Trial:
    """The recipe with some changes, on one data set."""

    work: Path
    task: str
    changes: Mapping[str, Any]
    videos: int | None
    folds: tuple[int, ...] | None
    kinds: tuple[str, ...]
    any_code: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--folds", nargs="+", type=int)
    parser.add_argument("--videos", type=int)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--any-code", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    pairs = (text.partition("=") for text in given.set)
    changes = {key: yaml.safe_load(value) for key, _, value in pairs}
    folds = tuple(given.folds) if given.folds else None
    for task in given.tasks:
        run_trial(
            Trial(
                given.work,
                task,
                changes,
                given.videos,
                folds,
                tuple(given.kinds),
                given.any_code,
            )
        )


def run_trial(trial: Trial) -> None:
    """Train what is missing of one data set, and print its rows."""
    recipe = recipe_for(trial)
    print(f"\n## {trial.task}: {trial.changes or 'the recipe'}", flush=True)
    if trial.videos:
        print(f"From {trial.videos} videos in each fold.")
    found = {
        kind.name: predictions_of_kind(trial, recipe, kind)
        for kind in recipe.kinds
        if kind.name in trial.kinds
    }
    if len(found) > 1:
        found["together"] = together(trial, list(found.values()))
    print_rows(found)


def together(trial: Trial, of_kinds: Sequence[Sequence[OutOfFold]]) -> list[OutOfFold]:
    """Return the kinds' predictions as one, for each fold.

    Weighted by the other folds, as by the recipe; with `--videos` equally, as the
    recipe would find its weights on these videos alone.
    """
    if trial.videos:
        equal = [1.0] * len(of_kinds)
        return [blend(of_fold, equal) for of_fold in zip(*of_kinds, strict=True)]
    tracks_of_folds = [set(fold.tracks) for fold in of_kinds[0]]
    whole = [join(of_folds) for of_folds in of_kinds]
    return blend_kinds(whole, tracks_of_folds)


def predictions_of_kind(
    trial: Trial, recipe: Recipe, kind: ModelKind
) -> list[OutOfFold]:
    """Return for each fold the mean over a kind's seeds of its predictions."""
    seeds = range(kind.config.seed, kind.config.seed + kind.seeds)
    of_folds = []
    for fold in trial.folds or range(recipe.folds):
        of_fold = kind.config.changed(folds=recipe.folds, fold=fold, num_workers=1)
        found = [predictions_of(trial, of_fold.changed(seed=seed)) for seed in seeds]
        of_folds.append(blend(found, [1.0] * len(found)))
    return of_folds


@cache
def settings_of(work: Path, task: str) -> dict[str, Any]:
    """Return the settings that a user gives for a data set, with the guessed task."""
    given: dict[str, Any] = {"data_dir": DATA / task, "model_type": "auto"}
    if task == "rat_dyad":
        given = {**read_settings(ROOT / "configs" / "rat_dyad.yaml"), **given}
    if task == "rat_dyad_fine":
        given["background"] = []
    if task == "mouse_objects":
        given["data_dir"] = imported_objects(work)
    return dict(with_guessed_task(given))


def imported_objects(work: Path) -> Path:
    """Return `mouse_objects` in the Kaggle layout."""
    out = work / "mouse_objects"
    if not out.exists():
        project = ROOT / "benchmarks" / "mouse_objects.yaml"
        source = DATA / "mouse_objects"
        command = ["import", source, "--project", project, "--out", out]
        subprocess.run([sys.executable, "-m", "mabe", *map(str, command)], check=True)
    return out


def recipe_for(trial: Trial) -> Recipe:
    """Return the recipe of a data set, with the changes."""
    given = {**settings_of(trial.work, trial.task), **trial.changes}
    config = at_working_rate(given)
    data = load_training_data(config, notes=False)
    used = [data.store.recordings[i] for i in (*data.learned, *data.held_out)]
    objective = data.objective(config)
    frames = objective.counted_frames
    recordings = trial.videos or len(used)
    return choose_recipe(
        given,
        groups=len(find_groups(used, by=config.split_by)),
        counted_frames=round(frames * recordings / len(data.learned)),
        counted_in_window=objective.counted_in_window,
        has_objects=any(each.objects for each in used),
    )


def predictions_of(trial: Trial, config: RunConfig) -> OutOfFold:
    """Return the predictions of one fold, from the cache or by training."""
    data = some_videos(load_training_data(config, notes=False), trial.videos, config)
    folder = trial.work / "runs" / key_of(config, data, any_code=trial.any_code)
    fold_run = FoldRun(config.changed(checkpoint_dir=folder))
    if not fold_run.is_finished:
        # A run takes its settings from the data, in which the skeleton is settled.
        settled = data.config.changed(checkpoint_dir=folder)
        of_run = replace(data, config=settled)
        with patch.object(
            training_run, "load_training_data", lambda *_args, **_how: of_run
        ):
            train_fold_run(fold_run, skip_bad=False)
    return fold_run.predictions


def some_videos(
    data: TrainingData, videos: int | None, config: RunConfig
) -> TrainingData:
    """Learn from some recordings only, others in each fold."""
    if not videos:
        return data
    order = np.random.default_rng(config.fold).permutation(len(data.learned))
    return replace(data, learned=sorted(data.learned[i] for i in order[:videos]))


def key_of(config: RunConfig, data: TrainingData, *, any_code: bool) -> str:
    """Return a name for all that decides what a run predicts."""
    places = {"data_dir", "checkpoint_dir", "store_dir", "num_workers", "device"}
    settings = {k: v for k, v in dump_config(config).items() if k not in places}
    content = {
        "settings": settings,
        "learned": sorted(data.tracks(data.learned)),
        "held_out": sorted(data.tracks(data.held_out)),
        "code": "" if any_code else hash_of_code(),
    }
    text = json.dumps(content, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{config.model_type}-fold{config.fold}-seed{config.seed}-{digest}"


@cache
def hash_of_code() -> str:
    """Return a hash of all modules of the package."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "src" / "mabe").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def print_rows(found: Mapping[str, Sequence[OutOfFold]]) -> None:
    """Print a line for each kind of model and for all together."""
    classes = next(iter(found.values()))[0].classes
    named = " | ".join(f"F1 {name}" for name in classes)
    print(
        "| | plain (95 % over recordings) | by fold | nested | average precision "
        f"| bout F1 | calibration error | {named} |"
    )
    print("|---" * (7 + len(classes)) + "|")
    for name, of_folds in found.items():
        print(f"| {name} | {' | '.join(cells_of(of_folds))} |", flush=True)


def cells_of(of_folds: Sequence[OutOfFold]) -> Iterator[str]:
    """Yield the figures of a row; a background has none but its F1."""
    predictions = join(of_folds)
    kind, classes = predictions.kind, predictions.classes
    rules = DecisionRules.plain(kind, classes)
    confidence = score_with_confidence(predictions.views, rules)
    tuned = tune(predictions.views, folds=5, seed=0)
    actions = [
        place
        for place in range(len(classes))
        if not (kind.has_background and place == kind.nothing)
    ]
    errors = [tuned.reliability[classes[i]][0].expected_error for i in actions]
    yield str(confidence)
    yield " ".join(
        f"{score_with_confidence(each.views, rules).score:.3f}" for each in of_folds
    )
    yield f"{tuned.nested:.3f}"
    yield f"{np.nanmean([average_precision(predictions, i) for i in actions]):.3f}"
    yield f"{np.nanmean([bout_f1(predictions, rules, i) for i in actions]):.3f}"
    yield f"{np.nanmean(errors):.3f}"
    yield from (f"{value:.3f}" for value in confidence.f1)


def average_precision(predictions: OutOfFold, place: int) -> float:
    """Return the precision at each probability, weighted by the recall it adds."""
    probabilities, labels = (
        np.concatenate([getattr(view, name)[:, place] for view in predictions.views])
        for name in ("probabilities", "labels")
    )
    known = (labels >= 0) & np.isfinite(probabilities)
    values, group = np.unique(-probabilities[known], return_inverse=True)
    happens = labels[known] == 1
    hits = np.bincount(group, happens, minlength=len(values))
    frames = np.bincount(group, minlength=len(values))
    precision = np.cumsum(hits) / np.cumsum(frames)
    return float((precision * hits).sum() / hits.sum()) if hits.any() else np.nan


def bout_f1(predictions: OutOfFold, rules: DecisionRules, place: int) -> float:
    """Return F1 of bouts that overlap by more than half of their union."""
    counts = np.zeros(3, int)
    for view in predictions.decide(rules):
        true = view.annotated_spans(place)
        found = view.predicted_spans(place, counted=True)
        counts += len(true), len(found), count_matches(true, found)
    return float(f1_scores(counts[None, None], rules.kind)[0, 0])


if __name__ == "__main__":
    main()
