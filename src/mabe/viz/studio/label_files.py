"""Labels in the annotation and coverage files of a data set, safe from kills.

The labels of a recording are two files, and a row of ``train.csv`` that lists what was
watched for. An edit is first written whole into ``studio/pending/`` and flushed, then
into these files, and then removed there. A server that is killed in between finds it
when it starts again and completes it, so the files always agree. One server at a time
has a project open.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mabe.bouts import Bout, WatchedSpan
from mabe.errors import DataError, OutputError
from mabe.io.readers.kaggle import read_coverage, read_labels
from mabe.io.writers.kaggle import write_annotation, write_coverage
from mabe.recording import VideoInfo
from mabe.runtime.documents import read_json
from mabe.runtime.file_names import path_under
from mabe.runtime.files import make_folder, remove, write_json
from mabe.viz.studio.label_edits import LabelEdit, StudioLabels
from mabe.viz.studio.layout_table import NAME, add_watched


@dataclass(slots=True)
class LabelFiles:
    """The labels of all recordings of a data set."""

    data: Path
    infos: Mapping[str, VideoInfo]
    """Metadata of the recordings by name, as the table had them at the start."""
    lengths: dict[str, int] = field(default_factory=dict)
    """Frames of recordings that were labelled before without coverage."""
    _known: dict[str, StudioLabels] = field(default_factory=dict)
    _versions: dict[str, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def recover(self) -> list[str]:
        """Complete the edits that a killed server had begun; return their names."""
        done = []
        for path in sorted((self.data / "studio" / "pending").glob("*.json")):
            try:
                values = read_json(path)
                labels = labels_of_json(values)
                info = self.infos[values["name"]]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path}: cannot be read: {error}; if it is of no use, remove it"
                ) from None
            self._write_files(info, labels)
            remove(path)
            done.append(info.name)
        return done

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no edit be written while the data set is replaced."""
        with self._lock:
            yield

    def version(self, name: str) -> int:
        """Return how often the labels of a recording were changed by this server."""
        return self._versions.get(name, 0)

    def read(self, name: str, *, frames: int | None = None) -> StudioLabels:
        """Return the labels of a recording; nothing is watched where it has none.

        `frames` are those of the recording, all of which count as watched where labels
        were made without coverage.
        """
        frames = frames or self.lengths.get(name)
        with self._lock:
            if name in self._known:
                return self._known[name]
            labels = self._read_files(name, frames)
            if frames:  # else what is watched may not be known yet
                self._known[name] = labels
            return labels

    def apply(
        self, name: str, edit: LabelEdit, *, frames: int
    ) -> tuple[int, StudioLabels]:
        """Write the labels after an edit; return their version, and the labels."""
        with self._lock:
            before = self.read(name, frames=frames)
            labels = edit.applied(before)
            if labels != before:
                self._write(self.infos[name], labels)
                self._known[name] = labels
                self._versions[name] = self.version(name) + 1
            return self.version(name), labels

    def _read_files(self, name: str, frames: int | None) -> StudioLabels:
        info = self.infos[name]
        annotation, coverage = (self._path(info, k) for k in ("annotation", "coverage"))
        info = replace(
            info,
            annotation_path=annotation if annotation.is_file() else None,
            coverage_path=coverage if coverage.is_file() else None,
        )
        bouts, _ = read_labels(replace(info, has_labels=False))
        spans = read_coverage(info)
        if spans is None:
            stop = frames or 0
            spans = tuple(
                WatchedSpan(0, stop, each.action, each.agent, each.target)
                for each in (info.watched if info.has_labels and stop else ())
            )
        return LabelEdit().applied(StudioLabels(bouts, spans))

    def _write(self, info: VideoInfo, labels: StudioLabels) -> None:
        folder = self.data / "studio" / "pending"
        make_folder(folder)
        number = sorted(self.infos).index(info.name)
        pending = folder / f"{number}.json"
        write_json(pending, {"name": info.name, **labels_to_json(labels)})
        self._write_files(info, labels)
        remove(pending)

    def _write_files(self, info: VideoInfo, labels: StudioLabels) -> None:
        write_coverage(self._path(info, "coverage"), labels.coverage)
        write_annotation(self._path(info, "annotation"), labels.bouts)
        watched = {span.watched for span in labels.coverage}
        add_watched(self.data / NAME, info.name, watched)

    def _path(self, info: VideoInfo, kind: str) -> Path:
        folder = self.data / f"train_{kind}"
        return path_under(folder, info.lab, info.video, ending=".parquet")


@contextmanager
def only_server(data: Path) -> Iterator[None]:
    """Keep other servers away from a project; raise `OutputError` if one has it."""
    make_folder(data / "studio")
    try:
        with FileLock(data / "studio" / ".lock", timeout=0):
            yield
    except Timeout:
        raise OutputError(
            f"{data.parent}: is open in another `mabe studio`; use that page (two "
            "windows are no problem), or end it with Ctrl-C there"
        ) from None


def labels_to_json(labels: StudioLabels) -> dict[str, Any]:
    """Return labels as plain values."""
    return {
        "bouts": [span_row(bout) for bout in labels.bouts],
        "coverage": [span_row(span) for span in labels.coverage],
    }


def labels_of_json(values: Any) -> StudioLabels:
    """Return the labels of `labels_to_json`."""
    return StudioLabels(
        tuple(Bout(*row) for row in values["bouts"]),
        tuple(WatchedSpan(*row) for row in values["coverage"]),
    )


def span_row(span: Bout | WatchedSpan) -> list[Any]:
    """Return a bout or a watched span as the page gets it."""
    return [span.start, span.stop, span.action, span.agent, span.target]
