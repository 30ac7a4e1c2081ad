"""Agreement of predictions with annotations: by frame, by bout, the challenge's."""

from mabe.metrics.bout_scores import count_bouts, count_matches
from mabe.metrics.challenge import (
    challenge_table,
    mabe_f_score,
    score_table,
    strict_f_score,
    watched_table,
)
from mabe.metrics.frame_scores import (
    ClassScores,
    Confusion,
    Labels,
    accuracy,
    class_scores,
    confusion_matrix,
    counts_of_confusion,
)
from mabe.metrics.lab_action_scores import (
    ActionScore,
    HostVisibleError,
    LabScore,
    ScoreTable,
)

__all__ = [
    "ActionScore",
    "ClassScores",
    "Confusion",
    "HostVisibleError",
    "LabScore",
    "Labels",
    "ScoreTable",
    "accuracy",
    "challenge_table",
    "class_scores",
    "confusion_matrix",
    "count_bouts",
    "count_matches",
    "counts_of_confusion",
    "mabe_f_score",
    "score_table",
    "strict_f_score",
    "watched_table",
]
