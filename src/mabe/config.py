"""The settings of a run: flat YAML, the keys V1/V2 users know, checked before use.

A file names only what differs from the defaults here. The settings are grouped in
sections (`DataSettings`, `TaskSettings` …), but all keys are on one level. Frames
(`sequence_length`) are counted at the working rate `fps`; keys that end in `_s` are in
seconds, those that end in `_cm` in centimetres.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from mabe.data.splits import GroupBy
from mabe.errors import ConfigError, MabeError
from mabe.features.base import Features
from mabe.models.feature_sets import build_inputs
from mabe.models.model_config import (
    ModelConfig,
    ModelSettings,
    Settings,
    Share,
    ShareBelowOne,
)
from mabe.runtime.documents import parse_yaml, shorten_value
from mabe.runtime.object_storage import as_url, display_path
from mabe.scene_task import CHALLENGE_CLASSES, SceneTask, TaskKind

Count = Annotated[int, Field(ge=1, le=10**9)]


Windows = Annotated[int, Field(ge=1, le=1_000_000)]


MOST_FRAMES_IN_A_STEP = 20_000_000
"""Poses of a step are in memory: some kilobytes for each frame."""


CountOrZero = Annotated[int, Field(ge=0, le=10**9)]


Epochs = Annotated[int, Field(ge=0, le=10**6)]


LearningRate = Annotated[float, Field(gt=0, le=10)]


Weight = Annotated[float, Field(ge=0, le=10**6)]


Length = Annotated[float, Field(ge=0, le=1_000)]
"""Centimetres."""


Seed = Annotated[int, Field(ge=0, lt=2**32)]


MOST_CLASSES = 100
"""Labels of tens of millions of frames are kept in one byte each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How strongly poses are changed during training; zero or False is off."""

    turn: bool = True
    """Turn the arena by any angle: the orientation of a camera is arbitrary."""
    mirror: bool = True
    """Mirror half of the windows, and exchange left and right keypoints."""
    shift_cm: float = 3.0
    """Standard deviation of a shift of the whole scene."""
    scale: float = 0.1
    """Scale by up to this share: animals differ in size, and px/cm is inexact."""
    noise_cm: float = 0.05
    """Standard deviation of the noise on every point."""
    keypoint_dropout: float = 0.05
    """Probability that a keypoint of an animal is missing for the whole window."""
    animal_dropout: float = 0.02
    """Probability that an animal is missing for the whole window."""
    reorder_animals: bool = True
    """Shuffle the order of the animals (scene task)."""
    time_stretch: float = 0.15
    """Stretch the time of windows by up to this share; one factor for each batch."""

    @classmethod
    def none(cls) -> "Augmentation":
        """Leave poses as they are."""
        return cls(
            turn=False,
            mirror=False,
            shift_cm=0.0,
            scale=0.0,
            noise_cm=0.0,
            keypoint_dropout=0.0,
            animal_dropout=0.0,
            reorder_animals=False,
            time_stretch=0.0,
        )


class DataSettings(Settings):
    """Which recordings are used, and which of them are held out."""

    data_dir: Path = Path("data/kaggle")
    """Folder in the Kaggle layout, or a prepared store; also a URL (s3://…)."""
    store_dir: Path | None = None
    """Where the prepared poses are written; by default the user's cache folder."""
    num_workers: Annotated[int, Field(ge=0, le=1_000)] = 4
    """Processes that prepare files; batches need none."""
    max_sequences: Count | None = None
    """Use at most this many labelled recordings, for a quick test."""
    val_share: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """Share of the recordings held out for validation, when `folds` is not set; the
    nearest of 1/2, 1/3, 1/4 … is used."""
    folds: Annotated[int, Field(ge=2, le=10**6)] | None = None
    """Split the recordings into this many folds and validate on number `fold`."""
    fold: CountOrZero = 0
    split_by: GroupBy = "recording"
    """What is held out as a whole: recordings, animals (`mouse1_id` …) or labs."""
    split_seed: Seed = 0
    """Assigns recordings to folds; independent of `seed`, so that runs with other seeds
    are scored on the same recordings."""

    @field_serializer("data_dir")
    def _as_written(self, value: Path) -> str:
        return display_path(value)

    @field_validator("split_by", mode="before")
    @classmethod
    def _refuse_frames(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith(("frame", "window")):
            raise ValueError(
                f"a split by {value} would test on frames next to those of the "
                "training, which rewards memory; choose recording, animal or lab"
            )
        return value

    @model_validator(mode="after")
    def _check_fold(self) -> "DataSettings":
        if self.folds and self.fold >= self.folds:
            raise ValueError(
                f"fold is {self.fold}, but folds count from 0 to {self.folds - 1}"
            )
        return self


class TaskSettings(Settings):
    """What is predicted, and how much each class or action counts in the training."""

    task: TaskKind = TaskKind.SCENE
    """scene: one class in each frame. pair: which animal does what to whom."""
    background: tuple[str, ...] | None = None
    """Actions that are background in a scene whose `classes` are not given; by default
    those called `other`, `none` and the like, and [] for no background."""
    ignore: tuple[str, ...] = ()
    """Actions whose frames count neither in the loss nor in the score."""

    # The scene task
    classes: dict[str, list[str]] = Field(
        default_factory=lambda: {k: list(v) for k, v in CHALLENGE_CLASSES.items()}
    )
    """The actions of each class, by its name; the first class is the background."""
    num_classes: Annotated[int, Field(ge=2, le=MOST_CLASSES)] | None = None
    """If given, compared with `classes`."""
    other: Literal["background", "error"] = "background"
    """Actions in no class: count as the first class, or are an error."""
    class_weights: list[Weight] | Literal["auto"] | None = None
    """Weight of each class in the loss. None: all equal. auto: the square root of how
    much rarer a class is than the most frequent one."""

    # The pair task
    actions: list[str] | None = None
    """Actions to predict; None: all that occur in the labels."""
    undirected: tuple[str, ...] = ()
    """Actions whose labels name two animals but not which of them is the agent."""
    action_balance: Share = 0.25
    """How much the weight of an action in the loss grows with its rarity: from 0 (not)
    to 1 (in proportion)."""
    action_weights: dict[str, Weight] = Field(default_factory=dict)
    """Further factors of the weights of actions in the loss."""
    action_share: Share = 0.5
    """Share of windows that are drawn around some action; the others are anywhere."""
    sampling_power: Share = 0.5
    """An action, or a lab, is drawn in proportion to its frames to this power: from 0
    (all equally often) to 1 (as often as in the data)."""

    @property
    def scene_task(self) -> SceneTask:
        """The scene task of these settings."""
        return SceneTask.from_groups(
            self.classes,
            ignore=self.ignore,
            others_are_first=self.other == "background",
        )

    @model_validator(mode="after")
    def _check_classes(self) -> "TaskSettings":
        classes = len(self.classes)
        if classes < 2:
            raise ValueError(f"classes: needs at least two, has {classes}")
        if classes > MOST_CLASSES or "frame" in self.classes:
            raise ValueError(
                f"classes: at most {MOST_CLASSES}, and none called 'frame' (a column "
                f"of the output); found {list(self.classes)}"
            )
        if self.num_classes not in (None, classes):
            raise ValueError(
                f"num_classes is {self.num_classes}, but `classes` names {classes}: "
                f"{list(self.classes)}"
            )
        return self

    @model_validator(mode="after")
    def _check_weights(self) -> "TaskSettings":
        if self.class_weights and self.task is not TaskKind.SCENE:
            raise ValueError(
                "class_weights are for the scene task; for pairs name actions: "
                "action_weights: {attack: 2}"
            )
        if not isinstance(self.class_weights, list):
            return self
        if len(self.class_weights) != len(self.classes):
            raise ValueError(
                f"class_weights has {len(self.class_weights)} numbers, but there are "
                f"{len(self.classes)} classes: {list(self.classes)}"
            )
        if not any(self.class_weights):
            raise ValueError("class_weights: at least one has to be above zero")
        return self


USUAL_OLD_SHARE = 0.5


class ReuseSettings(Settings):
    """A model to start from, instead of from the beginning."""

    from_model: Path | None = None
    """Its run directory or file. Networks keep its trunk, trees grow on."""
    from_hash: str | None = None
    """Hash of its file. A run sets it, and refuses to go on with another file."""
    keep_actions: bool = False
    """Keep its classes, or actions, that the new labels do not have."""
    freeze: bool = False
    """Networks: only the heads learn. Trees never change the old ones."""
    old_share: Annotated[float, Field(ge=0, lt=1)] = USUAL_OLD_SHARE
    """Networks: used is the mean of old and new weights, the old ones weighted by this;
    the new ones alone where there are new actions."""
    hold_out: bool = True
    """False: all recordings are learned from, and nothing is scored."""
    teacher: Path | None = None
    """A model whose probabilities are learned where there are no labels (`mabe
    distil`)."""
    teacher_hash: str | None = None
    """Hash of its file. A run sets it, and refuses to go on with another file."""
    ignore_labels: bool = False
    """With a teacher: learn its probabilities also where there are labels."""

    @field_serializer("from_model", "teacher")
    def _model_as_written(self, value: Path | None) -> str | None:
        return None if value is None else display_path(value)


class TreeSettings(Settings):
    """How boosted trees are grown."""

    tree_rounds: Annotated[int, Field(ge=1, le=100_000)] = 250
    """Trees for each class, or action."""
    tree_learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.05
    tree_leaves: Annotated[int, Field(ge=2, le=131_072)] = 15
    tree_min_rows: Count = 100
    """Least number of training rows in a leaf."""
    tree_feature_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the statistics that a tree may use."""
    tree_max_rows: Count = 40_000
    """Rows for training, evenly spaced in time."""


class TrainingSettings(Settings):
    """How a network is trained."""

    batch_size: Windows | Literal["auto"] = 64
    """Windows of each process in a step. auto: as many as fit the memory of a GPU, but
    not so many that an epoch has less than a hundred steps (see
    `mabe.training.batch_size`)."""
    epochs: Annotated[int, Field(ge=1, le=10**6)] = 100
    """In one epoch about as many frames are drawn as there are."""
    steps_per_epoch: Count | None = None
    """If given, the number of steps of an epoch instead."""
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: LearningRate = 3e-4
    weight_decay: Weight = 1e-4
    cuda_graphs: bool = False
    """On one GPU, record loss and gradients of a step once and replay them; losses
    are meant to stay the same (see `mabe.training.cuda_graphs`)."""
    grad_clip: Weight = 1.0
    """Largest norm of a gradient; 0 does not clip."""
    scheduler: Literal["plateau", "cosine", "none"] = "plateau"
    scheduler_patience: Annotated[int, Field(ge=1, le=10**6)] = 5
    """Epochs without a better macro F1 before the learning rate falls (plateau)."""
    scheduler_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    min_lr: Annotated[float, Field(ge=0, le=10)] = 1e-6
    warmup_epochs: Annotated[float, Field(ge=0, le=10**6)] = 0.5
    """The learning rate rises from zero over this many epochs."""
    early_stopping_patience: Epochs = 15
    """Stop after this many epochs without a better macro F1; 0 never stops early."""
    ema_decay: ShareBelowOne = 0.995
    """Weights are averaged over about 1 / (1 - this) steps; 0 does not average."""
    pretraining_steps: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Before the training, a network learns for so many steps to predict what is hidden
    from it, from poses with and without labels (see `mabe.training.pretraining`)."""

    @property
    def windows(self) -> int:
        """Windows of each process in a step; there are none for `auto`."""
        if self.batch_size == "auto":
            raise ValueError("batch_size: auto has to be settled before a run begins")
        return self.batch_size


_USUAL = Augmentation()


class AugmentationSettings(Settings):
    """How poses are changed during training; see `Augmentation`."""

    use_augmentation: bool = True
    augment_turn: bool = _USUAL.turn
    augment_mirror: bool = _USUAL.mirror
    augment_shift_cm: Length = _USUAL.shift_cm
    augment_scale: ShareBelowOne = _USUAL.scale
    augment_noise_cm: Length = _USUAL.noise_cm
    augment_keypoint_dropout: Share = _USUAL.keypoint_dropout
    augment_animal_dropout: Share = _USUAL.animal_dropout
    augment_reorder_animals: bool = _USUAL.reorder_animals
    augment_time_stretch: ShareBelowOne = _USUAL.time_stretch


class OutputSettings(Settings):
    """Where a run is written, and how it is computed."""

    checkpoint_dir: Path = Path("checkpoints/run")
    save_freq: Epochs = 5
    """Keep the model of each so many epochs; 0 keeps the best and the last only."""
    save_every_s: Annotated[float, Field(gt=0, le=10**7)] = 300.0
    """How often the state to resume from is saved within an epoch."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    """auto: bf16 where a GPU has it, 16 on older GPUs; on a CPU 32, or bf16 for an LSTM
    where the processor has AMX."""
    seed: Seed = 42
    author: str | None = None
    """Who made the model, for its card."""
    licence: str | None = None
    """Under which others may use it, such as cc-by-4.0."""
    cite: str | None = None
    """How to cite it: a reference, or a DOI."""

    @field_validator("checkpoint_dir")
    @classmethod
    def _check_is_local(cls, value: Path) -> Path:
        if url := as_url(value):
            raise ValueError(
                f"{url}: a run is written while it is trained; give a local path, and "
                "copy the run when it is finished"
            )
        return value

    @field_validator("precision", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        # YAML reads 32 as a number.
        return str(value) if isinstance(value, int) else value


class RunConfig(
    # In reverse: pydantic puts the fields of the last base first.
    OutputSettings,
    AugmentationSettings,
    TrainingSettings,
    TreeSettings,
    ReuseSettings,
    ModelSettings,
    TaskSettings,
    DataSettings,
):
    """Everything that decides what a run does."""

    input_dim: Annotated[int, Field(ge=1, le=10**6)] | None = None
    """If given, compared with the number of features."""

    @property
    def features(self) -> Features:
        """The features that the model has of poses."""
        return build_inputs(self.task, self)[0]

    @property
    def is_pretrained(self) -> bool:
        """Whether a network is pretrained; trees never are."""
        return self.pretraining_steps > 0 and not self.is_grown

    @property
    def model(self) -> ModelConfig:
        """The settings of the model to be trained; there are none for `auto`."""
        return ModelConfig.of(self)

    @property
    def augmentation(self) -> Augmentation:
        """How poses are changed during training."""
        if not self.use_augmentation:
            return Augmentation.none()
        prefix = "augment_"
        settings = {
            key.removeprefix(prefix): value
            for key, value in self
            if key.startswith(prefix)
        }
        if self.task.is_directed:  # the agent has to stay the first one, and present
            settings |= {"reorder_animals": False, "animal_dropout": 0.0}
        return Augmentation(**settings)

    def changed(self, **settings: Any) -> "RunConfig":
        """Return the config with other values of some settings, checked like any.

        Raises `ConfigError` where they are not valid.
        """
        return build_config({**dict(self), **settings}, where="settings")

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> "RunConfig":
        """Return `changed`: pydantic's own way to a copy would not check the values."""
        return self.changed(**(update or {}))

    @model_validator(mode="after")
    def _check_background(self) -> "RunConfig":
        if self.background is not None and self.model_type != "auto":
            raise ValueError(
                "background: is for model_type: auto without `classes`; else the first "
                "of `classes` is the background"
            )
        return self

    @model_validator(mode="after")
    def _check_pretraining(self) -> "RunConfig":
        if self.pretraining_steps and self.from_model is not None:
            raise ValueError(
                "pretraining_steps: a run that starts from a model (--from) is not "
                "pretrained; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _check_memory(self) -> "RunConfig":
        """Refuse what no machine has the memory for, before any is taken."""
        windows = 1 if self.batch_size == "auto" else self.batch_size
        if (frames := windows * self.sequence_length) > MOST_FRAMES_IN_A_STEP:
            raise ValueError(
                f"batch_size: {windows:,} windows of {self.sequence_length:,} frames "
                f"are {frames:,} in a step, at most {MOST_FRAMES_IN_A_STEP:,} are "
                "possible; make batch_size or sequence_length smaller"
            )
        return self

    @model_validator(mode="after")
    def _check_inputs(self) -> "RunConfig":
        if self.input_dim is None or self.input_dim == len(self.features.names):
            return self
        groups = self.features.groups
        parts = " + ".join(f"{len(places)} {name}" for name, places in groups.items())
        total = len(self.features.names)
        raise ValueError(
            f"input_dim is {self.input_dim}, but with feature_set: {self.feature_set}, "
            f"use_motion_features: {str(self.use_motion_features).lower()} there are "
            f"{parts} = {total} inputs; set input_dim: {total}, or leave it out"
        )


def load_config(
    path: Path | None, changes: Mapping[str, Any] | None = None
) -> RunConfig:
    """Read a YAML file of settings, then change some by name.

    Raises `ConfigError` with the file, the key and the nearest right key.
    """
    return build_config(read_settings(path, changes), where=str(path or "settings"))


def read_settings(
    path: Path | None, changes: Mapping[str, Any] | None = None, *, suffix: str = ""
) -> dict[str, Any]:
    """Return the settings of a YAML file with some changed: those given, unbuilt.

    With a `suffix` the run directory is named anew, unless `changes` name one: so runs
    of another kind do not replace the file's own run. Raises `ConfigError` where the
    settings do not make a config; the error names its source.
    """
    where = str(path) if path else "settings"
    settings = _read_yaml(path) if path else {}
    run_dir = build_config(settings, where=where).checkpoint_dir
    changes = dict(changes or {})
    if suffix:
        changes.setdefault(
            "checkpoint_dir", run_dir.with_name(f"{run_dir.name}-{suffix}")
        )
    if changes:
        settings = {**settings, **changes}
        build_config(settings, where=f"{where} with the command line's changes")
    return settings


def build_config(settings: dict[str, Any], *, where: str) -> RunConfig:
    """Check settings; errors are one line each and name `where` they come from."""
    if unknown := sorted(settings.keys() - RunConfig.model_fields.keys(), key=str):
        raise ConfigError(f"{where}: " + "; ".join(map(_unknown_key, unknown)))
    try:
        return RunConfig.model_validate(settings)
    except MabeError as error:
        raise ConfigError(f"{where}: {error}") from None
    except ValidationError as error:
        problems = "; ".join(_problem(p) for p in error.errors())
        raise ConfigError(f"{where}: {problems}") from None


def dump_config(config: RunConfig) -> dict[str, Any]:
    """Return all settings as plain values, fit for YAML and JSON."""
    return config.model_dump(mode="json")


def parse_changes(pairs: list[str]) -> dict[str, Any]:
    """Turn ``key=value`` words into settings; values are read as YAML."""
    changes = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair}: expected key=value, such as epochs=20")
        changes[key.strip()] = _parse_yaml(value, where=f"--set {pair}")
    return changes


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; see configs/ for some to start from"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    settings = _parse_yaml(text, where=str(path))
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{path}: expected lines of `key: value`, found {type(settings).__name__}"
        )
    return settings


def _parse_yaml(text: str, *, where: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{where}: not valid YAML: {error}") from None


def _unknown_key(key: str) -> str:
    name = str(key)[:100]
    near = difflib.get_close_matches(name, RunConfig.model_fields, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown key {shorten_value(key)}{hint}"


def _problem(problem: Any) -> str:
    key = ".".join(map(str, problem["loc"]))
    message = problem["msg"].removeprefix("Value error, ")
    found = "" if not key else f" (found {shorten_value(problem['input'])})"
    return f"{key}: {message}{found}" if key else message
