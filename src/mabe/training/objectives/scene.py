"""The objective of the scene task: one class for each frame.

Dimension key: B batch, T time, N classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mabe.bouts import SCENE
from mabe.config import RunConfig
from mabe.data.scene_windows import (
    Batch,
    LabelledStore,
    WindowSampler,
    label_store,
    without_classes,
)
from mabe.data.store import PoseStore
from mabe.decoding.rules import DecisionRules, decide
from mabe.inference.frame_probabilities import (
    FeatureExtractor,
    Tracks,
    extract_features,
    frame_probabilities,
)
from mabe.metrics import confusion_matrix
from mabe.metrics.summary import frame_summary
from mabe.models.boosted_trees import Forest, RowsOnDisk, TreesConfig, grow_for_classes
from mabe.models.model import Model, NetworkModel
from mabe.runtime.tensors import to_device
from mabe.scene_task import SceneLabels, SceneTask
from mabe.training.losses import balance_classes, scene_loss
from mabe.training.objectives.base import (
    LEAST_PROBABILITY,
    ClassCount,
    HeldOutScore,
    HeldOutView,
    Objective,
    TrackLabels,
    TrainingData,
    split_recordings,
)
from mabe.training.recording_features import RecordingFeatures, are_fixed


@dataclass(frozen=True, slots=True)
class SceneTargets:
    """The class of each frame, among those possible in its recording."""

    labels_BT: Int[Tensor, "b t"]
    possible_BN: Bool[Tensor, "b n"]
    weights_N: Float[Tensor, " n"]

    @classmethod
    def of_batch(
        cls, batch: Batch, weights: list[float], device: torch.device
    ) -> "SceneTargets":
        """Bring a batch's labels to the device."""
        return cls(
            to_device(batch.labels, device),
            to_device(batch.possible, device),
            to_device(np.array(weights, np.float32), device),
        )

    def split(self, windows: int) -> list["SceneTargets"]:
        """Return pieces of at most so many windows."""
        pieces = zip(
            self.labels_BT.split(windows), self.possible_BN.split(windows), strict=True
        )
        return [
            SceneTargets(labels, possible, self.weights_N)
            for labels, possible in pieces
        ]

    def total(self) -> Float[Tensor, ""]:
        """Return the summed weight of the frames that count."""
        weights_BT = self.weights_N[self.labels_BT.clamp(min=0).long()]
        return (weights_BT * (self.labels_BT >= 0)).sum()

    def loss(self, model: nn.Module, poses: Tensor) -> Float[Tensor, ""]:
        """Return the summed, class-weighted cross entropy of the frames that count.

        In the place of poses may be features ``[b, t, f]`` of whole recordings.
        """
        return scene_loss(
            model(poses), self.labels_BT, self.possible_BN, self.weights_N
        )


@dataclass(frozen=True, slots=True)
class SceneData(TrainingData):
    """Training data with the labels of the scene task."""

    labelled: LabelledStore

    @classmethod
    def label(cls, config: RunConfig, store: PoseStore) -> "SceneData":
        """Return a store's recordings with labels, some of them held out."""
        labelled = label_store(store, config.scene_task)
        usable = (i for i, each in enumerate(labelled.labels) if (each >= 0).any())
        learned, held_out = split_recordings(config, store, usable)
        return cls(config, store, learned, held_out, labelled)

    def objective(self, config: RunConfig) -> "SceneObjective":
        """Return what a run with these settings learns from the data."""
        return SceneObjective(config, self)


