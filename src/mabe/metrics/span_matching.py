"""Overlaps between spans of many groups, computed for all groups at once.

A *group* is, for example, one action of one pair of animals in one video; spans of
different groups never overlap. The groups are placed one after another on a single
axis of frames, so that one sort and two binary searches serve them all. Spans are
half-open.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from mabe.bouts import Spans

Groups = Int[np.ndarray, " _"]


@dataclass(frozen=True, slots=True, eq=False)
class GroupedSpans:
    """Spans of many groups, sorted by group and start; disjoint within a group."""

    spans: Spans
    """In frames of the group's own video; two of one group do not touch."""
    group: Groups
    """The group of each span."""

    @property
    def lengths(self) -> Int[np.ndarray, " _"]:
        """Frames in each span."""
        return self.spans[:, 1] - self.spans[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Pairs of spans that share frames, one from each of two span arrays."""

    one: Int[np.ndarray, " _"]
    """Index into the first array."""
    other: Int[np.ndarray, " _"]
    """Index into the second."""
    frames: Int[np.ndarray, " _"]
    """How many frames they share."""


def merge_by_group(rows: Int[np.ndarray, "_ 2"], group: Groups) -> GroupedSpans:
    """Return the frames that any row of a group covers, as spans.

    Rows come in any order, may repeat, overlap or touch; empty rows cover nothing.
    """
    covers = rows[:, 1] > rows[:, 0]
    rows, group = rows[covers], group[covers]
    line = rows + _shifts(rows, group)[:, None]
    order = np.argsort(line[:, 0], kind="stable")
    starts, reach = line[order, 0], np.maximum.accumulate(line[order, 1])
    # Groups do not touch on the axis, so where the largest stop so far reaches this
    # start, it belongs to the same group.
    first = np.flatnonzero(np.append(True, starts[1:] > reach[:-1])[: len(order)])
    last = np.append(first[1:], len(order))[: len(first)] - 1
    owner = order[first]
    shift = starts[first] - rows[owner, 0]
    spans = np.stack([starts[first] - shift, reach[last] - shift], axis=1)
    return GroupedSpans(spans, group[owner])


def lay_end_to_end(one: GroupedSpans, other: GroupedSpans) -> tuple[Spans, Spans]:
    """Return both on one axis, where only spans of the same group can overlap."""
    rows = np.concatenate([one.spans, other.spans])
    line = rows + _shifts(rows, np.concatenate([one.group, other.group]))[:, None]
    return line[: len(one.spans)], line[len(one.spans) :]


def find_overlaps(one: Spans, other: Spans) -> Overlaps:
    """Return the pairs of spans that share frames; both arrays sorted and disjoint."""
    first = np.searchsorted(other[:, 1], one[:, 0], side="right")
    last = np.searchsorted(other[:, 0], one[:, 1], side="left")
    # Those that a span overlaps are neighbours: first, first + 1, … last - 1.
    counts = last - first
    mine = np.repeat(np.arange(len(one)), counts)
    before = np.cumsum(counts) - counts
    theirs = np.arange(len(mine)) + np.repeat(first - before, counts)
    shared = np.minimum(one[mine, 1], other[theirs, 1]) - np.maximum(
        one[mine, 0], other[theirs, 0]
    )
    return Overlaps(mine, theirs, shared)


def match_bouts(one: Spans, other: Spans, overlaps: Overlaps) -> Bool[np.ndarray, " _"]:
    """Return which overlaps are more than half of the union of the two spans.

    No span can share more than half of its union with two disjoint others, so those
    overlaps pair spans one to one.
    """
    lengths = (one[:, 1] - one[:, 0])[overlaps.one]
    lengths = lengths + (other[:, 1] - other[:, 0])[overlaps.other]
    return 2 * overlaps.frames > lengths - overlaps.frames


def find_collisions(
    marks: GroupedSpans, owner_of_group: Groups
) -> Int[np.ndarray, "_ 2"]:
    """Return pairs of spans of one owner (which has several groups) that share frames.

    A row holds two indices into the spans. Not every such pair is listed, but at least
    one for each owner that has any: sorted by start, a span that overlaps a later one
    overlaps the next one too.
    """
    owner = owner_of_group[marks.group]
    line = marks.spans + _shifts(marks.spans, owner)[:, None]
    order = np.argsort(line[:, 0], kind="stable")
    meets = np.flatnonzero(line[order[:-1], 1] > line[order[1:], 0])
    return np.stack([order[meets], order[meets + 1]], axis=1)


def _shifts(rows: Int[np.ndarray, "_ 2"], group: Groups) -> Int[np.ndarray, " _"]:
    """Return what to add to each row so that groups follow each other, apart."""
    groups = group.max(initial=-1) + 1
    start = np.full(groups, np.iinfo(np.int64).max)
    stop = np.full(groups, np.iinfo(np.int64).min)
    np.minimum.at(start, group, rows[:, 0])
    np.maximum.at(stop, group, rows[:, 1])
    used = start <= stop
    start, room = np.where(used, start, 0), np.where(used, stop - start + 1, 0)
    return (np.cumsum(room) - room - start)[group]
