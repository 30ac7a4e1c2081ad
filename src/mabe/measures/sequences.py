"""Which action follows which: transitions between bouts, and what follows in a lag.

A *sequence* is the bouts of one actor (an animal, a pair for actions without a
direction, or a scene) in the order of their starts. It ends where a frame was not
watched for one of the actor's actions. Both measures are compared with chance:

- transitions: bouts are put into random order within their sequence (a permutation
  test of sequential association; Bakeman & Gottman, Observing Interaction, 1997).
  Where no action ever follows itself, as in labels that exclude each other, transitions
  to itself are left out by chance too;
- what follows within a lag: the second action is shifted in time by a random amount,
  the end of the watched time continuing at its start, which keeps the durations and
  the order of its bouts.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from mabe.bouts import Spans, Watched, gaps_between
from mabe.measures.groups import holm
from mabe.measures.observation import (
    Observation,
    find_actors,
    frames_before,
    intersect_spans,
)

PERMUTATIONS = 1000


SAME, REPLY = "same animal", "reply"
"""Who does what follows: the agent itself, or the target to the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row: how often one action follows another directly."""

    source: str
    first: str
    next: str
    count: int
    probability: float
    """Share of the transitions from `first`."""
    expected_probability: float
    """Mean by chance."""
    p: float
    """Two-sided, of the probability, by permutation; NaN without a transition from
    `first`."""
    p_holm: float
    """Corrected for the number of transitions of the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingTransition:
    """One row: the same of one recording, without chance."""

    source: str
    lab: str
    recording: str
    first: str
    next: str
    count: int
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """One row: how often bouts of one action are followed by another within a lag."""

    source: str
    first: str
    next: str
    by: str
    """`SAME` or `REPLY`."""
    lag_s: float
    """`next` starts after the start of `first` and within the lag after its end."""
    first_bouts: int
    """Bouts of `first` for which the whole time up to the lag was watched."""
    followed: int
    share: float
    expected_share: float
    """Mean by chance."""
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Sequences:
    """Bouts of many sequences, one after another."""

    actions: tuple[str, ...]
    action: Int[np.ndarray, " bout"]
    """Index into `actions`."""
    sequence: Int[np.ndarray, " bout"]
    """Number of the sequence, ascending."""


def find_sequences(observations: Sequence[Observation]) -> Sequences:
    """Return the sequences of all actors of some observations."""
    actions = sorted({name for each in observations for name in each.actions})
    code = {name: at for at, name in enumerate(actions)}
    action: list[int] = []
    sequence: list[int] = []
    number = 0
    for observation in observations:
        for actor in find_actors(observation):
            gaps = _unwatched(observation, actor.entries)
            among = set(actor.entries)
            segments = set()
            for bout in observation.bouts(among.__contains__):
                segment = int(np.searchsorted(gaps[:, 0], bout.start, side="right"))
                segments.add(segment)
                action.append(code[bout.action])
                sequence.append(number + segment)
            number += max(segments, default=0) + 1
    return Sequences(tuple(actions), np.array(action, int), np.array(sequence, int))


def _unwatched(observation: Observation, entries: Iterable[Watched]) -> Spans:
    """Return the frames in which some entry was not watched for."""
    length = observation.recording.length
    common = np.array([(0, length)], int)
    for entry in entries:
        common = intersect_spans(common, observation.watched[entry])
    return gaps_between(common, length)


def count_transitions(
    action: Int[np.ndarray, " bout"], follows: Bool[np.ndarray, " pair"], actions: int
) -> Int[np.ndarray, "actions actions"]:
    """Count neighbours of the same sequence by their actions, the first in rows."""
    cells = action[:-1][follows] * actions + action[1:][follows]
    return np.bincount(cells, minlength=actions**2).reshape(actions, actions)


def measure_transitions(
    source: str, observations: Sequence[Observation], *, seed: int = 0
) -> list[Transition]:
    """Return the transitions of all recordings together, beside chance."""
    sequences = find_sequences(observations)
    number = len(sequences.actions)
    follows = np.diff(sequences.sequence) == 0
    counts = count_transitions(sequences.action, follows, number)
    generator = np.random.default_rng(seed)
    by_chance = np.array(
        [
            count_transitions(_shuffled(sequences, generator), follows, number)
            for _ in range(PERMUTATIONS)
        ]
    )
    if not counts.trace():
        by_chance[:, range(number), range(number)] = 0
    probability, chance = _shares(counts), _shares(by_chance)
    p = two_sided_p(probability, chance)
    p[np.isnan(probability)] = np.nan
    if not counts.trace():
        p[range(number), range(number)] = np.nan
    corrected = holm(p.reshape(-1)).reshape(p.shape)
    known = np.isfinite(chance)
    total = np.where(known, chance, 0).sum(axis=0)
    expected = np.divide(
        total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(0)
    )
    return [
        Transition(
            source=source,
            first=sequences.actions[row],
            next=sequences.actions[column],
            count=int(counts[row, column]),
            probability=float(probability[row, column]),
            expected_probability=float(expected[row, column]),
            p=float(p[row, column]),
            p_holm=float(corrected[row, column]),
        )
        for row, column in np.ndindex(number, number)
    ]


