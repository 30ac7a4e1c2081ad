"""Training from an existing model (`mabe train DATA --from MODEL`).

The model gives the task, the features and the sizes of networks. By the automatic
recipe each kind of model that it holds is cross-validated on the new data, in few
steps: networks start from its networks' trunks, trees grow on from its trees.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.config import RunConfig, build_config
from mabe.data.prepare import load_store
from mabe.errors import ConfigError
from mabe.experiments.auto_recipe import (
    FOLDS,
    NETWORK,
    SHARED,
    ModelKind,
    Recipe,
    refuse_patience,
)
from mabe.experiments.cross_validation import OutOfFoldScore
from mabe.experiments.fold_runs import FoldRun
from mabe.experiments.out_of_fold import join, predict_held_out
from mabe.models.checkpoint import Member
from mabe.models.model_config import ModelSettings
from mabe.pair_task import PairTask
from mabe.recording import StoredRecording
from mabe.runtime.console import count, print_lines
from mabe.scene_task import SceneTask, TaskKind
from mabe.training.objectives import load_training_data
from mabe.training.reuse import Source, find_source, load_same_source, load_source

NETWORK_STEPS = (40, 400)
"""Fewest and most steps of a network; one for each so many frames between them."""
_FRAMES_A_STEP = 4_000
TUNED: Mapping[str, Any] = {
    **NETWORK,
    "batch_size": 8,
    "epochs": 1,
    "learning_rate": 1e-3,
}
"""Settings of the training of networks: half of a step, and scored once."""
GROWN: Mapping[str, Any] = {
    "tree_rounds": 60,
    "tree_min_rows": 40,
}
"""Settings of the trees that are grown on old ones."""
FINAL_MODELS: Mapping[str, int] = {"trees": 1, "network": 2}
"""Number of models of each kind that learn from all recordings: those to use."""
_NOT_OF_MODEL = frozenset({"model_type", "dropout", "lab_dropout"})
"""Settings of a model that a run which starts from it may change."""


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Settings that follow from a model, and what is said of them."""

    settings: dict[str, Any]
    reasons: tuple[str, ...]


def with_source(given: Mapping[str, Any], *, skip_bad: bool = False) -> StartingPoint:
    """Return the user's settings with those of the model to start from.

    Raises `ConfigError` where they contradict it.
    """
    config = build_config(dict(given), where="settings")
    assert config.from_model is not None
    source = load_same_source(
        config.from_model, config.from_hash, use="this run started from"
    )
    member = _first_member(source, config)
    settings = dict(given) | {"from_hash": source.hash}
    settings |= _settings_of_model(given, member)
    rate = member.model.config.fps
    store = load_store(
        config.data_dir,
        rate_fps=rate,
        store_dir=config.store_dir,
        workers=config.num_workers,
        skip_bad=skip_bad,
        notes=False,
    )
    labelled = [each for each in store.recordings if each.has_labels]
    task = source.checkpoint.model.task
    if isinstance(task, SceneTask):
        of_task = _scene_settings(given, task, labelled, keep=config.keep_actions)
    else:
        of_task = _pair_settings(given, task, labelled, keep=config.keep_actions)
    return StartingPoint(
        settings | of_task.settings,
        (
            _describe(config.from_model, source),
            *of_task.reasons,
            *_differences(source, labelled, rate),
            *_known(source, labelled),
        ),
    )


def score_as_it_is(
    fold_runs: Sequence[FoldRun], *, skip_bad: bool = False
) -> OutOfFoldScore | None:
    """Return the score of the model started from, on what fold runs held out.

    It did not learn from these recordings. It decides by its own rules. None where it
    has other classes, or nothing was held out.
    """
    print_lines("Scoring the old model as it is")
    parts = []
    for fold_run in fold_runs:
        config = fold_run.config
        source = find_source(config)
        assert source is not None
        data = load_training_data(config, skip_bad=skip_bad, notes=False)
        objective = data.objective(data.config)
        old = source.checkpoint
        if set(objective.task.classes) != set(old.model.task.classes):
            print_lines("• The old model is not scored: its actions are others")
            return None
        parts.append(predict_held_out(old.model, objective))
    joined = join(parts)
    return OutOfFoldScore.of(joined, old.rules) if joined.views else None


