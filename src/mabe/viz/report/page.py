"""The report as one HTML file that needs nothing else, neither network nor server.

Everything is drawn as HTML and SVG, so that it prints, and can be read without
scripts; a small script adds zoom, jumps and keys.
"""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from mabe.training.history import Epoch
from mabe.viz.colours import Colour, colours_of
from mabe.viz.report import wording
from mabe.viz.report.charts import Curve, line_chart, reliability_chart
from mabe.viz.report.contents import Contents, TrainingCurve
from mabe.viz.report.ethogram import BAR, CURVE, GAP, ROW, DrawnEthogram, draw_ethogram
from mabe.viz.result_summary import ResultSummary

MOST_BYTES = 3_500_000
"""Ethograms are drawn until they take so much; the file stays below 5 MB."""


WRONG_BOUTS = 20


WORST_RECORDINGS = 20


def render(contents: Contents) -> str:
    """Return the report as HTML."""
    study = contents.study
    drawn = choose_plots(study)
    colours = colours_of(study.classes, has_background=study.kind.has_background)
    number_of: dict[tuple[str, str], int] = {}
    for each in drawn:
        number_of.setdefault((each.plot.recording, each.plot.view), each.number)
    confidence = study.confidence()
    recordings = study.of_recordings()
    template = _environment().from_string(_asset("report.html"))
    return template.render(
        c=contents,
        title=wording.title(contents.run, contents.data),
        study=study,
        confidence=confidence,
        headline=wording.headline(confidence, len(recordings)),
        recordings=recordings[:WORST_RECORDINGS],
        recordings_left=max(0, len(recordings) - WORST_RECORDINGS),
        number_of_recordings=len(recordings),
        labs=study.of_labs(),
        times=study.time_agreement(),
        bout_classes=study.bout_classes,
        columns=study.kind.choice_names(study.classes),
        wrong_bouts=study.longest_wrong_bouts(WRONG_BOUTS),
        drawn=drawn,
        not_drawn=len(study.plots) - len(drawn),
        number_of=number_of,
        first_number=_first_numbers(drawn),
        training=_training_charts(contents, colours),
        reliability=[
            (name, measured, reliability_chart(name, measured, f"var(--c{place})"))
            for place, (name, measured) in enumerate(
                zip(study.classes, study.reliability(), strict=True)
            )
        ],
        w=wording,
        geometry={"row": ROW, "bar": BAR, "gap": GAP, "curve": CURVE},
        css=Markup(_colour_rules(colours) + _asset("report.css")),
        script=Markup(_asset("report.js") + _scroll_hint()),
    )


def choose_plots(study: ResultSummary) -> list[DrawnEthogram]:
    """Return the ethograms that fit, those of recordings with low scores first.

    Plots without a bout are left out.
    """
    rank = {each.recording: place for place, each in enumerate(study.of_recordings())}
    plots = sorted(
        (plot for plot in study.plots if plot.bouts),
        key=lambda plot: (rank.get(plot.recording, len(rank)), plot.view),
    )
    drawn: list[DrawnEthogram] = []
    taken = 0
    for plot in plots:
        each = draw_ethogram(len(drawn), plot)
        taken += len(each.svg)
        if drawn and taken > MOST_BYTES:
            break
        drawn.append(each)
    return drawn


def _first_numbers(drawn: list[DrawnEthogram]) -> dict[str, int]:
    """Return the number of the first ethogram of each recording."""
    numbers: dict[str, int] = {}
    for each in drawn:
        numbers.setdefault(each.plot.recording, each.number)
    return numbers


def _training_charts(contents: Contents, colours: list[Colour]) -> list[Markup]:
    """Return losses, scores and learning rate; of several runs each its macro F1."""
    curves = contents.curves
    if len(curves) == 1:
        return _charts_of_one(curves[0], contents.study)
    if not curves:
        return []
    scores = [
        Curve(
            curve.name if len(curves) <= 6 else "",
            [epoch.macro_f1 for epoch in curve.epochs],
            f"var(--s{number % 6})",
        )
        for number, curve in enumerate(curves)
    ]
    losses = [
        Curve(
            curve.name,
            [epoch.val_loss for epoch in curve.epochs],
            drawn.colour,
        )
        for drawn, curve in zip(scores, curves, strict=True)
    ]
    return [
        line_chart("Macro F1 on what each run held out", scores, to_one=True),
        line_chart("Loss on what each run held out", losses),
    ]


def _charts_of_one(curve: TrainingCurve, study: ResultSummary) -> list[Markup]:
    epochs, used = curve.epochs, curve.used_epoch
    f1 = {
        name: [_f1_of(name, epoch) for epoch in epochs]
        for name in study.classes
        if any(name in epoch.scores.per_class for epoch in epochs)
    }
    names = list(f1)
    worst = sorted(names, key=lambda name: f1[name][-1] or 0.0)
    shown = names if len(names) <= 8 else worst[:8]
    of_classes = [
        Curve(
            name,
            f1[name],
            f"var(--c{study.classes.index(name)})",
        )
        for name in shown
    ]
    title = "F1 of each class" if shown == names else "F1 of the eight worst classes"
    rates = [epoch.learning_rate for epoch in epochs]
    return [
        line_chart(
            "Loss",
            [
                Curve("learned from", [e.train_loss for e in epochs], "var(--s0)"),
                Curve("held out", [e.val_loss for e in epochs], "var(--s1)"),
            ],
            marked=used,
        ),
        line_chart(
            "Macro F1, held out",
            [Curve("", [e.macro_f1 for e in epochs], "var(--s0)")],
            marked=used,
            to_one=True,
        ),
        line_chart(title, of_classes, marked=used, to_one=True),
        line_chart(
            "Learning rate",
            [Curve("", rates, "var(--s0)")],
            marked=used,
            logarithmic=True,
        ),
    ]


def _f1_of(name: str, epoch: Epoch) -> float | None:
    scores = epoch.scores.per_class.get(name)
    return scores.f1 if scores else None


def _colour_rules(colours: list[Colour]) -> str:
    light = "".join(f"--c{i}:{c.on_light};" for i, c in enumerate(colours))
    dark = "".join(f"--c{i}:{c.on_dark};" for i, c in enumerate(colours))
    of_rows = "".join(f".c{i}{{--c:var(--c{i})}}" for i in range(len(colours)))
    return (
        f":root{{{light}}}@media screen and (prefers-color-scheme:dark)"
        f"{{:root{{{dark}}}}}{of_rows}\n"
    )


def _asset(name: str) -> str:
    return (
        files("mabe.viz.report").joinpath("template", name).read_text(encoding="utf-8")
    )


def _scroll_hint() -> str:
    """Return the script that shows which tables go on, as all pages have it."""
    return (
        files("mabe.viz.review")
        .joinpath("page", "scroll_hint.js")
        .read_text(encoding="utf-8")
    )


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = wording.with_code
    return environment
