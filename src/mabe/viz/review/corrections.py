"""Corrected labels as a new data set beside the old one, which stays as it is.

The new folder has the same layout, so that `mabe train --data-dir` takes it: metadata
and annotations are copied, the large tracking files linked where the disk allows it.
A corrected recording gets a new annotation file there; the corrections of an earlier
session are kept beside it. What a reviewer has watched so far is written as coverage
(`mabe.bouts.Coverage`), so a recording without annotations may be labelled in part.

``corrected.json`` lists what was corrected here, with the model whose
predictions were shown, and distinguishes such files from copies.

Several servers may write one folder: one saves at a time, and labels that another one
has changed since they were read are not replaced unnoticed.
"""

import csv
import io
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mabe.bouts import Bout, Coverage, Watched
from mabe.errors import DataError, OutputError
from mabe.io.project import FILE_NAME as PROJECT_NAME
from mabe.io.readers.kaggle import SPLITS, read_coverage, read_labels
from mabe.io.writers.kaggle import format_watched, write_annotation, write_coverage
from mabe.recording import VideoInfo
from mabe.runtime.csv_cells import cell_of, text_of
from mabe.runtime.documents import read_json
from mabe.runtime.file_names import path_under
from mabe.runtime.files import (
    cache_folder,
    hash_bytes,
    hash_file,
    make_folder,
    write_atomically,
    write_bytes,
    write_json,
    write_text,
)
from mabe.runtime.unfinished import finished_names, is_unfinished

LOG_NAME = "corrected.json"


_LOCK_S = 30
"""How long to wait for another process that saves."""


@dataclass(frozen=True, slots=True)
class CorrectedLabels:
    """The labels of a recording as a reviewer leaves them."""

    bouts: tuple[Bout, ...]
    coverage: Coverage | None
    """When was watched for what; None: for everything, all the time."""


class Conflict(Exception):
    """The labels were changed elsewhere since they were read."""


