"""Which models are worth training on which data: the best that was found.

A recipe names *kinds* of model, each with settings of its own, and how often each
is trained. What the user sets stays as it is. The figures behind these choices stand in
docs/results.md.

What to ask of data when nobody said: from how they were labelled.

Where every recording has one pair of animals whose frames are all labelled, with one
action each, the labels tell what goes on in the scene. Anything else is who does what
to whom.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mabe.bouts import Bout
from mabe.config import RunConfig
from mabe.recording import StoredRecording

SHARED: Mapping[str, Any] = {
    "feature_set": "social",
    "class_weights": "auto",
    "early_stopping_patience": 0,
    "save_freq": 0,
}
"""Of every kind. No held-out recording may choose an epoch, as it is to be scored."""


SCENE_FPS = 10.0
"""People mark scenes no finer than a tenth of a second."""


PAIR_FPS = 15.0
"""Attacks and flinches are brief."""


FEATURES_SEE_NO = ("augment_turn", "augment_mirror", "augment_reorder_animals")
"""Changes that social features of a scene do not see: they would only cost time."""


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
"""What a touch is depends on what went before."""


FEWEST_STEPS = 300


FRAMES_A_STEP = 4_000
"""One step of a network for so many frames that count, where there are many."""


MOST_STEPS = 6_000


FOLDS = 5


MANY_FRAMES = 1_000_000
"""From here on one network for each fold is enough."""


NETWORKS = 2
"""For each fold: what one seed gets wrong another may get right."""


@dataclass(frozen=True, slots=True)
class ModelKind:
    """One kind of model of a recipe."""

    name: str
    config: RunConfig
    seeds: int
    weight: float
    """How much it has to say, all its members together."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What will be trained."""

    kinds: tuple[ModelKind, ...]
    folds: int
    reasons: tuple[str, ...]
    """What was chosen, and why, for the user."""

    @property
    def runs(self) -> int:
        """How many models that makes."""
        return self.folds * sum(kind.seeds for kind in self.kinds)


def choose_recipe(config: RunConfig, *, pieces: int, counted_frames: int) -> Recipe:
    """Return what to train on so many pieces (recordings, animals or labs) of data.

    `counted_frames` are those at the recipe's working rate that have labels.
    """
    folds = min(FOLDS, pieces)
    steps = min(MOST_STEPS, max(FEWEST_STEPS, counted_frames // FRAMES_A_STEP))
    seeds = 1 if counted_frames > MANY_FRAMES else NETWORKS
    trees = _with(config, SHARED, {"model_type": "trees"}, at_rate(config))
    network = _with(
        config,
        SHARED,
        NETWORK,
        at_rate(config),
        dict.fromkeys(FEATURES_SEE_NO, False) if config.task == "scene" else {},
        {
            "sequence_length": round(WINDOW_S * working_fps(config)),
            "steps_per_epoch": steps // int(NETWORK["epochs"]),
        },
    )
    names = {"recording": "recordings", "animal": "animals", "lab": "labs"}
    return Recipe(
        kinds=(
            ModelKind("trees", trees, 1, 0.5),
            ModelKind("network", network, seeds, 0.5),
        ),
        folds=folds,
        reasons=(
            f"{folds} folds by {config.split_by}: each of {pieces} "
            f"{names[config.split_by]} is marked by models that never saw it",
            "Trees on windowed social features: strong from few recordings",
            f"Networks ({_describe(network)}), {seeds} for each fold: better on what "
            "takes context",
            "Half of the say to each: together they beat either",
        ),
    )


def _describe(network: RunConfig) -> str:
    window_s = network.sequence_length / network.fps
    steps = network.epochs * (network.steps_per_epoch or 0)
    return f"{network.model_type}, windows of {window_s:.0f} s, {steps} steps"


def working_fps(config: RunConfig) -> float:
    """Return the rate of a recipe; the user's, where it is set."""
    if "fps" in config.model_fields_set:
        return config.fps
    return SCENE_FPS if config.task == "scene" else PAIR_FPS


def at_rate(config: RunConfig) -> dict[str, Any]:
    """Return the setting of the working rate."""
    return {"fps": working_fps(config)}


def _with(config: RunConfig, *settings: Mapping[str, Any]) -> RunConfig:
    """Return settings of a recipe under those that the user gave."""
    given = {key: getattr(config, key) for key in config.model_fields_set}
    given.pop("model_type", None)
    of_recipe: dict[str, Any] = {}
    for some in settings:
        of_recipe |= some
    if config.task == "pair":
        of_recipe.pop("class_weights", None)
    return RunConfig(**(of_recipe | given | {"model_type": of_recipe["model_type"]}))


COVERED_SHARE = 0.95
"""Share of the frames that labels have to cover, to be one class a frame."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Settings, and why."""

    settings: dict[str, Any]
    reasons: tuple[str, ...]


def guess_task(
    recordings: Sequence[StoredRecording], *, ignore: Collection[str] = ()
) -> Guess:
    """Return what to ask of labelled recordings; actions to ignore are no classes."""
    labelled = [each for each in recordings if each.has_labels and each.bouts]
    if labelled and all(map(_is_one_class_a_frame, labelled)):
        frames: Counter[str] = Counter()
        for bout in (bout for each in labelled for bout in each.bouts):
            frames[bout.action] += bout.stop - bout.start
        ranked = [action for action, _ in frames.most_common()]
        actions = [action for action in ranked if action not in ignore]
        return Guess(
            {"task": "scene", "classes": {each: [each] for each in actions}},
            (
                "Task: scene, as each frame has one label and no direction; classes: "
                f"{', '.join(actions)}. To leave some out: --set 'ignore=[NAME]'; to "
                "join some: `classes` in a config",
            ),
        )
    return Guess(
        {"task": "pair"},
        (
            "Task: pair, who does what to whom, as labels name agents and targets; "
            "all actions that were watched for",
        ),
    )


def _is_one_class_a_frame(recording: StoredRecording) -> bool:
    pairs = {(bout.agent, bout.target) for bout in recording.bouts}
    if len(pairs) > 1 or any(agent == target for agent, target in pairs):
        return False
    bouts = sorted(recording.bouts, key=lambda bout: bout.start)
    covered = sum(bout.stop - bout.start for bout in bouts)
    return not _overlap(bouts) and covered >= COVERED_SHARE * recording.native_length


def _overlap(bouts: Sequence[Bout]) -> bool:
    """Tell whether two bouts, in order of their start, share a frame."""
    return any(after.start < before.stop for before, after in pairwise(bouts))
