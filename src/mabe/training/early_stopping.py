"""When a run is finished: after all epochs, or where the score no longer rises."""

from collections.abc import Sequence

from mabe.config import RunConfig
from mabe.training.best_epoch import epochs_since_best


def is_finished(config: RunConfig, scores: Sequence[float]) -> bool:
    """Tell whether all epochs are done, or the score has not risen for too long."""
    patience = config.early_stopping_patience
    stalled = bool(patience) and epochs_since_best(scores) >= patience
    return len(scores) >= config.epochs or stalled
