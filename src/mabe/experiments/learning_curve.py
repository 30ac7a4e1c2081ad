"""What more labels would bring: the score of trees grown on parts of the labels.

Recordings are held out fold by fold, as for the score of a round. Of the others more
and more are learned from, in nested random orders, and each time the held-out ones are
scored. The gain of a doubling of labels is the slope of macro F1 over the logarithm of
labelled minutes at the larger sizes; its 95 % interval is a bootstrap over held-out
recordings, each drawn with its scores at all sizes. It does not hold for more than a
doubling, and not where further labels differ in kind from those so far.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mabe.data.splits import split_folds
from mabe.data.store import PoseStore
from mabe.experiments.label_round import (
    FOLDS,
    LabelledRound,
    Report,
    labelled_min,
    reading_labels,
    score_held_out,
)
from mabe.metrics.confidence_interval import FEWEST_TRACKS, RESAMPLES
from mabe.metrics.frame_scores import macro_f1, without_unlearned
from mabe.recording import StoredRecording
from mabe.scene_task import TaskKind

SHARES = (0.25, 0.5, 0.75, 1.0)
"""The parts of the recordings that are learned from."""


ORDERS = 2
"""Random orders in which recordings come."""


_FITTED = 3
"""The slope is that of so many of the largest sizes."""


MORE_MIN = 10.0
"""Minutes of labels of which the gain is told."""


@dataclass(frozen=True, slots=True)
class Gain:
    """A gain of macro F1, and its 95 % interval."""

    f1: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Scores by labelled minutes."""

    minutes: tuple[float, ...]
    """Mean labelled minutes that were learned from, ascending."""
    f1: tuple[float, ...]
    """Macro F1 on recordings held out."""
    recordings: int
    """Labelled ones."""
    labelled_min: float
    """Labelled minutes of all of them."""
    per_doubling: Gain | None
    """None where there is too little to say."""

    def gain_of(self, more_min: float) -> Gain | None:
        """Return what more minutes would bring, of at most a doubling."""
        each = self.per_doubling
        if each is None or not self.labelled_min > 0:
            return None
        part = float(np.log2(1 + min(more_min, self.labelled_min) / self.labelled_min))
        return Gain(each.f1 * part, each.low * part, each.high * part)

    def describe(self, more_min: float = MORE_MIN) -> str:
        """Return what more minutes would bring, for people to read."""
        gain = self.gain_of(more_min)
        if gain is None:
            return (
                "What more labels would bring cannot be said yet: it needs "
                f"{FEWEST_TRACKS} recordings with labels, there "
                f"{'is' if self.recordings == 1 else 'are'} {self.recordings}."
            )
        if more_min <= self.labelled_min:
            more = f"Another {more_min:g} minutes of labels"
        else:
            more = f"As many labels again ({self.labelled_min:.1f} minutes)"
        about = f"{gain.f1:+.2f} (95 %: {gain.low:+.2f} to {gain.high:+.2f})"
        told = f"{more} would change the mean F1 by about {about}."
        if gain.low <= 0 <= gain.high:
            told += " That cannot be told from no change."
        return told

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        gain = self.gain_of(MORE_MIN)
        return {
            "minutes": [round(each, 3) for each in self.minutes],
            "f1": [round(each, 4) for each in self.f1],
            "recordings": self.recordings,
            "gain": gain and [round(v, 4) for v in (gain.f1, gain.low, gain.high)],
            "text": self.describe(),
        }


