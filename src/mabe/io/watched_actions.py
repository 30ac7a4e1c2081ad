"""What an annotator watched for in a recording, and when.

Watched are all actions of the lab's labels for all animals that are subjects, towards
the targets that the project gives, that events name, or that are guessed. An action
whose agent or target has no animal in a recording is not watched there. No bout may lie
outside of what was watched: it would be learned as something else.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool

from mabe.bouts import Bout, Coverage, Watched, WatchedSpan, find_spans, spans_of
from mabe.errors import ConfigError, DataError
from mabe.io.behaviour_names import (
    NAMED,
    ZONE,
    ActionMapping,
    LabelMapping,
    find_animal,
    slug,
    zones_of_action,
)
from mabe.io.label_bouts import animal_of_modifier
from mabe.io.project import Project
from mabe.io.readers.annotations import SELF, FileAnnotations, WatchedInterval


def watched_of(
    mapping: LabelMapping,
    subjects: Iterable[str],
    project: Project,
    *,
    bouts: Iterable[Bout] = (),
    lost: Iterable[str] = (),
) -> tuple[Watched, ...]:
    """Return what was watched: the project's list, or all actions of all subjects.

    What `bouts` show was watched too. Behaviours that are `lost` were not.
    """
    if project.watched is not None:
        return tuple(sorted(_parse_watched(each, mapping) for each in project.watched))
    gone = {mapping.actions[behaviour].name for behaviour in lost}
    agents = {mapping.subjects.get(subject) for subject in subjects}
    watched = {Watched(bout.agent, bout.target, bout.action) for bout in bouts}
    for action in mapping.actions.values():
        if action.name is None:
            continue
        for agent in agents | ({action.agent} if action.agent else set()):
            if agent is None:
                continue
            watched |= {
                Watched(
                    mapping.number_of(agent), mapping.number_of(target), action.name
                )
                for target in _targets(action, agent, mapping)
            }
    return tuple(sorted(each for each in watched if each.action not in gone))


def _targets(action: ActionMapping, agent: str, mapping: LabelMapping) -> set[str]:
    """Return what an agent's action may be directed at."""
    kinds = set(action.named_targets)
    kinds |= {action.target} if action.target in ("self", "other") else set()
    targets = {agent} if "self" in kinds else set()
    if "other" in kinds:
        targets |= {each for each in mapping.tracked if each != agent} or {agent}
    if action.target not in ("self", "other", NAMED, ZONE):
        targets.add(action.target)
    return targets | set(zones_of_action(action, mapping))


def _parse_watched(text: str, mapping: LabelMapping) -> Watched:
    """Return an entry such as ``adult,juvenile,interact`` or ``adult,self,rear``."""
    parts = [part.strip() for part in text.split(",", 2)]
    if len(parts) == 3:
        agent = find_animal(parts[0], mapping.tracked)
        target = agent if parts[1] == "self" else mapping.find_target(parts[1])
        if agent and target:
            return Watched(
                mapping.number_of(agent), mapping.number_of(target), slug(parts[2])
            )
    raise ConfigError(
        f"project.yaml: watched: expected `agent,target,action` of the animals "
        f"{list(mapping.animals)} (target may be self), found {text!r}"
    )


def check_watched(
    bouts: Iterable[Bout],
    watched: Iterable[Watched],
    coverage: Coverage | None,
    animals: Sequence[str],
) -> None:
    """Raise `DataError` for a bout outside of what was watched.

    It would be learned as another action, or scored as if nobody had looked.
    """
    known = set(watched)
    spans = {each: spans_of(coverage or (), each) for each in known}
    for bout in bouts:
        what = Watched(bout.agent, bout.target, bout.action)
        names = (
            animals[bout.agent - 1],
            "self" if bout.target == bout.agent else animals[bout.target - 1],
            bout.action,
        )
        if what not in known:
            raise DataError(
                f"labels of `{','.join(names)}` (frames {bout.start:,} to "
                f"{bout.stop:,}), which was not watched for; add it to `watched` in "
                "project.yaml, or leave the behaviour out under `actions`"
            )
        if coverage is None:
            continue
        if not any(a <= bout.start and bout.stop <= b for a, b in spans[what].tolist()):
            raise DataError(
                f"labels of `{','.join(names)}` in frames {bout.start:,} to "
                f"{bout.stop:,}, in which it was not watched for"
            )


