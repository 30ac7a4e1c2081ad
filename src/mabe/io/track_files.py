"""The recordings of a folder: one file of tracks each, and a name of its own each.

Trackers write the tracks of one video several times: DeepLabCut as CSV beside HDF5, and
filtered beside raw. Recordings of one name in different folders are different ones.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mabe.io.folder_files import Track, relative_name
from mabe.io.recording_names import normalize

_JABS_VERSION = re.compile(r"_pose_est_v(\d{1,3})$")

_TEXTS = (".csv", ".tsv", ".txt")
"""Forms that trackers export beside their own; digits and attributes may be lost."""


def drop_duplicates(
    tracks: Sequence[Track], folder: Path, *, preferred: frozenset[Path] = frozenset()
) -> tuple[list[Track], list[str], dict[Path, Track]]:
    """Return one track of each video, notes on the others, and whose copies they are.

    The preferred files win, then filtered tracks, then other files over text, then
    HDF5, then the later version of JABS's poses.
    """
    best: dict[tuple[Path, str], Track] = {}
    for track in tracks:
        key = _video_key(track)
        known = best.get(key)
        if known is None or _rank(track, preferred) > _rank(known, preferred):
            best[key] = track
    kept, notes, copies = [], [], {}
    for track in tracks:
        other = best[_video_key(track)]
        if other.path == track.path:
            kept.append(track)
            continue
        copies[track.path] = other
        notes.append(
            f"{relative_name(track.path, folder)}: left out, {other.path.name} is of "
            f"the same video ({track.name})"
        )
    return kept, notes, copies


def _video_key(track: Track) -> tuple[Path, str]:
    return track.path.parent, track.name


def _rank(
    track: Track, preferred: frozenset[Path]
) -> tuple[bool, bool, bool, bool, int]:
    is_filtered = "filtered" in track.path.stem.lower()
    is_text = track.path.suffix.lower() in _TEXTS
    version = _JABS_VERSION.search(track.path.stem)
    return (
        track.path in preferred,
        is_filtered,
        not is_text,
        "HDF5" in track.format,
        int(version[1]) if version else 0,
    )


def with_unique_names(tracks: Sequence[Track], folder: Path) -> list[Track]:
    """Return the tracks, each with a name that no other has, in any case.

    Recordings of one name get the names of their folders before it; within a folder
    they are numbered.
    """
    names = [clean_name(track.name) for track in tracks]
    groups: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        groups.setdefault(normalize(name), []).append(at)
    for places in groups.values():
        parents = [tracks[at].path.parent.relative_to(folder).parts for at in places]
        if len(places) > 1 and len(set(parents)) > 1:
            depth = _telling_depth(parents)
            for at, parts in zip(places, parents, strict=True):
                names[at] = clean_name("_".join((*parts[-depth:], names[at])))
    taken: set[str] = set()
    renamed = []
    for track, name in zip(tracks, names, strict=True):
        free, number = name, 1
        while normalize(free) in taken:
            number += 1
            free = f"{name}_{number}"
        taken.add(normalize(free))
        renamed.append(replace(track, name=free))
    return renamed


def _telling_depth(parents: Sequence[tuple[str, ...]]) -> int:
    """Return how many of the last folders tell different places apart."""
    different = len(set(parents))
    deepest = max(len(parts) for parts in parents)
    return next(
        depth
        for depth in range(1, deepest + 1)
        if len({parts[-depth:] for parts in parents}) == different
    )


def clean_name(name: str) -> str:
    """Return a name as that of a recording: without blanks, brackets and quotes."""
    signs = [
        sign if sign in "_.+-" or unicodedata.category(sign)[0] in "LMN" else " "
        for sign in unicodedata.normalize("NFC", name)
    ]
    return "_".join("".join(signs).split()).strip("._") or "recording"
