"""Decision rules: from probabilities to one class a frame.

The log-odds of each class are smoothed over time and compared with the threshold of
the class, which may differ between labs. The class furthest above its threshold is
chosen. Then gaps are closed and short bouts dropped. Calibration corrects the
probabilities that are shown (`refine`) and has no influence on decisions.

Plain rules have no settings: they choose the most probable class of a scene, or the
most probable action of a pair where its probability is at least 0.5.

Probabilities have the axes ``[time, class]``. The choice for frames in which nothing of
interest happens is `TaskKind.nothing`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import ConfigDict, TypeAdapter, ValidationError

from mabe.decoding.bout_filters import tidy
from mabe.decoding.calibration import Calibration, log_odds
from mabe.decoding.choose_class import choose, choose_by_column
from mabe.decoding.joined_recordings import Timeline
from mabe.decoding.smoothing import Smoothing, smooth
from mabe.errors import ConfigError
from mabe.scene_task import TaskKind

NEVER = 1.0
"""The threshold of a class that is never chosen."""


_USUAL = 0.5
"""The threshold of a class without a tuned one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRule:
    """The decision rule of one class."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    smoothing: Smoothing = field(default_factory=Smoothing)
    calibration: Calibration = field(default_factory=Calibration)
    threshold: float = _USUAL
    """A smoothed probability; for labs without one of their own."""
    lab_thresholds: dict[str, float] = field(default_factory=dict)
    min_bout_s: float = 0.0
    max_gap_s: float = 0.0

    def __post_init__(self) -> None:
        for lab, threshold in (
            ("any lab", self.threshold),
            *self.lab_thresholds.items(),
        ):
            if not 0 < threshold <= NEVER:
                raise ConfigError(
                    f"rule of {self.name}: the threshold of {lab} must be above 0 and "
                    f"at most {NEVER:.0f} (never), found {threshold}"
                )
        for name in ("min_bout_s", "max_gap_s"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ConfigError(
                    f"rule of {self.name}: {name} must be >= 0, found "
                    f"{getattr(self, name)}"
                )

    def for_other_probabilities(self) -> "ClassRule":
        """Return the rule without its thresholds and calibration."""

        def usual(threshold: float) -> float:
            return NEVER if threshold >= NEVER else _USUAL

        own = {lab: usual(each) for lab, each in self.lab_thresholds.items()}
        threshold = usual(self.threshold)
        return replace(
            self,
            calibration=Calibration(),
            threshold=threshold,
            lab_thresholds={k: v for k, v in own.items() if v != threshold},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRules:
    """The rules of all classes, in the order of the probabilities."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    kind: TaskKind
    classes: tuple[ClassRule, ...]

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.classes]
        if len(set(names)) < len(names) or not names:
            raise ConfigError(
                f"decision rules: expected classes of different names, found {names}"
            )

    @classmethod
    def plain(cls, kind: TaskKind, names: Sequence[str]) -> "DecisionRules":
        """Return rules without tuned thresholds or smoothing."""
        return cls(kind=kind, classes=tuple(ClassRule(name=name) for name in names))

    def thresholds(self, lab: str) -> Float[np.ndarray, " classes"]:
        """Return a lab's thresholds in log-odds; infinite: never."""
        probabilities = np.array(
            [rule.lab_thresholds.get(lab, rule.threshold) for rule in self.classes]
        )
        return np.where(probabilities >= NEVER, np.inf, log_odds(probabilities))

    def with_class(self, index: int, rule: ClassRule) -> "DecisionRules":
        """Return the rules with another rule for one class."""
        classes = (*self.classes[:index], rule, *self.classes[index + 1 :])
        return replace(self, classes=classes)

    def for_other_probabilities(self) -> "DecisionRules":
        """Return what of the rules holds for another model of the same classes.

        Smoothing, shortest bouts and gaps, and which classes are never chosen.
        Thresholds and calibration fit the probabilities of one model alone.
        """
        return replace(
            self, classes=tuple(rule.for_other_probabilities() for rule in self.classes)
        )

    def to_json(self) -> str:
        """Return the rules as JSON text."""
        return json.dumps(asdict(self), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "decision rules") -> "DecisionRules":
        """Read rules from JSON text; `where` it is from is for messages.

        Raises `ConfigError` for an unknown key or an impossible value.
        """
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigError(
                f"{where}: {place or 'text'}: {first['msg']}, found "
                f"{str(first['input'])[:60]!r}; write it with `DecisionRules.to_json`."
            ) from error


