"""The objectives of runs that imitate a model: its probabilities beside labels.

Dimension key: B batch, T time, K keypoint, P seat, N classes or actions.
All recordings are learned from and none is held out: accuracy is measured on labels
that neither the student nor its teacher learned from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mabe.bouts import SCENE, View
from mabe.config import RunConfig
from mabe.data.pair_windows import LabelledViews, PairBatch, TaughtView
from mabe.data.scene_windows import Batch, TaughtStore
from mabe.data.store import PoseStore
from mabe.pair_task import PairTask
from mabe.recording import StoredRecording
from mabe.runtime.tensors import to_device
from mabe.scene_task import SceneTask
from mabe.training.losses import (
    pair_loss_of_shares,
    pair_share_weights,
    scene_loss_of_shares,
)
from mabe.training.objectives.pair import PairData, PairObjective
from mabe.training.objectives.scene import SceneData, SceneObjective
from mabe.training.teacher import Shares, load_teacher, recordings_to_learn, teach


@dataclass(frozen=True, slots=True)
class TaughtSceneTargets:
    """The share of each class in every frame, among those possible."""

    shares_BTN: Float[Tensor, "b t n"]
    possible_BN: Bool[Tensor, "b n"]
    weights_N: Float[Tensor, " n"]

    def split(self, windows: int) -> list["TaughtSceneTargets"]:
        """Return pieces of at most so many windows."""
        pieces = zip(
            self.shares_BTN.split(windows), self.possible_BN.split(windows), strict=True
        )
        return [
            TaughtSceneTargets(shares, possible, self.weights_N)
            for shares, possible in pieces
        ]

    def total(self) -> Float[Tensor, ""]:
        """Return the summed weight of all shares."""
        return (self.shares_BTN * self.weights_N).sum()

    def loss(self, model: nn.Module, poses: Tensor) -> Float[Tensor, ""]:
        """Return the summed, class-weighted cross entropy with the shares.

        In the place of poses may be features ``[b, t, f]`` of whole recordings.
        """
        return scene_loss_of_shares(
            model(poses), self.shares_BTN, self.possible_BN, self.weights_N
        )


class TaughtSceneData(SceneData):
    """Recordings of the scene task with the teacher's probabilities."""

    @classmethod
    def label(cls, config: RunConfig, store: PoseStore) -> "TaughtSceneData":
        """Return the recordings in which the teacher predicts something."""
        learned = recordings_to_learn(config, store)
        of_recording = {
            index: shares for index, _, shares in teach(config, store, learned)
        }
        task = config.scene_task
        nothing = np.empty((0, len(task.classes)), np.float16)
        recordings = store.recordings
        labelled = TaughtStore(
            store,
            tuple(of_recording.get(index, nothing) for index in range(len(recordings))),
            tuple(possible_where_taught(config, task, each) for each in recordings),
        )
        return cls(config, store, learned, [], labelled)

    def taught(self) -> Iterator[tuple[int, View, Shares]]:
        """Yield each recording to learn from with the teacher's probabilities."""
        for index in self.learned:
            yield index, SCENE, self.labelled.labels[index]

    def possible(self, index: int, _view: View) -> Bool[np.ndarray, " classes"]:
        """Return the classes that are predicted or labelled in a recording."""
        return self.labelled.possible[index]

    def objective(self, config: RunConfig) -> "TaughtSceneObjective":
        """Return what a run with these settings learns from the data."""
        return TaughtSceneObjective(config, self)


def possible_where_taught(
    config: RunConfig, task: SceneTask, recording: StoredRecording
) -> Bool[np.ndarray, " classes"]:
    """Return the classes that are predicted or labelled in a recording."""
    possible = task.choices(recording)[SCENE]
    if config.ignore_labels:
        return possible
    return possible | task.possible(recording.annotated, recording.bouts)