def coverage_of(
    annotations: FileAnnotations,
    watched: Iterable[Watched],
    mapping: LabelMapping,
    length: int,
) -> set[WatchedSpan]:
    """Return when a file's annotator watched for what, in the frames of a recording.

    `annotations` are in frames; `watched` is what was watched for in the recording, of
    which a file covers its own behaviours.
    """
    whole = (WatchedInterval(0, length),)
    spans = set()
    for interval in whole if annotations.watched is None else annotations.watched:
        start, stop = round(interval.start), round(min(interval.stop, length))
        behaviours = (
            (interval.behaviour,) if interval.behaviour else annotations.behaviours
        )
        mapped = (mapping.actions[behaviour].name for behaviour in behaviours)
        actions = {name for name in mapped if name is not None}
        animal = mapping.subjects.get(interval.subject) if interval.subject else None
        target = _target_of(interval, animal, mapping)
        if (interval.subject and animal is None) or (interval.target and not target):
            continue
        spans |= {
            WatchedSpan(start, stop, each.action, each.agent, each.target)
            for each in watched
            if start < stop
            and each.action in actions
            and (animal is None or each.agent == mapping.number_of(animal))
            and (target is None or each.target == mapping.number_of(target))
        }
    return spans


def _target_of(
    interval: WatchedInterval, agent: str | None, mapping: LabelMapping
) -> str | None:
    """Return the animal or zone at which actions were watched; None: any, or none."""
    if interval.target == SELF:
        return agent
    return animal_of_modifier(interval.target, mapping) if interval.target else None


def agreement(
    files: Sequence[tuple[Sequence[Bout], Coverage]],
    watched: Iterable[Watched],
    length: int,
) -> tuple[tuple[Bout, ...], Coverage]:
    """Return what all annotators marked, and where they do not differ.

    `files` are the bouts and the coverage of each. Frames in which one of those who
    watched marked an action and another did not count as not watched for it.
    """
    bouts: list[Bout] = []
    spans: list[WatchedSpan] = []
    for each in watched:
        marks, looks = [], []
        for of_file, coverage in files:
            looked = _frames(spans_of(coverage, each).tolist(), length)
            own = [
                [bout.start, bout.stop]
                for bout in of_file
                if Watched(bout.agent, bout.target, bout.action) == each
            ]
            if looked.any():
                looks.append(looked)
                marks.append(_frames(own, length))
        if not looks:
            continue
        looked, marked = np.array(looks), np.array(marks)
        yes = (marked | ~looked).all(axis=0) & looked.any(axis=0)
        no = (~marked | ~looked).all(axis=0) & looked.any(axis=0)
        names = each.action, each.agent, each.target
        bouts += [Bout(a, b, *names) for a, b in find_spans(yes).tolist()]
        spans += [WatchedSpan(a, b, *names) for a, b in find_spans(yes | no).tolist()]
    return tuple(sorted(bouts)), tuple(sorted(spans))


def _frames(spans: Iterable[Sequence[int]], length: int) -> Bool[np.ndarray, " time"]:
    active = np.zeros(length, bool)
    for start, stop in spans:
        active[start:stop] = True
    return active


def of_own_subjects(
    annotations: FileAnnotations, coverage: Iterable[WatchedSpan], mapping: LabelMapping
) -> Coverage:
    """Return the coverage of a file's own subjects, where it names them."""
    named = [mapping.subjects.get(subject) for subject in annotations.subjects]
    own = {mapping.number_of(animal) for animal in named if animal}
    return tuple(sorted(each for each in coverage if not own or each.agent in own))
