"""What was found in a recording, small enough to keep and to send piece by piece.

Probabilities are bytes: 0 to 254 for 0 to 1, and `UNKNOWN` where there is none.
Frames are the recording's own, spans half-open.
"""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from mabe.bouts import find_spans, label_runs
from mabe.decoding.views import Lane
from mabe.runtime.files import write_bytes
from mabe.scene_task import TaskKind

UNKNOWN = 255


_TOP = 254


DOUBT_FROM = 0.25
"""A stretch is doubtful where a decision is wrong with at least this probability."""


DOUBT_OVER_S = 1.0
"""Doubt is the mean over so long; doubtful stretches so close together are one."""


@dataclass(frozen=True, slots=True, order=True)
class Doubt:
    """A stretch in which a person's word would teach much."""

    wrong_s: float
    """How many seconds of it are expected to be decided wrongly."""
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class ViewTimeline:
    """What was found in one lane."""

    agent: int
    target: int
    fps: float
    probabilities: UInt8[np.ndarray, "frame answers"]
    runs: Int[np.ndarray, "_ 3"]
    """Rows of (start, stop, answer): the bouts, in time order."""
    doubts: tuple[Doubt, ...] = field(default=())
    """The most doubtful first."""

    @classmethod
    def of(cls, lane: Lane, kind: TaskKind) -> "ViewTimeline":
        """Return the marks of a lane."""
        runs = label_runs(lane.chosen)
        return cls(
            agent=lane.agent,
            target=lane.target,
            fps=lane.fps,
            probabilities=to_bytes(lane.probabilities),
            runs=runs[runs[:, 2] != kind.nothing],
            doubts=tuple(find_doubts(doubt_of(lane.probabilities, kind), lane.fps)),
        )

    def bouts(self) -> list[list[Any]]:
        """Return rows of (start, stop, answer, mean probability) for the page."""
        return [
            [
                start,
                stop,
                answer,
                _mean_probability(self.probabilities[start:stop, answer]),
            ]
            for start, stop, answer in self.runs.tolist()
        ]

    @cached_property
    def _levels(self) -> list[UInt8[np.ndarray, "column answers"]]:
        """Return the probabilities, and means of two frames, of four, and so on."""
        levels = [self.probabilities]
        while len(levels[-1]) > 1:
            levels.append(_coarser(levels[-1]))
        return levels

    def window(
        self, start: int, stop: int, columns: int
    ) -> tuple[int, int, UInt8[np.ndarray, "column answers"]]:
        """Return probabilities of [start, stop) in `columns` columns, at most twice.

        Also returns the first frame that the columns cover, and how many frames each
        stands for.
        """
        frames = len(self.probabilities)
        start, stop = min(max(0, start), frames), min(stop, frames)
        level, step = 0, 1
        while (stop - start) / step > 2 * columns and level + 1 < len(self._levels):
            level, step = level + 1, step * 2
        first, last = start // step, -(-stop // step)
        return first * step, step, self._levels[level][first:last]


def doubt_of(
    probabilities: Float[np.ndarray, "frame answers"], kind: TaskKind
) -> Float[np.ndarray, " frame"]:
    """Return the probability that the decision of each frame is wrong.

    Of a scene: that the likeliest class is not the right one. Of a pair: that the most
    doubtful of its answers, yes or no, is not right.
    """
    known = np.nan_to_num(probabilities, nan=0.0)
    if kind.has_background:
        return 1 - known.max(axis=1, initial=0.0)
    return np.minimum(known, 1 - known).max(axis=1, initial=0.0)


def find_doubts(doubt: Float[np.ndarray, " frame"], fps: float) -> list[Doubt]:
    """Return the stretches of doubt, those that would teach most first."""
    if not len(doubt):
        return []
    width = max(1, round(DOUBT_OVER_S * fps))
    total = np.concatenate([[0.0], np.cumsum(doubt, dtype=np.float64)])
    places = np.arange(len(doubt))
    low = np.maximum(places - width // 2, 0)
    high = np.minimum(low + width, len(doubt))
    spans = find_spans((total[high] - total[low]) / (high - low) >= DOUBT_FROM)
    merged: list[list[int]] = []
    for start, stop in spans.tolist():
        if merged and start - merged[-1][1] < width:
            merged[-1][1] = stop
        else:
            merged.append([start, stop])
    doubts = [
        Doubt(float(total[stop] - total[start]) / fps, start, stop)
        for start, stop in merged
    ]
    return sorted(doubts, key=lambda each: (-each.wrong_s, each.start))


def doubt_per_minute(marks: Iterable[ViewTimeline]) -> float:
    """Return how many seconds of each minute are expected to be decided wrongly."""
    marks = list(marks)
    minutes = sum(len(each.probabilities) / each.fps for each in marks) / 60
    wrong_s = sum(doubt.wrong_s for each in marks for doubt in each.doubts)
    return wrong_s / minutes if minutes else 0.0


def to_bytes(
    probabilities: Float[np.ndarray, "frame answers"],
) -> UInt8[np.ndarray, "frame answers"]:
    """Return probabilities as bytes."""
    known = np.rint(np.nan_to_num(probabilities, nan=0.0) * _TOP).astype(np.uint8)
    return np.where(np.isnan(probabilities), np.uint8(UNKNOWN), known)


def write_timeline(path: Path, marks: Iterable[ViewTimeline]) -> None:
    """Keep marks in a file, to be read again instead of asking the model."""
    marks = list(marks)
    about = [
        {
            "agent": each.agent,
            "target": each.target,
            "fps": each.fps,
            "doubts": [[d.wrong_s, d.start, d.stop] for d in each.doubts],
        }
        for each in marks
    ]
    arrays = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for place, each in enumerate(marks):
        arrays[f"c{place}"] = each.probabilities
        arrays[f"r{place}"] = each.runs
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getbuffer())


def read_timeline(path: Path) -> list[ViewTimeline] | None:
    """Return kept marks; None where there are none, or they are damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(file["about"].tobytes())
            return [
                ViewTimeline(
                    agent=each["agent"],
                    target=each["target"],
                    fps=each["fps"],
                    probabilities=file[f"c{place}"],
                    runs=file[f"r{place}"],
                    doubts=tuple(Doubt(*doubt) for doubt in each["doubts"]),
                )
                for place, each in enumerate(about)
            ]
    except FileNotFoundError:
        return None
    except Exception:  # a cache: whatever is wrong with it, it is made again
        return None


def _coarser(
    values: UInt8[np.ndarray, "column answers"],
) -> UInt8[np.ndarray, "half answers"]:
    """Return the mean of every two columns; an odd one at the end stands for itself."""
    even, odd = values[::2].astype(np.int16), values[1::2].astype(np.int16)
    if len(odd) < len(even):
        odd = np.concatenate([odd, even[-1:]])
    means = (even + odd + 1) // 2
    means = np.where(even == UNKNOWN, odd, np.where(odd == UNKNOWN, even, means))
    return means.astype(np.uint8)


def _mean_probability(probabilities: UInt8[np.ndarray, " frame"]) -> float | None:
    known = probabilities[probabilities != UNKNOWN]
    return round(float(known.mean()) / _TOP, 3) if len(known) else None
