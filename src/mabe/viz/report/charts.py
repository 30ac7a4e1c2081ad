"""Small charts as SVG text: curves over epochs, and the reliability of probabilities.

Colours are CSS variables of the page, so that charts follow dark mode and print.
Curves differ in their dashes too, for colour-blind readers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from mabe.decoding.calibration import Reliability

WIDTH, HEIGHT = 420, 230


LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 34
"""Margins of a chart, in pixels."""


SQUARE, SQUARE_EDGE, SQUARE_MARGIN = 190, 30, 10
"""Size of a reliability chart, and its margins with and without labels."""


_DASHES = ("", "6 3", "2 3", "9 3 2 3")


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart; None where a value is unknown."""

    name: str
    values: Sequence[float | None]
    colour: str
    """A CSS colour, mostly a variable."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Scales of a chart over epochs, from data to pixels."""

    epochs: int
    low: float
    high: float
    is_logarithmic: bool

    def x(self, epoch: float) -> float:
        """Return the pixel of an epoch; a single one lies in the middle."""
        share = (epoch - 1) / (self.epochs - 1) if self.epochs > 1 else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the pixel of a value."""
        if self.is_logarithmic:
            share = math.log(value / self.low) / (math.log(self.high / self.low) or 1)
        else:
            share = (value - self.low) / ((self.high - self.low) or 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def can_show(self, value: float | None) -> bool:
        """Return whether a value has a place on the axis."""
        if value is None or not math.isfinite(value):
            return False
        return value > 0 or not self.is_logarithmic


def line_chart(
    title: str,
    curves: Sequence[Curve],
    *,
    marked: int | None = None,
    logarithmic: bool = False,
    to_one: bool = False,
) -> Markup:
    """Return curves over epochs (counted from 1) as SVG, with a legend.

    `marked` is the epoch that is used; `to_one` fixes the scale to 0 … 1.
    """
    axes = _fit_axes(curves, logarithmic, to_one)
    if axes is None:
        return Markup("")
    parts = [_grid(axes), _epoch_axis(axes)]
    if marked is not None and axes.epochs > 1:
        x = axes.x(marked)
        parts.append(
            f'<line class="marked" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" '
            f'y2="{HEIGHT - BOTTOM}"/>'
        )
    parts += [_polyline(curve, n, axes) for n, curve in enumerate(curves)]
    return Markup(
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
        f'<p class="legend">{_legend(curves)}</p></figure>'
    )


def reliability_chart(name: str, measured: Reliability, colour: str) -> Markup:
    """Return observed frequency over predicted probability; the diagonal is perfect.

    The size of a dot grows with the number of frames.
    """
    parts = _reliability_frame()
    known = np.flatnonzero(measured.frames > 0)
    points = [
        _reliability_place(float(measured.predicted[t]), float(measured.observed[t]))
        for t in known
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline class="curve" points="{line}" style="stroke:{colour}"/>')
    most = max(measured.frames.max(), 1)
    for tenth, (x, y) in zip(known, points, strict=True):
        radius = 2 + 4 * math.sqrt(measured.frames[tenth] / most)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" '
            f'style="fill:{colour}"/>'
        )
    label = f"{name}: observed frequency over predicted probability"
    return Markup(
        f'<svg class="reliability" viewBox="0 0 {SQUARE} {SQUARE}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _reliability_place(probability: float, share: float) -> tuple[float, float]:
    inner = SQUARE - SQUARE_EDGE - SQUARE_MARGIN
    return SQUARE_EDGE + probability * inner, SQUARE - SQUARE_EDGE - share * inner


def _reliability_frame() -> list[str]:
    """Return the frame, the diagonal and the labels of the axes."""
    x0, y0 = _reliability_place(0, 0)
    x1, y1 = _reliability_place(1, 1)
    parts = [
        f'<rect class="frame" x="{x0}" y="{y1}" width="{x1 - x0}" height="{y0 - y1}"/>',
        f'<line class="grid" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}"/>',
        f'<text x="{(x0 + x1) / 2:.0f}" y="{SQUARE - 3}" text-anchor="middle">'
        "predicted probability</text>",
    ]
    for share, text in ((0.0, "0"), (0.5, ".5"), (1.0, "1")):
        x, y = _reliability_place(share, share)
        parts += [
            f'<text x="{x:.0f}" y="{SQUARE - SQUARE_EDGE + 13}" '
            f'text-anchor="middle">{text}</text>',
            f'<text x="{SQUARE_EDGE - 5}" y="{y + 4:.0f}" text-anchor="end">{text}'
            "</text>",
        ]
    return parts


def _fit_axes(
    curves: Sequence[Curve], is_logarithmic: bool, to_one: bool
) -> Axes | None:
    """Return axes that hold all values; None where there is no value."""
    epochs = max((len(curve.values) for curve in curves), default=0)
    axes = Axes(epochs, 0.0, 1.0, is_logarithmic)
    known = [v for curve in curves for v in curve.values if axes.can_show(v)]
    if not known:
        return None
    low, high = (0.0, 1.0) if to_one else _span(known, is_logarithmic)
    return Axes(epochs, low, high, is_logarithmic)


def _legend(curves: Sequence[Curve]) -> str:
    return "".join(
        f'<span class="key"><svg viewBox="0 0 26 10" aria-hidden="true"><line x1="1" '
        f'x2="25" y1="5" y2="5" style="stroke:{curve.colour}" '
        f'stroke-dasharray="{_DASHES[number % 4]}"/></svg>'
        f"{escape(curve.name)}</span>"
        for number, curve in enumerate(curves)
        if curve.name and any(value is not None for value in curve.values)
    )


def _polyline(curve: Curve, number: int, axes: Axes) -> str:
    points = " ".join(
        f"{axes.x(place + 1):.1f},{axes.y(value):.1f}"
        for place, value in enumerate(curve.values)
        if value is not None and axes.can_show(value)
    )
    if not points:
        return ""
    if " " not in points:
        x, _, y = points.partition(",")
        return f'<circle cx="{x}" cy="{y}" r="3" style="fill:{curve.colour}"/>'
    return (
        f'<polyline class="curve" points="{points}" style="stroke:{curve.colour}" '
        f'stroke-dasharray="{_DASHES[number % 4]}"/>'
    )


def _grid(axes: Axes) -> str:
    """Return horizontal lines with the labels of the vertical axis."""
    ticks = round_ticks(axes.low, axes.high, is_logarithmic=axes.is_logarithmic)
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axes.y(tick):.1f}" '
        f'y2="{axes.y(tick):.1f}"/><text x="{LEFT - 6}" y="{axes.y(tick) + 4:.1f}" '
        f'text-anchor="end">{text}</text>'
        for tick, text in ticks.items()
    )


def _epoch_axis(axes: Axes) -> str:
    """Return the labels of the horizontal axis."""
    step = max(1, math.ceil(_round_step(axes.epochs / 2)))
    ticks = [1, *(n for n in range(step, axes.epochs + 1, step) if n > 1 + step / 3)]
    labels = [
        f'<text x="{axes.x(epoch):.1f}" y="{HEIGHT - BOTTOM + 16}" '
        f'text-anchor="middle">{epoch}</text>'
        for epoch in ticks
    ]
    labels.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 3}" '
        'text-anchor="middle">epoch</text>'
    )
    return "".join(labels)


def _span(known: Sequence[float | None], logarithmic: bool) -> tuple[float, float]:
    """Return round ends of a scale that holds all values."""
    values = [value for value in known if value is not None]
    low, high = min(values), max(values)
    if logarithmic:
        return low, high if high > low else low * 10
    step = _round_step((high - low) or abs(high) or 1.0)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def round_ticks(
    low: float, high: float, *, is_logarithmic: bool = False
) -> dict[float, str]:
    """Return round numbers from `low` to `high`, and how they are written in full.

    A text has as many digits as its number needs, so that none is rounded.
    """
    if not is_logarithmic:
        step = _round_step(high - low)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        return {n * step: f"{n * step:.10g}" for n in range(first, last + 1)}
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for leads in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        texts = {n * 10.0**power: f"{n}e{power}" for power in powers for n in leads}
        texts = {v: t for v, t in texts.items() if low <= v * (1 + 1e-9) and v <= high}
        if len(texts) > 1:
            return texts
    return {low: f"{low:.3g}", high: f"{high:.3g}"}


def _round_step(room: float) -> float:
    """Return a round number that fits about four times."""
    ten = 10.0 ** math.floor(math.log10(room / 4))
    return min((n * ten for n in (1, 2, 2.5, 5, 10)), key=lambda n: abs(n - room / 4))
