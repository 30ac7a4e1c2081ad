"""A review session: its recordings, those in memory, predictions and labels.

Recordings are opened on request and a few are kept in memory. They are predicted one
after the other in the background, so that poses are shown at once. Predictions are
cached on disk, because predicting hours of tracks takes minutes.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mabe.bouts import (
    Bout,
    Coverage,
    Watched,
    WatchedSpan,
    find_spans,
    gaps_between,
    join_coverage,
    spans_of,
)
from mabe.data.sources import Source
from mabe.data.store import PoseStore
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import DataError, MabeError
from mabe.recording import StoredRecording, VideoInfo
from mabe.scene_task import TaskKind
from mabe.viz.colours import OTHER_ACTION, colours_of
from mabe.viz.review.compact_timeline import (
    ViewTimeline,
    errors_per_minute,
    read_timelines,
    write_timelines,
)
from mabe.viz.review.corrections import Conflict, CorrectedLabels, Corrections
from mabe.viz.review.skeleton_drawing import pairs_of
from mabe.viz.review.tracks import pose_window, tracks_json

KEPT_OPEN = 3
"""Recordings in memory; ten hours of two animals are about 50 MB each."""


PredictViews = Callable[[PoseStore, int], Iterable[ViewPredictions]]
"""Predicts one recording of a store."""


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """A class as the page shows it, with the actions that annotators mark for it."""

    name: str
    class_index: int | None
    """None: an action that the model does not predict."""
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOutputs:
    """What a model predicts, as the page needs it."""

    kind: TaskKind
    classes: tuple[str, ...]
    actions_of: tuple[tuple[str, ...], ...]
    """Of each class the annotated actions that count as it."""
    thresholds: tuple[float, ...]
    rate_fps: float


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """A recording in memory."""

    store: PoseStore
    index: int
    timelines: "Future[list[ViewTimeline]]"
    """Its predictions, once they are computed."""

    @property
    def recording(self) -> StoredRecording:
        """The recording's facts and labels."""
        return self.store.recordings[self.index]


