"""What will be imported from a folder, before a recording is read whole.

The plan lists the tracks and labels of each recording, all names in the labels, the
files that are not used, and why.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.errors import DataError
from mabe.io.behaviour_names import LabelNames, find_named_targets
from mabe.io.coders import (
    CodedRecording,
    CoderConflict,
    describe_conflicts,
    settle_coders,
    subjects_of,
)
from mabe.io.file_matching import (
    Claim,
    RecordingClaims,
    UnusedLabels,
    describe_match,
    match_files,
    recordings_entry,
)
from mabe.io.folder_files import (
    FileProblem,
    FolderContents,
    Labels,
    Track,
    list_problems,
    relative_name,
    scan_folder,
)
from mabe.io.guesses import Guess, Kind
from mabe.io.label_clocks import to_recording_clock
from mabe.io.label_owners import with_owner
from mabe.io.project import Project, RecordingSettings
from mabe.io.recording_names import compare_names
from mabe.io.recording_zones import RecordingZones
from mabe.io.standardize import shared_scale
from mabe.runtime.console import count


@dataclass(frozen=True, slots=True)
class RecordingFiles:
    """The tracks of one recording, and the labels that are used for it."""

    track: Track
    recording: str
    """The recording's name in project.yaml, which its copies share."""
    labels: tuple[Labels, ...]
    settings: RecordingSettings | None
    is_agreement: bool = False
    """True where only what all annotators marked counts."""
    notes: tuple[str, ...] = ()
    guesses: tuple[Guess, ...] = ()
    film_fps: float | None = None
    """The frame rate of its film, where nothing else gives one."""

    @property
    def scored_fps(self) -> float | None:
        """The frame rate that the label files give."""
        rates = (each.annotations.fps for each in self.labels)
        return next((rate for rate in rates if rate), None)


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What will be imported, and what will not."""

    folder: Path
    lab: str
    project: Project
    recordings: tuple[RecordingFiles, ...]
    names: LabelNames
    """The names in the labels of all recordings."""
    unused: tuple[UnusedLabels, ...]
    """Labels of no recording."""
    notes: tuple[str, ...]
    """On files that are left out because of others."""
    problems: tuple[FileProblem, ...]
    """Files that cannot be read, or are of no known format."""
    conflicts: tuple[CoderConflict, ...]
    """Recordings with several coders, between whom project.yaml does not choose."""
    may_hold_labels: bool
    """Whether a file that cannot be read may hold labels."""
    zones: RecordingZones
    """What gives the zones of recordings."""
    usual_scale: float | None = None
    """Pixels per cm of all films of which none is known, as estimated from all."""

    @property
    def has_labels(self) -> bool:
        """Whether labels are used for a recording."""
        return any(files.labels for files in self.recordings)

    @property
    def is_without_its_labels(self) -> bool:
        """Whether label files were given, and none of them is used."""
        return not self.has_labels and bool(self.unused or self.may_hold_labels)

    @property
    def left_out(self) -> int:
        """Number of files whose tracks or labels are missing in the import."""
        return len(self.left_out_files)

    @property
    def left_out_files(self) -> dict[Path, str]:
        """Those files, and why."""
        missed = {p.path: p.reason for p in self.problems if self._is_missed(p)}
        return {each.labels.path: each.reason for each in self.unused} | missed

    def _is_missed(self, problem: FileProblem) -> bool:
        """Return whether a file that is not used has tracks or labels of the folder.

        One of no known format has where it is named for a recording.
        """
        if problem.is_recognised:
            return not problem.is_expected
        return problem.may_be_labels and any(
            compare_names(problem.path.stem, files.track.given_name)
            for files in self.recordings
        )


def plan_import(
    folder: Path, project: Project, *, skip: Path | None = None
) -> ImportPlan:
    """Return what the files of a folder hold and which belong together.

    Raises `DataError` where there are no tracks, and where several people annotated a
    recording and the project does not choose between them.
    """
    plan = make_plan(scan_folder(folder, project, skip=skip), project, folder)
    if not plan.recordings and not plan.conflicts:
        problems = list_problems(plan.problems, folder)[:8]
        lines = "; ".join(line.removesuffix(".") for line in problems)
        raise DataError(
            f"{folder}: no file with tracks; {count(len(plan.unused), 'label file')}; "
            f"not read: {lines or 'nothing'}. `mabe inspect` prints what each file is."
        )
    if plan.conflicts:
        raise DataError(f"{folder}: {describe_conflicts(plan.conflicts)}")
    return plan


def make_plan(contents: FolderContents, project: Project, folder: Path) -> ImportPlan:
    """Return what will be imported of a folder's content."""
    matching = match_files(contents, project, folder)
    known = _known_names(contents, project)
    zones = RecordingZones.of(project, folder)
    recordings: list[RecordingFiles] = []
    conflicts: list[CoderConflict] = []
    for claimed in matching.recordings:
        labels = [
            _settle_labels(claim, claimed.track, project, known)
            for claim in claimed.claims
        ]
        choice = (claimed.settings and claimed.settings.coders) or project.coders
        settled = settle_coders(claimed.track, labels, choice)
        if isinstance(settled, CoderConflict):
            conflicts.append(settled)
        else:
            recordings += [_with_guesses(each, claimed, folder) for each in settled]
    used = [labels for files in recordings for labels in files.labels]
    return ImportPlan(
        folder=folder,
        lab=project.lab or folder_name(folder),
        project=project,
        recordings=tuple(recordings),
        names=_label_names(used, recordings, project, zones.names),
        unused=matching.unused,
        notes=matching.notes,
        problems=contents.problems,
        conflicts=tuple(conflicts),
        may_hold_labels=contents.may_be_labels,
        zones=zones,
        usual_scale=_usual_scale(recordings),
    )


