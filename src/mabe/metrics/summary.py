"""Scores of a model on labelled recordings: per class, per video, per lab.

Frames are the recording's own. A recording the model learned from is left out
unless asked for: its score says how well the model remembers, not how good it is.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Int

from mabe.metrics import (
    ClassScores,
    Confusion,
    accuracy,
    bout_counts,
    confusion_matrix,
    scores_of_confusion,
    scores_of_counts,
)

SHOWN_VIDEOS = 10
"""A table for the terminal lists so many recordings, the worst ones."""


@dataclass(frozen=True, slots=True)
class VideoScore:
    """Counts of one recording; they add up to those of a lab or a data set."""

    lab: str
    video: str
    confusion: Confusion
    bouts: Int[np.ndarray, "classes 3"]
    """Bouts hit, missed and wrongly predicted."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All scores of one evaluation."""

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
        bout_counts(labels, predicted, classes),
    )


def sum_confusions(videos: Iterable[VideoScore], classes: int) -> Confusion:
    """Pool the frame counts of some recordings."""
    total = np.zeros((classes, classes), np.int64)
    for video in videos:
        total += video.confusion
    return total


def frame_summary(confusion: Confusion, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return accuracy, macro F1 and per-class scores as plain values (NaN → None)."""
    scores = scores_of_confusion(confusion)
    return {
        "accuracy": plain(accuracy(confusion)),
        "f1_macro": plain(scores.f1_macro),
        "per_class": class_table(scores, classes),
    }


def class_table(scores: ClassScores, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return per-class scores as plain values, NaN as None."""
    return {
        name: {
            "f1": plain(scores.f1[i]),
            "precision": plain(scores.precision[i]),
            "recall": plain(scores.recall[i]),
            "support": int(scores.support[i]),
        }
        for i, name in enumerate(classes)
    }


def summarise(evaluation: Evaluation) -> dict[str, Any]:
    """Return everything `metrics.json` holds."""
    classes = evaluation.classes
    counts = np.sum([v.bouts for v in evaluation.videos], axis=0)
    bouts = scores_of_counts(counts[:, 0], missed=counts[:, 1], wrong=counts[:, 2])
    by_lab: dict[str, list[VideoScore]] = defaultdict(list)
    for video in evaluation.videos:
        by_lab[video.lab].append(video)
    return {
        **frame_summary(evaluation.confusion, classes),
        "classes": list(classes),
        "confusion": evaluation.confusion.tolist(),
        "bouts": {
            "f1_macro": plain(bouts.f1_macro),
            "per_class": class_table(bouts, classes),
        },
        "per_lab": {
            lab: {
                "videos": len(videos),
                **frame_summary(sum_confusions(videos, len(classes)), classes),
            }
            for lab, videos in sorted(by_lab.items())
        },
        "per_video": {
            f"{video.lab}/{video.video}": frame_summary(video.confusion, classes)
            for video in evaluation.videos
        },
        "notes": list(evaluation.notes),
    }


def format_table(summary: dict[str, Any]) -> str:
    """Return the scores as a table for the terminal."""
    bouts = summary["bouts"]
    rows = [f"{'class':<14}{'F1':>8}{'precision':>11}{'recall':>9}{'frames':>11}"]
    rows[0] += f"{'bout F1':>10}{'bouts':>8}"
    for name, scores in summary["per_class"].items():
        of_bouts = bouts["per_class"][name]
        rows.append(
            f"{name:<14}{_show(scores['f1']):>8}{_show(scores['precision']):>11}"
            f"{_show(scores['recall']):>9}{scores['support']:>11,}"
            f"{_show(of_bouts['f1']):>10}{of_bouts['support']:>8,}"
        )
    rows.append(f"{'macro':<14}{_show(summary['f1_macro']):>8}")
    rows[-1] += f"{'':>31}{_show(bouts['f1_macro']):>10}"
    rows += [
        "",
        f"accuracy {_show(summary['accuracy'])}",
        "",
        "people's class → chosen",
    ]
    names = summary["classes"]
    rows.append(f"{'':<14}" + "".join(f"{name[:11]:>12}" for name in names))
    for name, counts in zip(names, summary["confusion"], strict=True):
        rows.append(f"{name:<14}" + "".join(f"{count:>12,}" for count in counts))
    if len(summary["per_lab"]) > 1:
        rows += ["", f"{'lab':<24}{'videos':>7}{'macro F1':>10}{'accuracy':>10}"]
        rows += [
            f"{lab:<24}{scores['videos']:>7}{_show(scores['f1_macro']):>10}"
            f"{_show(scores['accuracy']):>10}"
            for lab, scores in summary["per_lab"].items()
        ]
    worst = sorted(summary["per_video"].items(), key=lambda item: _rank(item[1]))
    shown = worst[:SHOWN_VIDEOS]
    rows += ["", f"{'recordings, worst first':<31}{'macro F1':>10}{'accuracy':>10}"]
    rows += [
        f"{name:<31}{_show(scores['f1_macro']):>10}{_show(scores['accuracy']):>10}"
        for name, scores in shown
    ]
    if len(worst) > len(shown):
        rows.append(f"… and {len(worst) - len(shown)} more, in metrics.json")
    return "\n".join(rows)


def _rank(scores: dict[str, Any]) -> float:
    return np.inf if scores["f1_macro"] is None else scores["f1_macro"]


def plain(value: float) -> float | None:
    """Return a number fit for JSON: None where it is none."""
    return float(value) if np.isfinite(value) else None


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
