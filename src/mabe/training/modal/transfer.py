"""Uploading data and code into the volume, and copying runs back.

Only what changed is uploaded. A file counts as uploaded if the volume lists it with
its size, and the manifest has its content. The manifest is uploaded in the same batch
as the files it lists, so an upload that was stopped at any moment can be continued.
Files that were deleted on this machine stay in the volume.
"""

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mabe.data.store import is_store
from mabe.errors import DataError, RunError
from mabe.runtime.console import progress_bar
from mabe.runtime.files import hash_file, write_atomically
from mabe.training.modal.volume import (
    Volume,
    code_folder,
    data_folder,
    data_name,
    manifest_path,
    run_folder,
    stored_sizes,
)
from mabe.training.run_directory import is_documented, lock_run, set_aside

BATCH_BYTES = 256 << 20


BATCH_FILES = 500


_CODE = ("src/mabe/**/*", "configs/*.yaml", "*.py", "pyproject.toml")


_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file held, and how it looked then."""

    size: int
    mtime_ns: int
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What was done."""

    place: str
    uploaded: tuple[str, ...]
    uploaded_bytes: int
    unchanged: int
    only_there: tuple[str, ...] = ()
    """Files of the volume that are not (or no longer) on this machine."""


def upload_data(volume: Volume, data_dir: Path) -> Upload:
    """Upload what changed of a data set.

    Raises `DataError` where there is none.
    """
    check_data(data_dir)
    name = data_name(data_dir)
    files = find_files(data_dir)
    there = stored_sizes(volume, data_folder(name))
    before = read_manifest(volume, name)
    stamps = stamp_files(files, before)
    changed = find_changed(stamps, before, there)
    manifest = {n: stamp for n, stamp in stamps.items() if n not in set(changed)}
    with progress_bar(
        desc="Uploading",
        total=sum(stamps[n].size for n in changed),
        unit="B",
        unit_scale=True,
        leave=True,
    ) as bar:
        for batch in in_batches(changed, stamps):
            manifest |= {n: stamps[n] for n in batch}
            _put_batch(volume, name, files, batch, manifest)
            bar.update(sum(stamps[n].size for n in batch))
    if not changed and manifest != before:  # only times differ: spare the next reading
        _put_batch(volume, name, files, [], manifest)
    return Upload(
        place=data_folder(name),
        uploaded=tuple(changed),
        uploaded_bytes=sum(stamps[n].size for n in changed),
        unchanged=len(files) - len(changed),
        only_there=tuple(sorted(there.keys() - files.keys())),
    )


def check_data(data_dir: Path) -> None:
    """Raise `DataError` where a folder holds no data set."""
    if not data_dir.is_dir():
        raise DataError(
            f"{data_dir}: no such folder; give the challenge's data (or any in its "
            "layout) with --data-dir"
        )
    known = ("train.csv", "test.csv")
    if not is_store(data_dir) and not any((data_dir / n).is_file() for n in known):
        raise DataError(
            f"{data_dir}: expected train.csv or test.csv (a folder in the Kaggle "
            "layout) or a prepared store, found neither; see README.md"
        )


def find_files(folder: Path) -> dict[str, Path]:
    """Return all files below a folder, also linked ones, but none that are hidden."""
    found = {}
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(n for n in folders if not n.startswith("."))
        for name in names:
            if not name.startswith("."):
                path = Path(place) / name
                found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def read_manifest(volume: Volume, name: str) -> dict[str, Stamp]:
    """Return what a data set's files held; nothing where none was uploaded."""
    try:
        text = b"".join(volume.read_file(manifest_path(name)))
    except FileNotFoundError:
        return {}
    return {path: Stamp(**stamp) for path, stamp in json.loads(text).items()}


def stamp_files(
    files: Mapping[str, Path], before: Mapping[str, Stamp]
) -> dict[str, Stamp]:
    """Return what files hold; only those with another size or time are read."""
    stamps = {}
    for name, path in progress_bar(
        files.items(), desc="Comparing", unit="file", leave=True
    ):
        facts = path.stat()
        known = before.get(name)
        if known and (known.size, known.mtime_ns) == (facts.st_size, facts.st_mtime_ns):
            stamps[name] = known
        else:
            stamps[name] = Stamp(facts.st_size, facts.st_mtime_ns, hash_file(path))
    return stamps


