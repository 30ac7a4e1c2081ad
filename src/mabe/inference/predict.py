"""ScenePrediction recordings with a model, and what is written of it."""

import functools
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from tqdm import tqdm

from mabe import __version__
from mabe.bouts import (
    NO_ACTION,
    Bout,
    RecordingBouts,
    find_bouts,
    name_animal,
    name_target,
)
from mabe.data.sources import Source, find_sources, leave_out, report_opened
from mabe.data.store import PoseStore
from mabe.decoding.rules import decide
from mabe.errors import DataError
from mabe.inference.stitching import Tracks, frame_probabilities, view_probabilities
from mabe.io.predictions import (
    PredictionProvenance,
    Predictions,
    RecordingProvenance,
    write_predictions,
    write_probabilities,
)
from mabe.io.project import Project
from mabe.models.checkpoint import Checkpoint
from mabe.models.input_contract import InputContract
from mabe.pair_task import PairTask, View
from mabe.recording import StoredRecording
from mabe.resampling import nearest_frames
from mabe.runtime.devices import choose_device
from mabe.runtime.executors import HERE, Executor
from mabe.runtime.files import hash_file, make_folder
from mabe.scene_task import SceneTask

Frames = Int[np.ndarray, " frame"]


@dataclass(frozen=True, slots=True)
class ScenePrediction:
    """What a model finds in one recording, at the recording's own frames."""

    about: StoredRecording
    probabilities: Float[np.ndarray, "frame classes"]
    chosen: Int[np.ndarray, " frame"]
    """The class of each frame."""


@dataclass(frozen=True, slots=True)
class ViewPrediction:
    """What a model finds from one agent to one target, at the own frames."""

    view: View
    possible: Bool[np.ndarray, " actions"]
    probabilities: Float[np.ndarray, "frame actions"]
    chosen: Int[np.ndarray, " frame"]
    """The action of each frame, or `NO_ACTION`."""

    def bouts(self, actions: tuple[str, ...]) -> list[Bout]:
        """Return the bouts of the chosen actions, in time order."""
        return find_bouts(
            self.chosen,
            self.probabilities,
            actions,
            nothing=NO_ACTION,
            agent=self.view.agent,
            target=self.view.target,
        )


@dataclass(frozen=True, slots=True)
class Predictor:
    """A model, how it decides, and how many variants of a recording it averages."""

    checkpoint: Checkpoint
    variants: int = 1

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
    def actions(self) -> tuple[str, ...] | None:
        """What animals do to each other; None where scenes are marked."""
        task = self.checkpoint.model.task
        return task.actions if isinstance(task, PairTask) else None

    def predict_scene(self, store: PoseStore, index: int) -> ScenePrediction:
        """Return what goes on in a scene, at the recording's own frames.

        Where the metadata say what was watched, only those classes are possible; where
        they say nothing, all are.
        """
        model, rules = self.checkpoint.model, self.checkpoint.rules
        assert isinstance(model.task, SceneTask)
        about = store.recordings[index]
        possible = model.task.choices(about.watched)
        tracks = Tracks.of_stored(store, index)
        found = frame_probabilities(model, tracks, possible, variants=self.variants)
        chosen = decide(
            found, fps=self.rate_fps, lab=about.lab, rules=rules, possible=possible
        )
        own = self._own_frames(about, len(found))
        return ScenePrediction(about, found[own], chosen[own])

    def predict_views(self, store: PoseStore, index: int) -> Iterator[ViewPrediction]:
        """Yield what is found in each view that is asked for; one in memory at a time.

        Where the metadata say what was watched, only that is asked for; where they say
        nothing, every pair of tracked animals is.
        """
        model, rules = self.checkpoint.model, self.checkpoint.rules
        assert isinstance(model.task, PairTask)
        about = store.recordings[index]
        tracks = Tracks.of_stored(store, index)
        own = self._own_frames(about, about.length)
        for view, possible in model.task.choices(about).items():
            if not about.length:
                return
            found = view_probabilities(
                model, tracks, view, about.lab, variants=self.variants
            )
            chosen = decide(
                found, fps=self.rate_fps, lab=about.lab, rules=rules, possible=possible
            )
            yield ViewPrediction(view, possible, found[own], chosen[own])

    def directed_bouts(
        self, store: PoseStore, index: int, probabilities_path: Path | None = None
    ) -> RecordingBouts:
        """Return who does what to whom; write the probabilities if asked to."""
        about = store.recordings[index]
        actions = self.actions
        assert actions is not None
        bouts: list[Bout] = []
        columns: dict[str, Float[np.ndarray, " frame"]] = {}
        for prediction in self.predict_views(store, index):
            bouts += prediction.bouts(actions)
            if probabilities_path:
                columns |= _name_columns(prediction, actions)
        if probabilities_path:
            write_probabilities(probabilities_path, columns, frames=about.native_length)
        return _recording_bouts(about, sorted(within_tracks(bouts, store, index)))

    def _own_frames(self, about: StoredRecording, length: int) -> Frames:
        """Return, for each of the recording's own frames, the nearest one here."""
        return nearest_frames(
            about.native_length,
            from_fps=self.rate_fps,
            to_fps=about.fps,
            from_length=length,
        )


