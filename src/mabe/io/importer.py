"""`mabe import`: tracks and labels of any known format, to the standard layout.

A plan of which files belong together is made first (`mabe.io.import_plan`). Each
recording is then read, standardized and written, one in memory at a time. One that
cannot be read is left out with its reason, and does not stop the others.
"""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mabe.bouts import Bout, Coverage, Watched
from mabe.errors import DataError, MabeError, OutputError
from mabe.io.guesses import Guess, format_guesses
from mabe.io.import_plan import ImportPlan, RecordingFiles
from mabe.io.project import (
    FILE_NAME,
    HEADING,
    ActionSettings,
    Project,
    RecordingSettings,
    dump_project,
)
from mabe.io.readers.formats import read_again
from mabe.io.readers.poses import X_AND_Y
from mabe.io.recording_labels import RecordingLabels, clip_bouts, read_labels
from mabe.io.recording_zones import FILE_NAME as ZONES
from mabe.io.recording_zones import place_zones
from mabe.io.skeleton_settings import SkeletonSettings
from mabe.io.standardize import StandardPoses, assume_fps, standardize
from mabe.io.writers.identities_csv import FILE_NAME as IDENTITIES
from mabe.io.writers.identities_csv import write_identities
from mabe.io.writers.kaggle import (
    MetadataRow,
    write_annotation,
    write_coverage,
    write_metadata,
    write_tracking,
)
from mabe.io.writers.zones_csv import write_zones
from mabe.runtime.console import one_line
from mabe.runtime.failures import FILE_NAME as FAILURES
from mabe.runtime.failures import note_failure
from mabe.runtime.file_names import path_under, problem_with_name, shorten
from mabe.runtime.files import remove, write_text
from mabe.runtime.unfinished import finished_names
from mabe.skeleton import Skeleton
from mabe.zones import Zone


@dataclass(frozen=True, slots=True)
class ImportedRecording:
    """One recording as it was, or would be, written."""

    files: RecordingFiles
    standard: StandardPoses
    labels: RecordingLabels
    notes: tuple[str, ...]
    guesses: tuple[Guess, ...]

    @property
    def has_labels(self) -> bool:
        """Whether label files belong to the recording."""
        return bool(self.files.labels)

    @property
    def bouts(self) -> tuple[Bout, ...]:
        """The annotated bouts."""
        return self.labels.bouts

    @property
    def watched(self) -> tuple[Watched, ...]:
        """What was watched for."""
        return self.labels.watched

    @property
    def coverage(self) -> Coverage | None:
        """When annotators watched for what; None: all the time."""
        return self.labels.coverage


@dataclass(frozen=True, slots=True)
class FailedRecording:
    """A recording that cannot be imported, and why."""

    files: RecordingFiles
    reason: str


def check_output(out: Path) -> None:
    """Raise `OutputError` where `out` holds anything but an earlier import.

    A project.yaml that somebody wrote is never replaced: that of an import has other
    files of it beside it, or its first line.
    """
    own = finished_names(out)
    is_import = FILE_NAME in own and own <= _OWN_FILES
    if is_import and own == {FILE_NAME}:
        is_import = (out / FILE_NAME).read_bytes().startswith(HEADING.encode())
    if out.is_file() or (own and not is_import):
        raise OutputError(
            f"{out}: is no earlier import, and is left alone; choose another --out."
        )


_OWN_FILES = {FILE_NAME, ZONES, IDENTITIES, FAILURES, "train.csv"} | {
    f"train_{kind}" for kind in ("tracking", "annotation", "coverage")
}


def run_import(
    plan: ImportPlan, out: Path | None, *, pieces: int = 1
) -> Iterator[ImportedRecording | FailedRecording]:
    """Yield each recording when it is standardized, then write it to `out` if given.

    With `pieces` above 1 every recording is written as so many, one after the other.
    The metadata table is written last, so that a stopped import is no data set. Raises
    `ConfigError` where the project does not fit the tracks, and `DataError` where no
    recording can be read.
    """
    _check_names(plan)
    if out:
        # From now on the folder is recognised as an import, but is no data set: the
        # table of an earlier import would list recordings that are replaced.
        write_text(out / FILE_NAME, dump_project(plan.project))
        remove(out / "train.csv")
    zones: dict[str, tuple[Zone, ...]] = {}
    rows: list[MetadataRow] = []
    done: list[ImportedRecording] = []
    failed: list[FailedRecording] = []
    for files in plan.recordings:
        try:
            recording = import_recording(files, plan)
        except DataError as error:
            failed.append(FailedRecording(files, f"{files.track.path}: {error}"))
            note_failure(str(files.track.path), str(error))
            yield failed[-1]
            continue
        except MabeError as error:
            raise type(error)(f"{files.track.path}: {error}") from error
        yield recording
        if out:
            for piece in split_recording(recording, pieces):
                rows.append(_write_recording(piece, plan.lab, out))
                zones[piece.standard.name] = recording.standard.zones
        done.append(_without_poses(recording))
    if not done:
        more = f"; and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise DataError(f"{failed[0].reason}{more}" if failed else "no recordings")
    if out:
        _write_tables(out, plan, done, zones)
        write_metadata(out / "train.csv", rows)
        write_text(out / FILE_NAME, describe_project(plan, done))


