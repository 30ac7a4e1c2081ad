"""The posture of one animal through a video, and its walk between bouts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mabe.data.simulate.actions import MotionStyle
from mabe.data.simulate.arena import unit
from mabe.data.simulate.random_signals import Signal, smooth, smooth_noise

_USUAL_PACE_CM_PER_S = 8.0


_FAST_CM_PER_S = 10.0
"""Higher speeds are scaled down in small arenas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleSpan:
    """A motion style and its frames."""

    start: int
    stop: int
    style: MotionStyle


@dataclass(frozen=True, slots=True, kw_only=True)
class Posture:
    """The motion styles of one animal as signals; those in cm move its whole body."""

    stretch: Signal
    curl: Signal
    nod: Signal
    along_cm: Signal
    across_cm: Signal
    shake_cm: Signal


def posture_signals(
    spans: Sequence[StyleSpan], *, frames: int, fps: float, rng: np.random.Generator
) -> Posture:
    """Return an animal's motion styles as signals; later spans overwrite earlier."""
    stretch = np.ones(frames)
    curl, nod, along, across, shake = np.zeros((5, frames))
    for each in spans:
        span = slice(each.start, each.stop)
        style = each.style
        clock = 2 * np.pi * np.arange(each.stop - each.start) / fps
        phase = rng.uniform(0, 2 * np.pi)
        stretch[span] = style.stretch
        curl[span] = style.curl * rng.choice([-1.0, 1.0])
        shake[span] = style.shake_cm
        nod[span] = style.nod * np.sin(style.nod_hz * clock + phase)
        along[span] = style.thrust_cm * np.sin(style.thrust_hz * clock + phase)
        across[span] = style.sway_cm * np.sin(style.sway_hz * clock + phase)
    return Posture(
        stretch=smooth(stretch, frames=0.25 * fps),
        curl=smooth(curl, frames=0.25 * fps),
        nod=nod,
        along_cm=along,
        across_cm=across,
        shake_cm=smooth(shake, frames=0.1 * fps),
    )


def unbounded_walk(
    spans: Sequence[StyleSpan],
    *,
    frames: int,
    fps: float,
    speed_scale: float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "time 2"]:
    """Return a walk in cm without walls, at the speeds of the motion styles.

    `speed_scale` applies to speeds above a walk. Heading and speed vary smoothly, with
    pauses; an animal that stands does not turn.
    """
    pace = _own_pace(frames, fps=fps, rng=rng)
    for each in spans:
        speed = each.style.speed_cm_per_s
        if speed is not None:
            pace[each.start : each.stop] = (
                speed_scale * speed if speed > _FAST_CM_PER_S else speed
            )
    pace = smooth(pace, frames=0.25 * fps)
    turning = 2.4 * smooth_noise(rng, frames, spacing=0.5 * fps)
    turning *= np.minimum(1, pace / 4) / (1 + pace / 25)
    heading = rng.uniform(-np.pi, np.pi) + np.cumsum(turning) / fps
    return np.cumsum(pace[:, None] * unit(heading), axis=0) / fps


def _own_pace(frames: int, *, fps: float, rng: np.random.Generator) -> Signal:
    """Return the speed of walking with pauses, in cm per second."""
    liveliness = smooth_noise(rng, frames, spacing=0.8 * fps)
    mood = smooth_noise(rng, frames, spacing=2.0 * fps)
    walking = 1 / (1 + np.exp(-5 * (mood + 0.4)))
    return _USUAL_PACE_CM_PER_S * np.exp(0.45 * liveliness) * walking
