"""`mabe inspect`: animals, keypoints, labels and problems of a file or a folder.

A file is described in full. Of a folder every file is a line, and then follows what
`mabe import` would do with it.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from mabe.errors import DataError
from mabe.io.confidence import drop_unsure
from mabe.io.folder_files import contents_of_file, read_named_table
from mabe.io.import_preview import describe_folder
from mabe.io.inspection import Inspection
from mabe.io.match_keypoints import format_matches, match_names
from mabe.io.project import Project
from mabe.io.readers.annotations import Content, FileAnnotations
from mabe.io.readers.formats import read_file, recognise
from mabe.io.readers.kaggle import read_index
from mabe.io.readers.poses import RELATIVE, Poses
from mabe.io.standardize import separate_animals
from mabe.io.unknown_files import describe_unread
from mabe.io.vertical import settle_heights
from mabe.recording import VideoInfo
from mabe.runtime.console import count, percent

_SHOWN = 4
"""Number of recordings of one file that are described in full."""


def inspect(path: Path, project: Project) -> Generator[str, None, Inspection]:
    """Yield the lines that describe a file or a folder; return what was found.

    Broken and unknown files of a folder are listed; where a single file is given that
    is not read, what it holds is described, and then `DataError` raised.
    """
    if path.is_file():
        yield f"{path}"
        return (yield from _describe_file(path, project))
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder.")
    if any((path / f"{split}.csv").is_file() for split in ("train", "test")):
        return (yield from _describe_layout(path))
    return (yield from describe_folder(path, project))


def _describe_file(path: Path, project: Project) -> Generator[str, None, Inspection]:
    try:
        _, peek = recognise(path)
        content = read_named_table(peek, project) or read_file(path)
    except DataError:
        yield "  not read (see below)"
        yield from (f"  {line}" for line in describe_unread(path))
        raise
    yield from _describe_content(content, project)
    yield f"  {_describe_use(content)}"
    return Inspection.of("file", contents_of_file(path, content, project))


def _describe_use(content: Content) -> str:
    """Return what `mabe import` makes of the file."""
    tracks = [poses.name for poses in content.poses]
    labels = [each.name for each in content.annotations if each.by == "person"]
    parts = []
    if tracks:
        parts.append(f"tracks of {_named(tracks)}")
    if labels:
        own = bool(tracks)
        parts.append("labels of the same" if own else f"labels of {_named(labels)}")
    if not parts:
        return (
            "`mabe import` uses nothing of it: predictions of a program are no labels"
        )
    return f"`mabe import` reads {' and '.join(parts)}"


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"the recording {shown}" if len(names) == 1 else f"{len(names)} recordings"


def _describe_content(content: Content, project: Project) -> Iterator[str]:
    yield f"  {content.format}"
    for poses in content.poses[:_SHOWN]:
        yield from _describe_poses(poses, project, is_one=len(content.poses) == 1)
    for annotations in content.annotations[:_SHOWN]:
        yield from _describe_annotations(annotations)
    more = max(len(content.poses), len(content.annotations)) - _SHOWN
    if more > 0:
        yield f"  … and {count(more, 'more recording')}"


def _describe_poses(poses: Poses, project: Project, *, is_one: bool) -> Iterator[str]:
    poses = poses.in_pixels(project.size) if project.size else poses
    poses = drop_unsure(separate_animals(poses), project.min_confidence)
    poses = settle_heights(poses, project.vertical)
    seconds = f" ({len(poses.xy_px) / poses.fps:,.1f} s)" if poses.fps else ""
    span = f"frames {poses.first_frame:,} to {poses.length - 1:,}"
    frames = count(len(poses.xy_px), "frame")
    yield f"  tracks of {poses.name}: {frames}{seconds}, {span}"
    animals = count(len(poses.animals), "animal")
    yield f"    {animals}: {', '.join(poses.animals)}"
    rate = f"{poses.fps:g} fps" if poses.fps else "frame rate unknown (give --fps)"
    scale = (
        f"{poses.pixels_per_cm:.4g} pixels per cm"
        if poses.pixels_per_cm
        else "pixels per cm unknown"
    )
    yield f"    {rate}, {scale}"
    missing = 1 - poses.present.mean(axis=(0, 2))
    of_each = ", ".join(
        f"{name} {percent(share, digits=1)}"
        for name, share in zip(poses.animals, missing, strict=True)
    )
    all_missing = percent(1 - poses.present.mean(), digits=1)
    yield f"    missing points: {all_missing} ({of_each})"
    matches = match_names(poses.keypoints, project.keypoints)
    if is_one:
        yield f"    {count(len(poses.keypoints), 'keypoint')}, read as:"
        yield from ("  " + line for line in format_matches(matches).splitlines())
    else:
        known = sum(match.keypoint is not None for match in matches)
        yield f"    {count(len(poses.keypoints), 'keypoint')}, {known} known"
    notes = poses.notes if poses.unit == "pixel" else (*poses.notes, RELATIVE)
    yield from (f"    ! {note}" for note in notes)


def _describe_annotations(annotations: FileAnnotations) -> Iterator[str]:
    rate = f", scored at {annotations.fps:g} fps" if annotations.fps else ""
    unit = "s" if annotations.unit == "s" else "frames"
    length = f", {annotations.length:,g} {unit} annotated" if annotations.length else ""
    events = count(len(annotations.events), "event")
    yield f"  labels of {annotations.name}: {events}{length}{rate}"
    counts = Counter(event.behaviour for event in annotations.events)
    of_each = [f"{name} ({counts[name]})" for name in annotations.behaviours]
    yield f"    behaviours: {', '.join(of_each) or 'none'}"
    if annotations.subjects:
        yield f"    subjects: {', '.join(annotations.subjects)}"
    if annotations.media:
        yield f"    videos: {', '.join(annotations.media)}"
    points = sum(event.start == event.stop for event in annotations.events)
    if points:
        yield f"    {points} of them are point events"
    yield from (f"    ! {note}" for note in annotations.notes)


def _describe_layout(folder: Path) -> Generator[str, None, Inspection]:
    """Yield a summary of a folder in the standard layout, lab by lab."""
    videos = read_index(folder)
    yield f"{folder}"
    found = count(len(videos), "video")
    yield f"  the standard layout: {found}, ready for `mabe train`"
    labs: dict[str, list[VideoInfo]] = {}
    for info in videos:
        labs.setdefault(info.lab, []).append(info)
    for lab, those in labs.items():
        labelled = sum(info.has_labels for info in those)
        rates = sorted({info.fps for info in those})
        actions = sorted({each.action for info in those for each in info.watched})
        yield (
            f"  {lab}: {count(len(those), 'video')}, {labelled} labelled; "
            f"{', '.join(f'{rate:g}' for rate in rates)} fps; watched: "
            f"{', '.join(actions) or 'nothing'}"
        )
        lost = [info.video for info in those if not info.tracking_path.is_file()]
        if lost:
            yield f"    ! absent tracking files: {len(lost)}, such as {lost[0]}"
    return Inspection(
        kind="data set",
        videos=len(videos),
        labelled=sum(info.has_labels for info in videos),
    )
