"""Pictures of measures for papers: ethograms, rasters, transitions, time courses.

Each function returns a figure, or None where there is nothing to draw; `save_all`
writes it as .svg, .pdf and .png. Colours of actions are those of all other figures.
Rows, lines and bars are of animals (of recordings, in scenes), never of frames.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from jaxtyping import Float

from mabe.bouts import Bout
from mabe.measures.bout_measures import (
    Series,
    actor_series,
    measure_bins,
)
from mabe.measures.group_tables import group_of
from mabe.measures.groups import FEWEST_UNITS
from mabe.measures.observation import (
    ANNOTATED,
    PREDICTED,
    Actor,
    Observation,
    find_actors,
    join_spans,
)
from mabe.measures.summary import Summary
from mabe.runtime.console import count
from mabe.runtime.files import remove
from mabe.viz.colours import colours_of
from mabe.viz.paper_figures import KINDS, NOT_COUNTED, STYLE, WIDTH_IN, save
from mabe.viz.transition_graph import draw_transitions

# After `paper_figures`, which says what to install where matplotlib is absent.
import matplotlib as mpl  # isort: skip
from matplotlib.axes import Axes  # isort: skip
from matplotlib.figure import Figure  # isort: skip
from matplotlib.patches import Patch  # isort: skip
from matplotlib.ticker import FormatStrFormatter, PercentFormatter  # isort: skip

MOST_ROWS = 100
"""Of an ethogram; more do not fit a page."""


MOST_EVENTS = 200
"""Of a raster: as many bouts, evenly taken from all."""


MOST_PANELS = 9


AROUND_S = 10.0
"""Seconds before and after the event of a raster."""


_DRAWS = 1000


_GROUPS = ("#2a7fb8", "#c26a00", "#00805f", "#a8457f", "#5b53b5", "#6b5b4b")


DRAWINGS = ("ethogram", "raster", "time_course", "durations", "transitions")
"""The names of all figures, of one source."""


@dataclass(frozen=True, slots=True)
class Row:
    """The bouts of one actor (animal, pair or scene) in one recording."""

    name: str
    group: str
    observation: Observation
    actor: Actor

    def bouts(self) -> list[Bout]:
        """Return the actor's bouts, in time order."""
        return self.observation.bouts(set(self.actor.entries).__contains__)


def draw_all(summary: Summary) -> dict[str, Figure]:
    """Return all figures by name; those of several sources have its name at the end."""
    sources = dict.fromkeys(each.source for each in summary.gathered.observations)
    figures: dict[str, Figure] = {}
    for source in sources:
        rows = rows_of(summary, source)
        actions = _actions(rows)
        drawn = {
            "ethogram": draw_ethogram(rows, actions),
            "raster": draw_rasters(rows, actions),
            "time_course": draw_time_course(rows, actions, _bin_s(summary, rows)),
            "durations": draw_durations(rows, actions),
            "transitions": draw_transitions(_transitions(summary, source), actions),
        }
        for name, figure in drawn.items():
            if figure is not None:
                figures[f"{name}_{source}" if len(sources) > 1 else name] = figure
    return figures


def save_all(folder: Path, figures: Mapping[str, Figure]) -> list[Path]:
    """Write each figure in each format.

    Those of an earlier summary that are not among them are removed.
    """
    for name, source, kind in itertools.product(
        DRAWINGS, ("", f"_{ANNOTATED}", f"_{PREDICTED}"), KINDS
    ):
        if name + source not in figures:
            remove(folder / f"{name}{source}{kind}")
    files = []
    for name, figure in figures.items():
        for kind in KINDS:
            files.append(folder / f"{name}{kind}")
            save(figure, files[-1])
    return files


def rows_of(summary: Summary, source: str) -> list[Row]:
    """Return the rows of one source, sorted by the first fact of the comparison."""
    by = summary.settings.by[0] if summary.settings.by else None
    gathered, rows = summary.gathered, []
    for observation in gathered.observations:
        if observation.source != source:
            continue
        for actor in find_actors(observation):
            group = by and group_of(gathered, observation, actor.animals, by)
            label = f"{observation.key[1]} {actor.name_in(observation)}".rstrip()
            rows.append(Row(label, group or "", observation, actor))
    return sorted(rows, key=lambda row: row.group)


