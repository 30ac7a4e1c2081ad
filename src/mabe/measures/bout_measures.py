"""How often, how long and how soon: measures of the bouts of each action.

Each measure is of watched time only. Measures are of a *level*: an ordered pair, an
animal with all its partners, or a recording as a whole. Where several entries are
joined (an animal's partners), the frames in which any of their bouts is are one series
of bouts. What cannot be computed, such as the mean duration of no bout, is NaN.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mabe.bouts import NO_ANIMAL, Spans, Watched
from mabe.measures.observation import (
    Actor,
    Observation,
    count_frames,
    find_actors,
    frames_before,
)

NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoutMeasures:
    """Measures of one series of bouts."""

    watched_s: float
    bouts: int
    total_s: float
    """Time in bouts."""
    share: float
    """Share of the watched time that is in bouts."""
    per_min: float
    """Bouts per minute of watched time."""
    mean_s: float
    """Mean duration of a bout."""
    median_s: float
    longest_s: float
    latency_s: float
    """Watched time before the first bout; NaN where there is none."""
    interval_mean_s: float
    """Mean time from the end of a bout to the start of the next; intervals with an
    unwatched frame are left out."""
    interval_median_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose bouts a row of a table is of; empty where it is of all."""

    source: str
    lab: str
    recording: str
    agent: str
    target: str
    action: str


@dataclass(frozen=True, slots=True)
class MeasuredBouts:
    """One row: measures of an action at one place."""

    place: Place
    measures: BoutMeasures


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBin:
    """One row: an action at one place within one bin of time."""

    place: Place
    bin: int
    """From 1."""
    start_s: float
    stop_s: float
    watched_s: float
    bouts: int
    """Bouts that start in the bin."""
    total_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Series:
    """The joined bouts of some entries."""

    place: Place
    spans: Spans
    watched: Spans


def measure_bouts(spans: Spans, watched: Spans, fps: float) -> BoutMeasures:
    """Return the measures of bouts that lie within watched frames."""
    durations_s = (spans[:, 1] - spans[:, 0]) / fps
    watched_s, total_s = count_frames(watched) / fps, float(durations_s.sum())
    number = len(spans)
    intervals_s = _intervals(spans, watched) / fps
    return BoutMeasures(
        watched_s=watched_s,
        bouts=number,
        total_s=total_s,
        share=total_s / watched_s if watched_s else NAN,
        per_min=60 * number / watched_s if watched_s else NAN,
        mean_s=float(durations_s.mean()) if number else NAN,
        median_s=float(np.median(durations_s)) if number else NAN,
        longest_s=float(durations_s.max()) if number else NAN,
        latency_s=float(frames_before(watched, spans[0, 0]) / fps) if number else NAN,
        interval_mean_s=float(intervals_s.mean()) if len(intervals_s) else NAN,
        interval_median_s=float(np.median(intervals_s)) if len(intervals_s) else NAN,
    )


def _intervals(spans: Spans, watched: Spans) -> np.ndarray:
    """Return the frames between bouts that follow each other in one watched span."""
    of_span = np.searchsorted(watched[:, 1], spans[:, 0], side="right")
    return (spans[1:, 0] - spans[:-1, 1])[of_span[1:] == of_span[:-1]]


def measure(series: Iterable[Series], fps: float) -> Iterator[MeasuredBouts]:
    """Yield a row for each series."""
    for each in series:
        yield MeasuredBouts(each.place, measure_bouts(each.spans, each.watched, fps))


def measure_bins(
    series: Iterable[Series], *, length: int, fps: float, bin_s: float
) -> Iterator[TimeBin]:
    """Yield the rows of each series in bins of time, from the start of the recording.

    The last bin ends with the recording. Bins without a watched frame are left out.
    """
    number = max(1, int(np.ceil(round(length / fps / bin_s, 9))))
    edges = np.minimum(np.round(np.arange(number + 1) * bin_s * fps), length)
    edges = edges.astype(int)
    for each in series:
        watched = np.diff(frames_before(each.watched, edges))
        total = np.diff(frames_before(each.spans, edges))
        starts = np.histogram(each.spans[:, 0], bins=[*edges[:-1], length])[0]
        for at in np.flatnonzero(watched):
            yield TimeBin(
                place=each.place,
                bin=int(at) + 1,
                start_s=float(edges[at] / fps),
                stop_s=float(edges[at + 1] / fps),
                watched_s=float(watched[at] / fps),
                bouts=int(starts[at]),
                total_s=float(total[at] / fps),
                share=float(total[at] / watched[at]),
            )


def pair_series(observation: Observation) -> list[Series]:
    """Return the bouts of each ordered pair, and of each animal on itself.

    A scene has none.
    """
    return [
        _series(
            observation,
            [entry],
            agent=observation.name_of(entry.agent),
            target=observation.target_name(entry),
        )
        for entry in observation.entries
        if entry.agent != NO_ANIMAL
    ]


def actor_series(observation: Observation) -> list[tuple[Actor, Series]]:
    """Return the bouts of each actor: an animal, a pair or a scene (see `Actor`).

    Unlike `animal_series` no bout is counted twice, so these are the units of means.
    """
    found = []
    for actor in find_actors(observation):
        groups: dict[str, list[Watched]] = defaultdict(list)
        for entry in actor.entries:
            groups[entry.action].append(entry)
        name = actor.name_in(observation)
        found += [
            (actor, _series(observation, group, agent=name))
            for _, group in sorted(groups.items())
        ]
    return found


def animal_series(observation: Observation) -> list[Series]:
    """Return the bouts of each animal to any partner.

    In an action without a direction both animals take part.
    """
    groups: dict[tuple[int, str], list[Watched]] = defaultdict(list)
    for entry in observation.entries:
        for animal in acting_animals(entry, observation.undirected):
            groups[animal, entry.action].append(entry)
    return [
        _series(observation, group, agent=observation.name_of(animal))
        for (animal, _), group in sorted(groups.items())
    ]


def received_series(observation: Observation) -> list[Series]:
    """Return the bouts of any other animal to each animal; directed actions only."""
    groups: dict[tuple[int, str], list[Watched]] = defaultdict(list)
    for entry in observation.entries:
        if entry.agent != entry.target and entry.action not in observation.undirected:
            groups[entry.target, entry.action].append(entry)
    return [
        _series(observation, group, target=observation.name_of(animal))
        for (animal, _), group in sorted(groups.items())
    ]


def recording_series(observation: Observation) -> list[Series]:
    """Return the bouts of each action by any animal."""
    groups: dict[str, list[Watched]] = defaultdict(list)
    for entry in observation.entries:
        groups[entry.action].append(entry)
    return [_series(observation, group) for _, group in sorted(groups.items())]


def acting_animals(entry: Watched, undirected: frozenset[str]) -> list[int]:
    """Return the animals that act in an entry; none in a scene."""
    if entry.agent == NO_ANIMAL:
        return []
    both = {entry.agent, entry.target} if entry.action in undirected else {entry.agent}
    return sorted(both)


def _series(
    observation: Observation,
    entries: list[Watched],
    *,
    agent: str = "",
    target: str = "",
) -> Series:
    spans, watched = observation.joined(entries)
    lab, video = observation.key
    place = Place(
        source=observation.source,
        lab=lab,
        recording=video,
        agent=agent,
        target=target,
        action=entries[0].action,
    )
    return Series(place, spans, watched)
