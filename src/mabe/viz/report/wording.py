"""Sentences and formatted numbers of a report, for its template."""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from mabe.metrics.confidence_interval import FEWEST_TRACKS, Confidence
from mabe.runtime.console import count, format_score
from mabe.runtime.console import percent as in_percent
from mabe.viz.error_types import ClassErrors

__all__ = [
    "calibration_words",
    "class_words",
    "clock",
    "count",
    "duration",
    "error_words",
    "evidence_words",
    "headline",
    "interval",
    "median",
    "part",
    "percent",
    "points",
    "score",
    "title",
    "with_code",
]


def score(value: float | None, *, digits: int = 3) -> str:
    """Return a score, or a dash where there is none."""
    text = format_score(value, digits=digits)
    return "–" if text == "-" else text


def with_code(text: str) -> Markup:
    """Return HTML of a text in which `commands` stand between backticks."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them is no quotation mark
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def title(run: str, data: str) -> str:
    """Return what a report is of."""
    return f"{run} on {data}" if data else run


def interval(low: float, high: float) -> str:
    """Return the ends of an interval, or nothing where it is unknown."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{low:.2f} to {high:.2f}"


def duration(seconds: float) -> str:
    """Return a length of time in a fitting unit."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def clock(seconds: float) -> str:
    """Return a moment as 3:07 or 1:02:07."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}"


def part(number: int, of: int) -> str:
    """Return how many of some; a dash where there are none."""
    return f"{number} of {of}" if of else "–"


def percent(share: float, *, digits: int = 0) -> str:
    """Return a share of 1 in percent."""
    return "–" if not math.isfinite(share) else in_percent(share, digits=digits)


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return "–" if not math.isfinite(difference) else _signed(100 * difference, digits=1)


def _signed(value: float, *, digits: int) -> str:
    """Return a number with its sign; none at zero."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def headline(confidence: Confidence, recordings: int) -> str:
    """Return the uncertainty of the score, in a sentence."""
    if not math.isfinite(confidence.score):
        return "No score: none of the classes is annotated in these recordings."
    if not math.isfinite(confidence.low):
        return (
            f"From {count(recordings, 'recording')}: too few for "
            f"an interval, which needs {FEWEST_TRACKS}. The score of other recordings "
            "may be quite different."
        )
    return (
        f"95 % interval {confidence.low:.2f} to {confidence.high:.2f}, from "
        f"{count(recordings, 'recording')} (bootstrap). 1 is perfect agreement with "
        f"the "
        "annotations."
    )


def class_words(name: str, errors: ClassErrors) -> str:
    """Return recall and precision of one class, in a sentence."""
    if not errors.annotated_s:
        return f"{name}: not annotated in these recordings, so it has no score."
    recall = f"{name}: recall {percent(errors.recall)} of the annotated time"
    if not errors.predicted_s:
        return f"{recall}; never predicted."
    return f"{recall}, precision {percent(errors.precision)} of the predicted time."


def error_words(name: str, errors: ClassErrors) -> str:
    """Return the most frequent type of error of one class, in a sentence."""
    parts = {
        f"bouts missed as a whole ({errors.missed_bouts} of "
        f"{errors.annotated_bouts})": errors.missed_bout_s,
        "missed edges (bouts predicted in part: late start, early end, gaps)": (
            errors.missed_edge_s
        ),
        f"false bouts ({errors.false_bouts} of {errors.predicted_bouts})": (
            errors.false_bout_s
        ),
        "false edges (early start, late end, bouts merged)": errors.false_edge_s,
    }
    total = sum(parts.values())
    if not total:
        return f"{name}: no error."
    largest = max(parts, key=lambda each: parts[each])
    return (
        f"{name}: {percent(parts[largest] / total)} of {duration(total)} of errors "
        f"are {largest}."
    )


def calibration_words(error: float) -> str:
    """Return how well calibrated probabilities are, in words."""
    if not math.isfinite(error):
        return "no frames to measure it on"
    if error < 0.03:
        return "well calibrated"
    if error < 0.08:
        return "roughly calibrated"
    return "poorly calibrated; `mabe tune` calibrates them"


def evidence_words(
    errors: ClassErrors, low: float, high: float, recordings_with: int
) -> str:
    """Return how precisely the F1 of a class is known, in words.

    `low` and `high` are its interval, `recordings_with` those that contain the class.
    """
    if not errors.annotated_bouts:
        return "not annotated"
    if recordings_with < FEWEST_TRACKS:
        more = FEWEST_TRACKS - recordings_with
        return (
            f"unknown: it occurs in {count(recordings_with, 'recording')}; "
            f"an interval needs {more} more"
        )
    width = high - low
    if not math.isfinite(width) or width > 0.3:
        return "uncertain: annotate more of it"
    return "moderately precise" if width > 0.15 else "precise"


def median(values: Sequence[float]) -> str:
    """Return the upper median of delays with its sign; a dash without delays."""
    if not values:
        return "–"
    return f"{_signed(sorted(values)[len(values) // 2], digits=2)} s"