def draw_ethogram(rows: Sequence[Row], actions: Sequence[str]) -> Figure | None:
    """Return the bouts of each animal as one strip, the groups below each other."""
    shown = rows[:MOST_ROWS]
    if not shown:
        return None
    colours = _colours(actions)
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH_IN, 0.16 * len(shown) + 1.1), layout="constrained")
        axis = figure.subplots()
        for at, row in enumerate(shown):
            fps = row.observation.recording.fps
            unwatched = _unwatched(row)
            axis.broken_barh(unwatched, (at + 0.1, 0.8), color=NOT_COUNTED, lw=0)
            for action in actions:
                spans = [
                    (bout.start / fps / 60, (bout.stop - bout.start) / fps / 60)
                    for bout in row.bouts()
                    if bout.action == action
                ]
                axis.broken_barh(spans, (at + 0.1, 0.8), color=colours[action], lw=0)
        _mark_groups(axis, shown)
        axis.set_ylim(len(shown), 0)
        axis.set_yticks(np.arange(len(shown)) + 0.5, [row.name for row in shown])
        axis.tick_params(axis="y", length=0, labelsize=6)
        longest = max(_minutes(row) for row in shown)
        axis.set_xlim(0, longest)
        axis.set_xlabel("minutes")
        if len(rows) > len(shown):
            axis.set_title(f"the first {len(shown)} of {len(rows)}")
        _legend(figure, actions, with_unwatched=any(map(_unwatched, shown)))
    return figure


def _unwatched(row: Row) -> list[tuple[float, float]]:
    """Return where nothing was watched for, as (start, length) in minutes."""
    recording = row.observation.recording
    watched = join_spans(
        [row.observation.watched[entry] for entry in row.actor.entries]
    )
    edges = [0, *watched.reshape(-1).tolist(), recording.length]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    scale = 60 * recording.fps
    return [(a / scale, (b - a) / scale) for a, b in pairs if a < b]


def _mark_groups(axis: Axes, rows: Sequence[Row]) -> None:
    """Draw a line above each group, and write its name to the right."""
    names = [row.group for row in rows]
    for group in dict.fromkeys(names):
        first, number = names.index(group), names.count(group)
        if first:
            axis.axhline(first, color="0.3", linewidth=0.6)
        axis.text(
            1.01,
            first + number / 2,
            group,
            transform=axis.get_yaxis_transform(),
            va="center",
        )


