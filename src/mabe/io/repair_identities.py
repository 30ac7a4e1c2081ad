"""Identities put back: pieces of track laid together where a tracker exchanged them.

Off by default (``repair_identities: true`` in project.yaml). Wherever tracks jump, or
begin after a gap, in one frame, the animals that may be behind them are those of these
tracks; behind a track that begins for the first time also those whose tracks are
missing. (In other tracks they may not be: of twelve animals some are nearly always
lost, and one that is found where another was lost would be treated as it.) Each has a
cost: how far the track is from where the animal was, or
would be had it gone on, and how much the distances between its keypoints differ from
those of its body, in cm. The assignment of least total cost is taken
(`scipy.optimize.linear_sum_assignment`) where it is at least `MARGIN_CM` better for
every two animals; else all keep their tracks. Where animals lie at one place nothing
tells them apart but their bodies, and an exchange there may be missed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from mabe.io.identity_exchanges import MARGIN_CM
from mabe.io.readers.poses import Poses
from mabe.recording import mean_of_tracked
from mabe.runtime.console import count

JUMP_CM = 1.5
"""A track that moves so far from one frame to the next may be another animal's."""

LONGEST_GAP_S = 1.0
"""Where an animal was says nothing about it after a longer gap."""

NEW_CM = 6.0
"""The cost of an animal that was never tracked: a new track may be that of another."""

LOST_CM = 3.0
"""The cost of an animal after a longer gap. It is too low for its track to be given to
another for its place alone: animals are lost, and found, where others are near."""

_IMPOSSIBLE = 1e6
_FARTHEST_CM = 20.0
_GOES_ON_S = 0.3
_SPEED_OVER_S = 0.2
_FASTEST_CM_PER_S = 60.0
_SHAPE_S = 1.0
_SHAPE_FRAMES = 10
_MOST_SHAPES = 20
"""Later shapes of an animal count for no less than one of so many."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Animals that have each other's tracks from a frame on."""

    frame: int
    """The recording's own."""
    animals: tuple[str, ...]
    tracks: tuple[str, ...]
    """The name that the file has for the track of each of them, from then on."""
    nearer_cm: float
    """The fall of the cost."""


def repair_identities(
    poses: Poses, *, fps: float, pixels_per_cm: float
) -> tuple[Poses, tuple[Exchange, ...]]:
    """Return poses whose identities are repaired, and what was exchanged."""
    found = list(_Repair(poses, fps, pixels_per_cm).exchanges())
    if not found:
        return poses, ()
    order = np.arange(len(poses.animals))
    xy, z, confidence = poses.xy_px.copy(), poses.z_px, poses.confidence
    z = None if z is None else z.copy()
    confidence = None if confidence is None else confidence.copy()
    stops = [*(row for row, *_ in found[1:]), len(xy)]
    for (row, animals, tracks, _), stop in zip(found, stops, strict=True):
        order[animals] = tracks
        xy[row:stop] = poses.xy_px[row:stop][:, order]
        if z is not None and poses.z_px is not None:
            z[row:stop] = poses.z_px[row:stop][:, order]
        if confidence is not None and poses.confidence is not None:
            confidence[row:stop] = poses.confidence[row:stop][:, order]
    exchanged = tuple(
        Exchange(
            row + poses.first_frame,
            tuple(poses.animals[each] for each in animals),
            tuple(poses.animals[each] for each in tracks),
            gain,
        )
        for row, animals, tracks, gain in found
    )
    return replace(poses, xy_px=xy, z_px=z, confidence=confidence), exchanged


def note_on_repairs(exchanges: Sequence[Exchange]) -> str:
    """Return what was repaired, for people."""
    if not exchanges:
        return "repair_identities: no identity looks exchanged"
    return (
        f"identities were put back {count(len(exchanges), 'time')} "
        "(repair_identities): tracks were exchanged where that is nearer to where the "
        "animals were; look at some of them before you rely on who does what to whom"
    )


Found = tuple[int, list[int], list[int], float]
"""Row, animals, their tracks from then on, and the fall of the cost."""