def measure_curve(
    data_dir: Path,
    store: PoseStore,
    work_dir: Path,
    *,
    undirected: Sequence[str] = (),
    report: Report = lambda *_: None,
) -> LearningCurve:
    """Return the learning curve of the labels of a data set.

    `work_dir` is where a model of them would be saved; nothing is written there. With
    one labelled recording there are no scores. Raises `DataError` where there is
    nothing to learn yet.
    """
    with reading_labels(data_dir, store, work_dir, undirected, report) as labels:
        recordings = labels.recordings
        minutes = np.array([labelled_min(each) for each in recordings])
        folds = split_folds(recordings, folds=FOLDS, seed=0)
        if len(folds) < 2:
            return _curve(recordings, minutes, np.empty(0), None)
        learned_min, counts = _score_parts(labels, folds, minutes, report)
    return _curve(recordings, minutes, learned_min, counts)


def _score_parts(
    labels: LabelledRound,
    folds: Sequence[Sequence[int]],
    minutes: Float[np.ndarray, " recording"],
    report: Report,
) -> tuple[Float[np.ndarray, " size"], Int[np.ndarray, "size tracks labs classes 3"]]:
    """Return the minutes and the counts of held-out tracks at each size."""
    places = range(len(minutes))
    tracks = sorted({each.tracking_hash for each in labels.recordings})
    classes = len(labels.objective.task.actions)
    counts = np.zeros((len(SHARES), len(tracks), 1, classes, 3), int)
    fold_of = np.zeros(len(tracks), int)
    learned = np.zeros(len(SHARES))
    total, done = len(folds) * ORDERS * len(SHARES), 0
    for order in range(ORDERS):
        for number, fold in enumerate(folds):
            rng = np.random.default_rng([order, number])
            others = rng.permutation([p for p in places if p not in set(fold)])
            for size, share in enumerate(SHARES):
                report("measuring what more labels would bring", done, total)
                some = others[: int(np.ceil(share * len(others)))].tolist()
                for track, found in score_held_out(labels, fold, some).items():
                    counts[size, tracks.index(track)] += found
                    fold_of[tracks.index(track)] = number
                learned[size] += minutes[some].sum() / (len(folds) * ORDERS)
                done += 1
    return learned, np.stack([without_unlearned(each, fold_of) for each in counts])


def _curve(
    recordings: Sequence[StoredRecording],
    minutes: Float[np.ndarray, " recording"],
    learned_min: Float[np.ndarray, " size"],
    counts: Int[np.ndarray, "size tracks labs classes 3"] | None,
) -> LearningCurve:
    f1: tuple[float, ...] = ()
    gain = None
    if counts is not None:
        f1 = tuple(float(macro_f1(each.sum(axis=0), TaskKind.PAIR)) for each in counts)
        gain = gain_per_doubling(learned_min, counts)
    return LearningCurve(
        minutes=tuple(learned_min.tolist()),
        f1=f1,
        recordings=len(recordings),
        labelled_min=float(minutes.sum()),
        per_doubling=gain,
    )


def gain_per_doubling(
    learned_min: Float[np.ndarray, " size"],
    counts: Int[np.ndarray, "size tracks labs classes 3"],
    *,
    seed: int = 0,
) -> Gain | None:
    """Return the gain of twice as many labels; None with fewer tracks than 5.

    Also None where all sizes have the same minutes.
    """
    tracks = counts.shape[1]
    x = np.log2(np.maximum(learned_min, 1e-6))[-_FITTED:]
    if tracks < FEWEST_TRACKS or len(x) < 2 or np.ptp(x) < 0.1:
        return None
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()

    def slope(drawn: Int[np.ndarray, " track"]) -> float:
        some = counts[-_FITTED:, drawn].sum(axis=1)
        scores = [float(macro_f1(each, TaskKind.PAIR)) for each in some]
        return float(np.dot(weights, scores))

    draws = np.random.default_rng(seed).integers(0, tracks, (RESAMPLES, tracks))
    slopes = np.array([slope(draw) for draw in draws])
    slopes = slopes[np.isfinite(slopes)]
    gain = slope(np.arange(tracks))
    if not (np.isfinite(gain) and len(slopes)):
        return None
    low, high = np.percentile(slopes, [2.5, 97.5]).tolist()
    return Gain(gain, low, high)
