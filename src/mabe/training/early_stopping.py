"""When a run is finished: after all epochs, or where the score no longer rises."""

from collections.abc import Sequence

from mabe.config import RunConfig


def epochs_since_best(scores: Sequence[float]) -> int:
    """Return how many epochs ago the best score was; the first of equals counts."""
    if not scores:
        return 0
    return len(scores) - 1 - max(range(len(scores)), key=lambda i: (scores[i], -i))


def is_finished(config: RunConfig, scores: Sequence[float]) -> bool:
    """Tell whether all epochs are done, or the score has not risen for too long."""
    patience = config.early_stopping_patience
    stalled = bool(patience) and epochs_since_best(scores) >= patience
    return len(scores) >= config.epochs or stalled
