"""A project: a folder of tracks, films and labels, and its data set in ``mabe/``.

What lies in the folder is imported as `mabe import` does. Recordings that are already
in the data set are left as they are, so labels made here are never replaced; new ones
are added. A folder in the standard layout is taken as it is: its tracks are linked.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mabe.errors import DataError
from mabe.io.film_files import film_of, find_films
from mabe.io.import_plan import list_unused, plan_import
from mabe.io.importer import FailedRecording, run_import
from mabe.io.project import FILE_NAME, Project
from mabe.io.readers.kaggle import SPLITS, read_index
from mabe.recording import VideoInfo
from mabe.runtime.console import one_line
from mabe.runtime.documents import read_json
from mabe.runtime.file_names import path_under
from mabe.runtime.files import hash_bytes, make_folder, write_bytes, write_json
from mabe.viz.studio.layout_table import NAME, name_of, read_rows, write_rows

_KINDS = ("train_tracking", "train_annotation", "train_coverage")


@dataclass(frozen=True, slots=True)
class StudioProject:
    """A project that is open."""

    root: Path
    videos: tuple[VideoInfo, ...]
    problems: tuple[str, ...]
    """Files that were not used, and guesses to be checked."""

    @property
    def data(self) -> Path:
        """The data set in the standard layout."""
        return self.root / "mabe"

    def films(self) -> dict[str, Path]:
        """Return the film of each recording, by its name, where one is named for it."""
        files = find_films(self.root, skip=self.data)
        found = {info.name: film_of(info.video, files) for info in self.videos}
        return {name: film for name, film in found.items() if film}


def open_project(root: Path, settings: Project) -> StudioProject:
    """Return a project, with everything imported that is new in its folder.

    Raises `DataError` where there are no tracks, and `MabeError` where they cannot be
    read as they are.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give one with tracks")
    data = root / "mabe"
    make_folder(data / "studio")
    note = data / "studio" / "import.json"
    before = read_json(note) if note.is_file() else {}
    state = _state_of(root)
    if before.get("state") != state or not (data / NAME).is_file():
        problems = _import_new(root, data, settings, before.get("problems", []))
        write_json(note, {"state": state, "problems": problems})
        before = {"problems": problems}
    videos = tuple(read_index(data, splits=("train",)))
    if not videos:
        raise DataError(f"{root}: no recordings were imported")
    return StudioProject(root, videos, tuple(before["problems"]))


def _import_new(
    root: Path, data: Path, settings: Project, earlier: Sequence[str]
) -> list[str]:
    """Add the recordings of a folder that its data set lacks; return problems."""
    known = {name_of(row) for row in read_rows(data / NAME)}
    if any((root / f"{split}.csv").is_file() for split in SPLITS):
        _add_layout(root, data, known)
        return []
    new = data / "studio" / "new"
    shutil.rmtree(new, ignore_errors=True)  # of an import that was stopped
    plan = plan_import(root, settings, skip=data)
    problems = list_unused(plan)
    plan = replace(
        plan,
        recordings=tuple(
            files
            for files in plan.recordings
            if f"{plan.lab}/{files.track.name}" not in known
        ),
    )
    guesses: list[str] = []
    if plan.recordings:
        for done in run_import(plan, new):
            if isinstance(done, FailedRecording):
                problems.append(f"! {done.reason}")
            else:
                guesses += [f"guessed: {guess.what}" for guess in done.guesses]
        _move(new, data)
    kept = [line for line in earlier if line.startswith("guessed")]
    lines = [*problems, *dict.fromkeys([*kept, *guesses])]
    return [one_line(line.removeprefix("! ").strip()) for line in lines]


def _add_layout(root: Path, data: Path, known: set[str]) -> None:
    """Link the tracks and copy the labels of a folder in the standard layout."""
    for split in SPLITS:
        rows = {name_of(row): row for row in read_rows(root / f"{split}.csv")}
        if not rows:
            continue
        for info in read_index(root, splits=(split,)):
            if info.name in known:
                continue
            files = (info.tracking_path, info.annotation_path, info.coverage_path)
            for kind, path in zip(_KINDS, files, strict=True):
                if path is not None:
                    place = _place(data, kind, info.lab, info.video)
                    _link(path, place)
            if not info.has_labels:
                rows[info.name]["behaviors_labeled"] = "[]"
            _append(data, [rows[info.name]])
            known.add(info.name)
    if (root / FILE_NAME).is_file():
        write_bytes(data / FILE_NAME, (root / FILE_NAME).read_bytes())


def _move(new: Path, data: Path) -> None:
    """Move an import into the data set; the table of recordings comes last."""
    for kind in _KINDS:
        for path in sorted((new / kind).glob("*/*.parquet")):
            place = data / path.relative_to(new)
            make_folder(place.parent)
            path.replace(place)
    if not (data / FILE_NAME).is_file():
        (new / FILE_NAME).replace(data / FILE_NAME)
    rows = read_rows(new / NAME)
    for row in rows:
        place = data / "train_annotation" / row["lab_id"] / row["video_id"]
        if not place.with_name(f"{place.name}.parquet").is_file():
            row["behaviors_labeled"] = "[]"  # not labelled yet
    _append(data, rows)
    shutil.rmtree(new, ignore_errors=True)


def _append(data: Path, rows: Iterable[dict[str, str]]) -> None:
    write_rows(data / NAME, [*read_rows(data / NAME), *rows])
    make_folder(data / "train_annotation")


def _place(data: Path, kind: str, lab: str, video: str) -> Path:
    return path_under(data / kind, lab, video, ending=".parquet")


def _link(path: Path, place: Path) -> None:
    """Copy labels, which will be written; link tracks, which are only read."""
    make_folder(place.parent)
    if "annotation" in place.parts[-3] or "coverage" in place.parts[-3]:
        write_bytes(place, path.read_bytes())
        return
    if place.exists():
        return
    try:
        place.hardlink_to(path.resolve())
    except OSError:  # another disk, or a disk without links
        write_bytes(place, path.read_bytes())


def _state_of(root: Path) -> str:
    """Return a hash of the names, sizes and times of a folder's own files."""
    data = root / "mabe"
    rows: list[Any] = []
    for path in sorted(root.rglob("*")):
        if path.is_relative_to(data) or not path.is_file():
            continue
        about = path.stat()
        rows.append((str(path.relative_to(root)), about.st_size, about.st_mtime_ns))
    return hash_bytes(repr(rows).encode())
