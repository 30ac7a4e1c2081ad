"""Training windows of the pair task.

Rare actions and small labs are sampled more often than they occur: a share of the
windows contain a frame of some action, the others any frame that was watched; the
probability of a (lab, action), and of a lab, is proportional to a power of its number
of frames: 1 is as in the data, 0 makes all equal. Windows of step *n* depend on
``(seed, n)`` only, so that a stopped run can be resumed exactly.
"""

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Int8, Shaped

from mabe.bouts import Spans, View, find_spans, mean_in_windows
from mabe.data.clips import NOBODY, ReadClips, gather, read_clips
from mabe.data.near_pairs import NearPairs
from mabe.data.store import PoseStore
from mabe.errors import DataError
from mabe.pair_task import UNWATCHED, Nearness, PairTask
from mabe.recording import mean_of_tracked
from mabe.runtime.console import count

OTHERS = 3
"""Animals beside agent and target in a view: where there are more, the nearest."""


SEATS = 2 + OTHERS


BOUT_MARGIN_S = 2.0
"""Time around bouts that counts in groups, whoever is near."""


_HALF = 0.5


_SAMPLES = 64
"""Frames of a clip in which the distances to other animals are measured."""


@runtime_checkable
class LabelsOfView(Protocol):
    """What windows are drawn by, and filled with: see `ViewLabels`."""

    @property
    def recording(self) -> int:
        """Index of the recording in its store."""

    @property
    def view(self) -> View:
        """Agent and target."""

    @property
    def length(self) -> int:
        """Frames at the working rate."""

    def counted_spans(self) -> Spans:
        """Return the spans of frames that count for some action."""

    def watched_frames(self, action: int) -> int:
        """Return the number of frames that count for an action."""

    def occurring(self) -> list[int]:
        """Return the actions that occur."""

    def action_spans(self, action: int) -> Spans:
        """Return the spans of frames that count in which an action occurs."""

    def frames(self, start: int, stop: int) -> Shaped[np.ndarray, "time actions"]:
        """Return the state, or the share, of every action in frames [start, stop)."""


@dataclass(frozen=True, slots=True)
class TaughtView:
    """The share of each action in every frame of one view of one recording."""

    recording: int
    view: View
    shares: Float[np.ndarray, "time actions"]
    """`UNWATCHED` where a frame does not count for an action."""

    @property
    def length(self) -> int:
        """Frames at the working rate."""
        return len(self.shares)

    def counted_spans(self) -> Spans:
        """Return the spans of frames that count for some action."""
        return find_spans((self.shares != UNWATCHED).any(axis=1))

    def watched_frames(self, action: int) -> int:
        """Return the number of frames that count for an action."""
        return int((self.shares[:, action] != UNWATCHED).sum())

    def occurring(self) -> list[int]:
        """Return the actions that occur: more likely than not in some frame."""
        return np.flatnonzero((self.shares > _HALF).any(axis=0)).tolist()

    def action_spans(self, action: int) -> Spans:
        """Return the spans of frames in which an action is more likely than not."""
        return find_spans(self.shares[:, action] > _HALF)

    def frames(self, start: int, stop: int) -> Float[np.ndarray, "time actions"]:
        """Return the share of every action in frames [start, stop)."""
        return self.shares[start:stop]


@dataclass(frozen=True, slots=True)
class ViewWithoutLabels:
    """A view in which every frame counts, and no action occurs."""

    recording: int
    view: View
    length: int
    spans: Spans
    """The frames in which the view is looked at."""

    def counted_spans(self) -> Spans:
        """Return the spans of frames in which the view is looked at."""
        return self.spans

    def watched_frames(self, action: int) -> int:
        """Return 0: no action is watched."""
        return 0

    def occurring(self) -> list[int]:
        """Return no action."""
        return []

    def action_spans(self, action: int) -> Spans:
        """Return no span."""
        return np.empty((0, 2), int)

    def frames(self, start: int, stop: int) -> Int8[np.ndarray, "time 1"]:
        """Return 0 for frames [start, stop): one action, which does not happen."""
        return np.zeros((stop - start, 1), np.int8)


