"""The challenge's submission file: written, and checked line by line.

The rules are those of the challenge's host: seven columns; an action of `mouse1` to
`mouse2` or `self`; frames are whole numbers, spans half-open; a pair has one action at
a time. What the host accepts but drops or penalises is a warning.

`write` makes the file. `parse` reads it, `row_checks` and `video_checks` check its rows
and whether they fit the videos, and `problems` describes the result.
"""

from pathlib import Path

import polars as pl

from mabe.io.submission.conflict_checks import check_duplicates, check_overlaps
from mabe.io.submission.parse import BOUT_COLUMNS, read_rows
from mabe.io.submission.problems import (
    Problem,
    Review,
    Severity,
    describe_review,
    require_valid,
    sort_problems,
)
from mabe.io.submission.row_checks import check_columns
from mabe.io.submission.video_checks import (
    VideoFacts,
    check_facts,
    check_video_ids,
    read_facts,
    report_unwatched,
    unwatched_rows,
)

__all__ = [
    "Problem",
    "Review",
    "Severity",
    "check_submission",
    "describe_review",
    "require_valid",
    "review_submission",
]


def check_submission(path: Path, metadata: Path | None = None) -> tuple[Problem, ...]:
    """Return all problems of a submission, by line; see `review_submission`."""
    return review_submission(path, metadata).problems


def review_submission(path: Path, metadata: Path | None = None) -> Review:
    """Check a submission, also against the metadata of its videos if given.

    `metadata` is a folder in the Kaggle layout or one of its tables. Raises `DataError`
    when the submission or the metadata cannot be read at all.
    """
    facts = None if metadata is None else read_facts(metadata)
    read = read_rows(path)
    problems = [*read.problems, *_check_table(read.table, facts)]
    has_videos = "video_id" in read.table.columns
    return Review(
        rows=read.rows,
        videos=read.table["video_id"].n_unique() if has_videos else 0,
        problems=sort_problems(problems),
    )


def _check_table(
    table: pl.DataFrame, facts: dict[str, VideoFacts] | None
) -> list[Problem]:
    """Return the problems of all checks whose columns are present."""
    problems = check_columns(table)
    if "video_id" in table.columns:
        problems += check_video_ids(table, facts)
    if not set(BOUT_COLUMNS) <= set(table.columns):
        return problems
    problems += check_duplicates(table)
    if facts is None:
        return problems + check_overlaps(table)
    # The host checks for overlaps after it has left out what was not watched.
    unwatched = unwatched_rows(table, facts)
    watched = table.join(unwatched, on="line", how="anti")
    problems += check_facts(table, facts)
    # A line with a wrong name need not be reported as not watched too.
    wrong = {each.line for each in problems if each.severity is Severity.ERROR}
    is_wrong = pl.col("line").is_in([line for line in wrong if line])
    return [
        *problems,
        *report_unwatched(unwatched.filter(~is_wrong)),
        *check_overlaps(watched),
    ]
