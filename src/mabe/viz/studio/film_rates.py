"""Frame rates of films: for tracks whose files give none, and compared with others."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mabe.errors import ConfigError, DataError
from mabe.io.film_files import films_of
from mabe.io.import_plan import ImportPlan, RecordingFiles

_APART = 0.01
"""Rates that differ by a larger share are not those of one film."""


def with_film_rates(plan: ImportPlan, root: Path) -> ImportPlan:
    """Return a plan in which recordings without a rate have that of their films."""
    if plan.project.fps:
        return plan
    names = [files.track.name for files in plan.recordings if not _has_rate(files)]
    films = films_of(root, names, skip=root / "mabe")
    rates = {name: _rate_of(film) for name, film in films.items()}
    return replace(
        plan,
        recordings=tuple(
            replace(files, film_fps=rates.get(files.track.name))
            for files in plan.recordings
        ),
    )


def _has_rate(files: RecordingFiles) -> bool:
    own = files.settings.fps if files.settings else None
    return bool(own or files.track.fps or files.scored_fps)


def contradictions(root: Path, rates: Sequence[tuple[str, float]]) -> list[str]:
    """Return which recordings, given with their rates, have films of other rates."""
    films = films_of(root, [name for name, _ in rates], skip=root / "mabe")
    found = []
    for name, fps in rates:
        film = films.get(name)
        rate = _rate_of(film) if film else None
        if film and rate and abs(rate / fps - 1) > _APART:
            found.append(
                f"{name}: its tracks are read at {fps:g} fps, and {film.name} has "
                f"{rate:g}: poses and film drift apart where both are of the same "
                "frames; settle the rate that is right"
            )
    return found


def _rate_of(film: Path) -> float | None:
    """Return the rate of a film; None where it cannot be read."""
    try:
        from mabe.viz.film.film_reader import read_rate

        return read_rate(film)
    except (ConfigError, DataError):  # no PyAV, or no film: shown when it is opened
        return None
