"""Scores of a model on labelled recordings that it was not trained on."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import polars as pl
from jaxtyping import Bool

from mabe.bouts import (
    Bout,
    RecordingBouts,
    Watched,
    covered_bouts,
    find_spans,
    name_animal,
    name_target,
)
from mabe.data.sources import Source, find_sources, leave_out, report_opened
from mabe.data.store import PoseStore
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError
from mabe.inference.predict import Predictor, executor_for
from mabe.metrics import challenge_table
from mabe.metrics.challenge import score_table
from mabe.metrics.score_files import Report
from mabe.metrics.summary import (
    Evaluation,
    Scores,
    VideoScore,
    score_video,
    summarise,
)
from mabe.pair_task import watched_in_labels
from mabe.recording import StoredRecording
from mabe.runtime.console import count, progress_bar
from mabe.runtime.executors import Executor, in_order
from mabe.runtime.tensors import limited_threads

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


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    """What is the same for all recordings of an evaluation."""

    predictor: Predictor
    include_training: bool
    work: Callable[[Predictor, PoseStore, int], T]
    threads: int | None


@dataclass(frozen=True, slots=True)
class _Outcome(Generic[T]):
    """One recording, and what the work returned; None where it is not scored."""

    recording: StoredRecording
    is_annotated: bool
    was_trained_on: bool
    result: T | None


def _process(job: _Job[T], source: Source) -> "_Outcome[T] | str":
    """Do the work for one recording; return the reason where it cannot be read."""
    try:
        with source.fetched() as local:
            store, index = local.open()
    except DataError as error:
        return str(error)
    recording = store.recordings[index]
    is_annotated = job.predictor.task.is_annotated(recording)
    was_trained_on = recording.tracking_hash in job.predictor.checkpoint.trained_on
    result = None
    if is_annotated and (job.include_training or not was_trained_on):
        with limited_threads(job.threads):
            result = job.work(job.predictor, store, index)
    return _Outcome(recording, is_annotated, was_trained_on, result)


@dataclass(slots=True)
class Unseen:
    """The labelled recordings of a path that a model was not trained on.

    Counts what is left out, and why, as it goes.
    """

    predictor: Predictor
    path: Path
    include_training: bool = False
    skip_bad: bool = False
    executor: Executor | None = None
    """None: all cores, where several recordings on a CPU take a while."""
    only: frozenset[str] = frozenset()
    """Names of the recordings that are wanted, ``LAB/VIDEO``; all if none is named."""
    scored: int = field(default=0, init=False)
    unlabelled: int = field(default=0, init=False)
    learned: int = field(default=0, init=False)
    chose: int = field(default=0, init=False)
    pretrained: int = field(default=0, init=False)

    def process(self, work: Callable[[Predictor, PoseStore, int], T]) -> Iterator[T]:
        """Yield what `work` returns for each recording, in the order of the recordings.

        Several recordings on a CPU are spread over processes, so `work` is a function
        of a module. Raises `DataError` where no recording is left to score, or, unless
        `skip_bad`, where one cannot be read.
        """
        sources = find_sources(
            self.path,
            rate_fps=self.predictor.rate_fps,
            usual_fps=self.predictor.usual_fps,
            with_labels=True,
        )
        if self.only:
            sources = [source for source in sources if source.name in self.only]
        labelled = [source for source in sources if source.has_labels]
        self.unlabelled = len(sources) - len(labelled)
        executor = self.executor or executor_for(self.predictor, len(labelled))
        job = _Job(self.predictor, self.include_training, work, executor.threads)
        opened: list[StoredRecording] = []
        with (
            closing(in_order(executor.run(_process, job, labelled))) as outcomes,
            progress_bar(total=len(labelled), desc="Scoring", unit="video") as bar,
        ):
            for source, outcome in zip(labelled, outcomes, strict=True):
                bar.update()
                if isinstance(outcome, str):
                    leave_out(source.name, outcome, skip_bad=self.skip_bad)
                    continue
                opened.append(outcome.recording)
                if self._is_scored(outcome):
                    assert outcome.result is not None
                    yield outcome.result
        report_opened(opened, len(labelled))
        if not self.scored:
            raise DataError(
                f"{self.path}: nothing to score: of {count(len(sources), 'recording')} "
                f"{self.learned} were trained on and {self.unlabelled} have no frame "
                "that counts. Give labelled recordings that the model was not trained "
                "on, or --include-training to score those too"
            )

    def _is_scored(self, outcome: "_Outcome[T]") -> bool:
        """Count an outcome, and return whether it is scored."""
        if not outcome.is_annotated:
            self.unlabelled += 1
            return False
        self.learned += outcome.was_trained_on
        if outcome.was_trained_on and not self.include_training:
            return False
        checkpoint = self.predictor.checkpoint
        chose = {*checkpoint.validated_on, *checkpoint.tuned_on}
        track = outcome.recording.tracking_hash
        self.chose += track in chose
        self.pretrained += track in checkpoint.pretrained_on
        self.scored += 1
        return True

    def notes(self) -> tuple[str, ...]:
        """Return notes that are needed to interpret the scores."""
        notes = [f"{count(self.scored, 'recording')} scored"]
        if self.unlabelled:
            notes.append(f"{self.unlabelled} left out: no frame that counts")
        if self.learned and self.include_training:
            notes.append(
                f"{self.learned} of them are training recordings: these scores are "
                "too high for new recordings"
            )
        elif self.learned:
            notes.append(f"{self.learned} left out: training recordings of the model")
        if self.chose:
            notes.append(
                f"{self.chose} of them were held out during training and chose the "
                "best epoch, or thresholds, so these scores are slightly too high"
            )
        if self.pretrained:
            notes.append(
                f"the poses of {self.pretrained} of them were used in pretraining, "
                "without labels, so these scores may be slightly too high"
            )
        return tuple(notes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Predicted and annotated bouts of unseen recordings."""

    predicted: tuple[RecordingBouts, ...]
    solution: pl.DataFrame
    """Annotated bouts, in the challenge's columns."""
    watched: pl.DataFrame

    @property
    def submission(self) -> pl.DataFrame:
        """Predicted bouts, in the challenge's columns."""
        rows = [
            row for video in self.predicted for row in _rows(video.video, video.bouts)
        ]
        return pl.DataFrame(rows, schema=MARK_COLUMNS, orient="row")


