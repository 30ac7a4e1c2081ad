"""Project folders of other programs: which of their files hold recordings.

- DeepLabCut: a folder with ``config.yaml`` and ``labeled-data``, ``training-datasets``,
  ``dlc-models`` or ``evaluation-results``. What lies in these four is about training;
  tracks of videos lie elsewhere (``videos``).
- SimBA: ``csv/<stage>/VIDEO.csv`` and ``logs``. A video has a file in every stage that
  it has passed; one is read, the one with a person's labels first. What the classifiers
  predicted (``machine_results``) is read only where there is no other, for its poses.
- idtracker.ai: ``trajectories`` of a session holds several results (as tracked, with
  gaps closed, corrected by a person), each in several forms (CSV, npy, HDF5, tidy CSV,
  parquet); one is read.
- Ultralytics (YOLO): a text for each frame, ``VIDEO_1.txt`` …; the first one stands
  for all.
- TRex: a file for each individual, ``VIDEO_id0.npz`` …; the first one stands for all.
  The same as CSV is read where there is no npz, which has the scale.
- FlyTracker: ``VIDEO/VIDEO-track.mat`` is read instead of the same tracks for JAABA in
  ``VIDEO/VIDEO_JAABA/trx.mat``.
- AnimalTA: ``corrected_coordinates/VIDEO_Corrected.csv`` is read instead of
  ``coordinates/VIDEO_Coordinates.csv``.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mabe.io.readers.animalta import is_animalta
from mabe.io.readers.deeplabcut import TRAINING_DATA
from mabe.io.readers.file_head import Peek
from mabe.io.readers.idtracker import session_folder
from mabe.io.readers.left_out import LeftOut, NothingToImport
from mabe.io.readers.simba import MACHINE_STAGE
from mabe.io.readers.trex import is_trex
from mabe.io.readers.trex import split_name as individual_of
from mabe.io.readers.trex_csv import is_trex_csv
from mabe.io.readers.yolo import is_yolo
from mabe.io.readers.yolo import split_name as frame_of

_DLC_CONFIG = "config.yaml"

_DLC_TRAINING = (
    "labeled-data",
    "training-datasets",
    "dlc-models",
    "dlc-models-pytorch",
    "evaluation-results",
    "evaluation-results-pytorch",
)

SIMBA_STAGES = (
    "targets_inserted",
    "features_extracted",
    "outlier_corrected_movement_location",
    "outlier_corrected_movement",
    "input_csv",
    MACHINE_STAGE,
)
"""The folders of a SimBA project that hold poses, the preferred one first."""

_SIMBA_SETTINGS = ("logs", "configs", "models")

_SIMBA_STAGE = (
    "another stage of a SimBA project, of a video that is read from a later stage or "
    "from one with a person's labels."
)

_SIMBA_OTHER = "settings of a SimBA project, read together with its videos."

_IDTRACKER_RESULTS = ("validated", "without_gaps", "trajectories", "with_gaps")
"""Results of one session of idtracker.ai, the preferred one first."""

_IDTRACKER_FORMS = ("_csv", ".npy", ".h5", ".hdf5", "_tidy.csv", ".parquet")
"""What follows a result's name in the forms of it, the preferred one first."""

_IDTRACKER_OTHER = "another form of trajectories of idtracker.ai that are read."

_YOLO_FRAME = (
    "one frame each of Ultralytics' (YOLO) results, for which the first file of a "
    "video stands."
)

_TREX_INDIVIDUAL = (
    "an individual of TRex, for which the first file of its video stands."
)


_TREX_CSV = "another form of tracks of TRex, which are read from npz."

_FLYTRACKER_COPY = "tracks of FlyTracker for JAABA, which are read from -track.mat."

_ANIMALTA_RAW = "coordinates of AnimalTA, of which the corrected ones are read."


def choose_files(
    paths: Sequence[Path], folder: Path
) -> tuple[list[Path], list[LeftOut]]:
    """Return the files of a folder that may hold recordings, and why others do not."""
    training = dict.fromkeys(_training_files(paths, folder), TRAINING_DATA)
    others = [path for path in paths if path not in training]
    reasons = (
        training
        | _simba_files(others)
        | dict.fromkeys(_idtracker_files(others), _IDTRACKER_OTHER)
        | dict.fromkeys(_yolo_files(others), _YOLO_FRAME)
        | _trex_files(others)
        | dict.fromkeys(_flytracker_files(others), _FLYTRACKER_COPY)
        | dict.fromkeys(_animalta_files(others), _ANIMALTA_RAW)
    )
    left: list[LeftOut] = [
        NothingToImport(path, reasons[path]) for path in paths if path in reasons
    ]
    return [path for path in paths if path not in reasons], left


