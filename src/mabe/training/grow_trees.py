"""Growing trees on an objective: from labelled recordings to a model, in one go.

Rows are evenly spaced in time, since the features of neighbouring blocks of frames
are nearly the same.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from mabe.config import RunConfig
from mabe.inference.frame_probabilities import Tracks
from mabe.models.boosted_trees import (
    Forest,
    LabelledRows,
    RowsOnDisk,
    TreesConfig,
    rows_on_disk,
)
from mabe.models.prediction_windows import Stretch
from mabe.models.reused_weights import check_same_features
from mabe.models.trees_model import BaseTrees, TreesModel, build_trees
from mabe.training.objectives import Objective
from mabe.training.objectives.base import TrackLabels
from mabe.training.reuse import source_member

_PIECE = 8_192
"""Rows whose scores are computed at once."""


def grow_trees(
    objective: Objective, config: RunConfig, *, after_part: Callable[[], object]
) -> TreesModel:
    """Return trees grown on the recordings that an objective learns from.

    `after_part` is called after each recording, or view, that was read.
    """
    # The features of a trees model do not depend on its trees.
    base = _base_of(config)
    untrained = build_trees(config.model, objective.task, Forest(("",)), base)
    if base:
        check_same_features(untrained.statistic_names(), _names_of_source(config))
    every = max(
        1, objective.counted_frames // (config.tree_max_rows * untrained.block_frames)
    )

    def parts() -> Iterator[LabelledRows]:
        for number, (tracks, labels) in enumerate(objective.labelled_tracks()):
            yield from labelled_rows(untrained, tracks, labels, every, number % every)
            after_part()

    with rows_on_disk(parts()) as rows:
        start = _start_scores(untrained, rows) if base else None
        forest = objective.grow_forest(rows, tree_settings(config), start)
    return build_trees(config.model, objective.task, forest, base).eval()


def _base_of(config: RunConfig) -> tuple[BaseTrees, ...]:
    """Return the trees that a run starts from; none if it starts by itself."""
    member = source_member(config)
    if member is None:
        return ()
    assert isinstance(member.model, TreesModel)
    own = BaseTrees(tuple(member.model.task.classes), member.model.forest)
    return (*member.model.base, own)


def _names_of_source(config: RunConfig) -> tuple[str, ...]:
    member = source_member(config)
    assert member is not None
    assert isinstance(member.model, TreesModel)
    return member.model.statistic_names()


def _start_scores(
    model: TreesModel, rows: RowsOnDisk
) -> Float[np.ndarray, "row classes"]:
    """Return the scores of the old trees for each row, read in pieces."""
    number = len(rows.labels)
    values = np.memmap(rows.path, np.float32, mode="r").reshape(number, -1)
    pieces = [
        model.base_scores(np.asarray(values[start : start + _PIECE]))
        for start in range(0, number, _PIECE)
    ]
    return np.concatenate(pieces)


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
