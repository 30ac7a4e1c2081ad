"""Bouts of behaviour, what was watched, and spans of frames.

Spans are half-open, ``[start, stop)``. A *span array* has one row per span, sorted and
disjoint.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

Spans = Int[np.ndarray, "_ 2"]


NO_ANIMAL = 0
"""Agent and target of a bout that concerns the scene as a whole."""


NO_ACTION = -1
"""The choice for a frame of a view in which no action occurs."""


@dataclass(frozen=True, slots=True, order=True)
class Bout:
    """One uninterrupted span of one action of an agent to a target.

    Animals count from 1, as in the files; an action on oneself has
    ``target == agent``, and both are `NO_ANIMAL` where the action is the class of a
    scene. Frames are the recording's own.
    """

    start: int
    stop: int
    action: str
    agent: int
    target: int
    probability: float | None = None
    """Mean probability of the action over a predicted bout; None: annotated."""

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a bout needs 0 <= start < stop, got {self}")


@dataclass(frozen=True, slots=True, order=True)
class View:
    """An agent and what it may act on: another animal, or itself.

    Probabilities, labels and decisions of a recording are kept view by view.
    """

    agent: int
    target: int

    @property
    def is_self(self) -> bool:
        """True for actions on oneself."""
        return self.agent == self.target

    @property
    def reverse(self) -> "View":
        """The same two animals in exchanged roles."""
        return View(self.target, self.agent)

    def label(self, animals: Sequence[str] = ()) -> str:
        """Return agent and target in words, by the lab's names; empty for `SCENE`."""
        if self == SCENE:
            return ""
        agent = name_of_animal(self.agent, animals)
        if self.is_self:
            return f"{agent} itself"
        return f"{agent} → {name_of_animal(self.target, animals)}"


SCENE = View(NO_ANIMAL, NO_ANIMAL)
"""The view of all animals together."""


@dataclass(frozen=True, slots=True, order=True)
class Watched:
    """An action of an agent to a target that an annotator watched for."""

    agent: int
    target: int
    action: str


@dataclass(frozen=True, slots=True, order=True)
class WatchedSpan:
    """Frames ``[start, stop)`` in which an annotator watched for an action.

    Within them an action that is not annotated did not occur; outside them nothing is
    known. Frames are the recording's own.
    """

    start: int
    stop: int
    action: str
    agent: int
    target: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a watched span needs 0 <= start < stop, got {self}")

    @property
    def watched(self) -> Watched:
        """What was watched for."""
        return Watched(self.agent, self.target, self.action)


Coverage = tuple[WatchedSpan, ...]
"""When annotators watched for what in a recording, sorted."""


def spans_of(coverage: Coverage, *watched: Watched) -> Spans:
    """Return the frames in which any of some was watched for, joined and sorted."""
    rows = [(each.start, each.stop) for each in coverage if each.watched in watched]
    return np.array(_joined(rows), int).reshape(-1, 2)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans joined where they meet, sorted."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], stop)
        else:
            joined.append((start, stop))
    return joined


def join_coverage(coverage: Iterable[WatchedSpan]) -> Coverage:
    """Return spans of each action joined where they meet, sorted."""
    rows: dict[Watched, list[tuple[int, int]]] = {}
    for each in coverage:
        rows.setdefault(each.watched, []).append((each.start, each.stop))
    return tuple(
        sorted(
            WatchedSpan(start, stop, of.action, of.agent, of.target)
            for of, spans in rows.items()
            for start, stop in _joined(spans)
        )
    )


def watched_frames(coverage: Coverage) -> int:
    """Return the number of frames in which something was watched for."""
    spans = spans_of(coverage, *{each.watched for each in coverage})
    return int((spans[:, 1] - spans[:, 0]).sum())


def gaps_between(spans: Spans, length: int) -> Spans:
    """Return the frames of ``[0, length)`` that are in none of the spans."""
    edges = np.concatenate([[0], spans.clip(max=length).reshape(-1), [length]])
    gaps = edges.reshape(-1, 2)
    return gaps[gaps[:, 0] < gaps[:, 1]]


