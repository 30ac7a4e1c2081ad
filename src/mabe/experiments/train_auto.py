"""Training by the automatic recipe (`model_type: auto`): several kinds of model.

Each kind is cross-validated. So each recording is predicted by models that did not
learn from it, which gives scores and tuned decision rules on all of the data. The model
to use is made of others, which learn from all recordings: a model of a fold lacks
those of the fold (a fifth, with five folds).

A run directory holds a cross-validation for each kind (``trees``, ``network``), in it
the models that learned from all recordings (``all``), these as one model
(``best.safetensors``), out-of-fold predictions, and ``recipe.json`` with the scores.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.config import RunConfig, build_config, dump_config, read_settings
from mabe.data.prepare import load_store
from mabe.data.splits import find_groups
from mabe.decoding.nested_tuning import Tuned
from mabe.decoding.view_predictions import OutOfFold
from mabe.errors import ConfigError
from mabe.experiments.auto_recipe import (
    ModelKind,
    Recipe,
    at_working_rate,
    choose_recipe,
    guess_task,
    rate_for_objects,
)
from mabe.experiments.cross_validation import (
    OutOfFoldScore,
    Plan,
    assemble,
    make_plan,
)
from mabe.experiments.fold_runs import RECIPE_REPORT, FoldRun, train_fold_runs
from mabe.experiments.importance import explain_run, format_importance
from mabe.experiments.kind_weights import blend_kinds, weights_of_kinds
from mabe.experiments.model_card import write_model_card
from mabe.experiments.out_of_fold import (
    FILE_NAME,
    join,
    read_out_of_fold,
    write_out_of_fold,
)
from mabe.experiments.recipe_report import (
    AS_IT_IS,
    RecipeReport,
    comparison,
    score_line,
    weights_line,
)
from mabe.experiments.rule_tuning import format_tuned, tune_run
from mabe.experiments.train_from import choose_kinds, score_as_it_is
from mabe.models.checkpoint import SUFFIX, Member, load_checkpoint, save_ensemble
from mabe.runtime.console import count, finite_or_none, format_score, print_lines
from mabe.runtime.devices import choose_device
from mabe.runtime.executors import Executor, Processes
from mabe.runtime.files import write_json
from mabe.runtime.object_storage import full_path
from mabe.runtime.threads import usable_cores
from mabe.training.history import Epoch
from mabe.training.objectives import TrainingData, load_training_data
from mabe.training.pretraining import recordings_to_pretrain_on
from mabe.training.resume import check_same_data, check_same_settings
from mabe.training.reuse import known_tracks
from mabe.training.run_directory import document, lock_run, set_aside

FEWEST_TO_TUNE = 6
"""Recordings. Of three or five videos of `rat_dyad` tuned rules had the higher nested
score in seven of 17 draws; on the videos held out they were worse in six of these."""
TASK_SETTINGS = frozenset({"task", "classes", "actions", "undirected"})
"""Where the user gave none of these, the task is chosen by the labels."""


@dataclass(frozen=True, slots=True)
class TrainedRecipe:
    """A finished recipe; it has what a `TrainedRun` has."""

    run_dir: Path
    report: RecipeReport

    @property
    def model_path(self) -> Path:
        """The file of the joined model."""
        return self.run_dir / f"best{SUFFIX}"

    @property
    def macro_f1(self) -> float | None:
        """The score to expect on new recordings."""
        return self.report.expected

    @property
    def history(self) -> tuple[Epoch, ...]:
        """Empty: there are several runs, each with a history of its own."""
        return ()


def train_recipe(
    given: Mapping[str, Any],
    *,
    resume: bool = False,
    skip_bad: bool = False,
    executor: Executor | None = None,
    explain: bool = True,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> TrainedRecipe:
    """Train the recipe for some data, and return the finished run.

    `given` are the settings that the user gave; the recipe chooses the others. An
    executor decides where runs are done, which has no effect on the results; by default
    one process for each core, or one process on a GPU. An earlier run in
    `checkpoint_dir` is resumed (`resume`) or renamed. Without `explain` the features
    that matter are not looked for. `report` is told the model that is finished, its
    number, and the number of all.
    """
    config = at_working_rate(given)
    executor = executor or _usual_executor(config)
    run_dir = config.checkpoint_dir
    with lock_run(run_dir):
        if resume:
            check_same_settings(run_dir, build_config(dict(given), where="settings"))
        data = load_training_data(config, skip_bad=skip_bad)
        recipe = _choose(given, config, data)
        print_lines(*(f"• {reason}" for reason in recipe.reasons))
        _begin(given, config, data, resume=resume)
        plans = [_plan(kind, recipe, data, run_dir) for kind in recipe.kinds]
        _train_all(plans, skip_bad=skip_bad, executor=executor, report=report)
        as_it_is = (
            score_as_it_is(plans[0].of_first_seed, skip_bad=skip_bad)
            if config.from_model is not None
            else None
        )
        scores = _join(run_dir, plans, recipe.reasons, as_it_is)
        if explain and config.from_model is None:  # which is to be quick
            print_lines("", format_importance(explain_run(run_dir, folds=1)))
        is_pretrained = any(kind.config.is_pretrained for kind in recipe.kinds)
        print_lines(*_hint_at_unlabelled(data, is_pretrained=is_pretrained))
    return TrainedRecipe(run_dir, scores)


def _hint_at_unlabelled(data: TrainingData, *, is_pretrained: bool) -> list[str]:
    """Return a line on recordings that nobody labelled, if there are any."""
    unlabelled = sum(
        each.length > 0 and not each.has_labels for each in data.store.recordings
    )
    if not unlabelled:
        return []
    films = count(unlabelled, "recording")
    use = "Used in pretraining alone" if is_pretrained else "Not learned from"
    return [
        f"• {use}, as nobody labelled them: {films}; mabe distil MODEL DATA trains one "
        "network on these, too"
    ]


def with_guessed_task(
    given: Mapping[str, Any], *, skip_bad: bool = False
) -> Mapping[str, Any]:
    """Return the user's settings; where they name no task, with one for the labels."""
    has_background = given.get("background") is not None
    if named := sorted(TASK_SETTINGS & given.keys()):
        if has_background:
            raise ConfigError(
                f"background: is for data whose task is chosen by the labels, but "
                f"{', '.join(named)} is given; the first of `classes` is the background"
            )
        return given
    config = at_working_rate(given)
    store = load_store(
        config.data_dir,
        rate_fps=config.fps,
        store_dir=config.store_dir,
        workers=config.num_workers,
        skip_bad=skip_bad,
    )
    guess = guess_task(
        store.recordings, ignore=config.ignore, background=config.background
    )
    rate = {} if "fps" in given else rate_for_objects(store.recordings)
    print_lines(
        *(f"• {reason}" for reason in guess.reasons),
        *(
            f"• Working rate: {fps:g} fps, as actions at objects are brief"
            for fps in rate.values()
        ),
    )
    rest = {key: value for key, value in given.items() if key != "background"}
    return {**rest, **rate, **guess.settings}


