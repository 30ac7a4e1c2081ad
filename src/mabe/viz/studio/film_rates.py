"""Frame rates of films: for tracks whose files give none, and compared with others."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from mabe.errors import ConfigError, DataError
from mabe.io.film_files import film_of, find_films
from mabe.io.import_plan import ImportPlan, RecordingFiles

_APART = 0.01
"""Rates that differ by a larger share are not those of one film."""


def with_film_rates(plan: ImportPlan, root: Path) -> ImportPlan:
    """Return a plan in which recordings without a rate have that of their films."""
    if plan.project.fps:
        return plan
    films = find_films(root, skip=root / "mabe")
    return replace(
        plan, recordings=tuple(_with_rate(each, films) for each in plan.recordings)
    )


def _with_rate(files: RecordingFiles, films: Sequence[Path]) -> RecordingFiles:
    is_known = files.track.fps or files.scored_fps
    if is_known or (files.settings and files.settings.fps):
        return files
    return replace(files, film_fps=_rate_of(film_of(files.track.name, films)))


def contradictions(root: Path, rates: Iterable[tuple[str, float]]) -> list[str]:
    """Return which recordings, given with their rates, have films of other rates."""
    films = find_films(root, skip=root / "mabe")
    found = []
    for name, fps in rates:
        film = film_of(name, films)
        rate = _rate_of(film)
        if film and rate and abs(rate / fps - 1) > _APART:
            found.append(
                f"{name}: its tracks are read at {fps:g} fps, and {film.name} has "
                f"{rate:g}: poses and film drift apart where both are of the same "
                "frames; settle the rate that is right"
            )
    return found


def _rate_of(film: Path | None) -> float | None:
    """Return the rate of a film; None without one, or where it cannot be read."""
    if film is None:
        return None
    try:
        from mabe.viz.film.film_reader import read_rate

        return read_rate(film)
    except (ConfigError, DataError):  # no PyAV, or no film: shown when it is opened
        return None
