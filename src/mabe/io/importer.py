"""Importing a project: tracks and labels of any known format, to the standard layout.

A plan of what belongs together is made first (`mabe.pairing`); each recording is then
read, settled and written, one in memory at a time.

What `mabe import` tells: what was found, and what everything is taken for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mabe.bouts import Bout, Watched
from mabe.errors import MabeError, OutputError
from mabe.io.behaviour_names import Cast, join_overlaps, make_cast, to_bouts, watched_of
from mabe.io.file_matching import Labels, Pairing, Plan, Track
from mabe.io.inspector import count
from mabe.io.keypoint_names import format_matches
from mabe.io.project import FILE_NAME, ActionSettings, Project, dump_project
from mabe.io.readers.annotations import compare_lengths, to_frames
from mabe.io.readers.formats import read_again
from mabe.io.standardize import Standard, standardise
from mabe.io.writers.kaggle import (
    MetadataRow,
    write_annotation,
    write_metadata,
    write_tracking,
)
from mabe.runtime.files import write_text


@dataclass(frozen=True, slots=True)
class Imported:
    """One recording as it was, or would be, written."""

    track: Track
    standard: Standard
    labels: tuple[Labels, ...]
    cast: Cast
    watched: tuple[Watched, ...]
    bouts: tuple[Bout, ...]
    notes: tuple[str, ...]


def check_place(out: Path) -> None:
    """Raise `OutputError` where something else than an import lies at `out`."""
    if out.is_file() or (
        out.is_dir() and any(out.iterdir()) and not (out / FILE_NAME).is_file()
    ):
        raise OutputError(
            f"{out}: holds something else than imported data, which is left alone; "
            "choose another --out."
        )


def run_import(plan: Plan, out: Path | None, *, pieces: int = 1) -> Iterator[Imported]:
    """Yield each recording when it is settled, then write it to `out` if that is given.

    With `pieces` above 1 every recording is written as so many, one after the other.
    The metadata table comes last, so that a stopped import is no data set. Raises
    `ConfigError` where the project does not fit the tracks.
    """
    if out:
        # Says from the first moment on that this folder is an import.
        write_text(out / FILE_NAME, dump_project(plan.project))
    rows: list[MetadataRow] = []
    done: list[Imported] = []
    for pairing in plan.pairings:
        try:
            ready = _prepare(pairing, plan)
        except MabeError as error:
            raise type(error)(f"{pairing.track.path}: {error}") from error
        yield ready
        if out:
            rows += [_write(each, plan.lab, out) for each in cut(ready, pieces)]
        done.append(_without_poses(ready))
    if out:
        write_metadata(out / "train.csv", rows)
        write_text(out / FILE_NAME, dump_project(settled(plan, done)))


def _without_poses(ready: Imported) -> Imported:
    """Return what is remembered of a recording that is done."""
    poses = ready.standard.poses
    bare = replace(poses, xy_px=poses.xy_px[:0], confidence=None)
    return replace(ready, standard=replace(ready.standard, poses=bare))


def _prepare(pairing: Pairing, plan: Plan) -> Imported:
    """Read one recording and settle it."""
    track, project, settings = pairing.track, plan.project, pairing.settings
    poses = read_again(track.path).poses[track.place]
    scored_fps = next(
        (e.annotations.fps for e in pairing.labels if e.annotations.fps), None
    )
    standard = standardise(
        replace(poses, name=track.name, fps=poses.fps or scored_fps),
        project,
        fps=settings.fps if settings else None,
        pixels_per_cm=settings.pixels_per_cm if settings else None,
    )
    notes = [*pairing.notes, *standard.poses.notes]
    if scored_fps and abs(scored_fps / standard.fps - 1) > 1e-3:
        notes.append(
            f"labels were scored at {scored_fps:g} fps, the tracks are taken at "
            f"{standard.fps:g}"
        )
    cast = make_cast(standard.animals, plan.acting, plan.ethogram, project)
    bouts, odd = _bouts(pairing.labels, cast, standard, project)
    watched = watched_of(cast, plan.acting, project) if pairing.labels else ()
    return Imported(
        track, standard, pairing.labels, cast, watched, bouts, (*notes, *odd)
    )


def _bouts(
    labels: Sequence[Labels], cast: Cast, standard: Standard, project: Project
) -> tuple[tuple[Bout, ...], list[str]]:
    """Return the labels of all of a recording's files, within its tracks."""
    length = standard.poses.length
    bouts: set[Bout] = set()
    notes: list[str] = []
    for each in labels:
        annotations = to_frames(each.annotations, standard.fps)
        notes += each.annotations.notes
        notes += compare_lengths(annotations, length, project.max_length_difference)
        found, odd = to_bouts(annotations, cast)
        notes += odd
        bouts |= clip(found, 0, length)
    return join_overlaps(bouts), notes


def clip(bouts: Sequence[Bout], start: int, stop: int) -> set[Bout]:
    """Return what of the bouts lies in ``[start, stop)``, counted from `start`."""
    return {
        replace(
            bout,
            start=max(bout.start, start) - start,
            stop=min(bout.stop, stop) - start,
        )
        for bout in bouts
        if bout.start < stop and bout.stop > start
    }


