"""Several people's labels of one recording, which are never joined in silence.

Two label files are of two *coders* where both annotate a behaviour of a subject in the
same stretch of the recording. Files of different behaviours, subjects or stretches
complete each other, and files with the same events are copies. Which coder counts is
decided in `project.yaml` (`coders`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from mabe.errors import ConfigError
from mabe.io.folder_files import Labels, Track
from mabe.io.project import CoderSettings
from mabe.io.readers.annotations import Event, FileAnnotations
from mabe.io.recording_names import normalize
from mabe.io.track_files import clean_name
from mabe.runtime.console import count


@dataclass(frozen=True, slots=True)
class CodedRecording:
    """The tracks of one recording, and the labels that are used for it."""

    track: Track
    labels: tuple[Labels, ...]
    is_agreement: bool = False
    """True where only what all coders annotated counts."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CoderConflict:
    """A recording with several coders, between whom nobody has chosen."""

    track: Track
    labels: tuple[Labels, ...]
    """One or more of each coder, with the coders' names."""


def settle_coders(
    track: Track, labels: Sequence[Labels], settings: CoderSettings | None
) -> list[CodedRecording] | CoderConflict:
    """Return the recordings that the labels of one become, by the project's choice.

    Raises `ConfigError` where the chosen coder has no labels of the recording.
    """
    kept, notes = _without_copies(labels)
    rivals = _rivals(kept)
    if not rivals:
        return [CodedRecording(track, tuple(kept), notes=tuple(notes))]
    named = _with_coders(rivals)
    if settings is None:
        return CoderConflict(track, tuple(named))
    others = [each for each in kept if each not in rivals]
    if settings.use == "joined":
        return [CodedRecording(track, tuple(kept), notes=tuple(notes))]
    if settings.use == "both":
        return [CodedRecording(track, (*others, *named), True, tuple(notes))]
    coders = list(dict.fromkeys(each.coder for each in named))
    if settings.use == "copies":
        return [
            CodedRecording(
                replace(track, name=f"{track.name}.{clean_name(coder)}"),
                (*others, *(each for each in named if each.coder == coder)),
                notes=(*notes, f"labels of the coder {coder!r}"),
            )
            for coder in coders
        ]
    chosen = tuple(each for each in named if _is_called(each, settings.coder or ""))
    if not chosen:
        raise ConfigError(
            f"project.yaml: coders: {track.name} has no labels of the coder "
            f"{settings.coder!r}; it has those of {coders}"
        )
    note = f"labels of the coder {chosen[0].coder!r}, of {len(coders)}"
    return [CodedRecording(track, (*others, *chosen), notes=(*notes, note))]


def _is_called(labels: Labels, coder: str) -> bool:
    wanted = normalize(coder)
    names = (labels.coder, labels.path.name, labels.path.stem, labels.annotations.name)
    return wanted in map(normalize, names)


def _without_copies(labels: Sequence[Labels]) -> tuple[list[Labels], list[str]]:
    """Return labels without those that have the same events as others."""
    kept: list[Labels] = []
    notes = []
    for each in labels:
        original = next((other for other in kept if _is_copy(each, other)), None)
        if original is None:
            kept.append(each)
        else:
            notes.append(
                f"{each.path.name}: left out, {original.path.name} has the same events"
            )
    return kept, notes


def _is_copy(first: Labels, second: Labels) -> bool:
    """Return whether the events are the same, to the frame where the rate is known."""
    one, other = first.annotations, second.annotations
    per_s = (one.fps or other.fps or 1000) if one.unit == "s" else 1
    return (
        bool(one.events)
        and one.unit == other.unit
        and one.watched == other.watched
        and _rounded(one, per_s) == _rounded(other, per_s)
    )


def _rounded(annotations: FileAnnotations, per_s: float) -> list[tuple[object, ...]]:
    return sorted(
        (round(e.start * per_s), round(e.stop * per_s), *_names(e))
        for e in annotations.events
    )


def _names(event: Event) -> tuple[str, str, str]:
    return event.behaviour, event.subject, event.target


def _rivals(labels: Sequence[Labels]) -> list[Labels]:
    """Return the labels that annotate the same as others."""
    pairs = [
        pair
        for pair in combinations(range(len(labels)), 2)
        if _overlap(*(labels[at].annotations for at in pair))
    ]
    found = {at for pair in pairs for at in pair}
    return [labels[at] for at in sorted(found)]


def _overlap(first: FileAnnotations, second: FileAnnotations) -> bool:
    """Return whether two people annotated the same, at the same time."""
    behaviours = {normalize(each) for each in first.behaviours}
    subjects, others = (
        {normalize(each) for each in subjects_of(each)} for each in (first, second)
    )
    is_same = bool(subjects & others) or "" in subjects | others
    return (
        is_same
        and any(normalize(each) in behaviours for each in second.behaviours)
        and not _are_apart(first, second)
    )


def subjects_of(annotations: FileAnnotations) -> set[str]:
    """Return the subjects of annotations; ``""`` for events without one."""
    subjects = {event.subject for event in annotations.events}
    return subjects | {*annotations.subjects} or {""}


def _are_apart(first: FileAnnotations, second: FileAnnotations) -> bool:
    """Return whether two files are of different stretches of the recording."""
    if first.watched is None or second.watched is None or first.unit != second.unit:
        return False
    return not any(
        one.start < other.stop and other.start < one.stop
        for one in first.watched
        for other in second.watched
    )


def _with_coders(labels: Sequence[Labels]) -> list[Labels]:
    """Return labels each with its coder's name, from whatever tells the files apart."""
    ways: tuple[Callable[[Labels], str], ...] = (
        lambda each: each.coder,
        lambda each: each.path.parent.name,
        lambda each: each.path.stem,
        lambda each: each.annotations.name,
    )
    for way in ways:
        names = [way(each) for each in labels]
        if _tell_apart(labels, names):
            break
    else:
        names = [f"{each.path.stem} {at}" for at, each in enumerate(labels, start=1)]
    return [replace(each, coder=name) for each, name in zip(labels, names, strict=True)]


def _tell_apart(labels: Sequence[Labels], names: Sequence[str]) -> bool:
    """Return whether names are given, and are different where labels overlap."""
    pairs = combinations(zip(labels, names, strict=True), 2)
    clash = any(
        name == other and _overlap(one.annotations, two.annotations)
        for (one, name), (two, other) in pairs
    )
    return all(names) and not clash


_SHOWN = 4
"""Recordings that are named in a message."""


def describe_conflicts(conflicts: Iterable[CoderConflict]) -> str:
    """Return which recordings have several coders, and how to choose between them."""
    found = list(conflicts)
    recordings = []
    for each in found[:_SHOWN]:
        files = ", ".join(
            f"{labels.path.name} (coder {labels.coder})" for labels in each.labels
        )
        recordings.append(f"{each.track.name}: {files}")
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    coder = found[0].labels[0].coder
    return (
        f"{count(len(found), 'recording')} with labels of several coders for the same "
        f"behaviours and subjects: {'; '.join(recordings)}{more}. Choose in "
        f"project.yaml, for all or under `recordings` for one: `coders: {coder}` (the "
        "labels of one), `coders: copies` (each coder's, as recordings with the same "
        "tracks), `coders: both` (what all annotated, unknown where they differ) or "
        "`coders: joined` (all together, where they complete each other)"
    )
