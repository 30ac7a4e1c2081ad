"""Predictions of a model, view by view, beside the annotations.

A *view* is a scene, or an agent and a target (see `mabe.bouts.View`). Probabilities and
labels have the axes ``[frame, class]``. A probability is NaN where the model gives
none, in single frames or for a class that is impossible in the view. A label is 1 (the
class happens), 0 (it does not) or -1 (not watched or ignored, so not counted). Spans
are half-open.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.bouts import NO_ACTION, Bout, Spans, View, find_bouts, find_spans
from mabe.decoding.calibration import BINS, tally_frames
from mabe.decoding.rules import DecisionRules, decide, refine
from mabe.errors import DataError
from mabe.metrics.confidence_interval import Confidence, confidence_of_counts
from mabe.metrics.frame_scores import (
    Confusion,
    Counts,
    Labels,
    confusion_matrix,
    count_frames,
)
from mabe.scene_task import NOT_COUNTED, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewPredictions:
    """Probabilities, decisions and labels of one view of one recording.

    Raises `DataError` where they do not fit each other.
    """

    kind: TaskKind
    classes: tuple[str, ...]
    lab: str
    video: str
    view: View
    track: str
    """Content hash of the track. Splits keep views of one track together."""
    fps: float
    probabilities: Float[np.ndarray, "frame classes"]
    labels: Int[np.ndarray, "frame classes"]
    chosen: Int[np.ndarray, " frame"] | None = None
    """The class of each frame, or `NO_ACTION`; None before a decision."""
    animals: tuple[str, ...] = ()
    """The lab's names of the animals 1, 2 …, where they are known."""

    def __post_init__(self) -> None:
        where = f"predictions of {self.name}"
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise DataError(f"{where}: frames per second must be > 0, found {self.fps}")
        if self.probabilities.shape != self.labels.shape:
            raise DataError(
                f"{where}: expected one label for each probability, found shapes "
                f"{self.labels.shape} and {self.probabilities.shape}; are both at the "
                "same frames?"
            )
        if self.labels.shape[1] != len(self.classes):
            raise DataError(
                f"{where}: expected a column for each of {list(self.classes)}, found "
                f"{self.labels.shape[1]}; give every view all classes, NaN where one "
                "is impossible"
            )
        if ((self.probabilities < 0) | (self.probabilities > 1)).any():
            low, high = np.nanmin(self.probabilities), np.nanmax(self.probabilities)
            raise DataError(
                f"{where}: expected probabilities from 0 to 1, found {low} to {high}; "
                "are these logits?"
            )
        if self.labels.size and not (
            self.labels.min() >= NOT_COUNTED and self.labels.max() <= 1
        ):
            raise DataError(
                f"{where}: expected labels -1, 0 or 1, found {self.labels.min()} to "
                f"{self.labels.max()}; class indices become these by `SceneLabels`"
            )

    @property
    def name(self) -> str:
        """The recording as messages and outputs name it."""
        return f"{self.lab}/{self.video}"

    @property
    def view_label(self) -> str:
        """Agent and target in words, by the lab's names; empty for a scene."""
        return self.view.label(self.animals)

    @property
    def key(self) -> tuple[str, str, View]:
        """Recording and view."""
        return self.lab, self.video, self.view

    @property
    def duration_s(self) -> float:
        """Length of the recording."""
        return len(self.labels) / self.fps

    @property
    def counted(self) -> Bool[np.ndarray, " frame"]:
        """The frames in which at least one class has a label."""
        return np.any(self.labels != NOT_COUNTED, axis=1)

    @property
    def class_labels(self) -> Labels:
        """The annotated class of each frame, for a task in which there is just one."""
        return np.where(self.counted, self.labels.argmax(axis=1), NOT_COUNTED)

    @property
    def decisions(self) -> Int[np.ndarray, " frame"]:
        """What was chosen; raises `ValueError` before `decide`."""
        if self.chosen is None:
            raise ValueError(f"{self.name}: nothing was decided yet; use `decide`")
        return self.chosen

    def decide(self, rules: DecisionRules) -> "ViewPredictions":
        """Return the same with the decisions of some rules."""
        chosen = decide(self.probabilities, fps=self.fps, lab=self.lab, rules=rules)
        return replace(self, chosen=chosen)

    def bouts(self) -> list[Bout]:
        """Return the predicted bouts, in time order."""
        return find_bouts(
            self.decisions,
            self.probabilities,
            self.classes,
            nothing=self.kind.nothing,
            agent=self.view.agent,
            target=self.view.target,
        )

    def annotated_spans(self, place: int) -> Spans:
        """Return the annotated bouts of one class."""
        return find_spans(self.labels[:, place] == 1)

    def predicted_spans(self, place: int, *, counted: bool = False) -> Spans:
        """Return the predicted bouts of one class.

        Only what lies in frames that count for it, if `counted`.
        """
        is_chosen = self.decisions == place
        if counted:
            is_chosen &= self.labels[:, place] != NOT_COUNTED
        return find_spans(is_chosen)

    def counts(self) -> Counts:
        """Count the frames of each class.

        A frame without any probability is not counted as predicted background.
        """
        is_unknown = np.isnan(self.probabilities).all(axis=1)
        chosen = np.where(is_unknown, NO_ACTION, self.decisions)
        return count_frames(chosen, self.labels)

    def confusion(self) -> Confusion:
        """Count frames by annotated class (row) and predicted class (column).

        Rows and columns are those of `TaskKind.choice_names`. A frame with two
        annotated classes counts in both rows. A predicted class that was not watched
        for counts neither as right nor as wrong.
        """
        classes = len(self.classes)
        size = len(self.kind.choice_names(self.classes))
        counted, happens = self.counted[:, None], self.labels == 1
        is_known = np.concatenate([self.labels != NOT_COUNTED, counted], axis=1)
        is_nothing = counted & ~happens.any(axis=1, keepdims=True)
        rows = np.concatenate([happens, is_nothing], axis=1)[:, :size]
        frames, true = np.nonzero(rows)
        chosen = np.where(self.decisions == NO_ACTION, classes, self.decisions)[frames]
        judged = is_known[frames, chosen] & (chosen < size)
        return confusion_matrix(true[judged], chosen[judged], size)

    def tally(self, rules: DecisionRules) -> Int[np.ndarray, "classes bins 2"]:
        """Count frames in which each class happened or not, by its refined log-odds."""
        refined = refine(self.probabilities, fps=self.fps, rules=rules)
        tally = np.zeros((len(self.classes), BINS, 2), np.int64)
        one_part = np.zeros(len(refined), int)
        for place in range(len(self.classes)):
            labels = self.labels[:, place].astype(int)
            tally[place] = tally_frames(refined[:, place], labels, one_part, 1)[0]
        return tally


