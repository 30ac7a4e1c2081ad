"""Edits of a recording's labels: what is added and removed, not what then is there.

Two windows that edit one recording send what each has changed, so neither replaces the
changes of the other. Labels have three states in each frame: *yes* (a bout), *no*
(watched, and no bout) and *unwatched*.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mabe.bouts import (
    Bout,
    Coverage,
    Spans,
    Watched,
    WatchedSpan,
    find_spans,
    join_coverage,
    spans_of,
)


@dataclass(frozen=True, slots=True)
class StudioLabels:
    """The labels of a recording: bouts, and when was watched for what."""

    bouts: tuple[Bout, ...] = ()
    coverage: Coverage = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEdit:
    """What one edit adds and removes."""

    add: tuple[Bout, ...] = ()
    remove: tuple[Bout, ...] = ()
    watch: tuple[WatchedSpan, ...] = ()
    unwatch: tuple[WatchedSpan, ...] = ()

    def applied(self, labels: StudioLabels) -> StudioLabels:
        """Return the labels after this edit.

        Bouts of one action and pair that overlap are joined, and the frames of a bout
        are watched. A bout to remove that is no longer there is not missed.
        """
        gone = set(self.remove)
        bouts = join_bouts([b for b in labels.bouts if b not in gone] + [*self.add])
        coverage = without(join_coverage((*labels.coverage, *self.watch)), self.unwatch)
        of_bouts = (
            WatchedSpan(b.start, b.stop, b.action, b.agent, b.target) for b in bouts
        )
        return StudioLabels(bouts, join_coverage((*coverage, *of_bouts)))


def join_bouts(bouts: Iterable[Bout]) -> tuple[Bout, ...]:
    """Return bouts with those of one action and pair joined where they overlap."""
    joined: dict[Watched, list[Bout]] = {}
    for bout in sorted(bouts):
        same = joined.setdefault(Watched(bout.agent, bout.target, bout.action), [])
        if same and bout.start < same[-1].stop:
            stop = max(same[-1].stop, bout.stop)
            same[-1] = Bout(same[-1].start, stop, bout.action, bout.agent, bout.target)
        else:
            same.append(bout)
    return tuple(sorted(bout for same in joined.values() for bout in same))


def without(coverage: Coverage, unwatched: Sequence[WatchedSpan]) -> Coverage:
    """Return coverage without the frames of some spans."""
    if not unwatched:
        return coverage
    kept: list[WatchedSpan] = []
    for key in {span.watched for span in coverage}:
        gone = spans_of(tuple(unwatched), key)
        for start, stop in _minus(spans_of(coverage, key), gone).tolist():
            kept.append(WatchedSpan(start, stop, key.action, key.agent, key.target))
    return tuple(sorted(kept))


def _minus(spans: Spans, gone: Spans) -> Spans:
    """Return the frames of spans that are in none of others, as spans."""
    if not len(spans) or not len(gone):
        return spans
    edges = np.unique(np.concatenate([spans, gone]))
    is_kept = np.zeros(len(edges), bool)
    for of, value in ((spans, True), (gone, False)):
        for start, stop in np.searchsorted(edges, of):
            is_kept[start:stop] = value
    return edges[np.minimum(find_spans(is_kept), len(edges) - 1)]
