"""The score of the challenge, and a strict one without its quirks.

Task: predict which animal does what to whom, and when. A *solution* has one row for
each annotated bout (columns ``lab_id, video_id, agent_id, target_id, action,
start_frame, stop_frame, behaviors_labeled``), a *submission* one row for each predicted
bout (the same without the lab and the list). What `behaviors_labeled` lists of a video
was watched for; whether anything else happened is unknown.

The challenge is "MABe Challenge: Social Action Recognition in Mice" (Kaggle, 2025).

The strict score leaves out what raises the challenge's score without being correct;
`mabe_f_score` lists the differences.
"""

from collections.abc import Iterable
from typing import Any

import polars as pl

from mabe.bouts import name_animal, name_target
from mabe.metrics.challenge_tables import (
    ENTRY,
    WATCHED_COLUMNS,
    Tables,
    clean_entries,
    open_tables,
    read_lists,
    watched_entries,
)
from mabe.metrics.lab_action_scores import ScoreTable, score_bouts
from mabe.recording import VideoInfo


def mabe_f_score(solution: Any, submission: Any, beta: float = 1.0) -> float:
    """Return the challenge's score, between 0 and 1.

    Task: one F over frames for each lab and action, pooled over the lab's videos and
    pairs; the mean over a lab's actions; the mean over labs.

    Conventions:

    - Tables are frames of polars, pandas or pyarrow (or dicts of columns, or lists of
      rows). Ids are compared as text: video ``101`` is video ``"101"``.
    - Frames are half-open, ``start_frame <= frame < stop_frame``, and not clipped to
      the video.
    - Rows of one (video, agent, target, action) are one set of frames: repeats and
      overlaps count once. `self` and every other target are pairs of their own.
    - ``beta`` weighs recall that many times as much as precision.

    Quirks of the challenge's rules, and what `strict_f_score` does instead:

    1. A video without a row in the solution does not count, so whatever is predicted in
       a watched video in which nothing happened is free. *Strict: given what was
       watched, those frames are false positives.*
    2. A prediction of a watched action that is labelled nowhere in the lab adds an
       action of F = 0 to the lab's mean, even if it is of zero length. So does a label
       of zero length. *Strict: the mean is over the actions with a labelled frame,
       whatever is predicted.*
    3. What was watched in a video is what its first row in the solution (of that lab)
       lists, letter by letter. *Strict: what any of its rows lists, without stray
       quotes and spaces.*
    4. A label of an action that the list does not name still counts, and cannot be
       predicted: predictions of it are dropped. *Strict: what is labelled was watched.*
    5. An action is what stands after the last underscore of its name: ``social_sniff``
       counts for ``sniff``. *Strict: its whole name.*

    In both, predictions in unknown videos and of what was not watched for are dropped
    without a message (`score_table` counts them), and bouts of a video that several
    labs share count in each of them.

    Raises (all are `DataError`; the second kind is that of the organisers' code):

    - `HostVisibleError`: two watched actions of one agent and target in one frame.
    - `ValueError`: an empty table, a missing column of bouts, a list that is no JSON.
    - `AssertionError`: a bout that stops before it starts, counted or not.
    - `polars.exceptions.ColumnNotFoundError`: no lab or no list.
    - `TypeError`: frames that are no whole numbers, or an absent value.

    and, with ``beta=0``, `ZeroDivisionError` where nothing was predicted of an action.
    """
    return challenge_table(solution, submission).f_score(beta)


def challenge_table(
    solution: Any, submission: Any, *, may_be_empty: bool = False
) -> ScoreTable:
    """Return the counts behind `mabe_f_score`, which is the table's `f_score(beta)`.

    The host refuses an empty table; `may_be_empty` scores it as what it is.
    """
    tables = open_tables(
        solution, submission, lists_needed=True, may_be_empty=may_be_empty
    )
    return score_bouts(
        tables.labels.with_columns(counts_as=_AFTER_LAST_UNDERSCORE),
        tables.predictions.with_columns(counts_as=_AFTER_LAST_UNDERSCORE),
        _listed_first(tables),
        only_what_occurs=False,
    )


_AFTER_LAST_UNDERSCORE = pl.col("action").str.split("_").list.last()


def _listed_first(tables: Tables) -> pl.DataFrame:
    """Return what the first row of each lab's video lists."""
    first = tables.lists.unique(["lab", "video"], keep="first", maintain_order=True)
    return read_lists(first)


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

    `watched` names what was watched for in each video (``lab_id, video_id,
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
    return score_bouts(
        tables.labels.with_columns(counts_as="action"),
        tables.predictions.with_columns(counts_as="action"),
        _all_watched(tables, watched),
        only_what_occurs=True,
    )


def watched_table(videos: Iterable[VideoInfo]) -> pl.DataFrame:
    """Return what was watched for in some videos, by the challenge's names.

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
