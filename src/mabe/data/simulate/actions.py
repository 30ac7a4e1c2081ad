"""The motion of agent and target in every simulated action.

The numbers are chosen so that actions, and agent and target, can be distinguished as in
real data; they are not measured.
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
class MotionStyle:
    """Posture and speed of one of the two animals during an action."""

    speed_cm_per_s: float | None = None
    """Speed of its own walk; None: not changed by the action."""
    stretch: float = 1.0
    """Body length from above, relative to normal; an upright animal is short."""
    curl: float = 0.0
    """Bend of the whole spine, in radians."""
    thrust_cm: float = 0.0
    """Amplitude along the body."""
    thrust_hz: float = 1.0
    sway_cm: float = 0.0
    """Amplitude across the body."""
    sway_hz: float = 1.0
    nod: float = 0.0
    """Amplitude of head turns to the left and right, in radians."""
    nod_hz: float = 1.0
    shake_cm: float = 0.0
    """Size of erratic movement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionMotion:
    """The motion of agent and target in one action, and the agent's place."""

    agent: MotionStyle = field(default_factory=MotionStyle)
    target: MotionStyle = field(default_factory=MotionStyle)
    place: Placement | None = None
    """None: wherever it is, as in most actions on oneself."""


_SLOW = MotionStyle(speed_cm_per_s=2.5)


_STILL = MotionStyle(speed_cm_per_s=0.0)


_MOUNTED = MotionStyle(speed_cm_per_s=0.8, stretch=0.97)


_FIGHTING = MotionStyle(speed_cm_per_s=11.0, shake_cm=0.5, curl=0.4)


_SNIFFING = MotionStyle(nod=0.12, nod_hz=4.0)


_FLEEING_SPEED_CM_PER_S = 38.0


_FLEEING = MotionStyle(speed_cm_per_s=_FLEEING_SPEED_CM_PER_S, stretch=1.08)


def _sniff(
    low: float, high: float, bearing: tuple[float, float], speed: float
) -> ActionMotion:
    return ActionMotion(
        agent=_SNIFFING,
        target=MotionStyle(speed_cm_per_s=speed),
        place=Reach(along_cm=(low, high), bearing=bearing),
    )


def _still(**style: float) -> ActionMotion:
    return ActionMotion(agent=MotionStyle(speed_cm_per_s=0.0, **style))


