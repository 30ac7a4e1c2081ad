"""Types of errors: whole bouts, or only their edges.

Frames of an annotated bout of which no frame was predicted are a *missed bout*; the
missed frames of a bout that was predicted in part are an *edge* (a late start, an early
end, a gap). Frames predicted wrongly are a *false bout* where no frame of the predicted
bout is annotated, else an edge as well. After the segment errors of Ward, Lukowicz &
Gellersen (ACM TIST 2011). Only counted frames are used.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.bouts import Spans
from mabe.decoding.view_predictions import ViewPredictions
from mabe.metrics.span_matching import find_overlaps, match_bouts


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassErrors:
    """Seconds and bouts of one class by type of error; those of views add up."""

    hit_s: float = 0.0
    missed_bout_s: float = 0.0
    missed_edge_s: float = 0.0
    false_bout_s: float = 0.0
    false_edge_s: float = 0.0
    missed_bouts: int = 0
    """Annotated bouts of which no frame was predicted."""
    false_bouts: int = 0
    """Predicted bouts of which no frame is annotated."""
    annotated_bouts: int = 0
    predicted_bouts: int = 0
    matched_bouts: int = 0
    """Bouts that overlap by more than half of their union."""
    start_delays_s: tuple[float, ...] = field(default=())
    """How late each matched bout starts; negative where it is early."""
    stop_delays_s: tuple[float, ...] = field(default=())

    def __add__(self, other: "ClassErrors") -> "ClassErrors":
        return ClassErrors(
            hit_s=self.hit_s + other.hit_s,
            missed_bout_s=self.missed_bout_s + other.missed_bout_s,
            missed_edge_s=self.missed_edge_s + other.missed_edge_s,
            false_bout_s=self.false_bout_s + other.false_bout_s,
            false_edge_s=self.false_edge_s + other.false_edge_s,
            missed_bouts=self.missed_bouts + other.missed_bouts,
            false_bouts=self.false_bouts + other.false_bouts,
            annotated_bouts=self.annotated_bouts + other.annotated_bouts,
            predicted_bouts=self.predicted_bouts + other.predicted_bouts,
            matched_bouts=self.matched_bouts + other.matched_bouts,
            start_delays_s=self.start_delays_s + other.start_delays_s,
            stop_delays_s=self.stop_delays_s + other.stop_delays_s,
        )

    @property
    def annotated_s(self) -> float:
        """Seconds annotated with the class."""
        return self.hit_s + self.missed_bout_s + self.missed_edge_s

    @property
    def predicted_s(self) -> float:
        """Seconds predicted as the class."""
        return self.hit_s + self.false_bout_s + self.false_edge_s

    @property
    def precision(self) -> float:
        """Share of the predicted time that is annotated; NaN without any."""
        return self.hit_s / self.predicted_s if self.predicted_s else np.nan

    @property
    def recall(self) -> float:
        """Share of the annotated time that was predicted; NaN without any."""
        return self.hit_s / self.annotated_s if self.annotated_s else np.nan

    @property
    def bout_f1(self) -> float:
        """F1 of matched bouts; NaN where there are none."""
        total = self.annotated_bouts + self.predicted_bouts
        return 2 * self.matched_bouts / total if total else np.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongBout:
    """A bout that is missed or false as a whole."""

    recording: str
    view: str
    """Agent and target in words; empty for a scene."""
    class_index: int
    is_missed: bool
    start_s: float
    stop_s: float
    probability: float
    """Mean probability of the class over the bout."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.stop_s - self.start_s


def count_errors(view: ViewPredictions, index: int) -> ClassErrors:
    """Return the errors of one class in one view."""
    annotated = view.annotated_spans(index)
    predicted = view.predicted_spans(index, counted=True)
    overlaps = find_overlaps(annotated, predicted)
    is_match = match_bouts(annotated, predicted, overlaps)
    one, other = overlaps.one[is_match], overlaps.other[is_match]
    delays_s = (predicted[other] - annotated[one]) / view.fps
    hit = int(overlaps.frames.sum())
    missed = _without_overlap(annotated, overlaps.one)
    false = _without_overlap(predicted, overlaps.other)
    missed_frames = _count_frames(annotated[missed])
    false_frames = _count_frames(predicted[false])
    return ClassErrors(
        hit_s=hit / view.fps,
        missed_bout_s=missed_frames / view.fps,
        missed_edge_s=(_count_frames(annotated) - hit - missed_frames) / view.fps,
        false_bout_s=false_frames / view.fps,
        false_edge_s=(_count_frames(predicted) - hit - false_frames) / view.fps,
        missed_bouts=int(missed.sum()),
        false_bouts=int(false.sum()),
        annotated_bouts=len(annotated),
        predicted_bouts=len(predicted),
        matched_bouts=int(is_match.sum()),
        start_delays_s=tuple(delays_s[:, 0].tolist()),
        stop_delays_s=tuple(delays_s[:, 1].tolist()),
    )


def find_wrong_bouts(view: ViewPredictions, index: int) -> list[WrongBout]:
    """Return the bouts of one class that are missed or false as a whole."""
    annotated = view.annotated_spans(index)
    predicted = view.predicted_spans(index, counted=True)
    overlaps = find_overlaps(annotated, predicted)
    probabilities = view.probabilities[:, index]
    missed = annotated[_without_overlap(annotated, overlaps.one)]
    false = predicted[_without_overlap(predicted, overlaps.other)]
    return [
        WrongBout(
            recording=view.name,
            view=view.view_label,
            class_index=index,
            is_missed=is_missed,
            start_s=start / view.fps,
            stop_s=stop / view.fps,
            probability=_mean_of_known(probabilities[start:stop]),
        )
        for spans, is_missed in ((missed, True), (false, False))
        for start, stop in spans.tolist()
    ]


def _without_overlap(
    spans: Spans, overlapping: Int[np.ndarray, " _"]
) -> Bool[np.ndarray, " _"]:
    return ~np.isin(np.arange(len(spans)), overlapping)


def _count_frames(spans: Spans) -> int:
    return int((spans[:, 1] - spans[:, 0]).sum())


def _mean_of_known(probabilities: Float[np.ndarray, " frame"]) -> float:
    known = probabilities[np.isfinite(probabilities)]
    return float(known.mean()) if len(known) else np.nan
