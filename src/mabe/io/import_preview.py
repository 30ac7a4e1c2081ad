"""What `mabe import` would do with a folder, before anything is written.

Each file is read once; of tracks nothing is kept but names, length, rate and scale.
"""

import re
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mabe.errors import DataError, MabeError
from mabe.io.coders import describe_conflicts
from mabe.io.folder_files import (
    FileProblem,
    list_problems,
    relative_name,
    scan_folder,
)
from mabe.io.guesses import Guess
from mabe.io.import_plan import (
    ImportPlan,
    RecordingFiles,
    describe_plan,
    make_plan,
)
from mabe.io.import_report import describe_guesses
from mabe.io.importer import ImportedRecording, label_recording, place_zones_of
from mabe.io.inspection import Inspection
from mabe.io.match_keypoints import format_matches
from mabe.io.project import Project
from mabe.io.readers.annotations import Content, FileAnnotations
from mabe.io.readers.poses import Poses
from mabe.io.recording_zones import RecordingZones
from mabe.io.standardize import StandardPoses, standardize
from mabe.io.unknown_files import describe_unread, may_be_bouts
from mabe.runtime.console import count, percent

_ANY_FPS = 30.0
"""Stands for a rate that is not known, where only names are looked at."""


@dataclass(slots=True)
class _Notebook:
    """What is kept of each file while a folder is read."""

    project: Project
    zones: RecordingZones
    files: dict[Path, list[str]] = field(default_factory=dict)
    standards: dict[tuple[Path, int], StandardPoses | MabeError] = field(
        default_factory=dict
    )

    def look(self, path: Path, content: Content) -> None:
        """Note what a file holds."""
        lines = []
        for place, poses in enumerate(content.poses):
            standard = _bare_standard(poses, self.project, self.zones.corners)
            self.standards[path, place] = standard
            lines.append(_describe_poses(poses, standard))
        lines += [_describe_annotations(each) for each in content.annotations]
        self.files[path] = [f"{content.format}: {line}" for line in lines]


def _bare_standard(
    poses: Poses, project: Project, corners: Collection[str]
) -> StandardPoses | MabeError:
    """Return standardized poses without coordinates, or why they cannot be."""
    try:
        is_known = bool(poses.fps or project.fps)
        standard = standardize(
            poses, project, fps=None if is_known else _ANY_FPS, corners=corners
        )
    except MabeError as error:
        return error
    nothing = np.broadcast_to(np.float32(np.nan), standard.poses.xy_px.shape)
    z = None if standard.poses.z_px is None else nothing[..., 0]
    bare = replace(
        standard.poses, xy_px=nothing, z_px=z, confidence=None, fps=poses.fps
    )
    return replace(standard, poses=bare)


def _describe_poses(poses: Poses, standard: StandardPoses | MabeError) -> str:
    missing = 1 - float(poses.present.mean()) if poses.xy_px.size else 1.0
    rate = f"{poses.fps:g} fps" if poses.fps else "frame rate unknown"
    known = ""
    if isinstance(standard, StandardPoses):
        matched = sum(match.keypoint is not None for match in standard.matches)
        known = f" ({matched} known)"
    return (
        f"{count(len(poses.xy_px), 'frame')} from {poses.first_frame:,}, {rate}, "
        f"{count(len(poses.keypoints), 'keypoint')}{known}, "
        f"{percent(missing, digits=1)} missing, "
        f"{count(len(poses.animals), 'animal')}: {', '.join(poses.animals)}"
    )


def _describe_annotations(annotations: FileAnnotations) -> str:
    who = ", predicted by a program" if annotations.by == "program" else ""
    subjects = ", ".join(annotations.subjects) or "none named"
    return (
        f"{count(len(annotations.events), 'event')} of "
        f"{', '.join(annotations.behaviours) or 'nothing'}; subjects: {subjects}{who}"
    )


def describe_folder(folder: Path, project: Project) -> Generator[str, None, Inspection]:
    """Yield what each file of a folder holds, and what an import would make of it.

    Returns what was found.

    Raises `DataError` where there is no file that could hold tracks or labels.
    """
    notebook = _Notebook(project, RecordingZones.of(project, folder))
    contents = scan_folder(folder, project, look=notebook.look)
    if not notebook.files and not contents.problems:
        raise DataError(f"{folder}: no file here that could hold tracks or labels.")
    for path, lines in notebook.files.items():
        yield f"{path.relative_to(folder)}"
        yield from (f"  {line}" for line in lines)
    yield from _describe_unread(contents.problems, folder)
    if not contents.tracks:
        problems = list_problems(contents.problems, folder)
        yield from (f"! {line}" for line in problems)
        return Inspection.of("folder", contents)
    yield "\n`mabe import` would do this:"
    plan = make_plan(contents, project, folder)
    yield from describe_plan(plan)
    if plan.conflicts:
        yield f"! {describe_conflicts(plan.conflicts)}"
    guesses = yield from _describe_recordings(plan, notebook)
    return Inspection.of("folder", contents, guesses)


