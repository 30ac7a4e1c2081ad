"""A graph of transitions for papers: actions on a circle, arrows between them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from mabe.runtime.console import percent
from mabe.viz.colours import colours_of
from mabe.viz.paper_figures import STYLE

# After `paper_figures`, which says what to install where matplotlib is absent.
import matplotlib as mpl  # isort: skip
from matplotlib.axes import Axes  # isort: skip
from matplotlib.figure import Figure  # isort: skip
from matplotlib.patches import FancyArrowPatch, Patch  # isort: skip

_MORE, _LESS, _SAME = "#c26a00", "#2a7fb8", "#9aa3af"


def draw_transitions(table: pl.DataFrame, actions: Sequence[str]) -> Figure | None:
    """Return actions on a circle, and an arrow for each transition that occurs.

    The width is the probability. Orange: more often than by chance; blue: less often
    (both after correction); grey: no difference shown. Transitions below 5 % are drawn
    only where they differ from chance.
    """
    rows = [
        row for row in table.to_dicts() if row["count"] and row["first"] != row["next"]
    ]
    rows = [row for row in rows if row["probability"] >= 0.05 or _differs(row)]
    names = [
        name for name in actions if any(name in (r["first"], r["next"]) for r in rows)
    ]
    if len(names) < 2:
        return None
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(names)) / len(names)
    place = dict(zip(names, np.stack([np.cos(angles), np.sin(angles)], 1), strict=True))
    colours = {
        name: colour.on_light
        for name, colour in zip(
            actions, colours_of(actions, has_background=False), strict=True
        )
    }
    with mpl.rc_context(STYLE):
        figure = Figure((5.0, 4.4), layout="constrained")
        axis = figure.subplots()
        for row in rows:
            _arrow(axis, place[row["first"]], place[row["next"]], row)
        for name, (x, y) in place.items():
            axis.plot(x, y, "o", color=colours[name], markersize=16)
            axis.annotate(
                name, (1.17 * x, 1.17 * y), ha=_side(x), va="center", fontsize=8
            )
        axis.set_xlim(-1.7, 1.7)
        axis.set_ylim(-1.3, 1.3)
        axis.set_aspect("equal")
        axis.set_axis_off()
        kinds = {
            "more than by chance": _MORE,
            "less than by chance": _LESS,
            "no difference shown": _SAME,
        }
        patches = [Patch(color=colour, label=name) for name, colour in kinds.items()]
        figure.legend(handles=patches, loc="outside lower center", ncols=3)
    return figure


def _differs(row: dict[str, Any]) -> bool:
    """Return whether a transition differs from chance, after correction."""
    return row["p_holm"] is not None and row["p_holm"] < 0.05


def _arrow(axis: Axes, start: np.ndarray, end: np.ndarray, row: dict[str, Any]) -> None:
    colour = _SAME
    if _differs(row):
        is_more = row["probability"] > row["expected_probability"]
        colour = _MORE if is_more else _LESS
    axis.add_patch(
        FancyArrowPatch(
            tuple(start),
            tuple(end),
            connectionstyle="arc3,rad=0.18",
            arrowstyle="-|>",
            mutation_scale=9,
            shrinkA=13,
            shrinkB=13,
            linewidth=0.4 + 5 * row["probability"],
            color=colour,
            alpha=0.85,
        )
    )
    middle, across = (start + end) / 2, end - start
    # The bend of arc3 is to the right of the arrow, by half of `rad`.
    beside = middle + 0.09 * np.array([across[1], -across[0]])
    axis.text(
        float(beside[0]),
        float(beside[1]),
        percent(row["probability"]),
        fontsize=6,
        ha="center",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
    )


def _side(x: float) -> str:
    if abs(x) < 0.2:
        return "center"
    return "left" if x > 0 else "right"
