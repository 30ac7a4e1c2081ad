"""Checks of the rows of a submission, one by one and for conflicts between them.

Every check takes the table of `mabe.io.submission.parse` and returns its problems; rows
whose frames are not numbers are not checked for duplicates and overlaps.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from mabe.io.submission.parse import WHOLE_NUMBER
from mabe.io.submission.problems import Problem, Severity, problems_of
from mabe.skeleton import ANIMALS

_ANIMAL = rf"^mouse[1-{ANIMALS}]$"


_TARGET = rf"^(mouse[1-{ANIMALS}]|self)$"


_NAME = r'^[^\s"]([^"]*[^\s"])?$'


_PAIR = ("video_id", "agent_id", "target_id")


_BOUT = (*_PAIR, "action", "start", "stop")


def check_columns(table: pl.DataFrame) -> list[Problem]:
    """Return the problems of single rows, for the columns that are present."""
    checks = {
        check_row_ids: {"row_id"},
        check_animals: {"agent_id", "target_id"},
        check_actions: {"action"},
        check_frames: {"start_frame", "stop_frame"},
    }
    return [
        problem
        for check, columns in checks.items()
        if columns <= set(table.columns)
        for problem in check(table)
    ]


def check_row_ids(table: pl.DataFrame) -> list[Problem]:
    """Report where row ids are not 0, 1, 2, …; of a gap only the first row after it."""
    is_number = pl.col("row_id").str.contains(WHOLE_NUMBER)
    numbered = table.filter(is_number).with_columns(
        number=pl.col("row_id").cast(pl.Int64)
    )
    numbered = numbered.with_columns(first=pl.col("line").first().over("number"))
    is_repeated = pl.col("line") != pl.col("first")
    ahead = pl.col("number") - pl.col("position")
    return [
        *problems_of(
            table.filter(~is_number),
            "row_id",
            "row_id must be a whole number from 0, found {row_id!r}",
        ),
        *problems_of(
            numbered.filter(is_repeated),
            "row_id",
            "row_id {row_id} is that of line {first} too",
        ),
        *problems_of(
            numbered.filter(~is_repeated).filter(ahead != ahead.shift(1, fill_value=0)),
            "row_id",
            "row_id must count 0, 1, 2, …: expected {position}, found {row_id}",
        ),
    ]


def check_animals(table: pl.DataFrame) -> list[Problem]:
    """Report animals other than mouse1 to mouse4, and targets that should be `self`."""
    return [
        *problems_of(
            table.filter(~pl.col("agent_id").str.contains(_ANIMAL)),
            "agent_id",
            f"agent_id must be mouse1 to mouse{ANIMALS}, found {{agent_id!r}}",
        ),
        *problems_of(
            table.filter(~pl.col("target_id").str.contains(_TARGET)),
            "target_id",
            f"target_id must be mouse1 to mouse{ANIMALS} or self, "
            "found {target_id!r}",
        ),
        *problems_of(
            table.filter(
                pl.col("agent_id").str.contains(_ANIMAL),
                pl.col("agent_id") == pl.col("target_id"),
            ),
            "self",
            "an action on oneself has target_id self, found {target_id}",
        ),
    ]


def check_actions(table: pl.DataFrame) -> list[Problem]:
    """Report actions without a name, or with spaces or quotes around it."""
    return problems_of(
        table.filter(~pl.col("action").str.contains(_NAME)),
        "action",
        "action must be a name such as sniff, found {action!r}",
    )


def check_frames(table: pl.DataFrame) -> list[Problem]:
    """Report frames that are not whole numbers from 0, and spans without a frame."""
    problems = []
    for column, number in (("start_frame", "start"), ("stop_frame", "stop")):
        is_negative = pl.col(column).str.contains(r"^-\d+$")
        wrong = table.filter(pl.col(number).is_null())
        problems += problems_of(
            wrong.filter(~is_negative),
            "frame",
            f"{column} must be a whole number, found {{{column}!r}}",
        )
        problems += problems_of(
            wrong.filter(is_negative),
            "negative",
            f"{column} must be 0 or more, found {{{column}}}",
        )
    problems += problems_of(
        table.filter(pl.col("start") > pl.col("stop")),
        "order",
        "start_frame {start} is after stop_frame {stop}",
    )
    return problems + problems_of(
        table.filter(pl.col("start") == pl.col("stop")),
        "no frame",
        "start_frame and stop_frame are both {start}, so the bout has no frame; where "
        "its action has no label in the lab, the host adds an F1 of 0 for it",
        Severity.WARNING,
    )


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
