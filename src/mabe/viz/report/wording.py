"""Plain words and readable numbers for a report."""

import math

from mabe.decoding.bootstrap import Confidence
from mabe.viz.error_types import Faults


def score(value: float | None, digits: int = 3) -> str:
    """Return a score, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}"


def interval(low: float, high: float) -> str:
    """Return the ends of an interval, or nothing where it is unknown."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{low:.2f} to {high:.2f}"


def duration(seconds: float) -> str:
    """Return a length of time as people say it."""
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


def percent(share: float) -> str:
    """Return a share of 1 in percent."""
    return "–" if not math.isfinite(share) else f"{share:.0%}"


def headline(confidence: Confidence, recordings: int) -> str:
    """Say how good the whole is, and how sure that is."""
    if not math.isfinite(confidence.score):
        return "Nothing could be scored: people marked none of what is asked for."
    if recordings < 2:
        return (
            "One recording says little: how it would do on others cannot be told from "
            "it."
        )
    return (
        f"With other recordings of the same kind it would lie between "
        f"{confidence.low:.2f} and {confidence.high:.2f} (95 %; "
        f"{recordings} recordings drawn anew). 1 is perfect agreement with people."
    )


def class_words(name: str, faults: Faults) -> str:
    """Say what precision and recall mean for one class."""
    seen_s = faults.hit_s + faults.missed_bout_s + faults.missed_edge_s
    found_s = faults.hit_s + faults.false_bout_s + faults.false_edge_s
    if not seen_s:
        return f"People marked no {name} in these recordings, so it has no score."
    found = f"Of the time people call {name}, it finds {percent(faults.hit_s / seen_s)}"
    if not found_s:
        return found + "; it never says so itself."
    right = percent(faults.hit_s / found_s)
    return f"{found}; when it says {name}, people agree {right} of the time."


def fault_words(name: str, faults: Faults) -> str:
    """Say what most mistakes on one class are."""
    parts = {
        f"bouts it does not see at all ({faults.missed_bouts} of "
        f"{faults.seen_bouts})": faults.missed_bout_s,
        "edges: bouts found in part, begun too late or ended too early": (
            faults.missed_edge_s
        ),
        f"bouts nobody else sees ({faults.false_bouts} of "
        f"{faults.found_bouts})": faults.false_bout_s,
        "edges: bouts begun too early, ended too late or run together": (
            faults.false_edge_s
        ),
    }
    total = sum(parts.values())
    if not total:
        return f"{name}: no mistake."
    worst = max(parts, key=lambda each: parts[each])
    return (
        f"Most of what goes wrong with {name} is {worst}: "
        f"{percent(parts[worst] / total)} of {duration(total)}."
    )


def calibration_words(error: float) -> str:
    """Say whether probabilities can be believed."""
    if not math.isfinite(error):
        return "nothing to judge by"
    if error < 0.03:
        return "its probabilities can be taken at their word"
    if error < 0.08:
        return "its probabilities are roughly right"
    return "do not read its probabilities as frequencies; `mabe tune` mends that"
