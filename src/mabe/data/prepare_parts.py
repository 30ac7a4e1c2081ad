"""Parts of a store: one recording each, made by worker processes.

A part is a line of JSON (what the store will know of the recording) and the poses in
steps. Its name is the hash of everything it depends on, so a part that is there need
not be made again.
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

from mabe.data.store import (
    FORMAT_VERSION,
    quantise,
    recording_from_json,
    recording_to_json,
)
from mabe.errors import DataError
from mabe.io.readers.kaggle import fetched, read_recording
from mabe.recording import StoredRecording, VideoInfo
from mabe.runtime.executors import Executor, Processes
from mabe.runtime.files import append_rest, hash_file, usable_cores

_BYTES_WORTH_A_WORKER = 16 << 20
"""Starting a process takes as long as reading this much."""


@dataclass(frozen=True, slots=True)
class PartsPlace:
    """Where the parts of one store are made, and at which rate."""

    folder: Path
    rate_fps: float


@dataclass(frozen=True, slots=True)
class PartTask:
    """One recording that has to become a part."""

    info: VideoInfo
    stored_hash: str | None
    """The content hash it has in the store as it is; then it needs no part."""

    @property
    def bytes(self) -> int:
        """Size of the tracking file, as a measure of the work."""
        if self.info.remote:
            return self.info.remote[0].bytes
        stat = _stat(self.info.tracking_path)
        return stat.st_size if stat else 0


@dataclass(frozen=True, slots=True)
class PartOutcome:
    """What became of a task."""

    name: str
    content_hash: str
    error: str = ""


def part_path(parts_dir: Path, content_hash: str) -> Path:
    """Return where the part of some content lies."""
    return parts_dir / f"{content_hash}.part"


def usual_workers(tasks: Sequence[PartTask]) -> int:
    """Return how many processes are worth starting: one for every core and work."""
    work = 1 + sum(task.bytes for task in tasks) // _BYTES_WORTH_A_WORKER
    return min(usable_cores(), work)


def make_parts(
    tasks: Sequence[PartTask], place: PartsPlace, executor: Executor | None
) -> Iterator[PartOutcome]:
    """Make parts, yielding outcomes as they come; by default in processes here."""
    executor = executor or Processes(min(usual_workers(tasks), len(tasks)))
    for _, outcome in executor.run(_make_part, place, tasks, folders=[place.folder]):
        yield outcome


def _make_part(place: PartsPlace, task: PartTask) -> PartOutcome:
    """Read one recording and write its part, unless store or parts have it."""
    name = task.info.name
    try:
        with fetched(task.info) as info:
            content = _content_hash(info, place.rate_fps)
            part = part_path(place.folder, content)
            if content != task.stored_hash and not _is_whole(part):
                stored, steps = quantise(
                    read_recording(info), place.rate_fps, content_hash=content
                )
                _write_part(part, stored, steps)
    except DataError as error:
        return PartOutcome(name, "", str(error))
    return PartOutcome(name, content)


def _write_part(
    path: Path, stored: StoredRecording, steps: Int16[np.ndarray, "time slot 2"]
) -> None:
    """Write a line of JSON and the poses.

    Not flushed to the disk, which would take longer than all the rest: a part that a
    power cut has spoilt does not match its hash and is made again.
    """
    header = recording_to_json(stored)
    header["poses_hash"] = hashlib.sha256(steps.data).hexdigest()
    # Not by the process's id, which another machine may give too.
    beside = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(json.dumps(header).encode() + b"\n")
            file.write(steps.data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Tell whether a part of an earlier run is there, all of it."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            header = json.loads(file.readline())
        except ValueError:
            return False
        return hashlib.sha256(file.read()).hexdigest() == header["poses_hash"]


def read_part_header(path: Path) -> StoredRecording:
    """Return what a part says of its recording."""
    with path.open("rb") as file:
        header = json.loads(file.readline())
    del header["poses_hash"]
    return recording_from_json(header)


def copy_part_poses(path: Path, out: BinaryIO) -> None:
    """Append a part's poses to an open file."""
    with path.open("rb") as file:
        file.readline()
        append_rest(file, out)


def file_stamp(info: VideoInfo, rate_fps: float) -> str:
    """Return what tells cheaply that a recording cannot have changed."""
    if info.remote:
        versions = [(file.bytes, file.version) for file in info.remote]
        return short_digest(versions, *_settings(info, rate_fps))
    times = [
        (stat.st_size, stat.st_mtime_ns) if (stat := _stat(path)) else None
        for path in (info.tracking_path, info.annotation_path)
    ]
    return short_digest(times, *_settings(info, rate_fps))


def _content_hash(info: VideoInfo, rate_fps: float) -> str:
    """Return a hash of all that a recording's stored poses and labels depend on."""
    tracks = _hash_source(info.tracking_path)
    labels = _hash_source(info.annotation_path) if info.annotation_path else None
    return short_digest(tracks, labels, *_settings(info, rate_fps))


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
    who = (info.lab, info.video, info.animals)
    return FORMAT_VERSION, *who, scale, watched, info.has_labels


def short_digest(*values: object) -> str:
    """Return a short hash of anything JSON can hold."""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:20]


def _stat(path: Path | None) -> os.stat_result | None:
    try:
        return path.stat() if path else None
    except OSError:  # absent or out of reach: reading it will say so by name
        return None
