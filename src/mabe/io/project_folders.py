"""Project folders of other programs: which of their files hold recordings.

- DeepLabCut: a folder with ``config.yaml`` and ``labeled-data``, ``training-datasets``,
  ``dlc-models`` or ``evaluation-results``. What lies in these four is about training;
  tracks of videos lie elsewhere (``videos``).
- SimBA: ``csv/<stage>/VIDEO.csv`` and ``logs``. A video has a file in every stage that
  it has passed; one is read, the one with a person's labels first. What the classifiers
  predicted (``machine_results``) is read only where there is no other, for its poses.
- idtracker.ai: ``trajectories`` of a session holds several results (as tracked, with
  gaps closed, corrected by a person), each as CSV and npy; one is read.
- Ultralytics (YOLO): a text for each frame, ``VIDEO_1.txt`` …; the first one stands
  for all.
- TRex: a file for each individual, ``VIDEO_id0.npz`` …; the first one stands for all.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mabe.io.readers.deeplabcut import TRAINING_DATA
from mabe.io.readers.file_head import Peek
from mabe.io.readers.idtracker import session_folder
from mabe.io.readers.left_out import LeftOut, NothingToImport
from mabe.io.readers.simba import MACHINE_STAGE
from mabe.io.readers.trex import is_trex
from mabe.io.readers.trex import split_name as individual_of
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

_IDTRACKER_OTHER = "another form of trajectories of idtracker.ai that are read."

_YOLO_FRAME = (
    "one frame each of Ultralytics' (YOLO) results, for which the first file of a "
    "video stands."
)

_TREX_INDIVIDUAL = (
    "an individual of TRex, for which the first file of its video stands."
)


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
        | dict.fromkeys(_trex_files(others), _TREX_INDIVIDUAL)
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
    results: dict[Path, dict[str, list[Path]]] = {}
    for path in paths:
        if session := session_folder(path):
            is_table = path.parent.name.endswith("_csv")
            result = path.parent.name if is_table else path.stem
            of_session = results.setdefault(session, {})
            of_session.setdefault(result, []).append(path)
    found: set[Path] = set()
    for of_session in results.values():
        names = [
            name
            for result in _IDTRACKER_RESULTS
            for name in (f"{result}_csv", result)
            if any(path.suffix in (".csv", ".npy") for path in of_session.get(name, []))
        ]
        for name in names[1:]:
            found.update(of_session[name])
        if names:
            others = (path for those in of_session.values() for path in those)
            found.update(path for path in others if path.suffix in (".h5", ".parquet"))
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


def _trex_files(paths: Iterable[Path]) -> set[Path]:
    """Return the files of individuals of TRex but for the first of each video."""
    videos: dict[tuple[Path, str], list[Path]] = {}
    for path in paths:
        if (named := individual_of(path)) and is_trex(Peek(path)):
            videos.setdefault((path.parent, named[0]), []).append(path)
    return {path for files in videos.values() for path in files[1:]}