@dataclass(frozen=True, slots=True)
class LabelledViews:
    """A store, with the labels of every view that was watched."""

    store: PoseStore
    task: PairTask
    views: tuple[LabelsOfView, ...]

    def of(self, recordings: Sequence[int]) -> list[LabelsOfView]:
        """Return the views of some recordings."""
        wanted = set(recordings)
        return [labels for labels in self.views if labels.recording in wanted]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Windows of poses (cm, NaN where missing), agent first, and their labels."""

    poses: Any
    """``[b, t, p, k, 2]``: an array, or a tensor on a device (see `ReadClips`)."""
    labels: Shaped[np.ndarray, "b t actions"]
    """States, or shares."""
    lab: Int[np.ndarray, " b"]
    """Number of the lab, see `PairTask.lab_number`."""
    is_self: Bool[np.ndarray, " b"]


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Spans of frames that are drawn with equal probability."""

    rows: Int[np.ndarray, "_ 3"]
    """Rows of (view, start, stop)."""
    ends: Int[np.ndarray, " _"]
    """Cumulative number of their frames."""

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int]]) -> "_Bucket":
        table = np.array(rows, int)
        return cls(table, np.cumsum(table[:, 2] - table[:, 1]))

    def frame(self, share: float) -> tuple[int, int]:
        """Return (view, frame) at a share in [0, 1) of all frames."""
        place = int(share * self.ends[-1])
        row = int(np.searchsorted(self.ends, place, side="right"))
        view, _, stop = self.rows[row]
        return int(view), int(stop - (self.ends[row] - place))


def label_views(
    store: PoseStore, task: PairTask, nearness: Nearness | None = None
) -> LabelledViews:
    """Return the labels of every watched view of a store.

    In groups only the frames count in which a view is looked at, and those of bouts.
    """
    near = NearPairs(store, nearness or Nearness())
    margin = round(BOUT_MARGIN_S * store.rate_fps)
    views: list[LabelsOfView] = []
    for index, recording in enumerate(store.recordings):
        for labels in task.view_labels(recording, index, store.rate_fps):
            spans = near.spans(index, labels.view)
            views.append(labels if spans is None else labels.within(spans, margin))
    return LabelledViews(store, task, tuple(views))


def views_without_labels(
    store: PoseStore,
    task: PairTask,
    recordings: Sequence[int],
    nearness: Nearness | None = None,
) -> LabelledViews:
    """Return all views of some recordings in which an action may occur."""
    near = NearPairs(store, nearness or Nearness())
    views: list[LabelsOfView] = []
    for index in recordings:
        length = store.recordings[index].length
        for view in task.choices(store.recordings[index]):
            spans = near.spans(index, view)
            whole = np.array([[0, length]]) if spans is None else spans
            views.append(ViewWithoutLabels(index, view, length, whole))
    return LabelledViews(store, task, tuple(views))


def order_animals(view: View, animals: Sequence[int]) -> list[int]:
    """Return the order of animals in the input of a view's network, from 0.

    Agent, target (`NOBODY` for an action on oneself), then the first others among
    `animals`: `SEATS` places.
    """
    others = [a for a in animals if a + 1 not in (view.agent, view.target)][:OTHERS]
    target = NOBODY if view.is_self else view.target - 1
    seats = [view.agent - 1, target, *others]
    return seats + [NOBODY] * (SEATS - len(seats))


