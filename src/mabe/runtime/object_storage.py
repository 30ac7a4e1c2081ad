"""Data in object storage: a folder at a URL such as ``s3://bucket/prefix``.

A data set is never copied as a whole. It is *listed* once, which gives each file's
version; a file is fetched when it is needed and removed when it was read, so neither
memory nor disk holds more than the files in use. Files that a pose store holds in the
same version are not fetched again. A prepared store is fetched into the cache folder,
and stays there.

Any URL that fsspec knows is accepted; access is granted by the storage's own means
(environment, profile, role). A ``Path`` made of a URL has lost a slash (``s3:/data``):
`as_url` restores it, so that settings and commands need one type for both.
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from mabe.errors import ConfigError, DataError, RunError
from mabe.runtime.file_names import path_under
from mabe.runtime.files import cache_folder, write_atomically

_VERSION_KEYS = (
    "ETag",
    "etag",
    "md5Hash",
    "content_md5",
    "mtime",
    "LastModified",
    "last_modified",
    "updated",
    "created",
)
"""Fields in which object stores give a file's version, the most reliable first."""


def as_url(path: Path) -> str | None:
    """Return the URL that a path was made of; None for a local path."""
    # A single letter is a drive of Windows.
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.\-]+):/+(.*)", path.as_posix())
    if found is None:
        return None
    protocol, rest = found.groups()
    return f"{protocol}://{'/' if protocol in ('file', 'local') else ''}{rest}"


def display_path(path: Path) -> str:
    """Return a path, or the URL it was made of, as text."""
    return as_url(path) or str(path)


