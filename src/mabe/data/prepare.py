"""Building a pose store: every file is read once, in parallel.

Each recording becomes a per-recording file (a *part*), named by the hash of everything
it depends on; meanwhile the parts are joined into one file of poses, and the index is
written last. Existing parts are not made again. A run that was stopped at any moment is
therefore resumed where it was, and ends with the same bytes as one that was not.

Every file that other processes read is renamed into place when it is complete, and one
process at a time writes to a store.
"""

import contextlib
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout

from mabe.data.joined_poses import JoinedPoses
from mabe.data.prepare_parts import (
    PartOutcome,
    PartsPlace,
    PartTask,
    file_stamp,
    make_parts,
    short_digest,
    usual_executor,
)
from mabe.data.store import PoseStore, is_store, open_store
from mabe.data.store_index import INDEX_NAME, write_index
from mabe.errors import ConfigError, DataError, RunError
from mabe.io.project import FILE_NAME as PROJECT_NAME
from mabe.io.readers.kaggle import read_index
from mabe.recording import StoredRecording, VideoInfo
from mabe.runtime.console import count, progress_bar
from mabe.runtime.documents import read_json
from mabe.runtime.executors import (
    MAIN_GUARD,
    Executor,
    is_importing_main,
)
from mabe.runtime.failures import Failure, note_failure
from mabe.runtime.files import (
    cache_folder,
    create_folder,
    put_in_place,
    write_text,
)
from mabe.runtime.object_storage import as_url, small_file
from mabe.runtime.threads import usable_cores
from mabe.runtime.unfinished import remove_left, unfinished

SOURCES_NAME = "sources.json"


_LOCK_NAME = ".lock"


_PARTS_NAME = "parts"


_SHOWN = 5
"""Number of bad files or notes that a message lists."""


def prepare(
    data_dir: Path,
    out_dir: Path,
    *,
    rate_fps: float,
    skip_bad: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    notes: bool = True,
) -> PoseStore:
    """Return the store of a data set in the Kaggle layout, built where necessary.

    A complete store is returned at once if sizes and times of the files are unchanged;
    else contents are compared, and only changed files are read again. `skip_bad` leaves
    out recordings whose files are absent or broken, and prints which. `workers` is how
    many are read at once, by default as many as there are cores; an `executor` does
    the work instead, possibly on other machines. Without `notes`, those
    on a store that was complete before are not printed.

    Raises `DataError` when there are no videos or (without `skip_bad`) a bad file.
    """
    if not rate_fps > 0:
        raise ConfigError(f"the working rate must be above 0 fps, found {rate_fps}.")
    videos = sorted(read_index(data_dir), key=lambda info: (info.lab, info.video))
    stamps = {info.name: file_stamp(info, rate_fps) for info in videos}
    if (store := _find_finished(out_dir, stamps)) and not _leftovers(out_dir, store):
        if notes:
            report_notes(store.recordings)
        _copy_project(data_dir, out_dir)
        return store
    try:
        with _lock(out_dir):
            # Another process may have completed it while this one waited.
            store = _find_finished(out_dir, stamps)
            if store is None:
                builder = _Builder(
                    out_dir,
                    rate_fps,
                    workers=workers,
                    executor=executor,
                    progress=progress,
                )
                store = builder.build(videos, stamps, skip_bad=skip_bad)
            for path in _leftovers(out_dir, store):
                _remove(path)
            _copy_project(data_dir, out_dir)
            return store
    except OSError as error:
        raise DataError(
            f"{out_dir}: the pose store cannot be written ({error}); give another "
            "folder (`mabe prepare --out`, or the environment variable MABE_CACHE)."
        ) from error


def _copy_project(data_dir: Path, out_dir: Path) -> None:
    """Keep the data's project.yaml beside the store: it says what keypoints are."""
    copy = out_dir / PROJECT_NAME
    with small_file(data_dir / PROJECT_NAME) as own:
        text = own.read_text(encoding="utf-8") if own else None
    if text is None:
        copy.unlink(missing_ok=True)
    elif not copy.is_file() or copy.read_text(encoding="utf-8") != text:
        write_text(copy, text)


def default_store_path(data_dir: Path, rate_fps: float) -> Path:
    """Return the default place of a data set's store.

    In ``$MABE_CACHE`` or the user's cache folder, as data are often read-only.
    """
    place = as_url(data_dir) or str(data_dir.resolve())
    digest = hashlib.sha256(place.rstrip("/").encode()).hexdigest()[:8]
    return cache_folder() / f"{Path(place).name}-{digest}-{rate_fps:g}fps"


