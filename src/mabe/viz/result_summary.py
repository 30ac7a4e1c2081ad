"""Scores, errors and plots of a model's predictions, gathered view by view.

Counts are summed over all views. Plots (bouts and curves in seconds) are kept of each
view in a compact form, so that a data set of any length is never in memory as a whole.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from mabe.bouts import Spans, find_spans
from mabe.decoding.calibration import Reliability, measure_reliability
from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import ViewPredictions
from mabe.metrics.confidence_interval import Confidence, confidence_of_counts
from mabe.metrics.frame_scores import Confusion, Counts, f1_scores, macro_f1
from mabe.metrics.method_agreement import MethodAgreement, compare_methods
from mabe.scene_task import NOT_COUNTED, TaskKind
from mabe.viz.downsampling import average_columns, keep_corners
from mabe.viz.error_types import (
    ClassErrors,
    WrongBout,
    count_errors,
    find_wrong_bouts,
)


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time, in seconds."""

    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class in the plot of a view."""

    class_index: int
    annotated: tuple[Interval, ...]
    predicted: tuple[Interval, ...]
    curve: tuple[tuple[float, float], ...]
    """Corners of the probability over time: (second, probability)."""
    threshold: float
    not_watched: tuple[Interval, ...]
    """Where this class does not count, in frames in which others do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPlot:
    """What is plotted of one view."""

    recording: str
    view: str
    """Agent and target in words; empty for a scene."""
    duration_s: float
    not_counted: tuple[Interval, ...]
    rows: tuple[ClassRow, ...]

    @property
    def bouts(self) -> int:
        """Number of bouts in the plot."""
        return sum(len(row.annotated) + len(row.predicted) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingScore:
    """Scores of one recording, over all its views."""

    recording: str
    macro_f1: float
    f1: tuple[float, ...]
    """Of each class; NaN where it is not annotated."""
    counted_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabConfidence:
    """Scores of one lab's recordings."""

    lab: str
    recordings: int
    confidence: Confidence


@dataclass(slots=True)
class ResultSummary:
    """Everything that a report or a figure shows of some views."""

    kind: TaskKind
    classes: tuple[str, ...]
    rules: DecisionRules
    plots: list[ViewPlot] = field(default_factory=list)
    wrong_bouts: list[WrongBout] = field(default_factory=list)
    errors: list[ClassErrors] = field(default_factory=list)
    """One for each class."""
    counts: dict[tuple[str, str, str], Counts] = field(default_factory=dict)
    """Frames by (lab, recording, track)."""
    counted_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds that count, by recording; those of its views add up."""
    shares: dict[int, list[tuple[float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By class, of each view: the share of the frames that count for it that are
    annotated, and that are predicted."""
    confusion: Confusion | None = None
    tally: Int[np.ndarray, "classes bins 2"] | None = None

    @classmethod
    def of_rules(cls, rules: DecisionRules) -> "ResultSummary":
        """Return an empty study."""
        return cls(rules.kind, tuple(rule.name for rule in rules.classes), rules)

    @property
    def bout_classes(self) -> range:
        """Indices of the classes that make bouts."""
        return self.kind.bout_classes(len(self.classes))

    def add(self, view: ViewPredictions) -> None:
        """Add one view."""
        key = view.lab, view.name, view.track
        self.counts[key] = self.counts.get(key, 0) + view.counts()
        self.counted_s[view.name] += float(view.counted.sum()) / view.fps
        confusion, tally = view.confusion(), view.tally(self.rules)
        before = self.confusion
        self.confusion = confusion if before is None else before + confusion
        self.tally = tally if self.tally is None else self.tally + tally
        errors = [count_errors(view, index) for index in range(len(self.classes))]
        if self.errors:
            errors = [a + b for a, b in zip(self.errors, errors, strict=True)]
        self.errors = errors
        for index in self.bout_classes:
            self.wrong_bouts += find_wrong_bouts(view, index)
            counted = view.labels[:, index] != NOT_COUNTED
            if counted.any():
                annotated = (view.labels[counted, index] == 1).mean()
                predicted = (view.decisions[counted] == index).mean()
                self.shares[index].append((float(annotated), float(predicted)))
        self.plots.append(plot_view(view, self.rules, self.bout_classes))

    def confidence(self, lab: str | None = None) -> Confidence:
        """Return the score with its interval, of one lab if named."""
        kept = {key: c for key, c in self.counts.items() if lab in (None, key[0])}
        labs = sorted({key[0] for key in kept})
        tracks = sorted({key[2] for key in kept})
        table = np.zeros((len(tracks), len(labs), len(self.classes), 3), np.int64)
        for (its_lab, _, track), counts in kept.items():
            table[tracks.index(track), labs.index(its_lab)] += counts
        return confidence_of_counts(table, self.kind)

    def of_labs(self) -> list[LabConfidence]:
        """Return the scores of each lab, the lowest first."""
        labs = sorted({key[0] for key in self.counts})
        results = [
            LabConfidence(
                lab=lab,
                recordings=len({key for key in self.counts if key[0] == lab}),
                confidence=self.confidence(lab),
            )
            for lab in labs
        ]
        return sorted(results, key=lambda each: _lowest_first(each.confidence.score))

    def of_recordings(self) -> list[RecordingScore]:
        """Return the scores of each recording, the lowest first."""
        results = [
            RecordingScore(
                recording=recording,
                macro_f1=float(macro_f1(counts[None], self.kind)),
                f1=tuple(f1_scores(counts, TaskKind.SCENE).tolist()),
                counted_s=self.counted_s[recording],
            )
            for (_, recording, _), counts in self.counts.items()
        ]
        return sorted(results, key=lambda each: _lowest_first(each.macro_f1))

    def reliability(self) -> list[Reliability]:
        """Return the reliability of each class's probabilities."""
        assert self.tally is not None
        return [measure_reliability(tally) for tally in self.tally]

    def time_agreement(self) -> list[tuple[int, MethodAgreement]]:
        """Return how far the predicted share of time is from the annotated one.

        A row for each class that makes bouts, over all views.
        """
        return [
            (index, compare_methods(*np.array(self.shares[index]).T))
            for index in self.bout_classes
            if self.shares[index]
        ]

    def plots_with_rows(self) -> list[ViewPlot]:
        """Return the plots that are not empty."""
        return [plot for plot in self.plots if plot.rows]

    def longest_wrong_bouts(self, most: int) -> list[WrongBout]:
        """Return the longest bouts that are missed or false as a whole."""
        return sorted(self.wrong_bouts, key=lambda bout: -bout.seconds)[:most]


def plot_view(
    view: ViewPredictions, rules: DecisionRules, shown: Sequence[int]
) -> ViewPlot:
    """Return the plot of one view; classes without bouts or probabilities have no row.

    `shown` are the indices of the classes to plot.
    """
    rows = []
    for index in shown:
        annotated, predicted = view.annotated_spans(index), view.predicted_spans(index)
        probabilities = view.probabilities[:, index]
        is_known = np.isfinite(probabilities).any()
        if not len(annotated) and not len(predicted) and not is_known:
            continue
        columns = average_columns(probabilities)
        step_s = view.duration_s / max(1, len(columns))
        rule = rules.classes[index]
        rows.append(
            ClassRow(
                index,
                _intervals(annotated, view.fps),
                _intervals(predicted, view.fps),
                tuple(
                    ((place + 0.5) * step_s, probability)
                    for place, probability in keep_corners(columns)
                ),
                rule.lab_thresholds.get(view.lab, rule.threshold),
                _intervals(
                    find_spans(view.counted & (view.labels[:, index] == NOT_COUNTED)),
                    view.fps,
                ),
            )
        )
    return ViewPlot(
        recording=view.name,
        view=view.view_label,
        duration_s=view.duration_s,
        not_counted=_intervals(find_spans(~view.counted), view.fps),
        rows=tuple(rows),
    )


def _intervals(spans: Spans, fps: float) -> tuple[Interval, ...]:
    return tuple(Interval(start, stop) for start, stop in (spans / fps).tolist())


def _lowest_first(score: float) -> float:
    """Order by score; NaN goes last."""
    return score if np.isfinite(score) else np.inf
