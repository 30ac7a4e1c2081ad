"""The objective of the pair task: the actions of an agent towards a target.

Dimension key: B batch, T time, P places of animals, K keypoint, N actions.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mabe.bouts import View
from mabe.config import RunConfig
from mabe.data.near_pairs import EVERY_PAIR_UP_TO, NearPairs, widened
from mabe.data.pair_windows import (
    LabelledViews,
    LabelsOfView,
    PairBatch,
    PairSampler,
    count_states,
    label_views,
    views_without_labels,
)
from mabe.data.store import PoseStore
from mabe.decoding.rules import DecisionRules, decide
from mabe.errors import ConfigError
from mabe.inference.frame_probabilities import (
    PIECE_MARGIN_S,
    FeatureExtractor,
    Tracks,
    extract_features,
    view_probabilities,
)
from mabe.metrics.frame_scores import count_frames
from mabe.metrics.summary import summarise_labs
from mabe.models.boosted_trees import Forest, RowsOnDisk, TreesConfig, grow_for_actions
from mabe.models.model import Model, NetworkModel
from mabe.pair_task import PairTask, ViewLabels, check_actions_occur, watched_in_labels
from mabe.runtime.tensors import to_device
from mabe.training.losses import (
    ActionWeights,
    balance_actions,
    pair_loss,
    pair_loss_weights,
)
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
from mabe.training.reuse import with_kept_actions


@dataclass(frozen=True, slots=True)
class PairTargets:
    """The actions of each frame, from this agent to this target."""

    labels_BTN: Int[Tensor, "b t n"]
    lab_B: Int[Tensor, " b"]
    is_self_B: Bool[Tensor, " b"]
    action_weights_N: Float[Tensor, " n"]
    happening_weights_N: Float[Tensor, " n"]
    """The weight of a frame with the action, relative to one without."""

    @classmethod
    def of_batch(
        cls, batch: PairBatch, weights: ActionWeights, device: torch.device
    ) -> "PairTargets":
        """Bring a batch's labels to the device."""
        return cls(
            to_device(batch.labels, device),
            to_device(batch.lab, device),
            to_device(batch.is_self, device),
            to_device(np.array(weights.action, np.float32), device),
            to_device(np.array(weights.happening, np.float32), device),
        )

    def split(self, windows: int) -> list["PairTargets"]:
        """Return pieces of at most so many windows."""
        pieces = zip(
            self.labels_BTN.split(windows),
            self.lab_B.split(windows),
            self.is_self_B.split(windows),
            strict=True,
        )
        return [
            PairTargets(*piece, self.action_weights_N, self.happening_weights_N)
            for piece in pieces
        ]

    def total(self) -> Float[Tensor, ""]:
        """Return the summed weight of the labels that count."""
        return pair_loss_weights(
            self.labels_BTN, self.action_weights_N, self.happening_weights_N
        ).sum()

    def loss(
        self, model: nn.Module, poses: Float[Tensor, "b t p k c"]
    ) -> Float[Tensor, ""]:
        """Return the summed, weighted binary cross entropy of the labels that count."""
        return pair_loss(
            model(poses, self.lab_B, self.is_self_B),
            self.labels_BTN,
            self.action_weights_N,
            self.happening_weights_N,
        )


@dataclass(frozen=True, slots=True)
class PairData(TrainingData):
    """Training data with the labels of the pair task."""

    labelled: LabelledViews

    @classmethod
    def label(cls, config: RunConfig, store: PoseStore) -> "PairData":
        """Return a store's recordings with labels, some of them held out."""
        check_actions_occur(
            store.recordings,
            actions=config.actions,
            ignore=config.ignore,
            undirected=config.undirected,
        )
        usable = (
            index
            for index, recording in enumerate(store.recordings)
            if recording.length
            and watched_in_labels(
                recording, actions=config.actions, ignore=config.ignore
            )
        )
        learned, held_out = split_recordings(config, store, usable)
        task = PairTask.from_recordings(
            store.recordings,
            learned=learned,
            actions=config.actions,
            ignore=config.ignore,
            undirected=config.undirected,
        )
        task = with_kept_actions(task, config)
        labelled = label_views(store, task, config.nearness)
        return cls(config, store, learned, held_out, labelled)

    def objective(self, config: RunConfig) -> "PairObjective":
        """Return what a run with these settings learns from the data."""
        return PairObjective(config, self)