def draw_rasters(rows: Sequence[Row], actions: Sequence[str]) -> Figure | None:
    """Return what animals do around the start of each of their actions.

    A line for each bout of the action, in the order of the rows; an unwatched frame is
    not distinguished from one without a bout.
    """
    events = {action: _events(rows, action) for action in actions}
    kept = [action for action in actions if events[action]][:MOST_PANELS]
    if not kept:
        return None
    colours = _colours(actions)
    with mpl.rc_context(STYLE):
        figure, axes = _panels(len(kept), 2.1)
        for axis, action in zip(axes, kept, strict=True):
            chosen = events[action]
            step = max(1, -(-len(chosen) // MOST_EVENTS))
            chosen = chosen[::step]
            for at, (row, start) in enumerate(chosen):
                _raster_line(axis, at, row, start, colours)
            axis.axvline(0, color="black", linewidth=0.6)
            axis.set_xlim(-AROUND_S, AROUND_S)
            axis.set_xticks([-AROUND_S, -AROUND_S / 2, 0, AROUND_S / 2, AROUND_S])
            axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
            axis.set_ylim(len(chosen), 0)
            axis.set_yticks([0, len(chosen)])
            every = f", 1 in {step} shown" if step > 1 else ""
            axis.set_title(f"{action} ({count(len(events[action]), 'bout')}{every})")
        figure.supxlabel("seconds from the start of the bout", fontsize=8)
        _legend(figure, actions)
    return figure


def _events(rows: Sequence[Row], action: str) -> list[tuple[Row, int]]:
    return [
        (row, bout.start)
        for row in rows
        for bout in row.bouts()
        if bout.action == action
    ]


def _raster_line(
    axis: Axes, at: int, row: Row, start: int, colours: Mapping[str, str]
) -> None:
    fps = row.observation.recording.fps
    for bout in row.bouts():
        low, high = (bout.start - start) / fps, (bout.stop - start) / fps
        if high > -AROUND_S and low < AROUND_S:
            axis.broken_barh(
                [(low, high - low)], (at, 1), color=colours[bout.action], lw=0
            )


def draw_time_course(
    rows: Sequence[Row], actions: Sequence[str], bin_s: float
) -> Figure | None:
    """Return the mean share of time in each bin, with its 95 % interval.

    The mean is over animals (pairs, scenes), whose numbers stand in the title in the
    order of the legend. The interval is a bootstrap over them; there is none below
    `FEWEST_UNITS`.
    """
    shares = _binned_shares(rows, bin_s)
    kept = [action for action in actions if action in shares][:MOST_PANELS]
    if not kept:
        return None
    groups = list(dict.fromkeys(row.group for row in rows))
    with mpl.rc_context(STYLE):
        figure, axes = _panels(len(kept), 1.8)
        for axis, action in zip(axes, kept, strict=True):
            for number, group in enumerate(groups):
                values = shares[action].get(group)
                if values is not None:
                    colour = _GROUPS[number % len(_GROUPS)]
                    _course(axis, values, bin_s, colour)
            axis.set_ylim(0, None)
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
            sizes = [str(len(values)) for values in shares[action].values()]
            axis.set_title(f"{action} (n = {', '.join(sizes)})")
        figure.supxlabel("minutes", fontsize=8)
        figure.supylabel("share of time", fontsize=8)
        if len(groups) > 1:
            figure.legend(
                handles=[
                    Patch(color=_GROUPS[at % len(_GROUPS)], label=group or "unknown")
                    for at, group in enumerate(groups)
                ],
                loc="outside upper right",
                ncols=4,
            )
    return figure


def _binned_shares(
    rows: Sequence[Row], bin_s: float
) -> dict[str, dict[str, Float[np.ndarray, "animal bin"]]]:
    """Return shares by action and group, NaN where a bin was not watched."""
    found: dict[str, dict[str, list[dict[int, float]]]]
    found = defaultdict(lambda: defaultdict(list))
    for row in rows:
        recording = row.observation.recording
        for series in _series_of(row):
            bins = measure_bins(
                [series], length=recording.length, fps=recording.fps, bin_s=bin_s
            )
            # The rest of a recording is too short for a mean.
            shares = {
                each.bin - 1: each.share for each in bins if each.watched_s >= bin_s / 2
            }
            found[series.place.action][row.group].append(shares)
    return {
        action: {group: _as_matrix(animals) for group, animals in groups.items()}
        for action, groups in found.items()
    }


def _as_matrix(animals: Sequence[Mapping[int, float]]) -> np.ndarray:
    width = 1 + max((max(each, default=0) for each in animals), default=0)
    matrix = np.full((len(animals), width), np.nan)
    for at, shares in enumerate(animals):
        matrix[at, list(shares)] = list(shares.values())
    return matrix


def _series_of(row: Row) -> list[Series]:
    return [
        series
        for actor, series in actor_series(row.observation)
        if actor.animals == row.actor.animals
    ]


def _course(
    axis: Axes,
    values: Float[np.ndarray, "animal bin"],
    bin_s: float,
    colour: str,
) -> None:
    """Draw one group; bins that no animal was watched in are left out."""
    known = np.isfinite(values).any(axis=0)
    values = values[:, known]
    minutes = (np.flatnonzero(known) + 0.5) * bin_s / 60
    axis.plot(
        minutes,
        np.nanmean(values, axis=0),
        "o-",
        color=colour,
        markersize=2,
        linewidth=1,
    )
    if len(values) < FEWEST_UNITS:
        return
    chosen = np.random.default_rng(0).integers(0, len(values), (_DRAWS, len(values)))
    counts = np.isfinite(values[chosen]).sum(axis=1)
    sums = np.nansum(values[chosen], axis=1)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    low, high = np.nanquantile(means, [0.025, 0.975], axis=0)
    axis.fill_between(minutes, low, high, color=colour, alpha=0.2, linewidth=0)


def draw_durations(rows: Sequence[Row], actions: Sequence[str]) -> Figure | None:
    """Return how long bouts are, on a logarithmic axis; each group's bars sum to 1."""
    durations = {action: _durations(rows, action) for action in actions}
    kept = [action for action in actions if durations[action]][:MOST_PANELS]
    if not kept:
        return None
    groups = list(dict.fromkeys(row.group for row in rows))
    everything = np.concatenate(
        [values for action in kept for values in durations[action].values()]
    )
    edges = np.geomspace(everything.min() * 0.95, everything.max() * 1.05, 21)
    with mpl.rc_context(STYLE):
        figure, axes = _panels(len(kept), 1.7)
        for axis, action in zip(axes, kept, strict=True):
            for number, group in enumerate(groups):
                values = durations[action].get(group)
                if values is None:
                    continue
                shares = np.histogram(values, edges)[0] / len(values)
                colour = _GROUPS[number % len(_GROUPS)]
                label = f"{group} ".lstrip() + f"median {np.median(values):.1f} s"
                axis.stairs(shares, edges, color=colour, label=label)
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(FormatStrFormatter("%g"))
            axis.set_ylim(0, 1.4 * axis.get_ylim()[1])
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
            bouts = count(sum(map(len, durations[action].values())), "bout")
            axis.set_title(f"{action} ({bouts})")
            axis.legend(fontsize=6)
        figure.supxlabel("duration of a bout, seconds", fontsize=8)
        figure.supylabel("share of bouts", fontsize=8)
    return figure


def _durations(rows: Sequence[Row], action: str) -> dict[str, np.ndarray]:
    """Return the durations of bouts in seconds, by group."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        fps = row.observation.recording.fps
        found[row.group] += [
            (bout.stop - bout.start) / fps
            for bout in row.bouts()
            if bout.action == action
        ]
    return {group: np.array(values) for group, values in found.items() if values}


def _panels(number: int, height_in: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many panels with one x axis, which the lowest ones show."""
    columns = 2 if number in (2, 4) else min(3, number)
    lines = -(-number // columns)
    figure = Figure((WIDTH_IN, height_in * lines + 0.6), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True).reshape(-1)
    for axis in grid[number:]:
        axis.set_visible(False)
    for axis in grid[max(0, number - columns) : number]:
        axis.tick_params(labelbottom=True)
    return figure, list(grid[:number])


def _transitions(summary: Summary, source: str) -> pl.DataFrame:
    table = summary.tables.get("transitions")
    if table is None:
        return pl.DataFrame({"count": [], "first": [], "next": []})
    return table.filter(pl.col("source") == source)


def _bin_s(summary: Summary, rows: Sequence[Row]) -> float:
    """Return the bins of the settings, else a tenth of the longest recording."""
    longest_s = 60 * max((_minutes(row) for row in rows), default=1.0)
    return summary.settings.bin_s or max(1.0, longest_s / 10)


def _minutes(row: Row) -> float:
    recording = row.observation.recording
    return recording.length / recording.fps / 60


def _actions(rows: Sequence[Row]) -> list[str]:
    return sorted({name for row in rows for name in row.observation.actions})


def _colours(actions: Sequence[str]) -> dict[str, str]:
    colours = colours_of(actions, has_background=False)
    return {
        name: colour.on_light for name, colour in zip(actions, colours, strict=True)
    }


def _legend(
    figure: Figure, actions: Sequence[str], *, with_unwatched: bool = False
) -> None:
    colours = _colours(actions)
    patches = [Patch(color=colours[name], label=name) for name in actions]
    if with_unwatched:
        patches.append(Patch(color=NOT_COUNTED, label="not watched"))
    figure.legend(
        handles=patches, loc="outside upper right", ncols=min(len(patches), 6)
    )
