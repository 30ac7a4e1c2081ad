"""How one animal holds itself through a video, and the walk it would go by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mabe.data.simulate.actions import Manner
from mabe.data.simulate.arena import unit
from mabe.data.simulate.noise import Signal, smooth, smooth_noise

_USUAL_PACE_CM_PER_S = 8.0


_HURRY_CM_PER_S = 10.0
"""Faster walking is scaled down in arenas too small for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A manner, from one frame up to another."""

    start: int
    stop: int
    manner: Manner


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """The manners of one animal as signals; those in cm move its whole body."""

    stretch: Signal
    curl: Signal
    nod: Signal
    along_cm: Signal
    across_cm: Signal
    shake_cm: Signal


def pose_roles(
    roles: Sequence[Role], *, frames: int, fps: float, rng: np.random.Generator
) -> Posture:
    """Turn the manners of an animal's roles into signals; later roles overwrite."""
    stretch = np.ones(frames)
    curl, nod, along, across, shake = np.zeros((5, frames))
    for role in roles:
        span = slice(role.start, role.stop)
        manner = role.manner
        clock = 2 * np.pi * np.arange(role.stop - role.start) / fps
        phase = rng.uniform(0, 2 * np.pi)
        stretch[span] = manner.stretch
        curl[span] = manner.curl * rng.choice([-1.0, 1.0])
        shake[span] = manner.shake_cm
        nod[span] = manner.nod * np.sin(manner.nod_hz * clock + phase)
        along[span] = manner.thrust_cm * np.sin(manner.thrust_hz * clock + phase)
        across[span] = manner.sway_cm * np.sin(manner.sway_hz * clock + phase)
    return Posture(
        stretch=smooth(stretch, frames=0.25 * fps),
        curl=smooth(curl, frames=0.25 * fps),
        nod=nod,
        along_cm=along,
        across_cm=across,
        shake_cm=smooth(shake, frames=0.1 * fps),
    )


def endless_walk(
    roles: Sequence[Role],
    *,
    frames: int,
    fps: float,
    hurry: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "time 2"]:
    """Walk over a floor without walls, in cm, at the pace the roles ask for.

    `hurry` scales what is faster than a walk. Heading and pace drift smoothly, with
    pauses; an animal that stands does not turn.
    """
    pace = _own_pace(frames, fps=fps, rng=rng)
    for role in roles:
        asked = role.manner.speed_cm_per_s
        if asked is not None:
            pace[role.start : role.stop] = (
                hurry * asked if asked > _HURRY_CM_PER_S else asked
            )
    pace = smooth(pace, frames=0.25 * fps)
    turning = 2.4 * smooth_noise(rng, frames, spacing=0.5 * fps)
    turning *= np.minimum(1, pace / 4) / (1 + pace / 25)
    heading = rng.uniform(-np.pi, np.pi) + np.cumsum(turning) / fps
    return np.cumsum(pace[:, None] * unit(heading), axis=0) / fps


def _own_pace(frames: int, *, fps: float, rng: np.random.Generator) -> Signal:
    """Walk, stop, walk: cm per second."""
    liveliness = smooth_noise(rng, frames, spacing=0.8 * fps)
    mood = smooth_noise(rng, frames, spacing=2.0 * fps)
    walking = 1 / (1 + np.exp(-5 * (mood + 0.4)))
    return _USUAL_PACE_CM_PER_S * np.exp(0.45 * liveliness) * walking
