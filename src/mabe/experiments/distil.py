"""`mabe distil`: one network that predicts what a model of many members does.

The student is the automatic recipe's network. It learns from all recordings of a data
set: labels where there are some, elsewhere the model's probabilities. So films that
nobody scored are of use, and prediction takes the time of one network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mabe.config import RunConfig, build_config
from mabe.data.near_pairs import NearPairs
from mabe.data.prepare import load_store
from mabe.decoding.rules import decide
from mabe.errors import ConfigError
from mabe.experiments.auto_recipe import USUAL_STEPS, choose_recipe
from mabe.experiments.model_card import write_model_card
from mabe.experiments.train_from import settings_as_given
from mabe.inference.frame_probabilities import Tracks, predict_view
from mabe.metrics.frame_scores import count_frames, f_scores
from mabe.models.checkpoint import (
    Checkpoint,
    load_checkpoint,
    plain_rules,
    save_rules,
)
from mabe.pair_task import UNWATCHED
from mabe.runtime.console import count, finite_or_none, format_score, print_lines
from mabe.runtime.files import write_json
from mabe.scene_task import SceneTask, Task
from mabe.training.objectives import TaughtPairData, TaughtSceneData
from mabe.training.reuse import Source, load_source
from mabe.training.run import train
from mabe.training.run_directory import is_begun

REPORT_NAME = "distillation.json"
_OF_MODEL = (
    *("fps", "skeleton", "animals", "object_targets", "zone_targets", "heights"),
    *("nearest_targets", "target_distance_cm"),
)
"""Settings of the teacher that its student has too."""
_OF_LABELS = frozenset(
    {
        *("actions", "ignore", "undirected", "background", "classes", "other"),
        *("max_sequences", "folds", "fold", "val_share", "split_by", "from_model"),
    }
)
"""Settings without effect: the task is the teacher's, and nothing is held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distilled:
    """What `mabe distil` made."""

    model: Path
    of: Path
    recordings: int
    frames: int
    """At the working rate."""
    agreement: Mapping[str, float | None]
    """F1 of the student's decisions for each class, with what it was taught as truth,
    on the recordings that it learned from; None for a class that was never taught."""

    @property
    def macro_agreement(self) -> float | None:
        """The mean over the classes that were taught."""
        known = [value for value in self.agreement.values() if value is not None]
        return float(np.mean(known)) if known else None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `distillation.json` holds them."""
        return {
            "model": str(self.model),
            "of": str(self.of),
            "recordings": self.recordings,
            "frames": self.frames,
            "agreement": dict(self.agreement),
            "macro_agreement": self.macro_agreement,
        }

    def to_text(self) -> str:
        """Return what was made and how like its teacher it is, for the terminal."""
        each = ", ".join(
            f"{name} {format_score(value)}" for name, value in self.agreement.items()
        )
        return "\n".join(
            [
                "Agreement with what it was taught (F1), on the "
                f"{count(self.recordings, 'recording')} it learned from: "
                f"{format_score(self.macro_agreement)} ({each})",
                "Accuracy is not known: measure it on labelled recordings that neither "
                f"model learned from: mabe evaluate {self.model.parent} SCORED",
            ]
        )


def distil(
    model: Path,
    data: Path,
    out: Path,
    *,
    changes: Mapping[str, Any] | None = None,
    resume: bool = False,
    skip_bad: bool = False,
) -> Distilled:
    """Train a network to predict what a model predicts, and return what was made.

    `changes` are settings of the student. A run that was stopped is gone on with
    (`resume`). Raises `ConfigError` where `changes` contradict the model.
    """
    source = load_source(model)
    config = settings_of_student(
        source, model, data, out, changes or {}, skip_bad=skip_bad
    )
    trained = train(config, resume=resume and is_begun(out), skip_bad=skip_bad)
    teacher = source.checkpoint
    student = load_checkpoint(trained.model_path)
    rules = teacher.rules.for_other_probabilities()
    if rules != plain_rules(teacher.model.task):
        save_rules(student, rules, tuned_on=teacher.tuned_on)
        student = load_checkpoint(trained.model_path)
        print_lines("Decision rules: smoothing and shortest bouts of the model")
    if rules != teacher.rules:
        print_lines(
            "Thresholds and calibration of the model were left out: they fit its own "
            f"probabilities. To fit some: mabe calibrate {out} SCORED"
        )
    learned = trained.objective.data
    assert isinstance(learned, TaughtSceneData | TaughtPairData)
    done = Distilled(
        model=trained.model_path,
        of=model,
        recordings=len(learned.learned),
        frames=sum(learned.store.recordings[i].length for i in learned.learned),
        agreement=measure_agreement(teacher, student, learned),
    )
    write_json(out / REPORT_NAME, done.to_json())
    print_lines(f"✓ Model card: {write_model_card(done.model)}")
    return done


def settings_of_student(
    source: Source,
    model: Path,
    data: Path,
    out: Path,
    changes: Mapping[str, Any],
    *,
    skip_bad: bool = False,
) -> RunConfig:
    """Return the recipe's network for a data set, with the task of a model.

    Raises `ConfigError` where `changes` contradict the model.
    """
    teacher = source.checkpoint.model
    members = source.checkpoint.members
    own = settings_as_given(members[0])
    fixed = {name: own[name] for name in _OF_MODEL} | {
        **_task_settings(teacher.task),
        "data_dir": data,
        "checkpoint_dir": out,
        "teacher": model,
        "teacher_hash": source.hash,
        "hold_out": False,
    }
    rights = {
        name: _only([getattr(each.provenance, name) for each in members])
        for name in ("author", "licence", "cite")
    }
    if wrong := sorted((fixed.keys() | _OF_LABELS) & changes.keys()):
        raise ConfigError(
            f"--set {', '.join(wrong)}: the model that is imitated settles this, and "
            "all recordings are learned from"
        )
    if changes.get("model_type", "conv_gru") in ("trees", "auto"):
        raise ConfigError(
            f"--set model_type={changes['model_type']}: a network imitates the model; "
            "name conv_gru, tcn or conv_bilstm"
        )
    given = build_config(dict(changes), where="--set")
    store = load_store(
        data,
        rate_fps=teacher.config.fps,
        store_dir=given.store_dir,
        workers=given.num_workers,
        skip_bad=skip_bad,
    )
    views = [len(teacher.task.choices(each)) * each.length for each in store.recordings]
    recipe = choose_recipe(
        {**rights, **changes, **fixed},
        groups=2,
        counted_frames=sum(views),
        fewest_steps=USUAL_STEPS,  # probabilities are not fitted as labels are
        has_objects=teacher.config.object_targets,
    )
    [network] = [kind.config for kind in recipe.kinds if not kind.config.is_grown]
    kind = {"model_type": changes.get("model_type", network.model_type)}
    return network.changed(folds=None, **kind)


def _only(values: Sequence[str | None]) -> str | None:
    """Return what members say of their rights, each text once."""
    return "; ".join(dict.fromkeys(filter(None, values))) or None


def _task_settings(task: Task) -> dict[str, Any]:
    """Return a task as the settings of a run give it."""
    if not isinstance(task, SceneTask):
        return {"task": "pair"}
    return {
        "task": "scene",
        "classes": task.groups(),
        "ignore": sorted(task.ignored),
        "other": "background" if task.others_are_first else "error",
    }


def measure_agreement(
    teacher: Checkpoint, student: Checkpoint, data: TaughtSceneData | TaughtPairData
) -> dict[str, float | None]:
    """Return F1 of the student's decisions for each class, what was taught as truth."""
    classes = teacher.model.task.classes
    total = np.zeros((len(classes), 3), np.int64)
    model = student.model
    near = NearPairs(data.store, model.config.nearness)
    for index, view, shares in data.taught():
        recording = data.store.recordings[index]
        possible = data.possible(index, view)
        own = predict_view(
            model,
            Tracks.of_stored(data.store, index),
            view,
            lab=recording.lab,
            possible=possible,
            spans=near.spans(index, view),
        )
        decided = [
            decide(
                probabilities,
                fps=data.store.rate_fps,
                lab=recording.lab,
                rules=rules,
                possible=possible,
            )
            for probabilities, rules in ((shares, teacher.rules), (own, student.rules))
        ]
        looked_at = (shares != UNWATCHED).any(axis=1)
        truth, found = (chosen[looked_at] for chosen in decided)
        states = (truth[:, None] == np.arange(len(classes))).astype(np.int8)
        total += count_frames(found, states)
    scores = np.where(total[:, 0] > 0, f_scores(total), np.nan)
    return {
        name: finite_or_none(float(score))
        for name, score in zip(classes, scores, strict=True)
    }