def cut(ready: Imported, pieces: int) -> Iterator[Imported]:
    """Yield a recording as consecutive pieces, each a recording of its own."""
    if pieces == 1:
        yield ready
        return
    poses = ready.standard.poses
    borders = np.linspace(poses.first_frame, poses.length, pieces + 1).astype(int)
    for number in range(pieces):
        start, stop = int(borders[number]), int(borders[number + 1])
        rows = slice(start - poses.first_frame, stop - poses.first_frame)
        part = replace(
            poses,
            name=f"{poses.name}.{number + 1}of{pieces}",
            xy_px=poses.xy_px[rows],
            confidence=None,
            first_frame=0,
        )
        yield replace(
            ready,
            standard=replace(ready.standard, poses=part),
            bouts=tuple(sorted(clip(ready.bouts, start, stop))),
        )


def _write(ready: Imported, lab: str, out: Path) -> MetadataRow:
    """Write one recording's files; return its row of the metadata."""
    standard = ready.standard
    place = Path(lab) / f"{standard.name}.parquet"
    write_tracking(
        out / "train_tracking" / place,
        standard.poses.xy_px,
        standard.parts,
        first_frame=standard.poses.first_frame,
    )
    if ready.labels:
        write_annotation(out / "train_annotation" / place, ready.bouts)
    return MetadataRow(
        lab=lab,
        video=standard.name,
        fps=standard.fps,
        pixels_per_cm=standard.pixels_per_cm,
        length=standard.poses.length,
        animals=standard.animals,
        parts=tuple(part for part in standard.parts if part),
        watched=ready.watched,
        tracker=standard.poses.tracker,
    )


def settled(plan: Plan, done: Sequence[Imported]) -> Project:
    """Return the project with every guess in its place, where recordings agree."""
    keypoints: dict[str, str | None] = {}
    subjects: dict[str, str | None] = {}
    actions: dict[str, ActionSettings | None] = {}
    casts = {ready.standard.animals for ready in done}
    for ready in done:
        for match in ready.standard.matches:
            if match.keypoint or not match.is_kept:
                keypoints[match.name] = match.keypoint
        if ready.labels and len(casts) == 1:
            subjects.update(ready.cast.subjects)
            for action in ready.cast.actions.values():
                actions[action.behaviour] = (
                    ActionSettings(
                        name=action.name, agent=action.agent, target=action.target
                    )
                    if action.name
                    else None
                )
    return plan.project.with_changes(
        lab=plan.lab,
        animals=casts.pop() if len(casts) == 1 else None,
        keypoints=keypoints,
        subjects=subjects,
        actions=actions,
    )


def describe_plan(plan: Plan) -> Iterator[str]:
    """Yield which files belong together, and which to nothing."""
    labelled = sum(bool(pairing.labels) for pairing in plan.pairings)
    recordings = count(len(plan.pairings), "recording")
    yield f"{recordings} with tracks, {labelled} with labels:"
    for pairing in plan.pairings:
        labels = ", ".join(dict.fromkeys(each.path.name for each in pairing.labels))
        track = pairing.track
        yield f"  {track.name}: {track.length:,} frames ({track.format})"
        yield f"    labels: {labels or 'none'}"
    for each in plan.unused:
        yield f"  ! labels without tracks: {each.path.name} ({each.annotations.name!r})"
    yield from (f"  ! {double}" for double in plan.doubles)
    for name in plan.unknown:
        yield f"  ! not recognised: {name}"
    for problem in plan.bad:
        yield f"  ! left out: {problem}"


def describe_recording(imported: Imported, shown: set[str]) -> Iterator[str]:
    """Yield what one recording is taken for; tables `shown` are not repeated."""
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
        tables["subjects of the labels"] = _format_subjects(imported.cast)
        tables["actions"] = _format_actions(imported.cast)
    for title, table in tables.items():
        if table in shown:
            yield f"  {title}: as above"
        else:
            yield f"  {title}:\n{table}"
        shown.add(table)
    yield from (f"  ! {note}" for note in imported.notes)


def _format_subjects(cast: Cast) -> str:
    return "\n".join(
        f"    {subject or '(none named)'} → {animal or '-'}  ({cast.how[subject]})"
        for subject, animal in cast.subjects.items()
    )


def _format_actions(cast: Cast) -> str:
    return "\n".join(
        f"    {action.behaviour} → {action.name or '-'} to {action.target}  "
        f"({action.how})"
        for action in cast.actions.values()
    )


@dataclass(slots=True)
class Totals:
    """What was imported so far; recordings themselves do not stay in memory."""

    recordings: int = 0
    frames: int = 0
    bouts: int = 0
    guessed: bool = False

    def add(self, imported: Imported) -> None:
        """Count one more recording."""
        self.recordings += 1
        self.frames += imported.standard.poses.length
        self.bouts += len(imported.bouts)
        if imported.labels:
            cast = imported.cast
            hows = [*cast.how.values(), *(each.how for each in cast.actions.values())]
            self.guessed |= any(how.startswith("guess") for how in hows)


def describe_end(totals: Totals, out: Path | None) -> str:
    """Return the last lines: what there is now, and what to do next."""
    what = (
        f"{count(totals.recordings, 'recording')}, {count(totals.frames, 'frame')}, "
        f"{count(totals.bouts, 'bout')}"
    )
    if out is None:
        return f"\n{what}; nothing written (--dry-run)"
    lines = [f"\n✓ {what}: {out}"]
    if totals.guessed:
        lines.append(
            f"  All that was guessed is in {out / FILE_NAME}: mend it there and import "
            f"again with --project {out / FILE_NAME}"
        )
    return "\n".join([*lines, f"  Next: mabe train --data-dir {out}"])
