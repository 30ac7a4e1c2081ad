"""Weights of a recipe's kinds of models, by recordings that they did not learn from.

Which kind is better depends on the data. On `rat_dyad` the networks are, most of all
with few recordings; on `mouse_objects` the trees are.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from mabe.decoding.view_predictions import OutOfFold
from mabe.experiments.ensembling import Weights, find_weights
from mabe.experiments.out_of_fold import blend
from mabe.scene_task import TaskKind

BALANCE = {TaskKind.SCENE: 0.5, TaskKind.PAIR: 0.25}
"""How much more a rare action counts; about as much as in the default losses of
training. Without it frames without any action dominate the log loss."""
LEAST_WEIGHT = 0.2
"""Of each kind: one that does not help on few recordings may help on others."""
FEWEST_RECORDINGS = 2
"""With fewer, weights are equal."""
MOST_CELLS = 100_000
"""Frames times classes from which weights are found; neighbours are nearly equal."""


def weights_of_kinds(of_kinds: Sequence[OutOfFold]) -> Weights:
    """Return the weights with the least balanced log loss, none below `LEAST_WEIGHT`.

    Equal ones with fewer than `FEWEST_RECORDINGS`.
    """
    kinds = len(of_kinds)
    if len(of_kinds[0].tracks) < FEWEST_RECORDINGS:
        return np.full(kinds, 1 / kinds)
    found = find_weights(
        of_kinds, balance=BALANCE[of_kinds[0].kind], most_cells=MOST_CELLS
    )
    surplus = (found - LEAST_WEIGHT).clip(min=0)
    return LEAST_WEIGHT + (1 - kinds * LEAST_WEIGHT) * surplus / surplus.sum()


def blend_kinds(
    of_kinds: Sequence[OutOfFold], folds: Sequence[Collection[str]]
) -> list[OutOfFold]:
    """Return the mean of the kinds' predictions of the same recordings, for each fold.

    `folds` are the tracks that were held out together. The weights of a fold are found
    on the others, so that no recording is scored with weights that it chose.
    """
    blended = []
    for fold in folds:
        others = [_of_tracks(each, fold, inside=False) for each in of_kinds]
        scored = [_of_tracks(each, fold, inside=True) for each in of_kinds]
        blended.append(blend(scored, weights_of_kinds(others).tolist()))
    return blended


def _of_tracks(
    predictions: OutOfFold, tracks: Collection[str], *, inside: bool
) -> OutOfFold:
    """Return the predictions of some tracks, or of all others."""
    views = (view for view in predictions.views if (view.track in tracks) == inside)
    return replace(predictions, views=tuple(views))