class _Repair:
    """Goes through the frames in which tracks begin or jump."""

    def __init__(self, poses: Poses, fps: float, pixels_per_cm: float) -> None:
        self.xy_cm = (poses.xy_px / pixels_per_cm).astype(np.float32)
        self.fps = fps
        animals = self.xy_cm.shape[1]
        self.is_there = np.asarray(np.isfinite(self.xy_cm[..., 0]).any(axis=2))
        rows = np.arange(len(self.xy_cm))[:, None]
        self.last = np.maximum.accumulate(np.where(self.is_there, rows, -1), axis=0)
        self.track_of = np.arange(animals)
        self.since = np.zeros(animals, int)
        """The row from which on each animal has its track."""
        self.seen: list[tuple[int, int] | None] = [None] * animals
        """The last row in which each animal was tracked, and its track then."""
        self.shapes: list[tuple[int, np.ndarray] | None] = [None] * animals

    def exchanges(self) -> Iterator[Found]:
        """Yield what is exchanged, in the order of time."""
        begins = self._begins()
        for row in np.flatnonzero(begins.any(axis=1)).tolist():
            yield from self._at(row, np.flatnonzero(begins[row]).tolist())

    def _begins(self) -> Bool[np.ndarray, "time track"]:
        """Return where a track jumps, or begins after a gap or for the first time."""
        begins: Bool[np.ndarray, "time track"] = self.is_there.copy()
        for track in range(begins.shape[1]):
            moved = mean_of_tracked(np.diff(self.xy_cm[:, track], axis=0))
            # Where no point is tracked in both frames, it may have jumped.
            stays = np.hypot(moved[:, 0], moved[:, 1]) <= JUMP_CM
            begins[1:, track] &= ~stays
        begins[:1] = False
        return begins

    def _at(self, row: int, begin: list[int]) -> Iterator[Found]:
        """Yield what is exchanged in a row in which some tracks begin."""
        animals = [
            animal
            for animal, track in enumerate(self.track_of)
            if track in begin or not self.is_there[row, track]
        ]
        for animal in animals:
            self._update(animal, row)
        costs = self._costs(row, animals, begin)
        wanted = self._assign(animals, begin, costs)
        own = {animal: int(self.track_of[animal]) for animal in animals}
        for cycle in _cycles(own, wanted):
            gain = sum(
                _cost(costs, animals, begin, animal, own[animal])
                - _cost(costs, animals, begin, animal, wanted[animal])
                for animal in cycle
            )
            if gain > MARGIN_CM * len(cycle) / 2:
                tracks = [wanted[animal] for animal in cycle]
                self.track_of[cycle] = tracks
                self.since[cycle] = row
                yield row, cycle, tracks, float(gain)

    def _update(self, animal: int, row: int) -> None:
        """Note where an animal was tracked last before a row, and its shape."""
        track = int(self.track_of[animal])
        last = int(self.last[row - 1, track])
        if last < self.since[animal] or self.seen[animal] == (last, track):
            return
        first = max(int(self.since[animal]), last - round(_SHAPE_S * self.fps))
        self.seen[animal] = (last, track)
        shape = self._shape(track, first, last + 1)
        if (known := self.shapes[animal]) is None:
            self.shapes[animal] = (1, shape)
            return
        number, mean = known
        joined = np.where(np.isfinite(mean), mean, shape)
        change = np.where(np.isfinite(shape), shape - joined, 0) / (number + 1)
        self.shapes[animal] = (min(number + 1, _MOST_SHAPES), joined + change)

    def _shape(self, track: int, start: int, stop: int) -> Float[np.ndarray, "k k"]:
        """Return the median distances between keypoints, NaN where not tracked."""
        some = self.xy_cm[start : stop : max(1, (stop - start) // _SHAPE_FRAMES), track]
        apart = np.linalg.norm(some[:, :, None] - some[:, None], axis=-1)
        # NaN is sorted last: the median of those that are known.
        apart = np.sort(apart, axis=0)
        known = np.isfinite(apart).sum(axis=0)
        middle = (known.clip(min=1) - 1) // 2
        return np.take_along_axis(apart, middle[None], axis=0)[0]

    def _costs(
        self, row: int, animals: Sequence[int], begin: Sequence[int]
    ) -> Float[np.ndarray, "animal track"]:
        """Return the cost of each animal being behind each track that begins."""
        shapes = [
            self._shape(track, row, row + 1 + round(_SHAPE_S * self.fps))
            for track in begin
        ]
        costs = np.full((len(animals), len(begin)), NEW_CM)
        is_old = self.last[row - 1, begin] >= 0
        for at, animal in enumerate(animals):
            if self.track_of[animal] not in begin:
                costs[at, is_old] = _IMPOSSIBLE
            seen, known = self.seen[animal], self.shapes[animal]
            if seen is None:
                continue
            if row - seen[0] > LONGEST_GAP_S * self.fps:
                costs[at, costs[at] < _IMPOSSIBLE] = LOST_CM
                continue
            gap_s = (row - seen[0]) / self.fps
            expected = self._expected(animal, seen, gap_s)
            for place, track in enumerate(begin):
                if costs[at, place] == _IMPOSSIBLE:
                    continue
                away = _distance(self.xy_cm[row, track], expected)
                costs[at, place] = min(away, _FARTHEST_CM) / (1 + gap_s)
                if known is not None:
                    costs[at, place] += _difference(shapes[place], known[1])
        return costs

    def _expected(
        self, animal: int, seen: tuple[int, int], gap_s: float
    ) -> Float[np.ndarray, "k 2"]:
        """Return where an animal would be had it gone on for a moment."""
        row, track = seen
        earlier = row - max(1, round(_SPEED_OVER_S * self.fps))
        pose = self.xy_cm[row, track]
        # An animal that has a new track has no speed of its own in the old one.
        if earlier < 0 or (
            track == self.track_of[animal] and earlier < self.since[animal]
        ):
            return pose
        step = mean_of_tracked(pose - self.xy_cm[earlier, track])
        velocity = step / ((row - earlier) / self.fps)
        speed = float(np.hypot(*velocity))
        if not np.isfinite(speed):
            return pose
        slower = min(1.0, _FASTEST_CM_PER_S / max(speed, 1e-9))
        return pose + velocity * slower * min(gap_s, _GOES_ON_S)

    def _assign(
        self,
        animals: Sequence[int],
        begin: Sequence[int],
        costs: Float[np.ndarray, "animal track"],
    ) -> dict[int, int]:
        """Return the track of each animal at which the costs are least in total."""
        which, tracks = linear_sum_assignment(costs)
        wanted = {animals[a]: begin[t] for a, t in zip(which, tracks, strict=True)}
        taken = set(wanted.values())
        own = {animal: int(self.track_of[animal]) for animal in animals}
        rest = [animal for animal in animals if animal not in wanted]
        wanted |= {each: own[each] for each in rest if own[each] not in taken}
        # Those whose track is another's now get the tracks that are missing.
        free = sorted(set(own.values()) - set(wanted.values()))
        left = [animal for animal in animals if animal not in wanted]
        return wanted | dict(zip(left, free, strict=True))


def _cost(
    costs: Float[np.ndarray, "animal track"],
    animals: Sequence[int],
    begin: Sequence[int],
    animal: int,
    track: int,
) -> float:
    """Return the cost of an animal with a track; 0 for one that is missing."""
    if track not in begin:
        return 0.0
    return float(costs[animals.index(animal), begin.index(track)])


def _cycles(own: dict[int, int], wanted: dict[int, int]) -> Iterator[list[int]]:
    """Yield the animals that would have each other's tracks."""
    owner = {track: animal for animal, track in own.items()}
    left = {animal for animal in own if own[animal] != wanted[animal]}
    while left:
        cycle = [min(left)]
        while (following := owner[wanted[cycle[-1]]]) != cycle[0]:
            cycle.append(following)
        left -= set(cycle)
        yield cycle


def _distance(pose: Float[np.ndarray, "k 2"], other: Float[np.ndarray, "k 2"]) -> float:
    """Return the median distance of the points that both have, else of the middles."""
    apart = np.linalg.norm(pose - other, axis=-1)
    if np.isfinite(apart).any():
        return float(np.median(apart[np.isfinite(apart)]))
    return float(np.linalg.norm(mean_of_tracked(pose) - mean_of_tracked(other)))


def _difference(
    shape: Float[np.ndarray, "k k"], other: Float[np.ndarray, "k k"]
) -> float:
    """Return the mean difference of the distances that both have; 0 without any."""
    apart = np.abs(shape - other)
    is_known = np.isfinite(apart) & ~np.eye(len(apart), dtype=bool)
    return float(apart[is_known].mean()) if is_known.any() else 0.0
