"""From a script of bouts to where every animal is, frame by frame.

Each animal has an endless walk of its own, whose pace the script sets; the walls fold
it into the arena. The bouts are acted in the order they begin: the target goes on
walking, the agent takes its place beside it, and afterwards walks on from there.
There are loops over bouts, none over frames.

Where two bouts want one animal at the same time, the earlier one holds its place; the
later one still shows in how the animal holds itself, and takes over when it is free.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mabe.bouts import Bout
from mabe.data.simulate.actions import Act, find_act
from mabe.data.simulate.arena import Arena, Points, unit
from mabe.data.simulate.noise import Signal, ease, hold_last, smooth, smooth_noise
from mabe.data.simulate.placement import WALL_MARGIN_CM, Course, Encounter
from mabe.data.simulate.postures import Posture, Role, endless_walk, pose_roles

_WALK_MARGIN_CM = 4.0


_COME_CM_PER_S = 26.0
"""How fast an agent comes to where its bout begins, if there is time."""


_LATE_CM_PER_S = 75.0
"""How fast it comes within its bout, if there was none."""


_SHORTEST_COMING_S = 0.35


_SHORTEST_LATE_S = 0.15


_STANDS_CM_PER_S = 1.5
"""Below this the way an animal moves says nothing about where it faces."""


_ROOMY_CM = 35.0
"""Arenas at least this wide let animals run at full speed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """Everything a body needs to know about one animal, frame by frame."""

    position_cm: Float[np.ndarray, "time 2"]
    heading: Signal
    bend: Signal
    """Of the whole spine, in radians; positive turns the nose to the left."""
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
    """Act out a script; the result follows the order of `animals`.

    Bouts may overlap. What lies past the last frame is not acted.
    """
    scenes = [
        _Scene(
            start=bout.start,
            stop=min(bout.stop, frames),
            agent=animals.index(bout.agent),
            target=animals.index(bout.target),
            act=find_act(bout.action, on_oneself=bout.agent == bout.target),
        )
        for bout in sorted(bouts)
        if bout.start < frames
    ]
    roles = [_roles_of(animal, scenes) for animal in range(len(animals))]
    stage = _Stage(roles, arena=arena, frames=frames, fps=fps, rng=rng)
    for scene in scenes:
        stage.act(scene)
    for animal in range(len(animals)):
        stage.walk(animal, until=frames)
    return [
        _embody(
            stage.position_cm[animal],
            stage.heading[animal],
            pose_roles(own, frames=frames, fps=fps, rng=rng),
            arena=arena,
            fps=fps,
            rng=rng,
        )
        for animal, own in enumerate(roles)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """A bout with its animals counted from 0."""

    start: int
    stop: int
    agent: int
    target: int
    act: Act


def _roles_of(animal: int, scenes: Sequence[_Scene]) -> list[Role]:
    roles = []
    for scene in scenes:
        if scene.agent == animal:
            manner = scene.act.agent
        elif scene.target == animal:
            manner = scene.act.target
        else:
            continue
        roles.append(Role(start=scene.start, stop=scene.stop, manner=manner))
    return roles


class _Stage:
    """Where the animals are; each is settled up to its own frame in `done`."""

    def __init__(
        self,
        roles: Sequence[Sequence[Role]],
        *,
        arena: Arena,
        frames: int,
        fps: float,
        rng: np.random.Generator,
    ) -> None:
        half_cm = np.array([arena.width_cm, arena.height_cm]) / 2
        hurry = float(np.clip(half_cm.min() * 2 / _ROOMY_CM, 0.5, 1))
        self.arena = arena
        self.fps = fps
        self.rng = rng
        self.walks_cm = [
            endless_walk(own, frames=frames, fps=fps, hurry=hurry, rng=rng)
            for own in roles
        ]
        self.entries_cm = arena.keep_inside(
            half_cm * rng.uniform(-1, 1, (len(roles), 2)), margin_cm=_WALK_MARGIN_CM
        )
        self.object_cm = half_cm * rng.uniform(-0.5, 0.5, 2)
        self.nest_cm = half_cm * 0.6 * rng.choice([-1.0, 1.0], 2)
        self.position_cm = np.zeros((len(roles), frames, 2))
        self.heading = np.zeros((len(roles), frames))
        self.done = [0] * len(roles)

    def act(self, scene: _Scene) -> None:
        """Place the target, then the agent, for the frames of one bout."""
        if scene.target != scene.agent:
            self.walk(scene.target, until=scene.stop)
        begun = self.done[scene.agent]
        start = max(scene.start, begun)
        if scene.act.place is None or start >= scene.stop:
            self.walk(scene.agent, until=scene.stop)
            return
        self.walk(scene.agent, until=start)
        course = scene.act.place.course(self._encounter(scene, start))
        self._take_place(scene, course, begun=begun, start=start)

    def walk(self, animal: int, *, until: int) -> None:
        """Let an animal walk on from where it is."""
        begin = self.done[animal]
        if until <= begin:
            return
        here, _ = self._now(animal)
        walk = self.walks_cm[animal]
        steps = walk[begin:until] - walk[max(begin - 1, 0)]
        # A bout may have ended nearer to the wall than walks go: come back softly.
        out = here - self.arena.fold_inside(here, margin_cm=_WALK_MARGIN_CM)
        back = np.exp(-np.arange(until - begin) / (0.5 * self.fps))[:, None] * out
        place = self.arena.fold_inside(here + steps, margin_cm=_WALK_MARGIN_CM) + back
        self._go(animal, smooth(place, frames=0.3 * self.fps))

    def _now(self, animal: int) -> tuple[Points, float]:
        last = self.done[animal] - 1
        if last < 0:
            return self.entries_cm[animal], 0.0
        return self.position_cm[animal, last], float(self.heading[animal, last])

    def _go(self, animal: int, track_cm: Float[np.ndarray, "time 2"]) -> None:
        """Go along a track, facing where it leads."""
        here, facing = self._now(animal)
        span = slice(self.done[animal], self.done[animal] + len(track_cm))
        step = np.diff(track_cm, axis=0, prepend=here[None])
        moves = np.hypot(step[:, 0], step[:, 1]) * self.fps > _STANDS_CM_PER_S
        way = np.arctan2(step[:, 1], step[:, 0])
        angles = hold_last(np.append(facing, way), np.append(True, moves))
        turned = smooth(np.unwrap(angles), frames=0.3 * self.fps)
        self.position_cm[animal, span] = track_cm
        self.heading[animal, span] = turned[1:]
        self.done[animal] = span.stop

    def _encounter(self, scene: _Scene, start: int) -> Encounter:
        place, heading = self.position_cm[scene.target], self.heading[scene.target]
        span = slice(start, scene.stop)
        return Encounter(
            target=Course(position_cm=place[span], heading=heading[span]),
            past_cm=place[: scene.stop],
            past_heading=heading[: scene.stop],
            agent_from_cm=self._now(scene.agent)[0],
            object_cm=self.object_cm,
            nest_cm=self.nest_cm,
            arena=self.arena,
            fps=self.fps,
            rng=self.rng,
        )

    def _take_place(
        self, scene: _Scene, course: Course, *, begun: int, start: int
    ) -> None:
        """Come to where the course begins, by its first frame if time allows."""
        agent = scene.agent
        here, _ = self._now(agent)
        goal = self.arena.keep_inside(course.position_cm, margin_cm=WALL_MARGIN_CM)
        distance_cm = float(np.linalg.norm(goal[0] - here))
        coming_s = max(distance_cm / _COME_CM_PER_S, _SHORTEST_COMING_S)
        early = min(start - begun, round(coming_s * self.fps))
        late_s = max(distance_cm / _LATE_CM_PER_S, _SHORTEST_LATE_S) - early / self.fps
        late = min(max(round(late_s * self.fps), 0), (scene.stop - start) // 2)

        # Where the goal will be, seen from a target that still moves to it.
        before = self.position_cm[scene.target, start - early : start]
        lead = goal[0] + (before - self.position_cm[scene.target, start])
        if scene.target == agent:
            lead = np.broadcast_to(goal[0], before.shape)
        own = np.concatenate(
            [
                self.position_cm[agent, start - early : start],
                np.broadcast_to(here, (late, 2)),
            ]
        )
        goals = np.concatenate([lead, goal[:late]])
        share = ease((np.arange(early + late) + 1) / (early + late + 1))[:, None]
        coming = own + share * (goals - own)
        self.done[agent] = start - early
        if early + late:
            self._go(agent, self.arena.keep_inside(coming, margin_cm=WALL_MARGIN_CM))
        self.position_cm[agent, start + late : scene.stop] = goal[late:]
        self.heading[agent, start : scene.stop] = course.heading
        self.done[agent] = scene.stop


def _embody(
    track_cm: Float[np.ndarray, "time 2"],
    heading: Signal,
    posture: Posture,
    *,
    arena: Arena,
    fps: float,
    rng: np.random.Generator,
) -> Motion:
    """Smooth what was joined, and add what bodies do by themselves."""
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
