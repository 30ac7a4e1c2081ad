"""The predictions that rules are tuned on, split into folds.

A fit mostly needs counts, which are computed once for each fold and summed over any set
of folds. A fit is given a `FoldSubset` and has no access to the other folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.decoding.calibration import BINS, log_odds, tally_frames
from mabe.decoding.joined_recordings import Timeline
from mabe.decoding.smoothing import Smoothing, smooth, switch_rate
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError
from mabe.runtime.console import count
from mabe.scene_task import TaskKind

FRAMES, BOUTS, ON_S, OFF_S = range(4)
"""Counts of a class in the labels: frames, bouts, seconds with it and without it."""


@dataclass(frozen=True, slots=True, eq=False)
class LabData:
    """All views of one lab, end to end, with a column for each class that it has."""

    lab: str
    timeline: Timeline
    fold: Int[np.ndarray, " recordings"]
    columns: Int[np.ndarray, " column"]
    """The class of each column."""
    model_log_odds: Float[np.ndarray, "time column"]
    """Log-odds of the model, NaN where it gives no probability."""
    labels: Int[np.ndarray, "time column"]

    @property
    def frame_fold(self) -> Int[np.ndarray, " time"]:
        """The fold of each frame."""
        return np.repeat(self.fold, self.timeline.lengths)


class TuningData:
    """Predictions of all labs in folds; computed counts are cached.

    Tracks are assigned to folds, those of every lab as evenly as possible. Raises
    `DataError` where views differ in their classes, or there are too few tracks.
    """

    def __init__(
        self, views: Sequence[ViewPredictions], *, folds: int, seed: int
    ) -> None:
        self.kind, self.names = _task_of(views)
        self.classes = len(self.names)
        self.fold_of = _assign_folds(views, folds=folds, seed=seed)
        """The fold of each track."""
        self.folds = tuple(range(max(self.fold_of.values()) + 1))
        self.labs = [
            _join_views(
                [view for view in views if view.lab == lab], self.fold_of, self.kind
            )
            for lab in sorted({view.lab for view in views})
        ]
        self.label_counts = np.stack(
            [count_labels(lab, len(self.folds), self.classes) for lab in self.labs]
        )
        """Counts of the labels: [lab, fold, class, 4]; see `FRAMES`."""
        self._tallies: dict[tuple[int, Smoothing], np.ndarray] = {}
        self._columns: dict[tuple[str, int, Smoothing], np.ndarray] = {}

    def part(self, folds: Sequence[int]) -> "FoldSubset":
        """Return some folds."""
        labs = [LabSubset.of(self, lab, folds) for lab in self.labs]
        return FoldSubset(self, list(folds), labs)

    def tally(
        self, index: int, smoothing: Smoothing
    ) -> Int[np.ndarray, "labs folds bins 2"]:
        """Return in how many frames a class happened, by its smoothed log-odds."""
        if (index, smoothing) not in self._tallies:
            self._tallies[index, smoothing] = np.stack(
                [self._tally_lab(lab, index, smoothing) for lab in self.labs]
            )
        return self._tallies[index, smoothing]

    def column(
        self, lab: LabData, column: int, smoothing: Smoothing
    ) -> Float[np.ndarray, " time"]:
        """Return one class's smoothed log-odds in one lab."""
        key = lab.lab, column, smoothing
        if key not in self._columns:
            self._columns[key] = _smooth_column(lab, column, smoothing)
        return self._columns[key]

    def _tally_lab(
        self, lab: LabData, index: int, smoothing: Smoothing
    ) -> Int[np.ndarray, "folds bins 2"]:
        """Count without caching the smoothed column: most candidates are not chosen."""
        if index not in lab.columns:
            return np.zeros((len(self.folds), BINS, 2), int)
        column = int(np.searchsorted(lab.columns, index))
        return tally_frames(
            _smooth_column(lab, column, smoothing),
            lab.labels[:, column],
            lab.frame_fold,
            len(self.folds),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LabSubset:
    """The data of one lab in some folds."""

    lab: str
    columns: Int[np.ndarray, " column"]
    timeline: Timeline
    labels: Int[np.ndarray, "time column"]
    _data: TuningData
    _whole: LabData
    _frames: Bool[np.ndarray, " all_time"]

    @classmethod
    def of(cls, data: TuningData, whole: LabData, folds: Sequence[int]) -> "LabSubset":
        """Return the data of one lab in some folds."""
        chosen, timeline = np.isin(whole.fold, folds), whole.timeline
        frames = np.repeat(chosen, timeline.lengths)
        return cls(
            whole.lab,
            whole.columns,
            Timeline(timeline.lengths[chosen], timeline.fps[chosen]),
            whole.labels[frames],
            data,
            whole,
            frames,
        )

    def smoothed(self, column: int, smoothing: Smoothing) -> Float[np.ndarray, " time"]:
        """Return the smoothed log-odds of one column, NaN where unknown."""
        return self._data.column(self._whole, column, smoothing)[self._frames]


@dataclass(frozen=True, slots=True, eq=False)
class FoldSubset:
    """Some folds: all the data that a fit has access to."""

    _data: TuningData
    _folds: list[int]
    labs: list[LabSubset]

    @property
    def kind(self) -> TaskKind:
        """The kind of task."""
        return self._data.kind

    @property
    def folds(self) -> tuple[int, ...]:
        """The numbers of the folds."""
        return tuple(self._folds)

    def only(self, folds: Sequence[int]) -> "FoldSubset":
        """Return some of these folds."""
        return self._data.part(folds)

    @property
    def label_counts(self) -> Float[np.ndarray, "labs folds classes 4"]:
        """Counts of the labels; see `FRAMES`."""
        return self._data.label_counts[:, self._folds]

    def tally(
        self, index: int, smoothing: Smoothing
    ) -> Int[np.ndarray, "labs folds bins 2"]:
        """Return in how many frames a class happened, by its smoothed log-odds."""
        return self._data.tally(index, smoothing)[:, self._folds]

    def switches_per_s(self, index: int) -> float:
        """Return how often a class starts or stops."""
        label_counts = self.label_counts[:, :, index].sum(axis=(0, 1))
        return switch_rate(label_counts[BOUTS], label_counts[ON_S], label_counts[OFF_S])


def count_labels(
    lab: LabData, folds: int, classes: int
) -> Float[np.ndarray, "folds classes 4"]:
    """Return the counts of one lab's labels for each class; see `FRAMES`."""
    label_counts = np.zeros((folds, classes, 4))
    fold, seconds = lab.frame_fold, 1 / lab.timeline.frame_fps
    is_first = np.roll(lab.timeline.is_last, 1)
    for column, index in enumerate(lab.columns):
        on, off = (lab.labels[:, column] == state for state in (1, 0))
        starts = on & (is_first | ~np.roll(on, 1))
        for what, weights in (
            (FRAMES, on),
            (BOUTS, starts),
            (ON_S, on * seconds),
            (OFF_S, off * seconds),
        ):
            label_counts[:, index, what] = np.bincount(fold, weights, minlength=folds)
    return label_counts


def _smooth_column(
    lab: LabData, column: int, smoothing: Smoothing
) -> Float[np.ndarray, " time"]:
    model_log_odds = lab.model_log_odds[:, column].astype(np.float64)
    return smooth(model_log_odds, lab.timeline, smoothing).astype(np.float32)


def _task_of(views: Sequence[ViewPredictions]) -> tuple[TaskKind, tuple[str, ...]]:
    """Return the kind of task and the classes, which all views must share."""
    tasks = sorted({(view.kind, view.classes) for view in views})
    if len(tasks) != 1:
        raise DataError(
            f"tuning: expected views of one set of classes, found {tasks}; give every "
            "view all classes, NaN where one is impossible"
        )
    return tasks[0]


def _assign_folds(
    views: Sequence[ViewPredictions], *, folds: int, seed: int
) -> dict[str, int]:
    """Return the fold of each track."""
    rng = np.random.default_rng(seed)
    assigned: dict[str, int] = {}
    for lab in sorted({view.lab for view in views}):
        groups = sorted({view.track for view in views if view.lab == lab})
        for place in rng.permutation(len(groups)):
            # A track can occur in two labs; it keeps the fold it was assigned first.
            assigned.setdefault(groups[place], len(assigned) % folds)
    if len(set(assigned.values())) < 3:
        raise DataError(
            f"tuning: {count(len(assigned), 'track')} in {folds} folds; at least "
            "three are needed: to tune on one, choose on another, and judge on a third"
        )
    return assigned


def _join_views(
    views: list[ViewPredictions], fold_of: dict[str, int], kind: TaskKind
) -> LabData:
    """Lay the views of one lab end to end. With a background, all classes are kept."""
    is_known = [
        np.isfinite(view.probabilities).any(axis=0) | (view.labels == 1).any(axis=0)
        for view in views
    ]
    columns = np.flatnonzero(np.any(is_known, axis=0) | kind.has_background)
    probabilities = np.concatenate([view.probabilities[:, columns] for view in views])
    return LabData(
        lab=views[0].lab,
        timeline=Timeline(
            np.array([len(view.labels) for view in views], int),
            np.array([view.fps for view in views], float),
        ),
        fold=np.array([fold_of[view.track] for view in views]),
        columns=columns,
        model_log_odds=log_odds(probabilities).astype(np.float32),
        labels=np.concatenate([view.labels[:, columns] for view in views]),
    )
