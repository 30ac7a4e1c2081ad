"""Which stretches of which recordings a training step sees.

A *window* is `length` frames at the working rate. Windows of step *n* depend on
``(seed, n)`` alone, so a stopped run goes on exactly. Every frame that counts has
about the same chance, wherever it lies; frames that do not count are never drawn
for their own sake.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.bouts import find_spans
from mabe.rates import nearest_frames
from mabe.store import PoseStore, StoredRecording
from mabe.tasks import NOT_COUNTED, SceneTask


@dataclass(frozen=True, slots=True)
class LabelledStore:
    """A store, with the class of every frame and the classes possible in each video."""

    store: PoseStore
    labels: tuple[Int[np.ndarray, "_"], ...]
    """One class for each frame at the working rate, of each recording."""
    possible: tuple[Bool[np.ndarray, " classes"], ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of poses (cm, NaN where missing) and what is asked of their frames."""

    poses: Float[np.ndarray, "b t a k 2"]
    labels: Int[np.ndarray, "b t"]
    possible: Bool[np.ndarray, "b classes"]


def label_store(store: PoseStore, task: SceneTask) -> LabelledStore:
    """Give every frame of a store its class.

    Raises `ConfigError` where the data have actions the task does not place.
    """
    task.check_actions(
        {b.action for r in store.recordings for b in r.bouts}
        | {w.action for r in store.recordings for w in r.looked_for}
    )
    return LabelledStore(
        store,
        tuple(labels_at_rate(r, task, store.rate_fps) for r in store.recordings),
        tuple(task.possible(r.looked_for, r.bouts) for r in store.recordings),
    )


def labels_at_rate(
    recording: StoredRecording, task: SceneTask, rate_fps: float
) -> Int[np.ndarray, " time"]:
    """Return the class of each frame at the working rate."""
    own = task.frame_labels(
        recording.bouts, recording.looked_for, recording.native_length
    )
    return own[
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
        spans = [
            np.insert(find_spans(data.labels[r] != NOT_COUNTED), 0, r, axis=1)
            for r in recordings
        ]
        self._spans = np.concatenate([np.empty((0, 3), int), *spans])
        """Rows of (recording, start, stop)."""
        lengths = self._spans[:, 2] - self._spans[:, 1]
        self._ends = np.cumsum(lengths)

    @property
    def counted_frames(self) -> int:
        """Number of frames that count."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def draw(
        self,
        rng: np.random.Generator,
        windows: int,
        stretch: float,
        own: slice = slice(None),
    ) -> Batch:
        """Draw windows; each shows `stretch` times its length, at an even spacing.

        Only those that are this process's `own` are read.
        The frames to be covered are drawn one from each of `windows` equal shares of
        all frames that count, so every batch spans the whole data set.
        """
        places = (np.arange(windows) + rng.random(windows)) / windows
        picks = (places * self.counted_frames).astype(int)
        rows = np.searchsorted(self._ends, picks, side="right")
        recordings = self._spans[rows, 0]
        frames = self._spans[rows, 2] - (self._ends[rows] - picks)
        shown = max(2, round(self.length * stretch))
        starts = frames - rng.integers(0, shown, windows)
        return self._gather(recordings[own], starts[own], shown)

    def _gather(
        self,
        recordings: Int[np.ndarray, " b"],
        starts: Int[np.ndarray, " b"],
        shown: int,
    ) -> Batch:
        reads = [
            self._read(int(r), int(s), shown)
            for r, s in zip(recordings, starts, strict=True)
        ]
        poses = np.stack([poses for poses, _ in reads])
        labels = np.stack([labels for _, labels in reads])
        if shown != self.length:
            poses = stretch_time(poses, self.length)
            labels = labels[:, even_places(shown, self.length).round().astype(int)]
        possible = np.stack([self.data.possible[r] for r in recordings])
        return Batch(poses, labels, possible)

    def _read(
        self, recording: int, start: int, shown: int
    ) -> tuple[Float[np.ndarray, "t a k 2"], Int[np.ndarray, " t"]]:
        """Read a window; outside a short recording nothing is seen or counted."""
        labels = self.data.labels[recording]
        start = max(0, min(start, len(labels) - shown))
        stop = min(start + shown, len(labels))
        poses = self.data.store.poses_cm(recording, start, stop)
        read = labels[start:stop]
        if missing := shown - (stop - start):
            poses = np.pad(poses, [(0, missing), *[(0, 0)] * 3], constant_values=np.nan)
            read = np.pad(read, (0, missing), constant_values=NOT_COUNTED)
        return poses, read


def stretch_time(
    poses: Float[np.ndarray, "b t a k 2"], length: int
) -> Float[np.ndarray, "b u a k 2"]:
    """Play windows faster or slower so that they last `length` frames.

    Between two frames of which one is missing there is nothing (NaN).
    """
    places = even_places(poses.shape[1], length)
    before = np.minimum(places.astype(int), poses.shape[1] - 2)
    share = (places - before).astype(np.float32)[:, None, None, None]
    return poses[:, before] * (1 - share) + poses[:, before + 1] * share


def even_places(shown: int, length: int) -> Float[np.ndarray, " u"]:
    """Return where `length` evenly spaced frames lie among the frames shown."""
    return np.linspace(0, shown - 1, length)
