"""The automatic recipe: which task, kinds of model and settings suit the data.

A recipe names *kinds* of model, each with its settings and the number of seeds it is
trained with. Settings that the user gave take precedence over those of the recipe. The
measurements behind these choices are in docs/results.md.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mabe.bouts import Bout, watched_frames
from mabe.config import RunConfig, build_config
from mabe.errors import ConfigError
from mabe.io.readers.column_names import squeeze
from mabe.pair_task import OBJECT_FPS, PAIR_FPS
from mabe.recording import StoredRecording
from mabe.runtime.console import count, percent
from mabe.scene_task import TaskKind

SHARED: Mapping[str, Any] = {
    "feature_set": "social",
    "class_weights": "auto",
    "early_stopping_patience": 0,
    "save_freq": 0,
}
"""Settings of every kind. No held-out recording may choose an epoch."""
SCENE_FPS = 10.0
"""Annotators mark scenes no finer than a tenth of a second."""
NO_EFFECT_ON_SCENES = ("augment_turn", "augment_mirror", "augment_reorder_animals")
"""Augmentation that does not change the social features of a scene: wasted time."""
NETWORK: Mapping[str, Any] = {
    "model_type": "conv_gru",
    "batch_size": 16,
    "learning_rate": 2e-3,
    "weight_decay": 0.01,
    "scheduler": "cosine",
    "ema_decay": 0.98,
    "warmup_epochs": 0.13,
    "epochs": 2,
    "augment_shift_cm": 0.0,
    "augment_noise_cm": 0.0,
    "augment_scale": 0.0,
    "augment_time_stretch": 0.0,
    "augment_keypoint_dropout": 0.0,
    "augment_animal_dropout": 0.0,
}
WINDOW_S = 46.0
"""Length of a network's windows: an action depends on what happened before it."""
OBJECT_WINDOW_S = 16.0
"""The same where actions are at objects, which depend on little around them: on
`mouse_objects` a step takes a third of the time."""
FEWEST_STEPS = 30
PASSES = 20
"""With few recordings a network is trained on each frame that counts about so often;
after more passes it fits these recordings alone."""
USUAL_STEPS = 300
"""More than these are taken only where `FRAMES_A_STEP` asks for them."""
FRAMES_A_STEP = 4_000
"""With many frames a network takes one step for so many that count."""
MOST_STEPS = 6_000
PRETRAINING_STEPS = 300
"""Of networks for scenes, where `PASSES` gives them fewer than the usual steps and most
poses have no label: on `rat_dyad` worth 0.013 of macro F1 with five labelled videos,
0.001 with three, nothing with all. On `mouse_objects`, a task of pairs, nothing for
four times the time."""
POSES_FOR_EACH_LABEL = 2.0
"""So many frames of poses there have to be for each with a label."""
FOLDS = 5
NETWORKS = 2
"""Seeds of the network for each fold; their errors differ."""
MANY_FRAMES = 1_000_000
"""From here on one seed of the network for each fold is enough."""
FINAL_TREES = 1
FINAL_NETWORKS = 3
"""Number of models of each kind that learn from all recordings: those to use."""
COVERED_SHARE = 0.95
"""Share of a recording's frames that labels cover if each frame has one class."""


@dataclass(frozen=True, slots=True)
class ModelKind:
    """One kind of model of a recipe."""

    name: str
    config: RunConfig
    seeds: int
    """Seeds of each fold, for the scores."""
    final_models: int
    """Number of models that learn from all recordings: those to use."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What will be trained."""

    kinds: tuple[ModelKind, ...]
    folds: int
    reasons: tuple[str, ...]
    """What was chosen, and why, for the user."""

    @property
    def runs(self) -> int:
        """Number of models that are trained."""
        return sum(self.folds * kind.seeds + kind.final_models for kind in self.kinds)