def order_by_distance(
    poses: Float[np.ndarray, "t a k c"], agent: int, places: Sequence[int] = ()
) -> Sequence[int]:
    """Return the animals from 0 in the order of their median distance to the agent.

    With no more animals than a view has seats for, the order is that of their numbers.
    `places`, objects and zones numbered from 1, are no animals.
    """
    animals = poses.shape[1]
    if animals <= OTHERS + 1:
        return _without(places, range(animals))
    some = poses[:: max(1, len(poses) // _SAMPLES)]
    centres = mean_of_tracked(some[..., :2])
    away = np.linalg.norm(centres - centres[:, agent - 1 : agent], axis=2)
    is_known = np.isfinite(away)
    median = np.full(animals, np.inf)
    for animal in np.flatnonzero(is_known.any(axis=0)):
        median[animal] = np.median(away[is_known[:, animal], animal])
    return _without(places, np.argsort(median, kind="stable").tolist())


def _without(places: Sequence[int], order: Sequence[int]) -> list[int]:
    return [individual for individual in order if individual + 1 not in places]


def from_view(
    poses: Float[np.ndarray, "t a k c"], view: View, places: Sequence[int] = ()
) -> Float[np.ndarray, "t p k c"]:
    """Return the poses in a view's order of animals; those of `NOBODY` are missing.

    Objects and zones may be the target, and are no others.
    """
    order = order_animals(view, order_by_distance(poses, view.agent, places))
    ordered = poses[:, order]
    ordered[:, [at for at, animal in enumerate(order) if animal == NOBODY]] = np.nan
    return ordered


class PairSampler:
    """Draws training windows from the views of some recordings."""

    def __init__(
        self,
        data: LabelledViews,
        recordings: Sequence[int],
        *,
        length: int,
        power: float,
        action_share: float,
    ) -> None:
        self.data = data
        self.length = length
        self.read: ReadClips = functools.partial(read_clips, data.store)
        """Reads poses."""
        self.views = data.of(recordings)
        in_lab: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        in_action: dict[tuple[str, int], list[tuple[int, int, int]]]
        in_action = defaultdict(list)
        for number, labels in enumerate(self.views):
            lab = data.store.recordings[labels.recording].lab
            for start, stop in labels.counted_spans():
                in_lab[lab].append((number, int(start), int(stop)))
            for action in labels.occurring():
                for start, stop in labels.action_spans(action):
                    in_action[lab, action].append((number, int(start), int(stop)))
        watched = [_Bucket.of(rows) for _, rows in sorted(in_lab.items())]
        acting = [_Bucket.of(rows) for _, rows in sorted(in_action.items())]
        self._buckets = watched + acting
        if not self._buckets:
            raise DataError(
                f"none of {count(len(recordings), 'training recording')} has a frame "
                "that counts. Are the animals in the labels tracked, and are some "
                "frames not in `ignore`?"
            )
        share = action_share if acting else 0.0
        probabilities = np.concatenate(
            [
                (1 - share) * _probabilities(watched, power),
                share * _probabilities(acting, power),
            ]
        )
        self._ends = np.cumsum(probabilities)

    @property
    def counted_frames(self) -> int:
        """Number of frames that count, over all views."""
        return _frames_in(*(labels.counted_spans() for labels in self.views))

    def counted_in_window(self, length: int) -> float:
        """Return how many frames that count a window of a length has on average.

        Of windows around any frame that counts, whether something happens or not.
        """
        spans = (labels.counted_spans() for labels in self.views)
        return mean_in_windows(spans, length)

    def draw(
        self,
        rng: np.random.Generator,
        windows: int,
        stretch: float,
        own: slice = slice(None),
    ) -> PairBatch:
        """Draw windows; each covers `stretch` times its length, evenly spaced.

        Only those in `own`, the share of this process, are read. One frame is drawn
        from each of `windows` equal shares of the probabilities, so that every batch
        covers labs and actions.
        """
        places = (np.arange(windows) + rng.random(windows)) / windows * self._ends[-1]
        buckets = np.searchsorted(self._ends, places, side="right")
        picks = [
            self._buckets[min(bucket, len(self._buckets) - 1)].frame(share)
            for bucket, share in zip(buckets, rng.random(windows), strict=True)
        ][own]
        shown = max(2, round(self.length * stretch))
        offsets = rng.integers(0, shown, windows)[own]
        views = [self.views[view] for view, _ in picks]
        poses, labels = gather(
            self.read,
            recordings=np.array([of_view.recording for of_view in views]),
            starts=[
                frame - int(at) for (_, frame), at in zip(picks, offsets, strict=True)
            ],
            recording_lengths=[of_view.length for of_view in views],
            frames=shown,
            seats=lambda clip, start, stop: self._seats(views[clip], start, stop),
            labels=lambda clip, start, stop: views[clip].frames(start, stop),
            not_counted=UNWATCHED,
            length=self.length,
        )
        return PairBatch(
            poses,
            labels,
            np.array([self._lab_number(of_view) for of_view in views]),
            np.array([of_view.view.is_self for of_view in views]),
        )

    def _seats(self, labels: LabelsOfView, start: int, stop: int) -> list[int]:
        """Return the animal in each seat of a clip."""
        store = self.data.store
        places = store.recordings[labels.recording].places
        if store.layout.animals <= OTHERS + 1:
            animals = _without(places, range(store.layout.animals))
            return order_animals(labels.view, animals)
        every = max(1, (stop - start) // _SAMPLES)
        poses = store.poses_cm(labels.recording, start, stop, every=every)
        nearest = order_by_distance(poses, labels.view.agent, places)
        return order_animals(labels.view, nearest)

    def _lab_number(self, labels: LabelsOfView) -> int:
        lab = self.data.store.recordings[labels.recording].lab
        return self.data.task.lab_number(lab)


def count_states(
    views: Sequence[LabelsOfView], actions: int
) -> tuple[Int[np.ndarray, " actions"], Int[np.ndarray, " actions"]]:
    """Return the number of frames of each action, and of those watched for it."""
    happened = np.zeros(actions, np.int64)
    watched = np.zeros(actions, np.int64)
    for labels in views:
        watched += [labels.watched_frames(action) for action in range(actions)]
        for action in labels.occurring():
            happened[action] += _frames_in(labels.action_spans(action))
    return happened, watched


def _frames_in(*spans: Spans) -> int:
    return sum(int((each[:, 1] - each[:, 0]).sum()) for each in spans)


def _probabilities(buckets: Sequence[_Bucket], power: float) -> Float[np.ndarray, " _"]:
    """Return the probability of each bucket, its frames to a power."""
    raised = np.array([float(bucket.ends[-1]) ** power for bucket in buckets])
    return raised / raised.sum() if len(buckets) else raised
