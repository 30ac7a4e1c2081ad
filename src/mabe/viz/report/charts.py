"""Small charts as SVG text: curves over epochs, probabilities beside what happened.

Colours are CSS variables of the page, so that charts follow dark mode and print;
curves differ in their dashes too, for readers who see no colour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from mabe.decoding.calibration import Reliability

WIDTH, HEIGHT = 420, 230


LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 34


_DASHES = ("", "6 3", "2 3", "9 3 2 3")


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart; None where a value is unknown."""

    name: str
    values: Sequence[float | None]
    colour: str
    """A CSS colour, mostly a variable."""


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
    epochs = max((len(curve.values) for curve in curves), default=0)
    known = [v for c in curves for v in c.values if _is_known(v, logarithmic)]
    if not known:
        return Markup("")
    low, high = (0.0, 1.0) if to_one else _span(known, logarithmic)

    def x_of(epoch: float) -> float:
        share = (epoch - 1) / max(1, epochs - 1) if epochs > 1 else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y_of(value: float) -> float:
        if logarithmic:
            share = math.log(value / low) / (math.log(high / low) or 1)
        else:
            share = (value - low) / ((high - low) or 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [_horizontal(low, high, y_of, logarithmic)]
    for epoch in _whole_ticks(epochs):
        parts.append(
            f'<text x="{x_of(epoch):.1f}" y="{HEIGHT - BOTTOM + 16}" '
            f'text-anchor="middle">{epoch}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 3}" '
        'text-anchor="middle">epoch</text>'
    )
    if marked is not None and epochs > 1:
        x = x_of(marked)
        parts.append(
            f'<line class="marked" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" '
            f'y2="{HEIGHT - BOTTOM}"/>'
        )
    for number, curve in enumerate(curves):
        parts.append(_polyline(curve, number, x_of, y_of, logarithmic))
    named = [c for c in curves if c.name]
    legend = "".join(
        f'<span class="key"><svg viewBox="0 0 26 10" aria-hidden="true"><line x1="1" '
        f'x2="25" y1="5" y2="5" style="stroke:{c.colour}" '
        f'stroke-dasharray="{_DASHES[curves.index(c) % 4]}"/></svg>'
        f"{escape(c.name)}</span>"
        for c in named
    )
    return Markup(
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
        f'<p class="legend">{legend}</p></figure>'
    )


def reliability_chart(name: str, found: Reliability, colour: str) -> Markup:
    """Return probability (across) against frequency (up); the diagonal is right.

    Dots are as large as the frames behind them are many.
    """
    size, edge = 190, 30
    inner = size - edge - 10

    def place(probability: float, share: float) -> tuple[float, float]:
        return edge + probability * inner, size - edge - share * inner

    x0, y0 = place(0, 0)
    x1, y1 = place(1, 1)
    parts = [
        f'<rect class="frame" x="{x0}" y="{y1}" width="{inner}" height="{inner}"/>',
        f'<line class="grid" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}"/>',
    ]
    for share, text in ((0.0, "0"), (0.5, ".5"), (1.0, "1")):
        x, y = place(share, share)
        parts += [
            f'<text x="{x:.0f}" y="{size - edge + 13}" text-anchor="middle">{text}'
            "</text>",
            f'<text x="{edge - 5}" y="{y + 4:.0f}" text-anchor="end">{text}</text>',
        ]
    parts.append(
        f'<text x="{(x0 + x1) / 2:.0f}" y="{size - 3}" text-anchor="middle">'
        "predicted probability</text>"
    )
    known = np.flatnonzero(found.frames > 0)
    points = [place(float(found.predicted[t]), float(found.observed[t])) for t in known]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline class="curve" points="{line}" style="stroke:{colour}"/>')
    most = max(found.frames.max(), 1)
    for tenth, (x, y) in zip(known, points, strict=True):
        radius = 2 + 4 * math.sqrt(found.frames[tenth] / most)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" '
            f'style="fill:{colour}"/>'
        )
    label = f"{name}: probability given beside how often it happened"
    return Markup(
        f'<svg class="reliability" viewBox="0 0 {size} {size}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _polyline(
    curve: Curve, number: int, x_of: object, y_of: object, logarithmic: bool
) -> str:
    assert callable(x_of)
    assert callable(y_of)
    points = " ".join(
        f"{x_of(place + 1):.1f},{y_of(value):.1f}"
        for place, value in enumerate(curve.values)
        if _is_known(value, logarithmic)
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


def _horizontal(low: float, high: float, y_of: object, logarithmic: bool) -> str:
    assert callable(y_of)
    if logarithmic:
        ticks = [10.0**e for e in range(math.floor(math.log10(low)), 3)]
        ticks = [tick for tick in ticks if low <= tick <= high] or [low, high]
    else:
        step = _round_step(high - low)
        ticks = np.arange(low, high + step / 2, step).tolist()
    return "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_of(tick):.1f}" '
        f'y2="{y_of(tick):.1f}"/><text x="{LEFT - 6}" y="{y_of(tick) + 4:.1f}" '
        f'text-anchor="end">{tick:.2g}</text>'
        for tick in ticks
    )


def _whole_ticks(epochs: int) -> list[int]:
    step = max(1, math.ceil(epochs / 8))
    return list(range(1, epochs + 1, step))


def _is_known(value: float | None, logarithmic: bool) -> bool:
    return value is not None and math.isfinite(value) and (value > 0 or not logarithmic)


def _span(known: Sequence[float | None], logarithmic: bool) -> tuple[float, float]:
    """Return round ends of a scale that holds all values."""
    values = [value for value in known if value is not None]
    low, high = min(values), max(values)
    if logarithmic:
        return low, high if high > low else low * 10
    step = _round_step((high - low) or abs(high) or 1.0)
    return math.floor(low / step) * step, math.ceil(high / step) * step


def _round_step(room: float) -> float:
    """Return a round number that fits about four times."""
    ten = 10.0 ** math.floor(math.log10(room / 4))
    return min((n * ten for n in (1, 2, 2.5, 5, 10)), key=lambda n: abs(n - room / 4))