def _find_finished(out_dir: Path, stamps: dict[str, str]) -> PoseStore | None:
    """Return the store if it was made from exactly these files, and is sound."""
    store = _open_if_whole(out_dir)
    unchanged = _unchanged(out_dir, store, stamps)
    is_finished = store and len(unchanged) == len(stamps) == len(store.recordings)
    return store if store and is_finished and store.is_sound() else None


def _unchanged(
    out_dir: Path, store: PoseStore | None, stamps: dict[str, str]
) -> dict[str, str]:
    """Return the content hashes of recordings whose files have not changed."""
    stored = (
        {each.name: each.content_hash for each in store.recordings} if store else {}
    )
    return {
        name: content
        for name, (stamp, content) in _read_sources(out_dir).items()
        if stamps.get(name) == stamp and stored.get(name) == content
    }


def _open_if_whole(out_dir: Path) -> PoseStore | None:
    """Return a folder's store; None where there is none, or one of another version."""
    if not is_store(out_dir):
        return None
    try:
        return open_store(out_dir)
    except DataError:  # another version, or a missing file: it is built again
        return None


def _read_sources(out_dir: Path) -> dict[str, tuple[str, str]]:
    """Return the (stamp, content hash) of each recording when it was stored."""
    try:
        sources = read_json(out_dir / SOURCES_NAME)
        return {name: (stamp, content) for name, (stamp, content) in sources.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # contents are hashed
        return {}


class _Builder:
    """Builds one store, in the process that holds its lock."""

    def __init__(
        self,
        out_dir: Path,
        rate_fps: float,
        *,
        workers: int | None,
        executor: Executor | None,
        progress: bool,
    ) -> None:
        self.out_dir = out_dir
        self.rate_fps = rate_fps
        self.workers = workers
        self.executor = executor
        self.progress = progress
        self.parts_dir = out_dir / _PARTS_NAME
        old = _open_if_whole(out_dir)
        # Nothing of a damaged one is used.
        self.old = old if old and old.is_sound() else None

    def build(
        self,
        videos: list[VideoInfo],
        stamps: dict[str, str],
        *,
        skip_bad: bool,
    ) -> PoseStore:
        """Bring the store up to date and return it."""
        remove_left(self.out_dir)  # a killed run's poses may be as large as these
        with unfinished(self.out_dir / "poses-joined.i16") as beside:
            with beside.open("wb") as file:
                joined = JoinedPoses(file, self.parts_dir, self.old)
                self._join(joined, videos, stamps, skip_bad=skip_bad)
                poses = joined.finish()
            if poses is None:
                # Named by its content, so that an index never refers to other poses.
                contents = [each.content_hash for each in joined.recordings]
                poses = self.out_dir / f"poses-{short_digest(*contents)}.i16"
                put_in_place(beside, poses)
        write_index(
            self.out_dir,
            rate_fps=self.rate_fps,
            poses=poses.name,
            recordings=tuple(joined.recordings),
            hashes=joined.hashes,
        )
        sources = {
            each.name: (stamps[each.name], each.content_hash)
            for each in joined.recordings
        }
        write_text(self.out_dir / SOURCES_NAME, json.dumps(sources, indent=0) + "\n")
        store = open_store(self.out_dir)
        report_notes(store.recordings)
        return store

    def _join(
        self,
        joined: JoinedPoses,
        videos: list[VideoInfo],
        stamps: dict[str, str],
        *,
        skip_bad: bool,
    ) -> None:
        """Append all recordings that can be read, in the order of the videos."""
        unchanged = _unchanged(self.out_dir, self.old, stamps)
        done = {name: PartOutcome(name, content) for name, content in unchanged.items()}
        bad: list[Failure] = []
        with closing(self._make_parts(videos, unchanged)) as made:
            for info in videos:
                while info.name not in done:
                    outcome = next(made)
                    done[outcome.name] = outcome
                if error := done[info.name].error:
                    bad.append(Failure(info.name, error))
                else:
                    joined.append(done[info.name].content_hash)
        _report_bad(sorted(bad), len(videos), skip_bad=skip_bad)

    def _make_parts(
        self, videos: list[VideoInfo], unchanged: dict[str, str]
    ) -> Generator[PartOutcome, None, None]:
        """Make the parts of all recordings that may have changed."""
        old = self.old.recordings if self.old else ()
        stored = {each.name: each.content_hash for each in old}
        tasks = [
            PartTask(info, stored.get(info.name))
            for info in videos
            if info.name not in unchanged
        ]
        # Long ones first, so that all workers finish at about the same time; the others
        # in the order of the store, so that they are joined while others are read.
        long = 2 * sum(task.bytes for task in tasks) / max(1, len(tasks))
        tasks.sort(key=lambda task: -task.bytes if task.bytes > long else 0)
        self.parts_dir.mkdir(exist_ok=True)
        place = PartsPlace(self.parts_dir, self.rate_fps)
        executor = self.executor or usual_executor(tasks, self.workers)
        with progress_bar(
            total=len(tasks),
            desc="Preparing",
            unit="video",
            wanted=self.progress and bool(tasks),
            leave=True,
        ) as bar:
            for outcome in make_parts(tasks, place, executor):
                bar.update()
                yield outcome


def _report_bad(bad: list[Failure], videos: int, *, skip_bad: bool) -> None:
    """Print which recordings are left out; raise `DataError` unless `skip_bad`."""
    if not bad:
        return
    more = f" … and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    listed = " | ".join(each.reason for each in bad[:_SHOWN]) + more
    told = f"{len(bad)} of {count(videos, 'recording')} cannot be used"
    if not skip_bad:
        raise DataError(f"{told} (--skip-bad leaves them out): {listed}")
    if len(bad) == videos:
        raise DataError(f"{told}, none is left: {listed}")
    for each in bad:
        note_failure(each.file, each.reason)
    print(f"mabe: {told} and are left out: {listed}", file=sys.stderr)


def report_notes(recordings: Sequence[StoredRecording]) -> None:
    """Print the notes on recordings, each once per laboratory."""
    videos: dict[tuple[str, str], list[str]] = defaultdict(list)
    for recording in recordings:
        for note in recording.notes:
            videos[recording.lab, note].append(recording.video)
    for number, ((lab, note), those) in enumerate(videos.items()):
        if number == 4 * _SHOWN:
            more = count(len(videos) - number, "more note")
            print(f"mabe: … and {more}, see {INDEX_NAME}", file=sys.stderr)
            break
        where = (
            f"{lab}/{those[0]}" if len(those) == 1 else f"{lab}, {len(those)} videos"
        )
        print(f"mabe: {where}: {note}", file=sys.stderr)


@contextlib.contextmanager
def _lock(out_dir: Path) -> Iterator[None]:
    """Lock the store for other processes; a lock ends with the process holding it."""
    create_folder(out_dir)
    lock = FileLock(out_dir / _LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if is_importing_main():
            raise RunError(
                "a worker process ran the script that started it again: put what the "
                f"script does under {MAIN_GUARD}"
            ) from None
        print(f"mabe: waiting: another process is preparing {out_dir}", file=sys.stderr)
        lock.acquire()
    try:
        create_folder(out_dir)  # a process that was refused may have removed it
        yield
    except BaseException:
        _remove(out_dir / _PARTS_NAME)
        if {path.name for path in out_dir.iterdir()} == {_LOCK_NAME}:
            _remove(out_dir / _LOCK_NAME)
        raise
    finally:
        lock.release()


def _leftovers(out_dir: Path, store: PoseStore) -> list[Path]:
    """Return the files that stopped runs and earlier states of the store have left."""
    kept = store.poses_path
    return [
        *sorted((out_dir / _PARTS_NAME).glob("*.part")),
        *sorted((out_dir / _PARTS_NAME).glob("*.tmp")),
        *([parts] if (parts := out_dir / _PARTS_NAME).is_dir() else []),
        *sorted(path for path in out_dir.glob("poses-*.i16") if path != kept),
        *sorted(out_dir.glob(".poses-*.tmp")),
        *sorted(out_dir.glob(".index.json.*.tmp")),
        *sorted(out_dir.glob(".sources.json.*.tmp")),
    ]


def _remove(path: Path) -> None:
    # Windows does not delete a file that another process has mapped, and a folder may
    # hold other files: both are left, and do no harm.
    with contextlib.suppress(OSError):
        path.rmdir() if path.is_dir() else path.unlink()


def load_store(
    data_dir: Path,
    *,
    rate_fps: float,
    store_dir: Path | None = None,
    workers: int = 1,
    skip_bad: bool = False,
    notes: bool = True,
) -> PoseStore:
    """Open a prepared store, or prepare a folder in the Kaggle layout."""
    if is_store(data_dir):
        store = open_store(data_dir)
        if store.rate_fps != rate_fps:
            raise ConfigError(
                f"{data_dir}: prepared at {store.rate_fps} fps, but the run needs "
                f"{rate_fps}; set `fps`, or prepare again with --fps"
            )
        return store
    return prepare(
        data_dir,
        store_dir or default_store_path(data_dir, rate_fps),
        rate_fps=rate_fps,
        skip_bad=skip_bad,
        workers=max(1, min(workers, usable_cores())),
        notes=notes,
    )
