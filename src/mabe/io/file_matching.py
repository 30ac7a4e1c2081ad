"""Which files of a folder hold tracks, which hold labels, and which belong together.

Tracks and labels belong to one recording by their names, unless `project.yaml` lists
the files of each recording. No recording is kept in memory.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.errors import DataError
from mabe.io.project import Project, RecordingSettings
from mabe.io.project_folders import choose_files
from mabe.io.readers.annotations import FileAnnotations
from mabe.io.readers.formats import read_file, recognise
from mabe.io.readers.left_out import LeftOut, describe_left_out

_SKIPPED_ENDINGS = frozenset(
    f".{ending}"
    for endings in (
        ("avi", "mp4", "mov", "mkv", "mpg", "mpeg", "wmv", "seq", "png", "jpg", "jpeg"),
        ("tif", "tiff", "gif", "bmp", "pdf", "yaml", "yml", "md", "rst", "py", "ipynb"),
        ("log", "pickle", "pkl", "doc", "docx", "zip", "toml"),
    )
    for ending in endings
)
"""Videos, pictures, texts and formats that are not read; all other files are opened."""


@dataclass(frozen=True, slots=True)
class Track:
    """Where the tracks of one recording are."""

    path: Path
    place: int
    """Which of the file's recordings."""
    name: str
    format: str
    length: int


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one recording in one file."""

    path: Path
    format: str
    annotations: FileAnnotations


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What the files of a folder hold."""

    tracks: tuple[Track, ...]
    labels: tuple[Labels, ...]
    unknown: tuple[str, ...]
    """Files of no known format."""
    bad: tuple[str, ...]
    """Why files could not be read."""
    left_out: tuple[LeftOut, ...] = ()
    """Files of known programs that hold nothing to import."""


@dataclass(frozen=True, slots=True)
class RecordingFiles:
    """The tracks of one recording, and the labels that belong to them."""

    track: Track
    labels: tuple[Labels, ...]
    settings: RecordingSettings | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What will be imported, before a recording is read whole."""

    lab: str
    project: Project
    recordings: tuple[RecordingFiles, ...]
    behaviours: tuple[str, ...]
    """All behaviours of all label files."""
    subjects: tuple[str, ...]
    """All subjects of all label files; ``""`` stands for events without one."""
    unused: tuple[Labels, ...]
    """Labels of recordings without tracks."""
    duplicates: tuple[str, ...]
    """Notes on tracks that are left out because their video has others."""
    unknown: tuple[str, ...]
    bad: tuple[str, ...]
    left_out: tuple[LeftOut, ...] = ()


def plan_import(
    folder: Path, project: Project, *, skip: Path | None = None, skip_bad: bool = False
) -> ImportPlan:
    """Return what the files of a folder hold and which belong together.

    Raises `DataError` where there are no tracks, or a file is broken.
    """
    files, left_out = choose_files(find_files(folder, skip=skip), folder)
    contents = scan_files(files, skip_bad=skip_bad)
    left_out += contents.left_out
    if not contents.tracks:
        known = "".join(f"\n  ! {line}" for line in describe_left_out(left_out))
        raise DataError(
            f"{folder}: no file with tracks; {len(contents.labels)} recordings with "
            f"labels, files not recognised: {list(contents.unknown)[:8]}. `mabe "
            f"inspect` prints what each file is.{known}"
        )
    matched, duplicates = match_files(contents, project, folder)
    recordings = _with_unique_names(matched)
    used = {id(labels) for files in recordings for labels in files.labels}
    return ImportPlan(
        lab=project.lab or folder_name(folder),
        project=project,
        recordings=tuple(recordings),
        behaviours=tuple(
            dict.fromkeys(
                behaviour
                for labels in contents.labels
                for behaviour in labels.annotations.behaviours
            )
        ),
        subjects=_subjects_of(contents.labels),
        unused=tuple(each for each in contents.labels if id(each) not in used),
        unknown=contents.unknown,
        duplicates=tuple(duplicates),
        bad=contents.bad,
        left_out=tuple(left_out),
    )


def folder_name(folder: Path) -> str:
    """Return a folder's name as the name of a lab that has none."""
    return re.sub(r"\W+", "_", folder.absolute().name) or "lab"


def find_files(folder: Path, *, skip: Path | None = None) -> list[Path]:
    """Return the files that may hold tracks or labels, in the order of their names."""
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder.")
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.suffix.lower() not in _SKIPPED_ENDINGS
        and not (skip and path.is_relative_to(skip))
    ]


def scan_files(paths: Sequence[Path], *, skip_bad: bool) -> FolderContents:
    """Return what files hold.

    Raises `DataError` for one that cannot be read, unless `skip_bad`.
    """
    tracks: list[Track] = []
    labels: list[Labels] = []
    unknown, bad, left_out = [], [], []
    for path in paths:
        try:
            if recognise(path)[0] is None:
                unknown.append(path.name)
                continue
            content = read_file(path)
        except LeftOut as reason:
            left_out.append(reason)
            continue
        except DataError as error:
            if not skip_bad:
                raise DataError(f"{error} (--skip-bad leaves such files out)") from None
            bad.append(str(error))
            continue
        tracks += [
            Track(path, at, poses.name, content.format, poses.length)
            for at, poses in enumerate(content.poses)
        ]
        labels += [
            Labels(path, content.format, annotations)
            for annotations in content.annotations
        ]
    return FolderContents(
        *(tuple(tracks), tuple(labels), tuple(unknown), tuple(bad), tuple(left_out))
    )


