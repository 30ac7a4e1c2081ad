"""The files of a folder: which hold tracks, which hold labels, and which are not read.

Every file is opened once, and no coordinates are kept. A file that cannot be read never
stops the others: it is listed with its reason.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.errors import DataError, NotARecordingError
from mabe.io.match_keypoints import split_animals
from mabe.io.project import Project
from mabe.io.project_folders import choose_files
from mabe.io.readers.annotations import Content, FileAnnotations
from mabe.io.readers.containers import WORKBOOKS, sheets_of
from mabe.io.readers.file_head import Peek
from mabe.io.readers.formats import read_as, recognise
from mabe.io.readers.left_out import LeftOut
from mabe.io.readers.named_columns import has_columns, read_named_columns
from mabe.io.readers.poses import RELATIVE
from mabe.io.standardize import estimate_scale
from mabe.runtime.console import count

_SKIPPED_ENDINGS = frozenset(
    f".{ending}"
    for endings in (
        ("avi", "mp4", "mov", "mkv", "mpg", "mpeg", "wmv", "seq", "png", "jpg", "jpeg"),
        ("tif", "tiff", "gif", "bmp", "pdf", "yaml", "yml", "md", "rst", "py", "ipynb"),
        ("log", "pickle", "pkl", "doc", "docx", "zip", "toml", "sh", "bat", "r", "m"),
    )
    for ending in endings
)
"""Videos, pictures, texts and programs; all other files are opened."""

_LABEL_ENDINGS = frozenset(
    f".{ending}"
    for endings in (
        ("annot", "annotation", "boris", "csv", "dat", "eaf", "fmf", "gz", "json"),
        ("mat", "ods", "odx", "opf", "parquet", "textgrid", "tsv"),
        ("xls", "xlsm", "xlsx", "xml"),
    )
    for ending in endings
)
"""Endings of files that may hold labels, also where their format is not known."""

_OF_THE_SYSTEM = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini"))
"""Files that Windows makes in folders of pictures and films."""

_PREDICTIONS, _PROVENANCE = "bouts.csv", "provenance.json"
"""The files of a folder of predictions, see `mabe.io.predictions`."""

_LIKE = 3
"""From more files on whose names differ in numbers alone, one line stands for all."""


@dataclass(frozen=True, slots=True)
class Track:
    """Where the tracks of one recording are, and what names the recording."""

    path: Path
    place: int
    """Which of the file's recordings."""
    name: str
    format: str
    length: int
    animals: tuple[str, ...] = ()
    first_frame: int = 0
    given_name: str = ""
    """The name in the file or of the file, which other recordings may have too."""
    video: str = ""
    """The video that the file gives."""
    fps: float | None = None
    """The frame rate that the file gives."""
    start_s: float = 0.0
    keypoints: tuple[str, ...] = ()
    estimated_scale: float | None = None
    """Pixels per cm by the length of bodies, where neither file nor project give it."""
    """When frame 0 was filmed, on the clock of a session."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one recording in one file."""

    path: Path
    format: str
    annotations: FileAnnotations
    coder: str = ""
    """Who annotated, where that is known or its name follows the recording's."""
    guesses: tuple[tuple[str, str], ...] = ()
    """What was assumed about the file, and why."""


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file that is not used, and why."""

    path: Path
    reason: str
    is_known: bool = False
    """True where it is of a known program, and deliberately not read."""
    is_expected: bool = False
    """True where it holds nothing to import."""
    is_recognised: bool = True
    """False where it is of no known format."""

    @property
    def may_be_labels(self) -> bool:
        """Whether it may hold labels, by its ending."""
        return self.path.suffix.lower() in _LABEL_ENDINGS and not self.is_expected


@dataclass(frozen=True, slots=True)
class FolderContents:
    """What the files of a folder hold."""

    tracks: tuple[Track, ...]
    labels: tuple[Labels, ...]
    problems: tuple[FileProblem, ...]

    @property
    def may_be_labels(self) -> bool:
        """Whether a file that is not used may hold labels."""
        return any(each.may_be_labels for each in self.problems)


def find_files(folder: Path, *, skip: Path | None = None) -> list[Path]:
    """Return the files that may hold tracks or labels, in the order of their names.

    Not those in `skip`, and not those of data sets that were imported before.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder.")
    skipped = skip.resolve() if skip else None
    found = []
    data_sets: set[Path] = set()
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_dir() and is_data_set(path):
            data_sets.add(path)
        if (
            path.is_file()
            and not is_hidden
            and path.suffix.lower() not in _SKIPPED_ENDINGS
            and path.name != _PROVENANCE
            and path.name.lower() not in _OF_THE_SYSTEM
            and not (skipped and path.resolve().is_relative_to(skipped))
            and data_sets.isdisjoint(path.parents)
        ):
            found.append(path)
    return found


def is_data_set(folder: Path) -> bool:
    """Return whether a folder is a data set in the standard layout."""
    return any(
        (folder / f"{split}.csv").is_file() and (folder / f"{split}_tracking").is_dir()
        for split in ("train", "test")
    )