def _usual_scale(recordings: Sequence[RecordingFiles]) -> float | None:
    """Return the scale of films of like bodies, as estimated from all of them."""
    unknown = [
        each.track
        for each in recordings
        if each.track.estimated_scale and not _has_scale(each)
    ]
    if len({frozenset(track.keypoints) for track in unknown}) > 1:
        return None
    return shared_scale([t.estimated_scale for t in unknown if t.estimated_scale])


def _has_scale(files: RecordingFiles) -> bool:
    """Return whether project.yaml gives the scale of one recording."""
    return bool(files.settings and files.settings.pixels_per_cm)


def folder_name(folder: Path) -> str:
    """Return a folder's name as the name of a lab that has none."""
    return re.sub(r"\W+", "_", folder.absolute().name) or "lab"


def _known_names(contents: FolderContents, project: Project) -> frozenset[str]:
    """Return all names of animals and subjects, also of other recordings."""
    animals = {animal for track in contents.tracks for animal in track.animals}
    subjects = {s for each in contents.labels for s in each.annotations.subjects}
    told = {*project.animals, *project.objects, *_told_names(project)}
    return frozenset((animals | subjects | told) - {""})


def _told_names(project: Project) -> list[str]:
    """Return the names of subjects that the project has, also of one recording."""
    own = (each.subjects for each in project.recordings)
    return list(
        dict.fromkeys(name for each in (project.subjects, *own) for name in each)
    )


def _settle_labels(
    claim: Claim, track: Track, project: Project, known: frozenset[str]
) -> Labels:
    """Return labels on the clock of their recording, with subject and coder."""
    labels = with_owner(claim, known)
    annotations, assumed = to_recording_clock(
        labels.annotations, track, claim.settings, project
    )
    return replace(labels, annotations=annotations, guesses=(*labels.guesses, *assumed))


