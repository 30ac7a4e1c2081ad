"""Joining runs into one model, with weights by their held-out predictions.

The weights are those with which the mean of the probabilities has the least log loss on
recordings that none of the runs learned from; no threshold is involved. Where runs have
no such recordings in common, all have the same weight.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mabe.decoding.view_predictions import OutOfFold, score_with_confidence
from mabe.errors import RunError
from mabe.experiments.out_of_fold import FILE_NAME, blend, write_out_of_fold
from mabe.experiments.rule_tuning import find_predictions
from mabe.metrics.confidence_interval import Confidence
from mabe.models.checkpoint import (
    SUFFIX,
    Checkpoint,
    Member,
    holds_ensemble,
    load_checkpoint,
    save_ensemble,
)
from mabe.models.ensemble import Ensemble
from mabe.runtime.console import count
from mabe.runtime.unfinished import finished_names
from mabe.training.best_epoch import ranked_f1
from mabe.training.history import read_history

ROUNDS = 300
STEP = 0.5
LEAST_WEIGHT = 0.01
"""A run with a smaller weight, as a share of the greatest, is left out: it would take
time and have no effect."""
_LEAST_PROBABILITY = 1e-3

_MODEL = f"best{SUFFIX}"
_OWN_FILES = {_MODEL, "best.json", FILE_NAME}

Weights = Float[np.ndarray, " runs"]


@dataclass(frozen=True, slots=True)
class CommonPredictions:
    """Predictions that several runs made of the same recordings."""

    of_runs: tuple[OutOfFold, ...]
    """Empty where there are none."""
    reason: str = ""
    """Why there are none."""

    @property
    def tracks(self) -> set[str]:
        """Content hashes of the tracks that were predicted."""
        return {track for predictions in self.of_runs for track in predictions.tracks}


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRuns:
    """Several runs as one model, and how each contributes."""

    model: Path
    members: int
    weights: Mapping[str, float]
    """Of each run, or saved epoch; 0 where it is left out."""
    alone: tuple[Confidence, ...]
    """The score of each run where all predicted the same held-out recordings."""
    joined: Confidence | None
    """The score of all as one, on the same recordings; None where there are none."""
    reason: str
    """Why weights are equal where there are no such recordings."""

    def to_lines(self) -> list[str]:
        """Return lines for the terminal."""
        lines = [
            f"{run}: weight {weight:.2f}" + ("" if weight else ", left out")
            for run, weight in self.weights.items()
        ]
        lines += [f"  alone {score}" for score in self.alone]
        if self.joined is None:
            lines.append(f"All weighted equally: {self.reason}")
        else:
            held_out = "on recordings that no run learned from"
            lines.append(f"  joined {self.joined}, {held_out}")
        return [*lines, f"✓ {self.members} models as one: {self.model}"]


def join_runs(
    runs: Sequence[Path],
    out: Path,
    *,
    last: int | None = None,
    best: int | None = None,
    equal: bool = False,
) -> JoinedRuns:
    """Write one model made of several.

    `last` or `best` use so many saved epochs of each run. Raises `RunError` where the
    runs have different tasks, or `out` holds anything but the same model, which the
    same command wrote before.
    """
    _check_output(out)
    runs = _choose_models(runs, last=last, best=best)
    loaded = [load_checkpoint(run) for run in runs]
    # Raises where the tasks differ, before anything is predicted.
    Ensemble.of([member.model for each in loaded for member in each.members])
    common = find_common_predictions(runs, loaded)
    weights = np.full(len(loaded), 1 / len(loaded))
    if common.of_runs and not equal:
        weights = drop_useless(find_weights(common.of_runs))
    members = _weighted_members(loaded, weights)
    tuned_on = _tracks_of_earlier_weights(loaded)
    if not equal:
        tuned_on |= common.tracks
    _save(out, members, sorted(tuned_on))
    scores: list[Confidence] = []
    if common.of_runs:
        scores = _write_joined_predictions(common.of_runs, weights, out)
    return JoinedRuns(
        model=out / _MODEL,
        members=len(members),
        weights=dict(zip(map(str, runs), weights.tolist(), strict=True)),
        alone=tuple(scores[:-1]),
        joined=scores[-1] if scores else None,
        reason=common.reason,
    )


def _check_output(out: Path) -> None:
    """Raise `RunError` where a folder holds something else than a joined model."""
    if not finished_names(out) <= _OWN_FILES:
        raise RunError(f"{out}: holds something already; choose another --out")


def _save(
    out: Path, members: Sequence[tuple[Member, float]], tuned_on: Sequence[str]
) -> None:
    """Write the joined model, unless another model is there."""
    path = out / _MODEL
    parts = [member for member, _ in members], [weight for _, weight in members]
    if finished_names(out) and not holds_ensemble(path, *parts, tuned_on=tuned_on):
        raise RunError(f"{out}: holds another model already; choose another --out")
    save_ensemble(path, *parts, tuned_on=tuned_on)


def _choose_models(
    runs: Sequence[Path], *, last: int | None, best: int | None
) -> list[Path]:
    """Return the runs, or the saved epochs of each that are wanted."""
    if last and best:
        raise RunError("--last and --best exclude each other; give one of them")
    if not (last or best):
        return list(runs)
    return [path for run in runs for path in kept_epochs(run, last=last, best=best)]


def kept_epochs(run: Path, *, last: int | None, best: int | None) -> list[Path]:
    """Return the checkpoints of a run's last, or best, saved epochs.

    Raises `RunError` where the run has fewer than two.
    """
    paths = sorted(run.glob(f"epoch_*{SUFFIX}"))
    if best and len(paths) > 1:
        f1 = {epoch.number: ranked_f1(epoch) for epoch in read_history(run)}
        paths.sort(key=lambda path: f1[int(path.stem.removeprefix("epoch_"))])
    chosen = paths[-(last or best or 0) :]
    if len(chosen) < 2:
        raise RunError(
            f"{run}: has {count(len(paths), 'saved epoch')}, of which {last or best} "
            "are wanted; train with a smaller save_freq"
        )
    return chosen


def find_common_predictions(
    runs: Sequence[Path], loaded: Sequence[Checkpoint]
) -> CommonPredictions:
    """Return the runs' predictions of the same held-out recordings, if there are."""
    try:
        of_runs = tuple(map(find_predictions, runs, loaded))
    except RunError as error:
        return CommonPredictions((), str(error))
    keys = [{view.key for view in predictions.views} for predictions in of_runs]
    if any(each != keys[0] for each in keys):
        return CommonPredictions((), "they did not hold out the same recordings")
    return CommonPredictions(of_runs)


