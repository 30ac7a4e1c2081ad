"""What a film is made of, found from what the command line gives.

The recording comes from a data set, a folder of tracks, or a tracking file, its
behaviour from a model or from a folder of predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mabe.bouts import NO_ANIMAL, RecordingBouts, Watched
from mabe.data.sources import Source, find_sources
from mabe.data.store import PoseStore, from_recording, is_store
from mabe.errors import DataError, MabeError
from mabe.io.film_files import Pairing, is_film, pair_film
from mabe.io.predictions import (
    PROVENANCE,
    Predictions,
    RecordingProvenance,
    read_predictions,
)
from mabe.io.probabilities import (
    PROBABILITIES,
    probabilities_path,
    read_predicted_entries,
)
from mabe.recording import Recording
from mabe.viz.film.annotate import FilmSubject, with_film
from mabe.viz.film.film_reader import FilmFacts, read_facts
from mabe.viz.film.film_rows import FilmRow, rows_of
from mabe.viz.review.compact_timeline import UNKNOWN, ViewTimeline, to_bytes

if TYPE_CHECKING:  # folders of predictions need no torch
    from mabe.inference.predict import Predictor


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line gives."""

    what: Path
    """A film, a tracking file, or a name of a recording (``LAB/VIDEO``, ``VIDEO``)."""
    data: Path | None = None
    """Where the recording is; by default beside the film, or the run's own data."""
    recording: str | None = None
    """Its name, where a film has another one."""
    pixels_per_cm: float | None = None
    """The film's scale, where the tracks are in other units."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The model's rate, and the one that is assumed where a file gives none."""

    working_fps: float
    usual_fps: float


def is_predictions(path: Path) -> bool:
    """Return whether a path is a folder that `mabe predict` wrote."""
    return (path / PROVENANCE).is_file()


def subject_of_run(
    predictor: "Predictor", wanted: Wanted
) -> tuple[FilmSubject, list[str]]:
    """Return a recording with what a model predicts of it, and notes.

    Raises `MabeError` where it cannot be found or read.
    """
    from mabe.viz.report.gather_contents import own_data  # needs torch

    film = _film_of(wanted)
    rates = Rates(predictor.rate_fps, predictor.usual_fps)
    source, notes = find_recording(wanted, own_data(predictor.checkpoint), rates)
    recording = _read(source)
    store = from_recording(recording, predictor.rate_fps)
    about, task = store.recordings[0], predictor.task
    timelines = [ViewTimeline.of(view) for view in predictor.predict_views(store, 0)]
    if about.tracking_hash in predictor.checkpoint.trained_on:
        notes.append("the model was trained on this recording")
    class_of = None
    if not task.kind.is_directed:
        places = {
            action: name
            for name, actions in zip(task.classes, task.actions_of_classes, strict=True)
            for action in actions
        }
        class_of = places.get
    rows = rows_of(timelines, task.classes, recording.bouts, class_of)
    return _finished(recording, store, rows, film, wanted.pixels_per_cm, notes)


def subject_of_predictions(
    folder: Path, wanted: Wanted
) -> tuple[FilmSubject, list[str]]:
    """Return a recording with what a folder of predictions holds of it, and notes.

    Raises `MabeError` where it cannot be found or read, or where the tracks are not
    those that were predicted.
    """
    film, predictions = _film_of(wanted), read_predictions(folder)
    place, notes = _find_predicted(predictions, wanted)
    about = predictions.provenance.sources[place]
    bouts = predictions.recordings[place]
    narrowed = Wanted(
        wanted.what, wanted.data, f"{about.lab}/{about.video}", wanted.pixels_per_cm
    )
    rates = Rates(about.fps, about.fps)
    source, _ = find_recording(narrowed, None, rates)
    recording = _read(source)
    if recording.tracking_hash() != about.tracks_hash:
        raise DataError(
            f"{source.name}: its tracks are not those that {folder} was predicted "
            "from; give those with --data, or predict again"
        )
    store = from_recording(recording, recording.info.fps)
    rows = _predicted_rows(folder, predictions, about, bouts, recording)
    return _finished(recording, store, rows, film, wanted.pixels_per_cm, notes)


def _finished(
    recording: Recording,
    store: PoseStore,
    rows: Sequence[FilmRow],
    film: FilmFacts | None,
    pixels_per_cm: float | None,
    notes: list[str],
) -> tuple[FilmSubject, list[str]]:
    names = store.recordings[0].animal_names
    subject = FilmSubject(recording=recording, animals=names, rows=rows)
    subject = with_film(subject, film, pixels_per_cm)
    return subject, [*notes, *recording.notes, *subject.notes()]


def _film_of(wanted: Wanted) -> FilmFacts | None:
    """Return the film that is wanted, which is read before anything is predicted."""
    if not is_film(wanted.what):
        return None
    if not wanted.what.is_file():
        raise DataError(f"{wanted.what}: no such film")
    return read_facts(wanted.what)


def find_recording(
    wanted: Wanted, own: Path | None, rates: Rates
) -> tuple[Source, list[str]]:
    """Return the recording that is wanted, and how it was found.

    `own` are the data of the run. Raises `DataError` where there is none.
    """
    problems = []
    for where in _places(wanted, own):
        sources = _sources_in(where, rates, is_given=where == wanted.data)
        if not sources:
            continue
        chosen, how = _choose(wanted, sources)
        if chosen is not None:
            return chosen, [how] if how else []
        problems.append(f"{where}: {how}")
    if problems:
        raise DataError(f"{problems[0]}; give its name with --recording")
    raise DataError(
        f"{wanted.what}: no tracks beside it; give the folder that they are in with "
        "--data"
    )


