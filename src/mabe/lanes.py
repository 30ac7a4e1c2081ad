"""What people saw beside what was found: a lane for each scene, or agent and target.

Frames are the lane's own, `fps` a second, and spans half-open. Labels have three
states: 1 it happens, 0 it does not, -1 nobody looked. A scene shows one of its answers,
the first of which is "nothing of interest"; a pair does at most one of its answers.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int8

from mabe.bouts import Spans, find_spans, name_animal
from mabe.decisions.evidence import Evidence, Kind
from mabe.decisions.thresholds import NOTHING

SCENE = 0
"""The agent and target of a lane that is a whole scene."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lane:
    """One view of one recording, with labels, probabilities and decisions."""

    lab: str
    video: str
    agent: int
    """Animals count from 1; `SCENE` of a scene."""
    target: int
    track: str
    """Content hash of the track."""
    fps: float
    probabilities: Float[np.ndarray, "frame answers"]
    """NaN where an answer is impossible."""
    labels: Int8[np.ndarray, "frame answers"]
    chosen: Int[np.ndarray, " frame"]
    """The answer of each frame, or -1."""

    @property
    def name(self) -> str:
        """The recording as messages and outputs name it."""
        return f"{self.lab}/{self.video}"

    @property
    def who(self) -> str:
        """Agent and target in words; empty for a scene."""
        return name_pair(self.agent, self.target)

    @property
    def duration_s(self) -> float:
        """How long the recording is."""
        return len(self.chosen) / self.fps

    @property
    def counted(self) -> Bool[np.ndarray, " frame"]:
        """The frames that somebody watched for something, and that are not ignored."""
        return np.any(self.labels >= 0, axis=1)

    def seen(self, answer: int) -> Spans:
        """Return the bouts that people marked."""
        return find_spans(self.labels[:, answer] == 1)

    def found(self, answer: int) -> Spans:
        """Return the bouts that were found, also where nobody looked."""
        return find_spans(self.chosen == answer)

    def judged(self, answer: int) -> Spans:
        """Return the bouts that were found, cut to the frames that count for it."""
        return find_spans((self.chosen == answer) & (self.labels[:, answer] >= 0))

    def evidence(self) -> Evidence:
        """Return probabilities and labels as material for scores."""
        return Evidence(
            lab=self.lab,
            group=self.track,
            fps=self.fps,
            probabilities=self.probabilities,
            labels=self.labels,
        )


def name_pair(agent: int, target: int) -> str:
    """Return who does something to whom, in words; empty for a scene."""
    if agent == SCENE:
        return ""
    if agent == target:
        return f"{name_animal(agent)} itself"
    return f"{name_animal(agent)} → {name_animal(target)}"


def answers_of_interest(kind: Kind, answers: int) -> range:
    """Return the places of the answers that make bouts worth looking at."""
    return range(1 if kind == "scene" else 0, answers)


def count_confusion(lane: Lane, kind: Kind) -> Int[np.ndarray, "seen found"]:
    """Count frames by what people saw (row) and what was found (column).

    For a pair the last row and column are "nothing". What nobody watched for counts
    neither as right nor as wrong.
    """
    answers = lane.labels.shape[1]
    size = answers if kind == "scene" else answers + 1
    found = np.where(lane.chosen == NOTHING, answers, lane.chosen)
    asked = np.concatenate(
        [lane.labels >= 0, lane.counted[:, None]], axis=1
    )  # "nothing" is always an answer
    is_judged = np.take_along_axis(asked, found[:, None], axis=1)[:, 0]
    happens = lane.labels == 1
    nothing = lane.counted & ~happens.any(axis=1)
    rows = np.concatenate([happens, nothing[:, None]], axis=1)[:, :size]
    return np.stack(
        [np.bincount(found[row & is_judged], minlength=size)[:size] for row in rows.T]
    )
