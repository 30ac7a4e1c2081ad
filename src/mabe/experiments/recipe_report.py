"""The scores of an automatic recipe: as `recipe.json` has them, and as lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mabe.experiments.cross_validation import OutOfFoldScore
from mabe.runtime.console import format_score

AS_IT_IS = "the old model"
"""Name of the scores of the model that a run starts from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeReport:
    """The scores of a recipe."""

    reasons: tuple[str, ...]
    """What was chosen, and why."""
    kinds: Mapping[str, OutOfFoldScore]
    weights: Mapping[str, float]
    """Of each kind in the model to use."""
    together: OutOfFoldScore
    """Of all kinds as one model."""
    tuned: float | None
    """The score of tuned rules on recordings that did not choose them."""
    expected: float | None
    """The score to expect on new recordings of this kind."""
    as_it_is: OutOfFoldScore | None
    """With `from_model`: of that model, on the same recordings."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `recipe.json` holds them."""
        scores = {
            **{name: score.to_json() for name, score in self.kinds.items()},
            "together": self.together.to_json(),
            **({AS_IT_IS: self.as_it_is.to_json()} if self.as_it_is else {}),
            "tuned, nested": {"score": self.tuned},
            "expected": {"score": self.expected},
        }
        return {
            "reasons": list(self.reasons),
            "scores": scores,
            "weights": dict(self.weights),
        }


def score_line(name: str, score: OutOfFoldScore) -> str:
    """Return one kind's score with its interval, and that of each class."""
    interval = f"({score.interval_text})"
    return f"  {name:<13} {format_score(score.score)}  {interval}  {score.f1_text}"


def weights_line(weights: Mapping[str, float]) -> list[str]:
    """Return a line with the weights of several kinds."""
    if len(weights) < 2:
        return []
    text = ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())
    return [f"  Weights together: {text}"]


def comparison(report: RecipeReport) -> list[str]:
    """Return a warning where the model started from scores higher as it is."""
    old = report.as_it_is.score if report.as_it_is else None
    new = report.expected
    if old is None or new is None or old <= new:
        return []
    return [
        f"! The old model as it is scores higher on these recordings ({old:.3f}) than "
        f"what was learned from it ({new:.3f}). Use the old one, fit its thresholds "
        "(mabe calibrate), or learn from more recordings"
    ]
