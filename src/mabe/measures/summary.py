"""All tables of a summary, from what was gathered.

The names of the tables are those of their files and sheets; docs/measures.md describes
every column. A table without rows is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mabe.measures.agreement import (
    ActionAgreement,
    EntryAgreement,
    MeasureAgreement,
    measure_agreement,
    measure_uncertainty,
)
from mabe.measures.bout_measures import (
    MeasuredBouts,
    Series,
    TimeBin,
    actor_series,
    animal_series,
    measure,
    measure_bins,
    pair_series,
    received_series,
    recording_series,
)
from mabe.measures.dominance import Dyad, Rank, measure_dyads, measure_ranks
from mabe.measures.gather import Gathered
from mabe.measures.group_tables import (
    Group,
    GroupComparison,
    Grouped,
    Identity,
    UnitKind,
    group_by,
)
from mabe.measures.observation import ANNOTATED, PREDICTED, Observation
from mabe.measures.places import PlaceVisits
from mabe.measures.sequences import (
    Follow,
    RecordingTransition,
    Transition,
    measure_follows,
    measure_transitions,
    recording_transitions,
)
from mabe.measures.space import Nearness, Travel
from mabe.measures.tables import (
    remove_table,
    table_of,
    to_long,
    to_wide,
    write_tables,
)
from mabe.runtime.console import percent
from mabe.runtime.files import write_text

LEVELS: dict[str, Callable[[Observation], list[Series]]] = {
    "pairs": pair_series,
    "animals": animal_series,
    "received": received_series,
    "recordings": recording_series,
}
"""The tables of bout measures, by level."""

TABLES = (
    *("actions", "groups", "comparisons", "uncertainty"),
    *(f"{level}{form}" for level in LEVELS for form in ("", "_wide")),
    *(f"{level}_bins{form}" for level in LEVELS for form in ("", "_wide")),
    *("long", "transitions", "recording_transitions", "follows", "dyads"),
    *("dominance", "agreement", "recording_agreement"),
    *("travel", "nearness", "places"),
)
"""The names of all tables that there may be."""


_PLACE = ["source", "lab", "recording", "agent", "target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SummarySettings:
    """What is measured; durations are in seconds."""

    by: tuple[str, ...] = ()
    """Facts of animals by which groups are compared."""
    bin_s: float | None = None
    lag_s: float = 5.0
    """For what follows what, and the pause that separates encounters."""
    tolerance_s: float = 0.25
    """Around the edges of annotated bouts, for the tolerant F1."""
    unit: UnitKind = "animal"
    identity: Identity | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The tables, and what a reader needs to interpret them."""

    tables: dict[str, pl.DataFrame]
    words: tuple[str, ...]
    """What was compared."""
    notes: tuple[str, ...]
    gathered: Gathered = field(repr=False)
    settings: SummarySettings


def summarize(gathered: Gathered, settings: SummarySettings) -> Summary:
    """Return the tables of what was gathered.

    Raises `ConfigError` where groups cannot be formed.
    """
    observations = gathered.observations
    uncertainty = _uncertainty_table(gathered)
    grouped = [
        group_by(
            gathered,
            by,
            unit=settings.unit,
            identity=settings.identity,
            seed=settings.seed,
        )
        for by in settings.by
    ]
    tables = {"actions": action_table(observations, uncertainty)}
    tables |= _group_tables(grouped, uncertainty)
    tables["uncertainty"] = uncertainty
    tables |= _bout_tables(observations, settings.bin_s)
    tables |= _sequence_tables(observations, settings)
    tables |= _agreement_tables(gathered, settings.tolerance_s)
    tables["travel"] = table_of(gathered.travel, Travel)
    tables["nearness"] = table_of(gathered.nearness, Nearness)
    tables["places"] = table_of(gathered.places, PlaceVisits)
    return Summary(
        tables={name: table for name, table in tables.items() if len(table)},
        words=tuple(line for each in grouped for line in each.words),
        notes=tuple(gathered.notes),
        gathered=gathered,
        settings=settings,
    )


def action_table(
    observations: Sequence[Observation], uncertainty: pl.DataFrame
) -> pl.DataFrame:
    """Return a row for each source and action: means over animals (pairs, scenes).

    Beside the share of time of predicted bouts stands how far it is from that of
    annotated ones.
    """
    rows = [
        row
        for each in observations
        for row in measure(
            (series for _, series in actor_series(each)), each.recording.fps
        )
    ]
    table = table_of(rows, MeasuredBouts)
    columns = ("share", "total_s", "bouts", "per_min", "mean_s", "latency_s")
    means = table.group_by("source", "action", maintain_order=True).agg(
        pl.len().alias("n"),
        pl.sum("watched_s").alias("watched_s"),
        *(pl.mean(name).alias(f"mean_{name}") for name in columns),
        pl.std("share").alias("sd_share"),
    )
    return _beside(
        means.sort("source", "action").with_columns(pl.lit("share").alias("measure")),
        uncertainty,
    ).drop("measure")


def _beside(table: pl.DataFrame, uncertainty: pl.DataFrame) -> pl.DataFrame:
    """Return a table with the bias, limits and ICC of each action's measure.

    Rows of annotated bouts have none.
    """
    names = {
        "bias": "model_bias",
        "limit_low": "model_limit_low",
        "limit_high": "model_limit_high",
        "icc": "model_icc",
        "n": "model_n",
    }
    short = uncertainty.select("action", "measure", *names).rename(names)
    short = short.with_columns(pl.lit(PREDICTED).alias("source"))
    return table.join(
        short, on=["source", "action", "measure"], how="left", maintain_order="left"
    )


