"""How well predictions agree with people: classes of frames, bouts, the challenge."""

from mabe.metrics.challenge import (
    challenge_table,
    mabe_f_score,
    score_table,
    strict_f_score,
    watched_table,
)
from mabe.metrics.classes import (
    ClassScores,
    Confusion,
    Labels,
    accuracy,
    bout_counts,
    confusion_matrix,
    count_matches,
    scores_of_confusion,
    scores_of_counts,
)
from mabe.metrics.score_table import ActionScore, HostVisibleError, LabScore, ScoreTable

__all__ = [
    "ActionScore",
    "ClassScores",
    "Confusion",
    "HostVisibleError",
    "LabScore",
    "Labels",
    "ScoreTable",
    "accuracy",
    "bout_counts",
    "challenge_table",
    "confusion_matrix",
    "count_matches",
    "mabe_f_score",
    "score_table",
    "scores_of_confusion",
    "scores_of_counts",
    "strict_f_score",
    "watched_table",
]
