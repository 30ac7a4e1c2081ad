"""A project on the page: its recordings, labels, rounds and suggestions."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mabe.bouts import Bout, WatchedSpan, watched_frames
from mabe.data.poses_in_cm import MISSING, STEP_CM
from mabe.data.store import PoseStore, from_recording, is_store, open_store
from mabe.errors import DataError, MabeError
from mabe.io.project import Project, parse_project, project_beside
from mabe.io.project_edits import edit_yaml
from mabe.io.readers.kaggle import read_recording
from mabe.recording import StoredRecording, VideoInfo
from mabe.runtime.documents import parse_yaml
from mabe.runtime.file_names import problem_with_name
from mabe.runtime.files import make_folder, write_bytes
from mabe.skeleton import LANDMARKS, RODENT
from mabe.viz.colours import Colour, animal_colours, colours_of
from mabe.viz.review.compact_timeline import ViewTimeline
from mabe.viz.review.session import KEPT_OPEN, MOST_POSE_FRAMES
from mabe.viz.review.skeleton_drawing import BodyDrawing, bounds_cm, zone_outlines
from mabe.viz.studio.ethogram import Ethogram, read_ethogram, write_ethogram
from mabe.viz.studio.film_jobs import playable_film
from mabe.viz.studio.incoming import (
    Incoming,
    Prefer,
    compare,
    edit_of,
    fitting,
    joined_ethogram,
    load_incoming,
    unknown_recordings,
    way_back,
)
from mabe.viz.studio.jobs import Job, What, start_job
from mabe.viz.studio.label_edits import LabelEdit, StudioLabels
from mabe.viz.studio.label_files import LabelFiles, span_row
from mabe.viz.studio.project_folder import StudioProject, open_project
from mabe.viz.studio.round_views import RoundViews, view_pairs
from mabe.viz.studio.rounds import Round, finished_rounds, reasons_not_ready
from mabe.viz.studio.settings import Change, change_values, settled
from mabe.viz.studio.settling import decide, propose
from mabe.viz.studio.stretches import Stretches, labelled_share
from mabe.viz.studio.suggest import StretchScores, suggest

MOST_SUGGESTIONS = 12


@dataclass(slots=True)
class StudioSession:
    """A project on the page."""

    project: StudioProject
    labels: LabelFiles
    films: dict[str, Path]
    ethogram: Ethogram
    job: Job | None = None
    trust_job: Job | None = None
    """What measures the trust in the last round, beside other work."""
    full_job: Job | None = None
    """The full recipe, which is trained beside other work."""
    times_settled: int = 0
    incoming: Incoming | None = None
    """Labels of a file that are shown, and not taken yet."""
    _taken: dict[str, tuple[StudioLabels, StudioLabels, int]] = field(
        default_factory=dict
    )
    """Labels before and after the last import, and the frames of their recording."""
    rounds: list[Round] = field(default_factory=list)
    stretches: Stretches | None = None
    scores: StretchScores | None = None
    recordings: dict[str, StoredRecording] = field(default_factory=dict)
    """What the prepared store holds of each recording, once all were read."""
    _open: "OrderedDict[int, PoseStore]" = field(default_factory=OrderedDict)
    _views: "OrderedDict[int, RoundViews]" = field(default_factory=OrderedDict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def of_project(cls, project: StudioProject) -> "StudioSession":
        """Return the session of a project; edits that were cut short are completed."""
        infos = {info.name: info for info in project.videos}
        labels = LabelFiles(project.data, infos)
        for name in labels.recover():
            print(f"Labels of {name}: an edit that was cut short is completed")
        session = cls(
            project=project,
            labels=labels,
            films=project.films(),
            ethogram=read_ethogram(project.data) or _ethogram_of(infos, labels),
        )
        session.load_rounds()
        return session

    @property
    def data(self) -> Path:
        """The data set of the project."""
        return self.project.data

    def start(self, what: What, recording: int | None = None) -> None:
        """Start reading, training, predicting or a film, unless that is going on.

        `recording` is that of which a film is made. Raises `DataError` where another
        job runs.
        """
        given: tuple[str, ...] = ()
        if recording is not None:
            info = self.project.videos[recording]
            given = info.name, str(self.films.get(info.name, ""))
        with self._lock:
            self._check_idle()
            after = self.load_rounds
            if what == "train":
                after = self._load_trained
            self.job = start_job(what, self.data, after, *given)

    def start_full(self) -> None:
        """Start to train the full recipe, unless that is going on.

        Raises `DataError` where it is.
        """
        with self._lock:
            if self.full_job is not None and self.full_job.is_running:
                raise DataError("the full recipe is being trained already")
            self.full_job = start_job("full", self.data, self._load_trained)

    def cancel_full(self) -> None:
        """End the training of the full recipe; nothing of it is kept."""
        if self.full_job is not None:
            self.full_job.cancel()

    # ── settings ──

    def settings(self) -> dict[str, Any]:
        """Return what is settled, and what may be; with an error for a broken file."""
        about: dict[str, Any] = {
            "file": str(self.project.file),
            "version": self.times_settled,
            "isLayout": self.project.is_layout,
            "settledAfter": self.project.settled_after,
            "animals": list(
                dict.fromkeys(
                    name
                    for info in self.project.videos
                    for at, name in enumerate(info.animals, 1)
                    if at not in (*info.objects, *(z.number for z in info.zones))
                )
            ),
            "keypoints": self._keypoints(),
            "roles": _roles_of(project_beside(self.data), self._keypoints()),
        }
        try:
            return {**about, "values": settled(self._values(), self._videos())}
        except MabeError as error:
            return {**about, "values": None, "error": str(error)}

    def settle(self, changes: Sequence[Change]) -> None:
        """Start to standardize the project anew by changed settings.

        Raises `MabeError` where somebody else has changed the same meanwhile, where a
        value is not allowed, and where other work is going on.
        """
        with self._lock:
            if self.project.is_layout:
                raise DataError(
                    f"{self.project.root} is a data set in the standard layout, whose "
                    "rates and scales are columns of train.csv; settle them where it "
                    "was imported, or change the table"
                )
            self._check_idle()
            values = change_values(self._values(), changes, self._videos())
            text = edit_yaml(self.project.settings_text(), values)
            parse_project(text, self.project.file)
            propose(self.data, self.project.file, text)
            self.job = start_job("settle", self.data, self._take_settled)

    # ── labels of other programs ──

    def read_incoming(self, name: str, content: bytes) -> None:
        """Start to read a file of labels; nothing becomes a label yet.

        Raises `DataError` for a name that is none, and in a data set in the standard
        layout, whose files are not read again.
        """
        if problem := problem_with_name(name):
            raise DataError(f"the file's name {problem}; rename it")
        with self._lock:
            if self.project.is_layout:
                raise DataError(
                    f"{self.project.root} is a data set in the standard layout: add "
                    "labels to the files it was imported from, and import them again"
                )
            self._check_idle()
            self.incoming = None
            path = self.data / "studio" / "incoming" / name
            make_folder(path.parent)
            write_bytes(path, content)
            self.job = start_job("incoming", self.data, self._show_incoming, str(path))

    def _show_incoming(self) -> None:
        found = load_incoming(self.data)
        joined_ethogram(self.ethogram, found)  # raises where it cannot be taken
        self.incoming = found

    def incoming_json(self) -> dict[str, Any] | None:
        """Return what a file of labels would bring; None where there is none."""
        found = self.incoming
        if found is None:
            return None
        try:
            ethogram = joined_ethogram(self.ethogram, found)
        except DataError as error:  # actions were added since it was read
            notes = [str(error)]
            return {"file": found.file, "rows": [], "notes": notes, "newActions": []}
        rows = [
            row
            for info in self.project.videos
            if info.name in found.labels
            for row in compare(
                info.video,
                self.labels.read(info.name),
                found.labels[info.name],
                ethogram,
                info.fps,
            )
        ]
        names = [info.name for info in self.project.videos]
        unknown = [
            f"{name}: not in the project" for name in unknown_recordings(found, names)
        ]
        return {
            "file": found.file,
            "rows": rows,
            "notes": [*unknown, *found.notes],
            "newActions": [n for n in ethogram.names if n not in self.ethogram.names],
        }

    def take_incoming(self, prefer: Prefer) -> None:
        """Add the labels of the file that is shown; `prefer` says whose count."""
        with self._lock, self.labels.held():
            found = self.incoming
            if found is None:
                raise DataError("no labels are waiting: choose a file first")
            ethogram = joined_ethogram(self.ethogram, found)
            if ethogram != self.ethogram:
                self.set_ethogram(ethogram)
            self._taken = {}
            for index, info in enumerate(self.project.videos):
                if info.name not in found.labels:
                    continue
                frames = self.open(index).recordings[0].native_length
                theirs = fitting(found.labels[info.name], ethogram)
                mine = self.labels.read(info.name, frames=frames)
                edit = edit_of(mine, theirs, prefer)
                _, after = self.labels.apply(info.name, edit, frames=frames)
                self._taken[info.name] = mine, after, frames
            self.incoming = None

    def undo_incoming(self) -> None:
        """Take the last import back; raises `DataError` where labels changed since."""
        with self._lock, self.labels.held():
            for name, (_, after, frames) in self._taken.items():
                if self.labels.read(name, frames=frames) != after:
                    raise DataError(
                        f"{name}: its labels were changed since the import, so it is "
                        "not taken back"
                    )
            for name, (before, after, frames) in self._taken.items():
                self.labels.apply(name, way_back(before, after), frames=frames)
            self._taken = {}

    def discard_incoming(self) -> None:
        """Forget the file of labels that is shown."""
        self.incoming = None

    def _take_settled(self) -> None:
        """Put in place what was standardized, and read it."""
        self.cancel_trust()
        self.cancel_full()  # both are of what was settled before
        with self._lock, self.labels.held():
            labels = {name: self.labels.read(name) for name in self.labels.infos}
            last = self.rounds[-1].number if self.rounds else 0
            decide(self.data, self.project.videos, labels, last_round=last)
            file = self.project.file
            settings = parse_project(self.project.settings_text(), file)
            self.project = open_project(self.project.root, settings, file=file)
            self.labels.infos = {info.name: info for info in self.project.videos}
            self.recordings = {}
            self._open.clear()
            self.load_rounds()
            self.times_settled += 1
            self.job = start_job("read", self.data, self.load_rounds)

    def _values(self) -> dict[str, Any]:
        """Return what project.yaml holds now, and what the command line gave."""
        text = self.project.settings_text()
        parse_project(text, self.project.file)
        return {**(parse_yaml(text) or {}), **self.project.given}

    def _videos(self) -> list[str]:
        return [info.video for info in self.project.videos]

    def _keypoints(self) -> list[str]:
        every = (p.keypoint for r in self.recordings.values() for p in r.points)
        return list(dict.fromkeys(every))

    def _check_idle(self) -> None:
        if self.job is not None and self.job.is_running:
            raise DataError(f"please wait: {self.job.stage}, or cancel it")

    def _load_trained(self) -> None:
        """Take over a new round, and measure how far it can be trusted."""
        self.load_rounds()
        with self._lock:
            self.cancel_trust()
            number = str(self.rounds[-1].number)
            self.trust_job = start_job("trust", self.data, lambda: None, number)

    def cancel_trust(self) -> None:
        """End the measuring of trust; the round stays usable."""
        if self.trust_job is not None:
            self.trust_job.cancel()

    def load_rounds(self) -> None:
        """Take over what a job has written."""
        rounds = finished_rounds(self.data)
        stretches = self.data / "studio" / "stretches.npz"
        store = self.data / "studio" / "store"
        with self._lock:
            self._views.clear()
            self.rounds = rounds
            self.stretches, self.scores = None, None
            if is_store(store):
                stored = open_store(store).recordings
                self.recordings = {each.name: each for each in stored}
                for each in stored:
                    self.labels.lengths[each.name] = each.native_length
            if stretches.is_file():
                self.stretches = Stretches.read(stretches)
            if rounds and (rounds[-1].folder / "stretches.npz").is_file():
                scores = StretchScores.read(rounds[-1].folder / "stretches.npz")
                if self.stretches and len(scores.error) == len(self.stretches):
                    self.scores = scores

    def playable(self, name: str) -> Path | None:
        """Return the film of a recording, or its copy, that browsers play."""
        return playable_film(self.data, self.films.get(name))

    def close(self) -> None:
        """End the work that is going on."""
        self.cancel_trust()
        self.cancel_full()
        if self.job is not None:
            self.job.cancel()

    # ── the project ──

    def overview(self) -> dict[str, Any]:
        """Return the table of recordings, and the state of labels and training."""
        last = self.rounds[-1] if self.rounds else None
        return {
            "name": self.project.root.resolve().name,
            "folder": str(self.data),
            "recordings": [
                self._row(index, info) for index, info in enumerate(self.project.videos)
            ],
            "problems": list(self.project.problems),
            "settings": self.settings(),
            "incoming": self.incoming_json(),
            "canUndoImport": bool(self._taken),
            "ethogram": self._ethogram_json(),
            "job": self.job and self.job.to_json(),
            "round": last and self._round_json(last),
            "trust": last and last.trust,
            "trustJob": self.trust_job and self.trust_job.to_json(),
            "fullJob": self.full_job and self.full_job.to_json(),
            "rounds": [
                {
                    "number": each.number,
                    "minutes": each.about["minutes"],
                    "f1": each.about["f1"],
                    "recipe": each.about.get("recipe", "quick"),
                }
                for each in self.rounds
            ],
            "isRead": self.stretches is not None,
            "predictions": str(self.data / "predictions"),
        }

    def _row(self, index: int, info: VideoInfo) -> dict[str, Any]:
        film, known = self.films.get(info.name), self.recordings.get(info.name)
        row: dict[str, Any] = {
            "index": index,
            "name": info.video,
            "fps": info.fps,
            "pixelsPerCm": info.pixels_per_cm,
            "sources": self.project.sources.get(info.name, {}),
            "film": film and film.name,
            "isPlayed": self.playable(info.name) is not None,
            "seconds": None,
            "animals": None,
            "bouts": None,
            "watched": None,
            "problems": [],
        }
        if known is not None:
            labels = self.labels.read(info.name, frames=known.native_length)
            row |= {
                "seconds": known.native_length / known.fps,
                "animals": len(known.tracked_animals),
                "bouts": len(labels.bouts),
                "watched": watched_frames(labels.coverage) / known.fps,
                "problems": list(known.notes),
            }
        return row

    def _round_json(self, of: Round) -> dict[str, Any]:
        actions = [
            {**each, "notReady": reasons_not_ready(each)}
            for each in of.about["actions"]
        ]
        return {**of.about, "number": of.number, "actions": actions}

    def _ethogram_json(self) -> list[dict[str, Any]]:
        colours = self._colours()
        return [
            {**each, "colour": _colour_json(colour)}
            for each, colour in zip(self.ethogram.to_json(), colours, strict=True)
        ]

    def _colours(self) -> Sequence[Colour]:
        return colours_of(self.ethogram.names, has_background=False)

    def set_ethogram(self, ethogram: Ethogram) -> None:
        """Write the actions; those with labels keep their name and kind.

        Raises `DataError` where one with labels is changed or removed.
        """
        with self._lock:
            now = {each.name: each for each in ethogram.actions}
            for action in self.ethogram.actions:
                new = now.get(action.name)
                if (new and new.kind is action.kind) or not self._has_labels(
                    action.name
                ):
                    continue
                raise DataError(
                    f"{action.name} has labels, so its name and kind stay; delete "
                    "its labels first"
                )
            write_ethogram(self.data, ethogram)
            self.ethogram = ethogram

    def _has_labels(self, action: str) -> bool:
        return any(
            span.action == action
            for name in self.labels.infos
            for span in self.labels.read(name).coverage
        )

    def suggestions(self, most: int = MOST_SUGGESTIONS) -> list[dict[str, Any]]:
        """Return the stretches to label next; none until recordings were read."""
        if self.stretches is None or not self.ethogram.actions:
            return []
        coverage, watchable, seconds = [], [], dict.fromkeys(self.ethogram.names, 0.0)
        for name in self.stretches.names:
            recording = self.recordings[name]
            labels = self.labels.read(name, frames=recording.native_length)
            coverage.append(labels.coverage)
            watchable.append(self.ethogram.watchable(recording))
            for bout in labels.bouts:
                if bout.action in seconds:
                    seconds[bout.action] += (bout.stop - bout.start) / recording.fps
        share = labelled_share(self.stretches, coverage, watchable)
        actions = self.scores.actions if self.scores else ()
        rarity = [1 / (1 + seconds.get(action, 0.0) / 10) for action in actions]
        chosen = suggest(self.stretches, share, self.scores, rarity, most=most)
        places = {info.name: i for i, info in enumerate(self.project.videos)}
        rows = [each.to_json(self.stretches) for each in chosen]
        for row in rows:
            row["fps"] = self.recordings[row["name"]].fps
            row["recording"] = places[row["name"]]
        return rows

    # ── a recording ──

    def listing(self) -> list[dict[str, Any]]:
        """Return the recordings for the page to choose from."""
        return [
            {"index": i, "name": info.name, "hasLabels": True, "uncertainty": None}
            for i, info in enumerate(self.project.videos)
        ]

    def describe(self, index: int) -> dict[str, Any]:
        """Return what the page shows of a recording, without predictions."""
        store, info = self.open(index), self.project.videos[index]
        recording = store.recordings[0]
        film = self.films.get(info.name)
        body = BodyDrawing.of(store, 0)
        return {
            "index": index,
            "name": recording.name,
            "isDirected": True,
            "hasLabels": False,
            "fps": recording.fps,
            "frames": recording.native_length,
            "poseFps": store.rate_fps,
            "poseFrames": recording.length,
            "stepCm": STEP_CM,
            "missing": MISSING,
            "mostPoseFrames": MOST_POSE_FRAMES,
            "points": [
                {"animal": point.animal, "name": point.keypoint}
                for point in recording.points
            ],
            "animals": list(recording.animal_names),
            "bones": body.bones,
            "fronts": body.fronts,
            "bounds": bounds_cm(store, 0),
            "zones": zone_outlines(recording),
            "animalColours": [_colour_json(each) for each in animal_colours()],
            "rows": [
                {
                    "name": each["name"],
                    "key": each["key"],
                    "kind": each["kind"],
                    "colour": each["colour"],
                    "classIndex": place,
                    "hasBouts": True,
                    "actions": [each["name"]],
                    "threshold": 0.5,
                }
                for place, each in enumerate(self._ethogram_json())
            ],
            "pairs": [list(pair) for pair in view_pairs(recording)],
            "corrected": False,
            "trainedOn": False,
            "video": self.playable(info.name) is not None,
            "film": film and film.name,
            "pixelsPerCm": info.pixels_per_cm,
            "originCm": list(recording.origin_cm),
            "watchable": [
                [each.action, each.agent, each.target]
                for each in self.ethogram.watchable(recording)
            ],
            **self.labels_json(index),
        }

    def open(self, index: int) -> PoseStore:
        """Return a recording at its own rate; raises `DataError` for a broken one."""
        with self._lock:
            if index not in self._open:
                info = self.project.videos[index]
                self._open[index] = from_recording(read_recording(info), info.fps)
                while len(self._open) > KEPT_OPEN:
                    self._open.popitem(last=False)
            self._open.move_to_end(index)
            return self._open[index]

    def labels_json(self, index: int) -> dict[str, Any]:
        """Return the labels of a recording, and their version."""
        name = self.project.videos[index].name
        frames = self.open(index).recordings[0].native_length
        labels = self.labels.read(name, frames=frames)
        return _labels_json(self.labels.version(name), labels)

    def edit(self, index: int, edit: LabelEdit, version: int) -> dict[str, Any]:
        """Write an edit of labels that were at some version; return the new version.

        The labels come with it where others changed them since. Raises `DataError`
        where the edit is not of this recording.
        """
        recording = self.open(index).recordings[0]
        known = set(self.ethogram.names)
        individuals, animals = recording.tracked_individuals, recording.tracked_animals
        spans: list[Bout | WatchedSpan] = [*edit.add, *edit.watch]
        for each in spans:
            if each.stop > recording.native_length or each.action not in known:
                raise DataError(
                    f"{recording.name}: expected labels of {sorted(known)} in "
                    f"{recording.native_length} frames, found {each}"
                )
            if each.agent not in animals or each.target not in individuals:
                raise DataError(
                    f"{recording.name}: expected animals {list(individuals)}, "
                    f"found {each}"
                )
        name = recording.name
        before = self.labels.version(name)
        now, labels = self.labels.apply(name, edit, frames=recording.native_length)
        is_alone = version == before and now <= before + 1
        return {"version": now} if is_alone else _labels_json(now, labels)

    def predictions(self, index: int) -> dict[str, Any]:
        """Return the predicted bouts of the last round; none before the first."""
        views = self.round_views(index)
        return {
            "state": "ready",
            "round": self.rounds[-1].number if self.rounds else 0,
            "classes": len(self.ethogram.actions),
            "views": [] if views is None else views.to_json(),
        }

    def round_views(self, index: int) -> RoundViews | None:
        """Return what the last round predicts of a recording, if there is one."""
        with self._lock:
            if not self.rounds:
                return None
            if index not in self._views:
                last, recording = self.rounds[-1], self.open(index).recordings[0]
                found = RoundViews.read(last, recording, self.ethogram)
                if found is None:
                    return None
                self._views[index] = found
                while len(self._views) > KEPT_OPEN:
                    self._views.popitem(last=False)
            return self._views[index]

    def poses(self, index: int, start: int, stop: int) -> bytes:
        """Return poses in quantization steps, little-endian, [frame, slot, xy]."""
        store = self.open(index)
        length = store.recordings[0].length
        start = min(max(start, 0), length)
        stop = min(max(stop, start), length, start + MOST_POSE_FRAMES)
        return np.ascontiguousarray(store.quantized(0)[start:stop], "<i2").tobytes()

    def probabilities(
        self, index: int, view: int, start: int, stop: int, columns: int
    ) -> tuple[int, int, bytes]:
        """Return a window of probabilities: first frame, frames a column, and bytes."""
        views = self.round_views(index)
        if views is None:
            raise IndexError(view)
        timeline: ViewTimeline = views.timeline(view)
        first, step, values = timeline.window(start, stop, columns)
        return first, step, values.tobytes()


def _ethogram_of(infos: dict[str, VideoInfo], labels: LabelFiles) -> Ethogram:
    """Return the actions of labels that lay in the folder."""
    labelled = [name for name, info in infos.items() if info.has_labels]
    bouts = [bout for name in labelled for bout in labels.read(name).bouts]
    watched = [each for name in labelled for each in infos[name].watched]
    return Ethogram.of_labels([*bouts, *watched])


def _roles_of(project: Project, keypoints: Sequence[str]) -> dict[str, str]:
    """Return the role of each keypoint that has one; ``a+b`` are both of a role."""
    skeleton = RODENT.with_keypoints(tuple(keypoints))
    if project.skeleton is not None:
        skeleton = project.skeleton.skeleton(tuple(keypoints))
    return {
        part: role
        for role in reversed(LANDMARKS)
        for source in getattr(skeleton, role)
        for part in source.split("+")
        if part in keypoints
    }


def _labels_json(version: int, labels: StudioLabels) -> dict[str, Any]:
    return {
        "version": version,
        "bouts": [span_row(bout) for bout in labels.bouts],
        "coverage": [span_row(span) for span in labels.coverage],
    }


def _colour_json(colour: Colour) -> dict[str, str]:
    return {"light": colour.on_light, "dark": colour.on_dark}
