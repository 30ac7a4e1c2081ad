"""Counts of frames and bouts for each lab and action, and the scores made of them.

Convention: rows of the same (lab, video, agent, target, action) are one set of frames.
Frames are pooled over a lab's videos and pairs first, F is computed once. A *bout* is
an uninterrupted stretch of that set, so bouts that touch are one. Bouts match where
they overlap by more than half of their union (see `mabe.metrics.bout_scores`). The
tables `marks` and `entries` are described in `mabe.metrics.challenge_tables`.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Int

from mabe.errors import DataError
from mabe.metrics.challenge_tables import ENTRY
from mabe.metrics.frame_scores import f_scores
from mabe.metrics.span_matching import (
    GroupedSpans,
    find_collisions,
    find_overlaps,
    lay_end_to_end,
    match_bouts,
    merge_by_group,
)

_PAIR = ("lab", "video", "agent", "target")


_KEY = (*_PAIR, "action")


_ROW = ("lab", "counts_as")


class HostVisibleError(DataError):
    """A submission has two actions of one agent and target in one frame.

    Competitors see the error of this name instead of a score.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionScore:
    """The score of one action in one lab."""

    lab: str
    action: str
    in_mean: bool
    """False: shown, but no part of the lab's mean."""
    label_frames: int
    predicted_frames: int
    hit_frames: int
    """Frames both labelled and predicted: true positives."""
    label_bouts: int
    predicted_bouts: int
    hit_bouts: int
    """Bouts that match one to one."""

    @property
    def missed_frames(self) -> int:
        """False negatives."""
        return self.label_frames - self.hit_frames

    @property
    def wrong_frames(self) -> int:
        """False positives."""
        return self.predicted_frames - self.hit_frames

    @property
    def precision(self) -> float:
        """Share of the predicted frames that are right; NaN if there are none."""
        return _ratio(self.hit_frames, self.predicted_frames)

    @property
    def recall(self) -> float:
        """Share of the labelled frames that were predicted; NaN if there are none."""
        return _ratio(self.hit_frames, self.label_frames)

    @property
    def bout_f1(self) -> float:
        """F1 of bouts; NaN if there are neither labels nor predictions."""
        return _ratio(2 * self.hit_bouts, self.label_bouts + self.predicted_bouts)

    @property
    def f1(self) -> float:
        """F1 of frames; NaN where it is no part of the mean."""
        return self.f_score() if self.in_mean else np.nan

    def f_score(self, beta: float = 1.0) -> float:
        """F of frames, recall weighing `beta` times precision; 0 if there are none.

        Raises `ZeroDivisionError` for ``beta=0`` and labels without a prediction.
        """
        if not self.label_frames and not self.predicted_frames:
            return 0.0
        counts = self.label_frames, self.predicted_frames, self.hit_frames
        score = float(f_scores(np.array(counts), beta))
        if math.isnan(score):
            raise ZeroDivisionError(
                f"{self.lab}: {self.action} was never predicted, and beta={beta} asks "
                "for precision alone, which it has not; use a beta above 0."
            )
        return score


@dataclass(frozen=True, slots=True)
class LabScore:
    """The actions of one lab."""

    lab: str
    actions: tuple[ActionScore, ...]

    def f_score(self, beta: float = 1.0) -> float:
        """Mean F over the actions of the mean; NaN if there are none."""
        scores = [action.f_score(beta) for action in self.actions if action.in_mean]
        return _ratio(sum(scores), len(scores))

    @property
    def bout_f1(self) -> float:
        """Mean F1 of bouts over the actions of the mean that have bouts."""
        return _mean([action.bout_f1 for action in self.actions if action.in_mean])


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """The scores of a submission, lab by lab and action by action."""

    labs: tuple[LabScore, ...]
    notes: tuple[str, ...] = field(default=())
    """Notes on what was not counted."""

    @property
    def actions(self) -> tuple[ActionScore, ...]:
        """The scores of all labs."""
        return tuple(action for lab in self.labs for action in lab.actions)

    def f_score(self, beta: float = 1.0) -> float:
        """Mean over the labs that have a score; NaN if none has."""
        return _mean([lab.f_score(beta) for lab in self.labs])

    def to_frame(self) -> pl.DataFrame:
        """Return one row for each lab and action, NaN where there is no score."""
        return pl.DataFrame(
            [
                {
                    "lab": row.lab,
                    "action": row.action,
                    "in_mean": row.in_mean,
                    "f1": row.f1,
                    "precision": row.precision,
                    "recall": row.recall,
                    "label_frames": row.label_frames,
                    "hit_frames": row.hit_frames,
                    "wrong_frames": row.wrong_frames,
                    "missed_frames": row.missed_frames,
                    "bout_f1": row.bout_f1,
                    "label_bouts": row.label_bouts,
                    "predicted_bouts": row.predicted_bouts,
                    "hit_bouts": row.hit_bouts,
                }
                for row in self.actions
            ]
        )


def score_bouts(
    labels: pl.DataFrame,
    predictions: pl.DataFrame,
    entries: pl.DataFrame,
    *,
    only_what_occurs: bool,
) -> ScoreTable:
    """Score predictions of what `entries` list in the videos of labels and entries.

    Both marks have a column `counts_as`, the action they count for. `only_what_occurs`
    keeps actions without a labelled frame out of the mean. Raises `HostVisibleError`.
    """
    predictions = predictions.with_columns(entry=ENTRY).with_row_index("row")
    videos = pl.concat([labels.select("lab", "video"), entries.select("lab", "video")])
    known = predictions.join(videos.unique(), on="video")
    counted = known.join(entries, on=["lab", "video", "entry"], how="semi")
    return ScoreTable(
        _count(labels, counted, only_what_occurs=only_what_occurs),
        _notes_on_lost(predictions, known, counted),
    )


