"""Random bouts of one video, in which no animal is in two bouts at a time.

Bouts come in *episodes*: an approach may lead to a sniff, a mount to an intromission,
an attack to an escape. Between episodes every animal walks by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mabe.bouts import Bout

_PAUSE_S = 3.0


_SPREAD = 0.45
"""Standard deviation of the natural logarithm of a bout's duration."""


_SHORTEST_S = 0.3


_SELF_SHARE = 0.3
"""Share of episodes that are actions on oneself, in labs that have some."""


_CONTINUE_SHARE = 0.65


_OPENINGS = frozenset({"approach", "sniff", "sniffface", "sniffbody"})


_OPENING_WEIGHT = 3.0
"""How much more often than others these actions begin an episode."""


_TYPICAL_S = {
    "approach": 0.8,
    "attack": 2.0,
    "attemptmount": 1.2,
    "chase": 1.8,
    "dig": 2.0,
    "dominance": 2.0,
    "escape": 0.8,
    "flinch": 0.4,
    "freeze": 2.0,
    "huddle": 4.0,
    "intromit": 5.0,
    "mount": 3.0,
    "rear": 1.3,
    "rest": 5.0,
    "run": 0.8,
    "selfgroom": 3.0,
    "sniff": 2.0,
    "sniffgenital": 1.8,
}


_DEFAULT_S = 1.3


@dataclass(frozen=True, slots=True)
class _FollowUp:
    action: str
    swaps_roles: bool = False
    """The target becomes the agent."""


_LEADS_TO = {
    "approach": (
        *(_FollowUp("sniff"), _FollowUp("sniffface"), _FollowUp("sniffgenital")),
        *(_FollowUp("attack"), _FollowUp("avoid", True), _FollowUp("flinch", True)),
    ),
    "sniff": (
        _FollowUp("sniffgenital"),
        _FollowUp("sniffbody"),
        _FollowUp("attemptmount"),
    ),
    "sniffface": (_FollowUp("reciprocalsniff"), _FollowUp("sniffgenital")),
    "sniffgenital": (
        _FollowUp("mount"),
        _FollowUp("follow"),
        _FollowUp("attemptmount"),
    ),
    "chase": (_FollowUp("attack"), _FollowUp("chaseattack")),
    "chaseattack": (_FollowUp("attack"), _FollowUp("submit", True)),
    "attack": (
        _FollowUp("escape", True),
        _FollowUp("chase"),
        _FollowUp("submit", True),
    ),
    "defend": (_FollowUp("attack", True),),
    "attemptmount": (_FollowUp("mount"),),
    "mount": (_FollowUp("intromit"), _FollowUp("escape", True)),
}


def write_script(
    *,
    seconds: float,
    fps: float,
    animals: int,
    pair_actions: Sequence[str],
    self_actions: Sequence[str],
    rng: np.random.Generator,
) -> list[Bout]:
    """Return bouts that end before the video does; animals count from 1."""
    free_from_s = 1 + rng.exponential(_PAUSE_S, animals)
    bouts: list[Bout] = []
    while free_from_s.min() < seconds and (pair_actions or self_actions):
        agent = int(np.argmin(free_from_s))
        start_s = free_from_s[agent]
        if self_actions and (not pair_actions or rng.random() < _SELF_SHARE):
            actors = [agent]
            first = str(rng.choice(self_actions))
        else:
            others = [i for i in range(animals) if i != agent]
            target = min(
                others, key=lambda i: max(free_from_s[i] - start_s, rng.random())
            )
            start_s = max(start_s, free_from_s[target])
            actors = [agent, target]
            first = _choose_opening(pair_actions, rng)
            rng.shuffle(actors)
        episode = _episode(first, actors, start_s, known=pair_actions, fps=fps, rng=rng)
        end_s = episode[-1].stop / fps
        bouts += [bout for bout in episode if bout.stop <= int(seconds * fps)]
        # Its animals have no other bout until its end, and for a pause after it.
        free_from_s[actors] = end_s + 0.5 + rng.exponential(_PAUSE_S, len(actors))
    return sorted(bouts)


def _choose_opening(actions: Sequence[str], rng: np.random.Generator) -> str:
    weights = [_OPENING_WEIGHT if name in _OPENINGS else 1.0 for name in actions]
    return str(rng.choice(actions, p=np.array(weights) / sum(weights)))


def _episode(
    action: str,
    actors: Sequence[int],
    start_s: float,
    *,
    known: Sequence[str],
    fps: float,
    rng: np.random.Generator,
) -> list[Bout]:
    """Return the bouts of an action and of those that follow it at random."""
    agent, target = actors[0] + 1, actors[-1] + 1
    bouts: list[Bout] = []
    start = round(start_s * fps)
    while True:
        typical_s = _TYPICAL_S.get(action, _DEFAULT_S)
        lasts_s = max(typical_s * np.exp(rng.normal(0, _SPREAD)), _SHORTEST_S)
        stop = start + max(round(lasts_s * fps), 2)
        bouts.append(
            Bout(start=start, stop=stop, action=action, agent=agent, target=target)
        )
        follow_ups = [
            next_one
            for next_one in _LEADS_TO.get(action, ())
            if next_one.action in known
        ]
        if len(actors) == 1 or not follow_ups or rng.random() > _CONTINUE_SHARE:
            return bouts
        next_one = follow_ups[rng.integers(len(follow_ups))]
        action, start = next_one.action, stop
        if next_one.swaps_roles:
            agent, target = target, agent
