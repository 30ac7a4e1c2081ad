"""The predictions of a recording in a compact form, to be kept and sent in pieces.

Probabilities are bytes: 0 to 254 for 0 to 1, and `UNKNOWN` where there is none.
Frames are the recording's own, spans half-open.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from mabe.bouts import find_spans, label_runs
from mabe.decoding.view_predictions import ViewPredictions
from mabe.runtime.files import write_bytes
from mabe.scene_task import TaskKind

UNKNOWN = 255


_TOP = 254


UNCERTAIN_FROM = 0.25
"""A span is uncertain where a decision is wrong with at least this probability."""


MEAN_OVER_S = 1.0
"""That probability is averaged over so long; uncertain spans so close are joined."""


@dataclass(frozen=True, slots=True, order=True)
class UncertainSpan:
    """A span of frames that is worth a review: its decisions are, or may be, wrong."""

    wrong_s: float
    """Seconds in which the decision differs from the annotation; where there is none,
    expected seconds with a wrong decision."""
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class ViewTimeline:
    """The predictions of one view."""

    agent: int
    target: int
    fps: float
    probabilities: UInt8[np.ndarray, "frame classes"]
    runs: Int[np.ndarray, "_ 3"]
    """Rows of (start, stop, class): the bouts, in time order."""
    uncertain: tuple[UncertainSpan, ...] = field(default=())
    """The most uncertain first."""

    @classmethod
    def of(cls, view: ViewPredictions) -> "ViewTimeline":
        """Return the timeline of a view."""
        runs = label_runs(view.decisions)
        expected = error_probability(view.probabilities, view.kind)
        error = np.where(view.counted, differs_from_annotation(view), expected)
        return cls(
            agent=view.view.agent,
            target=view.view.target,
            fps=view.fps,
            probabilities=to_bytes(view.probabilities),
            runs=runs[runs[:, 2] != view.kind.nothing],
            uncertain=tuple(find_uncertain(error, view.fps)),
        )

    def bouts(self) -> list[list[Any]]:
        """Return rows of (start, stop, class, mean probability) for the page."""
        return [
            [
                start,
                stop,
                index,
                _mean_probability(self.probabilities[start:stop, index]),
            ]
            for start, stop, index in self.runs.tolist()
        ]

    @cached_property
    def _levels(self) -> list[UInt8[np.ndarray, "column classes"]]:
        """Return the probabilities, and means of two frames, of four, and so on."""
        levels = [self.probabilities]
        while len(levels[-1]) > 1:
            levels.append(_coarser(levels[-1]))
        return levels

    def window(
        self, start: int, stop: int, columns: int
    ) -> tuple[int, int, UInt8[np.ndarray, "column classes"]]:
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


def error_probability(
    probabilities: Float[np.ndarray, "frame classes"], kind: TaskKind
) -> Float[np.ndarray, " frame"]:
    """Return the probability that the decision of each frame is wrong.

    Where each frame has one of the classes: that it is not the most probable one.
    Otherwise each class is a decision of its own, and the least certain one counts.
    """
    known = np.nan_to_num(probabilities, nan=0.0)
    if kind.has_background:
        return 1 - known.max(axis=1, initial=0.0)
    return np.minimum(known, 1 - known).max(axis=1, initial=0.0)


def differs_from_annotation(view: ViewPredictions) -> Bool[np.ndarray, " frame"]:
    """Return in which frames the decision contradicts an annotation.

    A class is missed where it is annotated and not chosen, and false where it is chosen
    and annotated not to happen. A class that was not watched contradicts nothing.
    """
    classes = np.arange(len(view.classes))
    is_chosen = view.decisions[:, None] == classes
    wrong = np.where(is_chosen, view.labels == 0, view.labels == 1)
    result: Bool[np.ndarray, " frame"] = wrong.any(axis=1)
    return result


def find_uncertain(
    error: Float[np.ndarray, " frame"], fps: float
) -> list[UncertainSpan]:
    """Return the uncertain spans, those with the most expected errors first.

    `error` is the probability of a wrong decision in each frame, 1 or 0 where the
    frame is annotated.
    """
    if not len(error):
        return []
    width = max(1, round(MEAN_OVER_S * fps))
    total = np.concatenate([[0.0], np.cumsum(error, dtype=np.float64)])
    places = np.arange(len(error))
    low = np.maximum(places - width // 2, 0)
    high = np.minimum(low + width, len(error))
    spans = find_spans((total[high] - total[low]) / (high - low) >= UNCERTAIN_FROM)
    merged: list[list[int]] = []
    for start, stop in spans.tolist():
        if merged and start - merged[-1][1] < width:
            merged[-1][1] = stop
        else:
            merged.append([start, stop])
    uncertain = [
        UncertainSpan(float(total[stop] - total[start]) / fps, start, stop)
        for start, stop in merged
    ]
    return sorted(uncertain, key=lambda each: (-each.wrong_s, each.start))


def errors_per_minute(timelines: Sequence[ViewTimeline]) -> float:
    """Return the expected seconds with a wrong decision in each minute."""
    minutes = sum(len(each.probabilities) / each.fps for each in timelines) / 60
    wrong_s = sum(span.wrong_s for each in timelines for span in each.uncertain)
    return wrong_s / minutes if minutes else 0.0


def to_bytes(
    probabilities: Float[np.ndarray, "frame classes"],
) -> UInt8[np.ndarray, "frame classes"]:
    """Return probabilities as bytes."""
    known = np.rint(np.nan_to_num(probabilities, nan=0.0) * _TOP).astype(np.uint8)
    return np.where(np.isnan(probabilities), np.uint8(UNKNOWN), known)


def write_timelines(path: Path, timelines: Sequence[ViewTimeline]) -> None:
    """Write the timelines of a recording to a file, so that it is predicted once."""
    about = [
        {
            "agent": each.agent,
            "target": each.target,
            "fps": each.fps,
            "uncertain": [[s.wrong_s, s.start, s.stop] for s in each.uncertain],
        }
        for each in timelines
    ]
    arrays = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for place, each in enumerate(timelines):
        arrays[f"c{place}"] = each.probabilities
        arrays[f"r{place}"] = each.runs
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getbuffer())


def read_timelines(path: Path) -> list[ViewTimeline] | None:
    """Return the timelines of a file; None where there is none, or it is damaged."""
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
                    uncertain=tuple(UncertainSpan(*span) for span in each["uncertain"]),
                )
                for place, each in enumerate(about)
            ]
    except FileNotFoundError:
        return None
    except Exception:  # a damaged cache file is made again
        return None


def _coarser(
    values: UInt8[np.ndarray, "column classes"],
) -> UInt8[np.ndarray, "half classes"]:
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