def _notes_on_lost(
    predictions: pl.DataFrame, known: pl.DataFrame, counted: pl.DataFrame
) -> tuple[str, ...]:
    """Say which predictions did not count, with an example."""
    unknown = predictions.join(known, on="video", how="anti")
    unwatched = known.join(counted, on=["video", "entry"], how="anti")
    notes = []
    if len(unknown):
        notes.append(
            f"predictions in videos that the solution does not have: {len(unknown):,}, "
            f"not counted (the first is in {unknown['video'][0]})"
        )
    if len(unwatched):
        notes.append(
            f"predictions of unwatched actions: {unwatched['row'].n_unique():,}, "
            f"not counted (the first is {unwatched['entry'][0]} in video "
            f"{unwatched['video'][0]})"
        )
    return tuple(notes)


def _count(
    labels: pl.DataFrame, predictions: pl.DataFrame, *, only_what_occurs: bool
) -> tuple[LabScore, ...]:
    """Return the counts of every lab and action that labels or predictions name."""
    keys, names = _number_keys(labels, predictions)
    row_of_key = keys["row_of_table"].to_numpy().astype(np.int64)
    true, predicted = _merge(labels, keys), _merge(predictions, keys)
    _refuse_collisions(predicted, keys)

    one, other = lay_end_to_end(true, predicted)
    overlaps = find_overlaps(one, other)
    hit_row = row_of_key[true.group[overlaps.one]]
    true_row, predicted_row = row_of_key[true.group], row_of_key[predicted.group]
    counts = np.stack(
        [
            _sum_by(true_row, true.lengths, len(names)),
            _sum_by(predicted_row, predicted.lengths, len(names)),
            _sum_by(hit_row, overlaps.frames, len(names)),
            np.bincount(true_row, minlength=len(names)),
            np.bincount(predicted_row, minlength=len(names)),
            _sum_by(hit_row, match_bouts(one, other, overlaps), len(names)),
        ],
        axis=1,
    )
    return _as_labs(names, counts, only_what_occurs=only_what_occurs)


def _number_keys(
    labels: pl.DataFrame, predictions: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return numbered keys (what may not mix), and the rows of the table in order.

    A ``key`` belongs to a ``pair`` and counts for a ``row_of_table``.
    """
    columns = [*_KEY, "counts_as"]
    keys = pl.concat([labels.select(columns), predictions.select(columns)]).unique()
    for what, name in ((_KEY, "key"), (_PAIR, "pair"), (_ROW, "row_of_table")):
        numbers = keys.select(what).unique().sort(what).with_row_index(name)
        keys = keys.join(numbers, on=what)
    return keys.sort("key"), keys.select(_ROW).unique().sort(_ROW)


def _merge(marks: pl.DataFrame, keys: pl.DataFrame) -> GroupedSpans:
    """Return the frames of each key as spans."""
    marks = marks.join(keys.select(*_KEY, "key"), on=_KEY)
    return merge_by_group(
        marks.select("start", "stop").to_numpy(),
        marks["key"].to_numpy().astype(np.int64),
    )


def _refuse_collisions(predicted: GroupedSpans, keys: pl.DataFrame) -> None:
    """Raise `HostVisibleError` where one pair has two actions in one frame."""
    collisions = find_collisions(predicted, keys["pair"].to_numpy().astype(np.int64))
    if len(collisions) == 0:
        return
    one, other = collisions[0]
    first, second = (
        keys.row(int(predicted.group[at]), named=True) for at in (one, other)
    )
    start = predicted.spans[[one, other], 0].max()
    stop = predicted.spans[[one, other], 1].min()
    place = (
        f"frame {start} has"
        if stop - start == 1
        else f"frames {start} to {stop - 1} have"
    )
    more = f" ({len(collisions) - 1:,} more such places)" if len(collisions) > 1 else ""
    raise HostVisibleError(
        f"submission: video {first['video']}, {first['agent']} to {first['target']}: "
        f"{place} two actions, {first['action']} and "
        f"{second['action']}; one agent may do one thing to one target at a time: "
        f"shorten or drop one{more}."
    )


def _sum_by(
    row: Int[np.ndarray, " _"], values: np.ndarray, rows: int
) -> Int[np.ndarray, " rows"]:
    """Return the sum of the values of each row, in whole numbers."""
    total = np.zeros(rows, np.int64)
    np.add.at(total, row, values)
    return total


def _as_labs(
    names: pl.DataFrame, counts: Int[np.ndarray, "row 6"], *, only_what_occurs: bool
) -> tuple[LabScore, ...]:
    """Return rows of counts, sorted by lab and action, as records."""
    labs: dict[str, list[ActionScore]] = {}
    for (lab, action), row in zip(
        names.select(_ROW).iter_rows(), counts.tolist(), strict=True
    ):
        score = ActionScore(
            lab=lab,
            action=action,
            in_mean=row[0] > 0 or not only_what_occurs,
            label_frames=row[0],
            predicted_frames=row[1],
            hit_frames=row[2],
            label_bouts=row[3],
            predicted_bouts=row[4],
            hit_bouts=row[5],
        )
        labs.setdefault(lab, []).append(score)
    return tuple(LabScore(lab, tuple(actions)) for lab, actions in labs.items())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


def _mean(values: list[float]) -> float:
    """Return the mean of what is not NaN; NaN if nothing is left."""
    there = [value for value in values if not np.isnan(value)]
    return _ratio(sum(there), len(there))
