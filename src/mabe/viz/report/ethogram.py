"""An ethogram as SVG: annotated above predicted, and the probabilities below.

One unit across is a second, so that zooming is a change of the `viewBox`. Every bout is
one `rect`. Each class has a row.
"""

from dataclasses import dataclass

from markupsafe import Markup, escape

from mabe.runtime.console import count
from mabe.viz.report.wording import clock
from mabe.viz.result_summary import ClassRow, Interval, ViewPlot

BAR, GAP, CURVE = 12, 2, 34
"""Heights of a bar, of the gap below it, and of the curve, in pixels."""


ROW = 2 * (BAR + GAP) + CURVE + 12


TICKS = 6


_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 18000)


@dataclass(frozen=True, slots=True)
class DrawnEthogram:
    """The ethogram of one view in the page."""

    number: int
    plot: ViewPlot
    svg: Markup
    ticks: Markup


def draw_ethogram(number: int, plot: ViewPlot) -> DrawnEthogram:
    """Return the plot of one view as SVG, with the labels of its time axis."""
    height = ROW * len(plot.rows)
    body = "".join(
        _row(row, place * ROW, plot.duration_s) for place, row in enumerate(plot.rows)
    )
    not_counted = "".join(
        f'<rect class="not-counted" x="{s.start_s:.2f}" y="0" '
        f'width="{s.stop_s - s.start_s:.2f}" height="{height}"/>'
        for s in plot.not_counted
    )
    svg = Markup(
        f'<svg class="ethogram" viewBox="0 0 {plot.duration_s:.2f} {height}" '
        f'preserveAspectRatio="none" style="height:{height}px" role="img" '
        f'aria-label="{escape(_alternative(plot))}">{body}{not_counted}</svg>'
    )
    return DrawnEthogram(number, plot, svg, time_ticks(plot.duration_s))


def time_ticks(duration_s: float) -> Markup:
    """Return labels of a time axis over a whole recording."""
    step = next((s for s in _STEPS_S if duration_s / s <= TICKS), _STEPS_S[-1])
    places = range(0, int(duration_s) + 1, step)
    return Markup(
        "".join(
            f'<span style="left:{100 * place / max(duration_s, 1e-9):.2f}%">'
            f"{clock(place)}</span>"
            for place in places
        )
    )


def _row(row: ClassRow, top: int, duration_s: float) -> str:
    predicted_top = top + BAR + GAP
    foot = top + 2 * (BAR + GAP) + GAP + CURVE
    bars = _bars(row.annotated, top, "annotated") + _bars(
        row.predicted, predicted_top, "predicted"
    )
    bars += _bars(row.not_watched, top, "not-counted")
    at = foot - row.threshold * CURVE
    return (
        f'<g class="c{row.class_index}" data-class="{row.class_index}">'
        f'<rect class="ground" x="0" y="{top}" width="{duration_s:.2f}" '
        f'height="{BAR}"/><rect class="ground" x="0" y="{predicted_top}" '
        f'width="{duration_s:.2f}" height="{BAR}"/>{bars}{_curve(row, foot)}'
        f'<line class="threshold" x1="0" x2="{duration_s:.2f}" y1="{at:.1f}" '
        f'y2="{at:.1f}"/></g>'
    )


def _bars(intervals: tuple[Interval, ...], top: int, kind: str) -> str:
    return "".join(
        f'<rect class="{kind}" x="{s.start_s:.2f}" y="{top}" '
        f'width="{s.stop_s - s.start_s:.2f}" height="{BAR}"/>'
        for s in intervals
    )


def _curve(row: ClassRow, foot: int) -> str:
    """Return the probabilities as an area over the foot of the row."""
    if not row.curve:
        return ""
    points = "L".join(f"{t:.1f} {foot - p * CURVE:.1f}" for t, p in row.curve)
    first, last = row.curve[0][0], row.curve[-1][0]
    path = f"M{first:.1f} {foot}L{points}L{last:.1f} {foot}Z"
    return f'<path class="probability" d="{path}"/>'


def _alternative(plot: ViewPlot) -> str:
    annotated = sum(len(row.annotated) for row in plot.rows)
    predicted = sum(len(row.predicted) for row in plot.rows)
    view = f", {plot.view}" if plot.view else ""
    return (
        f"Ethogram of {plot.recording}{view}: {count(annotated, 'annotated bout')}, "
        f"{predicted} predicted"
    )
