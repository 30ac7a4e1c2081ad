"""Where an agent is during an action: relative to the target, or at a site.

Every placement turns an `Encounter` into a `Trajectory`. Directions are in the target's
own frame of reference: 0 is ahead of it, ±π behind it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from mabe.data.simulate.arena import Arena, Points, unit
from mabe.data.simulate.random_signals import Signal, smooth_noise

NOSE_CM = 4.3
"""From the body centre to the tip of the nose of a straight animal."""


TAIL_BASE_CM = -3.7


WALL_MARGIN_CM = 2.5
"""Smallest distance of a body centre to a wall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """Position of the body centre and heading, frame by frame."""

    position_cm: Float[np.ndarray, "time 2"]
    heading: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounter:
    """The situation of one bout, from which the agent's trajectory follows."""

    target: Trajectory
    """The target during the bout."""
    past_cm: Float[np.ndarray, "past 2"]
    """Positions of the target up to the bout's last frame."""
    past_heading: Signal
    agent_from_cm: Points
    """Position of the agent before the bout."""
    object_cm: Points
    nest_cm: Points
    arena: Arena
    fps: float
    rng: np.random.Generator

    @property
    def length(self) -> int:
        """Number of frames of the bout."""
        return len(self.target.heading)

    @property
    def clock_s(self) -> Signal:
        """Seconds since the bout began."""
        return np.arange(self.length) / self.fps

    def noise(self, *, seconds: float) -> Signal:
        """Return smooth noise for the frames of the bout."""
        return smooth_noise(self.rng, self.length, spacing=seconds * self.fps)


