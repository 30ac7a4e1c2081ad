"""The evidence that rules are tuned on, dealt into folds.

What a fit needs of a fold are mostly counts, so that those of any set of folds are
sums, made once. A fit is given a `Part`: it has no way to look at the other folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.decoding.calibration import BINS, log_odds, tally_frames
from mabe.decoding.smoothing import Smoothing, smooth, switch_rate
from mabe.decoding.timeline import Timeline
from mabe.decoding.views import ViewPredictions
from mabe.errors import DataError
from mabe.scene_task import TaskKind

FRAMES, BOUTS, ON_S, OFF_S = range(4)
"""What labels show of a class: its frames and bouts, seconds with it and without."""


@dataclass(frozen=True, slots=True, eq=False)
class LabMaterial:
    """All views of one lab, end to end, with the classes that anything is known of."""

    lab: str
    timeline: Timeline
    fold: Int[np.ndarray, " recordings"]
    asked: Int[np.ndarray, " asked"]
    """Which classes the columns stand for."""
    evidence: Float[np.ndarray, "time asked"]
    """Log-odds as the model gave them, NaN where it said nothing."""
    labels: Int[np.ndarray, "time asked"]

    @property
    def frame_fold(self) -> Int[np.ndarray, " time"]:
        """The fold of each frame."""
        return np.repeat(self.fold, self.timeline.lengths)


class Material:
    """Evidence of all labs in folds; what is computed of it is kept.

    Recordings are dealt by group, every lab over all folds as evenly as can be.
    Raises `DataError` where views differ in their classes, or too few can be dealt.
    """

    def __init__(
        self, views: Sequence[ViewPredictions], *, folds: int, seed: int
    ) -> None:
        self.kind, self.names = _task_of(views)
        self.classes = len(self.names)
        fold_of = _deal(views, folds=folds, seed=seed)
        self.folds = tuple(range(max(fold_of.values()) + 1))
        self.labs = [
            _lay_out([view for view in views if view.lab == lab], fold_of, self.kind)
            for lab in sorted({view.lab for view in views})
        ]
        self.shown = np.stack(
            [count_shown(lab, len(self.folds), self.classes) for lab in self.labs]
        )
        """What the labels show: [lab, fold, class, 4]; see `FRAMES`."""
        self._tallies: dict[tuple[int, Smoothing], np.ndarray] = {}
        self._columns: dict[tuple[str, int, Smoothing], np.ndarray] = {}

    def part(self, folds: Sequence[int]) -> "Part":
        """Return some folds."""
        labs = [LabPart.of(self, lab, folds) for lab in self.labs]
        return Part(self, list(folds), labs)

    def tally(self, index: int, how: Smoothing) -> Int[np.ndarray, "labs folds bins 2"]:
        """Return in how many frames a class happened, by its smoothed log-odds."""
        if (index, how) not in self._tallies:
            self._tallies[index, how] = np.stack(
                [self._tally_lab(lab, index, how) for lab in self.labs]
            )
        return self._tallies[index, how]

    def column(
        self, lab: LabMaterial, column: int, how: Smoothing
    ) -> Float[np.ndarray, " time"]:
        """Return one class's smoothed log-odds in one lab."""
        key = lab.lab, column, how
        if key not in self._columns:
            self._columns[key] = _smooth_column(lab, column, how)
        return self._columns[key]

    def _tally_lab(
        self, lab: LabMaterial, index: int, how: Smoothing
    ) -> Int[np.ndarray, "folds bins 2"]:
        """Count, but do not keep what is counted: most candidates are not chosen."""
        if index not in lab.asked:
            return np.zeros((len(self.folds), BINS, 2), int)
        column = int(np.searchsorted(lab.asked, index))
        return tally_frames(
            _smooth_column(lab, column, how),
            lab.labels[:, column],
            lab.frame_fold,
            len(self.folds),
        )


