"""Pictures for papers: ethograms, traces, confusion, learning curves; vector or pixels.

The file format follows from the suffix (.svg, .pdf, .png). The same figures give the
same file. Text in an .svg stays text, so that a journal's font can be set.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mabe.errors import ConfigError, OutputError
from mabe.runtime.console import percent
from mabe.runtime.files import write_bytes
from mabe.viz.colours import colours_of
from mabe.viz.report.contents import TrainingCurve
from mabe.viz.result_summary import Interval, ResultSummary, ViewPlot

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch, Rectangle
except ImportError:
    raise ConfigError(
        'pictures need matplotlib, which is not installed; pip install "mabe[plot]"'
    ) from None


WIDTH_IN = 7.0
"""Two columns of a journal."""


NOT_COUNTED = "#00000018"


STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mabe",
    "pdf.fonttype": 42,
}


KINDS = (".svg", ".pdf", ".png")


def save(figure: Figure, out: Path) -> None:
    """Write a figure in the format of its suffix.

    Raises `OutputError` where the suffix is not one of `KINDS`.
    """
    kind = out.suffix.lower()
    if kind not in KINDS:
        raise OutputError(
            f"{out}: expected a name that ends in one of {', '.join(KINDS)}, found "
            f"{out.suffix or 'no ending'!r}"
        )
    buffer = io.BytesIO()
    # No date, so that the same figures give the same file.
    when = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(kind)
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format=kind[1:], dpi=200, metadata=when)
    write_bytes(out, buffer.getbuffer())


def draw_ethograms(study: ResultSummary, plots: Sequence[ViewPlot]) -> Figure:
    """Return annotated bouts above predicted ones, one strip for each view."""
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH_IN, 0.75 * len(plots) + 0.75), layout="constrained")
        axes = figure.subplots(len(plots), 1, squeeze=False, sharex=True)[:, 0]
        for axis, plot in zip(axes, plots, strict=True):
            _strips(axis, study, plot)
        axes[-1].set_xlabel("minutes")
        _legend(figure, study)
    return figure


def draw_traces(study: ResultSummary, plots: Sequence[ViewPlot]) -> Figure:
    """Return each class's probability over time, annotated bouts shaded behind it."""
    lines = [(plot, row) for plot in plots for row in plot.rows]
    colours = _colours(study)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH_IN, 0.72 * len(lines) + 0.75), layout="constrained")
        axes = figure.subplots(len(lines), 1, squeeze=False, sharex=True)[:, 0]
        for axis, (plot, row) in zip(axes, lines, strict=True):
            colour = colours[row.class_index]
            _bars(axis, plot.not_counted, (0, 1), NOT_COUNTED)
            _bars(axis, row.not_watched, (0, 1), NOT_COUNTED)
            _bars(axis, row.annotated, (0, 1), colour + "44")
            if row.curve:
                seconds, probabilities = np.array(row.curve).T
                axis.plot(seconds / 60, probabilities, color=colour, linewidth=0.8)
            axis.axhline(row.threshold, color="0.4", linewidth=0.6, linestyle="--")
            axis.set_ylim(0, 1)
            axis.set_yticks([0, 1])
            axis.set_xlim(0, plot.duration_s / 60)
            axis.set_title(f"{_title(plot)}: {study.classes[row.class_index]}", pad=2)
        axes[-1].set_xlabel("minutes")
        figure.supylabel("probability", fontsize=8)
    return figure