@dataclass(frozen=True, slots=True)
class _ComparedRecording:
    predicted: RecordingBouts
    solution: list[tuple[Any, ...]]
    watched: list[tuple[str, ...]]


def compare(unseen: Unseen) -> Comparison:
    """Predict unseen recordings; frames are the recordings' own.

    Actions to ignore, and frames in which an action was not watched for, are cut out of
    labels and predictions alike.
    """
    compared = list(unseen.process(_compare_recording))
    solution = [row for each in compared for row in each.solution]
    watched = [row for each in compared for row in each.watched]
    return Comparison(
        tuple(each.predicted for each in compared),
        pl.DataFrame(solution, schema=SOLUTION_COLUMNS, orient="row"),
        pl.DataFrame(watched, schema=ENTRY_COLUMNS, orient="row"),
    )


def _compare_recording(
    predictor: Predictor, store: PoseStore, index: int
) -> _ComparedRecording:
    task = predictor.task
    recording = store.recordings[index]
    lab, video = recording.lab, recording.video
    entries = {
        each
        for each in watched_in_labels(recording, actions=None, ignore=task.ignored)
        if task.is_scored(each.action)
    }
    listed = json.dumps(sorted(",".join(_names(entry)) for entry in entries))
    labels = [b for b in recording.bouts if _entry(b) in entries]
    kept = _counted_frames(recording, task.ignored)
    predicted = predictor.predict_bouts(store, index)
    known = covered_bouts(predicted.bouts, recording.coverage)
    true = covered_bouts(labels, recording.coverage)
    return _ComparedRecording(
        replace(predicted, bouts=tuple(_cut(known, kept))),
        solution=[(lab, *row, listed) for row in _rows(video, _cut(true, kept))],
        watched=[(lab, video, *_names(entry)) for entry in entries],
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
    videos = [score for scores in unseen.process(_score_views) for score in scores]
    classes = unseen.predictor.task.classes
    return Evaluation(classes, tuple(videos), unseen.notes())


def _score_views(
    predictor: Predictor, store: PoseStore, index: int
) -> list[VideoScore]:
    return [
        score_video(
            view.lab, view.video, view.class_labels, view.decisions, len(view.classes)
        )
        for view in _predict_views(predictor, store, index)
    ]


def predict_unseen(unseen: Unseen) -> Iterator[ViewPredictions]:
    """Yield the predictions of all views of unseen recordings.

    Raises `ConfigError` where labels have actions that the task excludes.
    """
    for views in unseen.process(_predict_views):
        yield from views


def predict_annotated(unseen: Unseen) -> list[ViewPredictions]:
    """Return predictions of the annotated views of unseen recordings, to tune rules on.

    They are at the working rate. Raises `DataError` where no recording is left, and
    `ConfigError` where labels have actions that the task excludes.
    """
    return [view for views in unseen.process(_annotated_views) for view in views]


def _annotated_views(
    predictor: Predictor, store: PoseStore, index: int
) -> list[ViewPredictions]:
    predictor.task.check_actions({b.action for b in store.recordings[index].bouts})
    return list(predictor.annotated_views(store, index))


def _predict_views(
    predictor: Predictor, store: PoseStore, index: int
) -> list[ViewPredictions]:
    predictor.task.check_actions({b.action for b in store.recordings[index].bouts})
    return list(predictor.predict_views(store, index))
