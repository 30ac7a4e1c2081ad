"""Which files of a folder hold tracks, which hold labels, and which belong together.

Files are looked at one by one. Tracks and labels of one recording are found by their
names, unless `project.yaml` says it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.errors import DataError
from mabe.io.project import Project, RecordingSettings
from mabe.io.readers.annotations import FileAnnotations
from mabe.io.readers.formats import read_file, recognise

_SKIPPED_ENDINGS = frozenset(
    f".{ending}"
    for endings in (
        ("avi", "mp4", "mov", "mkv", "mpg", "mpeg", "wmv", "seq", "png", "jpg", "jpeg"),
        ("tif", "tiff", "gif", "bmp", "pdf", "yaml", "yml", "md", "rst", "py", "ipynb"),
        ("log", "pickle", "pkl", "doc", "docx", "xlsx", "xls", "zip", "gz", "toml"),
    )
    for ending in endings
)
"""Videos, pictures, texts and what cannot be read; everything else is looked into."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the files of a folder hold, tracks by name only."""

    tracks: tuple["Track", ...]
    annotations: tuple["Labels", ...]
    unknown: tuple[str, ...]
    bad: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Track:
    """One recording's tracks, not in memory."""

    path: Path
    place: int
    """Which of the file's recordings."""
    name: str
    format: str
    length: int


@dataclass(frozen=True, slots=True)
class Labels:
    """One recording's labels of one file."""

    path: Path
    format: str
    annotations: FileAnnotations


@dataclass(frozen=True, slots=True)
class Pairing:
    """Tracks and the labels that belong to them."""

    track: Track
    labels: tuple[Labels, ...]
    settings: RecordingSettings | None
    notes: tuple[str, ...] = ()


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


def look_at(paths: Sequence[Path], *, skip_bad: bool) -> Found:
    """Return what files hold; broken ones raise unless they may be left out."""
    tracks: list[Track] = []
    labels: list[Labels] = []
    unknown, bad = [], []
    for path in paths:
        try:
            if recognise(path)[0] is None:
                unknown.append(path.name)
                continue
            content = read_file(path)
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
    return Found(tuple(tracks), tuple(labels), tuple(unknown), tuple(bad))


