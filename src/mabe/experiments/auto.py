"""Train a recipe: several kinds of model, on all but a part of the data in turn.

Every recording is marked by models that never saw it. So there is an honest score
on all of the data, decisions are tuned on all of it, and all of it is learned from: the
models of all folds are used as one (bagging; Breiman, Machine Learning 1996).

A run directory holds a cross-validation for each kind (``trees``, ``network``), the
joined model (``best.safetensors``), its out-of-fold answers, and ``recipe.json``
with the scores.
"""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

from mabe.config import RunConfig
from mabe.data.prepare import load_store
from mabe.data.splits import find_groups
from mabe.decoding.views import OutOfFold
from mabe.errors import RunError
from mabe.experiments.auto_recipe import (
    ModelKind,
    Recipe,
    at_rate,
    choose_recipe,
    guess_task,
)
from mabe.experiments.cross_validation import (
    RECIPE_REPORT,
    FoldRun,
    Plan,
    assemble,
    find_fold_runs,
    make_plan,
    score,
    train_fold_runs,
)
from mabe.experiments.importance import (
    explain_fold_runs,
    format_importance,
    read_importance,
    write_importance,
)
from mabe.experiments.out_of_fold import (
    FILE_NAME,
    blend,
    read_out_of_fold,
    write_out_of_fold,
)
from mabe.experiments.tune import format_tuned, tune_run
from mabe.metrics.summary import plain
from mabe.models.checkpoint import SUFFIX, Member, load_checkpoint, save_ensemble
from mabe.runtime.console import group_bar, show, tell
from mabe.runtime.devices import choose_device
from mabe.runtime.executors import Executor, Processes
from mabe.runtime.files import usable_cores, write_json
from mabe.runtime.object_storage import shown
from mabe.training.objectives import TrainingData, load_training_data
from mabe.training.run_directory import (
    check_same_data,
    check_same_settings,
    document,
    lock_run,
    set_aside,
)


def train_recipe(
    config: RunConfig,
    *,
    resume: bool = False,
    skip_bad: bool = False,
    executor: Executor | None = None,
) -> Path:
    """Train the best that is known for the data, and return the run directory.

    By default as many models are trained at once as there are cores (on a GPU one
    after the other); an executor changes where, not what comes of it. An earlier run in
    `checkpoint_dir` is gone on with (`resume`) or set aside.
    """
    executor = executor or _usual_executor(config)
    with lock_run(config.checkpoint_dir):
        if resume:
            check_same_settings(config.checkpoint_dir, config)
        data = load_training_data(_at_rate(config), skip_bad=skip_bad)
        recipe = _choose(config, data)
        tell(*(f"• {reason}" for reason in recipe.reasons))
        _begin(config, data, resume=resume)
        plans = [
            _plan(kind, recipe, data, config.checkpoint_dir) for kind in recipe.kinds
        ]
        # Those that take longest first, so that no worker is left alone at the end.
        fold_runs = [
            fold_run for plan in reversed(plans) for fold_run in plan.fold_runs
        ]
        done = count(1 + sum(fold_run.is_finished for fold_run in fold_runs))

        def after_each(fold_run: FoldRun) -> None:
            found = show(score(fold_run.answers)["score"])
            kind = fold_run.run_dir.parent.parent.name
            tell(f"✓ {next(done)} of {len(fold_runs)}: {kind}/{fold_run.name} {found}")

        train_fold_runs(
            fold_runs, skip_bad=skip_bad, after_each=after_each, executor=executor
        )
        _join(config.checkpoint_dir, recipe, plans)
        explain_run(config.checkpoint_dir, folds=1)
    return config.checkpoint_dir


def _usual_executor(config: RunConfig) -> Executor:
    device = choose_device(config.device)
    return Processes(usable_cores() if device.type == "cpu" else 1)


def explain_run(run_dir: Path, *, folds: int | None = None) -> None:
    """Find out what the models of a finished run go by, keep it and tell it.

    One seed of each kind is asked, of its held-out recordings, over so many folds (by
    default all). Raises `RunError` where there is no finished run.
    """
    by_kind: dict[str, list[FoldRun]] = {}
    for fold_run in find_fold_runs(run_dir):
        by_kind.setdefault(fold_run.run_dir.parent.parent.name, []).append(fold_run)
    if not by_kind:
        raise RunError(
            f"{run_dir}: no finished runs here to explain; expected the directory of "
            "`mabe train DATA`, or of a cross-validation"
        )
    found = {}
    for kind, fold_runs in by_kind.items():
        of_one_seed = [
            fold_run
            for fold_run in fold_runs
            if fold_run.config.seed == fold_runs[0].config.seed
        ]
        with group_bar(kind) as bar:
            found[kind] = explain_fold_runs(of_one_seed[:folds], after_group=bar.update)
    write_importance(run_dir, found)
    kept = read_importance(run_dir)
    assert kept is not None
    tell("", format_importance(kept))


