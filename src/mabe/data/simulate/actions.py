"""What every action looks like: how agent and target hold themselves and move.

The numbers are chosen so that the actions can be told apart as in real labs, and so
that the direction shows; they are no measurements of mice.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from mabe.data.simulate.placement import (
    TAIL_BASE_CM,
    Circle,
    Cover,
    GoTo,
    Placement,
    Reach,
    Straight,
    Trail,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How one of the two animals holds itself and moves during an action."""

    speed_cm_per_s: float | None = None
    """Its own walking; None: as it pleases."""
    stretch: float = 1.0
    """Body length seen from above, of its usual one; an upright animal is short."""
    curl: float = 0.0
    """Bend of the whole spine, in radians."""
    thrust_cm: float = 0.0
    """Amplitude along the body."""
    thrust_hz: float = 1.0
    sway_cm: float = 0.0
    """Amplitude across the body."""
    sway_hz: float = 1.0
    nod: float = 0.0
    """Amplitude of the head's turning left and right, in radians."""
    nod_hz: float = 1.0
    shake_cm: float = 0.0
    """Size of erratic movement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One action: its agent, its target, and where the agent is."""

    agent: Manner = field(default_factory=Manner)
    target: Manner = field(default_factory=Manner)
    place: Placement | None = None
    """None: where it happens to be, which is so for most actions on oneself."""


_SLOW = Manner(speed_cm_per_s=2.5)


_STILL = Manner(speed_cm_per_s=0.0)


_MOUNTED = Manner(speed_cm_per_s=0.8, stretch=0.97)


_FIGHTING = Manner(speed_cm_per_s=11.0, shake_cm=0.5, curl=0.4)


_SNIFFING = Manner(nod=0.12, nod_hz=4.0)


_FLEEING_SPEED_CM_PER_S = 38.0


_FLEEING = Manner(speed_cm_per_s=_FLEEING_SPEED_CM_PER_S, stretch=1.08)


def _sniff(low: float, high: float, bearing: tuple[float, float], speed: float) -> Act:
    return Act(
        agent=_SNIFFING,
        target=Manner(speed_cm_per_s=speed),
        place=Reach(along_cm=(low, high), bearing=bearing),
    )


def _still(**manner: float) -> Act:
    return Act(agent=Manner(speed_cm_per_s=0.0, **manner))


