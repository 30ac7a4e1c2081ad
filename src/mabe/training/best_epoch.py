"""Which epoch of a run is the best, by macro F1 on held-out recordings."""

from collections.abc import Sequence

from mabe.training.history import Epoch

UNSCORED = -1.0
"""In the place of the score of an epoch that has none: nothing was held out."""


def epochs_since_best(scores: Sequence[float]) -> int:
    """Return how many epochs ago the best score was; the first of equals counts.

    Where no epoch has a score none is better than the last, so 0.
    """
    if all(score == UNSCORED for score in scores):
        return 0
    return len(scores) - 1 - max(range(len(scores)), key=lambda i: (scores[i], -i))


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the best macro F1, the first of equals.

    Where none has a score it is the last, which has learned the longest.
    """
    if all(epoch.macro_f1 is None for epoch in history):
        return history[-1]
    return max(history, key=lambda epoch: (ranked_f1(epoch), -epoch.number))


def ranked_f1(epoch: Epoch) -> float:
    """Return an epoch's macro F1, or `UNSCORED`."""
    return UNSCORED if epoch.macro_f1 is None else epoch.macro_f1


def epoch_scores(history: Sequence[Epoch]) -> list[float]:
    """Return the macro F1 of each epoch, or `UNSCORED`."""
    return [ranked_f1(epoch) for epoch in history]