class SceneObjective(Objective):
    """One class for each frame."""

    data: SceneData
    task: SceneTask
    sampler: WindowSampler
    counted_unit = "frames"

    def __init__(self, config: RunConfig, data: SceneData) -> None:
        self.config = config
        self.data = data
        self.task = config.scene_task
        self.sampler = WindowSampler(
            data.labelled, data.learned, length=config.sequence_length
        )

    @cached_property
    def weights(self) -> list[float]:
        """The weight of each class in the loss."""
        if self.config.class_weights == "auto":
            return balance_classes(self._count(self.data.learned).tolist())
        return self.config.class_weights or [1.0] * len(self.task.classes)

    def keep_features(self, model: NetworkModel) -> bool:
        """Compute all features once and return True, if training never changes them."""
        return self._keep_features(model, self.data.learned, self.sampler)

    def _keep_features(
        self, model: NetworkModel, recordings: Sequence[int], sampler: WindowSampler
    ) -> bool:
        if not are_fixed(model.features, self.config.augmentation):
            return False
        sampler.read = RecordingFeatures(model, self.data.store, recordings).read
        return True

    def sample_poses(
        self, model: NetworkModel, recordings: Sequence[int]
    ) -> WindowSampler:
        """Return what draws windows of recordings, whether they have labels or not."""
        sampler = WindowSampler(
            without_classes(self.data.store),
            list(recordings),
            length=self.config.sequence_length,
        )
        self._keep_features(model, recordings, sampler)
        return sampler

    def view_of(self, _batch: Batch, _device: torch.device) -> tuple[Tensor, ...]:
        """Return nothing: a scene is all there is."""
        return ()

    def targets(self, batch: Batch, device: torch.device) -> SceneTargets:
        """Return the targets of a batch, on the device."""
        return SceneTargets.of_batch(batch, self.weights, device)

    def class_counts(self) -> list[ClassCount]:
        """Return the number of frames of each class."""
        counts = zip(
            self.task.classes,
            self._count(self.data.learned).tolist(),
            self._count(self.data.held_out).tolist(),
            strict=True,
        )
        return [ClassCount(*count) for count in counts]

    def score(
        self, model: Model, *, extract: FeatureExtractor = extract_features
    ) -> HeldOutScore:
        """Return frame scores on the held-out recordings."""
        classes = self.task.classes
        confusion = np.zeros((len(classes), len(classes)), np.int64)
        weights = np.array(self.weights)
        loss, total = 0.0, 0.0
        store = self.data.store
        rules = DecisionRules.plain(self.task.kind, classes)
        for index in self.data.held_out:
            labels = self.data.labelled.labels[index]
            recording = store.recordings[index]
            possible = self.task.choices(recording)[SCENE]
            tracks = Tracks.of_stored(store, index)
            probabilities = frame_probabilities(
                model, tracks, possible, extract=extract
            )
            chosen = decide(
                probabilities,
                fps=store.rate_fps,
                lab=recording.lab,
                rules=rules,
                possible=possible,
            )
            confusion += confusion_matrix(labels, chosen, len(classes))
            counted = np.flatnonzero(labels >= 0)
            of_label = probabilities[counted, labels[counted]]
            log_probabilities = np.log(of_label.clip(min=LEAST_PROBABILITY))
            loss -= float((weights[labels[counted]] * log_probabilities).sum())
            total += float(weights[labels[counted]].sum())
        return HeldOutScore(frame_summary(confusion, classes), loss / max(total, 1e-6))

    def held_out_views(self) -> Iterator[HeldOutView]:
        """Yield the recordings held out, with their labels."""
        for index in self.data.held_out:
            labels = SceneLabels(
                self.data.labelled.labels[index], len(self.task.classes)
            )
            possible = self.task.choices(self.data.store.recordings[index])[SCENE]
            yield HeldOutView(
                index, SCENE, possible, labels.frames(0, len(labels.classes))
            )

    def labelled_tracks(self) -> Iterator[tuple[Tracks, TrackLabels]]:
        """Yield each recording to learn from with its classes in one column."""
        for index in self.data.learned:
            labels = self.data.labelled.labels[index][:, None]
            yield Tracks.of_stored(self.data.store, index), labels

    def grow_forest(
        self,
        rows: RowsOnDisk,
        config: TreesConfig,
        start: Float[np.ndarray, "row classes"] | None = None,
    ) -> Forest:
        """Return one booster that chooses among the classes."""
        return grow_for_classes(
            rows,
            classes=self.task.classes,
            class_weights=self.weights,
            config=config,
            start=start,
        )

    def _count(self, recordings: Sequence[int]) -> Int[np.ndarray, " classes"]:
        counts = np.zeros(len(self.task.classes), np.int64)
        for index in recordings:
            labels = self.data.labelled.labels[index]
            counts += np.bincount(labels[labels >= 0], minlength=len(counts))
        return counts