_PAIR_ACTS = {
    "sniff": _sniff(TAIL_BASE_CM, 3.5, (0.4, 2.6), 2.5),
    "sniffface": _sniff(4.3, 4.3, (0.0, 0.4), 1.5),
    "sniffbody": _sniff(-1.5, 1.5, (1.2, 1.9), 2.0),
    "sniffgenital": _sniff(TAIL_BASE_CM, TAIL_BASE_CM, (2.5, 3.14), 4.5),
    "reciprocalsniff": Act(
        agent=_SNIFFING,
        target=Manner(speed_cm_per_s=0.8, nod=0.12, nod_hz=4.0),
        place=Reach(along_cm=(4.3, 4.3), bearing=(0.0, 0.25), gap_cm=0.6),
    ),
    "approach": Act(
        agent=Manner(stretch=1.05),
        target=_SLOW,
        place=Straight(from_cm=8.0, speed_cm_per_s=-17.0, facing=np.pi),
    ),
    "follow": Act(
        target=Manner(speed_cm_per_s=12.0),
        place=Trail(gap_cm=12.0, speed_cm_per_s=12.0),
    ),
    "shepherd": Act(
        agent=Manner(nod=0.1, nod_hz=1.5),
        target=Manner(speed_cm_per_s=8.0),
        place=Trail(gap_cm=7.0, speed_cm_per_s=8.0, side_cm=3.0),
    ),
    "chase": Act(
        agent=Manner(stretch=1.08),
        target=_FLEEING,
        place=Trail(gap_cm=11.0, speed_cm_per_s=_FLEEING_SPEED_CM_PER_S),
    ),
    "chaseattack": Act(
        agent=Manner(shake_cm=0.5),
        target=Manner(speed_cm_per_s=30.0, shake_cm=0.5),
        place=Trail(gap_cm=6.5, speed_cm_per_s=30.0),
    ),
    "attack": Act(
        agent=Manner(shake_cm=0.4),
        target=_FIGHTING,
        place=Circle(radius_cm=4.5, turns_per_s=0.9),
    ),
    "bite": Act(
        agent=Manner(shake_cm=0.3, nod=0.3, nod_hz=5.0),
        target=Manner(speed_cm_per_s=3.0, shake_cm=0.4),
        place=Circle(radius_cm=4.8, turns_per_s=0.3, lunge_hz=5.0),
    ),
    "tussle": Act(
        agent=Manner(shake_cm=0.6, curl=0.9),
        target=Manner(speed_cm_per_s=6.0, shake_cm=0.6, curl=0.9),
        place=Circle(radius_cm=2.6, turns_per_s=1.4, lunge_cm=0.4, facing=np.pi / 2),
    ),
    "mount": Act(
        agent=Manner(thrust_cm=0.5, thrust_hz=2.5, stretch=0.92),
        target=_MOUNTED,
        place=Cover(ahead_cm=-3.0),
    ),
    "attemptmount": Act(
        agent=Manner(sway_cm=0.8, sway_hz=2.0, stretch=0.85),
        target=Manner(speed_cm_per_s=5.0),
        place=Cover(ahead_cm=-4.6, side_cm=1.0, turn=0.3, restless_cm=0.5),
    ),
    "intromit": Act(
        agent=Manner(thrust_cm=1.1, thrust_hz=1.2, stretch=0.85),
        target=Manner(speed_cm_per_s=0.2, stretch=0.95),
        place=Cover(ahead_cm=-2.4),
    ),
    "ejaculate": Act(
        agent=Manner(speed_cm_per_s=0.0, stretch=0.78, curl=0.5),
        target=_STILL,
        place=Cover(ahead_cm=-2.4, restless_cm=0.03),
    ),
    "dominancemount": Act(
        agent=Manner(thrust_cm=0.3, thrust_hz=1.5, stretch=0.85),
        target=Manner(speed_cm_per_s=2.0, stretch=0.9),
        place=Cover(ahead_cm=0.5, side_cm=1.5, turn=0.7),
    ),
    "dominance": Act(
        target=Manner(speed_cm_per_s=0.3, stretch=0.85, curl=0.3),
        place=Cover(ahead_cm=2.0, side_cm=3.2, turn=1.7),
    ),
    "dominancegroom": Act(
        agent=Manner(nod=0.3, nod_hz=3.0, stretch=0.9),
        target=Manner(speed_cm_per_s=0.2, stretch=0.85),
        place=Cover(ahead_cm=-0.5, side_cm=2.2, turn=0.3),
    ),
    "allogroom": Act(
        agent=Manner(nod=0.3, nod_hz=3.0),
        target=_STILL,
        place=Reach(along_cm=(1.5, 2.5), bearing=(1.3, 1.8), gap_cm=0.1),
    ),
    "defend": Act(
        agent=Manner(stretch=0.6, sway_cm=0.5, sway_hz=2.5),
        target=Manner(speed_cm_per_s=1.5),
        place=Reach(along_cm=(4.3, 4.3), bearing=(0.0, 0.3), gap_cm=1.5),
    ),
    "submit": Act(
        agent=Manner(stretch=0.75, curl=1.1),
        target=Manner(speed_cm_per_s=0.5),
        place=Cover(ahead_cm=4.0, turn=1.6, restless_cm=0.05),
    ),
    "flinch": Act(
        agent=Manner(stretch=0.8, shake_cm=0.3),
        target=_SLOW,
        place=Straight(from_cm=7.0, speed_cm_per_s=22.0, facing=np.pi),
    ),
    "escape": Act(
        agent=_FLEEING,
        target=Manner(speed_cm_per_s=4.0),
        place=Straight(from_cm=7.0, speed_cm_per_s=42.0),
    ),
    "flee": Act(
        agent=_FLEEING,
        target=Manner(speed_cm_per_s=4.0),
        place=Straight(from_cm=9.0, speed_cm_per_s=50.0),
    ),
    "avoid": Act(
        agent=Manner(curl=0.4),
        target=_SLOW,
        place=Straight(from_cm=8.0, speed_cm_per_s=13.0, facing=0.6),
    ),
    "disengage": Act(
        target=_STILL,
        place=Straight(from_cm=6.0, speed_cm_per_s=6.0, facing=0.2),
    ),
}


