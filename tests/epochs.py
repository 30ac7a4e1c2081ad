"""Epochs of a run, for tests of what is made of a history."""

from mabe.metrics.summary import ClassScore, ScoreSummary
from mabe.training.history import Epoch


def epoch(number, macro_f1=0.5, *, f1=None, **changes):
    """Return an epoch; `f1` are the scores of its classes by name."""
    values = {
        "step": 10 * number,
        "learning_rate": 1e-3,
        "train_loss": 0.5,
        "val_loss": 0.6,
        "seconds": 30.0,
    }
    per_class = {
        name: ClassScore(f1=value, precision=None, recall=None, support=1)
        for name, value in (f1 or {}).items()
    }
    scores = ScoreSummary(macro_f1=macro_f1, per_class=per_class)
    return Epoch(number=number, scores=scores, **values | changes)