_PAIR_ACTIONS = {
    "sniff": _sniff(TAIL_BASE_CM, 3.5, (0.4, 2.6), 2.5),
    "sniffface": _sniff(4.3, 4.3, (0.0, 0.4), 1.5),
    "sniffbody": _sniff(-1.5, 1.5, (1.2, 1.9), 2.0),
    "sniffgenital": _sniff(TAIL_BASE_CM, TAIL_BASE_CM, (2.5, 3.14), 4.5),
    "reciprocalsniff": ActionMotion(
        agent=_SNIFFING,
        target=MotionStyle(speed_cm_per_s=0.8, nod=0.12, nod_hz=4.0),
        place=Reach(along_cm=(4.3, 4.3), bearing=(0.0, 0.25), gap_cm=0.6),
    ),
    "approach": ActionMotion(
        agent=MotionStyle(stretch=1.05),
        target=_SLOW,
        place=Straight(from_cm=8.0, speed_cm_per_s=-17.0, facing=np.pi),
    ),
    "follow": ActionMotion(
        target=MotionStyle(speed_cm_per_s=12.0),
        place=Trail(gap_cm=12.0, speed_cm_per_s=12.0),
    ),
    "shepherd": ActionMotion(
        agent=MotionStyle(nod=0.1, nod_hz=1.5),
        target=MotionStyle(speed_cm_per_s=8.0),
        place=Trail(gap_cm=7.0, speed_cm_per_s=8.0, side_cm=3.0),
    ),
    "chase": ActionMotion(
        agent=MotionStyle(stretch=1.08),
        target=_FLEEING,
        place=Trail(gap_cm=11.0, speed_cm_per_s=_FLEEING_SPEED_CM_PER_S),
    ),
    "chaseattack": ActionMotion(
        agent=MotionStyle(shake_cm=0.5),
        target=MotionStyle(speed_cm_per_s=30.0, shake_cm=0.5),
        place=Trail(gap_cm=6.5, speed_cm_per_s=30.0),
    ),
    "attack": ActionMotion(
        agent=MotionStyle(shake_cm=0.4),
        target=_FIGHTING,
        place=Circle(radius_cm=4.5, turns_per_s=0.9),
    ),
    "bite": ActionMotion(
        agent=MotionStyle(shake_cm=0.3, nod=0.3, nod_hz=5.0),
        target=MotionStyle(speed_cm_per_s=3.0, shake_cm=0.4),
        place=Circle(radius_cm=4.8, turns_per_s=0.3, lunge_hz=5.0),
    ),
    "tussle": ActionMotion(
        agent=MotionStyle(shake_cm=0.6, curl=0.9),
        target=MotionStyle(speed_cm_per_s=6.0, shake_cm=0.6, curl=0.9),
        place=Circle(radius_cm=2.6, turns_per_s=1.4, lunge_cm=0.4, facing=np.pi / 2),
    ),
    "mount": ActionMotion(
        agent=MotionStyle(thrust_cm=0.5, thrust_hz=2.5, stretch=0.92),
        target=_MOUNTED,
        place=Cover(ahead_cm=-3.0),
    ),
    "attemptmount": ActionMotion(
        agent=MotionStyle(sway_cm=0.8, sway_hz=2.0, stretch=0.85),
        target=MotionStyle(speed_cm_per_s=5.0),
        place=Cover(ahead_cm=-4.6, side_cm=1.0, turn=0.3, restless_cm=0.5),
    ),
    "intromit": ActionMotion(
        agent=MotionStyle(thrust_cm=1.1, thrust_hz=1.2, stretch=0.85),
        target=MotionStyle(speed_cm_per_s=0.2, stretch=0.95),
        place=Cover(ahead_cm=-2.4),
    ),
    "ejaculate": ActionMotion(
        agent=MotionStyle(speed_cm_per_s=0.0, stretch=0.78, curl=0.5),
        target=_STILL,
        place=Cover(ahead_cm=-2.4, restless_cm=0.03),
    ),
    "dominancemount": ActionMotion(
        agent=MotionStyle(thrust_cm=0.3, thrust_hz=1.5, stretch=0.85),
        target=MotionStyle(speed_cm_per_s=2.0, stretch=0.9),
        place=Cover(ahead_cm=0.5, side_cm=1.5, turn=0.7),
    ),
    "dominance": ActionMotion(
        target=MotionStyle(speed_cm_per_s=0.3, stretch=0.85, curl=0.3),
        place=Cover(ahead_cm=2.0, side_cm=3.2, turn=1.7),
    ),
    "dominancegroom": ActionMotion(
        agent=MotionStyle(nod=0.3, nod_hz=3.0, stretch=0.9),
        target=MotionStyle(speed_cm_per_s=0.2, stretch=0.85),
        place=Cover(ahead_cm=-0.5, side_cm=2.2, turn=0.3),
    ),
    "allogroom": ActionMotion(
        agent=MotionStyle(nod=0.3, nod_hz=3.0),
        target=_STILL,
        place=Reach(along_cm=(1.5, 2.5), bearing=(1.3, 1.8), gap_cm=0.1),
    ),
    "defend": ActionMotion(
        agent=MotionStyle(stretch=0.6, sway_cm=0.5, sway_hz=2.5),
        target=MotionStyle(speed_cm_per_s=1.5),
        place=Reach(along_cm=(4.3, 4.3), bearing=(0.0, 0.3), gap_cm=1.5),
    ),
    "submit": ActionMotion(
        agent=MotionStyle(stretch=0.75, curl=1.1),
        target=MotionStyle(speed_cm_per_s=0.5),
        place=Cover(ahead_cm=4.0, turn=1.6, restless_cm=0.05),
    ),
    "flinch": ActionMotion(
        agent=MotionStyle(stretch=0.8, shake_cm=0.3),
        target=_SLOW,
        place=Straight(from_cm=7.0, speed_cm_per_s=22.0, facing=np.pi),
    ),
    "escape": ActionMotion(
        agent=_FLEEING,
        target=MotionStyle(speed_cm_per_s=4.0),
        place=Straight(from_cm=7.0, speed_cm_per_s=42.0),
    ),
    "flee": ActionMotion(
        agent=_FLEEING,
        target=MotionStyle(speed_cm_per_s=4.0),
        place=Straight(from_cm=9.0, speed_cm_per_s=50.0),
    ),
    "avoid": ActionMotion(
        agent=MotionStyle(curl=0.4),
        target=_SLOW,
        place=Straight(from_cm=8.0, speed_cm_per_s=13.0, facing=0.6),
    ),
    "disengage": ActionMotion(
        target=_STILL,
        place=Straight(from_cm=6.0, speed_cm_per_s=6.0, facing=0.2),
    ),
}


