"""Predictions of a model for recordings, and the folder they are written to."""

import functools
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from tqdm import tqdm

from mabe import __version__
from mabe.bouts import (
    SCENE,
    Bout,
    RecordingBouts,
    Spans,
    View,
    name_animal,
    name_target,
)
from mabe.data.near_pairs import NearPairs
from mabe.data.sources import Source, find_sources, leave_out, report_opened
from mabe.data.store import PoseStore, check_heights
from mabe.data.store_index import recording_to_json
from mabe.decoding.rules import decide
from mabe.decoding.view_predictions import ViewPredictions
from mabe.errors import ConfigError, DataError
from mabe.inference.frame_probabilities import (
    Tracks,
    in_layout_of,
    predict_view,
    reads_heights,
)
from mabe.io.predictions import (
    PredictionProvenance,
    Predictions,
    RecordingProvenance,
    write_predictions,
)
from mabe.io.probabilities import (
    PROBABILITIES,
    Origin,
    probabilities_path,
    read_origin,
    write_probabilities,
)
from mabe.io.project import Project
from mabe.models.checkpoint import Checkpoint
from mabe.recording import StoredRecording
from mabe.resampling import nearest_frames
from mabe.runtime.console import count, print_lines, progress_bar
from mabe.runtime.devices import choose_device
from mabe.runtime.executors import HERE, Executor, usual_executor
from mabe.runtime.files import hash_bytes, hash_file, make_folder
from mabe.runtime.tensors import limited_threads
from mabe.scene_task import NOT_COUNTED, Task