def full_path(path: Path) -> str:
    """Return a path that means the same in every folder, or the URL, as text."""
    return as_url(path) or str(path.absolute())


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in object storage, as listed in its folder."""

    url: str
    bytes: int
    version: str
    """Changes with the content."""

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return PurePosixPath(self.url).name


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """The files below a URL, by their paths in it."""

    url: str
    files: Mapping[str, RemoteFile]

    def has_folder(self, path: str) -> bool:
        """Return whether there is any file below a path."""
        return any(each.startswith(f"{path}/") for each in self.files)


def list_folder(url: str) -> RemoteFolder:
    """Return what is below a URL.

    Raises `DataError` where there is nothing, access is refused or the storage cannot
    be reached, and `RunError` where a library for such URLs is not installed.
    """
    folder = find_folder(url)
    if not folder.files:
        raise DataError(f"{url}: no files here; expected a folder with data")
    return folder


def find_folder(url: str, *, levels: int | None = None) -> RemoteFolder:
    """Return what is below a URL, which may be nothing; else as `list_folder`.

    `levels` of 1 are the files in the folder itself; None: all.
    """
    with _reaching(url) as (files, root):
        files.invalidate_cache()
        listed = files.find(root, maxdepth=levels, detail=True)
        own = root.rstrip("/") + "/"
        found = {
            key.removeprefix(own): RemoteFile(
                f"{url.rstrip('/')}/{key.removeprefix(own)}",
                int(facts["size"]),
                _version(facts),
            )
            for key, facts in sorted(listed.items())
            if key.startswith(own)
        }
    return RemoteFolder(url, found)


def fetch(file: RemoteFile, place: Path) -> None:
    """Copy a file to a local path, piece by piece."""
    with _reaching(file.url) as (files, path):
        place.parent.mkdir(parents=True, exist_ok=True)
        files.get_file(path, str(place))
    if (found := place.stat().st_size) != file.bytes:
        raise DataError(
            f"{file.url}: {found:,} bytes were received, {file.bytes:,} listed; it "
            "changed meanwhile: run the command again"
        )


def put(place: Path, url: str) -> None:
    """Copy a local file to a URL; others find it whole or not at all."""
    with _reaching(url) as (files, path):
        if "file" in files.protocol:
            files.makedirs(files._parent(path), exist_ok=True)
        files.put_file(str(place), path)


def take_away(url: str) -> None:
    """Remove the file at a URL."""
    with _reaching(url) as (files, path):
        files.rm_file(path)


@contextmanager
def naming_urls(local: Mapping[Path, str]) -> Iterator[None]:
    """Within the context, name URLs in errors instead of the local copies."""
    try:
        yield
    except (ConfigError, DataError) as error:
        text = str(error)
        for path, url in local.items():
            text = text.replace(str(path), url)
        raise type(error)(text) from None


def fetch_store(url: str, index_name: str, wanted: Sequence[str]) -> Path:
    """Return a folder of the cache with a prepared store's files, the index last.

    `wanted` are patterns of the files beside the index. A file's name changes with its
    content, so files of the right name and size are not fetched again.
    """
    folder = list_folder(url)
    root = cache_folder() / "fetched" / hashlib.sha256(url.encode()).hexdigest()[:16]
    for name, file in folder.files.items():
        if not any(PurePosixPath(name).match(pattern) for pattern in wanted):
            continue
        here = path_under(root, *PurePosixPath(name).parts)
        if not (here.is_file() and here.stat().st_size == file.bytes):
            write_atomically(here, partial(fetch, file))
    index = folder.files[index_name]
    write_atomically(root / index_name, partial(fetch, index))
    for old in set(root.iterdir()) - {root / name for name in folder.files}:
        old.unlink(missing_ok=True)
    return root


@contextmanager
def small_file(path: Path) -> Iterator[Path | None]:
    """Provide a local path of a file, which may be at a URL; None where there is none.

    A copy of one at a URL exists as long as the context, and errors name the URL.
    """
    url = as_url(path)
    if url is None:
        yield path if path.is_file() else None
    elif not exists(url):
        yield None
    else:
        with tempfile.TemporaryDirectory(prefix="mabe-") as folder:
            copy = Path(folder) / path.name
            with _reaching(url) as (files, remote):
                files.get_file(remote, str(copy))
            with naming_urls({copy: url}):
                yield copy


def exists(url: str) -> bool:
    """Return whether there is a file at a URL."""
    with _reaching(url) as (files, path):
        return bool(files.isfile(path))


def _version(facts: Mapping[str, Any]) -> str:
    """Return a value that changes with a file's content: a version, else all facts."""
    told = [str(facts[key]) for key in _VERSION_KEYS if facts.get(key)]
    return told[0] if told else str(sorted((k, str(v)) for k, v in facts.items()))


def _open_filesystem(url: str) -> tuple[Any, str]:
    try:
        import fsspec

        return fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise RunError(
            f"{url}: cannot be read ({_line(error)}); for s3:// "
            '`pip install "mabe[cloud]"`, for gs:// gcsfs, for az:// adlfs'
        ) from error


@contextmanager
def _reaching(url: str) -> Iterator[tuple[Any, str]]:
    """Provide the filesystem of a URL and the path in it, and convert its errors."""
    files, path = _open_filesystem(url)
    try:
        yield files, path
    except FileNotFoundError as error:
        raise DataError(
            f"{url}: no such bucket or file ({_line(error)}); is its name right?"
        ) from error
    except PermissionError as error:
        raise DataError(
            f"{url}: access refused ({_line(error)}); are your credentials valid?"
        ) from error
    except Exception as error:
        if not _is_of_storage(error):
            raise  # a bug keeps its traceback
        hint = "is the network up, and the endpoint right?"
        if "redential" in str(error):
            hint = "log in (such as `aws configure`), or set AWS_ACCESS_KEY_ID …"
        raise DataError(
            f"{url}: cannot be reached ({type(error).__name__}: {_line(error)}); {hint}"
        ) from error


def _is_of_storage(error: Exception) -> bool:
    """Return whether an error is one of the network or of a storage's library."""
    libraries = ("botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "azure")
    return isinstance(error, OSError) or type(error).__module__.startswith(libraries)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
