"""Training windows of the scene task.

A *window* is `length` frames at the working rate. Windows of step *n* depend on
``(seed, n)`` only, so that a stopped run can be resumed exactly. Every frame that
counts has about the same probability; frames that do not count are only in windows
around frames that do.
"""

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Int, Shaped

from mabe.bouts import find_spans, mean_in_windows
from mabe.data.clips import ReadClips, gather, read_clips
from mabe.data.store import PoseStore
from mabe.recording import StoredRecording
from mabe.resampling import nearest_frames
from mabe.scene_task import NOT_COUNTED, SceneTask


@dataclass(frozen=True, slots=True)
class LabelledStore:
    """A store, with the class of every frame and the classes possible in each video."""

    store: PoseStore
    labels: tuple[Shaped[np.ndarray, "_ *classes"], ...]
    """For each recording, the class of each frame at the working rate."""
    possible: tuple[Bool[np.ndarray, " classes"], ...]
    not_counted: ClassVar[int] = NOT_COUNTED
    """The label of frames after the end of a recording."""

    def counted(self, recording: int) -> Bool[np.ndarray, " time"]:
        """Return which frames of a recording count."""
        counts: Bool[np.ndarray, " time"] = self.labels[recording] != NOT_COUNTED
        return counts


class TaughtStore(LabelledStore):
    """A store with the share of each class in every frame; all frames count."""

    not_counted: ClassVar[int] = 0
    """Shares of nothing have no weight in a loss."""

    def counted(self, recording: int) -> Bool[np.ndarray, " time"]:
        """Return True for every frame of a recording."""
        return np.ones(len(self.labels[recording]), bool)


def without_classes(store: PoseStore) -> LabelledStore:
    """Return a store in which every frame counts, and all are of one class."""
    return LabelledStore(
        store,
        tuple(np.zeros(each.length, np.int8) for each in store.recordings),
        (np.ones(1, bool),) * len(store.recordings),
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of poses (cm, NaN where missing) and their labels."""

    poses: Any
    """``[b, t, a, k, 2]``: an array, or a tensor on a device (see `ReadClips`)."""
    labels: Shaped[np.ndarray, "b t *classes"]
    """Classes, or shares of all classes."""
    possible: Bool[np.ndarray, "b classes"]


def label_store(store: PoseStore, task: SceneTask) -> LabelledStore:
    """Return a store with the class of every frame.

    Raises `ConfigError` where the data have actions without a class.
    """
    task.check_actions(
        {b.action for r in store.recordings for b in r.bouts}
        | {w.action for r in store.recordings for w in r.annotated}
    )
    return LabelledStore(
        store,
        tuple(labels_at_rate(r, task, store.rate_fps) for r in store.recordings),
        tuple(task.possible(r.annotated, r.bouts) for r in store.recordings),
    )


def labels_at_rate(
    recording: StoredRecording, task: SceneTask, rate_fps: float
) -> Int[np.ndarray, " time"]:
    """Return the class of each frame at the working rate."""
    return task.labels_of(recording)[
        nearest_frames(
            recording.length,
            from_fps=recording.fps,
            to_fps=rate_fps,
            from_length=recording.native_length,
        )
    ]


class WindowSampler:
    """Draws training windows from some recordings of a store."""

    def __init__(
        self, data: LabelledStore, recordings: list[int], *, length: int
    ) -> None:
        self.data = data
        self.length = length
        self.read: ReadClips = functools.partial(read_clips, data.store)
        """Reads poses."""
        spans = [
            np.insert(find_spans(data.counted(r)), 0, r, axis=1) for r in recordings
        ]
        self._spans = np.concatenate([np.empty((0, 3), int), *spans])
        """Rows of (recording, start, stop)."""
        lengths = self._spans[:, 2] - self._spans[:, 1]
        self._ends = np.cumsum(lengths)

    @property
    def counted_frames(self) -> int:
        """Number of frames that count."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def counted_in_window(self, length: int) -> float:
        """Return how many frames that count a window of a length has on average."""
        recordings = np.unique(self._spans[:, 0])
        return mean_in_windows(
            (self._spans[self._spans[:, 0] == each, 1:] for each in recordings), length
        )

    def draw(
        self,
        rng: np.random.Generator,
        windows: int,
        stretch: float,
        own: slice = slice(None),
    ) -> Batch:
        """Draw windows; each covers `stretch` times its length, evenly spaced.

        Only those in `own`, the share of this process, are read. One frame is drawn
        from each of `windows` equal shares of all frames that count, so that every
        batch covers the whole data set.
        """
        places = (np.arange(windows) + rng.random(windows)) / windows
        picks = (places * self.counted_frames).astype(int)
        rows = np.searchsorted(self._ends, picks, side="right")
        recordings = self._spans[rows, 0]
        frames = self._spans[rows, 2] - (self._ends[rows] - picks)
        shown = max(2, round(self.length * stretch))
        starts = frames - rng.integers(0, shown, windows)
        recordings, starts = recordings[own], starts[own]
        labels_of = [self.data.labels[r] for r in recordings]
        poses, labels = gather(
            self.read,
            recordings=recordings,
            starts=starts.tolist(),
            recording_lengths=[len(each) for each in labels_of],
            frames=shown,
            seats=lambda clip, start, stop: range(self.data.store.layout.animals),
            labels=lambda clip, start, stop: labels_of[clip][start:stop],
            not_counted=self.data.not_counted,
            length=self.length,
        )
        possible = np.stack([self.data.possible[r] for r in recordings])
        return Batch(poses, labels, possible)