@dataclass(frozen=True, slots=True)
class Predictor:
    """A model, how it decides, and how many variants of a recording it averages."""

    checkpoint: Checkpoint
    variants: int = 1
    actions: tuple[str, ...] | None = None
    """The classes, or actions, to predict; None: all of the model.

    Those of a scene exclude each other, so the others still compete; frames of these
    have no bout. Actions of pairs that are left out do not compete.
    """

    def __post_init__(self) -> None:
        kind, classes = self.task.kind, self.task.classes
        known = [classes[place] for place in kind.bout_classes(len(classes))]
        if self.actions is None:
            return
        if lost := [name for name in self.actions if name not in known]:
            raise ConfigError(
                f"--actions: the model does not know {', '.join(lost)}; it predicts "
                f"{', '.join(known)}"
            )
        if not self.actions:
            raise ConfigError(f"--actions: name at least one of {', '.join(known)}")

    @property
    def wanted(self) -> Bool[np.ndarray, " classes"]:
        """Which classes are predicted."""
        classes = self.task.classes
        if self.actions is None:
            return np.ones(len(classes), bool)
        return np.array([name in self.actions for name in classes])

    @property
    def rate_fps(self) -> float:
        """The working rate."""
        return self.checkpoint.model.config.fps

    @property
    def usual_fps(self) -> float:
        """The rate most of the recordings it learned from were filmed at."""
        contract = self.checkpoint.contract
        return contract.rates_fps[0] if contract else self.rate_fps

    @property
    def task(self) -> Task:
        """What the model predicts."""
        return self.checkpoint.model.task

    def predict_views(self, store: PoseStore, index: int) -> Iterator[ViewPredictions]:
        """Yield the predictions of each view, with what is annotated in it.

        Frames are the recording's own; one view is in memory at a time. Where the
        metadata name what was watched, only that is possible; where they name nothing,
        all classes and all pairs of tracked animals are. Annotated views in which
        nothing is possible come last: what is annotated there is missed.
        """
        recording = store.recordings[index]
        annotations = dict(self.task.annotations(recording))
        own = nearest_frames(
            recording.native_length,
            from_fps=self.rate_fps,
            to_fps=recording.fps,
            from_length=recording.length,
        )
        frames = recording.native_length
        for view, possible, probabilities in self._probabilities(store, index):
            chosen = self._decide(probabilities, possible, recording.lab)
            shown = possible & self.wanted
            known = np.where(shown, probabilities[own], np.float32(np.nan))
            labels = annotations.pop(view, None)
            states = labels.frames(0, frames) if labels else None
            yield self._of_view(
                recording, view, known, states, chosen=chosen[own], fps=recording.fps
            )
        for view, labels in annotations.items():
            shape = frames, len(self.task.classes)
            yield self._of_view(
                recording,
                view,
                np.full(shape, np.nan, np.float32),
                labels.frames(0, frames),
                chosen=np.full(frames, self.task.kind.nothing),
                fps=recording.fps,
            )

    def annotated_views(
        self, store: PoseStore, index: int
    ) -> Iterator[ViewPredictions]:
        """Yield the annotated views at the working rate, nothing decided.

        As rules are tuned: they decide at this rate. Views in which nothing is possible
        have no probability.
        """
        recording = store.recordings[index]
        annotations = dict(self.task.annotations(recording))
        nearest = nearest_frames(
            recording.length,
            from_fps=recording.fps,
            to_fps=self.rate_fps,
            from_length=recording.native_length,
        )
        fps = store.rate_fps
        shape = recording.length, len(self.task.classes)
        for view, possible, probabilities in self._probabilities(store, index):
            if view in annotations:
                labels = annotations.pop(view).frames(0, recording.native_length)
                known = np.where(possible, probabilities, np.float32(np.nan))
                yield self._of_view(recording, view, known, labels[nearest], fps=fps)
        for view, left in annotations.items():
            labels = left.frames(0, recording.native_length)[nearest]
            unknown = np.full(shape, np.nan, np.float32)
            yield self._of_view(recording, view, unknown, labels, fps=fps)

    def _probabilities(
        self, store: PoseStore, index: int
    ) -> Iterator[
        tuple[View, Bool[np.ndarray, " classes"], Float[np.ndarray, "frame classes"]]
    ]:
        """Yield each view that is predicted, what is possible in it, probabilities.

        They are at the working rate.
        """
        recording = store.recordings[index]
        seen = in_layout_of(self.checkpoint.model, store)
        tracks = Tracks.of_stored(seen, index)
        for view, possible, spans in self._looked_at(seen, index):
            if spans is not None and not len(spans):
                continue  # never near each other
            probabilities = predict_view(
                self.checkpoint.model,
                tracks,
                view,
                lab=recording.lab,
                possible=possible,
                spans=spans,
                variants=self.variants,
            )
            yield view, possible, probabilities

    def _decide(
        self,
        probabilities: Float[np.ndarray, "frame classes"],
        possible: Bool[np.ndarray, " classes"],
        lab: str,
    ) -> Int[np.ndarray, " frame"]:
        chosen = decide(
            probabilities,
            fps=self.rate_fps,
            lab=lab,
            rules=self.checkpoint.rules,
            possible=possible,
        )
        if self._all_compete:
            nothing = self.task.kind.nothing
            is_wanted = self.wanted[np.maximum(chosen, 0)]
            chosen = np.where(is_wanted, chosen, nothing)
        return chosen

    @property
    def _all_compete(self) -> bool:
        """Whether a frame has exactly one of all classes."""
        return self.task.kind.has_background

    def _looked_at(
        self, seen: PoseStore, index: int
    ) -> Iterator[tuple[View, Bool[np.ndarray, " classes"], Spans | None]]:
        """Yield each view, what is possible in it, and when it is looked at.

        None: all the time. Poses are in the layout of the model.
        """
        near = NearPairs(seen, self.checkpoint.model.config.nearness)
        for view, choices in self.task.choices(seen.recordings[index]).items():
            possible = choices if self._all_compete else choices & self.wanted
            if possible.any():
                yield view, possible, near.spans(index, view)

    def never_near(self, store: PoseStore, index: int) -> tuple[str, ...]:
        """Return the names of the columns of pairs that are never near each other.

        Between them nothing is predicted, which is no less than a probability of 0.
        """
        seen = in_layout_of(self.checkpoint.model, store)
        return tuple(
            f"{_name_pair(view)},{name}"
            for view, possible, spans in self._looked_at(seen, index)
            if spans is not None and not len(spans)
            for name, can_occur in zip(self.task.classes, possible, strict=True)
            if can_occur
        )

    def predict_bouts(self, store: PoseStore, index: int) -> RecordingBouts:
        """Return the predicted bouts."""
        views = self.predict_views(store, index)
        bouts = [bout for view in views for bout in view.bouts()]
        return _recording_bouts(bouts, store, index)

    def predict_recording(
        self, store: PoseStore, index: int
    ) -> tuple[RecordingBouts, dict[str, Float[np.ndarray, " frame"]]]:
        """Return the predicted bouts, and probabilities by the names of columns."""
        bouts: list[Bout] = []
        columns: dict[str, Float[np.ndarray, " frame"]] = {}
        for view in self.predict_views(store, index):
            bouts += view.bouts()
            columns |= _name_columns(view, self.wanted)
        return _recording_bouts(bouts, store, index), columns

    def _of_view(
        self,
        recording: StoredRecording,
        view: View,
        probabilities: Float[np.ndarray, "frame classes"],
        labels: Int[np.ndarray, "frame classes"] | None,
        *,
        fps: float,
        chosen: Int[np.ndarray, " frame"] | None = None,
    ) -> ViewPredictions:
        return ViewPredictions(
            kind=self.task.kind,
            classes=self.task.classes,
            lab=recording.lab,
            video=recording.video,
            view=view,
            track=recording.tracking_hash,
            fps=fps,
            probabilities=probabilities,
            labels=np.full(probabilities.shape, NOT_COUNTED, np.int8)
            if labels is None
            else labels,
            chosen=chosen,
            animals=recording.animal_names,
        )


