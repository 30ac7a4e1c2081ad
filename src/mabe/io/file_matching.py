"""Which label files belong to which tracks.

Labels and tracks belong to one recording by their names, unless `project.yaml` lists
the files of a recording. A name may be that of a file, of an observation, or of the
video that either was made from; of equally alike names the folder decides. Labels
belong to one recording only, to the one whose name is most alike; labels that fit
several equally, or none, are not used and are listed.
"""

import difflib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.errors import ConfigError, DataError
from mabe.io.folder_files import FolderContents, Labels, Track, relative_name
from mabe.io.project import LabelSettings, Project, RecordingSettings
from mabe.io.recording_names import (
    NameMatch,
    Words,
    common_ending,
    compare_names,
    names_in_stem,
    normalize,
    split_path,
    without_roles,
    words_of,
)
from mabe.io.track_files import drop_duplicates, with_unique_names

_SAME_FOLDER = 1000
"""Counts more than any number of folders of the same names."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The labels of one file as those of one recording."""

    labels: Labels
    match: NameMatch | None = None
    """How alike the names are; None where they were not compared."""
    settings: LabelSettings | None = None

    @property
    def rest(self) -> Words:
        """The words after the recording's name in the name of the labels."""
        return self.match.rest if self.match else ()


@dataclass(frozen=True, slots=True)
class RecordingClaims:
    """The tracks of one recording, and all labels that belong to them."""

    track: Track
    """Its name is that of no other recording."""
    claims: tuple[Claim, ...]
    settings: RecordingSettings | None = None
    guesses: tuple[tuple[str, str], ...] = ()
    """What was assumed about its files, and why."""


@dataclass(frozen=True, slots=True)
class UnusedLabels:
    """Labels that belong to no recording, and what to write to use them."""

    labels: Labels
    reason: str
    hint: str
    """An entry of `recordings` in project.yaml."""


@dataclass(frozen=True, slots=True)
class Matching:
    """Which files belong together."""

    recordings: tuple[RecordingClaims, ...]
    unused: tuple[UnusedLabels, ...]
    notes: tuple[str, ...]
    """On files that are left out because of others."""


def match_files(contents: FolderContents, project: Project, folder: Path) -> Matching:
    """Return the files of each recording.

    Raises `DataError` or `ConfigError` where project.yaml names files or recordings
    that are not there.
    """
    kept, notes, copies = drop_duplicates(
        contents.tracks, folder, preferred=_listed_tracks(contents, project, folder)
    )
    tracks = with_unique_names(kept, folder)
    settings = _settings_of(tracks, project, folder)
    labels = [each for each in contents.labels if each.annotations.by == "person"]
    listed = {
        track: _listed_claims(track, each.labels, labels, folder)
        for track, each in settings.items()
        if each.labels is not None
    }
    files = {claim.labels.path for those in listed.values() for claim in those}
    files |= {track.path for track in listed}
    free = [each for each in labels if each.path not in files]
    open_tracks = [track for track in tracks if track not in listed]
    claims, unused = _claims_by_name(free, open_tracks, copies, folder)
    claims.update(listed)
    recordings = [
        RecordingClaims(track, tuple(claims.get(track, ())), settings.get(track))
        for track in tracks
    ]
    recordings, unused = _join_only_pair(recordings, unused)
    by_program = dict.fromkeys(
        relative_name(each.path, folder)
        for each in contents.labels
        if each.annotations.by == "program"
    )
    notes += [
        f"{path}: predicted by a program, not used as labels" for path in by_program
    ]
    return Matching(tuple(recordings), tuple(unused), tuple(notes))


def _listed_tracks(
    contents: FolderContents, project: Project, folder: Path
) -> frozenset[Path]:
    """Return the files with tracks that project.yaml lists."""
    given = [each.tracks for each in project.recordings if each.tracks]
    known = {each.path for each in contents.tracks}
    if lost := [name for name in given if folder / name not in known]:
        raise DataError(
            f"project.yaml: recordings: {folder / lost[0]} holds no tracks."
        )
    return frozenset(folder / name for name in given)


