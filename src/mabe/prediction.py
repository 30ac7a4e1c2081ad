"""Marking recordings with a recogniser: which ones, how, and what is written.

Recordings come from a prepared store, a folder in the Kaggle layout, or one tracking
file of it; one is in memory at a time, at the recogniser's working rate.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from mabe.decoding import choose_classes, find_bouts
from mabe.errors import ConfigError, DataError
from mabe.evaluation import Evaluation, VideoScore, score_video
from mabe.inference import Tracks, at_own_rate, frame_probabilities
from mabe.preparing import report_notes
from mabe.readers.kaggle import find_video, read_index, read_recording
from mabe.recogniser import Checkpoint, Recogniser
from mabe.recording import VideoInfo
from mabe.store import PoseStore, StoredRecording, from_recording, is_store, open_store
from mabe.writers.tables import VideoBouts, write_bouts, write_probabilities


@dataclass(frozen=True, slots=True)
class Subject:
    """One recording to be marked, opened when it is its turn."""

    name: str
    has_labels: bool
    open: Callable[[], tuple[PoseStore, int]]
    """Returns a store and the recording's place in it."""


@dataclass(frozen=True, slots=True)
class Marking:
    """What a recogniser finds in one recording, at the recording's own frames."""

    about: StoredRecording
    probabilities: Float[np.ndarray, "frame classes"]

    @property
    def chosen(self) -> Int[np.ndarray, " frame"]:
        """The class of each frame."""
        return choose_classes(self.probabilities)


def find_subjects(path: Path, *, rate_fps: float) -> list[Subject]:
    """Return the recordings that a path on the command line stands for.

    Raises `DataError` where there are none, `ConfigError` for a store of another rate.
    """
    if is_store(path):
        store = open_store(path)
        if store.rate_fps != rate_fps:
            raise ConfigError(
                f"{path}: prepared at {store.rate_fps} fps, but the recogniser works "
                f"at {rate_fps}; give the folder it was prepared from instead"
            )
        return [
            Subject(
                recording.name,
                recording.has_labels,
                lambda index=index: (store, index),  # type: ignore[misc]
            )
            for index, recording in enumerate(store.recordings)
        ]
    infos = [find_video(path)] if path.is_file() else read_index(path)
    return [_subject_of_file(info, rate_fps) for info in infos]


def mark(recogniser: Recogniser, store: PoseStore, index: int) -> Marking:
    """Return the probabilities at the recording's own frames.

    Where the metadata say what was watched, only those classes are possible; where
    they say nothing, all are.
    """
    about = store.recordings[index]
    probabilities = frame_probabilities(
        recogniser,
        Tracks.of_stored(store, index),
        recogniser.config.task.choices(about.watched),
    )
    return Marking(
        about,
        at_own_rate(
            probabilities,
            length=about.native_length,
            fps=about.fps,
            rate_fps=recogniser.config.fps,
        ),
    )


def predict(
    checkpoint: Checkpoint, path: Path, out: Path, *, skip_bad: bool = False
) -> list[VideoBouts]:
    """Mark recordings; write `bouts.csv` and a parquet of probabilities for each.

    Returns the bouts in the order of the recordings.
    """
    recogniser = checkpoint.recogniser
    subjects = find_subjects(path, rate_fps=recogniser.config.fps)
    found = []
    written: set[Path] = set()
    for store, index in _opened(subjects, skip_bad=skip_bad):
        marking = mark(recogniser, store, index)
        about = marking.about
        bouts = find_bouts(marking.chosen, marking.probabilities)
        place = out / "probabilities" / about.lab / f"{about.video}.parquet"
        write_probabilities(place, marking.probabilities, recogniser.classes)
        written.add(place)
        found.append(VideoBouts(about.lab, about.video, about.fps, tuple(bouts)))
    write_bouts(out / "bouts.csv", found, recogniser.classes)
    earlier = set((out / "probabilities").glob("*/*.parquet")) - written
    if earlier:
        tqdm.write(
            f"! {len(earlier)} files in {out / 'probabilities'} are from an earlier "
            "call; bouts.csv is of this one alone"
        )
    return found


def evaluate(
    checkpoint: Checkpoint,
    path: Path,
    *,
    include_training: bool = False,
    skip_bad: bool = False,
) -> Evaluation:
    """Score a recogniser on labelled recordings it did not learn from.

    Raises `DataError` where no such recording is left.
    """
    recogniser = checkpoint.recogniser
    task = recogniser.config.task
    known = set(checkpoint.provenance.trained_on)
    chose_epoch = set(checkpoint.provenance.validated_on)
    videos: list[VideoScore] = []
    learned, chose = 0, 0
    subjects = find_subjects(path, rate_fps=recogniser.config.fps)
    labelled = [subject for subject in subjects if subject.has_labels]
    unlabelled = len(subjects) - len(labelled)
    for store, index in _opened(labelled, skip_bad=skip_bad):
        about = store.recordings[index]
        labels = task.frame_labels(about.bouts, about.looked_for, about.native_length)
        if not (labels >= 0).any():
            unlabelled += 1
            continue
        if about.tracking_hash in known:
            learned += 1
            if not include_training:
                continue
        chose += about.tracking_hash in chose_epoch
        task.check_actions(bout.action for bout in about.bouts)
        marking = mark(recogniser, store, index)
        videos.append(
            score_video(
                about.lab, about.video, labels, marking.chosen, len(task.classes)
            )
        )
    if not videos:
        raise DataError(
            f"{path}: nothing to score: of {len(subjects)} recordings {learned} were "
            f"learned from and {unlabelled} have no frame that counts. Give labelled "
            "recordings the recogniser never saw, or --include-training to see how "
            "well it remembers"
        )
    notes = _notes(len(videos), unlabelled, learned, chose, include_training)
    return Evaluation(recogniser.classes, tuple(videos), notes)


def _notes(
    scored: int, unlabelled: int, learned: int, chose: int, include_training: bool
) -> tuple[str, ...]:
    """Say what a reader has to know to judge the figures."""
    notes = [f"{scored} recordings scored"]
    if unlabelled:
        notes.append(f"{unlabelled} left out: no frame that counts")
    if learned and include_training:
        notes.append(
            f"{learned} of them were learned from: these figures are not honest ones"
        )
    elif learned:
        notes.append(f"{learned} left out: the recogniser learned from them")
    if chose:
        notes.append(
            f"{chose} of them were held out during training and chose the best epoch, "
            "which flatters the figures a little"
        )
    return tuple(notes)


def _subject_of_file(info: VideoInfo, rate_fps: float) -> Subject:
    return Subject(
        info.name,
        info.has_labels,
        lambda: (from_recording(read_recording(info), rate_fps), 0),
    )


def _opened(
    subjects: Sequence[Subject], *, skip_bad: bool
) -> Iterator[tuple[PoseStore, int]]:
    """Open one recording after the other, with a progress bar."""
    bad = 0
    odd: list[StoredRecording] = []
    bar = tqdm(subjects, unit="video", disable=None, leave=False)
    for subject in bar:
        bar.set_postfix_str(subject.name)
        try:
            opened = subject.open()
        except DataError as error:
            if not skip_bad:
                raise DataError(
                    f"{error} (--skip-bad leaves such recordings out)"
                ) from None
            bad += 1
            tqdm.write(f"left out: {error}")
            continue
        store, index = opened
        odd.append(store.recordings[index])
        yield opened
    report_notes(odd)
    if bad:
        tqdm.write(f"{bad} of {len(subjects)} recordings left out: they cannot be read")
