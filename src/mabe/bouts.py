"""Spans of frames, and the way back to frames.

A *span array* has one row per stretch, ``[start, stop)``, sorted and disjoint.
Every function here takes and returns span arrays or frame masks, so they compose.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

Spans = Int[np.ndarray, "_ 2"]


@dataclass(frozen=True, slots=True, order=True)
class Bout:
    """One uninterrupted stretch of one action, done by an agent to a target.

    Animals count from 1, as in the files; an action on oneself has
    ``target == agent``. Frames are the recording's own.
    """

    start: int
    stop: int
    action: str
    agent: int
    target: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"a bout needs 0 <= start < stop, got {self}")


@dataclass(frozen=True, slots=True, order=True)
class Watched:
    """One thing an annotator looked out for: an action of an agent to a target."""

    agent: int
    target: int
    action: str


def find_spans(active: Bool[np.ndarray, " time"]) -> Spans:
    """Return every stretch of true frames."""
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    return edges.reshape(-1, 2)


def cover_frames(spans: Spans, length: int) -> Bool[np.ndarray, " time"]:
    """Return a mask of `length` frames that is true inside the spans."""
    frames = np.zeros(length, bool)
    for start, stop in spans:
        frames[start:stop] = True
    return frames


def label_runs(labels: Int[np.ndarray, " time"]) -> Int[np.ndarray, "_ 3"]:
    """Return every stretch of one label as rows of (start, stop, label)."""
    if len(labels) == 0:
        return np.empty((0, 3), int)
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    stops = np.append(starts[1:], len(labels))
    return np.stack([starts, stops, labels[starts]], axis=1)
