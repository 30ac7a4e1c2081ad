"""Copies of films in a codec that browsers play: the same frames at the same times."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mabe.errors import DataError
from mabe.runtime.files import hash_bytes
from mabe.viz.film.film_reader import FilmFacts, read_facts, shown_frames
from mabe.viz.film.film_writer import FilmSize, usable_time_base, writing_film

_TOLERANCE_S = 1e-3
"""A frame of a copy is shown at most so much earlier or later."""


def copy_name(film: Path) -> str:
    """Return a name for the copy of a film, another one when the film has changed."""
    about = film.stat()
    key = f"{film.resolve()}\n{about.st_size}\n{about.st_mtime_ns}"
    return f"{hash_bytes(key.encode())}.mp4"


def make_playable(
    path: Path, out: Path, *, report: Callable[[int, int], None] = lambda *_: None
) -> FilmFacts:
    """Write a copy of a film in H.264 with the same frames and times; return its facts.

    Frames that cannot be decoded repeat the one before. The copy is read again and
    compared. Raises `DataError` where the film cannot be read, or the copy has other
    frames.
    """
    film = read_facts(path)
    base = usable_time_base(film.time_base)
    size = FilmSize(
        width=film.width + film.width % 2,
        height=film.height + film.height % 2,
        rate_fps=film.rate_fps,
        time_base=base,
    )
    times_s = (film.times - film.times[0]) * float(film.time_base)
    times = np.round(times_s / float(base)).astype(np.int64)
    done = 0
    with writing_film(out, size, quality=18) as writer:
        for number, picture in shown_frames(film):
            writer.add(picture, int(times[number]))
            done = number + 1
            report(done, film.frames)
    copy = read_facts(out)
    copied_s = (copy.times - copy.times[0]) * float(copy.time_base)
    if copy.frames != film.frames or (np.abs(copied_s - times_s) > _TOLERANCE_S).any():
        out.unlink()
        raise DataError(
            f"{path}: the copy has {copy.frames:,} frames or other times, the film "
            f"{film.frames:,}; it is not used"
        )
    return copy
