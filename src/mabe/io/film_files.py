"""Films in a folder, and which recording a film belongs to.

A film belongs to a recording by its name, compared as the names of labels are
(`mabe.io.file_matching`): the most alike decides, and of several equally alike ones
none is used.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mabe.io.recording_names import (
    NameMatch,
    compare_names,
    names_in_stem,
    without_roles,
    words_of,
)

FILM_ENDINGS = (".mp4", ".m4v", ".webm", ".mov", ".avi", ".mkv", ".mpg", ".mpeg")
"""Endings of films."""


PLAYED_ENDINGS = (".mp4", ".m4v", ".webm")
"""Of these, the ones that a browser may play (as H.264, VP8, VP9 or AV1)."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A film and a recording that belong together, or why none was found."""

    found: str | None
    """The recording, or the film's path; None where nothing fits."""
    how: str
    """How it was found, for people to read."""
    is_certain: bool = False


def is_film(path: Path) -> bool:
    """Return whether a file has the ending of a film."""
    return path.suffix.lower() in FILM_ENDINGS


def find_films(folder: Path, *, skip: Path | None = None) -> list[Path]:
    """Return the films in a folder and its subfolders, but for one of them."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if is_film(path) and not (skip and path.is_relative_to(skip))
    ]


def films_of(
    folder: Path, recordings: Iterable[str], *, skip: Path | None = None
) -> dict[str, Path]:
    """Return the film of each recording that has one in a folder, by its name."""
    films = find_films(folder, skip=skip)
    found = {name: film_of(name, films) for name in recordings}
    return {name: film for name, film in found.items() if film}


def pair_film(film: str, recordings: Sequence[str]) -> Pairing:
    """Return the recording that a film of some name belongs to.

    `film` is the film's name without its ending, `recordings` are names of recordings
    without their laboratory. The only recording is treated as that of a film of
    another name, unless the names differ in their numbers alone: then they are of two.
    """
    best, equal = _best(film, recordings)
    if best is not None and len(equal) == 1:
        return Pairing(equal[0], _describe(film, equal[0], best), best.is_certain)
    if equal:
        some = ", ".join(equal[:4])
        return Pairing(None, f"{film} fits {len(equal)} recordings equally: {some}")
    if len(recordings) == 1 and _bare(film) != _bare(recordings[0]):
        how = f"{film} → {recordings[0]}: the names differ, but there is no other"
        return Pairing(recordings[0], how)
    some = ", ".join(recordings[:4])
    return Pairing(None, f"{film} fits no recording by its name; there are {some}")


def film_of(recording: str, films: Iterable[Path]) -> Path | None:
    """Return the film of a recording; None where none or several fit by their names.

    Of copies of one name that a browser may play is preferred.
    """
    by_stem: dict[str, Path] = {}
    for path in films:
        known = by_stem.get(path.stem)
        if known is None or (_is_played(path) and not _is_played(known)):
            by_stem[path.stem] = path
    _, equal = _best(recording, list(by_stem))
    return by_stem[equal[0]] if len(equal) == 1 else None


def _best(name: str, others: Sequence[str]) -> tuple[NameMatch | None, list[str]]:
    """Return how alike the most alike of some names is, and all that are so alike."""
    matches = {
        other: match
        for other in others
        if (
            match := min(
                (
                    found
                    for stem in names_in_stem(other)
                    if (found := compare_names(name, stem))
                ),
                default=None,
            )
        )
    }
    best = min(matches.values(), default=None)
    return best, [other for other, match in matches.items() if match == best]


def _describe(film: str, recording: str, match: NameMatch) -> str:
    if match.is_certain:
        return f"{film} → {recording}, by its name"
    return f"{film} → {recording}: one name is the beginning of the other"


def _bare(name: str) -> list[str]:
    return [word for word in without_roles(words_of(name)) if not word.isdigit()]


def _is_played(path: Path) -> bool:
    return path.suffix.lower() in PLAYED_ENDINGS