@dataclass(slots=True)
class Corrections:
    """A folder of corrected labels.

    `source` is the folder of the Kaggle layout it begins as a copy of; without one
    (poses from a prepared store) only annotation files are written.
    """

    root: Path
    source: Path | None
    model: str = ""
    _seen: dict[str, str | None] = field(default_factory=dict)
    """Of recordings that were read or saved: the state in which that left them."""

    _saved: set[str] = field(default_factory=set)
    """Recordings that this session has saved."""

    def path_of(self, lab: str, video: str) -> Path:
        """Return where a recording's corrected labels belong.

        Raises `OutputError` where lab and video would lead elsewhere.
        """
        folder = self.root / "train_annotation"
        return path_under(folder, lab, video, ending=".parquet")

    def coverage_path_of(self, lab: str, video: str) -> Path:
        """Return where a recording's coverage belongs."""
        return path_under(self.root / "train_coverage", lab, video, ending=".parquet")

    def read(self, lab: str, video: str, info: VideoInfo) -> CorrectedLabels | None:
        """Return the corrected labels of a recording, None where it has none."""
        path = self.path_of(lab, video)
        self._seen[f"{lab}/{video}"] = self._state(lab, video)
        if f"{lab}/{video}" not in self._log() or not path.is_file():
            return None
        spans = self.coverage_path_of(lab, video)
        place = replace(
            info,
            annotation_path=path,
            coverage_path=spans if spans.is_file() else None,
            has_labels=True,
        )
        bouts, _ = read_labels(place)
        return CorrectedLabels(bouts, read_coverage(place))

    def save(
        self,
        info: VideoInfo,
        labels: CorrectedLabels,
        watched: Sequence[Watched],
        *,
        only_unchanged: bool = False,
    ) -> Path:
        """Write a recording's labels; `watched` is what could be annotated in it.

        Labels that were changed elsewhere since they were read raise `Conflict` if
        `only_unchanged`, and are set aside otherwise, as those of an earlier session.
        """
        with self._lock():
            if only_unchanged and self.is_changed(info.lab, info.video):
                raise Conflict
            path = self._save(info, labels, watched)
            self._seen[info.name] = self._state(info.lab, info.video)
            return path

    def is_changed(self, lab: str, video: str) -> bool:
        """Return whether labels differ from what was last read or saved here."""
        name = f"{lab}/{video}"
        return name in self._seen and self._seen[name] != self._state(lab, video)

    def _state(self, lab: str, video: str) -> str | None:
        """Return a hash of a recording's corrected labels; None where it has none."""
        if f"{lab}/{video}" not in self._log():
            return None
        places = (self.path_of(lab, video), self.coverage_path_of(lab, video))
        try:
            return " ".join(
                hash_file(path) if path.is_file() else "" for path in places
            )
        except OSError as error:
            raise DataError(f"{places[0]}: cannot be read: {error}") from None

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep other processes from saving at the same time."""
        name = hash_bytes(str(self.root.resolve()).encode())
        locks = cache_folder() / "locks"
        make_folder(locks)
        try:
            with FileLock(locks / f"{name}.lock", timeout=_LOCK_S):
                yield
        except Timeout:
            raise OutputError(
                f"{self.root}: another program is saving there; try again"
            ) from None

    def _save(
        self, info: VideoInfo, labels: CorrectedLabels, watched: Sequence[Watched]
    ) -> Path:
        path = self.path_of(info.lab, info.video)
        if self.source and path.resolve().is_relative_to(self.source.resolve()):
            raise OutputError(
                f"{self.root}: corrections must not go into the data themselves; "
                "choose another --out"
            )
        if self.source and not (self.root / "train.csv").is_file():
            self._begin(self.source)
        if self.source and not info.has_labels:
            self._list_as_watched(info, watched)
        self._keep_earlier(info, path)
        spans = self.coverage_path_of(info.lab, info.video)
        if labels.coverage is not None:
            write_coverage(spans, labels.coverage)
        write_annotation(path, labels.bouts)
        if labels.coverage is None:
            spans.unlink(missing_ok=True)
        log = self._log()
        log[info.name] = {
            "model": self.model,
            "was": str(info.annotation_path) if info.annotation_path else None,
        }
        write_json(self.root / LOG_NAME, log)
        return path

    def _log(self) -> dict[str, Any]:
        path = self.root / LOG_NAME
        if not path.is_file():
            return {}
        try:
            log: dict[str, Any] = read_json(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read: {error}; restore it") from None
        if not isinstance(log, dict):
            raise DataError(f"{path}: expected a list of recordings; restore it")
        return log

    def _keep_earlier(self, info: VideoInfo, path: Path) -> None:
        """Set the file of an earlier session, or of another one, aside."""
        is_own = info.name in self._saved and not self.is_changed(info.lab, info.video)
        self._saved.add(info.name)
        if is_own or not path.is_file() or info.name not in self._log():
            return
        number = 1
        while (
            kept := path.with_name(f"{path.stem}.earlier-{number}.parquet")
        ).exists():
            number += 1
        write_bytes(kept, path.read_bytes())

    def _begin(self, source: Path) -> None:
        """Copy metadata and annotations, link tracking files; the metadata last."""
        own = {
            "train_annotation",
            "train_coverage",
            "train_tracking",
        }  # of a copy that was cut short
        if finished_names(self.root) - own:
            raise OutputError(
                f"{self.root}: holds something else than corrected labels; choose "
                "another --out"
            )
        try:
            for left in self.root.rglob(".*.tmp"):  # nobody else writes: see `_lock`
                if is_unfinished(left.name):
                    left.unlink(missing_ok=True)
            for folder, put in (
                ("train_annotation", _copy),
                ("train_coverage", _copy),
                ("train_tracking", _link_or_copy),
            ):
                for path in sorted(source.glob(f"{folder}/*/*.parquet")):
                    place = self.root / path.relative_to(source)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    put(path, place)
        except OSError as error:
            raise OutputError(
                f"{self.root}: cannot be written: {error.strerror or error}; is the "
                "disk full, or the folder read-only? Choose another --out"
            ) from error
        project = source / PROJECT_NAME
        if project.is_file():
            write_bytes(self.root / PROJECT_NAME, project.read_bytes())
        table = source / "train.csv"
        text = table.read_text(encoding="utf-8-sig") if table.is_file() else ""
        write_text(self.root / "train.csv", text)

    def _list_as_watched(self, info: VideoInfo, watched: Sequence[Watched]) -> None:
        """Add a recording without annotations to the training videos."""
        folder = self.root / "train_tracking"
        place = path_under(folder, info.lab, info.video, ending=".parquet")
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(info.tracking_path, place)
        rows, columns = _read_rows(self.root / "train.csv")
        rows = [row for row in rows if _name_of(row) != info.name]
        new = self._metadata_of(info) | {
            "lab_id": cell_of(info.lab),
            "video_id": cell_of(info.video),
            "frames_per_second": repr(info.fps),
            "pix_per_cm_approx": repr(info.pixels_per_cm),
            "behaviors_labeled": format_watched(watched),
        }
        columns = list(dict.fromkeys([*columns, *new]))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows([*rows, new])
        write_text(self.root / "train.csv", text.getvalue())

    def _metadata_of(self, info: VideoInfo) -> dict[str, str]:
        """Return the row that the data's own tables have for a recording."""
        assert self.source is not None
        for split in SPLITS:
            table = self.source / f"{split}.csv"
            rows = _read_rows(table)[0] if table.is_file() else []
            for row in rows:
                if _name_of(row) == info.name:
                    return row
        return {}


def _read_rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader), list(reader.fieldnames or [])


def _name_of(row: dict[str, str]) -> str:
    return "/".join(text_of(row[key].strip()) for key in ("lab_id", "video_id"))


def _copy(path: Path, place: Path) -> None:
    """Copy a file as a whole, or not at all."""
    write_atomically(place, lambda beside: _copy_to(path, beside))


def _copy_to(path: Path, place: Path) -> None:
    shutil.copy2(path, place)
    place.chmod(place.stat().st_mode | stat.S_IWUSR)  # the source may be read-only


def _link_or_copy(path: Path, place: Path) -> None:
    """Link a file that is only read; copy it where it cannot be linked.

    A file that is there already is left alone, unless it is only a part: an earlier
    version that was stopped may have left one.
    """
    if place.exists():
        if place.stat().st_size == path.stat().st_size:
            return
        place.unlink()
    try:
        os.link(path.resolve(), place)
    except OSError:  # another disk, or a disk without links
        _copy(path, place)
