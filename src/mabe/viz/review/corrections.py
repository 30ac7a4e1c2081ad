"""Corrected labels as a new data set beside the old one, which stays as it is.

The new folder has the same layout, so that `mabe train --data-dir` takes it: metadata
and annotations are copied, the large tracking files linked where the disk allows it.
A corrected recording gets a new annotation file there; the corrections of an earlier
session are kept beside it. What a reviewer has watched so far is written as coverage
(`mabe.bouts.Coverage`), so a recording without annotations may be labelled in part.

``corrected.json`` lists what was corrected here, with the model whose
predictions were shown, and distinguishes such files from copies.
"""

import csv
import io
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mabe.bouts import Bout, Coverage, Watched
from mabe.errors import DataError, OutputError
from mabe.io.project import FILE_NAME as PROJECT_NAME
from mabe.io.readers.kaggle import SPLITS, read_coverage, read_labels
from mabe.io.writers.kaggle import format_watched, write_annotation, write_coverage
from mabe.recording import VideoInfo
from mabe.runtime.csv_cells import cell_of, text_of
from mabe.runtime.documents import read_json
from mabe.runtime.file_names import path_under
from mabe.runtime.files import write_bytes, write_json, write_text

LOG_NAME = "corrected.json"


@dataclass(frozen=True, slots=True)
class CorrectedLabels:
    """The labels of a recording as a reviewer leaves them."""

    bouts: tuple[Bout, ...]
    coverage: Coverage | None
    """When was watched for what; None: for everything, all the time."""


@dataclass(slots=True)
class Corrections:
    """A folder of corrected labels.

    `source` is the folder of the Kaggle layout it begins as a copy of; without one
    (poses from a prepared store) only annotation files are written.
    """

    root: Path
    source: Path | None
    model: str = ""
    _kept: set[str] = field(default_factory=set)
    """Recordings of which an earlier session's file is kept already."""

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
    ) -> Path:
        """Write a recording's labels; `watched` is what could be annotated in it."""
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
        self._keep_earlier(info.name, path)
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
        return log

    def _keep_earlier(self, name: str, path: Path) -> None:
        """Set the file of an earlier session aside, once in this session."""
        if name in self._kept:
            return
        self._kept.add(name)
        if not path.is_file() or name not in self._log():
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
        if self.root.exists() and {each.name for each in self.root.iterdir()} - own:
            raise OutputError(
                f"{self.root}: holds something else than corrected labels; choose "
                "another --out"
            )
        try:
            for folder, put in (
                ("train_annotation", shutil.copy2),
                ("train_coverage", shutil.copy2),
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


def _link_or_copy(path: Path, place: Path) -> None:
    """Link a file that is only read; copy it where it cannot be linked."""
    if place.exists():
        return
    try:
        os.link(path.resolve(), place)
    except OSError:  # another disk, or a disk without links
        shutil.copy2(path, place)
