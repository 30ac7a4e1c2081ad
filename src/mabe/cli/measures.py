"""The command that reports measures: `mabe summary`."""

import re
from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from mabe.cli.options import SkipBad
from mabe.cli.reporting import listing_failures
from mabe.cli.results import Summarised
from mabe.cli.url_roles import UrlRole
from mabe.runtime.console import count


class Unit(StrEnum):
    """What a group consists of."""

    animal = "animal"
    recording = "recording"


class Identity(StrEnum):
    """What an id of an animal means that several recordings have."""

    same = "same"
    different = "different"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(summary)


def summary(
    path: Annotated[
        Path,
        UrlRole.DATA,
        typer.Argument(
            help="Predictions (a folder of `mabe predict`), a run (its out-of-fold "
            "predictions), or recordings with labels: a data set, a store, or a folder "
            "of tracks and labels of any known format."
        ),
    ],
    out: Annotated[Path, UrlRole.FOLDER, typer.Option(help="Folder to write.")],
    data: Annotated[
        Path | None,
        UrlRole.DATA,
        typer.Option(
            help="The recordings that were predicted: gives labels, poses and facts."
        ),
    ] = None,
    held_out: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Option(
            "--held-out",
            help="A run whose out-of-fold predictions tell how far measures of "
            "predicted bouts are from those of labels.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Compare groups by these facts: condition,sex."),
    ] = None,
    metadata: Annotated[
        Path | None,
        UrlRole.READ,
        typer.Option(
            help="CSV of facts, with columns video, animal (or none: of the whole "
            "recording), and one for each fact."
        ),
    ] = None,
    bins: Annotated[
        str | None, typer.Option(help="Also measure in bins of time: 60s, 5min.")
    ] = None,
    lag: Annotated[
        str,
        typer.Option(
            help="Within which time an action follows another; as long a pause "
            "separates encounters."
        ),
    ] = "5s",
    within_cm: Annotated[
        float, typer.Option("--within", min=0, help="Near is so many cm or less.")
    ] = 10.0,
    tolerance: Annotated[
        str, typer.Option(help="Tolerance at the edges of bouts, for the second F1.")
    ] = "0.25s",
    undirected: Annotated[
        str | None,
        typer.Option(
            help="Actions whose labels name two animals, but not which one is the "
            "agent: social,fight."
        ),
    ] = None,
    unit: Annotated[
        Unit, typer.Option(help="What the groups of --by consist of.")
    ] = Unit.animal,
    animals: Annotated[
        Identity | None,
        typer.Option(
            help="Whether animals with one id in several recordings are one animal."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of permutations and bootstraps.")] = 0,
    figures: Annotated[
        bool, typer.Option(help="Draw pictures: .svg, .pdf and .png.")
    ] = True,
    skip_bad: SkipBad = False,
) -> Summarised:
    """Measure bouts as papers report them: tables, groups, agreement, pictures.

    docs/measures.md describes every measure.
    """
    from mabe.measures.gather import Options, gather
    from mabe.measures.summary import (
        SummarySettings,
        describe,
        summarize,
        write_summary,
    )
    from mabe.measures.tables import WORKBOOK

    with listing_failures(out):
        gathered = gather(
            path,
            Options(
                data=data,
                held_out=held_out,
                metadata=metadata,
                undirected=frozenset(_names(undirected)),
                within_cm=within_cm,
                skip_bad=skip_bad,
            ),
        )
        result = summarize(
            gathered,
            SummarySettings(
                by=_names(by),
                bin_s=None if bins is None else parse_seconds(bins, "--bins"),
                lag_s=parse_seconds(lag, "--lag"),
                tolerance_s=parse_seconds(tolerance, "--tolerance"),
                unit=unit.value,
                identity=animals.value if animals else None,
                seed=seed,
            ),
        )
        too_large = write_summary(out, result)
        print("\n".join(describe(result)))
        pictures: Mapping[str, Any] = {}
        if figures and find_spec("matplotlib"):
            from mabe.viz.measure_figures import draw_all, save_all

            pictures = draw_all(result)
            save_all(out / "figures", pictures)
            drawn = count(len(pictures), "picture")
            print(f"✓ {drawn}: {out / 'figures'}, .svg, .pdf and .png")
        elif figures:
            print(
                '! no pictures: matplotlib is not installed; pip install "mabe[plot]"'
            )
        if too_large:
            print(f"! too large for a sheet, in .csv and .parquet only: {too_large}")
        tables = count(len(result.tables), "table")
        print(f"✓ {tables}: {out / WORKBOOK}, .csv and .parquet")
    actions = result.tables.get("actions")
    return Summarised(
        out=out,
        workbook=out / WORKBOOK,
        tables={name: len(table) for name, table in result.tables.items()},
        actions=() if actions is None else tuple(actions.to_dicts()),
        comparisons=result.words,
        notes=result.notes,
        figures=len(pictures),
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


_SECONDS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}


def parse_seconds(text: str, option: str) -> float:
    """Return a duration such as ``60s``, ``5min`` or ``0.5``.

    Raises `ConfigError` where it is none, or not above zero.
    """
    from mabe.errors import ConfigError

    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(s|min|h|)\s*", text)
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if seconds <= 0:
        raise ConfigError(f"{option} {text}: expected a duration such as 60s or 5min")
    return seconds
