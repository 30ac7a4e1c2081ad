"""What a run learns and how it is examined: one objective for each task.

An objective draws windows from the recordings to learn from, gives their targets, and
scores a model on the recordings held out, frame by frame at the working rate.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Int

from mabe.config import RunConfig
from mabe.data.pair_windows import (
    LabelledViews,
    PairBatch,
    PairSampler,
    count_states,
    label_views,
)
from mabe.data.scene_windows import Batch, LabelledStore, WindowSampler, label_store
from mabe.data.store import PoseStore
from mabe.decoding.rules import choose_actions, choose_classes
from mabe.errors import ConfigError
from mabe.inference.stitching import (
    See,
    Tracks,
    frame_probabilities,
    look_at,
    view_probabilities,
)
from mabe.metrics import ClassScores, confusion_matrix, scores_of_counts
from mabe.metrics.summary import ScoreSummary, class_table, frame_summary, plain
from mabe.models.model import Model
from mabe.pair_task import PairTask, ViewLabels
from mabe.scene_task import SceneTask
from mabe.training.gpu_poses import ResidentPoses, fits_on
from mabe.training.losses import (
    PairTargets,
    SceneTargets,
    balance_actions,
    balance_classes,
)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A store, and which of its recordings are learned from and held out."""

    store: PoseStore
    learned: list[int]
    held_out: list[int]

    def tracks(self, indices: Sequence[int]) -> tuple[str, ...]:
        """Return the content hashes of some recordings' tracks."""
        recordings = self.store.recordings
        return tuple(sorted({recordings[i].tracking_hash for i in indices}))

    @property
    def content(self) -> list[str]:
        """Return hashes of all that is learned from and validated on, with labels."""
        recordings = self.store.recordings
        return [recordings[i].content_hash for i in (*self.learned, *self.held_out)]


@dataclass(frozen=True, slots=True)
class HeldOutScore:
    """How well a model does on held-out recordings."""

    summary: ScoreSummary
    loss: float
    """Weighted as the training loss is, so that the two compare."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many frames of a class (or an action) there are."""

    name: str
    learned: int
    held_out: int


class SceneObjective:
    """One class a frame."""

    def __init__(self, config: RunConfig, data: TrainingData) -> None:
        self.config = config
        self.data = data
        self.task: SceneTask = config.scene_task
        self.labelled: LabelledStore = label_store(data.store, self.task)
        self.sampler = WindowSampler(
            self.labelled, data.learned, length=config.sequence_length
        )

    @cached_property
    def weights(self) -> list[float]:
        """The weight of each class in the loss."""
        if self.config.class_weights == "auto":
            return balance_classes(self._count(self.data.learned).tolist())
        return self.config.class_weights or [1.0] * len(self.task.classes)

    @property
    def counted_frames(self) -> int:
        """Number of frames that count."""
        return self.sampler.counted_frames

    def draw(
        self,
        rng: np.random.Generator,
        windows: int,
        stretch: float,
        own: slice = slice(None),
    ) -> Batch:
        """Draw windows and read one's own; each shows `stretch` times its length."""
        return self.sampler.draw(rng, windows, stretch, own)

    def keep_poses_on(self, device: torch.device) -> bool:
        """Let a GPU hold all poses and take windows by itself; tell whether it can."""
        return _keep_poses_on(device, self.data.store, self.sampler)

    def targets(self, batch: Batch, device: torch.device) -> SceneTargets:
        """Return what is asked of a batch."""
        return SceneTargets.of_batch(batch, self.weights, device)

    def class_counts(self) -> list[ClassCount]:
        """Return how many frames of each class there are."""
        counts = zip(
            self.task.classes,
            self._count(self.data.learned).tolist(),
            self._count(self.data.held_out).tolist(),
            strict=True,
        )
        return [ClassCount(*count) for count in counts]

    def score(self, model: Model, *, see: See = look_at) -> HeldOutScore:
        """Return frame scores on the held-out recordings."""
        classes = self.task.classes
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        weights = np.array(self.weights)
        loss, total = 0.0, 0.0
        store = self.data.store
        for index in self.data.held_out:
            labels = self.labelled.labels[index]
            probabilities = frame_probabilities(
                model,
                Tracks.of_stored(store, index),
                self.task.choices(store.recordings[index].watched),
                see=see,
            )
            chosen = choose_classes(probabilities)
            confusion += confusion_matrix(labels, chosen, len(classes))
            counted = np.flatnonzero(labels >= 0)
            true_probabilities = probabilities[counted, labels[counted]].clip(min=1e-7)
            loss -= float((weights[labels[counted]] * np.log(true_probabilities)).sum())
            total += float(weights[labels[counted]].sum())
        return HeldOutScore(frame_summary(confusion, classes), loss / max(total, 1e-6))

    def _count(self, recordings: Sequence[int]) -> Int[np.ndarray, " classes"]:
        counts = np.zeros(len(self.task.classes), np.int64)
        for index in recordings:
            labels = self.labelled.labels[index]
            counts += np.bincount(labels[labels >= 0], minlength=len(counts))
        return counts