class PairObjective(Objective):
    """The actions of an agent towards a target, each by itself."""

    data: PairData
    task: PairTask
    sampler: PairSampler
    counted_unit = "acting frames"

    def __init__(self, config: RunConfig, data: PairData) -> None:
        self.config = config
        self.data = data
        self.task = data.labelled.task
        if lost := sorted(set(config.action_weights) - set(self.task.actions)):
            raise ConfigError(
                f"action_weights: {lost} are not among the actions to learn; these "
                f"are: {list(self.task.actions)}"
            )
        self.sampler = PairSampler(
            data.labelled,
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

    def sample_poses(
        self, _model: NetworkModel, recordings: Sequence[int]
    ) -> PairSampler:
        """Return what draws windows of recordings, whether they have labels or not."""
        return PairSampler(
            views_without_labels(
                self.data.store, self.task, recordings, self.config.nearness
            ),
            recordings,
            length=self.config.sequence_length,
            power=self.config.sampling_power,
            action_share=0.0,
        )

    def view_of(self, batch: PairBatch, device: torch.device) -> tuple[Tensor, ...]:
        """Return the lab of each view, and whether it is of one animal."""
        return to_device(batch.lab, device), to_device(batch.is_self, device)

    def targets(self, batch: PairBatch, device: torch.device) -> PairTargets:
        """Return the targets of a batch, on the device."""
        return PairTargets.of_batch(batch, self.weights, device)

    def class_counts(self) -> list[ClassCount]:
        """Return the number of frames with each action, over all views."""
        actions = self.task.actions
        learned, _ = count_states(self.sampler.views, len(actions))
        held_out, _ = count_states(self.held_out, len(actions))
        counts = zip(actions, learned.tolist(), held_out.tolist(), strict=True)
        return [ClassCount(*count) for count in counts]

    def score(
        self, model: Model, *, extract: FeatureExtractor = extract_features
    ) -> HeldOutScore:
        """Return frame scores on the held-out recordings.

        `macro_f1` is the mean over labs of the mean over the actions that occur
        there, as in the challenge; `per_class` pools the labs.
        """
        by_lab: dict[str, Int[np.ndarray, "actions 3"]] = defaultdict(
            lambda: np.zeros((len(self.task.actions), 3), np.int64)
        )
        rules = DecisionRules.plain(self.task.kind, self.task.actions)
        near = NearPairs(self.data.store, self.config.nearness)
        loss, total = 0.0, 0.0
        for labels in self.held_out:
            recording = self.data.store.recordings[labels.recording]
            tracks = Tracks.of_stored(self.data.store, labels.recording)
            probabilities = view_probabilities(
                model,
                tracks,
                labels.view,
                recording.lab,
                spans=near.spans(labels.recording, labels.view),
                extract=extract,
            )
            states = labels.frames(0, labels.length)
            chosen = decide(
                probabilities,
                fps=self.data.store.rate_fps,
                lab=recording.lab,
                rules=rules,
                possible=self.possible(labels),
            )
            by_lab[recording.lab] += count_frames(chosen, states)
            happening = np.array(self.weights.happening)
            weights = np.where(states == 1, happening, 1.0) * (states >= 0)
            weights = weights * np.array(self.weights.action)
            of_label = np.where(states == 1, probabilities, 1 - probabilities)
            loss -= float(
                (weights * np.log(of_label.clip(min=LEAST_PROBABILITY))).sum()
            )
            total += float(weights.sum())
        return HeldOutScore(
            summarise_labs(by_lab, self.task.actions), loss / max(total, 1e-6)
        )

    @cached_property
    def _choices(self) -> dict[tuple[int, View], Bool[np.ndarray, " actions"]]:
        """The actions that may be predicted in each view held out."""
        recordings = self.data.store.recordings
        return {
            (index, view): possible
            for index in self.data.held_out
            for view, possible in self.task.choices(recordings[index]).items()
        }

    def possible(self, labels: ViewLabels) -> Bool[np.ndarray, " actions"]:
        """Return the actions that may be predicted in a view held out."""
        none = np.zeros(len(self.task.actions), bool)
        return self._choices.get((labels.recording, labels.view), none)

    @cached_property
    def held_out(self) -> list[ViewLabels]:
        """The views that are scored."""
        views = self.data.labelled.of(self.data.held_out)
        return [
            labels.as_annotated()
            for labels in views
            # What a teacher predicts is never held out.
            if isinstance(labels, ViewLabels) and labels.watched_as_annotated.any()
        ]

    def held_out_views(self) -> Iterator[HeldOutView]:
        """Yield the views of the recordings held out, with their labels."""
        for labels in self.held_out:
            yield HeldOutView(
                labels.recording,
                labels.view,
                self.possible(labels),
                labels.frames(0, labels.length),
            )

    def labelled_tracks(self) -> Iterator[tuple[Tracks, TrackLabels]]:
        """Yield each view to learn from with a column of states for each action."""
        for labels in self.sampler.views:
            yield from self.tracks_of(labels)

    def tracks_of(self, labels: LabelsOfView) -> Iterator[tuple[Tracks, TrackLabels]]:
        """Yield a view with its labels; in a group the pieces of it that count."""
        margin = round(PIECE_MARGIN_S * self.data.store.rate_fps)
        whole = Tracks.of_stored(self.data.store, labels.recording)
        in_view = whole.in_view(labels.view)
        if whole.animals <= EVERY_PAIR_UP_TO:
            yield in_view, labels.frames(0, labels.length)
            return
        counted = labels.counted_spans()
        for start, stop in widened(counted, margin, length=labels.length):
            yield in_view.piece(start, stop), labels.frames(start, stop)

    def grow_forest(
        self,
        rows: RowsOnDisk,
        config: TreesConfig,
        start: Float[np.ndarray, "row classes"] | None = None,
    ) -> Forest:
        """Return one booster for each action."""
        return grow_for_actions(
            rows,
            happening_weights=self.weights.happening,
            config=config,
            start=start,
        )
