"""Marking recordings with a recogniser, and what is written of it."""

import functools
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int
from tqdm import tqdm

from mabe import __version__
from mabe.bouts import PairBout, label_runs, name_animal, name_target
from mabe.checkpoint import Checkpoint
from mabe.decisions.rules import decide
from mabe.decoding import NO_ACTION, ClassBout, find_bouts
from mabe.files import hash_file
from mabe.inference import Tracks, frame_probabilities, view_probabilities
from mabe.pairs import PairTask, View
from mabe.project import Project
from mabe.provenance import PredictionProvenance, Source, write_provenance
from mabe.rates import nearest_frames
from mabe.store import PoseStore, StoredRecording
from mabe.subjects import Subject, find_subjects, open_all
from mabe.tasks import SceneTask
from mabe.writers.submission import DirectedBouts
from mabe.writers.tables import (
    VideoBouts,
    write_bouts,
    write_pair_bouts,
    write_probabilities,
)

Frames = Int[np.ndarray, " frame"]
AnyBout = TypeVar("AnyBout", ClassBout, PairBout)


@dataclass(frozen=True, slots=True)
class Marking:
    """What a recogniser finds in one recording, at the recording's own frames."""

    about: StoredRecording
    probabilities: Float[np.ndarray, "frame classes"]
    chosen: Int[np.ndarray, " frame"]
    """The class of each frame."""


@dataclass(frozen=True, slots=True)
class ViewMarking:
    """What a recogniser finds from one agent to one target, at the own frames."""

    view: View
    possible: Bool[np.ndarray, " actions"]
    probabilities: Float[np.ndarray, "frame actions"]
    chosen: Int[np.ndarray, " frame"]
    """The action of each frame, or `NO_ACTION`."""

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


@dataclass(frozen=True, slots=True)
class Marker:
    """A recogniser, how it decides, and how many sights of a recording it averages."""

    checkpoint: Checkpoint
    variants: int = 1

    @property
    def rate_fps(self) -> float:
        """The working rate."""
        return self.checkpoint.recogniser.config.fps

    @property
    def usual_fps(self) -> float:
        """The rate most of the recordings it learned from were filmed at."""
        contract = self.checkpoint.contract
        return contract.rates_fps[0] if contract else self.rate_fps

    @property
    def actions(self) -> tuple[str, ...] | None:
        """What animals do to each other; None where scenes are marked."""
        task = self.checkpoint.recogniser.task
        return task.actions if isinstance(task, PairTask) else None

    def mark(self, store: PoseStore, index: int) -> Marking:
        """Return what goes on in a scene, at the recording's own frames.

        Where the metadata say what was watched, only those classes are possible; where
        they say nothing, all are.
        """
        recogniser, rules = self.checkpoint.recogniser, self.checkpoint.rules
        assert isinstance(recogniser.task, SceneTask)
        about = store.recordings[index]
        possible = recogniser.task.choices(about.watched)
        tracks = Tracks.of_stored(store, index)
        found = frame_probabilities(
            recogniser, tracks, possible, variants=self.variants
        )
        chosen = decide(
            found, fps=self.rate_fps, lab=about.lab, rules=rules, possible=possible
        )
        own = self._own_frames(about, len(found))
        return Marking(about, found[own], chosen[own])

    def mark_views(self, store: PoseStore, index: int) -> Iterator[ViewMarking]:
        """Yield what is found in each view that is asked for; one in memory at a time.

        Where the metadata say what was watched, only that is asked for; where they say
        nothing, every pair of tracked animals is.
        """
        recogniser, rules = self.checkpoint.recogniser, self.checkpoint.rules
        assert isinstance(recogniser.task, PairTask)
        about = store.recordings[index]
        tracks = Tracks.of_stored(store, index)
        own = self._own_frames(about, about.length)
        for view, possible in recogniser.task.choices(about).items():
            if not about.length:
                return
            found = view_probabilities(
                recogniser, tracks, view, about.lab, variants=self.variants
            )
            chosen = decide(
                found, fps=self.rate_fps, lab=about.lab, rules=rules, possible=possible
            )
            yield ViewMarking(view, possible, found[own], chosen[own])

    def directed_bouts(
        self, store: PoseStore, index: int, probabilities_path: Path | None = None
    ) -> DirectedBouts:
        """Return who does what to whom; write the probabilities if asked to."""
        about = store.recordings[index]
        actions = self.actions
        assert actions is not None
        bouts: list[PairBout] = []
        columns: dict[str, Float[np.ndarray, " frame"]] = {}
        for marking in self.mark_views(store, index):
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
            bouts=tuple(sorted(within_tracks(bouts, store, index))),
        )

    def _own_frames(self, about: StoredRecording, length: int) -> Frames:
        """Return, for each of the recording's own frames, the nearest one here."""
        return nearest_frames(
            about.native_length,
            from_fps=self.rate_fps,
            to_fps=about.fps,
            from_length=length,
        )


