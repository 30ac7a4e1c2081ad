"""Films of a project: copies that browsers play, and annotated ones.

Copies are in ``studio/films`` of the data set under a name that follows from the film,
so that a film that is replaced gets another copy; annotated films are in ``films``.

::

    python -m mabe.viz.studio.film_jobs copy DATA LAB/VIDEO FILM
    python -m mabe.viz.studio.film_jobs film DATA LAB/VIDEO [FILM]

A process of its own, as that of training is, but without torch.
"""

import sys
from pathlib import Path

from mabe.data.store import from_recording
from mabe.errors import ConfigError, DataError
from mabe.io.readers.kaggle import read_index, read_recording
from mabe.recording import VideoInfo
from mabe.runtime.file_names import path_under
from mabe.viz.film.played import is_played
from mabe.viz.review.compact_timeline import read_timelines
from mabe.viz.studio.job_lines import report, run_job
from mabe.viz.studio.rounds import finished_rounds


def playable_film(data: Path, film: Path | None) -> Path | None:
    """Return a film that browsers play, or its copy; None where there is neither."""
    if film is None or not film.is_file():
        return None
    if is_played(film):
        return film
    try:
        from mabe.viz.film.playable import copy_name
    except ConfigError:  # without PyAV there are no copies
        return None
    copy = data / "studio" / "films" / copy_name(film)
    return copy if copy.is_file() else None


def copy_film(data: Path, _name: str, film: Path | None) -> Path:
    """Make the copy of a film; return its path.

    Raises `MabeError` where PyAV is not installed, or the film cannot be read.
    """
    from mabe.viz.film.playable import copy_name, make_playable

    if film is None:
        raise DataError("there is no film of this recording")
    out = data / "studio" / "films" / copy_name(film)
    make_playable(
        film, out, report=lambda done, total: report("copying the film", done, total)
    )
    return out


def annotate_film(data: Path, name: str, film: Path | None) -> Path:
    """Write the annotated film of a recording by the last round; return its path.

    Raises `MabeError` where there is no round, PyAV is not installed, or the film
    cannot be read.
    """
    from mabe.viz.film.annotate import FilmStyle, FilmSubject, with_film, write_film
    from mabe.viz.film.film_reader import read_facts
    from mabe.viz.film.film_rows import rows_of

    report("reading the recording", 0, 1)
    info = _info_of(data, name)
    recording = read_recording(info)
    rounds = finished_rounds(data)
    timelines = read_timelines(rounds[-1].predictions(name)) if rounds else None
    if timelines is None:
        raise DataError("nothing is predicted of this recording yet: train first")
    subject = FilmSubject(
        recording=recording,
        animals=from_recording(recording, info.fps).recordings[0].animal_names,
        rows=rows_of(timelines, rounds[-1].actions, recording.bouts),
    )
    subject = with_film(subject, read_facts(film) if film else None, None)
    out = path_under(data / "films", info.lab, info.video, ending=".mp4")
    write_film(
        subject,
        out,
        FilmStyle(),
        frames=subject.frames_of(None, None),
        report=lambda done, total: report("drawing the film", done, total),
    )
    return out


def _info_of(data: Path, name: str) -> VideoInfo:
    found = [each for each in read_index(data, splits=("train",)) if each.name == name]
    if not found:
        raise DataError(f"{data}: no recording {name}")
    return found[0]


def main() -> int:
    """Do what the command line says."""
    make = {"copy": copy_film, "film": annotate_film}[sys.argv[1]]
    data, name, film = sys.argv[2:5]
    return run_job(lambda: make(Path(data), name, Path(film) if film else None))


if __name__ == "__main__":
    sys.exit(main())