def predict(
    predictor: Predictor,
    path: Path,
    out: Path,
    *,
    skip_bad: bool = False,
    project: Project | None = None,
    executor: Executor = HERE,
    device: str | None = None,
) -> list[RecordingBouts]:
    """Mark recordings; write `bouts.csv` and a parquet of probabilities for each.

    `project` says of pose files what they do not say. Beside the bouts lies where they
    come from (`mabe.provenance`). Returns them in the order of the recordings. Workers
    of an `executor` compute on the `device`, by default on the one the predictor is on.
    """
    sources = find_sources(
        path,
        rate_fps=predictor.rate_fps,
        project=project or Project(),
        usual_fps=predictor.usual_fps,
    )
    place = out / "probabilities"
    job = PredictionJob(predictor, place, device, executor.threads)
    marked = predict_all(job, sources, skip_bad=skip_bad, executor=executor)
    predicted = [each.bouts for each in marked]
    provenance = _provenance(predictor, [each.source for each in marked])
    write_predictions(out, Predictions(provenance, tuple(predicted)))
    written = {place / each.lab / f"{each.video}.parquet" for each in predicted}
    if earlier := set(place.glob("*/*.parquet")) - written:
        tqdm.write(
            f"! {len(earlier)} files in {place} are from an earlier call; bouts.csv is "
            "of this one alone"
        )
    return predicted


def predict_pairs(
    predictor: Predictor, sources: list[Source], *, skip_bad: bool = False
) -> list[RecordingBouts]:
    """Return who does what to whom in recordings."""
    marked = predict_all(PredictionJob(predictor), sources, skip_bad=skip_bad)
    return [each.bouts for each in marked]


@dataclass(frozen=True, slots=True)
class PredictionJob:
    """What is the same for all recordings that are marked in one call."""

    predictor: Predictor
    place: Path | None = None
    """Where frame probabilities go; None: nowhere."""
    device: str | None = None
    """What to compute on; None: where the predictor is."""
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class PredictedRecording:
    """What one recording came to."""

    bouts: RecordingBouts
    source: RecordingProvenance
    about: StoredRecording

    @property
    def odd(self) -> tuple[str, ...]:
        """Where the recording is not as the model expects it."""
        return self.source.notes[len(self.about.notes) :]


def predict_all(
    job: PredictionJob,
    sources: Sequence[Source],
    *,
    skip_bad: bool = False,
    executor: Executor = HERE,
) -> list[PredictedRecording]:
    """Mark recordings, each a task of its own; return them in their order.

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
        tqdm(total=len(sources), unit="video", disable=None, leave=False) as bar,
    ):
        for place, outcome in outcomes:
            name = sources[place].name
            bar.update()
            bar.set_postfix_str(name)
            if isinstance(outcome, str):
                leave_out(outcome, skip_bad=skip_bad)
                continue
            done[place] = outcome
    marked = [done[place] for place in sorted(done)]
    _print_notes(marked)
    report_opened([each.about for each in marked], len(sources))
    return marked


def _print_notes(predictions: Sequence[PredictedRecording]) -> None:
    """Print where recordings differ from the model's; each note once, with a count."""
    names: dict[str, list[str]] = defaultdict(list)
    for prediction in predictions:
        for note in prediction.odd:
            names[note].append(prediction.about.name)
    for note, those in names.items():
        which = (
            those[0]
            if len(those) == 1
            else f"{len(those)} of {len(predictions)} recordings"
        )
        tqdm.write(f"mabe: {which}: {note}", file=sys.stderr)