def _write_tables(
    out: Path,
    plan: ImportPlan,
    done: Sequence[ImportedRecording],
    zones: Mapping[str, Sequence[Zone]],
) -> None:
    """Write zones and repaired identities, or remove those of an earlier import."""
    if any(zones.values()):
        write_zones(out / ZONES, zones, unit="cm")
    else:
        (out / ZONES).unlink(missing_ok=True)
    if plan.project.repair_identities:
        repairs = {each.standard.name: each.standard.repairs for each in done}
        write_identities(out / IDENTITIES, repairs)
    else:
        (out / IDENTITIES).unlink(missing_ok=True)


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
    track, settings = files.track, files.settings
    poses = read_again(track.path).poses[track.place]
    fps = poses.fps or files.scored_fps or files.film_fps
    poses = replace(poses, name=track.name, fps=fps)
    own_fps = settings.fps if settings else None
    if not (own_fps or poses.fps or plan.project.fps) and usual_fps:
        poses = assume_fps(poses, usual_fps)
    standard = standardize(
        poses,
        plan.project,
        fps=own_fps,
        pixels_per_cm=settings.pixels_per_cm if settings else None,
        usual_scale=plan.usual_scale,
        objects=settings.objects if settings else None,
        corners=plan.zones.corners,
    )
    return label_recording(files, plan, place_zones_of(files, plan, standard))


def place_zones_of(
    files: RecordingFiles, plan: ImportPlan, standard: StandardPoses
) -> StandardPoses:
    """Return a standardized recording with its zones."""
    own = files.settings.zones if files.settings else {}
    return place_zones(standard, plan.zones, name=files.recording, own=own)


def label_recording(
    files: RecordingFiles, plan: ImportPlan, standard: StandardPoses
) -> ImportedRecording:
    """Return a standardized recording with its labels.

    Raises `MabeError` where the labels do not fit.
    """
    labels = read_labels(files, plan, standard)
    notes = [*files.notes, *standard.poses.notes]
    scored_fps, name = files.scored_fps, files.track.name
    if scored_fps and abs(scored_fps / standard.fps - 1) > 1e-3:
        notes.append(
            f"labels were scored at {scored_fps:g} fps, tracks are read as "
            f"{standard.fps:g} fps"
        )
    guesses = list(labels.guesses)
    own_fps = files.settings.fps if files.settings else None
    if scored_fps and not (own_fps or files.track.fps):
        reason = "that of the labels"
        guesses.append(Guess("frame rate", "fps", reason, name, standard.fps))
    elif files.film_fps and not files.track.fps:
        reason = "that of its film"
        guesses.append(Guess("frame rate", "fps", reason, name, standard.fps))
    if standard.is_scale_estimated:
        scale = standard.pixels_per_cm
        where = "of all films" if plan.usual_scale else "in each film"
        reason = f"from the length of bodies {where}"
        guesses.append(Guess("scale", "pixels per cm", reason, name, scale))
    if standard.poses.z_px is not None and plan.project.vertical is None:
        reason = "z is taken to point up; `vertical` names another axis"
        guesses.append(Guess("dimensions", "x, y and heights", reason, name))
    elif plan.project.vertical != "none" and any(
        note.startswith(X_AND_Y) for note in standard.poses.notes
    ):
        reason = "z is left out: lengths are those seen along z"
        guesses.append(Guess("dimensions", "x and y", reason, name))
    if standard.body is not None:
        guesses += [
            Guess("skeleton", each.what, each.reason, name)
            for each in standard.body.guesses
        ]
    return ImportedRecording(
        files, standard, labels, (*notes, *labels.notes), tuple(guesses)
    )


def split_recording(
    recording: ImportedRecording, pieces: int
) -> Iterator[ImportedRecording]:
    """Yield a recording as consecutive pieces, each a recording of its own."""
    if pieces == 1:
        yield recording
        return
    poses, labels = recording.standard.poses, recording.labels
    borders = np.linspace(poses.first_frame, poses.length, pieces + 1).astype(int)
    for number in range(pieces):
        start, stop = int(borders[number]), int(borders[number + 1])
        rows = slice(start - poses.first_frame, stop - poses.first_frame)
        piece = replace(
            poses,
            name=f"{poses.name}.{number + 1}of{pieces}",
            xy_px=poses.xy_px[rows],
            z_px=None if poses.z_px is None else poses.z_px[rows],
            confidence=None,
            first_frame=0,
        )
        of_piece = replace(
            labels,
            bouts=tuple(sorted(clip_bouts(labels.bouts, start, stop))),
            coverage=None
            if labels.coverage is None
            else tuple(sorted(clip_bouts(labels.coverage, start, stop))),
        )
        yield replace(
            recording,
            standard=replace(recording.standard, poses=piece),
            labels=of_piece,
        )