def draw_confusion(study: ResultSummary) -> Figure:
    """Return the confusion matrix, as shares of the annotated frames."""
    assert study.confusion is not None
    names = study.kind.choice_names(study.classes)
    totals = study.confusion.sum(axis=1)
    kept = np.flatnonzero((totals > 0) | (study.confusion.sum(axis=0) > 0))
    counts = study.confusion[np.ix_(kept, kept)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 0.55 * len(kept) + 1.4
    with mpl.rc_context(STYLE):
        figure = Figure((size, size), layout="constrained")
        axis = figure.subplots()
        is_right = np.eye(len(kept), dtype=bool)
        # What is right is blue and framed; what is wrong is red.
        for cmap, hidden in (("Blues", ~is_right), ("Reds", is_right)):
            axis.imshow(np.ma.array(shares, mask=hidden), cmap=cmap, vmin=0, vmax=1.25)
        for place in range(len(kept)):
            corner = (place - 0.46, place - 0.46)
            axis.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, color="#08306b"))
        for (row, column), share in np.ndenumerate(shares):
            ink = "white" if share > 0.75 else "black"
            text = percent(share)
            axis.text(column, row, text, ha="center", va="center", color=ink)
        labels = [names[place] for place in kept]
        axis.set_xticks(range(len(kept)), labels, rotation=45, ha="right")
        axis.set_yticks(range(len(kept)), labels)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        axis.set_xlabel("predicted")
        axis.set_ylabel("annotated")
    return figure


def draw_learning_curves(curves: Sequence[TrainingCurve]) -> Figure:
    """Return loss and macro F1 over epochs, a line for each run."""
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH_IN, 2.6), layout="constrained")
        loss, score = figure.subplots(1, 2)
        for number, curve in enumerate(curves):
            epochs = [each.number for each in curve.epochs]
            colour = f"C{number % 10}"
            held_out = [each.val_loss for each in curve.epochs]
            learned = [each.train_loss for each in curve.epochs]
            loss.plot(epochs, held_out, color=colour, label=curve.name)
            loss.plot(epochs, learned, color=colour, linestyle=":")
            f1 = [np.nan if e.macro_f1 is None else e.macro_f1 for e in curve.epochs]
            score.plot(epochs, f1, color=colour)
            best = f1[curve.used_epoch - 1]
            score.plot(curve.used_epoch, best, "o", color=colour, markersize=4)
        loss.set_title("Loss (solid: held out, dotted: learned from)")
        score.set_title("Macro F1, held out (dot: the epoch that is used)")
        score.set_ylim(0, 1)
        for axis in (loss, score):
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True)
        if len(curves) > 1:
            loss.legend(fontsize=7)
    return figure


def _strips(axis: Axes, study: ResultSummary, plot: ViewPlot) -> None:
    colours = _colours(study)
    for row in plot.rows:
        _bars(axis, row.annotated, (1.08, 0.92), colours[row.class_index])
        _bars(axis, row.predicted, (0, 0.92), colours[row.class_index])
    _bars(axis, plot.not_counted, (0, 2), NOT_COUNTED)
    axis.set_yticks([1.54, 0.46], ["annotated", "predicted"])
    axis.set_ylim(0, 2)
    axis.set_xlim(0, plot.duration_s / 60)
    axis.set_title(_title(plot), pad=2)
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.tick_params(length=0)


def _bars(
    axis: Axes,
    intervals: Sequence[Interval],
    bottom_and_height: tuple[float, float],
    colour: str,
) -> None:
    spans = [(s.start_s / 60, (s.stop_s - s.start_s) / 60) for s in intervals]
    axis.broken_barh(spans, bottom_and_height, facecolors=colour, linewidth=0)


def _legend(figure: Figure, study: ResultSummary) -> None:
    colours = _colours(study)
    patches = [
        Patch(color=colours[place], label=study.classes[place])
        for place in study.bout_classes
    ]
    patches.append(Patch(color=NOT_COUNTED, label="not counted"))
    figure.legend(
        handles=patches, loc="outside upper right", ncols=min(len(patches), 6)
    )


def _colours(study: ResultSummary) -> list[str]:
    colours = colours_of(study.classes, has_background=study.kind.has_background)
    return [colour.on_light for colour in colours]


def _title(plot: ViewPlot) -> str:
    return f"{plot.recording}  {plot.view}".rstrip()