class TaughtSceneObjective(SceneObjective):
    """The teacher's share of each class in every frame."""

    def targets(  # type: ignore[override]
        self, batch: Batch, device: torch.device
    ) -> TaughtSceneTargets:
        """Return the targets of a batch, on the device."""
        return TaughtSceneTargets(
            to_device(batch.labels, device).float(),
            to_device(batch.possible, device),
            to_device(np.array(self.weights, np.float32), device),
        )

    def _count(self, recordings: Sequence[int]) -> Int[np.ndarray, " classes"]:
        counts = np.zeros(len(self.task.classes))
        for index in recordings:
            counts += self.data.labelled.labels[index].sum(axis=0, dtype=np.float64)
        return counts.round().astype(np.int64)


@dataclass(frozen=True, slots=True)
class TaughtPairTargets:
    """The share of each action in every frame, from this agent to this target."""

    shares_BTN: Float[Tensor, "b t n"]
    """`UNWATCHED` where a frame does not count."""
    lab_B: Int[Tensor, " b"]
    is_self_B: Bool[Tensor, " b"]
    action_weights_N: Float[Tensor, " n"]
    happening_weights_N: Float[Tensor, " n"]
    """The weight of a frame with the action, relative to one without."""

    def split(self, windows: int) -> list["TaughtPairTargets"]:
        """Return pieces of at most so many windows."""
        pieces = zip(
            self.shares_BTN.split(windows),
            self.lab_B.split(windows),
            self.is_self_B.split(windows),
            strict=True,
        )
        return [
            TaughtPairTargets(*piece, self.action_weights_N, self.happening_weights_N)
            for piece in pieces
        ]

    def total(self) -> Float[Tensor, ""]:
        """Return the summed weight of all shares that count."""
        return pair_share_weights(
            self.shares_BTN, self.action_weights_N, self.happening_weights_N
        ).sum()

    def loss(
        self, model: nn.Module, poses: Float[Tensor, "b t p k 2"]
    ) -> Float[Tensor, ""]:
        """Return the summed, weighted binary cross entropy with the shares."""
        return pair_loss_of_shares(
            model(poses, self.lab_B, self.is_self_B),
            self.shares_BTN,
            self.action_weights_N,
            self.happening_weights_N,
        )


class TaughtPairData(PairData):
    """Recordings of the pair task with the teacher's probabilities."""

    @classmethod
    def label(cls, config: RunConfig, store: PoseStore) -> "TaughtPairData":
        """Return the recordings in which the teacher predicts something."""
        task = load_teacher(config).checkpoint.model.task
        assert isinstance(task, PairTask)
        learned = recordings_to_learn(config, store)
        views = tuple(
            TaughtView(index, view, shares)
            for index, view, shares in teach(config, store, learned)
        )
        return cls(config, store, learned, [], LabelledViews(store, task, views))

    def taught(self) -> Iterator[tuple[int, View, Shares]]:
        """Yield each view to learn from with the teacher's probabilities."""
        for each in self.labelled.views:
            yield each.recording, each.view, each.frames(0, each.length)

    def possible(self, index: int, view: View) -> Bool[np.ndarray, " actions"]:
        """Return the actions that are predicted in a view of a recording."""
        return self.labelled.task.choices(self.store.recordings[index])[view]

    def objective(self, config: RunConfig) -> "TaughtPairObjective":
        """Return what a run with these settings learns from the data."""
        return TaughtPairObjective(config, self)


class TaughtPairObjective(PairObjective):
    """The teacher's share of each action, each by itself."""

    def targets(  # type: ignore[override]
        self, batch: PairBatch, device: torch.device
    ) -> TaughtPairTargets:
        """Return the targets of a batch, on the device."""
        return TaughtPairTargets(
            to_device(batch.labels, device).float(),
            to_device(batch.lab, device),
            to_device(batch.is_self, device),
            to_device(np.array(self.weights.action, np.float32), device),
            to_device(np.array(self.weights.happening, np.float32), device),
        )
