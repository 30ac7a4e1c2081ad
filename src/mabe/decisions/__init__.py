"""From probabilities to decisions that hold on new recordings."""

from mabe.decisions.evidence import Evidence, Kind
from mabe.decisions.rules import ClassRule, DecisionRules, decide
from mabe.decisions.tuning import Tuned, tune

__all__ = ["ClassRule", "DecisionRules", "Evidence", "Kind", "Tuned", "decide", "tune"]