def choose_recipe(
    given: Mapping[str, Any],
    *,
    groups: int,
    counted_frames: int,
    counted_in_window: Callable[[int], float] = float,
    pose_frames: int = 0,
    fewest_steps: int = FEWEST_STEPS,
    has_objects: bool = False,
) -> Recipe:
    """Return the recipe for data of so many groups (recordings, animals or labs).

    `given` are the user's settings; `counted_frames` are the labelled frames at the
    recipe's working rate, `counted_in_window` tells how many of them a window of a
    length has on average (by default all are labelled); `pose_frames` are the frames of
    all recordings, labelled or not; `has_objects` is whether targets may be objects.
    Raises `ConfigError` where the settings name one fold, or patience.
    """
    config = at_working_rate(given)
    if given.get("fold"):
        raise ConfigError(
            "fold: the automatic recipe (model_type: auto) trains every fold; to train "
            "one, name a model_type such as conv_gru or trees"
        )
    refuse_patience(given)
    folds = min(config.folds or FOLDS, groups)
    seeds = 1 if counted_frames > MANY_FRAMES else NETWORKS
    window_s = OBJECT_WINDOW_S if has_objects else WINDOW_S
    window_frames = round(window_s * config.fps)
    length = given.get("sequence_length", window_frames)
    batch = given.get("batch_size", NETWORK["batch_size"])
    windows = batch if isinstance(batch, int) else NETWORK["batch_size"]
    steps = _steps(
        counted_frames,
        frames_of_step=windows * counted_in_window(length),
        fewest=fewest_steps,
    )
    is_scene = config.task == TaskKind.SCENE
    has_few_labels = (
        is_scene
        and steps < USUAL_STEPS
        and pose_frames >= POSES_FOR_EACH_LABEL * counted_frames
    )
    no_effect = NO_EFFECT_ON_SCENES if is_scene else ()
    trees = _under(given, {"model_type": "trees", "fps": config.fps})
    network = _under(
        given,
        {
            **NETWORK,
            **dict.fromkeys(no_effect, False),
            "fps": config.fps,
            "sequence_length": window_frames,
            "steps_per_epoch": steps // int(NETWORK["epochs"]),
            "pretraining_steps": PRETRAINING_STEPS if has_few_labels else 0,
        },
    )
    names = {"recording": "recordings", "animal": "animals", "lab": "labs"}
    return Recipe(
        kinds=(
            ModelKind("trees", trees, seeds=1, final_models=FINAL_TREES),
            ModelKind("network", network, seeds=seeds, final_models=FINAL_NETWORKS),
        ),
        folds=folds,
        reasons=(
            f"{folds} folds by {config.split_by}: each of {groups} "
            f"{names[config.split_by]} is predicted by models that did not learn from "
            "it",
            "Trees on windowed social features: accurate with few recordings",
            f"Networks ({_describe(network)}), {seeds} for each fold: more accurate on "
            "actions that need context",
            *_describe_pretraining(network, given, counted_frames, pose_frames),
            "Trees and networks averaged, with weights from held-out recordings",
            f"The model to use: {count(FINAL_TREES, 'forest')} and "
            f"{count(FINAL_NETWORKS, 'network')} that learn from all recordings; those "
            "of the folds give its score",
        ),
    )


def refuse_patience(given: Mapping[str, Any]) -> None:
    """Raise `ConfigError` where the user's settings let a score end the training."""
    if given.get("early_stopping_patience"):
        raise ConfigError(
            "early_stopping_patience: the automatic recipe (model_type: auto) trains "
            "for a fixed number of epochs, as its model learns from all recordings and "
            "none is left to stop it; leave it out, or name a model_type"
        )