_SELF_ACTS = {
    "rear": _still(stretch=0.48),
    "climb": Act(agent=Manner(stretch=0.42, sway_cm=0.3), place=GoTo(site="wall")),
    "selfgroom": _still(stretch=0.8, curl=1.5, nod=0.35, nod_hz=4.0),
    "genitalgroom": _still(stretch=0.7, curl=2.4, nod=0.2, nod_hz=3.0),
    "rest": _still(stretch=0.85, curl=0.5),
    "freeze": _still(stretch=1.04),
    "dig": _still(thrust_cm=0.5, thrust_hz=3.5, nod=0.25, nod_hz=7.0),
    "run": Act(agent=Manner(speed_cm_per_s=36.0, stretch=1.08)),
    "huddle": Act(agent=Manner(stretch=0.7, curl=0.9), place=GoTo(site="nest")),
    "exploreobject": Act(agent=_SNIFFING, place=GoTo(site="object", gap_cm=0.8)),
    "biteobject": Act(
        agent=Manner(thrust_cm=0.4, thrust_hz=4.0, stretch=0.9),
        place=GoTo(site="object", gap_cm=0.0),
    ),
}


def is_self_act(action: str) -> bool:
    """Tell whether an action is one that animals do by themselves."""
    return action in _SELF_ACTS


def find_act(action: str, *, on_oneself: bool) -> Act:
    """Return how an action looks; a name nobody knows gets a motion of its own.

    An action that is only known towards others is done in place on oneself, and the
    other way round.
    """
    known = _SELF_ACTS if on_oneself else {**_SELF_ACTS, **_PAIR_ACTS}
    if action in known:
        return known[action]
    return _invent_act(action, on_oneself=on_oneself)


def _invent_act(action: str, *, on_oneself: bool) -> Act:
    """Derive a motion from the name, the same on every machine."""
    digest = hashlib.sha256(action.encode()).digest()
    shares = [byte / 255 for byte in digest]
    agent = Manner(
        speed_cm_per_s=14 * shares[0],
        stretch=0.65 + 0.45 * shares[1],
        curl=1.2 * shares[2],
        thrust_cm=0.9 * shares[3],
        thrust_hz=1 + 3 * shares[4],
        nod=0.35 * shares[5],
        nod_hz=1 + 4 * shares[6],
    )
    if on_oneself:
        return Act(agent=agent)
    target_speed = 2 + 14 * shares[7]
    along, angle = -4 + 8 * shares[8], np.pi * shares[9]
    places: list[Placement] = [
        Reach(along_cm=(along, along), bearing=(angle, angle)),
        Cover(ahead_cm=along, side_cm=1 + 3 * shares[10], turn=angle),
        Trail(gap_cm=7 + 8 * shares[10], speed_cm_per_s=target_speed),
        Circle(radius_cm=3 + 6 * shares[10], turns_per_s=0.3 + 0.7 * shares[11]),
        Straight(from_cm=7, speed_cm_per_s=6 + 20 * shares[10], facing=angle),
    ]
    return Act(
        agent=agent,
        target=Manner(speed_cm_per_s=target_speed),
        place=places[digest[12] % len(places)],
    )
