"""Closes gaps within bouts, and drops short bouts.

Gaps are closed first, then bouts that are still too short are dropped. A gap consists
of frames in which nothing was chosen; so do the frames of a dropped bout.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.decoding.joined_recordings import Timeline

_ROUNDING_S = 1e-6


PerClass = Float[np.ndarray, " classes"]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs of one choice, in time order, each within one recording."""

    frames: Int[np.ndarray, " run"]
    choice: Int[np.ndarray, " run"]
    seconds: Float[np.ndarray, " run"]
    is_last: Bool[np.ndarray, " run"]
    """True for the last run of a recording."""


def tidy(
    chosen: Int[np.ndarray, " time"],
    timeline: Timeline,
    *,
    nothing: int,
    max_gap_s: PerClass,
    min_bout_s: PerClass,
) -> Int[np.ndarray, " time"]:
    """Return the choices with gaps closed and short bouts dropped."""
    if len(chosen) == 0 or not (max_gap_s.any() or min_bout_s.any()):
        return chosen
    closed = close_gaps(find_runs(chosen, timeline), nothing, max_gap_s)
    return drop_short(find_runs(closed, timeline), nothing, min_bout_s)


def find_runs(chosen: Int[np.ndarray, " time"], timeline: Timeline) -> Runs:
    """Return the runs of one choice."""
    is_edge = np.diff(chosen, prepend=chosen[0] - 1) != 0
    is_edge[1:] |= timeline.is_last[:-1]
    start = np.flatnonzero(is_edge)
    frames = np.diff(start, append=len(chosen))
    return Runs(
        frames=frames,
        choice=chosen[start],
        seconds=frames / timeline.frame_fps[start],
        is_last=timeline.is_last[start + frames - 1],
    )


def close_gaps(
    runs: Runs, nothing: int, max_gap_s: PerClass
) -> Int[np.ndarray, " time"]:
    """Fill gaps of at most that length between two bouts of one class."""
    choice = runs.choice.copy()
    gap = np.flatnonzero(choice[1:-1] == nothing) + 1
    before, after = choice[gap - 1], choice[gap + 1]
    is_inside = (before == after) & ~runs.is_last[gap - 1] & ~runs.is_last[gap]
    is_brief = runs.seconds[gap] <= max_gap_s[before] + _ROUNDING_S
    filled = gap[is_inside & is_brief & (before != nothing)]
    choice[filled] = choice[filled - 1]
    return np.repeat(choice, runs.frames)


def drop_short(
    runs: Runs, nothing: int, min_bout_s: PerClass
) -> Int[np.ndarray, " time"]:
    """Drop bouts that are shorter than that length."""
    is_bout = runs.choice != nothing
    least_s = min_bout_s[np.where(is_bout, runs.choice, 0)] - _ROUNDING_S
    is_short = is_bout & (runs.seconds < least_s)
    return np.repeat(np.where(is_short, nothing, runs.choice), runs.frames)
