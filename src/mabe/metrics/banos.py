"""Agreement of bouts as BANOS defines it, and how far their edges are apart.

The Behavior Annotation Score (Chindemi, Bellone & Girard, arXiv:2508.04255, 2025) is
four figures of one behaviour in one recording; version 1.0 of the package `banos` is
followed, which the tests compare with:

- *detection*: precision, recall and F1 of bouts; an annotated and a predicted bout
  match where they share a frame, each at most once;
- *segment overlap*: intersection over union, mean over all pairs that share a frame;
- *temporal precision*: 1 / (1 + frames between the starts + frames between the ends),
  mean over the same pairs (so it depends on the frame rate);
- *intra-bout continuity*: 1 - (changes of the prediction within an annotated bout) /
  (frames of the bout - 1), mean over annotated bouts of two frames or more.

Where nothing is annotated, all are 1 if nothing is predicted either, else 0.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import Spans
from mabe.metrics.span_matching import Overlaps, find_overlaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Banos:
    """The figures of BANOS; NaN where there is none."""

    banos_precision: float
    banos_recall: float
    banos_f1: float
    segment_overlap: float
    temporal_precision: float
    continuity: float


@dataclass(frozen=True, slots=True, eq=False)
class EdgeErrors:
    """Frames by which the predicted edges of each detected bout are late."""

    onset: Int[np.ndarray, " bout"]
    """Start of the first predicted bout that overlaps, minus the annotated start."""
    offset: Int[np.ndarray, " bout"]
    """End of the last predicted bout that overlaps, minus the annotated end."""


def score_banos(annotated: Spans, predicted: Spans) -> Banos:
    """Return the figures of one behaviour; spans are sorted, and do not touch."""
    if not len(annotated):
        return Banos(**dict.fromkeys(Banos.__slots__, float(not len(predicted))))
    overlaps = find_overlaps(annotated, predicted)
    hits = count_detected(overlaps)
    precision = hits / len(predicted) if len(predicted) else np.nan
    recall = hits / len(annotated)
    f1 = 2 * hits / (len(annotated) + len(predicted)) if hits else np.nan
    one, other = annotated[overlaps.one], predicted[overlaps.other]
    union = (one[:, 1] - one[:, 0]) + (other[:, 1] - other[:, 0]) - overlaps.frames
    late = np.abs(one - other).sum(axis=1)
    return Banos(
        banos_precision=precision,
        banos_recall=recall,
        banos_f1=f1,
        segment_overlap=_mean(overlaps.frames / union),
        temporal_precision=_mean(1 / (1 + late)),
        continuity=_mean(_continuity(annotated, predicted)),
    )


def count_detected(overlaps: Overlaps) -> int:
    """Return how many bouts match one to one, taken in time order."""
    hits, last_one, last_other = 0, -1, -1
    for one, other in zip(overlaps.one.tolist(), overlaps.other.tolist(), strict=True):
        if one > last_one and other > last_other:
            hits, last_one, last_other = hits + 1, one, other
    return hits


def edge_errors(annotated: Spans, predicted: Spans) -> EdgeErrors:
    """Return how late the edges of the annotated bouts that were detected are."""
    overlaps = find_overlaps(annotated, predicted)
    detected, first = np.unique(overlaps.one, return_index=True)
    last = np.append(first[1:], len(overlaps.one))[: len(first)] - 1
    return EdgeErrors(
        predicted[overlaps.other[first], 0] - annotated[detected, 0],
        predicted[overlaps.other[last], 1] - annotated[detected, 1],
    )


def _continuity(annotated: Spans, predicted: Spans) -> Float[np.ndarray, " bout"]:
    """Return the continuity of each annotated bout of two frames or more."""
    edges = np.sort(predicted.reshape(-1))
    long = annotated[annotated[:, 1] - annotated[:, 0] > 1]
    # A change lies between two frames of the bout, so not at its own edges.
    changes = np.searchsorted(edges, long[:, 1], side="left")
    changes = changes - np.searchsorted(edges, long[:, 0], side="right")
    return 1 - changes / (long[:, 1] - long[:, 0] - 1)


def _mean(values: Float[np.ndarray, " _"]) -> float:
    return float(values.mean()) if len(values) else np.nan
