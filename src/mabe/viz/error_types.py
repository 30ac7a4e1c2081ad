"""What kind of mistakes are made: whole bouts, or only their edges.

Missed frames of a bout of which nothing was found are a *missed bout*; those of a bout
that was found in part are an *edge* (a late start, an early end, a hole). Wrong frames
are of a *false bout* where people saw none of it, else of an edge as well. After the
segment errors of Ward, Lukowicz & Gellersen (ACM TIST 2011). Only counted frames count.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.bouts import Spans
from mabe.decoding.views import Lane
from mabe.metrics.intervals import find_overlaps, match_bouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Seconds of one answer, by what became of them; they add up over lanes."""

    hit_s: float = 0.0
    missed_bout_s: float = 0.0
    missed_edge_s: float = 0.0
    false_bout_s: float = 0.0
    false_edge_s: float = 0.0
    missed_bouts: int = 0
    """Bouts that people saw and of which no frame was found."""
    false_bouts: int = 0
    """Bouts that were found and of which people saw no frame."""
    seen_bouts: int = 0
    found_bouts: int = 0
    matched_bouts: int = 0
    """Bouts that overlap by more than half of their union."""
    start_delays_s: tuple[float, ...] = field(default=())
    """How late each matched bout starts; negative where it is early."""
    stop_delays_s: tuple[float, ...] = field(default=())

    def __add__(self, other: "Faults") -> "Faults":
        return Faults(
            hit_s=self.hit_s + other.hit_s,
            missed_bout_s=self.missed_bout_s + other.missed_bout_s,
            missed_edge_s=self.missed_edge_s + other.missed_edge_s,
            false_bout_s=self.false_bout_s + other.false_bout_s,
            false_edge_s=self.false_edge_s + other.false_edge_s,
            missed_bouts=self.missed_bouts + other.missed_bouts,
            false_bouts=self.false_bouts + other.false_bouts,
            seen_bouts=self.seen_bouts + other.seen_bouts,
            found_bouts=self.found_bouts + other.found_bouts,
            matched_bouts=self.matched_bouts + other.matched_bouts,
            start_delays_s=self.start_delays_s + other.start_delays_s,
            stop_delays_s=self.stop_delays_s + other.stop_delays_s,
        )

    @property
    def bout_f1(self) -> float:
        """F1 of matched bouts; NaN where there are none."""
        total = self.seen_bouts + self.found_bouts
        return 2 * self.matched_bouts / total if total else np.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class BadBout:
    """A bout that is missed or false as a whole."""

    answer: int
    is_missed: bool
    start_s: float
    stop_s: float
    probability: float
    """Mean probability that was given to the answer there."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.stop_s - self.start_s


def find_faults(lane: Lane, answer: int) -> Faults:
    """Return what became of the seconds of one answer."""
    seen, found = lane.seen(answer), lane.judged(answer)
    overlaps = find_overlaps(seen, found)
    is_match = match_bouts(seen, found, overlaps)
    one, other = overlaps.one[is_match], overlaps.other[is_match]
    delays_s = (found[other] - seen[one]) / lane.fps
    hit = int(overlaps.frames.sum())
    lost, false = _untouched(seen, overlaps.one), _untouched(found, overlaps.other)
    lost_frames, false_frames = _frames(seen[lost]), _frames(found[false])
    return Faults(
        hit_s=hit / lane.fps,
        missed_bout_s=lost_frames / lane.fps,
        missed_edge_s=(_frames(seen) - hit - lost_frames) / lane.fps,
        false_bout_s=false_frames / lane.fps,
        false_edge_s=(_frames(found) - hit - false_frames) / lane.fps,
        missed_bouts=int(lost.sum()),
        false_bouts=int(false.sum()),
        seen_bouts=len(seen),
        found_bouts=len(found),
        matched_bouts=int(is_match.sum()),
        start_delays_s=tuple(delays_s[:, 0].tolist()),
        stop_delays_s=tuple(delays_s[:, 1].tolist()),
    )


def find_bad_bouts(lane: Lane, answer: int) -> list[BadBout]:
    """Return the bouts of one answer that are missed or false as a whole."""
    seen, found = lane.seen(answer), lane.judged(answer)
    overlaps = find_overlaps(seen, found)
    probabilities = lane.probabilities[:, answer]
    lost = seen[_untouched(seen, overlaps.one)]
    false = found[_untouched(found, overlaps.other)]
    return [
        BadBout(
            answer=answer,
            is_missed=is_missed,
            start_s=start / lane.fps,
            stop_s=stop / lane.fps,
            probability=_mean(probabilities[start:stop]),
        )
        for spans, is_missed in ((lost, True), (false, False))
        for start, stop in spans.tolist()
    ]


def _untouched(spans: Spans, touched: Int[np.ndarray, " _"]) -> Bool[np.ndarray, " _"]:
    return ~np.isin(np.arange(len(spans)), touched)


def _frames(spans: Spans) -> int:
    return int((spans[:, 1] - spans[:, 0]).sum())


def _mean(probabilities: Float[np.ndarray, " frame"]) -> float:
    known = probabilities[np.isfinite(probabilities)]
    return float(known.mean()) if len(known) else np.nan
