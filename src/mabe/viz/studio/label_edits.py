"""Edits of a recording's labels: what is added and removed, not what then is there.

Two windows that edit one recording send what each has changed, so neither replaces the
changes of the other. Labels have three states in each frame: *yes* (a bout), *no*
(watched, and no bout) and *unwatched*.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mabe.bouts import (
    Bout,
    Coverage,
    Watched,
    WatchedSpan,
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
    """Return coverage without the frames of some spans; each span stays one by itself.

    Spans of one action and pair do not overlap.
    """
    gone = {
        key: spans_of(tuple(unwatched), key).tolist()
        for key in {span.watched for span in unwatched}
    }
    return tuple(
        sorted(
            WatchedSpan(start, stop, span.action, span.agent, span.target)
            for span in coverage
            for start, stop in _outside(span, gone.get(span.watched, []))
        )
    )


def _outside(span: WatchedSpan, gone: Sequence[list[int]]) -> Iterator[tuple[int, int]]:
    """Yield the frames of a span that are in none of others, as spans."""
    start = span.start
    first = bisect_right(gone, span.start, key=lambda each: each[1])
    for from_, to in gone[first:]:
        if from_ >= span.stop:
            break
        if start < from_:
            yield start, from_
        start = to
    if start < span.stop:
        yield start, span.stop