def _places(wanted: Wanted, own: Path | None) -> list[Path]:
    if wanted.data is not None:
        return [wanted.data]
    beside = wanted.what if not is_film(wanted.what) else wanted.what.absolute().parent
    return [*([beside] if beside.exists() else []), *([own] if own else [])]


def _sources_in(where: Path, rates: Rates, *, is_given: bool) -> list[Source]:
    if is_store(where):
        raise DataError(
            f"{where}: a prepared store holds no pixels of the film; give the folder "
            "that it was prepared from with --data"
        )
    try:
        return find_sources(
            where,
            rate_fps=rates.working_fps,
            usual_fps=rates.usual_fps,
            with_labels=True,
        )
    except MabeError:
        if is_given or not where.is_dir():
            raise
        return []  # a folder of films alone; the run's own data are next


def _choose(wanted: Wanted, sources: Sequence[Source]) -> tuple[Source | None, str]:
    names = {source.name: source for source in sources}
    name = wanted.recording
    if name is None and not is_film(wanted.what):
        if len(sources) == 1:
            return sources[0], ""
        name = wanted.what.as_posix()
    if name is not None:
        fit = [n for n in names if name in (n, n.split("/", 1)[1])]
        if len(fit) == 1:
            return names[fit[0]], ""
        return None, f"no recording {name}; there are {', '.join(list(names)[:4])}"
    found = _pair(wanted.what, list(names))
    return (names[found.found] if found.found else None), found.how


def _pair(film: Path, names: Sequence[str]) -> Pairing:
    """Return the one of some recordings, ``LAB/VIDEO``, that a film belongs to."""
    videos = [name.split("/", 1)[1] for name in names]
    found = pair_film(film.stem, videos)
    if found.found is None:
        return found
    fit = [name for name in names if name.split("/", 1)[1] == found.found]
    if len(fit) > 1:
        return Pairing(None, f"{film.stem} fits {', '.join(fit[:4])} equally")
    return Pairing(fit[0], found.how, found.is_certain)


def _read(source: Source) -> Recording:
    if source.read is None:
        raise DataError(f"{source.name}: a store holds no pixels of a film")
    return source.read()


# ── folders of predictions ──


def _find_predicted(predictions: Predictions, wanted: Wanted) -> tuple[int, list[str]]:
    sources = predictions.provenance.sources
    names = [f"{each.lab}/{each.video}" for each in sources]
    name = wanted.recording
    if name is None and not is_film(wanted.what):
        name = wanted.what.stem if wanted.what.is_file() else wanted.what.as_posix()
    if name is not None:
        fit = [
            n
            for n, each in enumerate(sources)
            if name in (names[n], each.video, Path(each.file or "").stem)
        ]
        if len(fit) != 1:
            some = ", ".join(names[:4])
            raise DataError(f"no predictions of one recording {name}; there are {some}")
        return fit[0], []
    found = _pair(wanted.what, names)
    if found.found is None:
        raise DataError(f"{found.how}; give its name with --recording")
    return names.index(found.found), [found.how]


def _predicted_rows(
    folder: Path,
    predictions: Predictions,
    about: RecordingProvenance,
    bouts: RecordingBouts,
    recording: Recording,
) -> list[FilmRow]:
    provenance = predictions.provenance
    entries = read_predicted_entries(folder, provenance, about.lab, about.video)
    classes = list(provenance.actions)
    views = dict.fromkeys((entry.agent, entry.target) for entry in entries)
    path = probabilities_path(folder / PROBABILITIES, about.lab, about.video)
    timelines = []
    for agent, target in views:
        mine = [e for e in entries if (e.agent, e.target) == (agent, target)]
        values = np.full((about.length, len(classes)), UNKNOWN, np.uint8)
        for entry in mine:
            values[:, classes.index(entry.action)] = _read_column(path, entry)
        runs = [
            (bout.start, bout.stop, classes.index(bout.action))
            for bout in bouts.bouts
            if (bout.agent, bout.target) == (agent, target)
        ]
        rows = np.array(sorted(runs), int).reshape(-1, 3)
        timelines.append(ViewTimeline(agent, target, about.fps, values, rows))
    is_scene = provenance.task != "pair"
    same = {name: name for name in classes}
    return rows_of(timelines, classes, recording.bouts, same.get if is_scene else None)


def _read_column(path: Path, entry: Watched) -> np.ndarray:
    """Return the probabilities of an action as bytes."""
    name = entry.action
    if entry.agent != NO_ANIMAL:
        target = "self" if entry.target == entry.agent else f"mouse{entry.target}"
        name = f"mouse{entry.agent},{target},{entry.action}"
    try:
        with pq.ParquetFile(path) as file:
            pieces = [
                to_bytes(piece.column(0).to_numpy(zero_copy_only=False)[:, None])[:, 0]
                for piece in file.iter_batches(columns=[name])
            ]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(f"{path}: cannot be read ({error}); predict again") from None
    return np.concatenate([np.empty(0, np.uint8), *pieces])