def _training_files(paths: Iterable[Path], folder: Path) -> set[Path]:
    """Return the files of DeepLabCut projects that are about training."""
    found = set()
    for path in paths:
        for place in path.parents:
            is_training = place.name in _DLC_TRAINING
            if is_training and (place.parent / _DLC_CONFIG).is_file():
                found.add(path)
            if place == folder:
                break
    return found


def _simba_files(paths: Sequence[Path]) -> dict[Path, str]:
    """Return the files of SimBA projects that are not read, and why."""
    stages: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        if path.parent.name in SIMBA_STAGES and path.parent.parent.name == "csv":
            stages.setdefault((path.parent.parent.parent, path.stem), []).append(path)
    projects = {project for project, _ in stages}
    found: dict[Path, str] = {}
    for those in stages.values():
        those.sort(key=lambda path: SIMBA_STAGES.index(path.parent.name))
        found |= dict.fromkeys(those[1:], _SIMBA_STAGE)
    for path in paths:
        for project in projects & set(path.parents):
            if path.relative_to(project).parts[0] in _SIMBA_SETTINGS:
                found[path] = _SIMBA_OTHER
    return found


def _idtracker_files(paths: Iterable[Path]) -> set[Path]:
    """Return the files of sessions of idtracker.ai that hold what others hold too."""
    sessions: dict[Path, dict[str, list[Path]]] = {}
    for path in paths:
        if session := session_folder(path):
            is_table = path.parent.name.endswith("_csv")
            form = path.parent.name if is_table else path.name
            sessions.setdefault(session, {}).setdefault(form, []).append(path)
    found: set[Path] = set()
    for forms in sessions.values():
        names = [
            name
            for result in _IDTRACKER_RESULTS
            for ending in _IDTRACKER_FORMS
            if (name := f"{result}{ending}") in forms
        ]
        for name in names[1:]:
            found.update(forms[name])
    return found


def _yolo_files(paths: Iterable[Path]) -> set[Path]:
    """Return the texts of frames of Ultralytics but for the first of each video."""
    videos: dict[tuple[Path, str], dict[int, Path]] = {}
    for path in paths:
        if named := frame_of(path):
            videos.setdefault((path.parent, named[0]), {})[named[1]] = path
    found: set[Path] = set()
    for frames in videos.values():
        first = next((n for n in sorted(frames) if frames[n].stat().st_size), None)
        if first is not None and is_yolo(Peek(frames[first])):
            found.update(path for number, path in frames.items() if number != first)
    return found


def _trex_files(paths: Iterable[Path]) -> dict[Path, str]:
    """Return the files of individuals of TRex but for the first of each video."""
    videos: dict[tuple[Path, str], dict[str, list[Path]]] = {}
    for path in paths:
        is_it = is_trex if path.suffix == ".npz" else is_trex_csv
        if (named := individual_of(path)) and is_it(Peek(path)):
            of_video = videos.setdefault((path.parent, named[0]), {})
            of_video.setdefault(path.suffix, []).append(path)
    found: dict[Path, str] = {}
    for forms in videos.values():
        first, *others = sorted(forms, reverse=True)  # npz before csv
        found |= dict.fromkeys(forms[first][1:], _TREX_INDIVIDUAL)
        for form in others:
            found |= dict.fromkeys(forms[form], _TREX_CSV)
    return found


def _flytracker_files(paths: Sequence[Path]) -> set[Path]:
    """Return FlyTracker's copies for JAABA of tracks that are there themselves."""
    folders = {path.parent for path in paths if path.name.endswith("-track.mat")}
    return {
        path
        for path in paths
        if path.name.endswith("trx.mat")
        and re.search(r"[-_]JAABA$", path.parent.name)
        and path.parent.parent in folders
    }


def _animalta_files(paths: Iterable[Path]) -> set[Path]:
    """Return the tables of AnimalTA of which there is a corrected one."""
    tables = {path for path in paths if path.suffix == ".csv"}
    corrected = {
        (folder, path.stem.removesuffix("_Corrected"))
        for path in tables
        for folder in (path.parent, path.parent.parent)
        if path.stem.endswith("_Corrected") and is_animalta(Peek(path))
    }
    return {
        path
        for path in tables
        if path.stem.endswith("_Coordinates")
        and any(
            (folder, path.stem.removesuffix("_Coordinates")) in corrected
            for folder in (path.parent, path.parent.parent)
        )
        and is_animalta(Peek(path))
    }