def with_task_of_run(given: Mapping[str, Any], run_dir: Path) -> Mapping[str, Any]:
    """Return the user's settings; where they name no task, with that of a run.

    So the command that started a run also resumes it.
    """
    path = run_dir / "config.yaml"
    if TASK_SETTINGS & given.keys() or not path.is_file():
        return given
    begun = read_settings(path)
    return {**{key: begun[key] for key in TASK_SETTINGS & begun.keys()}, **given}


def _usual_executor(config: RunConfig) -> Executor:
    device = choose_device(config.device)
    return Processes(usable_cores() if device.type == "cpu" else 1)


def _choose(given: Mapping[str, Any], config: RunConfig, data: TrainingData) -> Recipe:
    used = [data.store.recordings[i] for i in (*data.learned, *data.held_out)]
    if config.from_model is not None:
        known = known_tracks(config)
        fresh = [each for each in used if each.tracking_hash not in known]
        return choose_kinds(
            given,
            groups=len(find_groups(fresh, by=config.split_by)),
            counted_frames=data.objective(config).counted_frames,
        )
    objective = data.objective(config)
    learned_frames = objective.counted_frames
    poses = {*recordings_to_pretrain_on(data), *data.held_out}
    return choose_recipe(
        given,
        groups=len(find_groups(used, by=config.split_by)),
        counted_frames=round(learned_frames * len(used) / len(data.learned)),
        counted_in_window=objective.counted_in_window,
        pose_frames=sum(data.store.recordings[i].length for i in poses),
        has_objects=any(each.objects for each in used),
    )


def _begin(
    given: Mapping[str, Any], config: RunConfig, data: TrainingData, *, resume: bool
) -> None:
    """Start a run directory, or check that the data of a resumed run are the same."""
    run_dir = config.checkpoint_dir
    content = sorted(data.content(config))  # whatever is held out
    if resume:
        check_same_data(run_dir, content)
        return
    if earlier := set_aside(run_dir):
        print_lines(f"{run_dir} held an earlier run, which was renamed to {earlier}")
    recordings = data.store.recordings
    used = sorted(recordings[i].name for i in (*data.learned, *data.held_out))
    facts = {
        "data": full_path(config.data_dir),
        "recordings": used,
        "content": content,
    }
    # The recipe chooses the other settings again when the run is resumed.
    settings = {k: value for k, value in dump_config(config).items() if k in given}
    document(run_dir, settings, facts)


@dataclass(frozen=True, slots=True)
class KindPlan:
    """The runs of one kind of model."""

    kind: ModelKind
    folds: Plan

    @property
    def of_first_seed(self) -> list[FoldRun]:
        """A run for each fold; together they hold every recording out once."""
        return self.folds.of_seed(self.folds.config.seed)

    @property
    def final_runs(self) -> list[FoldRun]:
        """The runs whose models are used: those that learn from all recordings."""
        if not self.folds.holds_out:
            return self.folds.fold_runs
        config = self.folds.config
        seeds = range(config.seed, config.seed + self.kind.final_models)
        return [FoldRun.of_all(config, self.folds.root, seed=seed) for seed in seeds]

    @property
    def runs(self) -> list[FoldRun]:
        """All runs: of folds, then of all recordings."""
        if not self.folds.holds_out:
            return self.folds.fold_runs
        return [*self.folds.fold_runs, *self.final_runs]