def _settings_of(
    tracks: Sequence[Track], project: Project, folder: Path
) -> dict[Track, RecordingSettings]:
    """Return the settings of each recording that project.yaml names."""
    found: dict[Track, RecordingSettings] = {}
    for settings in project.recordings:
        those = list(tracks)
        if settings.tracks:
            those = [each for each in those if each.path == folder / settings.tracks]
        if settings.name and len(those) != 1:
            name = normalize(settings.name)
            those = [each for each in those if name in _own_names(each, folder)]
        if not those:
            raise ConfigError(
                f"project.yaml: recordings: there is no recording {settings.name!r}; "
                f"there are {[each.name for each in tracks][:12]}"
            )
        if settings.tracks is None and len(those) > 1:
            raise ConfigError(
                f"project.yaml: recordings: {settings.name!r} are "
                f"{[each.name for each in those]}; give one of these names, or `tracks`"
            )
        if those[0] in found:
            raise ConfigError(
                f"project.yaml: recordings: {those[0].name!r} is given twice"
            )
        found[those[0]] = settings
    return found


def _own_names(track: Track, folder: Path) -> set[str]:
    """Return what a recording may be called in project.yaml."""
    path = track.path.relative_to(folder)
    names = (
        track.name,
        path.name,
        path.stem,
        path.as_posix(),
        *names_in_stem(path.stem),
    )
    return {normalize(name) for name in names}


def _listed_claims(
    track: Track,
    files: Sequence[LabelSettings],
    labels: Sequence[Labels],
    folder: Path,
) -> list[Claim]:
    """Return the labels that project.yaml lists for a recording."""
    claims = []
    for settings in files:
        path = folder / settings.file
        of_file = [each for each in labels if each.path == path]
        if not of_file:
            raise DataError(f"project.yaml: recordings: {path} has no labels.")
        own = _names_of_track(track, folder)
        matches = [
            _compare(_names_of_labels(each, folder, of_one=False), own)
            for each in of_file
        ]
        best = min((each for each in matches if each), default=None)
        claims += [
            Claim(each, match[0] if match else None, settings)
            for each, match in zip(of_file, matches, strict=True)
            if len(of_file) == 1 or best is None or match == best
        ]
    return claims


def _claims_by_name(
    labels: Sequence[Labels],
    tracks: Sequence[Track],
    copies: Mapping[Path, Track],
    folder: Path,
) -> tuple[dict[Track, list[Claim]], list[UnusedLabels]]:
    """Return the labels of each recording by their names, and those of none."""
    claims: dict[Track, list[Claim]] = {}
    left: list[tuple[Labels, list[Track]]] = []
    sizes = Counter(each.path for each in labels)
    names = {track: _names_of_track(track, folder) for track in tracks}
    for each in labels:
        own = _names_of_labels(each, folder, of_one=sizes[each.path] == 1)
        in_file = _in_same_file(each, tracks, copies)
        found = [
            (fit, track)
            for track in in_file or tracks
            if (fit := _compare(own, names[track]))
        ]
        best = min((fit for fit, _ in found), default=None)
        those = [track for fit, track in found if fit == best]
        if best is not None and len(those) == 1:
            claims.setdefault(those[0], []).append(Claim(each, best[0]))
        elif not found and len(in_file) == 1:
            claims.setdefault(in_file[0], []).append(Claim(each))
        else:
            left.append((each, those))
    # Labels of no recording are likeliest those of one that has none.
    likely = [track for track in tracks if track not in claims] or tracks
    unused = [_unused(each, those, likely, folder) for each, those in left]
    return claims, unused


def _in_same_file(
    labels: Labels, tracks: Sequence[Track], copies: Mapping[Path, Track]
) -> list[Track]:
    """Return the recordings of the file that the labels are in, or of its copy."""
    path = copies[labels.path].path if labels.path in copies else labels.path
    return [track for track in tracks if track.path == path]


Fit = tuple[NameMatch, int]
"""How alike names are, then how alike folders are (negative): the smaller, the more."""


@dataclass(frozen=True, slots=True)
class _Names:
    """What a file may be named for, and where it is."""

    place: Path
    folders: Words
    names: tuple[tuple[Words, str], ...]
    """Names with the folders in which they are."""