def with_guessed_task(config: RunConfig, *, skip_bad: bool = False) -> RunConfig:
    """Return a config that asks what the data seem to be labelled for.

    For a config in which nobody said anything about it.
    """
    asked = {"task", "classes", "actions", "undirected"}
    if asked & config.model_fields_set:
        return config
    store = load_store(
        config.data_dir,
        rate_fps=at_rate(config)["fps"],
        store_dir=config.store_dir,
        workers=config.num_workers,
        skip_bad=skip_bad,
    )
    guess = guess_task(store.recordings, ignore=config.ignore)
    tell(*(f"• {reason}" for reason in guess.reasons))
    given = {key: getattr(config, key) for key in config.model_fields_set}
    return RunConfig(**(given | guess.settings))


def _at_rate(config: RunConfig) -> RunConfig:
    return config.model_copy(update=at_rate(config))


def _choose(config: RunConfig, data: TrainingData) -> Recipe:
    """Decide what to train on the data."""
    used = [data.store.recordings[i] for i in (*data.learned, *data.held_out)]
    objective = data.objective(_at_rate(config))
    return choose_recipe(
        config,
        pieces=len(find_groups(used, by=config.split_by)),
        counted_frames=round(objective.counted_frames * len(used) / len(data.learned)),
    )


def _begin(config: RunConfig, data: TrainingData, *, resume: bool) -> None:
    """Start a run directory, or check that it is gone on with on the same data."""
    run_dir = config.checkpoint_dir
    content = sorted(data.content)  # the fold in hand does not matter here
    if resume:
        check_same_data(run_dir, content)
        return
    if kept := set_aside(run_dir):
        tell(f"{run_dir} held an earlier run, which is now {kept}")
    recordings = data.store.recordings
    used = sorted(recordings[i].name for i in (*data.learned, *data.held_out))
    facts = {"data": shown(config.data_dir), "recordings": used, "content": content}
    document(run_dir, config, facts)


def _plan(kind: ModelKind, recipe: Recipe, data: TrainingData, root: Path) -> Plan:
    """Claim a directory for the runs of one kind."""
    own = kind.config.model_copy(update={"checkpoint_dir": root / kind.name})
    return make_plan(own, data, folds=recipe.folds, seeds=kind.seeds)


def _join(root: Path, recipe: Recipe, plans: Sequence[Plan]) -> None:
    """Write all runs as one model, tune its decisions, and tell the scores."""
    members: list[Member] = []
    weights: list[float] = []
    answers: list[OutOfFold] = []
    scores: dict[str, Any] = {}
    for kind, plan in zip(recipe.kinds, plans, strict=True):
        scores[kind.name] = assemble(plan)["all_seeds"]
        loaded = load_checkpoint(plan.root)
        members += loaded.members
        weights += [kind.weight / len(loaded.members)] * len(loaded.members)
        answers.append(read_out_of_fold(plan.root / FILE_NAME))
    joined = blend(answers, [kind.weight for kind in recipe.kinds])
    write_out_of_fold(root / FILE_NAME, joined)
    save_ensemble(root / f"best{SUFFIX}", members, weights)
    scores["together"] = score(joined)
    tell("", "On recordings that no member which was asked had seen:")
    tell(*(_line(name, each) for name, each in scores.items()), "")
    tuned = tune_run(root, if_better=True)
    is_better = tuned.nested > tuned.plain
    tell(
        format_tuned(tuned),
        "",
        "• Decisions are tuned: worth it on recordings that did not choose the rules"
        if is_better
        else "• Decisions stay plain: tuned ones are no better on recordings that did "
        "not choose the rules",
    )
    expected = plain(tuned.nested if is_better else tuned.plain)
    scores["tuned, nested"] = {"score": plain(tuned.nested)}
    scores["expected"] = {"score": expected}
    write_json(root / RECIPE_REPORT, {"reasons": recipe.reasons, "scores": scores})
    tell(
        f"✓ Expect about {show(expected)} on new recordings of this kind",
        f"✓ Model: {root / f'best{SUFFIX}'}, {len(members)} members",
    )


def _line(name: str, found: dict[str, Any]) -> str:
    """Return one kind's score with its interval, and that of each class."""
    low, high = (show(value) for value in found["interval_95"])
    f1 = "  ".join(f"{key} {show(value)}" for key, value in found["f1"].items())
    return f"  {name:<9} {show(found['score'])}  ({low} to {high})  {f1}"
