"""A project on the page: its recordings, labels, rounds and suggestions."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mabe.bouts import Bout, WatchedSpan
from mabe.data.store import PoseStore, is_store, open_store
from mabe.errors import DataError
from mabe.io.behaviour_names import slug
from mabe.recording import StoredRecording, VideoInfo
from mabe.viz.review.session import KEPT_OPEN
from mabe.viz.studio.ethogram import Ethogram, read_ethogram, write_ethogram
from mabe.viz.studio.film_jobs import playable_film
from mabe.viz.studio.incoming import LabelImport
from mabe.viz.studio.jobs import Job, WaitingWorker, What, start_job
from mabe.viz.studio.label_edits import LabelEdit
from mabe.viz.studio.label_files import LabelFiles, labels_to_json
from mabe.viz.studio.open_recordings import OpenRecordings
from mabe.viz.studio.project_folder import StudioProject
from mabe.viz.studio.round_views import RoundViews
from mabe.viz.studio.rounds import Round, finished_rounds
from mabe.viz.studio.stretches import Stretches
from mabe.viz.studio.suggest import StretchScores


@dataclass(slots=True)
class StudioSession:
    """A project on the page."""

    project: StudioProject
    labels: LabelFiles
    films: dict[str, Path]
    ethogram: Ethogram
    opened: OpenRecordings
    job: Job | None = None
    trust_job: Job | None = None
    """What measures the trust in the last round, beside other work."""
    full_job: Job | None = None
    """The full recipe, which is trained beside other work."""
    waiting: WaitingWorker | None = None
    """What trains without a delay once labels have changed; None: nothing waits."""
    times_settled: int = 0
    label_import: LabelImport = field(default_factory=LabelImport)
    rounds: list[Round] = field(default_factory=list)
    stretches: Stretches | None = None
    scores: StretchScores | None = None
    recordings: dict[str, StoredRecording] = field(default_factory=dict)
    """What the prepared store holds of each recording, once all were read."""
    _views: "OrderedDict[int, RoundViews]" = field(default_factory=OrderedDict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while the project, its jobs or its rounds are replaced."""

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
            opened=OpenRecordings(project.data),
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
        with self.lock:
            self.check_idle()
            after = self.load_rounds
            if what == "train":
                after = self._load_trained
            self.job = start_job(what, self.data, after, *given, waiting=self.waiting)

    def start_full(self) -> None:
        """Start to train the full recipe, unless that is going on.

        Raises `DataError` where it is.
        """
        with self.lock:
            if self.full_job is not None and self.full_job.is_running:
                raise DataError("the full recipe is being trained already")
            self.full_job = start_job("full", self.data, self._load_trained)

    def cancel_full(self) -> None:
        """End the training of the full recipe; nothing of it is kept."""
        if self.full_job is not None:
            self.full_job.cancel()

    def check_idle(self) -> None:
        """Raise `DataError` where other work is going on."""
        if working := self._working:
            raise DataError(f"please wait: {working.stage}, or cancel it")

    @property
    def _working(self) -> Job | None:
        """The work that is going on."""
        return self.job if self.job is not None and self.job.is_running else None

    def _load_trained(self) -> None:
        """Take over a new round, and measure how far it can be trusted."""
        self.load_rounds()
        with self.lock:
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
        with self.lock:
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
        if self.waiting is not None:
            self.waiting.end()

    # ── labels ──

    def set_ethogram(self, ethogram: Ethogram) -> None:
        """Write the actions; those with labels keep all but their key.

        Names of new ones get underscores for blanks, as in all files of labels. Raises
        `DataError` where one with labels is changed or removed.
        """
        with self.lock:
            known = set(self.ethogram.names)
            ethogram = Ethogram(
                tuple(
                    each if each.name in known else replace(each, name=slug(each.name))
                    for each in ethogram.actions
                )
            )
            now = {each.name: each for each in ethogram.actions}
            for action in self.ethogram.actions:
                new = now.get(action.name)
                is_same = new and replace(new, key=action.key) == action
                if is_same or not self._has_labels(action.name):
                    continue
                raise DataError(
                    f"{action.name} has labels, so its name, whom it concerns and "
                    "whether it lasts stay; delete its labels first"
                )
            write_ethogram(self.data, ethogram)
            self.ethogram = ethogram

    def _has_labels(self, action: str) -> bool:
        return any(
            span.action == action
            for name in self.labels.infos
            for span in self.labels.read(name).coverage
        )

    def open(self, index: int) -> PoseStore:
        """Return a recording at its own rate; raises `DataError` for a broken one."""
        return self.opened.open(self.project.videos[index])

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
        for bout in edit.add:
            if bout.action in self.ethogram.points and bout.stop > bout.start + 1:
                raise DataError(
                    f"{recording.name}: {bout.action} happens in a moment, so its "
                    f"bouts are one frame long, not {bout.stop - bout.start}"
                )
        name = recording.name
        before = self.labels.version(name)
        now, labels = self.labels.apply(name, edit, frames=recording.native_length)
        if self.waiting is not None and self._working is None:
            self.waiting.prepare()
        is_alone = version == before and now <= before + 1
        return {"version": now, **({} if is_alone else labels_to_json(labels))}

    def round_views(self, index: int) -> RoundViews | None:
        """Return what the last round predicts of a recording, if there is one."""
        if not self.rounds:
            return None
        recording = self.open(index).recordings[0]
        with self.lock:
            if index not in self._views:
                found = RoundViews.read(self.rounds[-1], recording, self.ethogram)
                if found is None:
                    return None
                self._views[index] = found
                while len(self._views) > KEPT_OPEN:
                    self._views.popitem(last=False)
            return self._views[index]


def _ethogram_of(infos: dict[str, VideoInfo], labels: LabelFiles) -> Ethogram:
    """Return the actions of labels that lay in the folder."""
    labelled = [name for name, info in infos.items() if info.has_labels]
    bouts = [bout for name in labelled for bout in labels.read(name).bouts]
    watched = [each for name in labelled for each in infos[name].watched]
    return Ethogram.of_labels([*bouts, *watched])
