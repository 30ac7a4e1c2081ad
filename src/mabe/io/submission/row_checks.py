"""Checks of the rows of a submission, one by one.

Every check takes the table of `mabe.io.submission.parse` and returns its problems.
"""

import polars as pl

from mabe.io.submission.parse import WHOLE_NUMBER
from mabe.io.submission.problems import Problem, Severity, problems_of
from mabe.skeleton import ANIMALS

_ANIMAL = rf"^mouse[1-{ANIMALS}]$"


_TARGET = rf"^(mouse[1-{ANIMALS}]|self)$"


_NAME = r'^[^\s"]([^"]*[^\s"])?$'


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