class PairObjective:
    """Who does what to whom."""

    def __init__(self, config: RunConfig, data: TrainingData) -> None:
        self.config = config
        self.data = data
        self.task = PairTask.from_recordings(
            data.store.recordings,
            learned=data.learned,
            actions=config.actions,
            ignore=config.ignore,
            undirected=config.undirected,
        )
        if lost := sorted(set(config.action_weights) - set(self.task.actions)):
            raise ConfigError(
                f"action_weights: {lost} are not among the actions to learn; these "
                f"are: {list(self.task.actions)}"
            )
        self.labelled: LabelledViews = label_views(data.store, self.task)
        self.sampler = PairSampler(
            self.labelled,
            data.learned,
            length=config.sequence_length,
            power=config.sampling_power,
            action_share=config.action_share,
        )
        happened, watched = count_states(self.sampler.views, len(self.task.actions))
        self.weights = balance_actions(
            happened.tolist(),
            watched.tolist(),
            power=config.action_balance,
            by_hand=[
                config.action_weights.get(action, 1.0) for action in self.task.actions
            ],
        )

    @property
    def counted_frames(self) -> int:
        """Number of frames that count, over all views."""
        return self.sampler.counted_frames

    def draw(
        self,
        rng: np.random.Generator,
        windows: int,
        stretch: float,
        own: slice = slice(None),
    ) -> PairBatch:
        """Draw windows and read one's own; each shows `stretch` times its length."""
        return self.sampler.draw(rng, windows, stretch, own)

    def keep_poses_on(self, device: torch.device) -> bool:
        """Let a GPU hold all poses and take windows by itself; tell whether it can."""
        return _keep_poses_on(device, self.data.store, self.sampler)

    def targets(self, batch: PairBatch, device: torch.device) -> PairTargets:
        """Return what is asked of a batch."""
        return PairTargets.of_batch(batch, self.weights, device)

    def class_counts(self) -> list[ClassCount]:
        """Return in how many frames each action happens, over all views."""
        actions = self.task.actions
        learned, _ = count_states(self.sampler.views, len(actions))
        held_out, _ = count_states(self.held_out, len(actions))
        counts = zip(actions, learned.tolist(), held_out.tolist(), strict=True)
        return [ClassCount(*count) for count in counts]

    def score(self, model: Model, *, see: See = look_at) -> HeldOutScore:
        """Return frame scores on the held-out recordings.

        `macro_f1` is the mean over labs of the mean over the actions that occur
        there, as in the challenge; `per_class` pools the labs.
        """
        by_lab: dict[str, Int[np.ndarray, "actions 3"]] = defaultdict(
            lambda: np.zeros((len(self.task.actions), 3), np.int64)
        )
        loss, total = 0.0, 0.0
        for labels in self.held_out:
            recording = self.data.store.recordings[labels.recording]
            tracks = Tracks.of_stored(self.data.store, labels.recording)
            found = view_probabilities(
                model, tracks, labels.view, recording.lab, see=see
            )
            states = labels.frames(0, labels.length)
            chosen = choose_actions(found, self.possible(labels))
            by_lab[recording.lab] += count_answers(states, chosen)
            happening = np.array(self.weights.happening)
            weights = np.where(states == 1, happening, 1.0) * (states >= 0)
            weights = weights * np.array(self.weights.action)
            true_probabilities = np.where(states == 1, found, 1 - found).clip(min=1e-7)
            loss -= float((weights * np.log(true_probabilities)).sum())
            total += float(weights.sum())
        return HeldOutScore(
            summarise_labs(by_lab, self.task.actions), loss / max(total, 1e-6)
        )

    def possible(self, labels: ViewLabels) -> Bool[np.ndarray, " actions"]:
        """Return the actions that a prediction may choose among in a view."""
        choices = self.task.choices(self.data.store.recordings[labels.recording])
        return choices.get(labels.view, np.zeros(len(self.task.actions), bool))

    @cached_property
    def held_out(self) -> list[ViewLabels]:
        """The views that are scored."""
        views = self.labelled.of(self.data.held_out)
        return [labels.as_asked() for labels in views if labels.asked.any()]


Objective = SceneObjective | PairObjective


def _keep_poses_on(
    device: torch.device, store: PoseStore, sampler: WindowSampler | PairSampler
) -> bool:
    if not fits_on(device, store):
        return False
    sampler.read = ResidentPoses(store, device).read
    return True


def make_objective(config: RunConfig, data: TrainingData) -> Objective:
    """Return the objective for the config's task."""
    if config.task == "pair":
        return PairObjective(config, data)
    return SceneObjective(config, data)


def count_answers(
    states: Int[np.ndarray, "time actions"], chosen: Int[np.ndarray, " time"]
) -> Int[np.ndarray, "actions 3"]:
    """Return, for each action, the frames hit, missed and wrongly predicted."""
    says = chosen[:, None] == np.arange(states.shape[1])
    return np.stack(
        [
            (says & (states == 1)).sum(0),
            (~says & (states == 1)).sum(0),
            (says & (states == 0)).sum(0),
        ],
        axis=1,
    )


def summarise_labs(
    by_lab: dict[str, Int[np.ndarray, "actions 3"]], actions: tuple[str, ...]
) -> ScoreSummary:
    """Return the mean over labs, and the scores of actions over all labs."""

    def scores(counts: Int[np.ndarray, "actions 3"]) -> ClassScores:
        return scores_of_counts(counts[:, 0], missed=counts[:, 1], wrong=counts[:, 2])

    of_labs = {lab: scores(counts).f1_macro for lab, counts in sorted(by_lab.items())}
    scored = [f1 for f1 in of_labs.values() if np.isfinite(f1)]
    pooled = scores(sum(by_lab.values(), np.zeros((len(actions), 3), np.int64)))
    return ScoreSummary(
        macro_f1=plain(float(np.mean(scored)) if scored else np.nan),
        per_class=class_table(pooled, actions),
        lab_f1={lab: plain(f1) for lab, f1 in of_labs.items()},
    )
