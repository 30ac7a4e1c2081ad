"""A volume that is a folder: what the scripts use of `modal.Volume`, without Modal.

It lists with Modal's own entries; a batch becomes real when it ends, all or nothing.
"""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modal.volume import FileEntry, FileEntryType


class FolderVolume:
    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.sent: list[str] = []
        self.batches = 0
        self.commits = 0
        self.breaks_in_batch: int | None = None

    @contextmanager
    def batch_upload(self, force: bool = False) -> Iterator["FolderBatch"]:
        batch = FolderBatch()
        yield batch
        self.batches += 1
        if self.batches == self.breaks_in_batch:
            raise ConnectionError("the network went away")
        for content, path in batch.files:
            goal = self.root / path.lstrip("/")
            if goal.exists() and not force:
                raise FileExistsError(path)
            goal.parent.mkdir(parents=True, exist_ok=True)
            goal.write_bytes(content)
            self.sent.append(path)

    def listdir(self, path: str, *, recursive: bool = False) -> list[FileEntry]:
        top = self.root / path.lstrip("/")
        found = top.rglob("*") if recursive else top.iterdir()
        return [
            FileEntry(
                path=each.relative_to(self.root).as_posix(),
                type=FileEntryType.DIRECTORY if each.is_dir() else FileEntryType.FILE,
                mtime=0,
                size=each.stat().st_size,
            )
            for each in found
        ]

    def read_file(self, path: str) -> Iterator[bytes]:
        with (self.root / path).open("rb") as file:
            while piece := file.read(1000):
                yield piece

    def commit(self) -> None:
        self.commits += 1

    def reload(self) -> None:
        """Bring up to date what a machine sees, which a folder is."""

    def remove(self, path: str) -> None:
        shutil.rmtree(self.root / path)

    def data_sent(self) -> list[str]:
        """Take the names of what was sent since the last time, without manifests."""
        sent = [path for path in self.sent if not path.startswith("/manifests/")]
        self.sent.clear()
        return sent


class FolderBatch:
    def __init__(self) -> None:
        self.files: list[tuple[bytes, str]] = []

    def put_file(self, local_file: str | io.BytesIO, remote_path: str) -> None:
        if isinstance(local_file, io.BytesIO):
            content = local_file.read()
        else:
            content = Path(local_file).read_bytes()
        self.files.append((content, remote_path))