@dataclass(frozen=True, slots=True, eq=False)
class LabPart:
    """What one lab has in some folds."""

    lab: str
    asked: Int[np.ndarray, " asked"]
    timeline: Timeline
    labels: Int[np.ndarray, "time asked"]
    _material: Material
    _whole: LabMaterial
    _frames: Bool[np.ndarray, " all_time"]

    @classmethod
    def of(
        cls, material: Material, whole: LabMaterial, folds: Sequence[int]
    ) -> "LabPart":
        """Return one lab's share of some folds."""
        chosen, timeline = np.isin(whole.fold, folds), whole.timeline
        frames = np.repeat(chosen, timeline.lengths)
        return cls(
            whole.lab,
            whole.asked,
            Timeline(timeline.lengths[chosen], timeline.fps[chosen]),
            whole.labels[frames],
            material,
            whole,
            frames,
        )

    def smoothed(self, column: int, how: Smoothing) -> Float[np.ndarray, " time"]:
        """Return the smoothed log-odds of one column, NaN where nothing is said."""
        return self._material.column(self._whole, column, how)[self._frames]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some folds: all that a fit gets to see."""

    _material: Material
    _folds: list[int]
    labs: list[LabPart]

    @property
    def kind(self) -> TaskKind:
        """What is asked of a frame."""
        return self._material.kind

    @property
    def shown(self) -> Float[np.ndarray, "labs folds classes 4"]:
        """What the labels show; see `FRAMES`."""
        return self._material.shown[:, self._folds]

    def tally(self, index: int, how: Smoothing) -> Int[np.ndarray, "labs folds bins 2"]:
        """Return in how many frames a class happened, by its smoothed log-odds."""
        return self._material.tally(index, how)[:, self._folds]

    def switches_per_s(self, index: int) -> float:
        """Return how often a class starts or stops."""
        shown = self.shown[:, :, index].sum(axis=(0, 1))
        return switch_rate(shown[BOUTS], shown[ON_S], shown[OFF_S])


def count_shown(
    lab: LabMaterial, folds: int, classes: int
) -> Float[np.ndarray, "folds classes 4"]:
    """Return what the labels of one lab show of each class; see `FRAMES`."""
    shown = np.zeros((folds, classes, 4))
    fold, seconds = lab.frame_fold, 1 / lab.timeline.frame_fps
    is_first = np.roll(lab.timeline.is_last, 1)
    for column, index in enumerate(lab.asked):
        on, off = (lab.labels[:, column] == state for state in (1, 0))
        starts = on & (is_first | ~np.roll(on, 1))
        for what, weights in (
            (FRAMES, on),
            (BOUTS, starts),
            (ON_S, on * seconds),
            (OFF_S, off * seconds),
        ):
            shown[:, index, what] = np.bincount(fold, weights, minlength=folds)
    return shown


def _smooth_column(
    lab: LabMaterial, column: int, how: Smoothing
) -> Float[np.ndarray, " time"]:
    evidence = lab.evidence[:, column].astype(np.float64)
    return smooth(evidence, lab.timeline, how).astype(np.float32)


def _task_of(views: Sequence[ViewPredictions]) -> tuple[TaskKind, tuple[str, ...]]:
    """Return the kind of task and the classes, which all views must share."""
    tasks = sorted({(view.kind, view.classes) for view in views})
    if len(tasks) != 1:
        raise DataError(
            f"tuning: expected views of one set of classes, found {tasks}; give every "
            "view all classes, NaN where one is impossible"
        )
    return tasks[0]


def _deal(views: Sequence[ViewPredictions], *, folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each group."""
    rng = np.random.default_rng(seed)
    dealt: dict[str, int] = {}
    for lab in sorted({view.lab for view in views}):
        groups = sorted({view.track for view in views if view.lab == lab})
        for place in rng.permutation(len(groups)):
            # A track can occur in two labs; it stays where it was dealt first.
            dealt.setdefault(groups[place], len(dealt) % folds)
    if len(set(dealt.values())) < 3:
        raise DataError(
            f"evidence: {len(dealt)} group(s) of recordings in {folds} folds; at least "
            "three are needed: to tune on one, choose on another, and judge on a third"
        )
    return dealt


def _lay_out(
    views: list[ViewPredictions], fold_of: dict[str, int], kind: TaskKind
) -> LabMaterial:
    """Lay the views of one lab end to end. A scene is asked for all of its classes."""
    is_known = [
        np.isfinite(view.probabilities).any(axis=0) | (view.labels == 1).any(axis=0)
        for view in views
    ]
    asked = np.flatnonzero(np.any(is_known, axis=0) | kind.has_background)
    probabilities = np.concatenate([view.probabilities[:, asked] for view in views])
    return LabMaterial(
        lab=views[0].lab,
        timeline=Timeline(
            np.array([len(view.labels) for view in views], int),
            np.array([view.fps for view in views], float),
        ),
        fold=np.array([fold_of[view.track] for view in views]),
        asked=asked,
        evidence=log_odds(probabilities).astype(np.float32),
        labels=np.concatenate([view.labels[:, asked] for view in views]),
    )
