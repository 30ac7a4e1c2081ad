"""The interface of an objective, and what all objectives share.

An objective draws windows from the recordings to learn from, gives their targets, and
scores a model on the recordings held out, frame by frame at the working rate. Labels
are computed once, when the data are loaded, and are kept in `TrainingData`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int8
from torch import Tensor, nn

from mabe.bouts import View
from mabe.config import RunConfig
from mabe.data.pair_windows import PairBatch, PairSampler
from mabe.data.scene_windows import Batch, WindowSampler
from mabe.data.splits import find_groups, split_train_validation, spread_over_labs
from mabe.data.store import PoseStore
from mabe.errors import DataError
from mabe.inference.frame_probabilities import (
    FeatureExtractor,
    Tracks,
    extract_features,
)
from mabe.metrics.summary import ScoreSummary
from mabe.models.boosted_trees import Forest, RowsOnDisk, TreesConfig
from mabe.models.model import Model, NetworkModel
from mabe.pair_task import PairTask
from mabe.runtime.console import count
from mabe.scene_task import SceneTask
from mabe.training.gpu_poses import ResidentPoses, fits_on
from mabe.training.reuse import known_tracks

AnyBatch = Batch | PairBatch

LEAST_PROBABILITY = 1e-7
"""Smaller ones are raised to this before their logarithm is taken."""


TrackLabels = Int[np.ndarray, "time columns"]
"""One column of class indices, or a column of states for each action."""


@dataclass(frozen=True, slots=True)
class TrainingData(ABC):
    """The recordings of a store that are learned from, and those held out.

    Each task adds the labels of all recordings of the store, as `labelled`.
    """

    config: RunConfig
    """The settings of the run, with the skeleton that was settled for the data."""
    store: PoseStore
    learned: list[int]
    """Places of recordings in the store."""
    held_out: list[int]

    def tracks(self, indices: Sequence[int]) -> tuple[str, ...]:
        """Return the content hashes of some recordings' tracks."""
        recordings = self.store.recordings
        return tuple(sorted({recordings[i].tracking_hash for i in indices}))

    def content(self, config: RunConfig) -> list[str]:
        """Return hashes of what a run depends on.

        Those of poses, facts and labels of all that is learned from and held out; with
        pretraining also of all other recordings.
        """
        recordings = self.store.recordings
        used = [*self.learned, *self.held_out]
        hashes = [recordings[index].content_hash for index in used]
        if not config.is_pretrained:
            return hashes
        others = sorted(set(range(len(recordings))) - set(used))
        return [*hashes, *(recordings[index].content_hash for index in others)]

    @classmethod
    @abstractmethod
    def label(cls, config: RunConfig, store: PoseStore) -> "TrainingData":
        """Return a store's recordings with labels, some of them held out."""

    @abstractmethod
    def objective(self, config: RunConfig) -> "Objective":
        """Return what a run with these settings learns from the data."""


@dataclass(frozen=True, slots=True)
class HeldOutScore:
    """Scores of a model on the recordings held out."""

    summary: ScoreSummary
    loss: float
    """Weighted as the training loss is, so that the two compare."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Number of frames of a class (or an action)."""

    name: str
    learned: int
    held_out: int


@dataclass(frozen=True, slots=True)
class HeldOutView:
    """A view of a recording held out, with its labels at the working rate."""

    recording: int
    """Place of the recording in its store."""
    view: View
    possible: Bool[np.ndarray, " classes"]
    """The classes that may be predicted."""
    labels: Int8[np.ndarray, "time classes"]
    """1: it happens; 0: it does not; -1: not counted."""


@runtime_checkable
class Targets(Protocol):
    """The labels of a batch on the device, and the loss of a model on them.

    A batch goes through the network in pieces when memory is short. So losses are
    sums, to be divided by the `total` of the whole batch.
    """

    def split(self, windows: int) -> Sequence["Targets"]:
        """Return pieces of at most so many windows."""

    def total(self) -> Tensor:
        """Return the summed weight of what counts."""

    def loss(self, model: nn.Module, poses: Tensor) -> Tensor:
        """Return the summed, weighted loss of a model."""


@runtime_checkable
class ShownBatch(Protocol):
    """Windows of a step."""

    @property
    def poses(self) -> Any:
        """Poses ``[b, t, a, k, 2]``, or features ``[b, t, f]``."""


@runtime_checkable
class Learnable(Protocol):
    """What a step learns from: windows, and their targets."""

    def draw(
        self,
        rng: np.random.Generator,
        windows: int,
        stretch: float,
        own: slice = slice(None),
    ) -> ShownBatch:
        """Draw windows and read one's own; each shows `stretch` times its length."""

    def targets(self, batch: Any, device: torch.device) -> Targets:
        """Return the targets of a batch, on the device."""


