"""Several models used as one: the weighted mean of their probabilities.

Members may be of different kinds, seeds, folds or epochs; they have to have the same
classes (or actions) and the same working rate. Each has windows of its own length.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mabe.errors import RunError
from mabe.models.model import Context, Model
from mabe.models.model_config import ModelConfig
from mabe.pair_task import PairTask
from mabe.runtime.console import count
from mabe.scene_task import SceneTask

WeightedModel = tuple[Model, float]


def weighted_probabilities(
    members: Sequence[WeightedModel], inputs_BUI: Tensor, context: Context
) -> list[Tensor]:
    """Return each model's probabilities times its weight; their sum is the ensemble's.

    All of them have the same inputs. The sum is left to the caller, who may add up
    those of several test-time augmentation variants at once.
    """
    return [
        weight * member.probabilities(inputs_BUI, context) for member, weight in members
    ]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Models and their weights, which sum to one."""

    members: tuple[Model, ...]
    weights: tuple[float, ...]
    task: SceneTask | PairTask

    @classmethod
    def of(
        cls, members: Sequence[Model], weights: Sequence[float] | None = None
    ) -> "Ensemble":
        """Join models; by default with equal weights.

        Raises `RunError` where their classes or working rates differ.
        """
        weights = [1.0] * len(members) if weights is None else weights
        total = sum(weights)
        is_wrong = len(weights) != len(members) or any(each < 0 for each in weights)
        if not members or is_wrong or not total > 0:
            raise RunError(
                "ensemble: expected a weight for each of "
                f"{count(len(members), 'model')}, none below zero and some above, "
                f"found {list(weights)}"
            )
        rates = sorted({member.config.fps for member in members})
        if len(rates) > 1:
            raise RunError(
                f"ensemble: models work at {rates} frames per second; train them "
                "with the same `fps`"
            )
        if len({member.config.body for member in members}) > 1:
            raise RunError(
                "ensemble: models have different keypoints, or roles of them; train "
                "them on the same data"
            )
        task = _join_tasks([member.task for member in members])
        return cls(tuple(members), tuple(each / total for each in weights), task)

    @property
    def config(self) -> ModelConfig:
        """The settings of the first member; `fps` and the task are those of all."""
        return self.members[0].config

    @property
    def members_with_weights(self) -> tuple[WeightedModel, ...]:
        """The models, each with its weight."""
        return tuple(zip(self.members, self.weights, strict=True))

    @property
    def device(self) -> torch.device:
        """Where the weights of all members are."""
        return self.members[0].device

    def to(self, device: torch.device) -> "Ensemble":
        """Move every member to a device."""
        for member in self.members:
            member.to(device)
        return self


def _join_tasks(tasks: Sequence[SceneTask | PairTask]) -> SceneTask | PairTask:
    """Return the task of all members, which have to have the same classes."""
    first = tasks[0]
    for task in tasks:
        if (task.kind, task.classes) != (first.kind, first.classes):
            raise RunError(
                f"ensemble: models have different tasks: {_describe(first)} and "
                f"{_describe(task)}"
            )
    return first.join(tasks)


def _describe(task: SceneTask | PairTask) -> str:
    return f"{task.kind} ({', '.join(task.classes)})"