def predict(
    predictor: Predictor,
    path: Path,
    out: Path,
    *,
    skip_bad: bool = False,
    project: Project | None = None,
    executor: Executor | None = None,
    device: str | None = None,
) -> list[RecordingBouts]:
    """Predict recordings; write `bouts.csv` and a parquet of probabilities for each.

    Recordings that are unchanged since an earlier call with the same model predicted
    them into `out` are kept; so a call that was stopped is resumed by the next.
    `project` holds what pose files do not contain, such as the frame rate. The
    provenance of the bouts is written beside them (`mabe.io.predictions`). Returns the
    bouts in the order of the recordings. Workers of an `executor` compute on the
    `device`, by default on that of the predictor.
    """
    sources = find_sources(
        path,
        rate_fps=predictor.rate_fps,
        project=project,
        usual_fps=predictor.usual_fps,
    )
    place = out / PROBABILITIES
    executor = executor or executor_for(predictor, len(sources))
    model_hash = hash_file(predictor.checkpoint.path)
    job = PredictionJob(predictor, place, device, executor.threads, model_hash)
    predictions = predict_all(job, sources, skip_bad=skip_bad, executor=executor)
    if kept := sum(each.is_kept for each in predictions):
        all_of_them = count(len(predictions), "recording")
        print_lines(f"{kept} of {all_of_them} predicted before, and unchanged: kept")
    predicted = [each.bouts for each in predictions]
    trained_on = predictor.checkpoint.trained_on
    if known := sum(each.about.tracking_hash in trained_on for each in predictions):
        all_of_them = count(len(predictions), "recording")
        tqdm.write(
            f"! the model was trained on {known} of {all_of_them}: how good these "
            "predictions are says nothing about new recordings"
        )
    provenance = prediction_provenance(predictor, [each.source for each in predictions])
    write_predictions(out, Predictions(provenance, tuple(predicted)))
    written = {probabilities_path(place, each.lab, each.video) for each in predicted}
    if earlier := set(place.glob("*/*.parquet")) - written:
        tqdm.write(
            f"! {place} holds {count(len(earlier), 'file')} of an earlier call; "
            f"bouts.csv is "
            "of this one alone"
        )
    return predicted


def executor_for(predictor: Predictor, recordings: int) -> Executor:
    """Return the executor for so many recordings where the user has chosen none."""
    device = predictor.checkpoint.model.device
    return usual_executor(recordings, on_cpu=device.type == "cpu")


@dataclass(frozen=True, slots=True)
class PredictionJob:
    """What is the same for all recordings of one call."""

    predictor: Predictor
    place: Path | None = None
    """Folder for frame probabilities; None: they are not written."""
    device: str | None = None
    """Device to compute on; None: that of the predictor."""
    threads: int | None = None
    model_hash: str = ""
    """Of the model's file; needed where probabilities are written."""