_SELF_ACTIONS = {
    "rear": _still(stretch=0.48),
    "climb": ActionMotion(
        agent=MotionStyle(stretch=0.42, sway_cm=0.3), place=GoTo(site="wall")
    ),
    "selfgroom": _still(stretch=0.8, curl=1.5, nod=0.35, nod_hz=4.0),
    "genitalgroom": _still(stretch=0.7, curl=2.4, nod=0.2, nod_hz=3.0),
    "rest": _still(stretch=0.85, curl=0.5),
    "freeze": _still(stretch=1.04),
    "dig": _still(thrust_cm=0.5, thrust_hz=3.5, nod=0.25, nod_hz=7.0),
    "run": ActionMotion(agent=MotionStyle(speed_cm_per_s=36.0, stretch=1.08)),
    "huddle": ActionMotion(
        agent=MotionStyle(stretch=0.7, curl=0.9), place=GoTo(site="nest")
    ),
    "exploreobject": ActionMotion(
        agent=_SNIFFING, place=GoTo(site="object", gap_cm=0.8)
    ),
    "biteobject": ActionMotion(
        agent=MotionStyle(thrust_cm=0.4, thrust_hz=4.0, stretch=0.9),
        place=GoTo(site="object", gap_cm=0.0),
    ),
}


def is_self_action(action: str) -> bool:
    """Return whether an action is on oneself."""
    return action in _SELF_ACTIONS


def motion_of_action(action: str, *, is_self: bool) -> ActionMotion:
    """Return the motion of an action; an unknown name has one derived from it.

    An action on oneself that is only known towards others is derived from its name too.
    """
    known = _SELF_ACTIONS if is_self else {**_SELF_ACTIONS, **_PAIR_ACTIONS}
    if action in known:
        return known[action]
    return _invent_motion(action, is_self=is_self)


def _invent_motion(action: str, *, is_self: bool) -> ActionMotion:
    """Return a motion derived from the name, the same on every machine."""
    digest = hashlib.sha256(action.encode()).digest()
    shares = [byte / 255 for byte in digest]
    agent = MotionStyle(
        speed_cm_per_s=14 * shares[0],
        stretch=0.65 + 0.45 * shares[1],
        curl=1.2 * shares[2],
        thrust_cm=0.9 * shares[3],
        thrust_hz=1 + 3 * shares[4],
        nod=0.35 * shares[5],
        nod_hz=1 + 4 * shares[6],
    )
    if is_self:
        return ActionMotion(agent=agent)
    target_speed = 2 + 14 * shares[7]
    along, angle = -4 + 8 * shares[8], np.pi * shares[9]
    places: list[Placement] = [
        Reach(along_cm=(along, along), bearing=(angle, angle)),
        Cover(ahead_cm=along, side_cm=1 + 3 * shares[10], turn=angle),
        Trail(gap_cm=7 + 8 * shares[10], speed_cm_per_s=target_speed),
        Circle(radius_cm=3 + 6 * shares[10], turns_per_s=0.3 + 0.7 * shares[11]),
        Straight(from_cm=7, speed_cm_per_s=6 + 20 * shares[10], facing=angle),
    ]
    return ActionMotion(
        agent=agent,
        target=MotionStyle(speed_cm_per_s=target_speed),
        place=places[digest[12] % len(places)],
    )