def covered_bouts(bouts: Iterable[Bout], coverage: Coverage | None) -> tuple[Bout, ...]:
    """Return the parts of bouts that lie in frames watched for their action.

    All of them where coverage is None: then all frames were watched.
    """
    if coverage is None:
        return tuple(bouts)
    spans = functools.cache(functools.partial(spans_of, coverage))
    return tuple(
        replace(bout, start=max(bout.start, start), stop=min(bout.stop, stop))
        for bout in bouts
        for start, stop in spans(Watched(bout.agent, bout.target, bout.action)).tolist()
        if start < bout.stop and bout.start < stop
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingBouts:
    """The bouts of one recording, and what is needed to write them to a file."""

    lab: str
    video: str
    fps: float
    length: int
    """Number of frames of the recording."""
    animals: tuple[str, ...] = ()
    """The lab's names of the animals 1, 2 …, where they are known."""
    bouts: tuple[Bout, ...]
    start_s: float = 0.0
    """When frame 0 was filmed, on the clock of the session of its pose file."""

    def name_of(self, animal: int) -> str:
        """Return the lab's name of an animal; see `name_of_animal`."""
        return name_of_animal(animal, self.animals)

    def target_name(self, bout: Bout) -> str:
        """Return the name of a bout's target; ``self`` for an action on oneself."""
        if bout.target == bout.agent != NO_ANIMAL:
            return "self"
        return self.name_of(bout.target)


def find_spans(active: Bool[np.ndarray, " time"]) -> Spans:
    """Return the spans of true frames."""
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    return edges.reshape(-1, 2)


def mean_in_windows(spans_of_views: Iterable[Spans], window: int) -> float:
    """Return how many frames of its view's spans a window of so many frames has.

    The mean over windows that are drawn around a frame of the spans, each of which is
    as probable, at any place in the window. A window may reach beyond a recording. 0
    without spans.
    """
    total, frames = 0.0, 0
    for spans in spans_of_views:
        if not len(spans):
            continue
        inside = np.zeros(int(spans[-1, 1]) + 2 * window, np.int64)
        for start, stop in spans:
            inside[window + start : window + stop] = 1
        of_window = _sums(inside, window)  # for each frame at which a window begins
        around_frame = _sums(of_window, window) / window
        counted = inside[window - 1 :][: len(around_frame)]
        total += float(around_frame[counted == 1].sum())
        frames += int(counted.sum())
    return total / frames if frames else 0.0


def _sums(values: Int[np.ndarray, " n"], window: int) -> Int[np.ndarray, " windows"]:
    """Return the sum of each so many neighbours."""
    ends = np.concatenate([[0], np.cumsum(values)])
    return ends[window:] - ends[:-window]


def label_runs(labels: Int[np.ndarray, " time"]) -> Int[np.ndarray, "_ 3"]:
    """Return the spans of equal labels as rows of (start, stop, label)."""
    if len(labels) == 0:
        return np.empty((0, 3), int)
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    stops = np.append(starts[1:], len(labels))
    return np.stack([starts, stops, labels[starts]], axis=1)


def find_bouts(
    chosen: Int[np.ndarray, " time"],
    probabilities: Float[np.ndarray, "time actions"],
    actions: Sequence[str],
    *,
    nothing: int,
    agent: int = NO_ANIMAL,
    target: int = NO_ANIMAL,
) -> list[Bout]:
    """Return the bouts of every chosen action but the index `nothing`, in time order.

    `chosen` holds indices into `actions`, in which the columns of `probabilities` are
    ordered too.
    """
    return [
        Bout(
            int(start),
            int(stop),
            actions[index],
            agent,
            target,
            float(probabilities[start:stop, index].mean()),
        )
        for start, stop, index in label_runs(chosen)
        if index != nothing
    ]


def name_of_animal(animal: int, animals: Sequence[str]) -> str:
    """Return the lab's name of an animal; ``mouse1`` … where it gives none.

    `animals` are the lab's names of the animals 1, 2 …; names that two animals share
    are not used. `NO_ANIMAL` is an empty string.
    """
    if animal == NO_ANIMAL:
        return ""
    if animal <= len(animals) and len(set(animals)) == len(animals):
        return animals[animal - 1]
    return name_animal(animal)


def name_animal(animal: int) -> str:
    """Return an animal as the challenge's files write it, ``mouse1``."""
    return f"mouse{animal}"


def name_target(agent: int, target: int) -> str:
    """Return a target as a submission writes it, ``mouse2`` or ``self``."""
    return "self" if target == agent else name_animal(target)