@dataclass(frozen=True, slots=True)
class PredictedRecording:
    """The predictions of one recording."""

    bouts: RecordingBouts
    source: RecordingProvenance
    about: StoredRecording
    is_kept: bool = False
    """Whether an earlier call predicted it."""

    @property
    def differences(self) -> tuple[str, ...]:
        """Notes on how the recording differs from the training recordings."""
        return self.source.notes[len(self.about.notes) :]


def predict_all(
    job: PredictionJob,
    sources: Sequence[Source],
    *,
    skip_bad: bool = False,
    executor: Executor = HERE,
) -> list[PredictedRecording]:
    """Predict recordings, each a task of its own; return them in their order.

    Raises `DataError` for one that cannot be read, unless `skip_bad`.
    """
    if job.place:
        make_folder(job.place)
    done: dict[int, PredictedRecording] = {}
    # Closed here, so that work stops at once where a recording is bad.
    with (
        closing(
            executor.run(
                predict_source,
                job,
                sources,
                folders=[job.place] if job.place else [],
                wants_gpu=lambda _: job.device != "cpu",
            )
        ) as outcomes,
        progress_bar(total=len(sources), desc="Predicting", unit="video") as bar,
    ):
        for place, outcome in outcomes:
            name = sources[place].name
            bar.update()
            bar.set_postfix_str(name)
            if isinstance(outcome, str):
                leave_out(name, outcome, skip_bad=skip_bad)
                continue
            done[place] = outcome
    predictions = [done[place] for place in sorted(done)]
    _print_notes(predictions)
    report_opened([each.about for each in predictions], len(sources))
    return predictions


def _print_notes(predictions: Sequence[PredictedRecording]) -> None:
    """Print where recordings differ from the model's; each note once, with a count."""
    names: dict[str, list[str]] = defaultdict(list)
    for prediction in predictions:
        for note in prediction.differences:
            names[note].append(prediction.about.name)
    for note, those in names.items():
        which = (
            those[0]
            if len(those) == 1
            else f"{len(those)} of {count(len(predictions), 'recording')}"
        )
        tqdm.write(f"mabe: {which}: {note}", file=sys.stderr)


def predict_source(job: PredictionJob, source: Source) -> PredictedRecording | str:
    """Predict one recording; return the reason where it cannot be read."""
    if job.device:
        job.predictor.checkpoint.model.to(choose_device(job.device))
    try:
        with source.fetched() as here:
            store, index = here.open()
            provenance = recording_provenance(job.predictor, store, index)
    except DataError as error:
        return str(error)
    about = store.recordings[index]
    with limited_threads(job.threads):
        if job.place is None:
            bouts = job.predictor.predict_bouts(store, index)
            return PredictedRecording(bouts, provenance, about)
        path = probabilities_path(job.place, about.lab, about.video)
        bouts, is_kept = _predict_to_file(job, store, index, path)
    return PredictedRecording(bouts, provenance, about, is_kept)


def _predict_to_file(
    job: PredictionJob, store: PoseStore, index: int, path: Path
) -> tuple[RecordingBouts, bool]:
    """Return the bouts of a recording, and whether its file was there already."""
    key = _prediction_key(job, store, index)
    if (origin := read_origin(path)) and origin.key == key:
        return _recording_bouts(origin.bouts, store, index), True
    predicted, columns = job.predictor.predict_recording(store, index)
    made = Origin(
        key,
        job.model_hash,
        job.predictor.variants,
        predicted.bouts,
        job.predictor.never_near(store, index),
    )
    write_probabilities(path, columns, frames=predicted.length, origin=made)
    return predicted, False


def _prediction_key(job: PredictionJob, store: PoseStore, index: int) -> str:
    """Return a hash of all that the predictions of a recording depend on.

    Where the recording lies (its place in a store) is not part of it.
    """
    about = recording_to_json(store.recordings[index])
    for name in ("offset", "content_hash", "notes"):
        del about[name]
    predictor = job.predictor
    model: list[Any] = [__version__, job.model_hash, predictor.variants]
    if predictor.actions is not None:
        model.append(sorted(predictor.actions))
    return hash_bytes(json.dumps([*model, about, store.poses_hash(index)]).encode())


