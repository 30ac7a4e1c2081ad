"""Pictures for papers: ethograms, traces, confusion, learning curves; vector or pixels.

The ending of a file's name says what it is (.svg, .pdf, .png). The same figures give
the same file. Text in an .svg stays text, so that a journal's font can be set.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mabe.errors import ConfigError, OutputError
from mabe.runtime.files import write_bytes
from mabe.viz.colours import colours_of
from mabe.viz.report.contents import TrainingCurve
from mabe.viz.study import Picture, Stretch, Study

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
except ImportError:
    raise ConfigError(
        'pictures need matplotlib, which is not installed; pip install "mabe[plot]"'
    ) from None


WIDTH_IN = 7.0
"""Two columns of a journal."""


_NOT_COUNTED = "#00000018"


_STYLE: Any = {
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
    """Write a figure as what its name says.

    Raises `OutputError` where the ending says nothing.
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
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format=kind[1:], dpi=200, metadata=when)
    write_bytes(out, buffer.getbuffer())


def draw_ethograms(study: Study, pictures: Sequence[Picture]) -> Figure:
    """Return people's bouts above those found, one strip for each lane."""
    with mpl.rc_context(_STYLE):
        figure = Figure((WIDTH_IN, 0.75 * len(pictures) + 0.75), layout="constrained")
        axes = figure.subplots(len(pictures), 1, squeeze=False, sharex=True)[:, 0]
        for axis, picture in zip(axes, pictures, strict=True):
            _strips(axis, study, picture)
        axes[-1].set_xlabel("minutes")
        _legend(figure, study)
    return figure


def draw_traces(study: Study, pictures: Sequence[Picture]) -> Figure:
    """Return each answer's probability over time, annotated bouts shaded behind it."""
    lines = [(picture, row) for picture in pictures for row in picture.rows]
    colours = _colours(study)
    with mpl.rc_context(_STYLE):
        figure = Figure((WIDTH_IN, 0.72 * len(lines) + 0.75), layout="constrained")
        axes = figure.subplots(len(lines), 1, squeeze=False, sharex=True)[:, 0]
        for axis, (picture, row) in zip(axes, lines, strict=True):
            colour = colours[row.answer]
            _bars(axis, picture.not_counted, (0, 1), _NOT_COUNTED)
            _bars(axis, row.seen, (0, 1), colour + "44")
            if row.curve:
                seconds, probabilities = np.array(row.curve).T
                axis.plot(seconds / 60, probabilities, color=colour, linewidth=0.8)
            axis.axhline(row.threshold, color="0.4", linewidth=0.6, linestyle="--")
            axis.set_ylim(0, 1)
            axis.set_yticks([0, 1])
            axis.set_xlim(0, picture.duration_s / 60)
            axis.set_title(f"{_title(picture)}: {study.answers[row.answer]}", pad=2)
        axes[-1].set_xlabel("minutes")
        figure.supylabel("probability", fontsize=8)
    return figure


def draw_confusion(study: Study) -> Figure:
    """Return what is taken for what, as shares of what people saw."""
    assert study.confusion is not None
    names = study.kind.choice_names(study.answers)
    totals = study.confusion.sum(axis=1)
    kept = np.flatnonzero((totals > 0) | (study.confusion.sum(axis=0) > 0))
    counts = study.confusion[np.ix_(kept, kept)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 0.55 * len(kept) + 1.4
    with mpl.rc_context(_STYLE):
        figure = Figure((size, size), layout="constrained")
        axis = figure.subplots()
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            ink = "white" if share > 0.55 else "black"
            text = f"{share:.0%}"
            axis.text(column, row, text, ha="center", va="center", color=ink)
        labels = [names[place] for place in kept]
        axis.set_xticks(range(len(kept)), labels, rotation=45, ha="right")
        axis.set_yticks(range(len(kept)), labels)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        axis.set_xlabel("found")
        axis.set_ylabel("seen by people")
    return figure


def draw_learning_curves(curves: Sequence[TrainingCurve]) -> Figure:
    """Return loss and macro F1 over epochs, a line for each run."""
    with mpl.rc_context(_STYLE):
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


def _strips(axis: Axes, study: Study, picture: Picture) -> None:
    colours = _colours(study)
    for row in picture.rows:
        _bars(axis, row.seen, (1.08, 0.92), colours[row.answer])
        _bars(axis, row.found, (0, 0.92), colours[row.answer])
    _bars(axis, picture.not_counted, (0, 2), _NOT_COUNTED)
    axis.set_yticks([1.54, 0.46], ["people", "mabe"])
    axis.set_ylim(0, 2)
    axis.set_xlim(0, picture.duration_s / 60)
    axis.set_title(_title(picture), pad=2)
    axis.spines[["left", "bottom"]].set_visible(False)
    axis.tick_params(length=0)


def _bars(
    axis: Axes,
    stretches: Sequence[Stretch],
    bottom_and_height: tuple[float, float],
    colour: str,
) -> None:
    spans = [(s.start_s / 60, (s.stop_s - s.start_s) / 60) for s in stretches]
    axis.broken_barh(spans, bottom_and_height, facecolors=colour, linewidth=0)


def _legend(figure: Figure, study: Study) -> None:
    colours = _colours(study)
    patches = [
        Patch(color=colours[place], label=study.answers[place])
        for place in study.interesting
    ]
    patches.append(Patch(color=_NOT_COUNTED, label="not counted"))
    figure.legend(
        handles=patches, loc="outside upper right", ncols=min(len(patches), 6)
    )


def _colours(study: Study) -> list[str]:
    colours = colours_of(study.answers, has_background=study.kind.has_background)
    return [colour.on_light for colour in colours]


def _title(picture: Picture) -> str:
    return f"{picture.name}  {picture.who}".rstrip()
