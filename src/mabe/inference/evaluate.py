"""Scoring a model on labelled recordings it never saw."""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Bool

from mabe.bouts import (
    Bout,
    RecordingBouts,
    Watched,
    find_spans,
    name_animal,
    name_target,
)
from mabe.data.sources import find_sources, open_all
from mabe.data.store import PoseStore
from mabe.decoding.views import ViewPredictions
from mabe.errors import DataError
from mabe.inference.predict import Predictor
from mabe.metrics import challenge_table, score_table
from mabe.metrics.score_files import Report
from mabe.metrics.summary import Evaluation, Scores, score_video, summarise
from mabe.pair_task import watched_in_labels
from mabe.recording import StoredRecording

ENTRY_COLUMNS = dict.fromkeys(
    ("lab_id", "video_id", "agent_id", "target_id", "action"), pl.String
)


MARK_COLUMNS = {
    **dict.fromkeys(("video_id", "agent_id", "target_id", "action"), pl.String),
    **dict.fromkeys(("start_frame", "stop_frame"), pl.Int64),
}


SOLUTION_COLUMNS = {
    "lab_id": pl.String,
    **MARK_COLUMNS,
    "behaviors_labeled": pl.String,
}


@dataclass(slots=True)
class Unseen:
    """The recordings of a path that a model may be scored on, opened one by one.

    Counts what is left out, and why, as it goes.
    """

    predictor: Predictor
    path: Path
    include_training: bool = False
    skip_bad: bool = False
    only: frozenset[str] = frozenset()
    """Names of the recordings that are wanted, ``LAB/VIDEO``; all if none is named."""
    scored: int = field(default=0, init=False)
    unlabelled: int = field(default=0, init=False)
    learned: int = field(default=0, init=False)
    chose: int = field(default=0, init=False)

    def open(self) -> Iterator[tuple[PoseStore, int]]:
        """Yield a store and a recording's place in it."""
        origin = self.predictor.checkpoint
        sources = find_sources(self.path, rate_fps=self.predictor.rate_fps)
        if self.only:
            sources = [source for source in sources if source.name in self.only]
        labelled = [source for source in sources if source.has_labels]
        self.unlabelled = len(sources) - len(labelled)
        for store, index in open_all(labelled, skip_bad=self.skip_bad):
            about = store.recordings[index]
            if not self.predictor.task.is_annotated(about):
                self.unlabelled += 1
                continue
            if about.tracking_hash in origin.trained_on:
                self.learned += 1
                if not self.include_training:
                    continue
            self.chose += about.tracking_hash in {
                *origin.validated_on,
                *origin.tuned_on,
            }
            self.scored += 1
            yield store, index
        if not self.scored:
            raise DataError(
                f"{self.path}: nothing to score: of {len(sources)} recordings "
                f"{self.learned} were learned from and {self.unlabelled} have no frame "
                "that counts. Give labelled recordings the model never saw, or "
                "--include-training to see how well it remembers"
            )

    def notes(self) -> tuple[str, ...]:
        """Say what a reader has to know to judge the figures."""
        notes = [f"{self.scored} recordings scored"]
        if self.unlabelled:
            notes.append(f"{self.unlabelled} left out: no frame that counts")
        if self.learned and self.include_training:
            notes.append(
                f"{self.learned} of them were learned from: these figures are not "
                "honest ones"
            )
        elif self.learned:
            notes.append(f"{self.learned} left out: the model learned from them")
        if self.chose:
            notes.append(
                f"{self.chose} of them were held out during training and chose the "
                "best epoch, or thresholds, which flatters the figures a little"
            )
        return tuple(notes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found in unseen recordings, and what people say of them."""

    found: tuple[RecordingBouts, ...]
    solution: pl.DataFrame
    """What people marked, as the challenge's tables have it."""
    watched: pl.DataFrame

    @property
    def submission(self) -> pl.DataFrame:
        """What was found, as the challenge's tables have it."""
        rows = [row for video in self.found for row in _rows(video.video, video.bouts)]
        return pl.DataFrame(rows, schema=MARK_COLUMNS, orient="row")


def compare(unseen: Unseen) -> Comparison:
    """Mark unseen recordings; frames are the recordings' own.

    Actions to ignore are cut out of labels and predictions alike.
    """
    task = unseen.predictor.task
    found: list[RecordingBouts] = []
    solution: list[tuple[Any, ...]] = []
    watched: list[tuple[str, ...]] = []
    for store, index in unseen.open():
        about = store.recordings[index]
        entries = {
            each
            for each in watched_in_labels(about, actions=None, ignore=task.ignored)
            if task.is_scored(each.action)
        }
        listed = json.dumps(sorted(",".join(_names(entry)) for entry in entries))
        watched += [(about.lab, about.video, *_names(entry)) for entry in entries]
        labels = [b for b in about.bouts if _entry(b) in entries]
        kept = _counted_frames(about, task.ignored)
        solution += [
            (about.lab, *row, listed) for row in _rows(about.video, _cut(labels, kept))
        ]
        marked = unseen.predictor.predict_bouts(store, index)
        found.append(replace(marked, bouts=tuple(_cut(marked.bouts, kept))))
    return Comparison(
        tuple(found),
        pl.DataFrame(solution, schema=SOLUTION_COLUMNS, orient="row"),
        pl.DataFrame(watched, schema=ENTRY_COLUMNS, orient="row"),
    )


def evaluate_pairs(unseen: Unseen) -> Report:
    """Score who does what to whom, by the challenge's rules and the strict ones.

    Raises `DataError` where no recording is left to score.
    """
    tables = compare(unseen)
    submission = tables.submission
    return Report(
        challenge_table(tables.solution, submission, may_be_empty=True),
        score_table(tables.solution, submission, tables.watched),
        unseen.notes(),
    )


def _counted_frames(
    about: StoredRecording, ignored: Collection[str]
) -> Bool[np.ndarray, " frame"]:
    kept = np.ones(about.native_length, bool)
    for bout in about.bouts:
        if bout.action in ignored:
            kept[bout.start : bout.stop] = False
    return kept


def _cut(bouts: Iterable[Bout], kept: Bool[np.ndarray, " frame"]) -> Iterator[Bout]:
    """Yield what is left of bouts in the frames that are kept."""
    for bout in bouts:
        for start, stop in bout.start + find_spans(kept[bout.start : bout.stop]):
            yield replace(bout, start=int(start), stop=int(stop))


def _rows(
    video: str, bouts: Iterable[Bout]
) -> list[tuple[str, str, str, str, int, int]]:
    """Return bouts as rows of the challenge's tables."""
    return [(video, *_names(_entry(b)), b.start, b.stop) for b in bouts]


def _entry(bout: Bout) -> Watched:
    return Watched(bout.agent, bout.target, bout.action)


def _names(entry: Watched) -> tuple[str, str, str]:
    """Return agent, target and action as the challenge writes them."""
    target = name_target(entry.agent, entry.target)
    return name_animal(entry.agent), target, entry.action


def evaluate(unseen: Unseen) -> Scores:
    """Score a model of any task on recordings it was not trained on.

    Raises `DataError` where no recording is left to score.
    """
    if unseen.predictor.task.kind.is_scored_by_lab:
        return evaluate_pairs(unseen)
    return summarise(evaluate_scenes(unseen))


def evaluate_scenes(unseen: Unseen) -> Evaluation:
    """Score a scene model, frame by frame and bout by bout.

    Raises `DataError` where no recording is left to score.
    """
    classes = unseen.predictor.task.classes
    videos = [
        score_video(
            view.lab, view.video, view.class_labels, view.decisions, len(classes)
        )
        for view in predict_unseen(unseen)
    ]
    return Evaluation(classes, tuple(videos), unseen.notes())


def predict_unseen(unseen: Unseen) -> Iterator[ViewPredictions]:
    """Yield the predictions of all views of unseen recordings.

    Raises `ConfigError` where labels have actions that the task excludes.
    """
    predictor = unseen.predictor
    for store, index in unseen.open():
        actions = {bout.action for bout in store.recordings[index].bouts}
        predictor.task.check_actions(actions)
        yield from predictor.predict_views(store, index)
