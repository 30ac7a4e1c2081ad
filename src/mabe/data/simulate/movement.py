"""From bouts to the position and posture of every animal in every frame.

Each animal has an unbounded walk of its own, whose speed depends on its bouts; it is
reflected at the walls. Bouts are simulated in the order of their starts: the target
walks on, the agent moves to its place relative to the target, and walks on from there.
There are loops over bouts, none over frames.

Where two bouts of one animal overlap, the earlier one determines its position; the
later one changes its posture, and its position from the end of the earlier one on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mabe.bouts import Bout
from mabe.data.simulate.actions import ActionMotion, motion_of_action
from mabe.data.simulate.arena import Arena, Points, unit
from mabe.data.simulate.placement import WALL_MARGIN_CM, Encounter, Trajectory
from mabe.data.simulate.postures import (
    Posture,
    StyleSpan,
    posture_signals,
    unbounded_walk,
)
from mabe.data.simulate.random_signals import (
    Signal,
    ease,
    hold_last,
    smooth,
    smooth_noise,
)

_WALK_MARGIN_CM = 4.0


_APPROACH_CM_PER_S = 26.0
"""Speed of an agent that moves to its place before the bout begins."""


_LATE_CM_PER_S = 75.0
"""Speed within the bout, where there was no time before it."""


_SHORTEST_APPROACH_S = 0.35


_SHORTEST_LATE_S = 0.15


_STANDING_CM_PER_S = 1.5
"""Below this speed, heading does not follow the direction of movement."""


_ROOMY_CM = 35.0
"""Width of arenas from which on animals run at full speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Position and posture of one animal, frame by frame."""

    position_cm: Float[np.ndarray, "time 2"]
    heading: Signal
    bend: Signal
    """Bend of the spine, in radians; positive turns the nose to the left."""
    stretch: Signal
    nod: Signal
    tail_bend: Signal


def move_animals(
    bouts: Sequence[Bout],
    *,
    animals: Sequence[int],
    arena: Arena,
    frames: int,
    fps: float,
    rng: np.random.Generator,
) -> list[Motion]:
    """Return the motion of each of the `animals` that perform some bouts.

    Bouts may overlap, and are cut off at the last frame.
    """
    indexed = [
        _IndexedBout(
            start=bout.start,
            stop=min(bout.stop, frames),
            agent=animals.index(bout.agent),
            target=animals.index(bout.target),
            motion=motion_of_action(bout.action, is_self=bout.agent == bout.target),
        )
        for bout in sorted(bouts)
        if bout.start < frames
    ]
    styles = [_styles_of(animal, indexed) for animal in range(len(animals))]
    tracks = _Tracks(styles, arena=arena, frames=frames, fps=fps, rng=rng)
    for bout in indexed:
        tracks.perform(bout)
    for animal in range(len(animals)):
        tracks.walk(animal, until=frames)
    return [
        _to_motion(
            tracks.position_cm[animal],
            tracks.heading[animal],
            posture_signals(own, frames=frames, fps=fps, rng=rng),
            arena=arena,
            fps=fps,
            rng=rng,
        )
        for animal, own in enumerate(styles)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _IndexedBout:
    """A bout with its animals counted from 0."""

    start: int
    stop: int
    agent: int
    target: int
    motion: ActionMotion


def _styles_of(animal: int, indexed: Sequence[_IndexedBout]) -> list[StyleSpan]:
    styles = []
    for bout in indexed:
        if bout.agent == animal:
            style = bout.motion.agent
        elif bout.target == animal:
            style = bout.motion.target
        else:
            continue
        styles.append(StyleSpan(start=bout.start, stop=bout.stop, style=style))
    return styles


class _Tracks:
    """Positions of the animals; each is simulated up to its own frame in `done`."""

    def __init__(
        self,
        styles: Sequence[Sequence[StyleSpan]],
        *,
        arena: Arena,
        frames: int,
        fps: float,
        rng: np.random.Generator,
    ) -> None:
        half_cm = np.array([arena.width_cm, arena.height_cm]) / 2
        speed_scale = float(np.clip(half_cm.min() * 2 / _ROOMY_CM, 0.5, 1))
        self.arena = arena
        self.fps = fps
        self.rng = rng
        self.walks_cm = [
            unbounded_walk(
                own, frames=frames, fps=fps, speed_scale=speed_scale, rng=rng
            )
            for own in styles
        ]
        self.entries_cm = arena.keep_inside(
            half_cm * rng.uniform(-1, 1, (len(styles), 2)), margin_cm=_WALK_MARGIN_CM
        )
        self.object_cm = half_cm * rng.uniform(-0.5, 0.5, 2)
        self.nest_cm = half_cm * 0.6 * rng.choice([-1.0, 1.0], 2)
        self.position_cm = np.zeros((len(styles), frames, 2))
        self.heading = np.zeros((len(styles), frames))
        self.done = [0] * len(styles)

    def perform(self, bout: _IndexedBout) -> None:
        """Simulate the target, then the agent, for the frames of one bout."""
        if bout.target != bout.agent:
            self.walk(bout.target, until=bout.stop)
        begun = self.done[bout.agent]
        start = max(bout.start, begun)
        if bout.motion.place is None or start >= bout.stop:
            self.walk(bout.agent, until=bout.stop)
            return
        self.walk(bout.agent, until=start)
        trajectory = bout.motion.place.trajectory(self._encounter(bout, start))
        self._move_to(bout, trajectory, begun=begun, start=start)

    def walk(self, animal: int, *, until: int) -> None:
        """Let an animal walk from its current position."""
        begin = self.done[animal]
        if until <= begin:
            return
        here, _ = self._current(animal)
        walk = self.walks_cm[animal]
        steps = walk[begin:until] - walk[max(begin - 1, 0)]
        # A bout may have ended nearer to the wall than walks go: return smoothly.
        out = here - self.arena.fold_inside(here, margin_cm=_WALK_MARGIN_CM)
        back = np.exp(-np.arange(until - begin) / (0.5 * self.fps))[:, None] * out
        place = self.arena.fold_inside(here + steps, margin_cm=_WALK_MARGIN_CM) + back
        self._follow(animal, smooth(place, frames=0.3 * self.fps))

    def _current(self, animal: int) -> tuple[Points, float]:
        last = self.done[animal] - 1
        if last < 0:
            return self.entries_cm[animal], 0.0
        return self.position_cm[animal, last], float(self.heading[animal, last])

    def _follow(self, animal: int, track_cm: Float[np.ndarray, "time 2"]) -> None:
        """Append a track, with headings in the direction of movement."""
        here, facing = self._current(animal)
        span = slice(self.done[animal], self.done[animal] + len(track_cm))
        step = np.diff(track_cm, axis=0, prepend=here[None])
        moves = np.hypot(step[:, 0], step[:, 1]) * self.fps > _STANDING_CM_PER_S
        way = np.arctan2(step[:, 1], step[:, 0])
        angles = hold_last(np.append(facing, way), np.append(True, moves))
        turned = smooth(np.unwrap(angles), frames=0.3 * self.fps)
        self.position_cm[animal, span] = track_cm
        self.heading[animal, span] = turned[1:]
        self.done[animal] = span.stop

    def _encounter(self, bout: _IndexedBout, start: int) -> Encounter:
        place, heading = self.position_cm[bout.target], self.heading[bout.target]
        span = slice(start, bout.stop)
        return Encounter(
            target=Trajectory(position_cm=place[span], heading=heading[span]),
            past_cm=place[: bout.stop],
            past_heading=heading[: bout.stop],
            agent_from_cm=self._current(bout.agent)[0],
            object_cm=self.object_cm,
            nest_cm=self.nest_cm,
            arena=self.arena,
            fps=self.fps,
            rng=self.rng,
        )

    def _move_to(
        self, bout: _IndexedBout, trajectory: Trajectory, *, begun: int, start: int
    ) -> None:
        """Move to the trajectory, before its first frame if possible, and follow it."""
        agent = bout.agent
        here, _ = self._current(agent)
        goal = self.arena.keep_inside(trajectory.position_cm, margin_cm=WALL_MARGIN_CM)
        distance_cm = float(np.linalg.norm(goal[0] - here))
        approach_s = max(distance_cm / _APPROACH_CM_PER_S, _SHORTEST_APPROACH_S)
        early = min(start - begun, round(approach_s * self.fps))
        late_s = max(distance_cm / _LATE_CM_PER_S, _SHORTEST_LATE_S) - early / self.fps
        late = min(max(round(late_s * self.fps), 0), (bout.stop - start) // 2)

        # The start of the trajectory relative to a target that still moves.
        before = self.position_cm[bout.target, start - early : start]
        lead = goal[0] + (before - self.position_cm[bout.target, start])
        if bout.target == agent:
            lead = np.broadcast_to(goal[0], before.shape)
        own = np.concatenate(
            [
                self.position_cm[agent, start - early : start],
                np.broadcast_to(here, (late, 2)),
            ]
        )
        goals = np.concatenate([lead, goal[:late]])
        share = ease((np.arange(early + late) + 1) / (early + late + 1))[:, None]
        approach = own + share * (goals - own)
        self.done[agent] = start - early
        if early + late:
            self._follow(
                agent, self.arena.keep_inside(approach, margin_cm=WALL_MARGIN_CM)
            )
        self.position_cm[agent, start + late : bout.stop] = goal[late:]
        self.heading[agent, start : bout.stop] = trajectory.heading
        self.done[agent] = bout.stop


def _to_motion(
    track_cm: Float[np.ndarray, "time 2"],
    heading: Signal,
    posture: Posture,
    *,
    arena: Arena,
    fps: float,
    rng: np.random.Generator,
) -> Motion:
    """Return smoothed positions and headings, with the movements of the posture."""
    frames = len(heading)
    heading = smooth(np.unwrap(heading), frames=0.2 * fps)
    ahead = unit(heading)
    left = np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1)
    place = smooth(track_cm, frames=0.13 * fps)
    place = (
        place + posture.along_cm[:, None] * ahead + posture.across_cm[:, None] * left
    )
    for axis in range(2):
        erratic = smooth_noise(rng, frames, spacing=0.13 * fps)
        place[:, axis] += posture.shake_cm * erratic
    turning = np.diff(heading, prepend=heading[:1]) * fps
    looking = 0.15 * smooth_noise(rng, frames, spacing=0.6 * fps)
    bend = np.clip(0.12 * turning, -0.7, 0.7) + looking + posture.curl
    bend = smooth(bend, frames=0.15 * fps)
    breath = 0.008 * np.sin(2 * np.pi * 2.3 * np.arange(frames) / fps)
    return Motion(
        position_cm=arena.keep_inside(place, margin_cm=1.5).astype(np.float32),
        heading=np.mod(heading, 2 * np.pi).astype(np.float32),
        bend=bend.astype(np.float32),
        stretch=(posture.stretch + breath).astype(np.float32),
        nod=posture.nod.astype(np.float32),
        tail_bend=(
            0.5 * smooth_noise(rng, frames, spacing=0.7 * fps) - 0.4 * bend
        ).astype(np.float32),
    )