def _steps(counted_frames: int, *, frames_of_step: float, fewest: int) -> int:
    """Return the number of steps of a network.

    `frames_of_step` are the frames that count in the windows of a step.
    """
    of_passes = round(PASSES * counted_frames / max(1.0, frames_of_step))
    few = min(USUAL_STEPS, max(fewest, of_passes))
    return min(MOST_STEPS, max(few, counted_frames // FRAMES_A_STEP))


def _describe(network: RunConfig) -> str:
    window_s = network.sequence_length / network.fps
    steps = network.epochs * (network.steps_per_epoch or 0)
    return f"{network.model_type}, windows of {window_s:.0f} s, {steps} steps"


def _describe_pretraining(
    network: RunConfig, given: Mapping[str, Any], counted_frames: int, pose_frames: int
) -> Iterator[str]:
    if not network.pretraining_steps:
        return
    why = (
        "as set"
        if "pretraining_steps" in given
        else f"as {percent(counted_frames / pose_frames)} of the frames have labels; "
        "--set pretraining_steps=0 leaves this out"
    )
    yield (
        f"Networks are pretrained for {count(network.pretraining_steps, 'step')} on "
        f"poses with and without labels, {why}"
    )


def at_working_rate(given: Mapping[str, Any]) -> RunConfig:
    """Return the user's settings, at the recipe's rate where none is given."""
    config = build_config(dict(given), where="settings")
    if "fps" in given:
        return config
    usual = SCENE_FPS if config.task == "scene" else PAIR_FPS
    return config.changed(fps=usual)


def rate_for_objects(recordings: Sequence[StoredRecording]) -> dict[str, float]:
    """Return the working rate as a setting, where there are objects; else nothing.

    It is the rate of most of the recordings that have objects, up to `OBJECT_FPS`.
    """
    rates = Counter(each.fps for each in recordings if each.objects)
    return {"fps": min(OBJECT_FPS, rates.most_common(1)[0][0])} if rates else {}


def _under(given: Mapping[str, Any], of_kind: Mapping[str, Any]) -> RunConfig:
    """Return the settings of one kind, under those that the user gave."""
    of_recipe = {**SHARED, **of_kind}
    if given.get("task") == "pair":
        of_recipe.pop("class_weights")  # there are none in this task
    kind = {"model_type": of_recipe["model_type"]}
    return build_config({**of_recipe, **given, **kind}, where="settings of the recipe")


NO_BACKGROUND = "none"
"""Name of the background where no label is one."""


BACKGROUND_NAMES = frozenset(
    {
        *("background", "other", "others", "none", "nothing", "nobehavior"),
        *("nobehaviour", "noaction", "nonsocial", "notsocial", "neutral", "idle"),
    }
)
"""Names of labels that say that nothing of interest happens, in plain letters."""


SURROUNDINGS = frozenset(
    {"base", "baseline", "before", "after", "pre", "post", "habituation"}
)
"""Names of labels of the time around a test, in plain letters."""


@dataclass(frozen=True, slots=True)
class TaskGuess:
    """Settings of the task, and why they were chosen."""

    settings: dict[str, Any]
    reasons: tuple[str, ...]


def guess_task(
    recordings: Sequence[StoredRecording],
    *,
    ignore: Collection[str] = (),
    background: Collection[str] | None = None,
) -> TaskGuess:
    """Return the task that suits the labels; actions to ignore become no classes.

    Where in every recording one pair of animals has one label in nearly each frame,
    the labels describe the scene. All other labels describe actions of an agent
    towards a target, unless a background is given. `background` are the actions that
    are the background of a scene, beside frames in no bout; None: those that are called
    so, by names such as `other`. Raises `ConfigError` where one is given and the labels
    are not of one pair, one at a time.
    """
    labelled = [each for each in recordings if each.has_labels and each.bouts]
    one_at_a_time = bool(labelled) and all(map(_has_one_bout_at_a_time, labelled))
    if background is not None and not one_at_a_time:
        raise ConfigError(
            "background: is for labels of one pair of animals in each recording, one "
            "at a time; here bouts overlap, or name other pairs or single animals. "
            "Leave it out, and who does what to whom is learned"
        )
    is_filled = one_at_a_time and all(map(_is_filled, labelled))
    if not is_filled and background is None:
        reason = (
            "Task: pair, who does what to whom, as labels name agents and targets; "
            "all actions that were watched"
        )
        hints = _ask_about_direction(labelled) if one_at_a_time else ()
        return TaskGuess({"task": "pair"}, (reason, *hints))
    frames: Counter[str] = Counter()
    for bout in (bout for each in labelled for bout in each.bouts):
        frames[bout.action] += bout.stop - bout.start
    ranked = [action for action, _ in frames.most_common()]
    actions = [action for action in ranked if action not in ignore]
    is_given = background is not None
    quiet = _background_of(actions, background)
    others = [action for action in actions if action not in quiet]
    if not others:
        raise ConfigError(
            f"background: the labels have no action but {', '.join(quiet) or 'none'}, "
            "which is the background, so nothing is left to learn; give data with "
            "another action, or --set 'background=[]' to learn every labelled action"
        )
    first = quiet[0] if len(quiet) == 1 else NO_BACKGROUND
    reasons = [
        "Task: scene, as each frame has one label and no direction; classes: "
        f"{', '.join(actions)}. To leave some out: --set 'ignore=[NAME]'; to "
        "join some: `classes` in a config",
        _describe_background(quiet, is_given=is_given),
        *_ask_about_surroundings(others),
    ]
    classes = {first: quiet, **{action: [action] for action in others}}
    return TaskGuess({"task": "scene", "classes": classes}, tuple(reasons))


def _background_of(actions: Sequence[str], named: Collection[str] | None) -> list[str]:
    """Return the actions that are the background: those named, or called so.

    Raises `ConfigError` where one that is named is in no label.
    """
    if named is None:
        called = [each for each in actions if squeeze(each) in BACKGROUND_NAMES]
        return called or [each for each in actions if squeeze(each) in SURROUNDINGS][:1]
    if lost := sorted(set(named) - set(actions)):
        raise ConfigError(
            f"background: {lost} occur nowhere in the labels; these do: {actions}"
        )
    return [each for each in actions if each in named]


def _describe_background(quiet: Sequence[str], *, is_given: bool) -> str:
    if not quiet:
        why = "as set" if is_given else "as no label is called other, none or the like"
        return (
            f"Background: none, {why}; every class has bouts. To name one: "
            "--set 'background=[NAME]'"
        )
    why = "as set" if is_given else "by name"
    return (
        f"Background: {', '.join(quiet)} ({why}), which makes no bouts. Another: "
        "--set 'background=[NAME]', none: --set 'background=[]'"
    )


def _ask_about_surroundings(others: Iterable[str]) -> Iterator[str]:
    """Yield a question about each class that may be the time around a test."""
    for action in others:
        if squeeze(action) in SURROUNDINGS:
            yield (
                f"Is {action} the time before or after a test? It is learned as a "
                f"class; to leave its frames out: --set 'ignore=[{action}]'"
            )


def _ask_about_direction(labelled: Iterable[StoredRecording]) -> Iterator[str]:
    """Yield a question where all labels name the same agent and target."""
    pairs = {(bout.agent, bout.target) for each in labelled for bout in each.bouts}
    if len(pairs) == 1:
        [(agent, target)] = pairs
        yield (
            f"Do labels name the agent? All have agent {agent} and target {target}. If "
            "that is only a convention, one class a frame without a direction is more "
            "accurate: --set 'background=[]'"
        )


def _has_one_bout_at_a_time(recording: StoredRecording) -> bool:
    """Return whether the labels are of one pair of animals, and none overlap."""
    pairs = {(bout.agent, bout.target) for bout in recording.bouts}
    if len(pairs) > 1 or any(agent == target for agent, target in pairs):
        return False
    return not _overlap(sorted(recording.bouts, key=lambda bout: bout.start))


def _is_filled(recording: StoredRecording) -> bool:
    """Return whether bouts cover nearly all frames that were watched."""
    covered = sum(bout.stop - bout.start for bout in recording.bouts)
    coverage = recording.coverage
    frames = recording.native_length if coverage is None else watched_frames(coverage)
    return covered >= COVERED_SHARE * frames


def _overlap(bouts: Sequence[Bout]) -> bool:
    """Return whether two bouts, in order of their starts, share a frame."""
    return any(after.start < before.stop for before, after in pairwise(bouts))