@dataclass(slots=True)
class ReviewSession:
    """A session of reviewing."""

    outputs: ModelOutputs
    sources: list[Source]
    infos: dict[str, VideoInfo]
    """Metadata of recordings, by name."""
    predict_views: PredictViews
    corrections: Corrections
    trained_on: frozenset[str] = frozenset()
    """Content hashes of the tracks that the model learned from."""
    cache: Path | None = None
    """Folder of cached predictions."""
    cache_key: str = ""
    """Hash of the model."""
    video: Path | None = None
    """Video of one of the recordings."""
    video_of: str = ""
    """The name of that recording."""
    pixels_per_cm: float | None = None
    uncertainty: dict[int, float] = field(default_factory=dict)
    """Of predicted recordings: expected wrong seconds a minute."""
    _open: "OrderedDict[int, OpenRecording]" = field(default_factory=OrderedDict)
    _versions: dict[int, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _opening: dict[int, threading.Lock] = field(default_factory=dict)
    _worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "mabe-predict")
    )

    def listing(self) -> list[dict[str, Any]]:
        """Return the recordings for the page to choose from."""
        return [
            {
                "index": index,
                "name": source.name,
                "hasLabels": source.has_labels,
                "uncertainty": self.uncertainty.get(index),
            }
            for index, source in enumerate(self.sources)
        ]

    def open(self, index: int) -> OpenRecording:
        """Return a recording, read where it is not in memory.

        Raises `DataError` where it cannot be read.
        """
        with self._lock:
            opening = self._opening.setdefault(index, threading.Lock())
        with opening:
            with self._lock:
                if index in self._open:
                    self._open.move_to_end(index)
                    return self._open[index]
            store, place = self.sources[index].open()
            with self._lock:
                future = self._worker.submit(self._predict, index, store, place)
                opened = self._open[index] = OpenRecording(store, place, future)
                while len(self._open) > KEPT_OPEN:
                    _, closed = self._open.popitem(last=False)
                    closed.timelines.cancel()
            return opened

    def reorder(self, order: Sequence[int]) -> None:
        """Put the recordings into another order, before the page lists them."""
        with self._lock:
            place = {index: number for number, index in enumerate(order)}
            self.sources = [self.sources[index] for index in order]
            self.uncertainty = {
                place[index]: wrong_s for index, wrong_s in self.uncertainty.items()
            }
            self._open = OrderedDict((place[i], o) for i, o in self._open.items())

    def close(self) -> None:
        """Cancel predictions that have not started."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def describe(self, index: int) -> dict[str, Any]:
        """Return what the page shows of a recording, without predictions."""
        opened = self.open(index)
        recording = opened.recording
        info = self.infos.get(recording.name)
        labels = self.labels(index)
        rows = self.rows(recording, labels.bouts)
        scale = self.pixels_per_cm or (info.pixels_per_cm if info else None)
        has_video = bool(self.video and self.video_of == recording.name and scale)
        return {
            **tracks_json(opened.store, opened.index),
            "index": index,
            "isDirected": self.outputs.kind.is_directed,
            "hasLabels": recording.has_labels,
            "rows": [self._row_json(row) for row in rows],
            "pairs": [list(pair) for pair in pairs_of(recording)],
            "bouts": [_span_row(bout) for bout in labels.bouts],
            "watched": self._watched_spans(recording, labels),
            "coverage": [_span_row(span) for span in labels.coverage or ()],
            "version": self.version(index),
            "corrected": self._corrected(recording, info) is not None,
            "trainedOn": recording.tracking_hash in self.trained_on,
            "video": has_video,
            "pixelsPerCm": scale,
        }

    def predictions(self, index: int) -> dict[str, Any]:
        """Return the predicted bouts and uncertain spans, or the state until then."""
        state = self.state(index)
        if state != "ready":
            return {"state": state}
        timelines = self.open(index).timelines
        if error := timelines.exception():
            if not isinstance(error, MabeError):
                raise error
            return {"state": "failed", "error": str(error)}
        return {
            "state": "ready",
            "classes": len(self.outputs.classes),
            "views": [
                {
                    "agent": each.agent,
                    "target": each.target,
                    "bouts": each.bouts(),
                    "uncertain": [[s.start, s.stop, s.wrong_s] for s in each.uncertain],
                }
                for each in timelines.result()
            ],
        }

    def state(self, index: int) -> Literal["working", "ready"]:
        """Return whether a recording is predicted already."""
        return "ready" if self.open(index).timelines.done() else "working"

    def poses(self, index: int, start: int, stop: int) -> bytes:
        """Return a window of poses, see `pose_window`."""
        opened = self.open(index)
        return pose_window(opened.store, opened.index, start, stop)

    def probabilities(
        self, index: int, view: int, start: int, stop: int, columns: int
    ) -> tuple[int, int, bytes]:
        """Return a window of probabilities: first frame, frames a column, and bytes."""
        timelines = self.open(index).timelines
        if not timelines.done():
            raise DataError("the recording is still being predicted")
        first, step, values = timelines.result()[view].window(start, stop, columns)
        return first, step, values.tobytes()

    def labels(self, index: int) -> CorrectedLabels:
        """Return the corrected labels where there are some, else those of the data.

        Nothing was watched yet in a recording without annotations.
        """
        recording = self.open(index).recording
        with self._lock:
            if self.corrections.is_changed(recording.lab, recording.video):
                # What windows show that are open is no longer what is there.
                self._versions[index] = self.version(index) + 1
            corrected = self._corrected(recording, self.infos.get(recording.name))
        if corrected is not None:
            return corrected
        coverage = recording.coverage if recording.has_labels else ()
        return CorrectedLabels(recording.bouts, coverage)

    def _watched_spans(
        self, recording: StoredRecording, labels: CorrectedLabels
    ) -> list[list[int]] | None:
        """Return the spans in which everything was watched for; None: all the time."""
        if labels.coverage is None:
            return None
        is_watched = np.ones(recording.native_length, bool)
        for each in self.watchable(recording):
            spans = spans_of(labels.coverage, each)
            for start, stop in gaps_between(spans, recording.native_length):
                is_watched[start:stop] = False
        spans_list: list[list[int]] = find_spans(is_watched).tolist()
        return spans_list

    def version(self, index: int) -> int:
        """Return how often a recording's labels were saved in this session."""
        return self._versions.get(index, 0)

    def save(
        self,
        index: int,
        bouts: Sequence[Bout],
        version: int,
        watched: Sequence[tuple[int, int]] | None = None,
    ) -> tuple[int, Path]:
        """Write a recording's labels, and return their new version and place.

        `watched` are the spans in which everything was watched for; None: all the time.
        Outside of them the frames of a bout, and those that the data say were watched,
        are known too. Raises `Conflict` where they were changed since `version`, and
        `DataError` where a bout is not of this recording.
        """
        recording = self.open(index).recording
        animals = {animal for pair in pairs_of(recording) for animal in pair}
        for bout in bouts:
            if (
                bout.stop > recording.native_length
                or not {
                    bout.agent,
                    bout.target,
                }
                <= animals
            ):
                raise DataError(
                    f"{recording.name}: expected bouts of animals {sorted(animals)} in "
                    f"{recording.native_length} frames, found {bout}"
                )
        for start, stop in watched or ():
            if not 0 <= start < stop <= recording.native_length:
                raise DataError(
                    f"{recording.name}: expected watched spans within "
                    f"{recording.native_length} frames, found {start} to {stop}"
                )
        info = self.infos.get(recording.name) or _info_of(recording)
        with self._lock:
            if version != self.version(index):
                raise Conflict  # saved in another window; elsewhere: `Corrections`
            labels = CorrectedLabels(
                tuple(bouts), self._coverage(recording, bouts, watched)
            )
            path = self.corrections.save(
                info, labels, self.watchable(recording), only_unchanged=True
            )
            self._versions[index] = version + 1
            return version + 1, path

    def _coverage(
        self,
        recording: StoredRecording,
        bouts: Sequence[Bout],
        watched: Sequence[tuple[int, int]] | None,
    ) -> Coverage | None:
        """Return when was watched for what, given what a reviewer has watched."""
        if watched is None:
            return None
        of_data = recording.coverage if recording.has_labels else ()
        of_bouts = (
            WatchedSpan(bout.start, bout.stop, bout.action, bout.agent, bout.target)
            for bout in bouts
        )
        of_reviewer = (
            WatchedSpan(start, stop, each.action, each.agent, each.target)
            for start, stop in watched
            for each in self.watchable(recording)
        )
        return join_coverage((*(of_data or ()), *of_bouts, *of_reviewer))

    def watchable(self, recording: StoredRecording) -> list[Watched]:
        """Return all that can be annotated in a recording."""
        if recording.watched:
            return sorted(recording.watched)
        actions = {a for row in self.outputs.actions_of for a in row}
        return sorted(
            Watched(agent, target, action)
            for agent, target in pairs_of(recording)
            for action in actions
            if self.outputs.kind.is_directed or agent < target
        )

    def rows(
        self, recording: StoredRecording, bouts: Iterable[Bout]
    ) -> list[TimelineRow]:
        """Return a row for each class, and one for each other annotated action."""
        used = {b.action for b in bouts} | {w.action for w in recording.watched}
        rows = [
            TimelineRow(name, index, actions)
            for index, (name, actions) in enumerate(
                zip(self.outputs.classes, self.outputs.actions_of, strict=True)
            )
        ]
        known = {action for row in rows for action in row.actions}
        if self.outputs.kind.has_background and not used & set(rows[0].actions):
            rows = rows[1:]
        if len(rows) > 8:  # of many actions those that were watched for
            rows = [row for row in rows if used & set(row.actions)] or rows
        others = [
            TimelineRow(action, None, (action,)) for action in sorted(used - known)
        ]
        return rows + others

    def _row_json(self, row: TimelineRow) -> dict[str, Any]:
        kind, classes = self.outputs.kind, self.outputs.classes
        index, threshold, colour = row.class_index, None, OTHER_ACTION
        if index is not None:
            threshold = self.outputs.thresholds[index]
            colour = colours_of(classes, has_background=kind.has_background)[index]
        return {
            "name": row.name,
            "classIndex": index,
            "hasBouts": index in kind.bout_classes(len(classes)),
            "actions": list(row.actions),
            "threshold": threshold,
            "colour": colour.to_json(),
        }

    def _corrected(
        self, recording: StoredRecording, info: VideoInfo | None
    ) -> CorrectedLabels | None:
        return self.corrections.read(
            recording.lab, recording.video, info or _info_of(recording)
        )

    def _predict(self, index: int, store: PoseStore, place: int) -> list[ViewTimeline]:
        """Return the predictions of a recording, from the cache if it has them."""
        recording = store.recordings[place]
        path = self.cache and self.cache / f"{self.cache_key}-{_key_of(recording)}.npz"
        timelines = read_timelines(path) if path else None
        if timelines is None:
            views = self.predict_views(store, place)
            timelines = [ViewTimeline.of(view) for view in views]
            if path:
                write_timelines(path, timelines)
        self.uncertainty[index] = errors_per_minute(timelines)
        return timelines


def _key_of(recording: StoredRecording) -> str:
    """Return a hash of everything that predictions depend on, besides the model."""
    inputs = (
        recording.tracking_hash,
        recording.lab,
        recording.fps,
        recording.watched,
        recording.bouts,
        recording.coverage,
        "spans that differ from annotations come first",
    )
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:20]


def _info_of(recording: StoredRecording) -> VideoInfo:
    """Return metadata of a recording from a prepared store, which has no files."""
    return VideoInfo(
        lab=recording.lab,
        video=recording.video,
        fps=recording.fps,
        pixels_per_cm=1.0,
        watched=recording.watched,
        animals=recording.animals,
        has_labels=recording.has_labels,
        tracking_path=Path(),
        annotation_path=None,
    )


def _span_row(span: Bout | WatchedSpan) -> list[Any]:
    return [span.start, span.stop, span.action, span.agent, span.target]