def one_of_each(tracks: Sequence[Track]) -> tuple[list[Track], list[str]]:
    """Return one track of each video in a folder, and which files are left out.

    DeepLabCut writes CSV beside HDF5, and filtered tracks beside raw ones: of files of
    one video the filtered is taken, and HDF5 before a text.
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


def pair_up(
    found: Found, project: Project, folder: Path
) -> tuple[list[Pairing], list[str]]:
    """Return each recording's tracks with its labels, and what was left out.

    By the project's settings, or else by names.
    """
    pairings = [_pair_by_hand(each, found, folder) for each in project.recordings]
    done = {pairing.track for pairing in pairings}
    used = {labels.path for pairing in pairings for labels in pairing.labels}
    tracks, doubles = one_of_each([each for each in found.tracks if each not in done])
    annotations = [labels for labels in found.annotations if labels.path not in used]
    owners = [(_owners(labels, tracks), labels) for labels in annotations]
    alone = len(tracks) == len(annotations) == 1 and not done
    for track in tracks:
        own = tuple(labels for those, labels in owners if track in those)
        notes: tuple[str, ...] = ()
        if not own and alone:
            own = tuple(annotations)
            notes = (
                f"labels of {annotations[0].path.name} "
                f"({annotations[0].annotations.name!r}) taken for its own: there "
                "are no others",
            )
        pairings.append(Pairing(track, own, None, notes))
    return pairings, doubles


def _owners(labels: Labels, tracks: Sequence[Track]) -> list[Track]:
    """Return the tracks that labels belong to: of several, those in the same folder."""
    those = [track for track in tracks if belongs(labels, track)]
    near = [track for track in those if track.path.parent == labels.path.parent]
    return near or those


def _pair_by_hand(settings: RecordingSettings, found: Found, folder: Path) -> Pairing:
    path = folder / settings.tracks
    track = next((each for each in found.tracks if each.path == path), None)
    if track is None:
        raise DataError(f"project.yaml: recordings: {path} holds no tracks.")
    labels: list[Labels] = []
    for name in settings.labels:
        of_file = [each for each in found.annotations if each.path == folder / name]
        if not of_file:
            raise DataError(f"project.yaml: recordings: {folder / name} has no labels.")
        named = [each for each in of_file if belongs(each, track)]
        labels += named if len(of_file) > 1 and named else of_file
    return Pairing(track, tuple(labels), settings)


def belongs(labels: Labels, track: Track) -> bool:
    """Tell whether labels name the video that tracks were made from.

    One name has to begin the other, after which no digit may go on: ``day1`` is not
    ``day10``.
    """
    if labels.path == track.path:
        return (
            labels.annotations.name == track.name
            or labels.annotations.name == track.path.stem
        )
    names = {labels.annotations.name, *labels.annotations.media}
    if labels.annotations.name not in labels.path.stem:
        names |= {labels.path.stem}
    return any(_same_video(name, track.name) for name in names if name)


def _same_video(first: str, second: str) -> bool:
    short, long = sorted((_bare(first), _bare(second)), key=len)
    if len(short) < 3 and short != long:
        return False
    rest = long[len(short) :]
    return long.startswith(short) and not (short[-1:].isdigit() and rest[:1].isdigit())


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be imported, before a recording is read whole."""

    lab: str
    project: Project
    pairings: tuple[Pairing, ...]
    ethogram: tuple[str, ...]
    """Every behaviour of any label file."""
    acting: tuple[str, ...]
    """Every subject of any label file; empty where events name none."""
    unused: tuple[Labels, ...]
    """Labels of recordings without tracks."""
    doubles: tuple[str, ...]
    """Tracks of a video that has others."""
    unknown: tuple[str, ...]
    bad: tuple[str, ...]


def plan_import(
    folder: Path, project: Project, *, skip: Path | None = None, skip_bad: bool = False
) -> Plan:
    """Return what a folder's files are and which belong together.

    Raises `DataError` where there are no tracks, or a file is broken.
    """
    found = look_at(find_files(folder, skip=skip), skip_bad=skip_bad)
    if not found.tracks:
        raise DataError(
            f"{folder}: no file with tracks; {len(found.annotations)} recordings with "
            f"labels, files not recognised: {list(found.unknown)[:8]}. `mabe inspect` "
            "tells what each is."
        )
    paired, doubles = pair_up(found, project, folder)
    pairings = _with_own_names(paired)
    used = {id(labels) for pairing in pairings for labels in pairing.labels}
    return Plan(
        lab=project.lab or re.sub(r"\W+", "_", folder.absolute().name) or "lab",
        project=project,
        pairings=tuple(pairings),
        ethogram=tuple(
            dict.fromkeys(
                b for labels in found.annotations for b in labels.annotations.behaviours
            )
        ),
        acting=_acting(found.annotations),
        unused=tuple(each for each in found.annotations if id(each) not in used),
        unknown=found.unknown,
        doubles=tuple(doubles),
        bad=found.bad,
    )


def _with_own_names(pairings: Sequence[Pairing]) -> list[Pairing]:
    """Give recordings of one name (two trackers' files of a video) different names."""
    seen: dict[str, int] = {}
    named = []
    for pairing in pairings:
        name = re.sub(r"[^\w.+-]+", "_", pairing.track.name).strip("._") or "recording"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name}_{seen[name]}"
        named.append(replace(pairing, track=replace(pairing.track, name=name)))
    return named


def _acting(labels: Sequence[Labels]) -> tuple[str, ...]:
    """Return the subjects of all labels, ``""`` where events name none."""
    found: dict[str, None] = {}
    for each in labels:
        found.update(dict.fromkeys(each.annotations.subjects))
        if any(not event.subject for event in each.annotations.events):
            found[""] = None
    return tuple(found) or ("",)
