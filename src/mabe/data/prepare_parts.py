"""The per-recording files of a store build, its *parts*, made by several workers.

A part is a line of JSON (the recording's entry of the index) and its quantized poses.
Its name is the hash of everything it depends on, so an existing part need not be made
again.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int16

from mabe.data.poses_file import hash_of
from mabe.data.store import quantize_recording
from mabe.data.store_index import FORMAT_VERSION, recording_from_json, recording_to_json
from mabe.errors import DataError
from mabe.io.readers.kaggle import fetched, read_recording
from mabe.io.readers.kaggle_tracks import has_heights
from mabe.recording import StoredRecording, VideoInfo
from mabe.runtime.executors import Executor, Processes, Threads
from mabe.runtime.files import append_rest, hash_file
from mabe.runtime.threads import usable_cores

_READS = 2
"""What is read of files: 2 since heights are. Contents are compared again where it
was less when a store was made."""

MOST_THREADS = 4
"""Of more workers, each is a process. Two threads on two cores take 0.55 of the time
of one; the tenth that is Python code would hold up many."""

_BYTES_WORTH_A_PROCESS = 16 << 20
"""Number of bytes that are read in the time that starting a process takes."""


@dataclass(frozen=True, slots=True)
class PartsPlace:
    """The folder of the parts of one store, and the store's rate."""

    folder: Path
    rate_fps: float


@dataclass(frozen=True, slots=True)
class PartTask:
    """One recording of which a part may be needed."""

    info: VideoInfo
    stored_hash: str | None
    """Its content hash in the existing store, with which it needs no part."""

    @property
    def bytes(self) -> int:
        """Size of the tracking file, as a measure of the work."""
        if self.info.remote:
            return self.info.remote[0].bytes
        stat = _stat(self.info.tracking_path)
        return stat.st_size if stat else 0


@dataclass(frozen=True, slots=True)
class PartOutcome:
    """The result of a task."""

    name: str
    content_hash: str
    error: str = ""


def part_path(parts_dir: Path, content_hash: str) -> Path:
    """Return the path of the part with a content hash."""
    return parts_dir / f"{content_hash}.part"


def usual_executor(tasks: Sequence[PartTask], workers: int | None) -> Executor:
    """Return what makes parts on this machine, by default with all cores."""
    cores = min(workers or usable_cores(), len(tasks))
    if cores <= MOST_THREADS:
        return Threads(max(1, cores))
    worth = 1 + sum(task.bytes for task in tasks) // _BYTES_WORTH_A_PROCESS
    return Processes(min(cores, worth)) if worth > MOST_THREADS else Threads(worth)


def make_parts(
    tasks: Sequence[PartTask], place: PartsPlace, executor: Executor
) -> Iterator[PartOutcome]:
    """Make parts and yield outcomes in any order."""
    for _, outcome in executor.run(_make_part, place, tasks, folders=[place.folder]):
        yield outcome


def _make_part(place: PartsPlace, task: PartTask) -> PartOutcome:
    """Read one recording and write its part, unless the store or a part has it."""
    name = task.info.name
    try:
        with fetched(task.info) as info:
            content = _content_hash(info, place.rate_fps)
            part = part_path(place.folder, content)
            if content != task.stored_hash and not _is_whole(part):
                stored, poses = quantize_recording(
                    read_recording(info), place.rate_fps, content_hash=content
                )
                _write_part(part, stored, poses)
    except DataError as error:
        return PartOutcome(name, "", str(error))
    return PartOutcome(name, content)


def _write_part(
    path: Path, stored: StoredRecording, poses: Int16[np.ndarray, " value"]
) -> None:
    """Write a line of JSON and the poses.

    The file is not flushed to the disk, which would take longer than all the rest: a
    part that is broken after a power failure does not match its hash and is made again.
    """
    header = recording_to_json(stored)
    header["poses_hash"] = hash_of(poses)
    # A process id would not be unique: another machine may have the same.
    beside = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            file.write(poses.data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Return whether a part of an earlier run exists and is complete."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            header = json.loads(file.readline())
        except ValueError:
            return False
        return hash_of(np.frombuffer(file.read(), np.uint8)) == header["poses_hash"]


def read_part_header(path: Path) -> tuple[StoredRecording, str]:
    """Return the recording's entry in a part, and the hash of its poses."""
    with path.open("rb") as file:
        header = json.loads(file.readline())
    poses_hash = header.pop("poses_hash")
    return recording_from_json(header), poses_hash


def copy_part_poses(path: Path, out: BinaryIO) -> None:
    """Append a part's poses to an open file."""
    with path.open("rb") as file:
        file.readline()
        append_rest(file, out)


def file_stamp(info: VideoInfo, rate_fps: float) -> str:
    """Return a hash of sizes and times, by which unchanged files are recognised."""
    if info.remote:
        versions = [(file.bytes, file.version) for file in info.remote]
        return short_digest(_READS, versions, *_settings(info, rate_fps))
    times = [
        _size_and_times(path) for path in (info.tracking_path, info.annotation_path)
    ]
    if info.coverage_path:
        times.append(_size_and_times(info.coverage_path))
    return short_digest(_READS, times, *_settings(info, rate_fps))


def _content_hash(info: VideoInfo, rate_fps: float) -> str:
    """Return a hash of all that a recording's stored poses and labels depend on."""
    tracks = _hash_source(info.tracking_path)
    labels = _hash_source(info.annotation_path) if info.annotation_path else None
    # Without a file of coverage or heights the hash is that of earlier versions, which
    # did not read these.
    coverage = [_hash_source(info.coverage_path)] if info.coverage_path else []
    heights = ["heights"] if has_heights(info.tracking_path) else []
    return short_digest(tracks, labels, *coverage, *heights, *_settings(info, rate_fps))


def _hash_source(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError as error:
        raise DataError(
            f"{path}: the metadata name this file and it cannot be read "
            f"({error.strerror}); download it again."
        ) from error


def _settings(info: VideoInfo, rate_fps: float) -> tuple[object, ...]:
    watched = [(each.agent, each.target, each.action) for each in info.watched]
    scale = (info.fps, info.pixels_per_cm, float(rate_fps))
    who = (
        info.lab,
        info.video,
        info.animals,
        *([info.objects] if info.objects else []),
        *([repr(info.zones)] if info.zones else []),
    )
    return FORMAT_VERSION, *who, scale, watched, info.has_labels


def short_digest(*values: object) -> str:
    """Return a short hash of anything JSON can hold."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:20]


def _size_and_times(path: Path | None) -> tuple[int, int, int] | None:
    """Return by what an unchanged file is recognised.

    Anybody may set the time of a file's last change of content, but not that of its
    last change of any kind, which Windows lacks.
    """
    stat = _stat(path)
    if stat is None:
        return None
    any_change_ns = stat.st_ctime_ns if os.name != "nt" else 0
    return stat.st_size, stat.st_mtime_ns, any_change_ns


def _stat(path: Path | None) -> os.stat_result | None:
    try:
        return path.stat() if path else None
    except OSError:  # absent or not readable: reading it raises an error
        return None
