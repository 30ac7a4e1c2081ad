"""Joining runs into one model, each with the say it deserves.

Weights are those under which the blended answers to recordings that none of the runs
saw have the least log loss (as logistic scores are judged; no threshold is involved).
Where runs have no such recordings in common, all count the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mabe.decoding.bootstrap import score_with_confidence
from mabe.decoding.rules import DecisionRules
from mabe.decoding.views import OutOfFold
from mabe.errors import RunError
from mabe.experiments.out_of_fold import FILE_NAME, blend, write_out_of_fold
from mabe.experiments.tune import find_predictions
from mabe.models.checkpoint import SUFFIX, Checkpoint, load_checkpoint, save_ensemble
from mabe.models.ensemble import Ensemble
from mabe.training.history import ranked_f1, read_history

ROUNDS = 300


STEP = 0.5


LEAST_WEIGHT = 0.01
"""A run with less of a say, as a share of the greatest, is left out: it would cost
time and bring nothing."""


_LEAST_PROBABILITY = 1e-3


def join_runs(
    runs: Sequence[Path],
    out: Path,
    *,
    last: int | None = None,
    best: int | None = None,
    equal: bool = False,
) -> list[str]:
    """Write one model made of several; return lines that say what was done.

    Raises `RunError` where they answer different questions, or `out` holds something.
    """
    if out.is_dir() and any(out.iterdir()):
        raise RunError(f"{out}: holds something already; choose another --out")
    if last and best:
        raise RunError("give --last or --best, not both; which epochs shall it be?")
    if last or best:
        runs = [path for run in runs for path in kept_epochs(run, last=last, best=best)]
    loaded = [load_checkpoint(run) for run in runs]
    # Raises before anything is asked where they do not answer the same question.
    Ensemble.of([each.model for one in loaded for each in one.members])
    answers, why = common_answers(runs, loaded)
    weights = np.full(len(loaded), 1 / len(loaded))
    if answers and not equal:
        weights = drop_useless(find_weights(answers))
    members = [
        (member, weight * own)
        for checkpoint, weight in zip(loaded, weights, strict=True)
        for member, own in zip(checkpoint.members, checkpoint.weights, strict=True)
        if weight
    ]
    # Weights of an ensemble that is joined live on in the products.
    tracks = {
        track
        for checkpoint in loaded
        if len(checkpoint.members) > 1
        for track in checkpoint.tuned_on
    }
    if not equal:
        tracks |= {track for part in answers for track in part.tracks}
    save_ensemble(
        out / f"best{SUFFIX}",
        [member for member, _ in members],
        [float(weight) for _, weight in members],
        tuned_on=sorted(tracks),
    )
    lines = [
        f"{run}: weight {weight:.2f}" + ("" if weight else ", left out")
        for run, weight in zip(runs, weights, strict=True)
    ]
    if answers:
        lines += _blend_answers(answers, weights, out)
    else:
        lines.append(f"All count the same: {why}")
    return [*lines, f"✓ {len(members)} models as one: {out / f'best{SUFFIX}'}"]


def kept_epochs(run: Path, *, last: int | None, best: int | None) -> list[Path]:
    """Return the checkpoints of a run's last, or best, kept epochs.

    Raises `RunError` where the run kept fewer than two.
    """
    paths = sorted(run.glob(f"epoch_*{SUFFIX}"))
    if best and len(paths) > 1:
        f1 = {epoch.number: ranked_f1(epoch) for epoch in read_history(run)}
        paths.sort(key=lambda path: f1[int(path.stem.removeprefix("epoch_"))])
    chosen = paths[-(last or best or 0) :]
    if len(chosen) < 2:
        raise RunError(
            f"{run}: kept {len(paths)} epoch(s), of which {last or best} are wanted; "
            "train with a smaller save_freq"
        )
    return chosen


def common_answers(
    runs: Sequence[Path], loaded: Sequence[Checkpoint]
) -> tuple[list[OutOfFold], str]:
    """Return each run's answers to the same unseen recordings; else none, and why."""
    try:
        answers = [
            find_predictions(run, checkpoint)
            for run, checkpoint in zip(runs, loaded, strict=True)
        ]
    except RunError as error:
        return [], str(error)
    keys = [{view.key for view in part.views} for part in answers]
    if any(each != keys[0] for each in keys):
        return [], "they were not held out from the same recordings"
    return answers, ""


def find_weights(answers: Sequence[OutOfFold]) -> Float[np.ndarray, " runs"]:
    """Return the weights under which the blend has the least log loss.

    By exponentiated gradient (Kivinen & Warmuth, Information and Computation 1997),
    which keeps weights above zero and their sum at one.
    """
    probabilities, labels = _stack(answers)
    weights = np.full(len(answers), 1 / len(answers))
    for _ in range(ROUNDS):
        blended = weights @ probabilities
        slope = (blended - labels) / (blended * (1 - blended))
        gradient = probabilities @ slope / len(labels)
        weights *= np.exp(-STEP * (gradient - gradient.mean()))
        weights /= weights.sum()
    return weights


def drop_useless(weights: Float[np.ndarray, " runs"]) -> Float[np.ndarray, " runs"]:
    """Return weights of which the smallest are zero; they still sum to one."""
    kept = np.where(weights < LEAST_WEIGHT * weights.max(), 0, weights)
    return kept / kept.sum()


def _stack(
    answers: Sequence[OutOfFold],
) -> tuple[Float[np.ndarray, "runs cells"], Int[np.ndarray, " cells"]]:
    """Return what each run says of everything that was watched, and the truth."""
    by_key: list[dict[Any, Any]] = [
        {view.key: view for view in part.views} for part in answers
    ]
    rows, truth = [], []
    for key, first in by_key[0].items():
        each = np.stack([part[key].probabilities.astype(np.float32) for part in by_key])
        counts = (first.labels >= 0) & np.isfinite(each).all(axis=0)
        rows.append(each[:, counts])
        truth.append(first.labels[counts])
    probabilities = np.concatenate(rows, axis=1).clip(
        _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY
    )
    return probabilities, np.concatenate(truth)


def _blend_answers(
    answers: Sequence[OutOfFold], weights: Float[np.ndarray, " runs"], out: Path
) -> list[str]:
    """Write the blended answers, and say how they score beside each run's."""
    blended = blend(answers, weights.tolist())
    write_out_of_fold(out / FILE_NAME, blended)
    rules = DecisionRules.plain(blended.kind, blended.classes)
    return [
        *(f"  alone {score_with_confidence(part.views, rules)}" for part in answers),
        f"  joined {score_with_confidence(blended.views, rules)}, on recordings "
        "that none of them learned from",
    ]
