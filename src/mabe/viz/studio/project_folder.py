"""A project: a folder of tracks, films and labels, and its data set in ``mabe/``.

What lies in the folder is imported as `mabe import` does. Recordings that are already
in the data set are left as they are, so labels made here are never replaced; new ones
are added. A folder in the standard layout is taken as it is: its tracks are linked.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mabe.errors import DataError
from mabe.io.film_files import films_of
from mabe.io.guesses import Guess
from mabe.io.import_plan import list_unused, plan_import
from mabe.io.importer import FailedRecording, run_import
from mabe.io.project import FILE_NAME, Project, parse_project
from mabe.io.readers.kaggle import SPLITS, read_index
from mabe.recording import VideoInfo
from mabe.runtime.documents import read_json
from mabe.runtime.file_names import path_under
from mabe.runtime.files import make_folder, write_bytes, write_json
from mabe.viz.studio.film_rates import contradictions, with_film_rates
from mabe.viz.studio.given_settings import given_settings
from mabe.viz.studio.layout_table import NAME, is_layout, name_of, read_rows
from mabe.viz.studio.settling import (
    append_rows,
    complete,
    guess_lines,
    problem_lines,
    put_in_place,
    sources_of,
    state_of,
)

_KINDS = ("train_tracking", "train_annotation", "train_coverage")


@dataclass(frozen=True, slots=True)
class StudioProject:
    """A project that is open."""

    root: Path
    videos: tuple[VideoInfo, ...]
    problems: tuple[str, ...]
    """Files that were not used, and guesses to be checked."""
    file: Path
    """The project.yaml that settings are written into."""
    given: Mapping[str, float] = field(default_factory=dict)
    """Rate and scale of the command line, which are not in the file."""
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Where each recording has its rate and its scale from, by its name."""
    settled_after: int = 0
    """The last round that was trained before something was settled."""

    @property
    def data(self) -> Path:
        """The data set in the standard layout."""
        return self.root / "mabe"

    @property
    def is_layout(self) -> bool:
        """Whether the folder is a data set already, with its own rates and scales."""
        return is_layout(self.root)

    def settings_text(self) -> str:
        """Return project.yaml as it is now, or that of the folder above, or nothing."""
        return settings_text(self.root, self.file)

    def films(self) -> dict[str, Path]:
        """Return the film of each recording, by its name, where one is named for it."""
        videos = {info.name: info.video for info in self.videos}
        films = films_of(self.root, videos.values(), skip=self.data)
        return {name: films[video] for name, video in videos.items() if video in films}


def settings_text(root: Path, file: Path) -> str:
    """Return the settings of a project as they are now; see `StudioProject`."""
    for path in (file, root.absolute().parent / FILE_NAME):
        if path.is_file():
            return path.read_text(encoding="utf-8-sig")
    return ""


def open_project(
    root: Path, settings: Project, *, file: Path | None = None
) -> StudioProject:
    """Return a project, with everything imported that is new in its folder.

    `file` is the project.yaml of the settings, by default that of the folder. Raises
    `DataError` where there are no tracks, and `MabeError` where they cannot be read as
    they are.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; give one with tracks")
    data = root / "mabe"
    make_folder(data / "studio")
    complete(data)
    note = data / "studio" / "import.json"
    before = read_json(note) if note.is_file() else {}
    file = file or root / FILE_NAME
    of_file = parse_project(settings_text(root, file), file)
    given = given_settings(settings, of_file, before, read_rows(data / NAME))
    settings = given.added_to(settings, of_file)
    state = state_of(root)
    # What could not be read may be readable by other settings.
    is_whole = (data / NAME).is_file() and before.get("is_whole", True)
    if before.get("state") != state or not is_whole:
        before |= _import_new(root, data, settings, before)
        before |= {"state": state, "given": dict(given.values)}
        write_json(note, before)
    videos = tuple(read_index(data, splits=("train",)))
    if not videos:
        raise DataError(f"{root}: no recordings were imported")
    rates = [(info.video, info.fps) for info in videos]
    return StudioProject(
        root,
        videos,
        (*given.notes, *contradictions(root, rates), *before["problems"]),
        file=file,
        sources=before.get("sources", {}),
        settled_after=before.get("settled_after", 0),
        given=given.values,
    )


def _import_new(
    root: Path, data: Path, settings: Project, before: Mapping[str, Any]
) -> dict[str, Any]:
    """Add the recordings of a folder that its data set lacks; return what to note."""
    known = {name_of(row) for row in read_rows(data / NAME)}
    if is_layout(root):
        _add_layout(root, data, known)
        return {"problems": []}
    new = data / "studio" / "new"
    shutil.rmtree(new, ignore_errors=True)  # of an import that was stopped
    plan = with_film_rates(plan_import(root, settings, skip=data), root)
    problems = list_unused(plan)
    plan = replace(
        plan,
        recordings=tuple(
            files
            for files in plan.recordings
            if f"{plan.lab}/{files.track.name}" not in known
        ),
    )
    guesses: list[Guess] = []
    sources = dict(before.get("sources", {}))
    failed: list[str] = []
    try:
        for done in run_import(plan, new) if plan.recordings else ():
            if isinstance(done, FailedRecording):
                failed.append(f"! {done.reason}")
            else:
                guesses += done.guesses
                sources[f"{plan.lab}/{done.standard.name}"] = sources_of(done, settings)
    except DataError as error:
        if not known:
            raise
        failed = failed or [f"! {error}"]  # the others are there all the same
    if (new / NAME).is_file():
        put_in_place(new, data)
    earlier: Sequence[str] = before.get("problems", [])
    kept = [line for line in earlier if line.startswith("guessed")]
    lines = [*problems, *failed, *dict.fromkeys([*kept, *guess_lines(guesses)])]
    return {
        "problems": problem_lines(lines),
        "sources": sources,
        "is_whole": not failed,
    }


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
            append_rows(data, [rows[info.name]])
            known.add(info.name)
    if (root / FILE_NAME).is_file():
        write_bytes(data / FILE_NAME, (root / FILE_NAME).read_bytes())


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