def read_content(path: Path, project: Project) -> Content | None:
    """Return what a file holds; None where it is of no known format.

    A table, or the first sheet of a workbook, with the columns that the project names
    is read by these names. Raises `DataError` for a broken file, and `LeftOut` for
    coordinates relative to a picture whose size the project does not give.
    """
    found, peek = recognise(path)
    if named := read_named_table(peek, project):
        return named
    content = None if found is None else read_as(found, peek)
    poses = content.poses if content else ()
    if not project.size and any(each.unit == "picture" for each in poses):
        raise LeftOut(path, RELATIVE)
    return content


def read_named_table(peek: Peek, project: Project) -> Content | None:
    """Return the bouts of a table with the columns that the project names.

    None where it names none, or the table lacks them.
    """
    if not project.columns:
        return None
    names = project.columns.names
    for table in sheets_of(peek) if peek.kind in WORKBOOKS else (peek,):
        if has_columns(table, names):
            return read_named_columns(table, names)
    return None


def scan_folder(
    folder: Path,
    project: Project,
    *,
    skip: Path | None = None,
    look: Callable[[Path, Content], None] | None = None,
) -> FolderContents:
    """Return what the files of a folder hold, and why some of them are not used.

    `look` is called with the content of each file, which is not kept.
    """
    own = folder / project.zones if isinstance(project.zones, str) else None
    found = [path for path in find_files(folder, skip=skip) if path != own]
    files, left_out = choose_files(found, folder)
    contents = scan_files(files, project, look)
    known = tuple(_left_out(each) for each in left_out)
    return replace(contents, problems=(*known, *contents.problems))


def _left_out(reason: LeftOut) -> FileProblem:
    is_expected = isinstance(reason, NotARecordingError)
    return FileProblem(reason.path, reason.reason, True, is_expected)


def scan_files(
    paths: Sequence[Path],
    project: Project,
    look: Callable[[Path, Content], None] | None = None,
) -> FolderContents:
    """Return what files hold, and why some of them are not used."""
    tracks: list[Track] = []
    labels: list[Labels] = []
    problems: list[FileProblem] = []
    for path in paths:
        try:
            content = read_content(path, project)
        except LeftOut as reason:
            problems.append(_left_out(reason))
            continue
        except DataError as error:
            reason_text = str(error).removeprefix(f"{path}").lstrip(": ")
            problems.append(FileProblem(path, reason_text))
            continue
        if content is None:
            problems.append(FileProblem(path, "not recognised", is_recognised=False))
            continue
        if look:
            look(path, content)
        held = contents_of_file(path, content, project)
        tracks += held.tracks
        labels += held.labels
    return FolderContents(tuple(tracks), tuple(labels), tuple(problems))


def contents_of_file(path: Path, content: Content, project: Project) -> FolderContents:
    """Return the tracks and labels of one file."""
    return FolderContents(
        tracks=tuple(
            replace(
                track_of(path, at, content),
                keypoints=tuple(poses.keypoints),
                estimated_scale=estimate_scale(poses, project),
            )
            for at, poses in enumerate(content.poses)
        ),
        labels=tuple(
            Labels(path, content.format, _mark_predictions(annotations, path))
            for annotations in content.annotations
        ),
        problems=(),
    )


def track_of(path: Path, place: int, content: Content) -> Track:
    """Return where one of the recordings of a file with tracks is."""
    poses = content.poses[place]
    is_one = len(poses.animals) == 1
    of_names = split_animals(poses.keypoints) if is_one else None
    return Track(
        path,
        place,
        poses.name,
        content.format,
        poses.length,
        tuple(of_names or poses.animals),
        poses.first_frame,
        poses.name,
        poses.video,
        poses.fps,
        poses.start_s,
    )


def _mark_predictions(annotations: FileAnnotations, path: Path) -> FileAnnotations:
    """Return annotations as a program's where they are what `mabe predict` wrote."""
    is_ours = path.name == _PREDICTIONS and (path.parent / _PROVENANCE).is_file()
    return replace(annotations, by="program") if is_ours else annotations


def list_problems(problems: Iterable[FileProblem], folder: Path) -> list[str]:
    """Return a line for each file that is not used, or for several alike."""
    groups: dict[tuple[str, Path, str], list[FileProblem]] = {}
    for each in problems:
        key = each.reason, folder, ""
        if not each.is_known:
            pattern = re.sub(r"\d+", "#", each.path.name)
            key = re.sub(r"\d+", "#", each.reason), each.path.parent, pattern
        groups.setdefault(key, []).append(each)
    return [
        line for those in groups.values() for line in _describe_alike(those, folder)
    ]


def _describe_alike(those: Sequence[FileProblem], folder: Path) -> Iterator[str]:
    """Yield one line for several files with one problem; for a few, a line each."""
    names = [relative_name(each.path, folder) for each in those]
    if len(names) > _LIKE or (those[0].is_known and len(names) > 1):
        few = ", ".join(names[:_LIKE])
        more = f", … {names[-1]}" if len(names) > _LIKE else ""
        yield f"{count(len(names), 'file')} ({few}{more}): {those[0].reason}"
    else:
        yield from (
            f"{name}: {each.reason}" for name, each in zip(names, those, strict=True)
        )


def relative_name(path: Path, folder: Path) -> str:
    """Return a path as it is written in project.yaml."""
    return path.relative_to(folder).as_posix()