def match_files(
    contents: FolderContents, project: Project, folder: Path
) -> tuple[list[RecordingFiles], list[str]]:
    """Return the files of each recording, and notes on tracks that are left out.

    Files that the project lists for a recording come first; others are matched by name.
    """
    recordings = [
        _listed_files(settings, contents, folder) for settings in project.recordings
    ]
    listed = {files.track for files in recordings}
    used = {labels.path for files in recordings for labels in files.labels}
    tracks, duplicates = drop_duplicates(
        [each for each in contents.tracks if each not in listed]
    )
    free = [labels for labels in contents.labels if labels.path not in used]
    owners = [(_owners(labels, tracks), labels) for labels in free]
    is_single = len(tracks) == len(free) == 1 and not listed
    for track in tracks:
        own = tuple(labels for those, labels in owners if track in those)
        notes: tuple[str, ...] = ()
        if not own and is_single:
            own = tuple(free)
            notes = (
                f"labels of {free[0].path.name} ({free[0].annotations.name!r}) used "
                "although the names differ: there are no others",
            )
        recordings.append(RecordingFiles(track, own, None, notes))
    return recordings, duplicates


def _listed_files(
    settings: RecordingSettings, contents: FolderContents, folder: Path
) -> RecordingFiles:
    """Return the files that the project lists for a recording."""
    path = folder / settings.tracks
    track = next((each for each in contents.tracks if each.path == path), None)
    if track is None:
        raise DataError(f"project.yaml: recordings: {path} holds no tracks.")
    labels: list[Labels] = []
    for name in settings.labels:
        of_file = [each for each in contents.labels if each.path == folder / name]
        if not of_file:
            raise DataError(f"project.yaml: recordings: {folder / name} has no labels.")
        named = [each for each in of_file if belong_together(each, track)]
        labels += named if len(of_file) > 1 and named else of_file
    return RecordingFiles(track, tuple(labels), settings)


def drop_duplicates(tracks: Sequence[Track]) -> tuple[list[Track], list[str]]:
    """Return one track of each video in a folder, and which files are left out.

    DeepLabCut writes CSV beside HDF5, and filtered tracks beside raw ones: filtered
    tracks are preferred, and HDF5 to text.
    """
    best: dict[tuple[Path, str], Track] = {}
    for track in tracks:
        key = (track.path.parent, track.name)
        if key not in best or _preference(track) > _preference(best[key]):
            best[key] = track
    kept, notes = [], []
    for track in tracks:
        other = best[track.path.parent, track.name]
        if other.path == track.path:
            kept.append(track)
        else:
            notes.append(
                f"{track.path.name}: left out, {other.path.name} is of the same video "
                f"({track.name})"
            )
    return kept, notes


def _preference(track: Track) -> tuple[bool, bool]:
    return "filtered" in track.path.stem.lower(), "HDF5" in track.format


def _owners(labels: Labels, tracks: Sequence[Track]) -> list[Track]:
    """Return the tracks that labels belong to: of several, those in the same folder."""
    those = [track for track in tracks if belong_together(labels, track)]
    near = [track for track in those if track.path.parent == labels.path.parent]
    return near or those


def belong_together(labels: Labels, track: Track) -> bool:
    """Return whether labels name the video that tracks were made from.

    One name has to begin the other, and a number must not go on: ``day1`` is not
    ``day10``.
    """
    if labels.path == track.path:
        return (
            labels.annotations.name == track.name
            or labels.annotations.name == track.path.stem
        )
    media = (each.rsplit("/", 1)[-1] for each in labels.annotations.media)
    names = {labels.annotations.name, *media}
    if labels.annotations.name not in labels.path.stem:
        names |= {labels.path.stem}
    return any(_is_same_video(name, track.name) for name in names if name)


def _is_same_video(first: str, second: str) -> bool:
    short, long = sorted((_squeeze(first), _squeeze(second)), key=len)
    if len(short) < 3 and short != long:
        return False
    rest = long[len(short) :]
    return long.startswith(short) and not (short[-1:].isdigit() and rest[:1].isdigit())


def _squeeze(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _with_unique_names(recordings: Sequence[RecordingFiles]) -> list[RecordingFiles]:
    """Return the recordings, numbered where several have one name."""
    counts: dict[str, int] = {}
    renamed = []
    for files in recordings:
        name = re.sub(r"[^\w.+-]+", "_", files.track.name).strip("._") or "recording"
        counts[name] = counts.get(name, 0) + 1
        if counts[name] > 1:
            name = f"{name}_{counts[name]}"
        renamed.append(replace(files, track=replace(files.track, name=name)))
    return renamed


def _subjects_of(labels: Sequence[Labels]) -> tuple[str, ...]:
    """Return the subjects of all labels; ``""`` where events have none."""
    subjects: dict[str, None] = {}
    for each in labels:
        subjects.update(dict.fromkeys(each.annotations.subjects))
        if any(not event.subject for event in each.annotations.events):
            subjects[""] = None
    return tuple(subjects) or ("",)
