"""Which epoch of a run is the best, by macro F1 on held-out recordings."""

from collections.abc import Sequence

from mabe.training.history import Epoch


def epochs_since_best(scores: Sequence[float]) -> int:
    """Return how many epochs ago the best score was; the first of equals counts."""
    if not scores:
        return 0
    return len(scores) - 1 - max(range(len(scores)), key=lambda i: (scores[i], -i))


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Return the epoch with the best macro F1, the first of equals.

    Epochs that could not be scored rank last.
    """
    return max(history, key=lambda epoch: (ranked_f1(epoch), -epoch.number))


def ranked_f1(epoch: Epoch) -> float:
    """Return an epoch's macro F1, or -1 where it could not be scored."""
    return -1.0 if epoch.macro_f1 is None else epoch.macro_f1


def epoch_scores(history: Sequence[Epoch]) -> list[float]:
    """Return the macro F1 of each epoch, -1 where it could not be scored."""
    return [ranked_f1(epoch) for epoch in history]
