"""Checks of a submission against the metadata of its videos.

The metadata are those of both tables of a folder in the Kaggle layout, or of one of
its tables (`test.csv`, `train.csv`).
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mabe.bouts import Watched, name_animal, name_target
from mabe.errors import DataError
from mabe.io.readers.kaggle import SPLITS, read_index
from mabe.io.submission.parse import WHOLE_NUMBER
from mabe.io.submission.problems import Problem, Severity, problems_of
from mabe.recording import VideoInfo
from mabe.skeleton import ANIMALS

PAST_END = 1.3
"""Number of durations of a video after which a bout is reported as past its end.

Durations in the metadata are often too short: of the 847 labelled videos of the
challenge 248 have labels after it, 27 by more than a quarter, 5 by more than this.
"""


_WATCHED_SCHEMA = dict.fromkeys(
    ("video_id", "agent_id", "target_id", "action"), pl.String
)


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """The metadata of a video that a submission is checked against."""

    watched: frozenset[Watched]
    """Empty: not given."""
    animals: frozenset[int]
    """Animals, counted from 1. Empty: not given."""
    frames: float | None
    """Approximate number of frames: frame rate times duration."""


def read_facts(metadata: Path) -> dict[str, VideoFacts]:
    """Return the facts of each video by its id.

    Raises `DataError` when there is no metadata table or a row cannot be read.
    """
    if metadata.suffix == ".csv":
        if not metadata.is_file():
            raise DataError(
                f"{metadata}: no such metadata table; expected a train.csv or "
                "test.csv, or the folder they are in."
            )
        folder, splits = metadata.parent, [metadata.stem]
    else:
        folder, splits = metadata, [*SPLITS]
    videos = read_index(folder, splits=tuple(splits))
    rows = _table_rows(folder, splits)
    facts: dict[str, VideoFacts] = {}
    for info in videos:
        found = _facts_of(info, rows[info.name])
        earlier = facts.get(info.video)
        facts[info.video] = _merge(earlier, found) if earlier else found
    return facts


def check_video_ids(
    table: pl.DataFrame, facts: dict[str, VideoFacts] | None
) -> list[Problem]:
    """Report videos that the metadata lack; without metadata, all but whole numbers."""
    is_number = pl.col("video_id").str.contains(WHOLE_NUMBER)
    is_known = pl.col("video_id").is_in(list(facts)) if facts else is_number
    unknown = table.filter(~is_known)
    return [
        *problems_of(
            unknown.filter(~is_number),
            "video_id",
            "video_id must be a whole number as in the metadata, found {video_id!r}",
        ),
        *problems_of(
            unknown.filter(is_number),
            "unknown video",
            "video {video_id} is not in the metadata",
        ),
    ]


def check_facts(table: pl.DataFrame, facts: dict[str, VideoFacts]) -> list[Problem]:
    """Report animals and frames that a video does not have."""
    return _check_animals_exist(table, facts) + _check_ends(table, facts)


def unwatched_rows(table: pl.DataFrame, facts: dict[str, VideoFacts]) -> pl.DataFrame:
    """Return the rows that the host leaves out, as they were not watched."""
    listed = [video for video, fact in facts.items() if fact.watched]
    watched = pl.DataFrame(
        [
            (
                video,
                name_animal(each.agent),
                name_target(each.agent, each.target),
                each.action,
            )
            for video in listed
            for each in facts[video].watched
        ],
        schema=_WATCHED_SCHEMA,
        orient="row",
    )
    rows = table.filter(pl.col("video_id").is_in(listed))
    return rows.join(watched, on=list(_WATCHED_SCHEMA), how="anti")


def report_unwatched(rows: pl.DataFrame) -> list[Problem]:
    """Report rows that the host leaves out."""
    return problems_of(
        rows,
        "unwatched",
        "{agent_id},{target_id},{action} was not watched in video {video_id}: the "
        "host leaves it out",
        Severity.WARNING,
    )


def _check_animals_exist(
    table: pl.DataFrame, facts: dict[str, VideoFacts]
) -> list[Problem]:
    """Report names such as mouse3 in videos of two mice."""
    listed = [video for video, fact in facts.items() if fact.animals]
    absent = pl.DataFrame(
        [
            (video, name_animal(animal))
            for video in listed
            for animal in range(1, ANIMALS + 1)
            if animal not in facts[video].animals
        ],
        schema={"video_id": pl.String, "animal": pl.String},
        orient="row",
    )
    return [
        problem
        for column in ("agent_id", "target_id")
        for problem in problems_of(
            table.join(
                absent,
                left_on=["video_id", column],
                right_on=["video_id", "animal"],
                how="semi",
            ),
            "unknown animal",
            f"video {{video_id}} has no {{{column}}}",
        )
    ]


def _check_ends(table: pl.DataFrame, facts: dict[str, VideoFacts]) -> list[Problem]:
    """Report bouts that end long after the video."""
    ends = pl.DataFrame(
        [
            (video, round(fact.frames))
            for video, fact in facts.items()
            if fact.frames is not None
        ],
        schema={"video_id": pl.String, "frames": pl.Int64},
        orient="row",
    )
    late = table.join(ends, on="video_id").filter(
        pl.col("stop") > PAST_END * pl.col("frames")
    )
    return problems_of(
        late,
        "past the end",
        "stop_frame {stop} is well past the end of video {video_id}, which by the "
        "metadata has {frames} frames",
        Severity.WARNING,
    )


def _table_rows(folder: Path, splits: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the rows of the metadata tables by the videos' names, as text."""
    rows: dict[str, dict[str, str]] = {}
    for split in splits:
        path = folder / f"{split}.csv"
        if not path.is_file():
            continue
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, restkey="", restval=""):
                name = f"{row['lab_id'].strip()}/{row['video_id'].strip()}"
                rows.setdefault(name, row)
    return rows


def _facts_of(info: VideoInfo, row: dict[str, str]) -> VideoFacts:
    named = {each.agent for each in info.watched}
    named |= {each.target for each in info.watched}
    described = _described_animals(row)
    return VideoFacts(
        watched=frozenset(info.watched),
        # Where a table describes no animal, it is not known which there are.
        animals=frozenset(described | named) if described else frozenset(),
        frames=_frames(info.fps, row.get("video_duration_sec", "")),
    )


def _described_animals(row: dict[str, str]) -> set[int]:
    """Return the animals that the metadata describe."""
    return {
        animal
        for animal in range(1, ANIMALS + 1)
        if any(
            value
            for column, value in row.items()
            if column.startswith(f"{name_animal(animal)}_")
        )
    }


def _frames(fps: float, duration_s: str) -> float | None:
    """Return the approximate number of frames; None where no duration is given."""
    try:
        frames = fps * float(duration_s)
    except ValueError:
        return None
    return frames if math.isfinite(frames) and frames > 0 else None


def _merge(one: VideoFacts, other: VideoFacts) -> VideoFacts:
    """Return the union of the facts of two labs' videos with one id."""
    are_known = one.frames is not None and other.frames is not None
    return VideoFacts(
        watched=one.watched | other.watched,
        animals=one.animals | other.animals,
        frames=max(one.frames or 0, other.frames or 0) if are_known else None,
    )