def recording_transitions(observation: Observation) -> list[RecordingTransition]:
    """Return the transitions that occur in one recording."""
    sequences = find_sequences([observation])
    follows = np.diff(sequences.sequence) == 0
    counts = count_transitions(sequences.action, follows, len(sequences.actions))
    probability = _shares(counts)
    lab, video = observation.key
    return [
        RecordingTransition(
            source=observation.source,
            lab=lab,
            recording=video,
            first=sequences.actions[row],
            next=sequences.actions[column],
            count=int(counts[row, column]),
            probability=float(probability[row, column]),
        )
        for row, column in np.argwhere(counts)
    ]


def _shuffled(
    sequences: Sequences, generator: np.random.Generator
) -> Int[np.ndarray, " bout"]:
    """Return the actions in random order within each sequence."""
    keys = sequences.sequence + generator.random(len(sequences.sequence))
    return sequences.action[np.argsort(keys)]


def _shares(counts: np.ndarray) -> np.ndarray:
    """Return each count as a share of its row; NaN in an empty row."""
    totals = counts.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(totals > 0, counts / totals, np.nan)


def two_sided_p(
    measured: Real[np.ndarray, "..."], by_chance: Real[np.ndarray, "..."]
) -> Float[np.ndarray, "..."]:
    """Return twice the smaller share of draws as far out, the measured one included.

    A draw without a value (NaN) counts as far out.
    """
    draws, near = len(by_chance) + 1, 1e-9
    low = (1 + (~(by_chance > measured + near)).sum(axis=0)) / draws
    high = (1 + (~(by_chance < measured - near)).sum(axis=0)) / draws
    return np.asarray(np.minimum(1, 2 * np.minimum(low, high)))


@dataclass(frozen=True, slots=True)
class _Counted:
    """Bouts that could be followed, those that were, and those by chance."""

    bouts: int
    followed: int
    by_chance: Int[np.ndarray, " draw"]


def measure_follows(
    source: str, observations: Sequence[Observation], *, lag_s: float, seed: int = 0
) -> list[Follow]:
    """Return what follows what within a lag, all recordings together."""
    generator = np.random.default_rng(seed)
    counted: dict[tuple[str, str, str], list[_Counted]] = defaultdict(list)
    for observation in observations:
        for first in observation.entries:
            for by, then in _followers(observation, first):
                counted[first.action, then.action, by].append(
                    _count_followed(observation, first, then, lag_s, generator)
                )
    keys, rows = sorted(counted), []
    for key in keys:
        bouts = sum(each.bouts for each in counted[key])
        followed = sum(each.followed for each in counted[key])
        by_chance = np.sum([each.by_chance for each in counted[key]], axis=0)
        p = float(two_sided_p(np.array(followed), by_chance))
        rows.append((bouts, followed, float(by_chance.mean()), p))
    corrected = holm(np.array([row[-1] for row in rows]))
    return [
        Follow(
            source=source,
            first=first,
            next=then,
            by=by,
            lag_s=lag_s,
            first_bouts=bouts,
            followed=followed,
            share=followed / bouts if bouts else float("nan"),
            expected_share=expected / bouts if bouts else float("nan"),
            p=p,
            p_holm=float(p_holm),
        )
        for (first, then, by), (bouts, followed, expected, p), p_holm in zip(
            keys, rows, corrected, strict=True
        )
    ]


def _followers(
    observation: Observation, first: Watched
) -> Iterable[tuple[str, Watched]]:
    """Yield the entries that may follow, and who then acts."""
    is_pair = first.action in observation.undirected
    is_social = first.agent != first.target and not is_pair
    for then in observation.entries:
        then_is_pair = then.action in observation.undirected
        if (then.agent, then.target) == (first.agent, first.target):
            yield SAME, then
            continue
        is_back = (then.agent, then.target) == (first.target, first.agent)
        if is_social and is_back and not then_is_pair:
            yield REPLY, then


def _count_followed(
    observation: Observation,
    first: Watched,
    then: Watched,
    lag_s: float,
    generator: np.random.Generator,
) -> _Counted:
    """Count bouts that are followed, on the axis of frames watched for `then`."""
    watched = observation.watched[then]
    total = int(frames_before(watched, observation.recording.length))
    windows = observation.spans[first] + [
        0,
        round(lag_s * observation.recording.fps),
    ]
    place = np.searchsorted(watched[:, 1], windows[:, 0], side="right")
    known = place < len(watched)
    windows, place = windows[known], place[known]
    inside = (watched[place, 0] <= windows[:, 0]) & (windows[:, 1] < watched[place, 1])
    windows = frames_before(watched, windows[inside])
    starts = np.sort(frames_before(watched, observation.spans[then][:, 0]))
    shifts = generator.integers(0, max(1, total), PERMUTATIONS)
    followed = _has_start(starts, windows, total)
    if not len(starts) or not len(windows):
        none = np.zeros(PERMUTATIONS, int)
        return _Counted(len(windows), int(followed.sum()), none)
    shifted = (windows[None, :, 0] - shifts[:, None]) % total
    lengths = windows[:, 1] - windows[:, 0]
    moved = np.stack([shifted, shifted + lengths], axis=-1)
    by_chance = _has_start(starts, moved, total).sum(axis=1)
    return _Counted(len(windows), int(followed.sum()), by_chance)


def _has_start(
    starts: Int[np.ndarray, " start"], windows: Int[np.ndarray, "*rest 2"], period: int
) -> Bool[np.ndarray, "*rest"]:
    """Return which windows ``(from, to]`` hold a start, which recur every period."""
    twice = np.concatenate([starts, starts + period])
    return np.searchsorted(twice, windows[..., 1], side="right") > np.searchsorted(
        twice, windows[..., 0], side="right"
    )
