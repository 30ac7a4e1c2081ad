"""Which animals of a group are near each other, and when.

Ordered pairs of n animals are n · (n − 1), and most of them have nothing to do with
each other at a time. In recordings of more than `EVERY_PAIR_UP_TO` animals, an agent
acts towards one of its nearest, so training and prediction look at a pair while its
target is among them; the cost then grows with the pairs near each other. Animals count
from 1 in views; frames are at the store's rate.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from mabe.bouts import Spans, View, find_spans
from mabe.data.store import PoseStore
from mabe.pair_task import Nearness
from mabe.recording import mean_of_tracked
from mabe.runtime.disk_arrays import row_blocks

EVERY_PAIR_UP_TO = 4
"""Animals of a recording in which every pair is looked at all the time."""


_STEP_S = 0.2
"""Time between the frames in which distances are measured."""


class NearPairs:
    """When each view of a store's recordings is looked at."""

    def __init__(self, store: PoseStore, nearness: Nearness) -> None:
        self.store = store
        self.nearness = nearness
        self._index = -1
        self._spans: dict[View, Spans] | None = None
        """Of the recording that was asked for last."""

    def spans(self, index: int, view: View) -> Spans | None:
        """Return the frames in which a view is looked at; None: all of them."""
        if index != self._index:
            self._spans = self._measure(index)
            self._index = index
        places = self.store.recordings[index].places
        if self._spans is None or view.is_self or view.target in places:
            return None
        return self._spans.get(view, np.empty((0, 2), int))

    def _measure(self, index: int) -> dict[View, Spans] | None:
        recording = self.store.recordings[index]
        animals = recording.tracked_animals
        if len(animals) <= EVERY_PAIR_UP_TO:
            return None
        every = max(1, round(_STEP_S * self.store.rate_fps))
        centres = _centres_cm(self.store, index, every)
        margin_s = self.nearness.margin_s
        margin = max(1, round(margin_s * self.store.rate_fps / every))
        found: dict[View, Spans] = {}
        for agent in animals:
            is_near = self._near_targets(centres, agent, animals)
            for target in animals:
                near = find_spans(is_near[:, target - 1])
                spans = np.array(widened(near, margin, length=len(is_near)), int)
                spans = spans.reshape(-1, 2) * every
                found[View(agent, target)] = np.minimum(spans, recording.length)
        return found

    def _near_targets(
        self,
        centres: Float[np.ndarray, "sample individual 2"],
        agent: int,
        animals: Sequence[int],
    ) -> Bool[np.ndarray, "sample individual"]:
        """Return which animals are among the nearest of an agent."""
        away = np.linalg.norm(centres - centres[:, agent - 1 : agent], axis=2)
        others = [animal - 1 for animal in animals if animal != agent]
        is_other = np.isin(np.arange(away.shape[1]), others)
        away = np.where(np.isfinite(away) & is_other, away, np.inf)
        nearest = np.argsort(away, axis=1, kind="stable")[:, : self.nearness.targets]
        is_near = np.zeros(away.shape, bool)
        np.put_along_axis(is_near, nearest, True, axis=1)
        limit = self.nearness.within_cm
        return is_near & np.isfinite(away) & (limit is None or away <= limit)


def widened(spans: Spans, margin: int, *, length: int) -> list[tuple[int, int]]:
    """Return spans with a margin, within a recording; those that meet are joined."""
    joined: list[tuple[int, int]] = []
    for start, stop in spans.tolist():
        first, last = max(0, start - margin), min(stop + margin, length)
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def _centres_cm(
    store: PoseStore, index: int, every: int
) -> Float[np.ndarray, "sample individual 2"]:
    """Return the mean of each animal's points in every so many frames."""
    length = store.recordings[index].length
    steps = store.quantized(index)
    parts = [np.empty((0, store.layout.animals, 2), np.float32)]
    for rows in row_blocks(steps):
        start, stop, _ = rows.indices(length)
        first = -(-start // every) * every
        poses = store.poses_cm(index, min(first, stop), stop, every=every)
        parts.append(mean_of_tracked(poses).astype(np.float32))
    return np.concatenate(parts)
