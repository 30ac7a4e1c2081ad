"""Scores of a model on annotated recordings: per class, per lab, per recording.

A summary holds numbers only. A score without anything to score is None, which JSON
files write as null. Keys of JSON files are those of `to_json`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl
from jaxtyping import Int

from mabe.metrics.bout_scores import count_bouts
from mabe.metrics.frame_scores import (
    ClassScores,
    Confusion,
    Counts,
    accuracy,
    class_scores,
    confusion_matrix,
    counts_of_confusion,
)
from mabe.runtime.console import finite_or_none, format_score

SHOWN_VIDEOS = 10
"""A table for the terminal lists so many recordings, the worst ones."""


@runtime_checkable
class Scores(Protocol):
    """What an evaluation of any task gives."""

    @property
    def macro_f1(self) -> float | None:
        """The score of the task; None where nothing can be scored."""

    def to_text(self) -> str:
        """Return the scores as tables for the terminal."""

    def to_frame(self) -> pl.DataFrame:
        """Return a row for each class, or for each lab and action."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `metrics.json` holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """Scores of one class; None where there is nothing to score."""

    f1: float | None
    precision: float | None
    recall: float | None
    support: int
    """Annotated frames (or bouts)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """Scores of all classes, and their mean."""

    macro_f1: float | None
    per_class: Mapping[str, ClassScore]
    accuracy: float | None = None
    """Share of frames with the right class; None where several can be right."""
    lab_f1: Mapping[str, float | None] | None = None
    """Macro F1 of each lab, where `macro_f1` is the mean over labs."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as `history.json` and checkpoints hold them."""
        values: dict[str, Any] = {
            "accuracy": self.accuracy,
            "f1_macro": self.macro_f1,
            "per_class": {name: asdict(each) for name, each in self.per_class.items()},
        }
        if self.lab_f1 is not None:
            values["per_lab"] = dict(self.lab_f1)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ScoreSummary":
        """Return the summary of `to_json`; further keys do not matter."""
        return cls(
            accuracy=values["accuracy"],
            macro_f1=values["f1_macro"],
            per_class={
                name: ClassScore(**scores)
                for name, scores in values["per_class"].items()
            },
            lab_f1=values.get("per_lab"),
        )


@dataclass(frozen=True, slots=True)
class VideoScore:
    """Counts of one recording; they add up to those of a lab or a data set."""

    lab: str
    video: str
    confusion: Confusion
    bouts: Counts