def decide(
    probabilities: Float[np.ndarray, "time classes"],
    *,
    fps: float,
    lab: str,
    rules: DecisionRules,
    possible: Bool[np.ndarray, " classes"] | None = None,
) -> Int[np.ndarray, " time"]:
    """Return the class of each frame; `NO_ACTION` where a pair does nothing.

    A class that is not possible, or has no probability (NaN), is not chosen.
    """
    timeline = Timeline.of_one(len(probabilities), fps)
    margins = (
        column if possible is None or possible[place] else np.full_like(column, -np.inf)
        for place, column in enumerate(
            _margin_columns(probabilities, timeline, rules, lab)
        )
    )
    chosen = choose_by_column(margins, len(probabilities), rules.kind)
    return tidy_by(rules, chosen, timeline)


def refine(
    probabilities: Float[np.ndarray, "time classes"],
    *,
    fps: float,
    rules: DecisionRules,
) -> Float[np.ndarray, "time classes"]:
    """Return smoothed and calibrated log-odds, minus infinity where unknown."""
    return calibrate(_smooth_classes(probabilities, fps, rules), rules.classes)


def calibrate(
    smoothed: Float[np.ndarray, "time classes"], rules: Sequence[ClassRule]
) -> Float[np.ndarray, "time classes"]:
    """Return calibrated log-odds."""
    columns = [
        rule.calibration(column) for column, rule in zip(smoothed.T, rules, strict=True)
    ]
    return np.stack(columns, axis=1)


def _smooth_classes(
    probabilities: Float[np.ndarray, "time classes"], fps: float, rules: DecisionRules
) -> Float[np.ndarray, "time classes"]:
    """Return smoothed log-odds, minus infinity where unknown."""
    timeline = Timeline.of_one(len(probabilities), fps)
    return np.stack(list(_smooth_columns(probabilities, timeline, rules)), axis=1)


def _smooth_columns(
    probabilities: Float[np.ndarray, "time classes"],
    timeline: Timeline,
    rules: DecisionRules,
) -> Iterator[Float[np.ndarray, " time"]]:
    """Yield each class's smoothed log-odds, minus infinity where unknown."""
    if probabilities.shape[1] != len(rules.classes):
        raise ConfigError(
            f"decision rules: for {len(rules.classes)} classes, but there are "
            f"probabilities of {probabilities.shape[1]}; are they of another model?"
        )
    for column, rule in zip(probabilities.T, rules.classes, strict=True):
        smoothed = smooth(log_odds(column), timeline, rule.smoothing)
        np.copyto(smoothed, -np.inf, where=np.isnan(smoothed))
        yield smoothed


def _margin_columns(
    probabilities: Float[np.ndarray, "time classes"],
    timeline: Timeline,
    rules: DecisionRules,
    lab: str,
) -> Iterator[Float[np.ndarray, " time"]]:
    """Yield how far each class's smoothed log-odds are above its threshold."""
    columns = _smooth_columns(probabilities, timeline, rules)
    for smoothed, threshold in zip(columns, rules.thresholds(lab), strict=True):
        yield np.subtract(
            smoothed, threshold, out=smoothed, where=~np.isneginf(smoothed)
        )


def without_nan(
    smoothed: Float[np.ndarray, "*axes"],
) -> Float[np.ndarray, "*axes"]:
    """Return minus infinity for NaN, so that unknown classes are not chosen."""
    return np.where(np.isnan(smoothed), -np.inf, smoothed)


def decide_smoothed(
    smoothed: Float[np.ndarray, "time classes"],
    timeline: Timeline,
    rules: DecisionRules,
    thresholds: Float[np.ndarray, " classes"],
) -> Int[np.ndarray, " time"]:
    """Return the choice of each frame from smoothed log-odds."""
    margins = smoothed - np.where(
        np.isneginf(smoothed), 0, thresholds
    )  # not infinity - infinity
    return tidy_by(rules, choose(margins, rules.kind), timeline)


def tidy_by(
    rules: DecisionRules, chosen: Int[np.ndarray, " time"], timeline: Timeline
) -> Int[np.ndarray, " time"]:
    """Return choices with gaps closed and short bouts dropped."""
    return tidy(
        chosen,
        timeline,
        nothing=rules.kind.nothing,
        max_gap_s=np.array([rule.max_gap_s for rule in rules.classes]),
        min_bout_s=np.array([rule.min_bout_s for rule in rules.classes]),
    )
