"""Who does what when: a script for one video, without two demands on one animal.

Animals come together in *episodes*: an approach may lead to a sniff, a mount to an
intromission, an attack to an escape. Between episodes each is by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mabe.bouts import Bout

_PAUSE_S = 3.0


_SPREAD = 0.45
"""Of the natural logarithm of a bout's length."""


_SHORTEST_S = 0.3


_SELF_SHARE = 0.3
"""Of all episodes, where a lab has actions on oneself."""


_GO_ON_SHARE = 0.65


_OPENINGS = frozenset({"approach", "sniff", "sniffface", "sniffbody"})


_OPENING_WEIGHT = 3.0
"""How many times as often as others an action begins that usually comes first."""


_USUAL_S = {
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


_OTHERWISE_S = 1.3


@dataclass(frozen=True, slots=True)
class _Next:
    action: str
    roles_change: bool = False
    """The target answers."""


_LEADS_TO = {
    "approach": (
        *(_Next("sniff"), _Next("sniffface"), _Next("sniffgenital")),
        *(_Next("attack"), _Next("avoid", True), _Next("flinch", True)),
    ),
    "sniff": (_Next("sniffgenital"), _Next("sniffbody"), _Next("attemptmount")),
    "sniffface": (_Next("reciprocalsniff"), _Next("sniffgenital")),
    "sniffgenital": (_Next("mount"), _Next("follow"), _Next("attemptmount")),
    "chase": (_Next("attack"), _Next("chaseattack")),
    "chaseattack": (_Next("attack"), _Next("submit", True)),
    "attack": (_Next("escape", True), _Next("chase"), _Next("submit", True)),
    "defend": (_Next("attack", True),),
    "attemptmount": (_Next("mount"),),
    "mount": (_Next("intromit"), _Next("escape", True)),
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
    """Return bouts that are over before the time is, animals counted from 1."""
    free_s = 1 + rng.exponential(_PAUSE_S, animals)
    bouts: list[Bout] = []
    while free_s.min() < seconds and (pair_actions or self_actions):
        agent = int(np.argmin(free_s))
        begin_s = free_s[agent]
        if self_actions and (not pair_actions or rng.random() < _SELF_SHARE):
            cast = [agent]
            first = str(rng.choice(self_actions))
        else:
            others = [i for i in range(animals) if i != agent]
            target = min(others, key=lambda i: max(free_s[i] - begin_s, rng.random()))
            begin_s = max(begin_s, free_s[target])
            cast = [agent, target]
            first = _choose_opening(pair_actions, rng)
            rng.shuffle(cast)
        episode = _episode(first, cast, begin_s, known=pair_actions, fps=fps, rng=rng)
        end_s = episode[-1].stop / fps
        bouts += [bout for bout in episode if bout.stop <= int(seconds * fps)]
        # Everybody in it is busy until its end, and then for a while by itself.
        free_s[cast] = end_s + 0.5 + rng.exponential(_PAUSE_S, len(cast))
    return sorted(bouts)


def _choose_opening(actions: Sequence[str], rng: np.random.Generator) -> str:
    weights = [_OPENING_WEIGHT if name in _OPENINGS else 1.0 for name in actions]
    return str(rng.choice(actions, p=np.array(weights) / sum(weights)))


def _episode(
    action: str,
    cast: Sequence[int],
    begin_s: float,
    *,
    known: Sequence[str],
    fps: float,
    rng: np.random.Generator,
) -> list[Bout]:
    """Play an action, and what follows from it as long as probability has it."""
    agent, target = cast[0] + 1, cast[-1] + 1
    bouts: list[Bout] = []
    start = round(begin_s * fps)
    while True:
        usual_s = _USUAL_S.get(action, _OTHERWISE_S)
        lasts_s = max(usual_s * np.exp(rng.normal(0, _SPREAD)), _SHORTEST_S)
        stop = start + max(round(lasts_s * fps), 2)
        bouts.append(
            Bout(start=start, stop=stop, action=action, agent=agent, target=target)
        )
        ways = [way for way in _LEADS_TO.get(action, ()) if way.action in known]
        if len(cast) == 1 or not ways or rng.random() > _GO_ON_SHARE:
            return bouts
        way = ways[rng.integers(len(ways))]
        action, start = way.action, stop
        if way.roles_change:
            agent, target = target, agent