def _with_guesses(
    coded: CodedRecording, claimed: RecordingClaims, folder: Path
) -> RecordingFiles:
    """Return the files of a recording, with what was assumed about them."""
    name = coded.track.name
    used = {labels.path for labels in coded.labels}
    pairs = [
        *claimed.guesses,
        *(
            guess
            for claim in claimed.claims
            if claim.labels.path in used
            and (guess := describe_match(claim, claimed.track))
        ),
    ]
    guesses = [Guess("labels", *pair, name) for pair in dict.fromkeys(pairs)]
    for labels in coded.labels:
        for what, reason in labels.guesses:
            kind: Kind = "subject" if " is of " in what else "frames"
            guesses.append(Guess(kind, what, reason, name))
    notes = list(coded.notes)
    if len(used) > 1 and not claimed.settings and not coded.is_agreement:
        files = ", ".join(sorted(path.name for path in used))
        entry = recordings_entry(coded.track, sorted(used), folder)
        notes.append(
            f"labels of {len(used)} files are joined: {files}; if one is of another "
            f"recording, correct in project.yaml `recordings: [{entry[2:]}]`"
        )
    return RecordingFiles(
        coded.track,
        claimed.track.name,
        coded.labels,
        claimed.settings,
        coded.is_agreement,
        tuple(notes),
        tuple(guesses),
    )


def _label_names(
    labels: Sequence[Labels],
    recordings: Sequence[RecordingFiles],
    project: Project,
    zones: Sequence[str],
) -> LabelNames:
    """Return the names in the labels of all recordings."""
    files = [each.annotations for each in labels]
    subjects = tuple(
        dict.fromkeys(
            name
            for each in files
            for name in (*each.subjects, *sorted(subjects_of(each)))
            if name
        )
    )
    animals = [animal for files_ in recordings for animal in files_.track.animals]
    named_targets, named_zones = find_named_targets(
        files,
        list(dict.fromkeys((*project.animals, *project.objects, *animals))),
        (*subjects, *_told_names(project)),
        zones,
    )
    return LabelNames(
        subjects=subjects,
        behaviours=tuple(dict.fromkeys(b for each in files for b in each.behaviours)),
        together=_joined_groups(
            frozenset(s for each in one.labels for s in subjects_of(each.annotations))
            for one in recordings
        ),
        named_targets=named_targets,
        named_zones=named_zones,
    )


def _joined_groups(groups: Iterable[frozenset[str]]) -> tuple[frozenset[str], ...]:
    """Return groups of subjects, those that share a subject as one."""
    joined: list[frozenset[str]] = []
    for group in groups:
        names = group - {""}
        near = [each for each in joined if each & names]
        joined = [each for each in joined if not each & names]
        joined.append(names.union(*near))
    return tuple(each for each in joined if each)


def describe_plan(plan: ImportPlan) -> list[str]:
    """Return which files belong together, and which are not used."""
    labelled = sum(bool(files.labels) for files in plan.recordings)
    recordings = count(len(plan.recordings), "recording")
    lines = [f"{recordings} with tracks, {labelled} with labels:"]
    for files in plan.recordings:
        track = files.track
        names = dict.fromkeys(_file_name(each, plan.folder) for each in files.labels)
        lines.append(f"  {track.name}: {count(track.length, 'frame')} ({track.format})")
        lines.append(f"    tracks: {_file_name(track, plan.folder)}")
        lines.append(f"    labels: {', '.join(names) or 'none'}")
    return [*lines, *(f"  {line}" for line in list_unused(plan))]


def list_unused(plan: ImportPlan) -> list[str]:
    """Return which files are not used, why, and how to use them."""
    lines = [
        f"! labels without tracks: {_file_name(each.labels, plan.folder)} "
        f"({each.labels.annotations.name!r}) {each.reason}"
        for each in plan.unused
    ]
    if hints := [each.hint for each in plan.unused if each.hint]:
        lines.append("  in project.yaml this would settle it (correct the tracks):")
        lines.append("  recordings:")
        lines += [f"    {hint}" for hint in dict.fromkeys(hints)]
    lines += [f"! {note}" for note in plan.notes]
    return lines + [f"! {line}" for line in list_problems(plan.problems, plan.folder)]


def _file_name(file: Track | Labels, folder: Path) -> str:
    return relative_name(file.path, folder)