def choose_kinds(
    given: Mapping[str, Any], *, groups: int, counted_frames: int
) -> Recipe:
    """Return the recipe for training from a model, on so many groups of recordings.

    Of a single group no recording is held out, so there is no score.
    """
    config = build_config(dict(given), where="settings")
    refuse_patience(given)
    assert config.from_model is not None
    source = load_source(config.from_model)
    fewest, most = NETWORK_STEPS
    steps = min(most, max(fewest, counted_frames // _FRAMES_A_STEP))
    epochs = int(TUNED["epochs"])
    kinds = []
    for name, grown in (("trees", True), ("network", False)):
        if members := source.of_kind(grown=grown):
            of_training = (
                GROWN if grown else {**TUNED, "steps_per_epoch": steps // epochs}
            )
            kinds.append((name, _kind(given, members[0], of_training)))
    folds = min(config.folds or FOLDS, groups) if groups > 1 else 1
    reasons = [
        f"{folds} folds by {config.split_by}, from the members of the model in turn"
        if folds > 1
        else "No score: there is one recording that the model did not learn from, and "
        "it is learned from",
    ]
    if any(not each.is_grown for _, each in kinds):
        what = "heads only (--freeze)" if config.freeze else "all layers"
        reasons.append(f"Networks: {what}, {epochs * (steps // epochs)} steps")
    if any(each.is_grown for _, each in kinds):
        rounds = GROWN["tree_rounds"]
        reasons.append(f"Trees: {rounds} rounds more, grown on the old ones")
    return Recipe(
        kinds=tuple(
            ModelKind(
                name,
                each,
                seeds=1,
                final_models=FINAL_MODELS[name],
            )
            for name, each in kinds
        ),
        folds=folds,
        reasons=tuple(reasons),
    )


def _kind(
    given: Mapping[str, Any], member: Member, of_training: Mapping[str, Any]
) -> RunConfig:
    """Return the settings of one kind, under those that the user gave."""
    shared = dict(SHARED)
    if given.get("task") == TaskKind.PAIR:
        shared.pop("class_weights")
    of_model = settings_as_given(member)
    return build_config(
        {**shared, **of_training, **given, **of_model}, where="settings of --from"
    )


def _first_member(source: Source, config: RunConfig) -> Member:
    """Return the member whose settings a run takes over."""
    members = source.checkpoint.members
    if config.model_type == "auto":
        return members[0]
    fitting = [
        each for each in members if each.model.config.model_type == config.model_type
    ]
    if not fitting:
        known = sorted({each.model.config.model_type for each in members})
        raise ConfigError(
            f"{config.from_model}: holds models of type {', '.join(known)}, none of "
            f"model_type: {config.model_type}"
        )
    return fitting[0]


def settings_as_given(member: Member) -> dict[str, Any]:
    """Return the settings of a model as a run gives them."""
    values = member.model.config.model_dump(mode="json", exclude={"base_classes"})
    # Named, also where it is a rodent's, so that none is guessed from the new data.
    body = member.model.config.model_copy(update={"skeleton": member.model.config.body})
    return values | {"skeleton": body.model_dump(mode="json")["skeleton"]}


def _settings_of_model(given: Mapping[str, Any], member: Member) -> dict[str, Any]:
    """Return the settings that all kinds of a model share, or those of one run.

    Raises `ConfigError` where the user gave others.
    """
    own = settings_as_given(member)
    shared = {"fps", "feature_set", "skeleton", "animals", "object_targets"}
    is_auto = given.get("model_type", "auto") == "auto"
    names = shared if is_auto else set(ModelSettings.model_fields)
    names -= _NOT_OF_MODEL
    plain = build_config(dict(given), where="settings").model_dump(mode="json")
    changed = [
        f"{name} is {own[name]} in the model and {plain[name]} in the settings"
        for name in sorted(names & given.keys() - {"skeleton"})
        if plain[name] != own[name]
    ]
    if changed:
        raise ConfigError(
            f"--from: {'; '.join(changed)}; leave out what the model settles"
        )
    # Kinds of an ensemble differ in their features; each kind has its own.
    if is_auto:
        names -= {"feature_set"}
    return {name: own[name] for name in sorted(names)}


def _pair_settings(
    given: Mapping[str, Any],
    task: PairTask,
    labelled: Sequence[StoredRecording],
    *,
    keep: bool,
) -> StartingPoint:
    _refuse_other_task(given, TaskKind.PAIR)
    ignored = set(given.get("ignore", ()))
    here = {b.action for each in labelled for b in each.bouts} - ignored
    if named := given.get("actions"):
        here &= set(named)
    undirected = sorted({*given.get("undirected", ()), *(task.undirected & here)})
    reasons = _say_actions(sorted(here), task.actions, keep=keep)
    settings = {"task": "pair", "undirected": undirected}
    return StartingPoint(settings, tuple(reasons))


def _scene_settings(
    given: Mapping[str, Any],
    task: SceneTask,
    labelled: Sequence[StoredRecording],
    *,
    keep: bool,
) -> StartingPoint:
    _refuse_other_task(given, TaskKind.SCENE)
    if "classes" in given:
        reasons = _say_actions(list(given["classes"]), task.classes, keep=False)
        return StartingPoint({"task": "scene"}, tuple(reasons))
    groups = task.groups()
    ignored = set(given.get("ignore", task.ignored))
    here = {b.action for each in labelled for b in each.bouts} - ignored
    unknown = sorted(here - task.class_of.keys())
    reasons = []
    if unknown and task.others_are_first:
        reasons.append(
            f"Counted as {task.classes[0]}, as the model does with actions that are in "
            f"no class: {', '.join(unknown)}; to learn them, give `classes`"
        )
    elif unknown:
        groups |= {action: [action] for action in unknown}
    annotated = {each.action for one in labelled for each in one.annotated} | here
    absent = [
        name
        for name, actions in groups.items()
        if name != task.classes[0] and not annotated & {*actions, name}
    ]
    kept = groups if keep else {k: v for k, v in groups.items() if k not in absent}
    reasons += _say_actions(
        [name for name in groups if name not in absent], task.classes, keep=keep
    )
    settings = {
        "task": "scene",
        "classes": kept,
        "ignore": sorted(ignored),
        "other": "background" if task.others_are_first else "error",
    }
    return StartingPoint(settings, tuple(reasons))


def _refuse_other_task(given: Mapping[str, Any], kind: TaskKind) -> None:
    if given.get("task", kind) != kind:
        raise ConfigError(
            f"--from: the model's task is {kind}, not {given['task']}; leave `task` out"
        )
    if given.get("background") is not None:
        raise ConfigError(
            "--from: the model names its own background; leave `background` out"
        )


def _say_actions(here: Sequence[str], there: Iterable[str], *, keep: bool) -> list[str]:
    """Return lines on which classes are known, new, and not in the labels."""
    known = set(there)
    both = [name for name in here if name in known]
    new = [name for name in here if name not in known]
    absent = [name for name in there if name not in here]
    lines = [f"Known to the model: {', '.join(both) or 'none'}"]
    if new:
        lines.append(f"New: {', '.join(new)}")
    if absent and keep:
        lines.append(f"Kept without labels here (--keep-actions): {', '.join(absent)}")
    elif absent:
        lines.append(
            f"Dropped, as no label here has them: {', '.join(absent)}; to keep them: "
            "--keep-actions"
        )
    return lines


def _describe(path: Path, source: Source) -> str:
    members = source.checkpoint.members
    grown = sum(each.model.config.is_grown for each in members)
    parts = [
        count(number, kind)
        for number, kind in ((grown, "forest"), (len(members) - grown, "network"))
        if number
    ]
    tracks = len(source.checkpoint.trained_on)
    return f"From {path}: {' and '.join(parts)}, learned from {count(tracks, 'track')}"


def _differences(
    source: Source, labelled: Sequence[StoredRecording], rate_fps: float
) -> list[str]:
    """Return how the new recordings differ from those of the model.

    Raises `DataError` where they have no keypoint in common.
    """
    contract = source.checkpoint.contract
    if contract is None:
        return ["The model's card does not say which keypoints it learned from"]
    read = source.checkpoint.model.config.body.keypoints
    notes: dict[str, int] = {}
    for each in labelled:
        for note in contract.compare(each, working_fps=rate_fps, read=read):
            notes[note] = notes.get(note, 0) + 1
    if not notes:
        return ["Keypoints, animals and rates are those that the model learned from"]
    return [f"{count(number, 'recording')}: {note}" for note, number in notes.items()]


def _known(source: Source, labelled: Sequence[StoredRecording]) -> list[str]:
    """Return lines on recordings that had a part in the old model."""
    known = sum(each.tracking_hash in source.known_tracks for each in labelled)
    fresh = len(labelled) - known
    of_all = count(len(labelled), "labelled recording")
    lines = [
        f"{known} of {of_all} had a part in the model: learned from and never scored; "
        f"scores are of the other {fresh}"
        if known
        else f"None of {of_all} had a part in the model"
    ]
    used = source.checkpoint.pretrained_on - source.known_tracks
    if some := sum(each.tracking_hash in used for each in labelled):
        lines.append(
            f"The poses of {some} of them were used in the pretraining of the model, "
            "without labels: scores of these may be slightly too high"
        )
    return lines