@runtime_checkable
class Placement(Protocol):
    """Where an action places its agent."""

    def trajectory(self, encounter: Encounter) -> Trajectory:
        """Return the positions and headings of the agent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The nose close to a point of the target's body, which the agent faces."""

    along_cm: tuple[float, float]
    """Range of the point's position on the target's axis, drawn for each bout."""
    bearing: tuple[float, float]
    """Range of the agent's direction from that point; left or right at random."""
    gap_cm: float = 1.0

    def trajectory(self, encounter: Encounter) -> Trajectory:
        """Stand on the side of the target that has more room."""
        along = encounter.rng.uniform(*self.along_cm)
        bearing = encounter.rng.uniform(*self.bearing) + 0.15 * encounter.noise(
            seconds=0.6
        )
        ahead = unit(encounter.target.heading)
        point = encounter.target.position_cm + along * ahead
        sides = []
        for side in (1, -1):
            outward = encounter.target.heading + side * bearing
            distance = self.gap_cm + NOSE_CM
            sides.append(
                Trajectory(
                    position_cm=point + distance * unit(outward),
                    heading=outward + np.pi,
                )
            )
        return min(sides, key=lambda side: _outside(side, encounter))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """On top of or pressed against the target."""

    ahead_cm: float
    """Position of the agent's centre on the target's axis; negative: behind it."""
    side_cm: float = 0.0
    turn: float = 0.0
    """The agent's heading relative to the target's."""
    restless_cm: float = 0.15

    def trajectory(self, encounter: Encounter) -> Trajectory:
        """Move with the target."""
        side = encounter.rng.choice([-1.0, 1.0])
        ahead = self.ahead_cm + self.restless_cm * encounter.noise(seconds=0.3)
        left = side * self.side_cm + self.restless_cm * encounter.noise(seconds=0.3)
        heading = encounter.target.heading
        return Trajectory(
            position_cm=encounter.target.position_cm
            + ahead[:, None] * unit(heading)
            + left[:, None] * unit(heading + np.pi / 2),
            heading=heading + side * self.turn + 0.08 * encounter.noise(seconds=0.4),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """On the target's path, behind it."""

    gap_cm: float
    """Between the two body centres."""
    speed_cm_per_s: float
    """Approximate speed of the target, from which the delay follows."""
    side_cm: float = 0.0

    def trajectory(self, encounter: Encounter) -> Trajectory:
        """Follow the target's path, at a distance where the target is slow."""
        lag = round(self.gap_cm / self.speed_cm_per_s * encounter.fps)
        last = len(encounter.past_heading)
        then = np.maximum(np.arange(last - encounter.length, last) - lag, 0)
        path, heading = encounter.past_cm[then], encounter.past_heading[then]
        apart = np.linalg.norm(encounter.target.position_cm - path, axis=-1)
        back = np.maximum(self.gap_cm - apart, 0)
        side = self.side_cm * encounter.rng.choice([-1.0, 1.0])
        position = path - back[:, None] * unit(heading)
        return Trajectory(
            position_cm=position + side * unit(heading + np.pi / 2),
            heading=heading - np.arctan2(side, self.gap_cm),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Straight:
    """On a line through the target: towards it or away from it."""

    from_cm: float
    speed_cm_per_s: float
    """Negative: towards the target, to end at `from_cm`."""
    facing: float = 0.0
    """Heading relative to the direction away from the target; π: towards it."""

    def trajectory(self, encounter: Encounter) -> Trajectory:
        """Move in the direction with enough room that is nearest to the agent."""
        speed = abs(self.speed_cm_per_s)
        seconds = encounter.length / encounter.fps
        room = 0.55 * min(encounter.arena.width_cm, encounter.arena.height_cm)
        room = max(room - self.from_cm, 4.0)
        clock = encounter.clock_s
        if self.speed_cm_per_s < 0:
            clock = np.maximum(seconds - clock, 0)
        # The animal slows down before it reaches the wall.
        distance = self.from_cm + room * np.tanh(speed * clock / room)
        best = self._best_bearing(encounter, distance.max())
        bearing = best + 0.1 * encounter.noise(seconds=0.8)
        return Trajectory(
            position_cm=encounter.target.position_cm
            + distance[:, None] * unit(bearing),
            heading=bearing + self.facing,
        )

    def _best_bearing(self, encounter: Encounter, farthest_cm: float) -> float:
        start = encounter.target.position_cm[0]
        to_agent = encounter.agent_from_cm - start
        near = np.arctan2(to_agent[1], to_agent[0])
        bearings = near + np.linspace(0, 2 * np.pi, 12, endpoint=False)
        ends = start + farthest_cm * unit(bearings)
        inside = encounter.arena.keep_inside(ends, margin_cm=WALL_MARGIN_CM)
        outside_cm = np.linalg.norm(ends - inside, axis=-1)
        detour = 1 - np.cos(bearings - near)
        return float(bearings[np.argmin(outside_cm + 2 * detour)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """Around the target at a short distance, with lunges."""

    radius_cm: float
    turns_per_s: float
    lunge_cm: float = 1.0
    lunge_hz: float = 3.0
    facing: float = np.pi
    """Heading relative to the direction away from the target; π: towards it."""

    def trajectory(self, encounter: Encounter) -> Trajectory:
        """Circle with changes of speed and, in long bouts, of direction."""
        way = encounter.target.position_cm[0] - encounter.agent_from_cm
        start = np.arctan2(-way[1], -way[0])
        pace = encounter.rng.choice([-1.0, 1.0]) + 0.6 * encounter.noise(seconds=0.7)
        turned = np.cumsum(pace) * (2 * np.pi * self.turns_per_s / encounter.fps)
        lunge = np.sin(2 * np.pi * self.lunge_hz * encounter.clock_s)
        radius = self.radius_cm + self.lunge_cm * lunge
        outward = start + turned
        return Trajectory(
            position_cm=encounter.target.position_cm + radius[:, None] * unit(outward),
            heading=outward + self.facing + 0.3 * encounter.noise(seconds=0.25),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GoTo:
    """The nose at a site: the wall, an object, or the nest."""

    site: str
    gap_cm: float = 0.5

    def trajectory(self, encounter: Encounter) -> Trajectory:
        """Stay at the site, facing it."""
        if self.site == "wall":
            place, heading = encounter.arena.nearest_wall(encounter.agent_from_cm)
        else:
            place = encounter.object_cm if self.site == "object" else encounter.nest_cm
            way = place - encounter.agent_from_cm
            heading = float(np.arctan2(way[1], way[0]))
        centre = place - (NOSE_CM + self.gap_cm) * unit(heading)
        return Trajectory(
            position_cm=centre + np.zeros((encounter.length, 1)),
            heading=heading + 0.1 * encounter.noise(seconds=0.5),
        )


def _outside(trajectory: Trajectory, encounter: Encounter) -> float:
    """Return how far a trajectory leads out of the arena, by three of its frames."""
    points = trajectory.position_cm[[0, len(trajectory.heading) // 2, -1]]
    inside = encounter.arena.keep_inside(points, margin_cm=WALL_MARGIN_CM)
    return float(np.linalg.norm(points - inside, axis=-1).sum())