def find_changed(
    stamps: Mapping[str, Stamp], before: Mapping[str, Stamp], there: Mapping[str, int]
) -> list[str]:
    """Return the files that the volume does not hold as they are here."""
    return [
        name
        for name, stamp in stamps.items()
        if there.get(name) != stamp.size
        or name not in before
        or before[name].content != stamp.content
    ]


def in_batches(
    names: Iterable[str], stamps: Mapping[str, Stamp]
) -> Iterator[tuple[str, ...]]:
    """Yield names in batches of limited size, so that little is sent twice."""
    batch: list[str] = []
    size = 0
    for name in names:
        full = size + stamps[name].size > BATCH_BYTES or len(batch) >= BATCH_FILES
        if batch and full:
            yield tuple(batch)
            batch, size = [], 0
        batch.append(name)
        size += stamps[name].size
    if batch:
        yield tuple(batch)


def _put_batch(
    volume: Volume,
    name: str,
    files: Mapping[str, Path],
    batch: Iterable[str],
    manifest: Mapping[str, Stamp],
) -> None:
    values = {path: asdict(stamp) for path, stamp in sorted(manifest.items())}
    with volume.batch_upload(force=True) as upload:
        for path in batch:
            upload.put_file(str(files[path]), f"/{data_folder(name)}/{path}")
        text = json.dumps(values, ensure_ascii=False).encode()
        upload.put_file(io.BytesIO(text), f"/{manifest_path(name)}")


def upload_code(volume: Volume, root: Path) -> tuple[str, Upload]:
    """Upload the code as it is here; return its digest, which names its folder."""
    files = find_code(root)
    digest = code_digest(files)
    there = stored_sizes(volume, code_folder(digest))
    absent = [n for n, path in files.items() if there.get(n) != path.stat().st_size]
    if absent:
        with volume.batch_upload(force=True) as upload:
            for name in absent:
                upload.put_file(str(files[name]), f"/{code_folder(digest)}/{name}")
    done = Upload(
        place=code_folder(digest),
        uploaded=tuple(absent),
        uploaded_bytes=sum(files[n].stat().st_size for n in absent),
        unchanged=len(files) - len(absent),
    )
    return digest, done


def find_code(root: Path) -> dict[str, Path]:
    """Return the files that decide what a run does."""
    found = {
        path.relative_to(root).as_posix(): path
        for pattern in _CODE
        for path in root.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }
    return dict(sorted(found.items()))


def code_digest(files: Mapping[str, Path]) -> str:
    """Return a name for just these files with just this content."""
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()[:_DIGITS]


_RUN = "run.json"


def fetch_run(volume: Volume, name: str, into: Path) -> Path:
    """Copy a run of the volume into `into/NAME` and return that.

    Another run in that place is set aside; the same one is brought up to date. Raises
    `RunError` where the volume has no such run.
    """
    files = stored_sizes(volume, run_folder(name))
    if _RUN not in files:
        names = sorted({path.split("/")[0] for path in stored_sizes(volume, "runs")})
        raise RunError(
            f"{name}: no such run in the volume; there "
            f"{'are ' + ', '.join(names) if names else 'is none yet'}"
        )
    run_dir = into / name
    with lock_run(run_dir):
        about = b"".join(volume.read_file(f"{run_folder(name)}/{_RUN}"))
        if is_documented(run_dir) and (run_dir / _RUN).read_bytes() != about:
            set_aside(run_dir)
        # run.json comes first, so that a stopped copy is recognised and continued.
        for path in sorted(files, key=lambda each: (each != _RUN, each)):
            _fetch_file(volume, f"{run_folder(name)}/{path}", run_dir / path)
    return run_dir


def _fetch_file(volume: Volume, path: str, goal: Path) -> None:
    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            for piece in volume.read_file(path):
                file.write(piece)

    write_atomically(goal, write)