class Objective(ABC):
    """Windows to learn from with their targets, and scores on what is held out."""

    config: RunConfig
    data: TrainingData
    task: SceneTask | PairTask
    sampler: WindowSampler | PairSampler
    counted_unit: ClassVar[str]
    """What a frame that counts is called in messages."""

    @property
    def counted_frames(self) -> int:
        """Number of frames that count."""
        return self.sampler.counted_frames

    def counted_in_window(self, length: int) -> float:
        """Return how many frames that count a window of a length has on average."""
        return self.sampler.counted_in_window(length)

    def draw(
        self,
        rng: np.random.Generator,
        windows: int,
        stretch: float,
        own: slice = slice(None),
    ) -> AnyBatch:
        """Draw windows and read one's own; each shows `stretch` times its length."""
        return self.sampler.draw(rng, windows, stretch, own)

    def keep_poses_on(self, device: torch.device) -> bool:
        """Keep all poses in a GPU's memory and return True, if they fit."""
        if not fits_on(device, self.data.store):
            return False
        self.sampler.read = ResidentPoses(self.data.store, device).read
        return True

    def keep_features(self, model: NetworkModel) -> bool:
        """Compute all features once and return True, if training never changes them.

        Windows then show features instead of poses.
        """
        return False

    @abstractmethod
    def sample_poses(
        self, model: NetworkModel, recordings: Sequence[int]
    ) -> WindowSampler | PairSampler:
        """Return what draws windows of recordings, whether they have labels or not.

        Windows show features instead of poses where `keep_features` says so.
        """

    @abstractmethod
    def view_of(self, batch: Any, device: torch.device) -> tuple[Tensor, ...]:
        """Return what a model's `forward` gets of a batch beside its poses."""

    @abstractmethod
    def targets(self, batch: Any, device: torch.device) -> Targets:
        """Return the targets of a batch, on the device."""

    @abstractmethod
    def class_counts(self) -> list[ClassCount]:
        """Return the number of frames of each class (or action)."""

    @abstractmethod
    def score(
        self, model: Model, *, extract: FeatureExtractor = extract_features
    ) -> HeldOutScore:
        """Return frame scores on the held-out recordings."""

    @abstractmethod
    def held_out_views(self) -> Iterator["HeldOutView"]:
        """Yield the views of the recordings held out, with their labels."""

    @abstractmethod
    def labelled_tracks(self) -> Iterator[tuple[Tracks, TrackLabels]]:
        """Yield each recording, or view, to learn from with its labels (for trees)."""

    @abstractmethod
    def grow_forest(
        self,
        rows: RowsOnDisk,
        config: TreesConfig,
        start: Float[np.ndarray, "row classes"] | None = None,
    ) -> Forest:
        """Return trees grown on rows of the labelled tracks.

        `start` are the scores of trees that they are grown on.
        """


def split_recordings(
    config: RunConfig, store: PoseStore, usable: Iterable[int]
) -> tuple[list[int], list[int]]:
    """Return which of the usable recordings are learned from and held out.

    What the model of `--from` learned from is never held out. Raises `DataError` where
    none is usable.
    """
    usable = list(usable)
    if not usable:
        raise DataError(
            f"{config.data_dir}: none of "
            f"{count(len(store.recordings), 'recording')} has a frame that counts. "
            "Were they annotated (`behaviors_labeled`), and do "
            "`classes`, `actions` and `ignore` in the config name their actions?"
        )
    if config.max_sequences:
        some = [store.recordings[i] for i in usable]
        kept = spread_over_labs(some, most=config.max_sequences)
        usable = [usable[i] for i in kept]
    if not config.hold_out:
        return usable, []
    known = known_tracks(config)
    seen = [i for i in usable if store.recordings[i].tracking_hash in known]
    usable = [i for i in usable if store.recordings[i].tracking_hash not in known]
    fresh = [store.recordings[i] for i in usable]
    if config.from_model and len(find_groups(fresh, by=config.split_by)) < 2:
        if config.model_type == "auto":  # which then holds nothing out
            return sorted([*seen, *usable]), []
        raise DataError(
            f"{config.data_dir}: {count(len(fresh), 'labelled recording')} that the "
            "model of --from did not learn from; two are needed, one to learn from and "
            "one to score. --set hold_out=false learns from all of them, without a "
            "score"
        )
    learned, held_out = split_train_validation(
        fresh,
        folds=config.folds or round(1 / config.val_share),
        fold=config.fold,
        seed=config.split_seed,
        by=config.split_by,
    )
    return sorted([*seen, *(usable[i] for i in learned)]), [usable[i] for i in held_out]
