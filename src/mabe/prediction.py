"""Marking recordings with a recogniser, and what is written of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from tqdm import tqdm

from mabe.bouts import PairBout, label_runs
from mabe.checkpoint import Checkpoint
from mabe.decoding import NO_ACTION, choose_actions, choose_classes, find_bouts
from mabe.inference import (
    Tracks,
    at_own_rate,
    frame_probabilities,
    view_probabilities,
)
from mabe.pairs import View
from mabe.recogniser import PairRecogniser, SceneRecogniser
from mabe.store import PoseStore, StoredRecording
from mabe.subjects import Subject, find_subjects, open_all
from mabe.writers.submission import DirectedBouts
from mabe.writers.tables import (
    VideoBouts,
    write_bouts,
    write_pair_bouts,
    write_probabilities,
)


@dataclass(frozen=True, slots=True)
class Marking:
    """What a recogniser finds in one recording, at the recording's own frames."""

    about: StoredRecording
    probabilities: Float[np.ndarray, "frame classes"]

    @property
    def chosen(self) -> Int[np.ndarray, " frame"]:
        """The class of each frame."""
        return choose_classes(self.probabilities)


@dataclass(frozen=True, slots=True)
class ViewMarking:
    """What a recogniser finds from one agent to one target, at the own frames."""

    view: View
    possible: Bool[np.ndarray, " actions"]
    probabilities: Float[np.ndarray, "frame actions"]

    @property
    def chosen(self) -> Int[np.ndarray, " frame"]:
        """The action of each frame, or `NO_ACTION`."""
        return choose_actions(self.probabilities, self.possible)

    def bouts(self, actions: tuple[str, ...]) -> list[PairBout]:
        """Return the bouts of the chosen actions, in time order."""
        return [
            PairBout(
                int(start),
                int(stop),
                self.view.agent,
                self.view.target,
                actions[action],
                float(self.probabilities[start:stop, action].mean()),
            )
            for start, stop, action in label_runs(self.chosen)
            if action != NO_ACTION
        ]


def mark(recogniser: SceneRecogniser, store: PoseStore, index: int) -> Marking:
    """Return the probabilities of a scene's classes at the recording's own frames.

    Where the metadata say what was watched, only those classes are possible; where
    they say nothing, all are.
    """
    about = store.recordings[index]
    probabilities = frame_probabilities(
        recogniser,
        Tracks.of_stored(store, index),
        recogniser.task.choices(about.watched),
    )
    return Marking(about, _at_own_rate(probabilities, about, recogniser.config.fps))


def mark_views(
    recogniser: PairRecogniser, store: PoseStore, index: int
) -> Iterator[ViewMarking]:
    """Yield what is found in each view that is asked for; one is in memory at a time.

    Where the metadata say what was watched, only that is asked for; where they say
    nothing, every pair of tracked animals is.
    """
    about = store.recordings[index]
    tracks = Tracks.of_stored(store, index)
    if not about.length:
        return
    for view, possible in recogniser.task.choices(about).items():
        found = view_probabilities(recogniser, tracks, view, about.lab)
        own = _at_own_rate(found, about, recogniser.config.fps)
        yield ViewMarking(view, possible, own)


def predict(
    checkpoint: Checkpoint, path: Path, out: Path, *, skip_bad: bool = False
) -> list[VideoBouts] | list[DirectedBouts]:
    """Mark recordings; write `bouts.csv` and a parquet of probabilities for each.

    Returns the bouts in the order of the recordings.
    """
    recogniser = checkpoint.recogniser
    subjects = find_subjects(path, rate_fps=recogniser.config.fps)
    place = out / "probabilities"
    marked: list[VideoBouts] | list[DirectedBouts]
    if isinstance(recogniser, PairRecogniser):
        pairs = predict_pairs(recogniser, subjects, place, skip_bad=skip_bad)
        write_pair_bouts(out / "bouts.csv", pairs)
        marked = pairs
    else:
        scenes = _predict_scenes(recogniser, subjects, place, skip_bad=skip_bad)
        write_bouts(out / "bouts.csv", scenes, recogniser.task.classes)
        marked = scenes
    written = {place / video.lab / f"{video.video}.parquet" for video in marked}
    if earlier := set(place.glob("*/*.parquet")) - written:
        tqdm.write(
            f"! {len(earlier)} files in {place} are from an earlier call; bouts.csv is "
            "of this one alone"
        )
    return marked


def directed_bouts(
    recogniser: PairRecogniser,
    store: PoseStore,
    index: int,
    probabilities_path: Path | None = None,
) -> DirectedBouts:
    """Return the bouts of one recording; write the probabilities if asked to."""
    actions = recogniser.task.actions
    about = store.recordings[index]
    bouts: list[PairBout] = []
    columns: dict[str, Float[np.ndarray, " frame"]] = {}
    for marking in mark_views(recogniser, store, index):
        bouts += marking.bouts(actions)
        if probabilities_path:
            columns |= _name_columns(marking, actions)
    if probabilities_path:
        write_probabilities(probabilities_path, columns, frames=about.native_length)
    return DirectedBouts(
        video=about.video,
        lab=about.lab,
        fps=about.fps,
        length=about.native_length,
        bouts=tuple(sorted(bouts)),
    )


def predict_pairs(
    recogniser: PairRecogniser,
    subjects: list[Subject],
    place: Path | None = None,
    *,
    skip_bad: bool = False,
) -> list[DirectedBouts]:
    """Return the bouts of recordings; write probabilities where a place is given."""
    found = []
    for store, index in open_all(subjects, skip_bad=skip_bad):
        about = store.recordings[index]
        path = place and place / about.lab / f"{about.video}.parquet"
        found.append(directed_bouts(recogniser, store, index, path))
    return found


def _predict_scenes(
    recogniser: SceneRecogniser,
    subjects: list[Subject],
    place: Path,
    *,
    skip_bad: bool,
) -> list[VideoBouts]:
    classes = recogniser.task.classes
    found = []
    for store, index in open_all(subjects, skip_bad=skip_bad):
        marking = mark(recogniser, store, index)
        about = marking.about
        bouts = find_bouts(marking.chosen, marking.probabilities)
        write_probabilities(
            place / about.lab / f"{about.video}.parquet",
            dict(zip(classes, marking.probabilities.T, strict=True)),
            frames=about.native_length,
        )
        found.append(VideoBouts(about.lab, about.video, about.fps, tuple(bouts)))
    return found


def _name_columns(
    marking: ViewMarking, actions: tuple[str, ...]
) -> dict[str, Float[np.ndarray, " frame"]]:
    """Return the probability of each possible action under a name of its own."""
    view = marking.view
    target = "self" if view.is_self else f"mouse{view.target}"
    return {
        f"mouse{view.agent},{target},{actions[place]}": marking.probabilities[:, place]
        for place in np.flatnonzero(marking.possible)
    }


def _at_own_rate(
    probabilities: Float[np.ndarray, "time n"], about: StoredRecording, rate_fps: float
) -> Float[np.ndarray, "frame n"]:
    return at_own_rate(
        probabilities, length=about.native_length, fps=about.fps, rate_fps=rate_fps
    )