def tally_views(
    views: Sequence[ViewPredictions], rules: DecisionRules
) -> Int[np.ndarray, "classes bins 2"]:
    """Return the sum of the tallies of some views."""
    tally = np.zeros((len(rules.classes), BINS, 2), np.int64)
    for view in views:
        tally += view.tally(rules)
    return tally


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Predictions of recordings by models that did not learn from them."""

    kind: TaskKind
    classes: tuple[str, ...]
    views: tuple[ViewPredictions, ...]

    def decide(self, rules: DecisionRules) -> Iterator[ViewPredictions]:
        """Yield each view with the decisions of some rules."""
        for view in self.views:
            probabilities = view.probabilities.astype(np.float32)
            yield replace(view, probabilities=probabilities).decide(rules)

    @property
    def plain_rules(self) -> DecisionRules:
        """Rules without tuned thresholds or smoothing, for these classes."""
        return DecisionRules.plain(self.kind, self.classes)

    @property
    def tracks(self) -> tuple[str, ...]:
        """Content hashes of all tracks."""
        return tuple(sorted({view.track for view in self.views}))


def score_with_confidence(
    views: Sequence[ViewPredictions], rules: DecisionRules, *, seed: int = 0
) -> Confidence:
    """Return the score of some rules, and its 95 % interval over recordings.

    Macro F1 over classes (scene), or the challenge's mean over labs and actions (pair).
    All are NaN where nothing can be scored: no action is annotated or predicted.
    """
    return confidence_of_counts(count_by_track(views, rules), rules.kind, seed=seed)


def count_by_track(
    views: Sequence[ViewPredictions], rules: DecisionRules
) -> Int[np.ndarray, "tracks labs classes 3"]:
    """Count frames labelled, predicted and hit of each track."""
    labs = sorted({view.lab for view in views})
    tracks = sorted({view.track for view in views})
    counts = np.zeros((len(tracks), len(labs), len(rules.classes), 3), np.int64)
    for view in views:
        place = tracks.index(view.track), labs.index(view.lab)
        counts[place] += view.decide(rules).counts()
    return counts
