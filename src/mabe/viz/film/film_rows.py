"""What is drawn of a recording's behaviour: a row for each action of whom to whom."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8

from mabe.bouts import NO_ANIMAL, Bout, Spans, View, Watched, name_of_animal
from mabe.viz.review.compact_timeline import ViewTimeline


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmRow:
    """An action of an agent to a target: predicted, annotated, or both."""

    action: str
    agent: int
    target: int
    is_mutual: bool = False
    """Both directions are the same, and are one row."""
    predicted: Spans
    annotated: Spans
    probabilities: UInt8[np.ndarray, " frame"] | None = None
    """Bytes as in `mabe.viz.review.compact_timeline`; None where there are none."""

    def animals(self, names: Sequence[str]) -> str:
        """Return agent and target in words; empty for a scene."""
        if self.is_mutual:
            both = (name_of_animal(each, names) for each in (self.agent, self.target))
            return " – ".join(both)
        return View(self.agent, self.target).label(names)

    def probability(self, start: int, stop: int) -> float | None:
        """Return the mean probability over some frames; None where there is none."""
        if self.probabilities is None:
            return None
        some = self.probabilities[start:stop]
        some = some[some < 255]
        return float(some.mean()) / 254 if len(some) else None


def rows_of(
    timelines: Iterable[ViewTimeline],
    classes: Sequence[str],
    bouts: Iterable[Bout],
    class_of: Callable[[str], str | None] | None = None,
) -> list[FilmRow]:
    """Return the rows of predictions and human labels.

    `class_of` gives the class as which annotated actions of a scene count, whatever
    their animals; None where the actions of pairs are predicted.
    """
    annotated: dict[Watched, list[tuple[int, int]]] = defaultdict(list)
    for bout in bouts:
        key: Watched | None = Watched(bout.agent, bout.target, bout.action)
        if class_of is not None:
            name = class_of(bout.action)
            key = Watched(NO_ANIMAL, NO_ANIMAL, name) if name else None
        if key is not None:
            annotated[key].append((bout.start, bout.stop))
    rows: dict[Watched, FilmRow] = {}
    for timeline in timelines:
        for place, name in enumerate(classes):
            spans = timeline.runs[timeline.runs[:, 2] == place, :2]
            key = Watched(timeline.agent, timeline.target, name)
            if not len(spans) and (timeline.probabilities[:, place] == 255).all():
                continue
            rows[key] = FilmRow(
                action=name,
                agent=timeline.agent,
                target=timeline.target,
                predicted=spans,
                annotated=np.empty((0, 2), int),
                probabilities=timeline.probabilities[:, place],
            )
    for key, marked in annotated.items():
        known = rows.get(key) or FilmRow(
            action=key.action,
            agent=key.agent,
            target=key.target,
            predicted=np.empty((0, 2), int),
            annotated=np.empty((0, 2), int),
        )
        rows[key] = replace(known, annotated=np.array(sorted(marked), int))
    return _join_directions([rows[key] for key in sorted(rows)])


def _join_directions(rows: Sequence[FilmRow]) -> list[FilmRow]:
    """Return the rows with those of both directions as one where they are the same."""
    place = {(row.action, row.agent, row.target): row for row in rows}
    joined = []
    for row in rows:
        other = place.get((row.action, row.target, row.agent))
        is_same = other is not None and other is not row and _is_same(row, other)
        if is_same and row.agent > row.target:
            continue
        joined.append(replace(row, is_mutual=True) if is_same else row)
    return joined


def _is_same(one: FilmRow, other: FilmRow) -> bool:
    has_bouts = len(one.predicted) or len(one.annotated)
    return bool(
        has_bouts
        and np.array_equal(one.predicted, other.predicted)
        and np.array_equal(one.annotated, other.annotated)
    )


def choose_rows(
    rows: Sequence[FilmRow], start: int, stop: int, most: int
) -> tuple[list[FilmRow], list[FilmRow]]:
    """Return the rows with most time in some frames in their order, and those left.

    Rows without a bout there are neither.
    """
    time = {id(row): _frames_within(row, start, stop) for row in rows}
    used = [row for row in rows if time[id(row)]]
    best = sorted(used, key=lambda row: -time[id(row)])[:most]
    chosen = {id(row) for row in best}
    return (
        [row for row in used if id(row) in chosen],
        [row for row in used if id(row) not in chosen],
    )


def _frames_within(row: FilmRow, start: int, stop: int) -> int:
    spans = np.concatenate([row.predicted, row.annotated]).clip(start, stop)
    return int((spans[:, 1] - spans[:, 0]).sum())


def spans_within(spans: Spans, start: int, stop: int) -> Spans:
    """Return the spans with a frame in [start, stop); spans are sorted and disjoint."""
    first = int(np.searchsorted(spans[:, 1], start, side="right"))
    last = int(np.searchsorted(spans[:, 0], stop, side="left"))
    return spans[first:last]


def is_within(spans: Spans, frame: int) -> bool:
    """Return whether a frame is in one of the spans."""
    return len(spans_within(spans, frame, frame + 1)) > 0


def tracked_rows(points: np.ndarray) -> Bool[np.ndarray, " slot"]:
    """Return which points of a frame are tracked."""
    tracked: Bool[np.ndarray, " slot"] = np.isfinite(points).all(axis=1)
    return tracked
