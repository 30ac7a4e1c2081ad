"""Growing trees on an objective: from labelled recordings to a model, in one go.

Rows are evenly spaced in time, since neighbouring moments tell nearly the same.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Bool, Int

from mabe.config import RunConfig
from mabe.inference.stitching import Stretch, Tracks, look_at, stretches
from mabe.models.boosted_trees import (
    Forest,
    LabelledRows,
    TreesConfig,
    grow_for_actions,
    grow_for_classes,
    rows_on_disk,
)
from mabe.models.model import TreesModel
from mabe.training.objectives import Objective, PairObjective, SceneObjective

Labels = Int[np.ndarray, "time questions"]


def grow_trees(
    objective: Objective, config: RunConfig, *, after_part: Callable[[], object]
) -> TreesModel:
    """Return trees grown on the recordings that an objective learns from.

    `after_part` is called after each recording, or view, that was read.
    """
    # What it sees of a recording does not depend on its trees.
    eyes = TreesModel(config, objective.task, Forest(("",)))
    every = max(
        1, objective.counted_frames // (config.tree_max_rows * eyes.block_frames)
    )

    def parts() -> Iterator[LabelledRows]:
        for number, (tracks, labels) in enumerate(_material(objective)):
            yield from _labelled_rows(eyes, tracks, labels, every, number % every)
            after_part()

    with rows_on_disk(parts()) as rows:
        settings = tree_settings(config)
        if isinstance(objective, SceneObjective):
            forest = grow_for_classes(
                rows,
                classes=objective.task.classes,
                class_weights=objective.weights,
                config=settings,
            )
        else:
            forest = grow_for_actions(
                rows, happening_weights=objective.weights.happening, config=settings
            )
    return TreesModel(config, objective.task, forest).eval()


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


def _material(objective: Objective) -> Iterator[tuple[Tracks, Labels]]:
    """Yield each recording, or view, that is learned from, with its labels."""
    if isinstance(objective, SceneObjective):
        for index in objective.data.learned:
            labels = objective.labelled.labels[index][:, None]
            yield Tracks.of_stored(objective.data.store, index), labels
        return
    yield from _views(objective)


def _views(objective: PairObjective) -> Iterator[tuple[Tracks, Labels]]:
    for labels in objective.sampler.views:
        whole = Tracks.of_stored(objective.data.store, labels.recording)
        yield whole.seen_from(labels.view), labels.frames(0, labels.length)


@torch.inference_mode()
def _labelled_rows(
    eyes: TreesModel, tracks: Tracks, labels: Labels, every: int, offset: int
) -> Iterator[LabelledRows]:
    """Yield the rows of the blocks to learn from, a stretch at a time."""
    for stretch in stretches(tracks.length, eyes):
        own = _block_labels(labels, stretch, eyes.block_frames)
        kept = np.flatnonzero(_is_kept(own, every, offset))
        if len(kept):
            rows = stretch.rows(eyes, tracks, look_at)
            yield LabelledRows(rows[kept], own[kept])


def _block_labels(labels: Labels, stretch: Stretch, size: int) -> Labels:
    """Return the labels at the middle of each block of frames."""
    middles = np.arange(stretch.start, stretch.stop, size) + size // 2
    return labels[middles.clip(max=stretch.stop - 1)]


def _is_kept(labels: Labels, every: int, offset: int) -> Bool[np.ndarray, " block"]:
    """Tell which of the blocks that count are learned from, evenly spaced in time."""
    counts = (labels >= 0).any(axis=1)
    place = np.cumsum(counts) - 1
    return counts & (place % every == offset)
