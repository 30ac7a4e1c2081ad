"""Agreement on one action frame by frame: Cohen's kappa, F1 with a tolerance at edges.

The four counts of frames (both, one only, other only, neither) of several recordings
add up, and a figure is computed once from the sum.
"""

from dataclasses import dataclass

import numpy as np

from mabe.bouts import Spans
from mabe.metrics.span_matching import find_overlaps, merge_by_group


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Frames by what two sources mark in them; `one` is the reference."""

    both: int
    one_only: int
    other_only: int
    neither: int

    def __add__(self, more: "FrameCounts") -> "FrameCounts":
        return FrameCounts(
            self.both + more.both,
            self.one_only + more.one_only,
            self.other_only + more.other_only,
            self.neither + more.neither,
        )

    @property
    def f1(self) -> float:
        """F1; NaN where neither source marks a frame."""
        marked = 2 * self.both + self.one_only + self.other_only
        return 2 * self.both / marked if marked else np.nan

    @property
    def kappa(self) -> float:
        """Cohen's kappa (Educational and Psychological Measurement 1960).

        NaN where both sources mark all frames, or none.
        """
        total = self.both + self.one_only + self.other_only + self.neither
        if not total:
            return np.nan
        one, other = self.both + self.one_only, self.both + self.other_only
        agreed = (self.both + self.neither) / total
        chance = (one * other + (total - one) * (total - other)) / total**2
        return (agreed - chance) / (1 - chance) if chance < 1 else np.nan


NO_FRAMES = FrameCounts(0, 0, 0, 0)


def count_agreement(one: Spans, other: Spans, frames: int) -> FrameCounts:
    """Count frames, of which `frames` were watched by both sources."""
    both = int(find_overlaps(one, other).frames.sum())
    one_only = _frames(one) - both
    other_only = _frames(other) - both
    return FrameCounts(
        both, one_only, other_only, frames - both - one_only - other_only
    )


def count_with_tolerance(
    annotated: Spans, predicted: Spans, frames: int, tolerance: int
) -> FrameCounts:
    """Count frames without the disagreements near the edges of detected bouts.

    A frame in which the sources differ is left out if it is at most `tolerance` frames
    from an edge of an annotated bout that shares a frame with a predicted one. A bout
    that is missed or false as a whole therefore counts in full, however short.
    """
    detected = annotated[np.unique(find_overlaps(annotated, predicted).one)]
    edges = detected.reshape(-1)
    near = _merged(np.stack([np.maximum(0, edges - tolerance), edges + tolerance], 1))
    plain = count_agreement(annotated, predicted, frames)
    both = _shared(annotated, predicted)
    near_both = _frames_within(both, near)
    missed = _frames_within(annotated, near) - near_both
    false = _frames_within(predicted, near) - near_both
    return FrameCounts(
        plain.both, plain.one_only - missed, plain.other_only - false, plain.neither
    )


def _shared(one: Spans, other: Spans) -> Spans:
    overlaps = find_overlaps(one, other)
    starts = np.maximum(one[overlaps.one, 0], other[overlaps.other, 0])
    return np.stack([starts, starts + overlaps.frames], axis=1)


def _frames_within(spans: Spans, others: Spans) -> int:
    return int(find_overlaps(spans, others).frames.sum())


def _merged(rows: Spans) -> Spans:
    return merge_by_group(rows, np.zeros(len(rows), int)).spans


def _frames(spans: Spans) -> int:
    return int((spans[:, 1] - spans[:, 0]).sum())
