"""Who begins, who returns, who wins: measures of actions that have a direction.

An action of i to j counts as i winning against j. For actions of submission (flee) the
order is therefore reversed. The animals of one recording are compared, in the frames in
which an action was watched for in both directions.

- Initiation: the bouts between two animals are divided into *encounters*, between
  which no bout occurs for some seconds; the agent of the first bout begins it.
- Reciprocity: twice the smaller number of bouts of the two, divided by all of them; 1
  where both act equally often, 0 where only one acts (Hemelrijk, Animal Behaviour
  1990, for one dyad).
- David's score from dyadic dominance indices that are corrected for chance (de Vries
  et al., Animal Behaviour 2006): ``D_ij = P_ij - (P_ij - 0.5) / (n_ij + 1)``.
- Elo rating in the order of time (Neumann et al., Animal Behaviour 2011): 1000 at the
  start, k = 100, probability of winning from the normal distribution.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from mabe.bouts import NO_ANIMAL, Bout, Watched
from mabe.measures.observation import Observation

ANY_ACTION = "(any)"
"""Stands for all directed actions together."""


ELO_START, ELO_K, ELO_SPREAD = 1000.0, 100.0, 200 * np.sqrt(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dyad:
    """One row: two animals and an action between them."""

    source: str
    lab: str
    recording: str
    one: str
    other: str
    action: str
    """`ANY_ACTION` for all directed actions together."""
    bouts_by_one: int
    bouts_by_other: int
    share_by_one: float
    reciprocity: float
    encounters: int
    begun_by_one: int
    begun_by_other: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One row: an animal among those of its recording, by one action."""

    source: str
    lab: str
    recording: str
    animal: str
    action: str
    won: int
    """Bouts in which it acts on another animal."""
    lost: int
    """Bouts in which another animal acts on it."""
    davids_score: float
    normalized_davids_score: float
    """From 0 to the number of animals minus 1."""
    elo: float
    """After the last bout."""


def measure_dyads(observation: Observation, *, pause_s: float) -> list[Dyad]:
    """Return the rows of each pair of animals; `pause_s` separates encounters."""
    observation = _both_directions(observation)
    pause = pause_s * observation.recording.fps
    pairs: dict[tuple[int, int, str], list[Bout]] = {}
    for entry in observation.entries:
        one, other = sorted((entry.agent, entry.target))
        pairs[one, other, ANY_ACTION] = []
        pairs[one, other, entry.action] = []
    for bout in observation.bouts():
        one, other = sorted((bout.agent, bout.target))
        pairs[one, other, ANY_ACTION].append(bout)
        pairs[one, other, bout.action].append(bout)
    return [_dyad(observation, *key, pairs[key], pause) for key in sorted(pairs)]


def _both_directions(observation: Observation) -> Observation:
    """Return the actions of one animal to another that were watched both ways.

    Where one direction was not watched for, who acts more often is not known.
    """
    watched = observation.watched
    reverse = {
        entry: watched[back]
        for entry in watched
        if entry.agent not in (NO_ANIMAL, entry.target)
        and entry.action not in observation.undirected
        and (back := Watched(entry.target, entry.agent, entry.action)) in watched
    }
    return observation.within(reverse)


def _dyad(
    observation: Observation,
    one: int,
    other: int,
    action: str,
    bouts: Sequence[Bout],
    pause: float,
) -> Dyad:
    by_one = sum(bout.agent == one for bout in bouts)
    by_other = len(bouts) - by_one
    begun = _beginners(bouts, pause)
    lab, video = observation.key
    return Dyad(
        source=observation.source,
        lab=lab,
        recording=video,
        one=observation.name_of(one),
        other=observation.name_of(other),
        action=action,
        bouts_by_one=by_one,
        bouts_by_other=by_other,
        share_by_one=by_one / len(bouts) if bouts else float("nan"),
        reciprocity=2 * min(by_one, by_other) / len(bouts) if bouts else float("nan"),
        encounters=len(begun),
        begun_by_one=begun.count(one),
        begun_by_other=begun.count(other),
    )


def _beginners(bouts: Sequence[Bout], pause: float) -> list[int]:
    """Return the agent that begins each encounter; bouts are in time order."""
    begun: list[int] = []
    end = -np.inf
    for bout in bouts:
        if bout.start - end >= pause:
            begun.append(bout.agent)
        end = max(end, bout.stop)
    return begun


def measure_ranks(observation: Observation) -> list[Rank]:
    """Return the rank of each animal by each directed action."""
    observation = _both_directions(observation)
    by_action: dict[str, list[Bout]] = defaultdict(list)
    animals_of: dict[str, set[int]] = defaultdict(set)
    for entry in observation.entries:
        animals_of[entry.action] |= {entry.agent, entry.target}
    for bout in observation.bouts():
        by_action[bout.action].append(bout)
    return [
        rank
        for action, animals in sorted(animals_of.items())
        for rank in _ranks(observation, action, sorted(animals), by_action[action])
    ]


def _ranks(
    observation: Observation, action: str, animals: list[int], bouts: Sequence[Bout]
) -> list[Rank]:
    place = {animal: at for at, animal in enumerate(animals)}
    order = [(place[bout.agent], place[bout.target]) for bout in bouts]
    wins = count_wins(order, len(animals))
    scores = davids_scores(wins)
    normalized = (scores + len(animals) * (len(animals) - 1) / 2) / len(animals)
    elo = elo_ratings(order, len(animals))
    lab, video = observation.key
    return [
        Rank(
            source=observation.source,
            lab=lab,
            recording=video,
            animal=observation.name_of(animal),
            action=action,
            won=int(wins[at].sum()),
            lost=int(wins[:, at].sum()),
            davids_score=float(scores[at]),
            normalized_davids_score=float(normalized[at]),
            elo=float(elo[at]),
        )
        for animal, at in place.items()
    ]


def count_wins(
    order: Sequence[tuple[int, int]], animals: int
) -> Int[np.ndarray, "animals animals"]:
    """Count how often each animal (row) won against each other one (column)."""
    wins = np.zeros((animals, animals), int)
    for winner, loser in order:
        wins[winner, loser] += 1
    return wins


def davids_scores(
    wins: Int[np.ndarray, "animals animals"],
) -> Float[np.ndarray, " animals"]:
    """Return David's score of each animal; dyads that never met count as 0."""
    met = wins + wins.T
    with np.errstate(invalid="ignore", divide="ignore"):
        proportion = wins / met
        index = np.where(met > 0, proportion - (proportion - 0.5) / (met + 1), 0.0)
    won, lost = index.sum(axis=1), index.sum(axis=0)
    return won + index @ won - lost - index.T @ lost


def elo_ratings(
    order: Sequence[tuple[int, int]], animals: int
) -> Float[np.ndarray, " animals"]:
    """Return the rating of each animal after all wins, which are in time order."""
    ratings = np.full(animals, ELO_START)
    for winner, loser in order:
        expected = norm.cdf((ratings[winner] - ratings[loser]) / ELO_SPREAD)
        change = ELO_K * (1 - expected)
        ratings[winner] += change
        ratings[loser] -= change
    return ratings
