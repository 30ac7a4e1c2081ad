"""Checks for conflicts between the rows of a submission: duplicates and overlaps.

Both take the table of `mabe.io.submission.parse` and return their problems; rows whose
frames are not numbers are not checked.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from mabe.io.submission.problems import Problem, Severity, problems_of


def check_duplicates(table: pl.DataFrame) -> list[Problem]:
    """Report bouts that repeat an earlier one; the host counts them once."""
    bouts = table.filter(pl.col("start").is_not_null(), pl.col("stop").is_not_null())
    bouts = bouts.with_columns(first=pl.col("line").first().over(_BOUT))
    return problems_of(
        bouts.filter(pl.col("line") != pl.col("first")),
        "duplicate",
        "the same bout as in line {first}",
        Severity.WARNING,
    )


def check_overlaps(table: pl.DataFrame) -> list[Problem]:
    """Report where an agent has two actions to one target at a time.

    A bout that begins within an earlier one of another action is one problem, which
    names the line of the one that ends last.
    """
    bouts = table.filter(pl.col("start") < pl.col("stop"))
    # Only groups of overlapping bouts with different actions can have problems. They
    # are rare, so only those are checked row by row.
    suspicious = (
        bouts.sort(*_PAIR, "start", "stop", "line")
        .with_columns(reach=pl.col("stop").cum_max().shift(1, fill_value=0).over(_PAIR))
        .with_columns(
            cluster=(pl.col("start") >= pl.col("reach")).cum_sum().over(_PAIR)
        )
        .filter(pl.col("action").n_unique().over(*_PAIR, "cluster") > 1)
    )
    return [
        Problem(
            later.line,
            f"{later.action} of {later.agent} to {later.target} begins in frame "
            f"{later.start} of video {later.video}, within {earlier.action} (line "
            f"{earlier.line}, up to frame {earlier.stop}); one action per frame is "
            "allowed",
            "overlap",
        )
        for earlier, later in _find_overlaps(suspicious)
    ]


@dataclass(frozen=True, slots=True)
class _BoutRow:
    line: int
    video: str
    agent: str
    target: str
    action: str
    start: int
    stop: int

    def is_same_pair(self, other: "_BoutRow") -> bool:
        """Return whether both have the same video, agent and target."""
        return (self.video, self.agent, self.target) == (
            other.video,
            other.agent,
            other.target,
        )


def _find_overlaps(bouts: pl.DataFrame) -> Iterator[tuple[_BoutRow, _BoutRow]]:
    """Yield (earlier, later) for bouts sorted by pair and start.

    `longest` is the bout so far that ends last, and `other` the one that ends last
    among those of other actions.
    """
    longest: _BoutRow | None = None
    other: _BoutRow | None = None
    for values in bouts.select("line", *_PAIR, "action", "start", "stop").iter_rows():
        row = _BoutRow(*values)
        if longest is None or not row.is_same_pair(longest):
            longest, other = row, None
            continue
        rival = longest if longest.action != row.action else other
        if rival and rival.stop > row.start:
            yield rival, row
        if row.stop > longest.stop:
            longest, other = row, other if row.action == longest.action else longest
        elif row.action != longest.action and (not other or row.stop > other.stop):
            other = row


_PAIR = ("video_id", "agent_id", "target_id")


_BOUT = (*_PAIR, "action", "start", "stop")