def _write_recording(recording: ImportedRecording, lab: str, out: Path) -> MetadataRow:
    """Write the files of one recording; return its row of the metadata."""
    standard, labels = recording.standard, recording.labels

    def place(folder: str) -> Path:
        return path_under(out / folder, lab, standard.name, ending=".parquet")

    write_tracking(
        place("train_tracking"),
        standard.poses.xy_px,
        standard.parts,
        first_frame=standard.poses.first_frame,
        z_px=standard.poses.z_px,
    )
    if recording.has_labels:
        write_annotation(place("train_annotation"), labels.bouts)
    else:
        place("train_annotation").unlink(missing_ok=True)  # of an earlier import
    coverage = place("train_coverage")
    if labels.coverage is None:
        coverage.unlink(missing_ok=True)
    else:
        write_coverage(coverage, labels.coverage)
    return MetadataRow(
        lab=lab,
        video=standard.name,
        fps=standard.fps,
        pixels_per_cm=standard.pixels_per_cm,
        length=standard.poses.length,
        animals=standard.animals,
        objects=standard.objects,
        zones=tuple(each.number for each in standard.targets),
        parts=tuple(part for part in standard.parts if part),
        watched=labels.watched,
        tracker=standard.poses.tracker,
    )


def _without_poses(recording: ImportedRecording) -> ImportedRecording:
    """Return what is kept of a recording that has been written."""
    poses = recording.standard.poses
    z = None if poses.z_px is None else poses.z_px[:0]
    bare = replace(poses, xy_px=poses.xy_px[:0], z_px=z, confidence=None)
    return replace(recording, standard=replace(recording.standard, poses=bare))


def describe_project(plan: ImportPlan, done: Sequence[ImportedRecording]) -> str:
    """Return project.yaml with all settings, and all guesses as comments."""
    guesses = format_guesses(each for one in done for each in one.guesses)
    text = dump_project(resolve_project(plan, done))
    if not guesses:
        return text
    # Names come from data: one with a line break must not become a setting.
    lines = (f"#   {one_line(line)}\n" for line in guesses)
    comments = "".join(["# Guessed, so check these:\n", *lines])
    return HEADING + comments + text.removeprefix(HEADING)


def resolve_project(plan: ImportPlan, done: Sequence[ImportedRecording]) -> Project:
    """Return the project with all guesses filled in, where the recordings agree."""
    keypoints: dict[str, str | None] = {}
    actions: dict[str, ActionSettings | None] = {}
    animals = {recording.standard.agents for recording in done}
    labelled = [each for each in done if each.has_labels and len(animals) == 1]
    for recording in done:
        for match in recording.standard.matches:
            if match.keypoint or not match.is_kept:
                keypoints[match.name] = match.keypoint
    for recording in labelled:
        for action in recording.labels.mapping.actions.values():
            actions[action.behaviour] = action.as_settings()
    subjects, recordings = _resolve_subjects(plan.project, labelled)
    return plan.project.with_changes(
        lab=plan.lab,
        animals=animals.pop() if len(animals) == 1 else None,
        keypoints=keypoints,
        skeleton=plan.project.skeleton or _join_skeletons(done),
        subjects=subjects,
        actions=actions,
        recordings=recordings,
    )


def _join_skeletons(done: Sequence[ImportedRecording]) -> SkeletonSettings | None:
    """Return the roles of the keypoints of all recordings; None for rodents."""
    bodies = [r.standard.body.skeleton for r in done if r.standard.body is not None]
    if not bodies:
        return None
    return SkeletonSettings.of(functools.reduce(Skeleton.joined, bodies))


def _resolve_subjects(
    project: Project, labelled: Sequence[ImportedRecording]
) -> tuple[dict[str, str | None], tuple[RecordingSettings, ...]]:
    """Return the animals of subjects, and the settings of recordings that differ."""
    own: dict[str, dict[str, str | None]] = {}
    animals_of: dict[str, set[str | None]] = {}
    for each in labelled:
        mapping = each.labels.mapping
        for subject, animal in mapping.subjects.items():
            if subject not in mapping.homeless:
                own.setdefault(each.files.recording, {})[subject] = animal
                animals_of.setdefault(subject, set()).add(animal)
    shared = {s: those.pop() for s, those in animals_of.items() if len(those) == 1}
    recordings = list(project.recordings)
    given = {each.files.recording: each.files.settings for each in labelled}
    for name, subjects in own.items():
        differing = {s: a for s, a in subjects.items() if s not in shared}
        if not differing:
            continue
        known = given[name]
        settings = known or RecordingSettings(name=name)
        changed = settings.model_copy(
            update={"subjects": {**differing, **settings.subjects}}
        )
        if known in recordings:
            recordings[recordings.index(known)] = changed
        else:
            recordings.append(changed)
    return {**shared, **project.subjects}, tuple(recordings)
