"""Is this file a valid `submission.csv`? Every problem with its line.

The rules are those of the challenge's host: seven columns; `mouse1` does an action to
`mouse2` or `self`; frames are whole numbers, spans half-open; one agent does one thing
to one target at a time. What the host accepts but drops or punishes is a warning.

`lines` takes the file apart, `rows` checks what it says, `metadata` whether that fits
the videos, and `problems` shows what was found.
"""

from pathlib import Path

import polars as pl

from mabe.io.submission.parse import BOUT_COLUMNS, read_rows
from mabe.io.submission.problems import (
    Problem,
    Review,
    Severity,
    describe_review,
    require_valid,
    sort_problems,
)
from mabe.io.submission.row_checks import (
    check_columns,
    check_duplicates,
    check_overlaps,
)
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
    """Return all that is wrong with a submission, by line; see `review_submission`."""
    return review_submission(path, metadata).problems


def review_submission(path: Path, metadata: Path | None = None) -> Review:
    """Check a submission file, also against the metadata of its videos if given.

    `metadata` is a folder in the Kaggle layout or one of its tables. Raises
    `DataError` when the submission or the metadata cannot be read at all.
    """
    facts = None if metadata is None else read_facts(metadata)
    found = read_rows(path)
    problems = [*found.problems, *_check_table(found.table, facts)]
    has_videos = "video_id" in found.table.columns
    return Review(
        rows=found.rows,
        videos=found.table["video_id"].n_unique() if has_videos else 0,
        problems=sort_problems(problems),
    )


def _check_table(
    table: pl.DataFrame, facts: dict[str, VideoFacts] | None
) -> list[Problem]:
    """Return the problems of all checks whose columns are there."""
    problems = check_columns(table)
    if "video_id" in table.columns:
        problems += check_video_ids(table, facts)
    if not set(BOUT_COLUMNS) <= set(table.columns):
        return problems
    problems += check_duplicates(table)
    if facts is None:
        return problems + check_overlaps(table)
    # The host looks for overlaps after it has left out what was not watched.
    unwatched = unwatched_rows(table, facts)
    watched = table.join(unwatched, on="line", how="anti")
    problems += check_facts(table, facts)
    # Whoever mends a name need not be told that nobody watched for the wrong one.
    wrong = {each.line for each in problems if each.severity is Severity.ERROR}
    is_wrong = pl.col("line").is_in([line for line in wrong if line])
    return [
        *problems,
        *report_unwatched(unwatched.filter(~is_wrong)),
        *check_overlaps(watched),
    ]