@dataclass(frozen=True, slots=True)
class LabSummary:
    """Scores over all recordings of one lab."""

    videos: int
    frames: ScoreSummary


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """Everything `metrics.json` holds of a scene model's evaluation."""

    classes: tuple[str, ...]
    frames: ScoreSummary
    confusion: Confusion
    bouts: ScoreSummary
    per_lab: Mapping[str, LabSummary]
    per_video: Mapping[str, ScoreSummary]
    """Scores of each recording by its name, ``LAB/VIDEO``."""
    notes: tuple[str, ...]

    @property
    def macro_f1(self) -> float | None:
        """Macro F1 over frames."""
        return self.frames.macro_f1

    def to_text(self) -> str:
        """Return the scores as tables for the terminal."""
        rows = [
            *_class_rows(self),
            "",
            f"accuracy {format_score(self.frames.accuracy)}",
        ]
        rows += ["", *_confusion_rows(self)]
        if len(self.per_lab) > 1:
            rows += ["", *_lab_rows(self)]
        return "\n".join([*rows, "", *_video_rows(self), "", *self.notes])

    def to_frame(self) -> pl.DataFrame:
        """Return a row for each class: F1, precision, recall and annotated frames."""
        return pl.DataFrame(
            [
                {
                    "class": name,
                    "f1": scores.f1,
                    "precision": scores.precision,
                    "recall": scores.recall,
                    "frames": scores.support,
                }
                for name, scores in self.frames.per_class.items()
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        bouts = self.bouts.to_json()
        return {
            **self.frames.to_json(),
            "classes": list(self.classes),
            "confusion": self.confusion.tolist(),
            "bouts": {key: bouts[key] for key in ("f1_macro", "per_class")},
            "per_lab": {
                lab: {"videos": each.videos, **each.frames.to_json()}
                for lab, each in self.per_lab.items()
            },
            "per_video": {
                name: frames.to_json() for name, frames in self.per_video.items()
            },
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Counts of all recordings of one evaluation."""

    classes: tuple[str, ...]
    videos: tuple[VideoScore, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def confusion(self) -> Confusion:
        """Frames pooled over all recordings."""
        return sum_confusions(self.videos, len(self.classes))


def score_video(
    lab: str,
    video: str,
    labels: Int[np.ndarray, " frame"],
    predicted: Int[np.ndarray, " frame"],
    classes: int,
) -> VideoScore:
    """Count frames and bouts of one recording."""
    return VideoScore(
        lab,
        video,
        confusion_matrix(labels, predicted, classes),
        count_bouts(labels, predicted, classes),
    )


def sum_confusions(videos: Iterable[VideoScore], classes: int) -> Confusion:
    """Pool the frame counts of some recordings."""
    total = np.zeros((classes, classes), np.int64)
    for video in videos:
        total += video.confusion
    return total


def frame_summary(confusion: Confusion, classes: tuple[str, ...]) -> ScoreSummary:
    """Return accuracy, macro F1 and per-class scores of counted frames."""
    scores = class_scores(counts_of_confusion(confusion))
    return ScoreSummary(
        accuracy=finite_or_none(accuracy(confusion)),
        macro_f1=finite_or_none(scores.macro_f1),
        per_class=class_table(scores, classes),
    )


def class_table(scores: ClassScores, classes: tuple[str, ...]) -> dict[str, ClassScore]:
    """Return the scores of each class by its name."""
    return {
        name: ClassScore(
            f1=finite_or_none(scores.f1[i]),
            precision=finite_or_none(scores.precision[i]),
            recall=finite_or_none(scores.recall[i]),
            support=int(scores.support[i]),
        )
        for i, name in enumerate(classes)
    }


def summarise_labs(
    by_lab: Mapping[str, Counts], classes: tuple[str, ...]
) -> ScoreSummary:
    """Return the mean over labs, and the scores of classes over all labs.

    The mean of a lab is over the classes that are annotated there.
    """
    of_labs = {lab: class_scores(counts) for lab, counts in sorted(by_lab.items())}
    scored = [each.macro_f1 for each in of_labs.values() if np.isfinite(each.macro_f1)]
    pooled = sum(by_lab.values(), np.zeros((len(classes), 3), np.int64))
    return ScoreSummary(
        macro_f1=finite_or_none(float(np.mean(scored)) if scored else np.nan),
        per_class=class_table(class_scores(pooled), classes),
        lab_f1={lab: finite_or_none(each.macro_f1) for lab, each in of_labs.items()},
    )


def summarise(evaluation: Evaluation) -> EvaluationSummary:
    """Return the scores of an evaluation."""
    classes = evaluation.classes
    bouts = class_scores(np.sum([v.bouts for v in evaluation.videos], axis=0))
    by_lab: dict[str, list[VideoScore]] = defaultdict(list)
    for video in evaluation.videos:
        by_lab[video.lab].append(video)
    return EvaluationSummary(
        classes=classes,
        frames=frame_summary(evaluation.confusion, classes),
        confusion=evaluation.confusion,
        bouts=ScoreSummary(
            macro_f1=finite_or_none(bouts.macro_f1),
            per_class=class_table(bouts, classes),
        ),
        per_lab={
            lab: LabSummary(
                len(videos),
                frame_summary(sum_confusions(videos, len(classes)), classes),
            )
            for lab, videos in sorted(by_lab.items())
        },
        per_video={
            f"{video.lab}/{video.video}": frame_summary(video.confusion, classes)
            for video in evaluation.videos
        },
        notes=evaluation.notes,
    )


def _class_rows(summary: EvaluationSummary) -> list[str]:
    rows = [
        f"{'class':<14}{'F1':>8}{'precision':>11}{'recall':>9}{'frames':>11}"
        f"{'bout F1':>10}{'bouts':>8}"
    ]
    for name, frames in summary.frames.per_class.items():
        bouts = summary.bouts.per_class[name]
        rows.append(
            f"{name:<14}{format_score(frames.f1):>8}{format_score(frames.precision):>11}"
            f"{format_score(frames.recall):>9}{frames.support:>11,}"
            f"{format_score(bouts.f1):>10}{bouts.support:>8,}"
        )
    rows.append(
        f"{'macro':<14}{format_score(summary.frames.macro_f1):>8}"
        f"{'':>31}{format_score(summary.bouts.macro_f1):>10}"
    )
    return rows


def _confusion_rows(summary: EvaluationSummary) -> list[str]:
    rows = ["annotated class → predicted"]
    rows.append(f"{'':<14}" + "".join(f"{name[:11]:>12}" for name in summary.classes))
    for name, counts in zip(summary.classes, summary.confusion, strict=True):
        rows.append(f"{name:<14}" + "".join(f"{count:>12,}" for count in counts))
    return rows


def _lab_rows(summary: EvaluationSummary) -> list[str]:
    return [
        f"{'lab':<24}{'videos':>7}{'macro F1':>10}{'accuracy':>10}",
        *(
            f"{lab:<24}{each.videos:>7}{format_score(each.frames.macro_f1):>10}"
            f"{format_score(each.frames.accuracy):>10}"
            for lab, each in summary.per_lab.items()
        ),
    ]


def _video_rows(summary: EvaluationSummary) -> list[str]:
    worst = sorted(summary.per_video.items(), key=lambda item: _rank(item[1]))
    rows = [
        f"{'recordings, worst first':<31}{'macro F1':>10}{'accuracy':>10}",
        *(
            f"{name:<31}{format_score(scores.macro_f1):>10}{format_score(scores.accuracy):>10}"
            for name, scores in worst[:SHOWN_VIDEOS]
        ),
    ]
    if len(worst) > SHOWN_VIDEOS:
        rows.append(f"… and {len(worst) - SHOWN_VIDEOS} more, in metrics.json")
    return rows


def _rank(scores: ScoreSummary) -> float:
    return np.inf if scores.macro_f1 is None else scores.macro_f1
