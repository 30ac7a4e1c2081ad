"""Where an animal is when it does something: courses relative to another, or a place.

Every placement turns an `Encounter` into a `Course`. Directions seen from the target
are in its own frame of reference: 0 is ahead of it, ±π behind it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from mabe.data.simulate.arena import Arena, Points, unit
from mabe.data.simulate.noise import Signal, smooth_noise

NOSE_CM = 4.3
"""From the body centre to the tip of the nose of a straight animal."""


TAIL_BASE_CM = -3.7


WALL_MARGIN_CM = 2.5
"""No body centre comes nearer to a wall than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Where a body centre is and where the animal faces, frame by frame."""

    position_cm: Float[np.ndarray, "time 2"]
    heading: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounter:
    """What an agent has to know to take its place in one bout."""

    target: Course
    """Where the target is during the bout."""
    past_cm: Float[np.ndarray, "past 2"]
    """Where the target was, up to the bout's last frame."""
    past_heading: Signal
    agent_from_cm: Points
    """Where the agent comes from."""
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

    def wobble(self, *, seconds: float) -> Signal:
        """Return smooth noise that lasts as long as the bout."""
        return smooth_noise(self.rng, self.length, spacing=seconds * self.fps)


@runtime_checkable
class Placement(Protocol):
    """How an action places its agent."""

    def course(self, scene: Encounter) -> Course:
        """Return where the agent is and where it faces."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The nose close to a point of the target's body, which the agent faces."""

    along_cm: tuple[float, float]
    """The point's place on the target's axis, drawn anew in each bout."""
    bearing: tuple[float, float]
    """Where the agent stands, seen from that point; left or right by probability."""
    gap_cm: float = 1.0

    def course(self, scene: Encounter) -> Course:
        """Stand on the side of the target that has more room."""
        along = scene.rng.uniform(*self.along_cm)
        bearing = scene.rng.uniform(*self.bearing) + 0.15 * scene.wobble(seconds=0.6)
        ahead = unit(scene.target.heading)
        point = scene.target.position_cm + along * ahead
        sides = []
        for side in (1, -1):
            outward = scene.target.heading + side * bearing
            distance = self.gap_cm + NOSE_CM
            sides.append(
                Course(
                    position_cm=point + distance * unit(outward),
                    heading=outward + np.pi,
                )
            )
        return min(sides, key=lambda side: _outside(side, scene))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """On top of or pressed against the target."""

    ahead_cm: float
    """The agent's centre on the target's axis; behind the target's where negative."""
    side_cm: float = 0.0
    turn: float = 0.0
    """The agent's heading, seen from the target's."""
    restless_cm: float = 0.15

    def course(self, scene: Encounter) -> Course:
        """Move with the target."""
        side = scene.rng.choice([-1.0, 1.0])
        ahead = self.ahead_cm + self.restless_cm * scene.wobble(seconds=0.3)
        left = side * self.side_cm + self.restless_cm * scene.wobble(seconds=0.3)
        heading = scene.target.heading
        return Course(
            position_cm=scene.target.position_cm
            + ahead[:, None] * unit(heading)
            + left[:, None] * unit(heading + np.pi / 2),
            heading=heading + side * self.turn + 0.08 * scene.wobble(seconds=0.4),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """On the target's path, behind it."""

    gap_cm: float
    """Between the two body centres."""
    speed_cm_per_s: float
    """About what the target runs at, which says how long ago it was here."""
    side_cm: float = 0.0

    def course(self, scene: Encounter) -> Course:
        """Take the target's path, and stay back where the target is slow."""
        lag = round(self.gap_cm / self.speed_cm_per_s * scene.fps)
        last = len(scene.past_heading)
        then = np.maximum(np.arange(last - scene.length, last) - lag, 0)
        path, heading = scene.past_cm[then], scene.past_heading[then]
        apart = np.linalg.norm(scene.target.position_cm - path, axis=-1)
        back = np.maximum(self.gap_cm - apart, 0)
        side = self.side_cm * scene.rng.choice([-1.0, 1.0])
        position = path - back[:, None] * unit(heading)
        return Course(
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
    """Heading, seen from the direction away from the target; π looks at it."""

    def course(self, scene: Encounter) -> Course:
        """Choose the direction with enough room that asks for the least detour."""
        speed = abs(self.speed_cm_per_s)
        seconds = scene.length / scene.fps
        room = 0.55 * min(scene.arena.width_cm, scene.arena.height_cm)
        room = max(room - self.from_cm, 4.0)
        clock = scene.clock_s
        if self.speed_cm_per_s < 0:
            clock = np.maximum(seconds - clock, 0)
        # Near the end of the room the animal slows down rather than hit the wall.
        distance = self.from_cm + room * np.tanh(speed * clock / room)
        best = self._best_bearing(scene, distance.max())
        bearing = best + 0.1 * scene.wobble(seconds=0.8)
        return Course(
            position_cm=scene.target.position_cm + distance[:, None] * unit(bearing),
            heading=bearing + self.facing,
        )

    def _best_bearing(self, scene: Encounter, farthest_cm: float) -> float:
        start = scene.target.position_cm[0]
        to_agent = scene.agent_from_cm - start
        near = np.arctan2(to_agent[1], to_agent[0])
        bearings = near + np.linspace(0, 2 * np.pi, 12, endpoint=False)
        ends = start + farthest_cm * unit(bearings)
        inside = scene.arena.keep_inside(ends, margin_cm=WALL_MARGIN_CM)
        outside_cm = np.linalg.norm(ends - inside, axis=-1)
        detour = 1 - np.cos(bearings - near)
        return float(bearings[np.argmin(outside_cm + 2 * detour)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """Around the target, close, lunging at it."""

    radius_cm: float
    turns_per_s: float
    lunge_cm: float = 1.0
    lunge_hz: float = 3.0
    facing: float = np.pi
    """Heading, seen from the direction away from the target; π looks at it."""

    def course(self, scene: Encounter) -> Course:
        """Change pace and, in long fights, direction."""
        way = scene.target.position_cm[0] - scene.agent_from_cm
        start = np.arctan2(-way[1], -way[0])
        pace = scene.rng.choice([-1.0, 1.0]) + 0.6 * scene.wobble(seconds=0.7)
        turned = np.cumsum(pace) * (2 * np.pi * self.turns_per_s / scene.fps)
        lunge = np.sin(2 * np.pi * self.lunge_hz * scene.clock_s)
        radius = self.radius_cm + self.lunge_cm * lunge
        outward = start + turned
        return Course(
            position_cm=scene.target.position_cm + radius[:, None] * unit(outward),
            heading=outward + self.facing + 0.3 * scene.wobble(seconds=0.25),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GoTo:
    """The nose at a place: the wall, an object, or the nest."""

    site: str
    gap_cm: float = 0.5

    def course(self, scene: Encounter) -> Course:
        """Stay there, facing it."""
        if self.site == "wall":
            place, heading = scene.arena.nearest_wall(scene.agent_from_cm)
        else:
            place = scene.object_cm if self.site == "object" else scene.nest_cm
            way = place - scene.agent_from_cm
            heading = float(np.arctan2(way[1], way[0]))
        centre = place - (NOSE_CM + self.gap_cm) * unit(heading)
        return Course(
            position_cm=centre + np.zeros((scene.length, 1)),
            heading=heading + 0.1 * scene.wobble(seconds=0.5),
        )


def _outside(course: Course, scene: Encounter) -> float:
    """How far out of the arena a course leads, judged at three frames."""
    points = course.position_cm[[0, len(course.heading) // 2, -1]]
    inside = scene.arena.keep_inside(points, margin_cm=WALL_MARGIN_CM)
    return float(np.linalg.norm(points - inside, axis=-1).sum())
