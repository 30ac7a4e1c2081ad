"""What a run learns and how it is scored: one objective for each task.

A task is one module here, with the labels, targets, loss and scores of that task,
and one entry in `DATA_OF_TASK`. The training loop, the trees and the out-of-fold
predictions use the interface in `base` only.
"""

from mabe.config import RunConfig
from mabe.data.prepare import load_store
from mabe.runtime.console import print_lines
from mabe.scene_task import TaskKind
from mabe.training.objectives.base import (
    ClassCount,
    HeldOutScore,
    Learnable,
    Objective,
    Targets,
    TrainingData,
)
from mabe.training.objectives.pair import PairData, PairObjective
from mabe.training.objectives.scene import SceneData, SceneObjective
from mabe.training.objectives.taught import TaughtPairData, TaughtSceneData
from mabe.training.skeleton_of_data import in_layout_of_run, settle_skeleton

__all__ = [
    "ClassCount",
    "HeldOutScore",
    "Learnable",
    "Objective",
    "PairData",
    "PairObjective",
    "SceneData",
    "SceneObjective",
    "Targets",
    "TaughtPairData",
    "TaughtSceneData",
    "TrainingData",
    "load_training_data",
]

DATA_OF_TASK: dict[TaskKind, type[TrainingData]] = {
    TaskKind.SCENE: SceneData,
    TaskKind.PAIR: PairData,
}


TAUGHT_DATA_OF_TASK: dict[TaskKind, type[TrainingData]] = {
    TaskKind.SCENE: TaughtSceneData,
    TaskKind.PAIR: TaughtPairData,
}
"""The same for a run that imitates a model."""


def load_training_data(
    config: RunConfig, *, skip_bad: bool = False, notes: bool = True
) -> TrainingData:
    """Prepare the data where needed, label them and hold recordings out.

    Poses and the data's `config` have the skeleton that is settled for the data.

    Raises `DataError` where no recording has a frame that counts.
    """
    store = load_store(
        config.data_dir,
        rate_fps=config.fps,
        store_dir=config.store_dir,
        workers=config.num_workers,
        skip_bad=skip_bad,
        notes=notes,
    )
    settled, reasons = settle_skeleton(config, store)
    if notes and reasons:
        print_lines("Poses:", *(f"  {reason}" for reason in reasons))
    of_task = TAUGHT_DATA_OF_TASK if config.teacher else DATA_OF_TASK
    return of_task[config.task].label(settled, in_layout_of_run(settled, store))
