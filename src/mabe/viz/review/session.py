"""What lies on the session: the recordings to review, those open, and their labels.

Recordings are opened when they are asked for and a few are kept; the model looks
at one after the other in the background, so that poses can be seen at once. What it
found is kept on disk, because looking at hours takes minutes.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mabe.bouts import Bout, Watched
from mabe.data.quantization import MISSING, STEP_CM
from mabe.data.sources import Source
from mabe.data.store import PoseStore
from mabe.decoding.views import Lane
from mabe.errors import DataError, MabeError
from mabe.recording import StoredRecording, VideoInfo
from mabe.scene_task import TaskKind
from mabe.skeleton import KEYPOINTS, animal_of, keypoint_of
from mabe.viz.colours import Colour, animal_colours, colours_of
from mabe.viz.review.corrections import Corrections
from mabe.viz.review.skeleton_drawing import bone_places, bounds_cm, pairs_of
from mabe.viz.review.timeline import (
    ViewTimeline,
    doubt_per_minute,
    read_timeline,
    write_timeline,
)

KEPT_OPEN = 3
"""Recordings in memory; ten hours of two animals are about 50 MB each."""


MOST_POSE_FRAMES = 4096
"""Frames that are sent at once."""


Look = Callable[[PoseStore, int], Iterable[Lane]]


@dataclass(frozen=True, slots=True)
class Row:
    """One answer as the page shows it, and what people call it."""

    name: str
    answer: int | None
    """None: what the model is not asked for."""
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What a model is asked, as the page has to know it."""

    kind: TaskKind
    answers: tuple[str, ...]
    actions_of: tuple[tuple[str, ...], ...]
    """Of each answer, the labels that stand for it."""
    thresholds: tuple[float, ...]
    rate_fps: float


@dataclass(frozen=True, slots=True)
class Open:
    """A recording in memory."""

    store: PoseStore
    index: int
    marks: "Future[list[ViewTimeline]]"

    @property
    def about(self) -> StoredRecording:
        """What is known of it."""
        return self.store.recordings[self.index]


class Conflict(Exception):
    """Labels were changed elsewhere since they were read."""


