"""The recordings that a path on the command line stands for, opened one by one.

A path is a prepared store, a folder in the Kaggle layout or one of its tracking files,
or a pose file of any known format (see `mabe.io.readers.formats`), or a folder of
those. One recording is in memory at a time, at the model's working rate.
"""

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
from mabe.io.behaviour_names import map_labels
from mabe.io.folder_files import Track, list_problems, scan_folder, track_of
from mabe.io.import_plan import (
    ImportPlan,
    RecordingFiles,
    folder_name,
    list_unused,
    plan_import,
)
from mabe.io.importer import import_recording
from mabe.io.project import Project, find_project
from mabe.io.readers.formats import read_again
from mabe.io.readers.kaggle import (
    SPLITS,
    fetched,
    find_video,
    read_index,
    read_recording,
)
from mabe.io.readers.poses import Poses
from mabe.io.recording_zones import RecordingZones, place_zones
from mabe.io.standardize import (
    StandardPoses,
    assume_fps,
    standardize,
    to_recording,
)
from mabe.io.track_files import drop_duplicates, with_unique_names
from mabe.io.watched_actions import watched_of
from mabe.recording import Recording, StoredRecording, VideoInfo
from mabe.runtime.console import count
from mabe.runtime.failures import note_failure
from mabe.runtime.file_names import problem_with_name, shorten
from mabe.runtime.object_storage import as_url


@dataclass(frozen=True, slots=True)
class Source:
    """One recording that can be opened later, and in any process."""

    name: str
    has_labels: bool
    open: Callable[[], tuple[PoseStore, int]]
    """Returns a store and the recording's index in it."""
    video: tuple[VideoInfo, float] | None = None
    """For a video of a data set: its metadata, and the working rate."""
    read: Callable[[], Recording] | None = None
    """Returns the recording in pixels, at its own rate; None for that of a store."""

    @contextmanager
    def fetched(self) -> Iterator["Source"]:
        """Provide the source with its files on this machine, within the context."""
        if self.video is None:
            yield self
            return
        with fetched(self.video[0]) as info:
            yield _video_source(info, self.video[1])


def find_sources(
    path: Path,
    *,
    rate_fps: float,
    splits: tuple[str, ...] = SPLITS,
    project: Project | None = None,
    usual_fps: float | None = None,
    with_labels: bool = False,
) -> list[Source]:
    """Return the recordings that a path on the command line stands for.

    Pose files are read with the settings of `project`, by default of the project.yaml
    beside them; `usual_fps` is assumed where no frame rate is given. `with_labels`
    also reads the label files of a folder, as `mabe import` does; data sets and stores
    have their labels in any case. Raises `DataError` where there is no recording,
    `ConfigError` for a store of another rate.
    """
    if is_store(path):
        return _stored_sources(path, rate_fps)
    if _is_kaggle_layout(path):
        is_file = path.is_file()
        infos = [find_video(path)] if is_file else read_index(path, splits=splits)
        return [_video_source(info, rate_fps) for info in infos]
    project = find_project(path) if project is None else project
    rates = _Rates(usual_fps or rate_fps, rate_fps)
    if with_labels and path.is_dir():
        plan = plan_import(path, project)
        for line in list_unused(plan):
            print(f"mabe: {line.removeprefix('! ')}", file=sys.stderr)
        return _labelled_sources(plan, rates)
    tracks = find_tracks(path, project)
    zones = RecordingZones.of(project, path if path.is_dir() else path.parent)
    for track in tracks:
        _check_names(track, _lab_of(track.path, project))
    return [_pose_file_source(track, project, rates, zones) for track in tracks]


def _check_names(track: Track, lab: str) -> None:
    """Raise `DataError` where lab or recording cannot be names of files."""
    for name, hint in ((lab, "set `lab` in project.yaml"), (track.name, "rename it")):
        if problem := problem_with_name(name):
            raise DataError(
                f"{track.path}: is {shorten(lab)}, {shorten(track.name)}; the name "
                f"{shorten(name)} {problem}: {hint}"
            )


def leave_out(name: str, reason: str, *, skip_bad: bool) -> None:
    """Print why a recording is left out; raise `DataError` unless `skip_bad`."""
    if not skip_bad:
        raise DataError(f"{reason} (--skip-bad leaves such recordings out)")
    note_failure(name, reason)
    tqdm.write(f"left out: {reason}")


def report_opened(opened: Sequence[StoredRecording], wanted: int) -> None:
    """Print the notes on recordings that were read, and how many were not."""
    report_notes(opened)
    if bad := wanted - len(opened):
        all_of_them = count(wanted, "recording")
        tqdm.write(f"{bad} of {all_of_them} left out: not readable")


def _stored_sources(path: Path, rate_fps: float) -> list[Source]:
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
            partial(_open_stored, store.select(index)),
        )
        for index, recording in enumerate(store.recordings)
    ]


def _open_stored(store: PoseStore) -> tuple[PoseStore, int]:
    # A memory map of its own is closed with it: thousands may be opened one by one.
    return store.select(0), 0


def _video_source(info: VideoInfo, rate_fps: float) -> Source:
    read = partial(_read_video, info)
    opening = partial(_open_read, read, rate_fps)
    return Source(info.name, info.has_labels, opening, (info, rate_fps), read)


def _open_read(read: Callable[[], Recording], rate_fps: float) -> tuple[PoseStore, int]:
    return from_recording(read(), rate_fps), 0


