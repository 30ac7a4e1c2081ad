"""Groups of animals compared, by any fact of theirs: rows of tables, and in words.

The values of an animal are of all its recordings together: their bouts and watched
times are summed first. Animals without the fact are left out, and counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from mabe.errors import ConfigError
from mabe.measures.agreement import LEVELS
from mabe.measures.bout_measures import (
    BoutMeasures,
    Series,
    actor_series,
    measure_bouts,
    recording_series,
)
from mabe.measures.gather import Gathered, ids_that_recur
from mabe.measures.groups import (
    Difference,
    GroupMean,
    Values,
    compare_groups,
    holm,
    mean_of_group,
)
from mabe.measures.observation import Observation
from mabe.runtime.console import count

UnitKind = Literal["animal", "recording"]


Identity = Literal["same", "different"]
"""Whether animals with one id in several recordings are one animal."""


MEASURES = ("share", "per_min", "mean_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """An animal (or a recording) with its group and the measures of each action."""

    name: str
    group: str
    values: Mapping[tuple[str, str], float]
    """By action and measure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One row: the mean of one group."""

    source: str
    by: str
    group: str
    action: str
    measure: str
    mean: GroupMean


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupComparison:
    """One row: two groups compared."""

    source: str
    by: str
    first: str
    second: str
    action: str
    measure: str
    difference: Difference
    p_holm: float
    """Corrected for the number of actions and of pairs of groups, within a measure."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """The rows of both tables, and what was compared, in words."""

    groups: tuple[Group, ...]
    comparisons: tuple[GroupComparison, ...]
    words: tuple[str, ...]


def group_by(
    gathered: Gathered,
    by: str,
    *,
    unit: UnitKind,
    identity: Identity | None,
    seed: int = 0,
) -> Grouped:
    """Return the groups of one fact, compared two by two, for each source.

    Raises `ConfigError` where no animal has the fact, or where an id of an animal
    recurs and `identity` does not tell whether it is the same animal.
    """
    recurring = ids_that_recur(gathered)
    if recurring and identity is None and unit == "animal":
        most = max(recurring, key=lambda name: recurring[name])
        raise ConfigError(
            f"--by: animals of one id are in several recordings ({most} in "
            f"{recurring[most]}): say with --animals same (one animal, which counts "
            "once) or --animals different"
        )
    groups: list[Group] = []
    comparisons: list[GroupComparison] = []
    words: list[str] = []
    for source in dict.fromkeys(each.source for each in gathered.observations):
        observations, copies = _once(
            [each for each in gathered.observations if each.source == source]
        )
        collected = _Collected(copies)
        for each in observations:
            _collect(collected, each, gathered, by, unit, identity)
        units = [
            Unit(name=name, group=group, values=_values(rows))
            for (name, group), rows in collected.rows.items()
        ]
        if not units:
            known = ", ".join(gathered.facts.columns) or "none"
            raise ConfigError(
                f"--by {by}: no {unit} has this fact; known facts: {known}. Give a "
                "table of your own with --metadata"
            )
        repeated = _repeated(units)
        rows = list(_compare(source, by, units, repeated, seed))
        groups += _means(source, by, units, seed)
        comparisons += rows
        words += _in_words(source, by, unit, units, collected, repeated)
    return Grouped(tuple(groups), tuple(comparisons), tuple(words))


def group_of(
    gathered: Gathered, observation: Observation, animals: Sequence[int], by: str
) -> str | None:
    """Return the fact of some animals of a recording; of none: of the recording."""
    lab, video = observation.key
    facts = gathered.facts.of(lab, video)
    if len(animals) == 1:
        return facts.of_animal(animals[0], observation.name_of(animals[0]), by)
    everyone = range(1, len(gathered.animals.get((lab, video), ())) + 1)
    names = {at: observation.name_of(at) for at in animals or everyone}
    return facts.of_recording(names, by)


def _once(observations: Sequence[Observation]) -> tuple[list[Observation], int]:
    """Return the observations without further copies of a track, and their number."""
    kept = {each.track or each.key: each for each in reversed(observations)}
    chosen = [each for each in observations if kept[each.track or each.key] is each]
    return chosen, len(observations) - len(chosen)


class _Collected:
    """Series of bouts by unit and group, and what was left out."""

    def __init__(self, copies: int) -> None:
        self.copies = copies
        self.rows: dict[tuple[str, str], list[tuple[Series, float]]] = defaultdict(list)
        self.without: set[str] = set()
        self.varies_within = False
        self.kinds: set[str] = set()


def _collect(
    collected: _Collected,
    observation: Observation,
    gathered: Gathered,
    by: str,
    unit: UnitKind,
    identity: Identity | None,
) -> None:
    lab, video = observation.key
    fps = observation.recording.fps
    if unit == "recording":
        group = group_of(gathered, observation, (), by)
        for each in recording_series(observation):
            _add(collected, f"{lab}/{video}", group, each, fps)
        return
    ids = gathered.animals.get((lab, video), ())
    found = set()
    for actor, each in actor_series(observation):
        group = group_of(gathered, observation, actor.animals, by)
        found.add(group)
        name = f"{lab}/{video}/{actor.name_in(observation)}"
        if identity == "same" and actor.animals and max(actor.animals) <= len(ids):
            name = f"{lab}/{' – '.join(ids[at - 1] for at in actor.animals)}"
        collected.kinds.add(LEVELS[len(actor.animals)])
        _add(collected, name, group, each, fps)
    collected.varies_within |= len(found - {None}) > 1


def _add(
    collected: _Collected, name: str, group: str | None, series: Series, fps: float
) -> None:
    if group is None:
        collected.without.add(name)
    else:
        collected.rows[name, group].append((series, fps))


def _values(rows: Iterable[tuple[Series, float]]) -> dict[tuple[str, str], float]:
    """Return the measures of one unit, its recordings summed."""
    by_action: dict[str, list[BoutMeasures]] = defaultdict(list)
    for series, fps in rows:
        measures = measure_bouts(series.spans, series.watched, fps)
        by_action[series.place.action].append(measures)
    values: dict[tuple[str, str], float] = {}
    for action, measured in by_action.items():
        watched = sum(each.watched_s for each in measured)
        total = sum(each.total_s for each in measured)
        bouts = sum(each.bouts for each in measured)
        values[action, "share"] = total / watched
        values[action, "per_min"] = 60 * bouts / watched
        values[action, "mean_s"] = total / bouts if bouts else np.nan
    return values


def _repeated(units: Sequence[Unit]) -> int:
    """Return how many units are in several groups."""
    names = [unit.name for unit in units]
    return len(names) - len(set(names))


def _keys(units: Sequence[Unit]) -> list[tuple[str, str]]:
    actions = sorted({action for unit in units for action, _ in unit.values})
    return [(action, measure) for measure in MEASURES for action in actions]


def _of_group(units: Sequence[Unit], group: str, key: tuple[str, str]) -> Values:
    values = [unit.values.get(key, np.nan) for unit in units if unit.group == group]
    return np.array(values, float)


def _groups(units: Sequence[Unit]) -> list[str]:
    return sorted({unit.group for unit in units})


def _means(source: str, by: str, units: Sequence[Unit], seed: int) -> list[Group]:
    return [
        Group(
            source=source,
            by=by,
            group=group,
            action=key[0],
            measure=key[1],
            mean=mean_of_group(values, seed=seed),
        )
        for key in _keys(units)
        for group in _groups(units)
        if np.isfinite(values := _of_group(units, group, key)).any()
    ]


def _compare(
    source: str, by: str, units: Sequence[Unit], repeated: int, seed: int
) -> Iterable[GroupComparison]:
    """Yield the comparisons of each measure, corrected together."""
    for measure in MEASURES:
        rows = []
        for key in (key for key in _keys(units) if key[1] == measure):
            for first, second in combinations(_groups(units), 2):
                values = (_of_group(units, name, key) for name in (first, second))
                one, other = values
                if not (np.isfinite(one).any() and np.isfinite(other).any()):
                    continue
                difference = compare_groups(one, other, seed=seed)
                if repeated:
                    difference = replace(difference, p=np.nan)
                rows.append(
                    GroupComparison(
                        source=source,
                        by=by,
                        first=first,
                        second=second,
                        action=key[0],
                        measure=measure,
                        difference=difference,
                        p_holm=np.nan,
                    )
                )
        corrected = holm(np.array([row.difference.p for row in rows], float))
        for row, p_holm in zip(rows, corrected.tolist(), strict=True):
            yield replace(row, p_holm=p_holm)


def _in_words(
    source: str,
    by: str,
    unit: UnitKind,
    units: Sequence[Unit],
    collected: _Collected,
    repeated: int,
) -> list[str]:
    """Return what was compared, as plain sentences."""
    groups, kinds = _groups(units), " and ".join(sorted(collected.kinds)) or unit
    sizes = [f"{name} (n = {sum(u.group == name for u in units)})" for name in groups]
    actions = sorted({action for each in units for action, _ in each.values})
    pairs = len(groups) * (len(groups) - 1) // 2
    lines = [
        f"{source} bouts by {by}: {', '.join(sizes)}; the unit is the {kinds}. "
        f"Measures: {', '.join(MEASURES)}. Actions: {', '.join(actions)}."
    ]
    if pairs:
        lines.append(
            f"  Each measure: {count(len(actions), 'action')} x "
            f"{count(pairs, 'pair')} of groups, "
            "two-sided permutation tests of the difference of means, corrected "
            "together (Holm); the measures are not corrected for each other."
        )
    else:
        lines.append("  There is one group only, so nothing is compared.")
    if collected.without:
        lines.append(f"  Left out: {len(collected.without)} without {by}.")
    if collected.copies:
        lines.append(
            "  Left out, as they are annotated again: "
            f"{count(collected.copies, 'copy')} of a track."
        )
    if repeated:
        lines.append(
            f"  In several groups: {count(repeated, unit)}; the groups are not "
            "independent, so there are no p-values."
        )
    elif unit == "animal" and not collected.varies_within and pairs:
        lines.append(
            "  All animals of a recording are in one group, and animals that are "
            "together influence each other: --unit recording counts each recording "
            "once."
        )
    return lines
