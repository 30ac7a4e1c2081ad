"""Boosted trees as a model: features → windowed statistics → forest.

Dimension key: B batch, T time, A animal (or seat), K keypoint, F feature, U block of
frames, R statistic, N class (or action).
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mabe.features.animal_order import pack_animals
from mabe.features.base import Features
from mabe.features.directed import directed_features
from mabe.features.rolling import RollingConfig, rolling_statistics
from mabe.models.boosted_trees import Forest
from mabe.models.feature_sets import build_inputs
from mabe.models.model import Context, Model
from mabe.models.model_config import ModelConfig
from mabe.models.prediction_windows import Stretch, block_stretches
from mabe.pair_task import PairTask
from mabe.scene_task import SceneTask

STATISTICS = RollingConfig()
"""The statistics of each feature that trees get."""


def statistics_of(config: ModelConfig) -> RollingConfig:
    """Return the statistics for a model's settings.

    Where targets are objects, each frame is a row: the median bout of `mouse_objects`
    is 0.36 s long, and rows of 0.08 s cost 0.012 of frame F1.
    """
    if not config.object_targets:
        return STATISTICS
    return replace(STATISTICS, block_s=1 / config.fps)


_LEAST_SUM = 1e-9


FIRST_SCORE = -3.0
"""Score to begin with of a class of a scene that earlier trees do not have."""


@dataclass(frozen=True, slots=True)
class BaseTrees:
    """The trees of an earlier model, which new ones are grown on."""

    classes: tuple[str, ...]
    forest: Forest


class TreesModel(Model):
    """What trees of all tasks have in common.

    They predict blocks of frames. Their only weights are a buffer with the bytes of the
    forest's text, so that they are moved, saved and loaded like networks.
    """

    forest: Forest
    base: tuple[BaseTrees, ...]
    """Trees of earlier models; the scores of all are added up."""
    text_X: Tensor

    def __init__(
        self,
        config: ModelConfig,
        task: SceneTask | PairTask,
        features: Features,
        forest: Forest,
        base: Sequence[BaseTrees] = (),
    ) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.features = features
        self.forest = forest
        self.base = tuple(base)
        self.register_buffer("text_X", _as_tensor(forest))
        for number, each in enumerate(self.base):
            self.register_buffer(f"base{number}_X", _as_tensor(each.forest))

    @property
    def feature_key(self) -> tuple[Hashable, ...]:
        """Equal for trees whose features are the same."""
        return ("trees", *self.features.key)

    @property
    def feature_device(self) -> torch.device:
        """The CPU, wherever the buffer is: trees are evaluated there."""
        return torch.device("cpu")

    @property
    def block_frames(self) -> int:
        """Frames in a block."""
        return statistics_of(self.config).block_frames(self.config.fps)

    def statistic_names(self) -> tuple[str, ...]:
        """Return the statistics' names in order, such as ``gap_cm.mean.6s``."""
        return statistics_of(self.config).names(self.features.names)

    def overlap(self, length: int) -> int:
        """Return 0: windows of trees do not overlap."""
        return 0

    def stretches(self, length: int) -> Iterator[Stretch]:
        """Yield the stretches of a recording of so many frames, in order."""
        return block_stretches(
            length, block=self.block_frames, context=self.context_frames
        )

    def rows(self, x_TF: Float[Tensor, "t f"]) -> Float[np.ndarray, "u r"]:
        """Return the statistics of features, a row for each block of frames."""
        return rolling_statistics(
            x_TF.cpu().numpy(), self.config.fps, statistics_of(self.config)
        )

    def inputs(
        self, x_TF: Float[Tensor, "t f"], stretch: Stretch, starts: Sequence[int]
    ) -> Float[Tensor, "b u r"]:
        """Return the rows of the blocks of each window."""
        rows = torch.from_numpy(self.rows(x_TF))
        size = self.block_frames
        first = [(start - stretch.read_from) // size for start in starts]
        return torch.stack([rows[one : one + stretch.window // size] for one in first])

    def probabilities(
        self, inputs_BUI: Float[Tensor, "b u i"], context: Context
    ) -> Float[Tensor, "b t n"]:
        """Return the probability of each class, or action, at every frame of blocks."""
        each = [self.block_probabilities(rows.numpy(), context) for rows in inputs_BUI]
        return torch.from_numpy(np.stack(each).repeat(self.block_frames, axis=1))

    def block_probabilities(
        self, rows: Float[np.ndarray, "u r"], context: Context
    ) -> Float[np.ndarray, "u n"]:
        """Return the probability of each class, or action, in each block."""
        if not self.base:
            return self.forest.probabilities(rows, threads=torch.get_num_threads())
        own = BaseTrees(tuple(self.task.classes), self.forest)
        scores = self._add_up([*self.base, own], rows)
        if self.task.kind.has_background:
            powers = np.exp(scores - scores.max(axis=1, keepdims=True))
            return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        probabilities = 1 / (1 + np.exp(-scores))
        return np.nan_to_num(probabilities, nan=0.0).astype(np.float32)

    def base_scores(self, rows: Float[np.ndarray, "u r"]) -> Float[np.ndarray, "u n"]:
        """Return the scores that new trees are grown on.

        NaN for an action that no earlier model has.
        """
        return self._add_up(self.base, rows)

    def _add_up(
        self, layers: Sequence[BaseTrees], rows: Float[np.ndarray, "u r"]
    ) -> Float[np.ndarray, "u n"]:
        first = FIRST_SCORE if self.task.kind.has_background else np.nan
        total = np.full((len(rows), len(self.task.classes)), np.nan)
        for number, layer in enumerate(layers):
            scores = layer.forest.raw_scores(rows, threads=torch.get_num_threads())
            for name, column in zip(layer.classes, scores.T, strict=True):
                if name not in self.task.classes or np.isnan(column).any():
                    continue
                place = self.task.classes.index(name)
                is_new = np.isnan(total[:, place])
                begun = first if number and self.task.kind.has_background else 0.0
                total[:, place] = np.where(is_new, begun, total[:, place]) + column
        if self.task.kind.has_background:
            return np.where(np.isnan(total), first, total)
        return total


class SceneTreesModel(TreesModel):
    """Trees for the scene task: one forest chooses among the classes."""

    task: SceneTask

    def __init__(
        self,
        config: ModelConfig,
        task: SceneTask,
        forest: Forest,
        base: Sequence[BaseTrees] = (),
    ) -> None:
        features, _ = build_inputs(task.kind, config)
        super().__init__(config, task, features, forest, base)

    def extract_features(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t f"]:
        """Return features of poses in cm at the working rate, NaN where missing."""
        return self.features(pack_animals(poses_BTAK2))

    def block_probabilities(
        self, rows: Float[np.ndarray, "u r"], context: Context
    ) -> Float[np.ndarray, "u n"]:
        """Return the probability of each class; those not possible get 0."""
        probabilities = super().block_probabilities(rows, context)
        if context.possible_N is None:
            return probabilities
        possible = context.possible_N.cpu().numpy()
        among = np.where(possible, probabilities, 0)
        return among / among.sum(axis=1, keepdims=True).clip(min=_LEAST_SUM)


class PairTreesModel(TreesModel):
    """Trees for the pair task: one forest for each action.

    Their features are the social ones alone; the places of all keypoints would be too
    many.
    """

    task: PairTask

    def __init__(
        self,
        config: ModelConfig,
        task: PairTask,
        forest: Forest,
        base: Sequence[BaseTrees] = (),
    ) -> None:
        features = directed_features(
            rate_fps=config.fps,
            max_gap_s=config.max_gap_s,
            skeleton=config.body,
            object_targets=config.object_targets,
            zone_targets=config.zone_targets,
            heights=config.heights,
        )
        super().__init__(config, task, features, forest, base)

    def extract_features(
        self, poses_BTPK2: Float[Tensor, "b t p k c"]
    ) -> Float[Tensor, "b t f"]:
        """Return features of poses in cm at the working rate, NaN where missing."""
        return self.features(self.as_read(poses_BTPK2))


def _as_tensor(forest: Forest) -> Tensor:
    """Return a forest's bytes, to be saved and loaded like weights."""
    return torch.from_numpy(np.frombuffer(forest.to_bytes(), np.uint8).copy())


_MODELS: Mapping[type, Callable[..., TreesModel]] = {
    SceneTask: SceneTreesModel,
    PairTask: PairTreesModel,
}


def build_trees(
    config: ModelConfig,
    task: SceneTask | PairTask,
    forest: Forest,
    base: Sequence[BaseTrees] = (),
) -> TreesModel:
    """Return trees for a task, grown on those of earlier models or by themselves."""
    known = config.model_copy(
        update={"base_classes": tuple(each.classes for each in base)}
    )
    return _MODELS[type(task)](known, task, forest, base)