def find_weights(
    of_runs: Sequence[OutOfFold],
    *,
    balance: float = 0.0,
    most_cells: int | None = None,
) -> Weights:
    """Return the weights with which the mean has the least log loss.

    A frame with a class counts as many times as (frames without / frames with) to the
    power `balance`, if that is above one. Of many frames and classes `most_cells` are
    drawn; the same ones in each call. By exponentiated gradient (Kivinen & Warmuth,
    Information and Computation 1997), which keeps weights above zero and their sum at
    one.
    """
    cells = _stack(of_runs)
    if most_cells is not None:
        cells = cells.draw(most_cells)
    probabilities, labels = cells.probabilities, cells.labels
    weights = np.full(len(of_runs), 1 / len(of_runs))
    if not len(labels):
        return weights
    counted = cells.counted(balance)
    for _ in range(ROUNDS):
        blended = weights @ probabilities
        slope = (blended - labels) / (blended * (1 - blended))
        gradient = probabilities @ (slope * counted)
        weights *= np.exp(-STEP * (gradient - gradient.mean()))
        weights /= weights.sum()
    return weights


def drop_useless(weights: Weights) -> Weights:
    """Return weights with the smallest set to zero; they still sum to one."""
    kept = np.where(weights < LEAST_WEIGHT * weights.max(), 0, weights)
    return kept / kept.sum()


@dataclass(frozen=True, slots=True)
class _Cells:
    """Every frame and class with a label, and what each run predicts there."""

    probabilities: Float[np.ndarray, "runs cells"]
    labels: Int[np.ndarray, " cells"]
    classes: Int[np.ndarray, " cells"]

    def draw(self, most: int) -> "_Cells":
        """Return so many cells, drawn at random, or all if there are no more."""
        if len(self.labels) <= most:
            return self
        rng = np.random.default_rng(0)
        drawn = rng.choice(len(self.labels), most, replace=False)
        return _Cells(
            self.probabilities[:, drawn], self.labels[drawn], self.classes[drawn]
        )

    def counted(self, balance: float) -> Float[np.ndarray, " cells"]:
        """Return the weight of each cell in the loss; their sum is one."""
        happens = self.labels == 1
        with_class = np.bincount(self.classes, happens)
        without = np.bincount(self.classes, ~happens)
        odds = (without / with_class.clip(min=1)).clip(min=1)[self.classes]
        counted = np.where(happens, odds**balance, 1.0)
        return counted / counted.sum()


def _stack(of_runs: Sequence[OutOfFold]) -> _Cells:
    """Return each run's probability for every frame and class with a label."""
    by_key: list[dict[Any, Any]] = [
        {view.key: view for view in predictions.views} for predictions in of_runs
    ]
    rows, labels, classes = [], [], []
    for key, first in by_key[0].items():
        each = np.stack(
            [views[key].probabilities.astype(np.float32) for views in by_key]
        )
        counts = (first.labels >= 0) & np.isfinite(each).all(axis=0)
        rows.append(each[:, counts])
        labels.append(first.labels[counts])
        classes.append(np.nonzero(counts)[1])
    probabilities = np.concatenate(rows, axis=1).clip(
        _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY
    )
    return _Cells(probabilities, np.concatenate(labels), np.concatenate(classes))


def _weighted_members(
    loaded: Sequence[Checkpoint], weights: Weights
) -> list[tuple[Member, float]]:
    """Return the members of all runs; within an ensemble weights are multiplied."""
    return [
        (member, float(weight * own))
        for checkpoint, weight in zip(loaded, weights, strict=True)
        for member, own in zip(checkpoint.members, checkpoint.weights, strict=True)
        if weight
    ]


def _tracks_of_earlier_weights(loaded: Sequence[Checkpoint]) -> set[str]:
    """Return the tracks that chose the weights within the ensembles that are joined."""
    ensembles = [each for each in loaded if len(each.members) > 1]
    return {track for ensemble in ensembles for track in ensemble.tuned_on}


def _write_joined_predictions(
    of_runs: Sequence[OutOfFold], weights: Weights, out: Path
) -> list[Confidence]:
    """Write the joined predictions; return the score of each run, then theirs."""
    joined = blend(of_runs, weights.tolist())
    write_out_of_fold(out / FILE_NAME, joined)
    rules = joined.plain_rules
    return [score_with_confidence(each.views, rules) for each in (*of_runs, joined)]
