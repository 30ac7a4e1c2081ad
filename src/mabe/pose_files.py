"""Pose files of any known format as recordings, without importing them first."""

import re
import sys
from dataclasses import replace
from pathlib import Path

from mabe.bouts import Watched
from mabe.errors import DataError
from mabe.ethogram import make_cast, watched_of
from mabe.pairing import Track, find_files, one_of_each
from mabe.project import Project
from mabe.readers.formats import read_again, recognise
from mabe.recording import Recording
from mabe.standard import Standard, standardise, to_recording


def find_recordings(path: Path) -> list[tuple[Path, int, str]]:
    """Return the recordings of a file or a folder: file, place in it, name.

    Raises `DataError` where a file is of no known format, or nothing is tracked.
    """
    if path.is_file():
        files = [path]
    else:
        files = [each for each in find_files(path) if recognise(each)[0] is not None]
    tracks = [
        Track(file, place, poses.name, content.format, poses.length)
        for file in files
        for content in (read_again(file),)
        for place, poses in enumerate(content.poses)
    ]
    kept, doubles = one_of_each(tracks)
    for double in doubles:
        print(f"mabe: {double}", file=sys.stderr)
    found = [(track.path, track.place, track.name) for track in kept]
    if not found:
        raise DataError(
            f"{path}: no tracks here; expected a pose file, a folder of some, or a "
            "folder in the standard layout. `mabe inspect` tells what each file is."
        )
    return found


def open_recording(
    file: Path, place: int, project: Project, *, usual_fps: float
) -> Recording:
    """Return one recording of a file, ready to be marked.

    A rate that is nowhere to be found is taken for `usual_fps`, with a note.
    """
    poses = read_again(file).poses[place]
    if not (project.fps or poses.fps):
        poses = replace(poses, fps=usual_fps).noting(
            f"frame rate unknown: {usual_fps:g} fps taken, as the recogniser learned "
            "from; give --fps if it is another"
        )
    standard = standardise(poses, project)
    return to_recording(
        standard,
        file,
        lab=project.lab or lab_of(file),
        watched=_watched(standard, project),
    )


def lab_of(file: Path) -> str:
    """Return what a lab is called that has no name: its folder."""
    return re.sub(r"\W+", "_", file.absolute().parent.name) or "lab"


def _watched(standard: Standard, project: Project) -> tuple[Watched, ...]:
    """Return what a project watches for; nothing where it does not say."""
    if not project.actions and project.watched is None:
        return ()
    acting = tuple(project.subjects) or ("",)
    cast = make_cast(standard.animals, acting, project.actions, project)
    return watched_of(cast, acting, project)
