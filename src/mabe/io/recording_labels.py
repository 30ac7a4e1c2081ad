"""The labels of one recording: bouts, what was watched, and when.

All label files of the recording are brought to its frames, its animals and its length.
What was assumed on the way is listed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mabe.bouts import (
    Bout,
    Coverage,
    Watched,
    WatchedSpan,
    covered_bouts,
    spans_of,
)
from mabe.io.behaviour_names import NAMED, LabelMapping, map_labels
from mabe.io.coders import subjects_of
from mabe.io.guesses import Guess
from mabe.io.import_plan import ImportPlan, RecordingFiles
from mabe.io.label_bouts import (
    animal_of_modifier,
    join_overlaps,
    lost_behaviours,
    to_bouts,
)
from mabe.io.project import Project
from mabe.io.readers.annotations import (
    SELF,
    FileAnnotations,
    compare_lengths,
    to_frames,
)
from mabe.io.standardize import StandardPoses
from mabe.io.watched_actions import (
    agreement,
    check_watched,
    coverage_of,
    of_own_subjects,
    watched_of,
)
from mabe.runtime.console import count, percent

Clipped = TypeVar("Clipped", Bout, WatchedSpan)


@dataclass(frozen=True, slots=True)
class RecordingLabels:
    """What the label files of one recording become."""

    mapping: LabelMapping
    watched: tuple[Watched, ...] = ()
    bouts: tuple[Bout, ...] = ()
    coverage: Coverage | None = None
    """When annotators watched for what; None: for all of `watched`, all the time."""
    notes: tuple[str, ...] = ()
    guesses: tuple[Guess, ...] = ()
    lost: tuple[str, ...] = ()
    """Behaviours that are not used because a subject has no animal."""


def read_labels(
    files: RecordingFiles, plan: ImportPlan, standard: StandardPoses
) -> RecordingLabels:
    """Return the labels of a recording.

    Raises `DataError` where labels do not fit the tracks or lie outside of what was
    watched, `ConfigError` where the project does not fit.
    """
    project = project_of(files, plan.project)
    own = [
        name for each in files.labels for name in sorted(subjects_of(each.annotations))
    ]
    mapping = map_labels(
        standard.poses.animals,
        own,
        plan.names.behaviours,
        project,
        lab=plan.names,
        agents=standard.agents,
        zones=[each.zone.name for each in standard.targets],
    )
    if not files.labels:
        return RecordingLabels(mapping)
    length = standard.poses.length
    notes: list[str] = []
    read: list[tuple[FileAnnotations, set[Bout]]] = []
    lost: dict[str, set[str]] = {}
    for each in files.labels:
        annotations = to_frames(each.annotations, standard.fps)
        notes += annotations.notes
        notes += compare_lengths(annotations, length, project.max_length_difference)
        bouts, left_out = to_bouts(annotations, mapping)
        notes += left_out
        for behaviour, names in lost_behaviours(annotations, mapping).items():
            lost.setdefault(behaviour, set()).update(names)
        read.append((annotations, clip_bouts(bouts, 0, length)))
    watched = watched_of(
        mapping,
        [name for name in mapping.subjects if name or "" in own],
        project,
        bouts=[bout for _, bouts in read for bout in bouts],
        lost=lost,
    )
    if project.watched is None:
        listed = _listed_actions([each for each, _ in read], mapping)
        watched = tuple(w for w in watched if listed is None or w.action in listed)
    gone = {mapping.actions[behaviour].name for behaviour in lost}
    read = [
        (annotations, {bout for bout in bouts if bout.action not in gone})
        for annotations, bouts in read
    ]
    joined, coverage, more = _join_files(
        read, watched, mapping, length, is_agreement=files.is_agreement
    )
    check_watched(joined, watched, coverage, standard.animals)
    return RecordingLabels(
        mapping,
        watched,
        joined,
        coverage,
        (*notes, *more, *_describe_lost(lost, mapping, files)),
        tuple(_guesses(files, mapping, [each for each, _ in read])),
        tuple(sorted(lost)),
    )


def _listed_actions(
    files: Sequence[FileAnnotations], mapping: LabelMapping
) -> set[str | None] | None:
    """Return the actions that a recording's files list; None where one lists none.

    What another recording's files list was not watched for in this one.
    """
    if not all(each.lists_behaviours for each in files):
        return None
    return {mapping.actions[name].name for each in files for name in each.behaviours}


def project_of(files: RecordingFiles, project: Project) -> Project:
    """Return the project with the subjects of one recording."""
    own = files.settings.subjects if files.settings else {}
    if not own:
        return project
    return project.with_changes(subjects={**project.subjects, **own})


def _join_files(
    files: Sequence[tuple[FileAnnotations, set[Bout]]],
    watched: Sequence[Watched],
    mapping: LabelMapping,
    length: int,
    *,
    is_agreement: bool,
) -> tuple[tuple[Bout, ...], Coverage | None, list[str]]:
    """Return the bouts of several files, and when annotators watched for what.

    Parts of bouts outside of it are left out, with a note.
    """
    covered = [coverage_of(each, watched, mapping, length) for each, _ in files]
    if is_agreement:
        own = [
            (sorted(bouts), of_own_subjects(each, spans, mapping))
            for (each, bouts), spans in zip(files, covered, strict=True)
        ]
        agreed, coverage = agreement(own, watched, length)
        note = describe_coverage(coverage, watched, length)
        return agreed, coverage, [f"what all coders annotated: {note}"]
    joined = join_overlaps(bout for _, bouts in files for bout in bouts)
    if all(each.watched is None for each, _ in files):
        return joined, None, []
    coverage = tuple(sorted(span for spans in covered for span in spans))
    inside = tuple(sorted(covered_bouts(joined, coverage)))
    notes = [f"{describe_coverage(coverage, watched, length)}; the rest is unknown"]
    if gone := _frames_of(joined) - _frames_of(inside):
        notes.append(
            f"labels outside the frames that were watched: {count(gone, 'frame')} "
            f"left out"
        )
    return inside, coverage, notes


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
        f"{action} {percent(max(of_pairs) / max(1, length))}"
        for action, of_pairs in sorted(frames.items())
    ]
    return f"watched for part of the time: {', '.join(shares) or 'never'}"


def clip_bouts(bouts: Iterable[Clipped], start: int, stop: int) -> set[Clipped]:
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


def _describe_lost(
    lost: Mapping[str, set[str]], mapping: LabelMapping, files: RecordingFiles
) -> Iterator[str]:
    """Yield a note where behaviours are not used because of agents or targets."""
    if names := sorted(lost):
        homeless = sorted(set().union(*lost.values()))
        # What is a target alone can be left out, and stand for no animal.
        animal = "…" if homeless[0] in mapping.homeless else "null"
        yield (
            f"{', '.join(names)}: not used here, and not counted as absent, because "
            f"{', '.join(homeless)} cannot be one of {', '.join(mapping.animals)}; "
            "in project.yaml set `recordings: "
            f"{{{files.track.name}: {{subjects: {{{homeless[0]}: {animal}}}}}}}`"
        )


def _guesses(
    files: RecordingFiles, mapping: LabelMapping, annotations: Sequence[FileAnnotations]
) -> Iterator[Guess]:
    """Yield what was assumed about subjects, modifiers and actions."""
    name = files.track.name
    yield from files.guesses
    own = {subject for each in annotations for subject in subjects_of(each)}
    for subject in own:
        reason = mapping.reasons.get(subject, "")
        if reason.startswith("guess"):
            animal = mapping.subjects[subject] or "left out"
            what = f"{subject or 'events without a subject'} → {animal}"
            yield Guess("subject", what, reason.removeprefix("guess: "), name)
    parts = {
        part
        for each in annotations
        for event in each.events
        for part in event.target.split("|")
    }
    for part in sorted(parts - {"", SELF}):
        named = animal_of_modifier(part, mapping)
        if named != part and part not in mapping.names:
            what = f"{part} → {named or 'no animal'}"
            is_number = part.isdecimal() and not named
            reason = "no animal or subject is called by a number" if is_number else ""
            reason = reason or ("its name or subject" if named else "of another name")
            yield Guess("modifier", what, reason, name)
    of_events = {event.behaviour for each in annotations for event in each.events}
    for behaviour in sorted(of_events):
        action = mapping.actions[behaviour]
        if action.name and action.target != NAMED and action.reason.startswith("guess"):
            what = f"{behaviour} → {action.name} to {action.target}"
            yield Guess("action", what, action.reason.removeprefix("guess: "), name)