def _plan(kind: ModelKind, recipe: Recipe, data: TrainingData, root: Path) -> KindPlan:
    """Claim a directory for the runs of one kind."""
    own = kind.config.changed(checkpoint_dir=root / kind.name)
    plan = make_plan(own, data, folds=recipe.folds, seeds=kind.seeds)
    return KindPlan(kind, plan)


def _train_all(
    plans: Sequence[KindPlan],
    *,
    skip_bad: bool,
    executor: Executor,
    report: Callable[[str, int, int], None],
) -> None:
    """Do the runs of all kinds."""
    # The longest ones first, so that no worker is left alone at the end.
    fold_runs = [fold_run for plan in reversed(plans) for fold_run in plan.runs]
    done = sum(fold_run.is_finished for fold_run in fold_runs)
    numbers = itertools.count(1 + done)
    report("training the full recipe", done, len(fold_runs))

    def after_each(fold_run: FoldRun) -> None:
        held_out = fold_run.predictions
        score = (
            format_score(OutOfFoldScore.of(held_out).score)
            if held_out.views
            else "learned from all recordings"
        )
        name = f"{fold_run.kind}/{fold_run.name}"
        number = next(numbers)
        print_lines(f"✓ {number} of {len(fold_runs)}: {name} {score}")
        report("training the full recipe", number, len(fold_runs))

    train_fold_runs(
        fold_runs, skip_bad=skip_bad, after_each=after_each, executor=executor
    )


def _join(
    root: Path,
    plans: Sequence[KindPlan],
    reasons: tuple[str, ...],
    as_it_is: OutOfFoldScore | None,
) -> RecipeReport:
    """Write the model to use, tune its decisions, and print the scores."""
    members: list[list[Member]] = []
    predictions: list[OutOfFold] = []
    scores: dict[str, OutOfFoldScore] = {}
    for plan in plans:
        scores[plan.kind.name] = assemble(plan.folds).all_seeds
        final = [load_checkpoint(each.model).members[0] for each in plan.final_runs]
        members.append(final)
        predictions.append(read_out_of_fold(plan.folds.root / FILE_NAME))
    folds = [each.predictions.tracks for each in plans[0].of_first_seed]
    joined = join(blend_kinds(predictions, folds))
    write_out_of_fold(root / FILE_NAME, joined)
    of_kinds = dict(zip(scores, weights_of_kinds(predictions).tolist(), strict=True))
    save_ensemble(
        root / f"best{SUFFIX}",
        list(itertools.chain(*members)),
        [
            weight / len(final)
            for final, weight in zip(members, of_kinds.values(), strict=True)
            for _ in final
        ],
    )
    together = OutOfFoldScore.of(joined)
    print_lines(
        "", "Macro F1 on recordings that the predicting models did not learn from:"
    )
    shown = {**scores, "together": together}
    shown |= {AS_IT_IS: as_it_is} if as_it_is else {}
    print_lines(
        *(score_line(*each) for each in shown.items()),
        *weights_line(of_kinds),
        "",
    )
    tuned, is_better = _tune(root, joined)
    report = RecipeReport(
        reasons=reasons,
        kinds=scores,
        weights=of_kinds,
        together=together,
        tuned=finite_or_none(tuned.nested) if tuned else None,
        expected=finite_or_none(tuned.nested if is_better else tuned.plain)
        if tuned
        else together.score,
        as_it_is=as_it_is,
    )
    write_json(root / RECIPE_REPORT, report.to_json())
    print_lines(*comparison(report))
    card = write_model_card(root)
    of_members = count(sum(map(len, members)), "model")
    print_lines(
        "✓ Expected score on new recordings of this kind: "
        f"{format_score(report.expected)}",
        f"✓ Model: {root / f'best{SUFFIX}'}, {of_members} that learned from all "
        f"recordings; its card: {card}",
    )
    return report


def _tune(root: Path, predictions: OutOfFold) -> tuple[Tuned | None, bool]:
    """Tune the decisions, print what came of it, and return whether they are better.

    With too few recordings nothing is tuned.
    """
    if len(predictions.tracks) < FEWEST_TO_TUNE:
        scored = count(len(predictions.tracks), "recording")
        print_lines(
            f"• Default thresholds kept: {scored} scored, of fewer than "
            f"{FEWEST_TO_TUNE} tuned ones are no better; mabe tune {root} tries it"
        )
        return None, False
    tuned = tune_run(root, if_better=True, predictions=predictions)
    is_better = tuned.nested > tuned.plain
    print_lines(
        format_tuned(tuned),
        "",
        "• Decision rules tuned: better on recordings that did not choose them"
        if is_better
        else "• Default thresholds kept: tuned ones were no better on recordings that "
        "did not choose them",
    )
    return tuned, is_better