@dataclass(slots=True)
class ReviewSession:
    """A session of reviewing."""

    questions: Questions
    sources: list[Source]
    infos: dict[str, VideoInfo]
    """What the metadata say of recordings, by name."""
    look: Look
    corrections: Corrections
    learned: frozenset[str] = frozenset()
    """Content hashes of the tracks that the model learned from."""
    cache: Path | None = None
    """Folder of what was found before."""
    cache_key: str = ""
    """Hash of the model."""
    video: Path | None = None
    """Film of one of the recordings."""
    video_of: str = ""
    """The name of that recording."""
    pixels_per_cm: float | None = None
    doubts: dict[int, float] = field(default_factory=dict)
    """Of recordings that were looked at: expected wrong seconds a minute."""
    _open: "OrderedDict[int, Open]" = field(default_factory=OrderedDict)
    _versions: dict[int, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _opening: dict[int, threading.Lock] = field(default_factory=dict)
    _worker: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "mabe-look")
    )

    def listing(self) -> list[dict[str, Any]]:
        """Return the recordings for the page to choose from."""
        return [
            {
                "index": index,
                "name": source.name,
                "hasLabels": source.has_labels,
                "doubt": self.doubts.get(index),
            }
            for index, source in enumerate(self.sources)
        ]

    def open(self, index: int) -> Open:
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
                future = self._worker.submit(self._find, index, store, place)
                opened = self._open[index] = Open(store, place, future)
                while len(self._open) > KEPT_OPEN:
                    _, closed = self._open.popitem(last=False)
                    closed.marks.cancel()
            return opened

    def reorder(self, order: Sequence[int]) -> None:
        """Put the recordings into another order, before anybody looks at them."""
        with self._lock:
            place = {index: number for number, index in enumerate(order)}
            self.sources = [self.sources[index] for index in order]
            self.doubts = {place[i]: doubt for i, doubt in self.doubts.items()}
            self._open = OrderedDict((place[i], o) for i, o in self._open.items())

    def close(self) -> None:
        """Forget what is not begun yet."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def describe(self, index: int) -> dict[str, Any]:
        """Return what the page has to know of a recording, besides what was found."""
        opened = self.open(index)
        about = opened.about
        info = self.infos.get(about.name)
        rows = self.rows(about, self.labels(index))
        scale = self.pixels_per_cm or (info.pixels_per_cm if info else None)
        has_video = bool(self.video and self.video_of == about.name and scale)
        return {
            "index": index,
            "name": about.name,
            "kind": self.questions.kind,
            "fps": about.fps,
            "frames": about.native_length,
            "poseFps": opened.store.rate_fps,
            "poseFrames": about.length,
            "stepCm": STEP_CM,
            "missing": MISSING,
            "mostPoseFrames": MOST_POSE_FRAMES,
            "points": [
                {
                    "animal": animal_of(slot),
                    "name": KEYPOINTS[keypoint_of(slot)],
                }
                for slot in about.slots
            ],
            "bones": bone_places(about.slots),
            "bounds": bounds_cm(opened.store, opened.index),
            "animalColours": [_plain(each) for each in animal_colours()],
            "rows": [
                {
                    "name": row.name,
                    "answer": row.answer,
                    "actions": list(row.actions),
                    "threshold": None
                    if row.answer is None
                    else self.questions.thresholds[row.answer],
                    "colour": colour,
                }
                for row, colour in zip(rows, self._colours(rows), strict=True)
            ],
            "pairs": [list(pair) for pair in pairs_of(about)],
            "bouts": [_bout_row(bout) for bout in self.labels(index)],
            "version": self.version(index),
            "corrected": self._corrected(about, info) is not None,
            "learned": about.tracking_hash in self.learned,
            "video": has_video,
            "pixelsPerCm": scale,
            "originCm": list(about.origin_cm),
        }

    def found(self, index: int) -> dict[str, Any]:
        """Return what was found, or how far that is."""
        state = self.state(index)
        if state != "ready":
            return {"state": state}
        marks = self.open(index).marks
        if error := marks.exception():
            if not isinstance(error, MabeError):
                raise error
            return {"state": "failed", "error": str(error)}
        return {
            "state": "ready",
            "answers": len(self.questions.answers),
            "lanes": [
                {
                    "agent": each.agent,
                    "target": each.target,
                    "bouts": each.bouts(),
                    "doubts": [[d.start, d.stop, d.wrong_s] for d in each.doubts],
                }
                for each in marks.result()
            ],
        }

    def state(self, index: int) -> Literal["working", "ready"]:
        """Tell whether the model has looked at a recording."""
        return "ready" if self.open(index).marks.done() else "working"

    def poses(self, index: int, start: int, stop: int) -> bytes:
        """Return poses in steps, little-endian, [frame, slot, xy]; at most so many."""
        opened = self.open(index)
        start = min(max(start, 0), opened.about.length)
        stop = min(max(stop, start), opened.about.length, start + MOST_POSE_FRAMES)
        steps = opened.store.quantized(opened.index)[start:stop]
        return np.ascontiguousarray(steps, "<i2").tobytes()

    def probabilities(
        self, index: int, lane: int, start: int, stop: int, columns: int
    ) -> tuple[int, int, bytes]:
        """Return a window of probabilities: first frame, frames a column, and bytes."""
        marks = self.open(index).marks
        if not marks.done():
            raise DataError("the model is still looking")
        first, step, values = marks.result()[lane].window(start, stop, columns)
        return first, step, values.tobytes()

    def labels(self, index: int) -> tuple[Bout, ...]:
        """Return what people say: corrections where there are some, else the data."""
        about = self.open(index).about
        corrected = self._corrected(about, self.infos.get(about.name))
        return about.bouts if corrected is None else corrected

    def version(self, index: int) -> int:
        """Return how often a recording's labels were changed in this session."""
        return self._versions.get(index, 0)

    def save(self, index: int, bouts: Sequence[Bout], version: int) -> tuple[int, Path]:
        """Write a recording's labels, and return their new version and place.

        Raises `Conflict` where they were changed since `version`, and `DataError`
        where a bout is not of this recording.
        """
        about = self.open(index).about
        animals = {animal for pair in pairs_of(about) for animal in pair}
        for bout in bouts:
            if (
                bout.stop > about.native_length
                or not {
                    bout.agent,
                    bout.target,
                }
                <= animals
            ):
                raise DataError(
                    f"{about.name}: expected bouts of animals {sorted(animals)} in "
                    f"{about.native_length} frames, found {bout}"
                )
        info = self.infos.get(about.name) or _info_of(about)
        with self._lock:
            if version != self.version(index):
                raise Conflict
            path = self.corrections.save(info, bouts, self.watchable(about))
            self._versions[index] = version + 1
            return version + 1, path

    def watchable(self, about: StoredRecording) -> list[Watched]:
        """Return all that can be marked in a recording."""
        if about.watched:
            return sorted(about.watched)
        actions = {a for row in self.questions.actions_of for a in row}
        return sorted(
            Watched(agent, target, action)
            for agent, target in pairs_of(about)
            for action in actions
            if self.questions.kind.is_directed or agent < target
        )

    def rows(self, about: StoredRecording, bouts: Iterable[Bout]) -> list[Row]:
        """Return a row for each answer, and one for each label beside them."""
        used = {b.action for b in bouts} | {w.action for w in about.watched}
        rows = [
            Row(name, answer, actions)
            for answer, (name, actions) in enumerate(
                zip(self.questions.answers, self.questions.actions_of, strict=True)
            )
        ]
        known = {action for row in rows for action in row.actions}
        if self.questions.kind.has_background and not used & set(rows[0].actions):
            rows = rows[1:]
        if len(rows) > 8:  # of many actions those that somebody looked for
            rows = [row for row in rows if used & set(row.actions)] or rows
        return rows + [Row(action, None, (action,)) for action in sorted(used - known)]

    def _colours(self, rows: Sequence[Row]) -> list[dict[str, str]]:
        colours = colours_of(
            self.questions.answers, has_background=self.questions.kind.has_background
        )
        other = Colour("#6b7280", "#9aa3af")
        return [
            _plain(other if row.answer is None else colours[row.answer]) for row in rows
        ]

    def _corrected(
        self, about: StoredRecording, info: VideoInfo | None
    ) -> tuple[Bout, ...] | None:
        return self.corrections.read(about.lab, about.video, info or _info_of(about))

    def _find(self, index: int, store: PoseStore, place: int) -> list[ViewTimeline]:
        """Look at a recording, unless what is there is known."""
        about = store.recordings[place]
        path = self.cache and self.cache / f"{self.cache_key}-{_key_of(about)}.npz"
        marks = read_timeline(path) if path else None
        if marks is None:
            lanes = self.look(store, place)
            marks = [ViewTimeline.of(lane, self.questions.kind) for lane in lanes]
            if path:
                write_timeline(path, marks)
        self.doubts[index] = doubt_per_minute(marks)
        return marks


def _key_of(about: StoredRecording) -> str:
    """Return a hash of all that what is found depends on, besides the model."""
    seen = (about.tracking_hash, about.lab, about.fps, about.watched, about.bouts)
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:20]


def _info_of(about: StoredRecording) -> VideoInfo:
    """Return metadata of a recording from a prepared store, which has no files."""
    return VideoInfo(
        lab=about.lab,
        video=about.video,
        fps=about.fps,
        pixels_per_cm=1.0,
        watched=about.watched,
        animals=about.animals,
        has_labels=about.has_labels,
        tracking_path=Path(),
        annotation_path=None,
    )


def _bout_row(bout: Bout) -> list[Any]:
    return [bout.start, bout.stop, bout.action, bout.agent, bout.target]


def _plain(colour: Colour) -> dict[str, str]:
    return {"light": colour.on_light, "dark": colour.on_dark}
