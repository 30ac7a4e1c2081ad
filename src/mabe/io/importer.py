"""`mabe import`: tracks and labels of any known format, to the standard layout.

A plan of which files belong together is made first (`mabe.io.file_matching`). Each
recording is then read, standardized and written, one in memory at a time. The
functions ``describe_*`` return what the command prints: what was read, and what each
name was mapped to.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from mabe.bouts import (
    Bout,
    Coverage,
    Watched,
    WatchedSpan,
    covered_bouts,
    spans_of,
)
from mabe.errors import DataError, MabeError, OutputError
from mabe.io.behaviour_names import (
    LabelMapping,
    coverage_of,
    join_overlaps,
    map_labels,
    to_bouts,
    watched_of,
)
from mabe.io.file_matching import ImportPlan, Labels, RecordingFiles, Track
from mabe.io.match_keypoints import format_matches
from mabe.io.project import FILE_NAME, ActionSettings, Project, dump_project
from mabe.io.readers.annotations import compare_lengths, to_frames
from mabe.io.readers.formats import read_again
from mabe.io.readers.left_out import describe_left_out
from mabe.io.standardize import StandardPoses, assume_fps, standardize
from mabe.io.writers.kaggle import (
    MetadataRow,
    write_annotation,
    write_coverage,
    write_metadata,
    write_tracking,
)
from mabe.runtime.console import count
from mabe.runtime.file_names import path_under, problem_with_name, shorten
from mabe.runtime.files import write_text

Clipped = TypeVar("Clipped", Bout, WatchedSpan)


@dataclass(frozen=True, slots=True)
class ImportedRecording:
    """One recording as it was, or would be, written."""

    track: Track
    standard: StandardPoses
    labels: tuple[Labels, ...]
    mapping: LabelMapping
    watched: tuple[Watched, ...]
    bouts: tuple[Bout, ...]
    coverage: Coverage | None
    """When annotators watched for what; None: for all of `watched`, all the time."""
    notes: tuple[str, ...]


@dataclass(slots=True)
class Totals:
    """Counts of what was imported; recordings themselves do not stay in memory."""

    recordings: int = 0
    frames: int = 0
    bouts: int = 0
    has_guesses: bool = False

    def add(self, imported: ImportedRecording) -> None:
        """Count one more recording."""
        self.recordings += 1
        self.frames += imported.standard.poses.length
        self.bouts += len(imported.bouts)
        if imported.labels:
            mapping = imported.mapping
            of_actions = (each.reason for each in mapping.actions.values())
            reasons = [*mapping.reasons.values(), *of_actions]
            self.has_guesses |= any(each.startswith("guess") for each in reasons)


def check_output(out: Path) -> None:
    """Raise `OutputError` where `out` holds anything but an earlier import."""
    if out.is_file() or (
        out.is_dir() and any(out.iterdir()) and not (out / FILE_NAME).is_file()
    ):
        raise OutputError(
            f"{out}: is no earlier import, and is left alone; choose another --out."
        )


def run_import(
    plan: ImportPlan, out: Path | None, *, pieces: int = 1
) -> Iterator[ImportedRecording]:
    """Yield each recording when it is standardized, then write it to `out` if given.

    With `pieces` above 1 every recording is written as so many, one after the other.
    The metadata table is written last, so that a stopped import is no data set. Raises
    `ConfigError` where the project does not fit the tracks.
    """
    _check_names(plan)
    if out:
        # From now on the folder is recognised as an import.
        write_text(out / FILE_NAME, dump_project(plan.project))
    rows: list[MetadataRow] = []
    done: list[ImportedRecording] = []
    for files in plan.recordings:
        try:
            recording = import_recording(files, plan)
        except MabeError as error:
            raise type(error)(f"{files.track.path}: {error}") from error
        yield recording
        if out:
            rows += [
                _write_recording(piece, plan.lab, out)
                for piece in split_recording(recording, pieces)
            ]
        done.append(_without_poses(recording))
    if out:
        write_metadata(out / "train.csv", rows)
        write_text(out / FILE_NAME, dump_project(resolve_project(plan, done)))


def _check_names(plan: ImportPlan) -> None:
    """Raise `DataError` for a lab or recording that cannot name files."""
    if problem := problem_with_name(plan.lab):
        raise DataError(
            f"the lab {shorten(plan.lab)} {problem}; set `lab` in project.yaml"
        )
    for files in plan.recordings:
        if problem := problem_with_name(files.track.name):
            raise DataError(
                f"{files.track.path}: its recording {shorten(files.track.name)} "
                f"{problem}; rename the file"
            )


def import_recording(
    files: RecordingFiles, plan: ImportPlan, *, usual_fps: float | None = None
) -> ImportedRecording:
    """Return one recording with its labels, standardized.

    `usual_fps` is assumed, with a note, where no frame rate is given. Raises
    `MabeError` where a file is broken or a rate or scale is unknown.
    """
    track, project, settings = files.track, plan.project, files.settings
    poses = read_again(track.path).poses[track.place]
    scored_fps = next(
        (e.annotations.fps for e in files.labels if e.annotations.fps), None
    )
    rate = (settings and settings.fps) or project.fps or poses.fps or scored_fps
    if rate is None and usual_fps:
        poses = assume_fps(poses, usual_fps)
    standard = standardize(
        replace(poses, name=track.name, fps=poses.fps or scored_fps),
        project,
        fps=settings.fps if settings else None,
        pixels_per_cm=settings.pixels_per_cm if settings else None,
    )
    notes = [*files.notes, *standard.poses.notes]
    if scored_fps and abs(scored_fps / standard.fps - 1) > 1e-3:
        notes.append(
            f"labels were scored at {scored_fps:g} fps, tracks are read as "
            f"{standard.fps:g} fps"
        )
    mapping = map_labels(standard.animals, plan.subjects, plan.behaviours, project)
    watched = watched_of(mapping, plan.subjects, project) if files.labels else ()
    bouts, coverage, label_notes = _read_bouts(
        files.labels, mapping, watched, standard, project
    )
    return ImportedRecording(
        track=track,
        standard=standard,
        labels=files.labels,
        mapping=mapping,
        watched=watched,
        bouts=bouts,
        coverage=coverage,
        notes=(*notes, *label_notes),
    )


def _read_bouts(
    labels: Sequence[Labels],
    mapping: LabelMapping,
    watched: Sequence[Watched],
    standard: StandardPoses,
    project: Project,
) -> tuple[tuple[Bout, ...], Coverage | None, list[str]]:
    """Return the bouts of all label files of a recording, within its tracks.

    With them comes when annotators watched for what, None for all the time. Parts of
    bouts outside of it are left out, with a note.
    """
    length = standard.poses.length
    bouts: set[Bout] = set()
    spans: set[WatchedSpan] = set()
    notes: list[str] = []
    for each in labels:
        annotations = to_frames(each.annotations, standard.fps)
        notes += each.annotations.notes
        notes += compare_lengths(annotations, length, project.max_length_difference)
        of_file, left_out = to_bouts(annotations, mapping)
        notes += left_out
        bouts |= clip_bouts(of_file, 0, length)
        spans |= coverage_of(annotations, watched, mapping, length)
    joined = join_overlaps(bouts)
    if all(each.annotations.watched is None for each in labels):
        return joined, None, notes
    coverage = tuple(sorted(spans))
    covered = tuple(sorted(covered_bouts(joined, coverage)))
    lost = _frames_of(joined) - _frames_of(covered)
    notes.append(f"{describe_coverage(coverage, watched, length)}; the rest is unknown")
    if lost:
        notes.append(
            f"labels outside the frames that were watched: {lost:,} frames left out"
        )
    return covered, coverage, notes


def _frames_of(bouts: Iterable[Bout]) -> int:
    return sum(bout.stop - bout.start for bout in bouts)


def describe_coverage(
    coverage: Coverage, watched: Iterable[Watched], length: int
) -> str:
    """Return in words which share of a recording was watched for each action."""
    frames: dict[str, list[int]] = {}
    for each in watched:
        spans = spans_of(coverage, each)
        frames.setdefault(each.action, []).append(
            int((spans[:, 1] - spans[:, 0]).sum())
        )
    shares = [
        f"{action} {max(of_pairs) / max(1, length):.0%}"
        for action, of_pairs in sorted(frames.items())
    ]
    return f"watched for part of the time: {', '.join(shares) or 'never'}"


def clip_bouts(bouts: Sequence[Clipped], start: int, stop: int) -> set[Clipped]:
    """Return the parts of bouts that lie in ``[start, stop)``, counted from `start`.

    Spans that were watched are cut in the same way.
    """
    return {
        replace(
            bout,
            start=max(bout.start, start) - start,
            stop=min(bout.stop, stop) - start,
        )
        for bout in bouts
        if bout.start < stop and bout.stop > start
    }


def split_recording(
    recording: ImportedRecording, pieces: int
) -> Iterator[ImportedRecording]:
    """Yield a recording as consecutive pieces, each a recording of its own."""
    if pieces == 1:
        yield recording
        return
    poses = recording.standard.poses
    borders = np.linspace(poses.first_frame, poses.length, pieces + 1).astype(int)
    for number in range(pieces):
        start, stop = int(borders[number]), int(borders[number + 1])
        rows = slice(start - poses.first_frame, stop - poses.first_frame)
        piece = replace(
            poses,
            name=f"{poses.name}.{number + 1}of{pieces}",
            xy_px=poses.xy_px[rows],
            confidence=None,
            first_frame=0,
        )
        yield replace(
            recording,
            standard=replace(recording.standard, poses=piece),
            bouts=tuple(sorted(clip_bouts(recording.bouts, start, stop))),
            coverage=None
            if recording.coverage is None
            else tuple(sorted(clip_bouts(recording.coverage, start, stop))),
        )


def _write_recording(recording: ImportedRecording, lab: str, out: Path) -> MetadataRow:
    """Write the files of one recording; return its row of the metadata."""
    standard = recording.standard

    def place(folder: str) -> Path:
        return path_under(out / folder, lab, standard.name, ending=".parquet")

    write_tracking(
        place("train_tracking"),
        standard.poses.xy_px,
        standard.parts,
        first_frame=standard.poses.first_frame,
    )
    if recording.labels:
        write_annotation(place("train_annotation"), recording.bouts)
    coverage = place("train_coverage")
    if recording.coverage is None:
        coverage.unlink(missing_ok=True)  # of an earlier import
    else:
        write_coverage(coverage, recording.coverage)
    return MetadataRow(
        lab=lab,
        video=standard.name,
        fps=standard.fps,
        pixels_per_cm=standard.pixels_per_cm,
        length=standard.poses.length,
        animals=standard.animals,
        parts=tuple(part for part in standard.parts if part),
        watched=recording.watched,
        tracker=standard.poses.tracker,
    )


def _without_poses(recording: ImportedRecording) -> ImportedRecording:
    """Return what is kept of a recording that has been written."""
    poses = recording.standard.poses
    bare = replace(poses, xy_px=poses.xy_px[:0], confidence=None)
    return replace(recording, standard=replace(recording.standard, poses=bare))


def resolve_project(plan: ImportPlan, done: Sequence[ImportedRecording]) -> Project:
    """Return the project with all guesses filled in, where the recordings agree."""
    keypoints: dict[str, str | None] = {}
    subjects: dict[str, str | None] = {}
    actions: dict[str, ActionSettings | None] = {}
    animals = {recording.standard.animals for recording in done}
    for recording in done:
        for match in recording.standard.matches:
            if match.keypoint or not match.is_kept:
                keypoints[match.name] = match.keypoint
        if recording.labels and len(animals) == 1:
            subjects.update(recording.mapping.subjects)
            for action in recording.mapping.actions.values():
                actions[action.behaviour] = (
                    ActionSettings(
                        name=action.name, agent=action.agent, target=action.target
                    )
                    if action.name
                    else None
                )
    return plan.project.with_changes(
        lab=plan.lab,
        animals=animals.pop() if len(animals) == 1 else None,
        keypoints=keypoints,
        subjects=subjects,
        actions=actions,
    )


def describe_plan(plan: ImportPlan) -> Iterator[str]:
    """Yield which files belong together, and which are not used."""
    labelled = sum(bool(files.labels) for files in plan.recordings)
    recordings = count(len(plan.recordings), "recording")
    yield f"{recordings} with tracks, {labelled} with labels:"
    for files in plan.recordings:
        labels = ", ".join(dict.fromkeys(each.path.name for each in files.labels))
        track = files.track
        yield f"  {track.name}: {track.length:,} frames ({track.format})"
        yield f"    labels: {labels or 'none'}"
    for each in plan.unused:
        yield f"  ! labels without tracks: {each.path.name} ({each.annotations.name!r})"
    yield from (f"  ! {duplicate}" for duplicate in plan.duplicates)
    yield from (f"  ! {line}" for line in describe_left_out(plan.left_out))
    for name in plan.unknown:
        yield f"  ! not recognised: {name}"
    for problem in plan.bad:
        yield f"  ! left out: {problem}"


def describe_recording(imported: ImportedRecording, shown: set[str]) -> Iterator[str]:
    """Yield what one recording becomes; tables that are in `shown` are not repeated."""
    standard = imported.standard
    yield (
        f"\n{standard.name}: {standard.poses.length:,} frames at {standard.fps:g} fps, "
        f"{standard.pixels_per_cm:.4g} pixels per cm, "
        f"{count(len(imported.bouts), 'bout')}"
    )
    for number, name in enumerate(standard.animals, start=1):
        yield f"  mouse{number} is {name}"
    tables = {"keypoints": format_matches(standard.matches)}
    if imported.labels:
        tables["subjects of the labels"] = _format_subjects(imported.mapping)
        tables["actions"] = _format_actions(imported.mapping)
    for title, table in tables.items():
        if table in shown:
            yield f"  {title}: as above"
        else:
            yield f"  {title}:\n{table}"
        shown.add(table)
    yield from (f"  ! {note}" for note in imported.notes)


def _format_subjects(mapping: LabelMapping) -> str:
    return "\n".join(
        f"    {subject or '(none named)'} → {animal or '-'}  "
        f"({mapping.reasons[subject]})"
        for subject, animal in mapping.subjects.items()
    )


def _format_actions(mapping: LabelMapping) -> str:
    return "\n".join(
        f"    {action.behaviour} → {action.name or '-'} to {action.target}  "
        f"({action.reason})"
        for action in mapping.actions.values()
    )


def describe_end(totals: Totals, out: Path | None) -> str:
    """Return the last lines: what was imported, and what to do next."""
    imported = (
        f"{count(totals.recordings, 'recording')}, {count(totals.frames, 'frame')}, "
        f"{count(totals.bouts, 'bout')}"
    )
    if out is None:
        return f"\n{imported}; nothing written (--dry-run)"
    lines = [f"\n✓ {imported}: {out}"]
    if totals.has_guesses:
        lines.append(
            f"  All guesses are in {out / FILE_NAME}: correct them there and import "
            f"again with --project {out / FILE_NAME}"
        )
    return "\n".join([*lines, f"  Next: mabe train --data-dir {out}"])
