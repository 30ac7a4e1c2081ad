"""What a data set holds: labels, points, and copies of tracks."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from mabe.data.prepare import load_store
from mabe.data.store import is_store, open_store
from mabe.errors import DataError
from mabe.experiments.checklist.facts import (
    DataFacts,
    LabFacts,
)
from mabe.models.ensemble import Ensemble
from mabe.models.model import Model
from mabe.pair_task import PairTask
from mabe.recording import StoredRecording
from mabe.runtime.threads import usable_cores
from mabe.scene_task import SceneTask


def gather_data(path: Path, model: Model | Ensemble) -> DataFacts:
    """Return what a folder in the Kaggle layout, or a store of any rate, holds.

    The folder is prepared at the model's rate where it is not yet. Raises `DataError`
    where there are no recordings.
    """
    if is_store(path):
        store = open_store(path)
    else:
        store = load_store(path, rate_fps=model.config.fps, workers=usable_cores())
    return describe_data(store.recordings, model.task, where=str(path))


def describe_data(
    recordings: Sequence[StoredRecording],
    task: SceneTask | PairTask,
    *,
    where: str = "data",
) -> DataFacts:
    """Return what some recordings hold of what the task does not ignore."""
    if not recordings:
        raise DataError(f"{where}: no recordings; give a data set that has some")
    names: dict[str, list[str]] = defaultdict(list)
    by_lab: dict[str, list[StoredRecording]] = defaultdict(list)
    for recording in recordings:
        names[recording.tracking_hash].append(recording.name)
        by_lab[recording.lab].append(recording)
    return DataFacts(
        labs=tuple(
            _describe_lab(lab, those, task) for lab, those in sorted(by_lab.items())
        ),
        recordings=len(recordings),
        unlabelled=sum(not each.has_labels for each in recordings),
        without_bouts=tuple(
            each.name for each in recordings if each.has_labels and not each.bouts
        ),
        untracked=tuple(each.name for each in recordings if not _is_tracked(each)),
        names_of={track: tuple(those) for track, those in names.items()},
    )


def _describe_lab(
    lab: str, recordings: Sequence[StoredRecording], task: SceneTask | PairTask
) -> LabFacts:
    points = [each.length * len(each.slots) for each in recordings]
    missing = sum(
        each.missing_share * number
        for each, number in zip(recordings, points, strict=True)
    )
    return LabFacts(
        lab=lab,
        recordings=len(recordings),
        missing_share=missing / max(1, sum(points)),
        keypoints=frozenset(
            point.keypoint for each in recordings for point in each.points
        ),
        bouts=count_bouts(recordings, task),
    )


def count_bouts(
    recordings: Sequence[StoredRecording], task: SceneTask | PairTask
) -> dict[str, int]:
    """Return the bouts of each action that was watched or annotated and is scored."""
    counts: Counter[str] = Counter()
    for recording in recordings:
        counts.update({watched.action: 0 for watched in recording.annotated})
        counts.update(bout.action for bout in recording.bouts)
    return {
        action: number
        for action, number in sorted(counts.items())
        if task.is_scored(action)
    }


def _is_tracked(recording: StoredRecording) -> bool:
    return bool(recording.slots) and recording.missing_share < 1