def predict(
    marker: Marker,
    path: Path,
    out: Path,
    *,
    skip_bad: bool = False,
    project: Project | None = None,
) -> list[VideoBouts] | list[DirectedBouts]:
    """Mark recordings; write `bouts.csv` and a parquet of probabilities for each.

    `project` says of pose files what they do not say. Beside the bouts lies where they
    come from (`mabe.provenance`). Returns them in the order of the recordings.
    """
    subjects = find_subjects(
        path,
        rate_fps=marker.rate_fps,
        project=project or Project(),
        usual_fps=marker.usual_fps,
    )
    place = out / "probabilities"
    opened = open_all(subjects, skip_bad=skip_bad)
    sources: list[Source] = []
    followed = _follow(opened, marker, sources)
    marked: list[VideoBouts] | list[DirectedBouts]
    if marker.actions is not None:
        pairs = _mark_pairs(marker, followed, place)
        write_pair_bouts(out / "bouts.csv", pairs)
        marked = pairs
    else:
        task = marker.checkpoint.recogniser.task
        assert isinstance(task, SceneTask)
        scenes = [
            _predict_scene(marker, store, index, place, task.classes)
            for store, index in followed
        ]
        write_bouts(out / "bouts.csv", scenes, task.classes)
        marked = scenes
    write_provenance(out, _provenance(marker, sources))
    written = {place / video.lab / f"{video.video}.parquet" for video in marked}
    if earlier := set(place.glob("*/*.parquet")) - written:
        tqdm.write(
            f"! {len(earlier)} files in {place} are from an earlier call; bouts.csv is "
            "of this one alone"
        )
    return marked


def predict_pairs(
    marker: Marker,
    subjects: list[Subject],
    place: Path | None = None,
    *,
    skip_bad: bool = False,
) -> list[DirectedBouts]:
    """Return the bouts of recordings; write probabilities where a place is given."""
    return _mark_pairs(marker, open_all(subjects, skip_bad=skip_bad), place)


def _mark_pairs(
    marker: Marker, opened: Iterator[tuple[PoseStore, int]], place: Path | None
) -> list[DirectedBouts]:
    found = []
    for store, index in opened:
        about = store.recordings[index]
        path = place and place / about.lab / f"{about.video}.parquet"
        found.append(marker.directed_bouts(store, index, path))
    return found


def _follow(
    opened: Iterator[tuple[PoseStore, int]], marker: Marker, sources: list[Source]
) -> Iterator[tuple[PoseStore, int]]:
    """Pass recordings on; hold each against the card, and note where it comes from."""
    contract = marker.checkpoint.contract
    hash_once = functools.cache(hash_file)  # one file may hold many recordings
    for store, index in opened:
        about = store.recordings[index]
        odd = contract.compare(about, working_fps=marker.rate_fps) if contract else []
        for note in odd:
            tqdm.write(f"mabe: {about.name}: {note}", file=sys.stderr)
        file = store.root if store.root.is_file() else None
        sources.append(
            Source(
                lab=about.lab,
                video=about.video,
                fps=about.fps,
                length=about.native_length,
                animals=about.animals,
                tracks_hash=about.tracking_hash,
                file=file.name if file else None,
                file_hash=hash_once(file) if file else None,
                notes=(*about.notes, *odd),
            )
        )
        yield store, index


def _provenance(marker: Marker, sources: list[Source]) -> PredictionProvenance:
    checkpoint = marker.checkpoint
    task = checkpoint.recogniser.task
    is_pair = isinstance(task, PairTask)
    answers = task.actions if isinstance(task, PairTask) else task.classes[1:]
    return PredictionProvenance(
        mabe=__version__,
        model=checkpoint.path.name,
        model_hash=hash_file(checkpoint.path),
        task="pair" if is_pair else "scene",
        actions=answers,
        rules=json.loads(checkpoint.rules.to_json()),
        rate_fps=marker.rate_fps,
        variants=marker.variants,
        sources=tuple(sources),
    )


def _predict_scene(
    marker: Marker, store: PoseStore, index: int, place: Path, classes: tuple[str, ...]
) -> VideoBouts:
    marking = marker.mark(store, index)
    about = marking.about
    write_probabilities(
        place / about.lab / f"{about.video}.parquet",
        dict(zip(classes, marking.probabilities.T, strict=True)),
        frames=about.native_length,
    )
    bouts = find_bouts(marking.chosen, marking.probabilities)
    kept = within_tracks(bouts, store, index)
    return VideoBouts(about.lab, about.video, about.fps, tuple(kept))


def within_tracks(
    bouts: Sequence[AnyBout], store: PoseStore, index: int
) -> list[AnyBout]:
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
    marking: ViewMarking, actions: tuple[str, ...]
) -> dict[str, Float[np.ndarray, " frame"]]:
    """Return the probability of each possible action under a name of its own."""
    who = marking.view.agent, marking.view.target
    pair = f"{name_animal(who[0])},{name_target(*who)}"
    return {
        f"{pair},{actions[place]}": marking.probabilities[:, place]
        for place in np.flatnonzero(marking.possible)
    }
