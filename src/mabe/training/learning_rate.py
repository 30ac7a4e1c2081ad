"""The learning rate of each step: warm-up, then constant, cosine or on plateaus.

It depends on the config, the step and the scores of the epochs so far alone, so there
is no state to save. Scores are macro F1 on held-out recordings, one for each epoch.
"""

import math
from collections.abc import Sequence

from mabe.config import RunConfig
from mabe.training.best_epoch import UNSCORED


def learning_rate(
    config: RunConfig, *, step: int, steps_per_epoch: int, scores: Sequence[float]
) -> float:
    """Return the learning rate of a step, given the macro F1 of the epochs so far."""
    warmup = config.warmup_epochs * steps_per_epoch
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    floor = min(config.min_lr, config.learning_rate)
    if config.scheduler == "cosine":
        done = min(1.0, step / (config.epochs * steps_per_epoch))
        fall = (
            floor + (config.learning_rate - floor) * (1 + math.cos(math.pi * done)) / 2
        )
        return rise * fall
    if config.scheduler == "plateau":
        falls = count_plateaus(scores, patience=config.scheduler_patience)
        return rise * max(floor, config.learning_rate * config.scheduler_factor**falls)
    return rise * config.learning_rate


def count_plateaus(scores: Sequence[float], *, patience: int) -> int:
    """Return how often the score went `patience` epochs without a new best.

    Each plateau starts its count anew, so a run that stands still falls step by step.
    Epochs without a score do not count.
    """
    best, waited, plateaus = -math.inf, 0, 0
    for score in scores:
        if score == UNSCORED:
            continue
        if score > best:
            best, waited = score, 0
        else:
            waited += 1
        if waited >= patience:
            plateaus, waited = plateaus + 1, 0
    return plateaus
