"""Names in BORIS files of a project: of objects and zones, and of films."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mabe.io.film_files import films_of
from mabe.recording import StoredRecording


def place_names(recordings: Iterable[StoredRecording]) -> frozenset[str]:
    """Return the names of objects and zones, which are targets alone."""
    return frozenset(
        each.animal_names[number - 1]
        for each in recordings
        for number in each.places
        if each.animal_names
    )


def film_names(root: Path, videos: Sequence[str]) -> dict[str, str]:
    """Return the name of the film of each recording that has one."""
    films = films_of(root, videos, skip=root / "mabe")
    return {video: film.name for video, film in films.items()}
