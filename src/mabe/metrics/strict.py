"""The challenge's score without what flatters or depends on luck, and its table.

Frames are those of `mabe.metrics.challenge`; `mabe_f_score` lists the differences.
"""

from collections.abc import Iterable
from typing import Any

import polars as pl

from mabe.bouts import name_animal, name_target
from mabe.metrics.counting import ScoreTable, score_marks
from mabe.metrics.tables import (
    ENTRY,
    WATCHED_COLUMNS,
    Tables,
    clean_entries,
    open_tables,
    read_lists,
    watched_entries,
)
from mabe.recording import VideoInfo


def strict_f_score(
    solution: Any, submission: Any, beta: float = 1.0, *, watched: Any = None
) -> float:
    """Return the mean over labs of the mean F over the actions that occur in them.

    NaN where the solution has no labelled frame. See `score_table`, whose
    ``f_score(beta)`` this is, and `mabe_f_score` for what differs from the challenge's
    score.
    """
    return score_table(solution, submission, watched).f_score(beta)


def score_table(solution: Any, submission: Any, watched: Any = None) -> ScoreTable:
    """Return frames, bouts and scores of each lab and action by the strict rules.

    `watched` names what somebody looked for in each video (``lab_id, video_id,
    agent_id, target_id, action``; see `watched_table`). A video that it names and the
    solution does not is one in which nothing happened, so give it for the videos that
    were scored, not for others. With it the solution needs no `behaviors_labeled`;
    without it, only videos with a label count.

    Tables may be empty where `watched` is given.
    Actions without a labelled frame in their lab are in the table, not in the mean.
    With `watched=None`, lists that are the same in every row of a video and name all
    that is labelled, and no underscore in an action, the counts are those of the
    challenge; its mean is over all actions of `challenge_table`. Raises what
    `mabe_f_score` raises.
    """
    tables = open_tables(
        solution,
        submission,
        lists_needed=watched is None,
        may_be_empty=watched is not None,
    )
    return score_marks(
        tables.labels.with_columns(counts_as="action"),
        tables.predictions.with_columns(counts_as="action"),
        _all_watched(tables, watched),
        only_what_occurs=True,
    )


def watched_table(videos: Iterable[VideoInfo]) -> pl.DataFrame:
    """Return what was looked for in some videos, by the challenge's names.

    Animals become ``mouse1`` … ``mouse4``, the target of an action on oneself ``self``.
    """
    rows = [
        (
            info.lab,
            info.video,
            name_animal(watched.agent),
            name_target(watched.agent, watched.target),
            watched.action,
        )
        for info in videos
        for watched in info.watched
    ]
    schema = dict.fromkeys(WATCHED_COLUMNS, pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _all_watched(tables: Tables, watched: Any) -> pl.DataFrame:
    """Return what was listed, labelled or given as watched."""
    sources = [tables.labels.select("lab", "video", entry=ENTRY)]
    if tables.lists["listed"].dtype == pl.String:
        given = pl.col("listed").str.strip_chars().str.to_lowercase()
        lists = tables.lists.filter(~given.is_in(["", "nan", "null"]))
        sources.append(clean_entries(read_lists(lists)))
    if watched is not None:
        sources.append(watched_entries(watched))
    return pl.concat(sources).unique()
