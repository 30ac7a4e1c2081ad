"""One round of labelling: trees on all labels so far, and an honest score of them.

The features of what is labelled are computed once. Trees are grown on all of it for
use, and once for each fold of the recordings to score what they predict in recordings
they did not learn from.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.bouts import NO_ACTION, watched_frames
from mabe.config import RunConfig, build_config
from mabe.data.pair_windows import label_views
from mabe.data.splits import split_folds
from mabe.data.store import PoseStore
from mabe.errors import DataError
from mabe.metrics.confidence_interval import Confidence, confidence_of_counts
from mabe.metrics.frame_scores import count_frames, without_unlearned
from mabe.models.boosted_trees import Forest, LabelledRows, RowsOnDisk, rows_on_disk
from mabe.models.checkpoint import Provenance, save_checkpoint
from mabe.models.input_contract import InputContract
from mabe.models.trees_model import TreesModel, build_trees
from mabe.pair_task import PairTask, watched_in_labels
from mabe.recording import StoredRecording
from mabe.runtime.files import make_folder
from mabe.scene_task import TaskKind
from mabe.training.grow_trees import labelled_rows, tree_settings
from mabe.training.objectives import PairData, PairObjective
from mabe.training.skeleton_of_data import in_layout_of_run, settle_skeleton

QUICK: Mapping[str, Any] = {
    "task": "pair",
    "model_type": "trees",
    "feature_set": "social",
    "tree_rounds": 50,
    "tree_learning_rate": 0.2,
    "tree_min_rows": 20,
    "tree_max_rows": 20_000,
}
"""Settings of trees that are grown while somebody waits."""


FOLDS = 5


Report = Callable[[str, int, int], None]
"""Gets what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelRound:
    """Trees grown on the labels so far."""

    config: RunConfig
    store: PoseStore
    """All recordings, in the layout of the model."""
    model: TreesModel
    confidence: Confidence | None
    """F1 on recordings not learned from; None with one labelled recording."""
    labelled: tuple[int, ...]
    """The recordings with labels, by their place in the store."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRound:
    """The features of all that is labelled, computed once."""

    config: RunConfig
    objective: PairObjective
    rows: RowsOnDisk
    about: Int[np.ndarray, "row 2"]
    """The recording of each row, and whether it is of an animal by itself."""

    @property
    def recordings(self) -> list[StoredRecording]:
        """The recordings with labels; *places* are those in this list."""
        data = self.objective.data
        return [data.store.recordings[index] for index in data.learned]


def grow_round(
    data_dir: Path,
    store: PoseStore,
    model_dir: Path,
    *,
    undirected: Sequence[str] = (),
    report: Report = lambda *_: None,
) -> LabelRound:
    """Grow trees on all labels of a data set, score them, and save them.

    Raises `DataError` where there is nothing to learn yet.
    """
    with reading_labels(data_dir, store, model_dir, undirected, report) as labels:
        config, objective = labels.config, labels.objective
        report("growing trees", 0, 2)
        forest = objective.grow_forest(labels.rows, tree_settings(config))
        report("scoring on recordings not learned from", 1, 2)
        confidence = _score(labels)
    model = build_trees(config.model, objective.task, forest).eval()
    _save(model, objective, model_dir)
    return LabelRound(
        config=config,
        store=objective.data.store,
        model=model,
        confidence=confidence,
        labelled=tuple(objective.data.learned),
    )


def _objective(
    data_dir: Path, store: PoseStore, model_dir: Path, undirected: Sequence[str]
) -> tuple[RunConfig, PairObjective]:
    occurs = {bout.action for each in store.recordings for bout in each.bouts}
    if not occurs:
        raise DataError("no action is labelled yet: label a few bouts first")
    settings = {
        **QUICK,
        "fps": store.rate_fps,
        "data_dir": str(data_dir),
        "checkpoint_dir": str(model_dir),
        "undirected": sorted(occurs & set(undirected)),
    }
    config, _ = settle_skeleton(build_config(settings, where="studio"), store)
    store = in_layout_of_run(config, store)
    learned = [
        index
        for index, recording in enumerate(store.recordings)
        if recording.length and watched_in_labels(recording, actions=None, ignore=())
    ]
    task = PairTask.from_recordings(
        store.recordings, learned=learned, undirected=config.undirected
    )
    labelled = label_views(store, task, config.nearness)
    return config, PairData(config, store, learned, [], labelled).objective(config)


@contextmanager
def reading_labels(
    data_dir: Path,
    store: PoseStore,
    model_dir: Path,
    undirected: Sequence[str] = (),
    report: Report = lambda *_: None,
) -> Iterator[LabelledRound]:
    """Provide the features of all that is labelled, in a temporary file.

    Raises `DataError` where there is nothing to learn yet.
    """
    config, objective = _objective(data_dir, store, model_dir, undirected)
    untrained = build_trees(config.model, objective.task, Forest(("",)))
    of_rows: list[Int[np.ndarray, "row 2"]] = []
    with rows_on_disk(_rows(objective, untrained, of_rows, report)) as rows:
        about = np.concatenate(of_rows) if of_rows else np.empty((0, 2), int)
        yield LabelledRound(config, objective, rows.binned(), about)


def _rows(
    objective: PairObjective,
    model: TreesModel,
    of_rows: list[Int[np.ndarray, "row 2"]],
    report: Report,
) -> Iterator[LabelledRows]:
    """Yield rows to learn from; append (recording, is self) of each to `of_rows`."""
    frames = objective.config.tree_max_rows * model.block_frames
    every = max(1, math.ceil(objective.counted_frames / frames))
    views = objective.sampler.views
    for number, view in enumerate(views):
        report("reading what is labelled", number, len(views))
        for tracks, labels in objective.tracks_of(view):
            for part in labelled_rows(model, tracks, labels, every, number % every):
                about = view.recording, view.view.is_self
                of_rows.append(np.tile(np.array(about, int), (len(part.rows), 1)))
                yield part


def _score(labels: LabelledRound) -> Confidence | None:
    """Return the F1 of trees on the recordings of each fold, grown without them.

    Of an action that only one recording contains there is none.
    """
    folds = split_folds(labels.recordings, folds=FOLDS, seed=0)
    if len(folds) < 2:
        return None
    tracks: dict[str, Int[np.ndarray, "labs classes 3"]] = {}
    fold_of: dict[str, int] = {}
    places = range(len(labels.recordings))
    for number, fold in enumerate(folds):
        others = [place for place in places if place not in set(fold)]
        for key, counts in score_held_out(labels, fold, others).items():
            tracks[key] = tracks.get(key, 0) + counts
            fold_of[key] = number
    counts = without_unlearned(
        np.stack(list(tracks.values())), np.array([fold_of[key] for key in tracks])
    )
    return confidence_of_counts(counts, TaskKind.PAIR)


def score_held_out(
    labels: LabelledRound, held_out: Sequence[int], learned: Sequence[int]
) -> dict[str, Int[np.ndarray, "labs classes 3"]]:
    """Return the counts of each held-out track by trees grown on some recordings.

    Recordings are given by their places.
    """
    objective, rows, about = labels.objective, labels.rows, labels.about
    recordings, task = labels.recordings, objective.task
    index = objective.data.learned
    settings = tree_settings(labels.config)
    values = np.memmap(rows.path, np.float32, mode="r").reshape(len(about), -1)
    is_learned = np.isin(about[:, 0], [index[place] for place in learned])
    kept = np.where(is_learned[:, None], rows.labels, np.int8(-1))
    try:
        forest = objective.grow_forest(replace(rows, labels=kept), settings)
    except DataError:  # in these recordings is no action to learn
        forest = Forest(("",) * len(task.actions))
    tracks: dict[str, Int[np.ndarray, "labs classes 3"]] = {}
    for place in held_out:
        of_recording = about[:, 0] == index[place]
        recording = recordings[place]
        possible = _possible(task, recording.lab, about[of_recording, 1])
        probabilities = forest.probabilities(
            np.asarray(values[of_recording]), threads=settings.threads
        )
        chosen = _decide(np.where(possible, probabilities, 0))
        counts = count_frames(chosen, rows.labels[of_recording])[None]
        key = recording.tracking_hash
        tracks[key] = tracks.get(key, 0) + counts
    return tracks


def labelled_min(recording: StoredRecording) -> float:
    """Return the minutes in which something was watched for."""
    if recording.coverage is None:
        return recording.native_length / recording.fps / 60
    return watched_frames(recording.coverage) / recording.fps / 60


def _possible(
    task: PairTask, lab: str, is_self: Int[np.ndarray, " row"]
) -> Bool[np.ndarray, "row actions"]:
    at_zones = task.zone_actions.get(lab, frozenset())
    known = task.vocabulary.get(lab, frozenset()) | {(a, False) for a, _ in at_zones}
    return np.array(
        [[(action, bool(own)) in known for action in task.actions] for own in is_self]
    ).reshape(len(is_self), len(task.actions))


def _decide(
    probabilities: Float[np.ndarray, "row actions"],
) -> Int[np.ndarray, " row"]:
    """Return the most probable action of each row, or none below 0.5."""
    best = probabilities.argmax(axis=1)
    return np.where(probabilities.max(axis=1) >= 0.5, best, NO_ACTION)


def _save(model: TreesModel, objective: PairObjective, model_dir: Path) -> None:
    data = objective.data
    provenance = Provenance(
        epoch=1,
        step=objective.config.tree_rounds,
        trained_on=data.tracks(data.learned),
        validated_on=(),
        validation={},
        contract=InputContract.of([data.store.recordings[i] for i in data.learned]),
        data_dir=str(objective.config.data_dir),
    )
    make_folder(model_dir)
    save_checkpoint(model_dir / "best.safetensors", model, provenance)
