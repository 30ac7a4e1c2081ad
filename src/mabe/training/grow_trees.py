"""Growing trees on an objective: from labelled recordings to a model, in one go.

Rows are evenly spaced in time, since the features of neighbouring blocks of frames
are nearly the same.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Bool, Int

from mabe.config import RunConfig
from mabe.inference.frame_probabilities import Tracks
from mabe.models.boosted_trees import Forest, LabelledRows, TreesConfig, rows_on_disk
from mabe.models.prediction_windows import Stretch
from mabe.models.trees_model import TreesModel, build_trees
from mabe.training.objectives import Objective
from mabe.training.objectives.base import TrackLabels


def grow_trees(
    objective: Objective, config: RunConfig, *, after_part: Callable[[], object]
) -> TreesModel:
    """Return trees grown on the recordings that an objective learns from.

    `after_part` is called after each recording, or view, that was read.
    """
    # The features of a trees model do not depend on its trees.
    untrained = build_trees(config.model, objective.task, Forest(("",)))
    every = max(
        1, objective.counted_frames // (config.tree_max_rows * untrained.block_frames)
    )

    def parts() -> Iterator[LabelledRows]:
        for number, (tracks, labels) in enumerate(objective.labelled_tracks()):
            yield from labelled_rows(untrained, tracks, labels, every, number % every)
            after_part()

    with rows_on_disk(parts()) as rows:
        forest = objective.grow_forest(rows, tree_settings(config))
    return build_trees(config.model, objective.task, forest).eval()


def tree_settings(config: RunConfig) -> TreesConfig:
    """Return the settings of a run that are the trees'."""
    return TreesConfig(
        rounds=config.tree_rounds,
        learning_rate=config.tree_learning_rate,
        leaves=config.tree_leaves,
        min_rows_in_leaf=config.tree_min_rows,
        feature_share=config.tree_feature_share,
        threads=torch.get_num_threads(),
        seed=config.seed,
    )


@torch.inference_mode()
def labelled_rows(
    model: TreesModel, tracks: Tracks, labels: TrackLabels, every: int, offset: int
) -> Iterator[LabelledRows]:
    """Yield the rows of the blocks to learn from, a stretch at a time.

    Those are the blocks that count, every so many from the one at `offset`.
    """
    for stretch in model.stretches(tracks.length):
        of_blocks = _block_labels(labels, stretch, model.block_frames)
        kept = np.flatnonzero(_is_kept(of_blocks, every, offset))
        if len(kept):
            poses = tracks.read(stretch.read_from, stretch.read_to)
            [x_TF] = model.extract_features(torch.from_numpy(poses[None]))
            [rows] = model.inputs(x_TF, stretch, stretch.starts).numpy()
            yield LabelledRows(rows[kept], of_blocks[kept])


def _block_labels(
    labels: TrackLabels, stretch: Stretch, size: int
) -> Int[np.ndarray, "block columns"]:
    """Return the labels at the middle of each block of frames."""
    middles = np.arange(stretch.start, stretch.stop, size) + size // 2
    return labels[middles.clip(max=stretch.stop - 1)]


def _is_kept(labels: TrackLabels, every: int, offset: int) -> Bool[np.ndarray, " time"]:
    """Return which blocks are learned from: of those that count, every so many."""
    counts = (labels >= 0).any(axis=1)
    place = np.cumsum(counts) - 1
    return counts & (place % every == offset)
