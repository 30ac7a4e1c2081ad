"""Weights of a recipe's kinds of models, by recordings that they did not learn from.

Which kind is better depends on the data: on `rat_dyad` the networks are, the more so
with few recordings, on `mouse_objects` the trees.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mabe.decoding.view_predictions import OutOfFold
from mabe.experiments.ensembling import Weights, find_weights
from mabe.experiments.out_of_fold import blend, join
from mabe.scene_task import TaskKind

BALANCE = {TaskKind.SCENE: 0.5, TaskKind.PAIR: 0.25}
"""How much more a rare action counts, as in the losses of training. Otherwise frames
without any action decide, of which trees know more."""
LEAST_WEIGHT = 0.2
"""Of each kind: even one that adds nothing here makes errors of its own elsewhere."""
MOST_CELLS = 100_000
"""Frames times classes from which weights are found, as neighbours say the same."""
PARTS = 5
"""Parts of the recordings; each is blended by weights that the others chose."""


def weights_of_kinds(of_kinds: Sequence[OutOfFold]) -> Weights:
    """Return the weights with the least balanced log loss, none below `LEAST_WEIGHT`.

    Equal ones where no recording was held out.
    """
    kinds = len(of_kinds)
    if not of_kinds[0].views:
        return np.full(kinds, 1 / kinds)
    free = 1 - kinds * LEAST_WEIGHT
    thinned = [_every_few_frames(each) for each in of_kinds]
    surplus = (
        find_weights(thinned, balance=BALANCE[of_kinds[0].kind]) - LEAST_WEIGHT
    ).clip(min=0)
    return LEAST_WEIGHT + free * surplus / surplus.sum()


def blend_kinds(of_kinds: Sequence[OutOfFold]) -> OutOfFold:
    """Return the mean of the kinds' predictions of the same recordings.

    The weights of each recording are chosen by others, so that a score of the mean is
    of recordings that had no part in it. With a single recording they are equal.
    """
    tracks = sorted(of_kinds[0].tracks)
    parts = [set(tracks[first::PARTS]) for first in range(min(PARTS, len(tracks)))]
    blended = []
    for part in parts:
        others = [_of_tracks(each, set(tracks) - part) for each in of_kinds]
        scored = [_of_tracks(each, part) for each in of_kinds]
        blended.append(blend(scored, weights_of_kinds(others).tolist()))
    return join(blended) if blended else of_kinds[0]


def _every_few_frames(predictions: OutOfFold) -> OutOfFold:
    """Return predictions of evenly spaced frames, `MOST_CELLS` of them at most."""
    cells = sum(view.labels.size for view in predictions.views)
    every = -(-cells // MOST_CELLS)
    views = tuple(
        replace(
            view,
            fps=view.fps / every,
            probabilities=view.probabilities[::every],
            labels=view.labels[::every],
        )
        for view in predictions.views
    )
    return replace(predictions, views=views)


def _of_tracks(predictions: OutOfFold, tracks: set[str]) -> OutOfFold:
    views = tuple(view for view in predictions.views if view.track in tracks)
    return replace(predictions, views=views)