def _describe_unread(problems: Iterable[FileProblem], folder: Path) -> Iterator[str]:
    """Yield what files hold that are not read and may be tables; of like files one."""
    shown: Counter[tuple[Path, str]] = Counter()
    for each in problems:
        if each.is_expected or (each.is_known and not may_be_bouts(each.path)):
            continue
        kind = each.path.parent, re.sub(r"\d+", "#", each.path.name)
        shown[kind] += 1
        lines = list(describe_unread(each.path)) if shown[kind] == 1 else []
        if lines:
            yield f"{relative_name(each.path, folder)}"
            yield "  not read (see below)"
            yield from (f"  {line}" for line in lines)


def _describe_recordings(
    plan: ImportPlan, notebook: _Notebook
) -> Generator[str, None, list[Guess]]:
    """Yield animals, subjects and actions of each recording; then all guesses."""
    shown: set[str] = set()
    guesses: list[Guess] = []
    notes: dict[str, list[str]] = {}
    for files in plan.recordings:
        standard = notebook.standards[files.track.path, files.track.place]
        yield f"\n{files.track.name}"
        try:
            if isinstance(standard, MabeError):
                raise standard
            imported = _label(files, plan, standard)
        except MabeError as error:
            yield f"  ! {error}"
            continue
        guesses += imported.guesses
        keypoints = format_matches(imported.standard.matches)
        if keypoints not in shown:
            yield f"  keypoints:\n{keypoints}"
            shown.add(keypoints)
        yield from _describe_labelled(imported)
        for note in imported.notes:
            # Notes that differ in numbers alone are one.
            notes.setdefault(re.sub(r"\d+", "#", note), []).append(note)
    yield ""
    for those in notes.values():
        more = f" (likewise in {len(those) - 1} more)" if len(those) > 1 else ""
        yield f"! {those[0]}{more}"
    yield from describe_guesses(guesses)
    return guesses


def _label(
    files: RecordingFiles, plan: ImportPlan, standard: StandardPoses
) -> ImportedRecording:
    """Return a recording without coordinates, with its labels."""
    settings = files.settings
    own = settings.fps if settings else None
    rate = own or files.track.fps or files.scored_fps or plan.project.fps
    if rate is None and files.labels:
        raise DataError("no file gives its frame rate; give --fps")
    scale = own_scale = settings.pixels_per_cm if settings else None
    if not scale and standard.is_scale_estimated:
        scale = plan.usual_scale
    renamed = replace(standard.poses, name=files.track.name)
    known = replace(
        standard,
        poses=renamed,
        fps=rate or _ANY_FPS,
        pixels_per_cm=scale or standard.pixels_per_cm,
        is_scale_estimated=standard.is_scale_estimated and not own_scale,
    )
    return label_recording(files, plan, place_zones_of(files, plan, known))


def _describe_labelled(imported: ImportedRecording) -> Iterator[str]:
    animals = imported.standard.animals
    agents = imported.standard.agents
    yield f"  animals: {', '.join(agents)}"
    if imported.standard.objects:
        yield f"  objects: {', '.join(imported.standard.poses.animals[len(agents) :])}"
    if imported.standard.zones:
        zones = (zone.name for zone in imported.standard.zones)
        yield f"  zones: {', '.join(zones)}"
    if imported.has_labels:
        mapping = imported.labels.mapping
        pairs = (
            f"{subject or '(none named)'} → {animal or '-'}"
            for subject, animal in mapping.subjects.items()
        )
        yield f"  subjects: {', '.join(pairs)}"
        used = {bout.action for bout in imported.bouts}
        for action in mapping.actions.values():
            if action.name in used:
                yield f"  {action.behaviour} → {action.name} to {action.target}"
        counts: dict[str, int] = {}
        for bout in imported.bouts:
            target = "self" if bout.target == bout.agent else animals[bout.target - 1]
            what = f"{animals[bout.agent - 1]},{target},{bout.action}"
            counts[what] = counts.get(what, 0) + 1
        bouts = (f"{what} ({number})" for what, number in sorted(counts.items()))
        yield f"  bouts: {', '.join(bouts) or 'none'}"