def _uncertainty_table(gathered: Gathered) -> pl.DataFrame:
    of_model = [
        each
        for each in gathered.compared
        if (each.one.source, each.other.source) == (ANNOTATED, PREDICTED)
    ]
    return table_of(measure_uncertainty(of_model), MeasureAgreement)


def _group_tables(
    grouped: Sequence[Grouped], uncertainty: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    groups = [row for each in grouped for row in each.groups]
    comparisons = [row for each in grouped for row in each.comparisons]
    return {
        "groups": _beside(table_of(groups, Group), uncertainty),
        "comparisons": _beside(table_of(comparisons, GroupComparison), uncertainty),
    }


def _bout_tables(
    observations: Sequence[Observation], bin_s: float | None
) -> dict[str, pl.DataFrame]:
    """Return the measures of each level, wide ones, all of them long, and bins."""
    tables, long = {}, []
    for name, series_of in LEVELS.items():
        rows = [
            row
            for each in observations
            for row in measure(series_of(each), each.recording.fps)
        ]
        table = table_of(rows, MeasuredBouts)
        if not len(table):
            continue
        tables[name] = table
        tables[f"{name}_wide"] = to_wide(table, _PLACE, ["action"])
        of_level = to_long(table, [*_PLACE, "action"])
        long.append(of_level.select(pl.lit(name).alias("level"), pl.all()))
    tables["long"] = pl.concat(long) if long else pl.DataFrame()
    if bin_s is not None:
        tables |= _bin_tables(observations, bin_s)
    return tables


def _bin_tables(
    observations: Sequence[Observation], bin_s: float
) -> dict[str, pl.DataFrame]:
    tables = {}
    for name, series_of in LEVELS.items():
        rows = [
            row
            for each in observations
            for row in measure_bins(
                series_of(each),
                length=each.recording.length,
                fps=each.recording.fps,
                bin_s=bin_s,
            )
        ]
        table = table_of(rows, TimeBin)
        if len(table):
            tables[f"{name}_bins"] = table
            index = [*_PLACE, "bin", "start_s", "stop_s"]
            tables[f"{name}_bins_wide"] = to_wide(table, index, ["action"])
    return tables


def _sequence_tables(
    observations: Sequence[Observation], settings: SummarySettings
) -> dict[str, pl.DataFrame]:
    transitions: list[Transition] = []
    follows: list[Follow] = []
    for source in dict.fromkeys(each.source for each in observations):
        of_source = [each for each in observations if each.source == source]
        transitions += measure_transitions(source, of_source, seed=settings.seed)
        follows += measure_follows(
            source, of_source, lag_s=settings.lag_s, seed=settings.seed
        )
    each_recording = [row for o in observations for row in recording_transitions(o)]
    dyads = [
        row for o in observations for row in measure_dyads(o, pause_s=settings.lag_s)
    ]
    ranks = [row for o in observations for row in measure_ranks(o)]
    return {
        "transitions": table_of(transitions, Transition),
        "recording_transitions": table_of(each_recording, RecordingTransition),
        "follows": table_of(follows, Follow),
        "dyads": table_of(dyads, Dyad),
        "dominance": table_of(ranks, Rank),
    }


def _agreement_tables(
    gathered: Gathered, tolerance_s: float
) -> dict[str, pl.DataFrame]:
    entries, actions = measure_agreement(gathered.compared, tolerance_s=tolerance_s)
    return {
        "agreement": table_of(actions, ActionAgreement),
        "recording_agreement": table_of(entries, EntryAgreement),
    }


def write_summary(out: Path, summary: Summary) -> list[str]:
    """Write all tables and ``summary.txt`` into a folder.

    Tables of an earlier summary that this one does not have are removed. Returns
    the names of tables that are too large for a sheet of the workbook.
    """
    for name in set(TABLES) - summary.tables.keys():
        remove_table(out, name)
    too_large = write_tables(out, summary.tables)
    write_text(out / "summary.txt", "\n".join(describe(summary)) + "\n")
    return too_large


def describe(summary: Summary) -> list[str]:
    """Return the means of each action, the uncertainty beside them, and all notes."""
    lines = []
    for row in summary.tables.get("actions", pl.DataFrame()).to_dicts():
        share = percent(row["mean_share"], digits=2)
        lines.append(
            f"{row['source']:9} {row['action']:20} {share} of "
            f"the time, {row['mean_per_min']:.2f} bouts/min, mean bout "
            f"{_seconds(row['mean_mean_s'])} (n = {row['n']}){_doubt(row)}"
        )
    lines += summary.words
    lines += [f"! {note}" for note in summary.notes]
    return lines


def _doubt(row: dict[str, Any]) -> str:
    """Return the uncertainty of a share in words; nothing where it is not known."""
    if row["model_bias"] is None:
        return ""
    points = f"; against labels: bias {100 * row['model_bias']:+.1f} points"
    if row["model_limit_low"] is None:
        return points
    icc = "none" if row["model_icc"] is None else f"{row['model_icc']:.2f}"
    return (
        f"{points}, 95 % limits {100 * row['model_limit_low']:+.1f} to "
        f"{100 * row['model_limit_high']:+.1f}, ICC {icc}"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None or np.isnan(value) else f"{value:.2f} s"