def predict_source(job: PredictionJob, source: Source) -> PredictedRecording | str:
    """Mark one recording; where it cannot be read return the reason instead."""
    if job.threads:
        torch.set_num_threads(job.threads)
    if job.device:
        job.predictor.checkpoint.model.to(choose_device(job.device))
    try:
        with source.fetched() as here:
            store, index = here.open()
            provenance = _recording_provenance(
                store, index, job.predictor.checkpoint.contract
            )
    except DataError as error:
        return str(error)
    about = store.recordings[index]
    path = job.place and job.place / about.lab / f"{about.video}.parquet"
    if job.predictor.actions is None:
        bouts = _predict_scene(job.predictor, store, index, path)
    else:
        bouts = job.predictor.directed_bouts(store, index, path)
    return PredictedRecording(bouts, provenance, about)


def _recording_provenance(
    store: PoseStore, index: int, contract: InputContract | None
) -> RecordingProvenance:
    """Return where a recording comes from; hold it against the card."""
    about = store.recordings[index]
    odd = contract.compare(about, working_fps=store.rate_fps) if contract else []
    file = store.root if store.root.is_file() else None
    return RecordingProvenance(
        lab=about.lab,
        video=about.video,
        fps=about.fps,
        length=about.native_length,
        animals=about.animal_names,
        tracks_hash=about.tracking_hash,
        file=file.name if file else None,
        file_hash=_hash_once(file, file.stat().st_mtime_ns) if file else None,
        notes=(*about.notes, *odd),
    )


@functools.lru_cache(maxsize=8)
def _hash_once(file: Path, _changed_ns: int) -> str:
    """Return a file's hash; one file may hold many recordings."""
    return hash_file(file)


def _provenance(
    predictor: Predictor, sources: list[RecordingProvenance]
) -> PredictionProvenance:
    checkpoint = predictor.checkpoint
    task = checkpoint.model.task
    bout_classes = task.kind.bout_classes(len(task.classes))
    return PredictionProvenance(
        mabe=__version__,
        model=checkpoint.path.name,
        model_hash=hash_file(checkpoint.path),
        task=task.kind,
        actions=tuple(task.classes[i] for i in bout_classes),
        rules=json.loads(checkpoint.rules.to_json()),
        rate_fps=predictor.rate_fps,
        variants=predictor.variants,
        sources=tuple(sources),
        has_lab_names=True,
    )


def _predict_scene(
    predictor: Predictor, store: PoseStore, index: int, path: Path | None
) -> RecordingBouts:
    """Return what goes on in a scene; write the probabilities if asked to."""
    prediction = predictor.predict_scene(store, index)
    about = prediction.about
    task = predictor.checkpoint.model.task
    assert isinstance(task, SceneTask)
    if path:
        columns = dict(zip(task.classes, prediction.probabilities.T, strict=True))
        write_probabilities(path, columns, frames=about.native_length)
    bouts = find_bouts(
        prediction.chosen,
        prediction.probabilities,
        task.classes,
        nothing=task.kind.nothing,
    )
    return _recording_bouts(about, within_tracks(bouts, store, index))


def _recording_bouts(about: StoredRecording, bouts: Sequence[Bout]) -> RecordingBouts:
    return RecordingBouts(
        lab=about.lab,
        video=about.video,
        fps=about.fps,
        length=about.native_length,
        animals=about.animal_names,
        bouts=tuple(bouts),
    )


def within_tracks(bouts: Sequence[Bout], store: PoseStore, index: int) -> list[Bout]:
    """Return what of the bouts lies between the first and the last tracked frame.

    Tracks of a stretch in the middle of a video keep the video's frame numbers; what a
    network makes of the empty frames before them is nothing that was seen.
    """
    about = store.recordings[index]
    span = store.tracked_span(index)
    if span is None:
        return []
    own = about.fps / store.rate_fps
    first, last = round(span[0] * own), math.ceil(round((span[1] - 1) * own, 3))
    return [
        replace(bout, start=max(bout.start, first), stop=min(bout.stop, last + 1))
        for bout in bouts
        if bout.start <= last and bout.stop > first
    ]


def _name_columns(
    prediction: ViewPrediction, actions: tuple[str, ...]
) -> dict[str, Float[np.ndarray, " frame"]]:
    """Return the probability of each possible action under a name of its own."""
    who = prediction.view.agent, prediction.view.target
    pair = f"{name_animal(who[0])},{name_target(*who)}"
    return {
        f"{pair},{actions[place]}": prediction.probabilities[:, place]
        for place in np.flatnonzero(prediction.possible)
    }
