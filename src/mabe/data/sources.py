"""The recordings that a path on the command line stands for, opened one by one.

A path is a prepared store, a folder in the Kaggle layout or one tracking file of it, or
a pose file of any format that is read (see `mabe.readers.formats`), or a folder of
some. One recording is in memory at a time, at the model's working rate.

Pose files of any known format as recordings, without importing them first.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from mabe.bouts import Watched
from mabe.data.prepare import report_notes
from mabe.data.store import PoseStore, from_recording, is_store, open_store
from mabe.errors import ConfigError, DataError
from mabe.io.behaviour_names import make_cast, watched_of
from mabe.io.file_matching import Track, find_files, one_of_each
from mabe.io.project import Project
from mabe.io.readers.formats import read_again, recognise
from mabe.io.readers.kaggle import (
    SPLITS,
    at_hand,
    find_video,
    read_index,
    read_recording,
)
from mabe.io.standardize import Standard, standardise, to_recording
from mabe.recording import Recording, StoredRecording, VideoInfo
from mabe.runtime.object_storage import as_url


@dataclass(frozen=True, slots=True)
class Source:
    """One recording to be marked, opened when it is its turn, in whatever process."""

    name: str
    has_labels: bool
    open: Callable[[], tuple[PoseStore, int]]
    """Returns a store and the recording's place in it."""
    video: tuple[VideoInfo, float] | None = None
    """Of a video of a data set, what is known of it, and the working rate."""

    @contextmanager
    def at_hand(self) -> Iterator["Source"]:
        """Give it with its files on this machine, for the while."""
        if self.video is None:
            yield self
            return
        with at_hand(self.video[0]) as info:
            yield _source_of_file(info, self.video[1])


def find_sources(
    path: Path,
    *,
    rate_fps: float,
    splits: tuple[str, ...] = SPLITS,
    project: Project | None = None,
    usual_fps: float | None = None,
) -> list[Source]:
    """Return the recordings that a path on the command line stands for.

    Where a `project` is given, files of any format are taken; one whose frame rate is
    nowhere to be found is taken to have `usual_fps`. Raises `DataError` where there are
    none, `ConfigError` for a store of another rate.
    """
    if is_store(path):
        store = open_store(path)
        if store.rate_fps != rate_fps:
            raise ConfigError(
                f"{path}: prepared at {store.rate_fps} fps, but the model works "
                f"at {rate_fps}; give the folder it was prepared from instead"
            )
        return [
            Source(
                recording.name,
                recording.has_labels,
                partial(_open_stored, store.alone(index)),
            )
            for index, recording in enumerate(store.recordings)
        ]
    if project is not None and not _is_layout(path):
        return [
            _source_of_pose_file(each, project, rate_fps, usual_fps or rate_fps)
            for each in find_recordings(path)
        ]
    infos = [find_video(path)] if path.is_file() else read_index(path, splits=splits)
    return [_source_of_file(info, rate_fps) for info in infos]


def open_all(
    sources: Sequence[Source], *, skip_bad: bool
) -> Iterator[tuple[PoseStore, int]]:
    """Open one recording after the other, with a progress bar."""
    opened: list[StoredRecording] = []
    bar = tqdm(sources, unit="video", disable=None, leave=False)
    for source in bar:
        bar.set_postfix_str(source.name)
        try:
            store, index = source.open()
        except DataError as error:
            leave_out(str(error), skip_bad=skip_bad)
            continue
        opened.append(store.recordings[index])
        yield store, index
    report_opened(opened, len(sources))


def leave_out(reason: str, *, skip_bad: bool) -> None:
    """Say that a recording cannot be read, or raise `DataError` for it."""
    if not skip_bad:
        raise DataError(f"{reason} (--skip-bad leaves such recordings out)")
    tqdm.write(f"left out: {reason}")


def report_opened(opened: Sequence[StoredRecording], wanted: int) -> None:
    """Say what was odd in the recordings that were read, and how many were not."""
    report_notes(opened)
    if bad := wanted - len(opened):
        tqdm.write(f"{bad} of {wanted} recordings left out: they cannot be read")


def _open_stored(store: PoseStore) -> tuple[PoseStore, int]:
    # A map of its own, which ends with it: thousands may be opened one by one.
    return store.alone(0), 0


def _source_of_file(info: VideoInfo, rate_fps: float) -> Source:
    opening = partial(_open_video, info, rate_fps)
    return Source(info.name, info.has_labels, opening, (info, rate_fps))


def _open_video(info: VideoInfo, rate_fps: float) -> tuple[PoseStore, int]:
    with at_hand(info) as here:
        return from_recording(read_recording(here), rate_fps), 0


def _is_layout(path: Path) -> bool:
    """Tell whether a path lies in the Kaggle layout (or does not exist at all).

    What is in object storage has to.
    """
    if as_url(path):
        return True
    if path.is_file():
        return path.suffix == ".parquet" and (
            path.absolute().parent.parent.name.endswith("_tracking")
        )
    tables = [path / f"{split}.csv" for split in SPLITS]
    return not path.is_dir() or any(table.is_file() for table in tables)


def _source_of_pose_file(
    found: tuple[Path, int, str], project: Project, rate_fps: float, usual_fps: float
) -> Source:
    file, place, name = found
    opening = partial(_open_pose_file, file, place, project, usual_fps, rate_fps)
    return Source(name, False, opening)


def _open_pose_file(
    file: Path, place: int, project: Project, usual_fps: float, rate_fps: float
) -> tuple[PoseStore, int]:
    recording = open_recording(file, place, project, usual_fps=usual_fps)
    return from_recording(recording, rate_fps), 0


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
            f"frame rate unknown: {usual_fps:g} fps taken, as the model learned "
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
