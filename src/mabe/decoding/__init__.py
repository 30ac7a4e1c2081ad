"""From probabilities to decisions that hold on new recordings."""

from mabe.decoding.nested_tuning import Tuned, tune
from mabe.decoding.rules import ClassRule, DecisionRules, decide
from mabe.decoding.view_predictions import ViewPredictions
from mabe.scene_task import TaskKind

__all__ = [
    "ClassRule",
    "DecisionRules",
    "TaskKind",
    "Tuned",
    "ViewPredictions",
    "decide",
    "tune",
]