def _compare(labels: _Names, track: _Names) -> Fit | None:
    """Return how well labels fit a recording; None where they do not."""
    is_near = labels.place == track.place
    best: Fit | None = None
    for folders, name in labels.names:
        for track_folders, track_name in track.names:
            match = compare_names(name, track_name)
            if match is None:
                continue
            shared = max(
                common_ending(one, other)
                for one in (folders, labels.folders)
                for other in (track_folders, track.folders)
            )
            fit = match, -(shared + _SAME_FOLDER * is_near)
            if best is None or fit < best:
                best = fit
    return best


def _folders(path: Path, folder: Path) -> Words:
    return tuple(normalize(each) for each in path.parent.relative_to(folder).parts)


def _names_of_labels(labels: Labels, folder: Path, *, of_one: bool) -> _Names:
    """Return the names that labels may have.

    `of_one`: their file holds the labels of one recording, so its name is theirs too.
    """
    home = _folders(labels.path, folder)
    names: list[tuple[Words, str]] = []
    for name in (labels.annotations.name, *labels.annotations.media):
        folders, bare = split_path(name)
        names.append((folders or home, bare))
    if of_one:
        names += _names_of_stem(labels.path.stem, home)
    return _Names(labels.path.parent, home, tuple(dict.fromkeys(names)))


def _names_of_track(track: Track, folder: Path) -> _Names:
    """Return the names that a recording may have."""
    home = _folders(track.path, folder)
    names = [(home, track.given_name)]
    for name in names_in_stem(track.path.stem):
        names += _names_of_stem(name, home)
    if track.video:
        names.append(split_path(track.video))
    return _Names(track.path.parent, home, tuple(dict.fromkeys(names)))


def _names_of_stem(stem: str, folders: Words) -> Iterator[tuple[Words, str]]:
    """Yield the names that a file's stem stands for, alone and with its folder."""
    if without_roles(words_of(stem)):
        yield folders, stem
        if folders:
            yield folders[:-1], f"{folders[-1]} {stem}"
    elif folders:
        yield folders[:-1], folders[-1]


def _unused(
    labels: Labels, equal: Sequence[Track], tracks: Sequence[Track], folder: Path
) -> UnusedLabels:
    """Return why labels are not used, and the entry that settles it."""
    name = normalize(labels.annotations.name)
    if equal:
        names = ", ".join(track.name for track in equal[:4])
        reason = f"fits {len(equal)} recordings equally: {names}"
    else:
        reason = "fits no recording by its name"
    near = max(
        equal or tracks,
        key=lambda each: difflib.SequenceMatcher(
            None, name, normalize(each.name)
        ).ratio(),
        default=None,
    )
    hint = recordings_entry(near, [labels.path], folder) if near else ""
    return UnusedLabels(labels, reason, hint)


def recordings_entry(track: Track, files: Sequence[Path], folder: Path) -> str:
    """Return an entry of `recordings` in project.yaml."""
    tracks, *labels = (
        json.dumps(relative_name(path, folder), ensure_ascii=False)
        for path in (track.path, *files)
    )
    return f"- {{tracks: {tracks}, labels: [{', '.join(labels)}]}}"


def _join_only_pair(
    recordings: list[RecordingClaims], unused: list[UnusedLabels]
) -> tuple[list[RecordingClaims], list[UnusedLabels]]:
    """Join the only labels and the only tracks although their names differ.

    Not where the names differ in their numbers alone: then they are of two recordings.
    """
    if len(recordings) != 1 or len(unused) != 1 or recordings[0].claims:
        return recordings, unused
    [files], [left] = recordings, unused
    labels, track = left.labels, files.track
    words = [
        [word for word in without_roles(words_of(name)) if not word.isdigit()]
        for name in (labels.annotations.name, labels.path.stem, track.name)
    ]
    if words[2] in words[:2] or (files.settings and files.settings.labels is not None):
        return recordings, unused
    guess = (
        f"{labels.path.name} ({labels.annotations.name!r}) → {track.name}",
        "the names differ, but there are no others",
    )
    return [replace(files, claims=(Claim(labels),), guesses=(guess,))], []


def describe_match(claim: Claim, track: Track) -> tuple[str, str] | None:
    """Return what was assumed about whose labels a file holds, and why."""
    match = claim.match
    if match is None or match.is_certain or claim.settings:
        return None
    what = f"{claim.labels.path.name} → {track.name}"
    if match.rest:
        return what, f"its name goes on with {' '.join(match.rest)!r}"
    return what, "its name is the beginning of the recording's"