def _read_video(info: VideoInfo) -> Recording:
    with fetched(info) as local:
        return read_recording(local)


def _is_kaggle_layout(path: Path) -> bool:
    """Return whether a path is in the Kaggle layout, or does not exist at all.

    Object storage holds nothing else.
    """
    if as_url(path):
        return True
    if path.is_file():
        return path.suffix == ".parquet" and (
            path.absolute().parent.parent.name.endswith("_tracking")
        )
    tables = [path / f"{split}.csv" for split in SPLITS]
    return not path.is_dir() or any(table.is_file() for table in tables)


def find_tracks(path: Path, project: Project) -> list[Track]:
    """Return the tracks of a pose file, or of the pose files of a folder.

    Files of a folder that are not used are printed; those that cannot be read are noted
    as left out. Raises `DataError` where a file is of no known format, or there are no
    tracks.
    """
    if path.is_file():
        content = read_again(path)
        tracks = [track_of(path, at, content) for at in range(len(content.poses))]
        notes: list[str] = []
    else:
        contents = scan_folder(path, project)
        kept, notes, _ = drop_duplicates(contents.tracks, path)
        tracks = with_unique_names(kept, path)
        notes += list_problems(contents.problems, path)
        for each in contents.problems:
            if each.is_recognised and not (each.is_known or each.is_expected):
                note_failure(str(each.path), each.reason)
    for note in notes:
        print(f"mabe: {note}", file=sys.stderr)
    if not tracks:
        raise DataError(
            f"{path}: no tracks here; expected a pose file, a folder of some, or a "
            "folder in the standard layout. `mabe inspect` prints what each file is."
        )
    return tracks


@dataclass(frozen=True, slots=True)
class _Rates:
    """Frame rates of recordings whose own is unknown, and of the model."""

    usual_fps: float
    working_fps: float


def _labelled_sources(plan: ImportPlan, rates: _Rates) -> list[Source]:
    sources = []
    for files in plan.recordings:
        alone = replace(plan, recordings=())
        read = partial(_read_labelled, files, alone, rates.usual_fps)
        sources.append(
            Source(
                f"{plan.lab}/{files.track.name}",
                has_labels=bool(files.labels),
                open=partial(_open_read, read, rates.working_fps),
                read=read,
            )
        )
    return sources


def _read_labelled(
    files: RecordingFiles, plan: ImportPlan, usual_fps: float
) -> Recording:
    imported = import_recording(files, plan, usual_fps=usual_fps)
    standard = imported.standard
    return to_recording(
        replace(standard, poses=replace(standard.poses, notes=imported.notes)),
        files.track.path,
        lab=plan.lab,
        watched=imported.watched,
        bouts=imported.bouts,
        coverage=imported.coverage,
        has_labels=bool(files.labels),
    )


def _pose_file_source(
    track: Track, project: Project, rates: _Rates, zones: RecordingZones
) -> Source:
    read = partial(
        read_pose_file,
        track.path,
        track.place,
        project,
        usual_fps=rates.usual_fps,
        name=track.name,
        zones=zones,
    )
    return Source(
        f"{_lab_of(track.path, project)}/{track.name}",
        has_labels=False,
        open=partial(_open_read, read, rates.working_fps),
        read=read,
    )


def read_pose_file(
    file: Path,
    place: int,
    project: Project,
    *,
    usual_fps: float,
    name: str | None = None,
    zones: RecordingZones | None = None,
) -> Recording:
    """Return one recording of a pose file, standardized, under its own name or another.

    Where no frame rate is given, `usual_fps` is assumed, with a note.
    """
    poses = read_again(file).poses[place]
    poses = replace(poses, name=name or poses.name)
    lab = _lab_of(file, project)
    return recording_of(poses, project, file, lab=lab, usual_fps=usual_fps, zones=zones)


def recording_of(
    poses: Poses,
    project: Project,
    file: Path,
    *,
    lab: str,
    usual_fps: float,
    zones: RecordingZones | None = None,
) -> Recording:
    """Return poses as a recording, standardized.

    The settings of the recording of their name are used. `file` is where they come
    from. A file of `zones` is by default beside it. Where no frame rate is given,
    `usual_fps` is assumed, with a note.
    """
    own = project.of_recording(poses.name)
    own_fps = own.fps if own else None
    if not (own_fps or project.fps or poses.fps):
        poses = assume_fps(poses, usual_fps)
    zones = zones or RecordingZones.of(project, file.parent)
    standard = standardize(
        poses,
        project,
        fps=own_fps,
        pixels_per_cm=own.pixels_per_cm if own else None,
        objects=own.objects if own else None,
        corners=zones.corners,
    )
    standard = place_zones(standard, zones)
    watched = _watched(standard, project)
    return to_recording(standard, file, lab=lab, watched=watched)


def _lab_of(file: Path, project: Project) -> str:
    return project.lab or folder_name(file.parent)


def _watched(standard: StandardPoses, project: Project) -> tuple[Watched, ...]:
    """Return what a project watches for; nothing where it does not define it."""
    if not project.actions and project.watched is None:
        return ()
    subjects = tuple(project.subjects) or ("",)
    mapping = map_labels(
        standard.poses.animals,
        subjects,
        project.actions,
        project,
        agents=standard.agents,
        zones=[each.zone.name for each in standard.targets],
    )
    return watched_of(mapping, subjects, project)
