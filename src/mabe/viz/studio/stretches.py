"""The time of all recordings in stretches of a few seconds, each described by numbers.

A stretch is what somebody labels at once: two animals (an unordered pair, or one animal
by itself) for `STRETCH_S`. Its description is of movement and distance alone, so
stretches can be compared before there is any model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.bouts import Coverage, View, Watched, spans_of
from mabe.data.store import PoseStore
from mabe.recording import StoredRecording
from mabe.runtime.files import write_atomically

STRETCH_S = 10.0


NUMBERS = tuple(
    f"{what} ({how})"
    for what in (
        "speed of the slower animal",
        "speed of the faster animal",
        "extent of the smaller animal",
        "extent of the larger animal",
        "distance",
        "change of distance",
    )
    for how in ("median", "9th tenth")
)
"""What the numbers of a description are; the second one is the quantile 0.9."""


LEAST_TRACKED = 0.3
"""Stretches in which less of the frames is tracked are not suggested."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Stretches of all recordings, in the order of recordings, pairs and time."""

    names: tuple[str, ...]
    """The recordings."""
    recording: Int[np.ndarray, " stretch"]
    pair: Int[np.ndarray, "stretch 2"]
    """The two animals; twice the same where there is one."""
    frames: Int[np.ndarray, "stretch 2"]
    """Start and stop, in the recording's own frames."""
    tracked: Float[np.ndarray, " stretch"]
    """Share of frames in which both animals are tracked."""
    description: Float[np.ndarray, "stretch number"]
    """Standardized over all stretches; 0 where unknown."""

    def __len__(self) -> int:
        return len(self.recording)

    def write(self, path: Path) -> None:
        """Write the stretches to a file."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}

        def save(place: Path) -> None:
            with place.open("wb") as file:
                np.savez_compressed(file, names=np.array(self.names), **arrays)

        write_atomically(path, save)

    @classmethod
    def read(cls, path: Path) -> "Stretches":
        """Return the stretches of a file."""
        with np.load(path, allow_pickle=False) as file:
            names = tuple(str(name) for name in file["names"])
            return cls(names, *(file[name] for name in _ARRAYS))

    def views(self, place: int) -> list[View]:
        """Return the views of the animals of a stretch."""
        a, b = self.pair[place].tolist()
        return list(dict.fromkeys([View(a, b), View(b, a), View(a, a), View(b, b)]))


_ARRAYS = ("recording", "pair", "frames", "tracked", "description")


def cut_stretches(store: PoseStore) -> Stretches:
    """Return the stretches of all recordings of a store."""
    recordings, pairs, frames, tracked, numbers = [], [], [], [], []
    for index, recording in enumerate(store.recordings):
        edges = _edges(recording.length, store.rate_fps)
        if len(edges) < 2:
            continue
        poses = store.poses_cm(index, 0, recording.length)
        own = recording.fps / store.rate_fps
        for a, b in focus_pairs(recording):
            values, known = _describe(poses[:, a - 1], poses[:, b - 1], store.rate_fps)
            numbers += [_summary(values[i:j]) for i, j in pairwise(edges)]
            tracked += [known[i:j].mean() for i, j in pairwise(edges)]
            at = np.minimum(np.round(edges * own), recording.native_length).astype(int)
            frames += np.stack([at[:-1], at[1:]], axis=1).tolist()
            pairs += [(a, b)] * (len(edges) - 1)
            recordings += [index] * (len(edges) - 1)
    return Stretches(
        tuple(each.name for each in store.recordings),
        np.array(recordings, int),
        np.array(pairs, int).reshape(-1, 2),
        np.array(frames, int).reshape(-1, 2),
        np.array(tracked, np.float64),
        _standardized(np.array(numbers, np.float64).reshape(len(tracked), -1)),
    )


def focus_pairs(recording: StoredRecording) -> list[tuple[int, int]]:
    """Return the pairs that are labelled together, each once; or the one animal."""
    animals, individuals = recording.tracked_animals, recording.tracked_individuals
    if not animals:
        return []
    pairs = [*combinations(animals, 2)]
    pairs += [
        (a, thing) for a in animals for thing in individuals if thing not in animals
    ]
    return pairs or [(animals[0], animals[0])]


def labelled_share(
    stretches: Stretches,
    coverage: Sequence[Coverage],
    watchable: Sequence[Iterable[Watched]],
) -> Float[np.ndarray, " stretch"]:
    """Return the share of each stretch that is labelled for all its actions.

    `coverage` and `watchable` are those of each recording.
    """
    share = np.zeros(len(stretches))
    for index in range(len(stretches.names)):
        of_recording = np.flatnonzero(stretches.recording == index)
        if not len(of_recording) or not coverage[index]:
            continue
        length = int(stretches.frames[of_recording, 1].max())
        everything = list(watchable[index])
        for pair in np.unique(stretches.pair[of_recording], axis=0):
            places = of_recording[(stretches.pair[of_recording] == pair).all(axis=1)]
            keys = [w for w in everything if {w.agent, w.target} <= set(pair.tolist())]
            is_known = _known_frames(coverage[index], keys, length)
            total = np.concatenate([[0], np.cumsum(is_known)])
            start, stop = stretches.frames[places].T
            share[places] = (total[stop] - total[start]) / np.maximum(stop - start, 1)
    return share


def _known_frames(
    coverage: Coverage, keys: Sequence[Watched], length: int
) -> Bool[np.ndarray, " frame"]:
    is_known = np.full(length, bool(keys))
    for key in keys:
        of_key = np.zeros(length, bool)
        for start, stop in spans_of(coverage, key):
            of_key[start:stop] = True
        is_known &= of_key
    return is_known


def _edges(length: int, rate_fps: float) -> Int[np.ndarray, " edge"]:
    count = max(1, round(length / (STRETCH_S * rate_fps))) if length else 0
    return np.linspace(0, length, count + 1).round().astype(int)


def _describe(
    first: Float[np.ndarray, "time keypoint 2"],
    second: Float[np.ndarray, "time keypoint 2"],
    rate_fps: float,
) -> tuple[Float[np.ndarray, "time number"], Bool[np.ndarray, " time"]]:
    """Return speeds, extents and distance of two animals, NaN where unknown."""
    centres, columns = [], []
    with np.errstate(invalid="ignore"):
        for points in (first, second):
            known = np.isfinite(points[..., :1]).sum(axis=1)
            centre = np.nansum(points, axis=1) / np.where(known > 0, known, np.nan)
            extent = np.sqrt(np.nansum((points - centre[:, None]) ** 2, axis=(1, 2)))
            step = np.linalg.norm(np.diff(centre, axis=0, prepend=np.nan), axis=1)
            centres.append(centre)
            columns.append((step * rate_fps, extent / np.maximum(known[:, 0], 1)))
        gap = np.linalg.norm(centres[0] - centres[1], axis=1)
        closing = np.diff(gap, prepend=np.nan) * rate_fps
    speeds = np.sort(np.stack([columns[0][0], columns[1][0]], axis=1), axis=1)
    extents = np.sort(np.stack([columns[0][1], columns[1][1]], axis=1), axis=1)
    values = np.column_stack([speeds, extents, gap, np.abs(closing)])
    return values, np.isfinite(gap)


def _summary(values: Float[np.ndarray, "time number"]) -> list[float]:
    """Return the median and a high quantile of each number; NaN where unknown."""
    numbers = []
    for column in values.T:
        known = column[np.isfinite(column)]
        if len(known):
            numbers += np.quantile(known, [0.5, 0.9]).tolist()
        else:
            numbers += [np.nan, np.nan]
    return numbers


def _standardized(
    values: Float[np.ndarray, "stretch number"],
) -> Float[np.ndarray, "stretch number"]:
    logs = np.log1p(np.maximum(values, 0))
    for column in logs.T:
        known = column[np.isfinite(column)]
        if len(known):
            spread = known.std() or 1.0
            column[:] = (column - known.mean()) / spread
    return np.nan_to_num(logs, nan=0.0)