def _recording_bouts(
    bouts: Sequence[Bout], store: PoseStore, index: int
) -> RecordingBouts:
    recording = store.recordings[index]
    return RecordingBouts(
        lab=recording.lab,
        video=recording.video,
        fps=recording.fps,
        length=recording.native_length,
        animals=recording.animal_names,
        start_s=recording.start_s,
        bouts=tuple(sorted(within_tracks(bouts, store, index))),
    )


def recording_provenance(
    predictor: Predictor, store: PoseStore, index: int
) -> RecordingProvenance:
    """Return where a recording comes from, and how it differs from the training data.

    Raises `DataError` where it has no keypoint in common with them, or lacks a zone or
    heights.
    """
    about = store.recordings[index]
    predictor.task.check_zones(about)
    if reads_heights(predictor.checkpoint.model):
        check_heights(about)
    contract = predictor.checkpoint.contract
    read = predictor.checkpoint.model.config.body.keypoints
    odd = (
        contract.compare(about, working_fps=store.rate_fps, read=read)
        if contract
        else []
    )
    file = store.root if store.root.is_file() else None
    return RecordingProvenance(
        lab=about.lab,
        video=about.video,
        fps=about.fps,
        length=about.native_length,
        animals=about.animal_names,
        start_s=about.start_s,
        tracks_hash=about.tracking_hash,
        tracked=tracked_frames(store, index),
        file=file.name if file else None,
        file_hash=_hash_once(file, file.stat().st_mtime_ns) if file else None,
        notes=(*about.notes, *odd),
    )


@functools.lru_cache(maxsize=8)
def _hash_once(file: Path, _changed_ns: int) -> str:
    """Return a file's hash; one file may hold many recordings."""
    return hash_file(file)


def prediction_provenance(
    predictor: Predictor, sources: Sequence[RecordingProvenance]
) -> PredictionProvenance:
    """Return the model and the recordings of a folder of predictions."""
    checkpoint = predictor.checkpoint
    task = checkpoint.model.task
    bout_classes = task.kind.bout_classes(len(task.classes))
    return PredictionProvenance(
        mabe=__version__,
        model=checkpoint.path.name,
        model_hash=hash_file(checkpoint.path),
        task=task.kind,
        actions=tuple(task.classes[i] for i in bout_classes if predictor.wanted[i]),
        rules=json.loads(checkpoint.rules.to_json()),
        rate_fps=predictor.rate_fps,
        variants=predictor.variants,
        sources=tuple(sources),
        has_lab_names=True,
    )


def within_tracks(bouts: Sequence[Bout], store: PoseStore, index: int) -> list[Bout]:
    """Return what of the bouts lies between the first and the last tracked frame.

    Tracks of a stretch in the middle of a video keep the video's frame numbers; what a
    network predicts in the empty frames before them is discarded.
    """
    span = tracked_frames(store, index)
    if span is None:
        return []
    first, stop = span
    return [
        replace(bout, start=max(bout.start, first), stop=min(bout.stop, stop))
        for bout in bouts
        if bout.start < stop and bout.stop > first
    ]


def tracked_frames(store: PoseStore, index: int) -> tuple[int, int] | None:
    """Return the first tracked one of the own frames, and the one after the last.

    None where nothing is tracked.
    """
    about = store.recordings[index]
    span = store.tracked_span(index)
    if span is None:
        return None
    own = about.fps / store.rate_fps
    first = round(span[0] * own)
    stop = math.ceil(round((span[1] - 1) * own, 3)) + 1
    return first, min(stop, about.native_length)


def _name_pair(view: View) -> str:
    """Return the agent and the target in the names of columns."""
    return f"{name_animal(view.agent)},{name_target(view.agent, view.target)}"


def _name_columns(
    view: ViewPredictions, wanted: Bool[np.ndarray, " classes"]
) -> dict[str, Float[np.ndarray, " frame"]]:
    """Return the probabilities of a view by the names of their columns.

    A scene has a column for each wanted class, a pair of animals for each of these that
    is possible.
    """
    columns = zip(view.classes, view.probabilities.T, wanted, strict=True)
    if view.view == SCENE:
        return {
            name: np.nan_to_num(column, nan=0.0)
            for name, column, is_wanted in columns
            if is_wanted
        }
    pair = _name_pair(view.view)
    return {
        f"{pair},{name}": column
        for name, column, _ in columns
        if not np.isnan(column).all()
    }
