"""A lab's names of subjects and behaviours, mapped to animals, actions and targets.

Label files name subjects and behaviours; the standard layout has an agent, an action
and a target. What `project.yaml` does not define is guessed: subjects by their names,
targets by the kind of action (grooming has the target self; of two animals, the other
one is the target of sniffing). `mabe import` prints every guess.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mabe.bouts import Bout, Watched, WatchedSpan
from mabe.errors import ConfigError
from mabe.io.project import ActionSettings, Project
from mabe.io.readers.annotations import SELF, Event, FileAnnotations, WatchedInterval

_SELF_ACTIONS = re.compile(
    r"(?<!allo)(?<!allo[-_ ])groom|rear|climb|clean|nonsocial|background|freez|redress|"
    r"nest|immobil|stretch|\b(dig|up|run|rest|walk|jump|sleep|eat|feed|drink|still|base|"
    r"burrow|locomot|explor|scratch)",
    re.IGNORECASE,
)
"""Actions that have no other animal as their target."""


@dataclass(frozen=True, slots=True)
class ActionMapping:
    """What one behaviour of the labels becomes."""

    behaviour: str
    name: str | None
    """The action's name in the standard layout; None: left out."""
    target: str
    """``self``, ``other`` or an animal's name."""
    agent: str | None
    """The agent of events that name no subject."""
    reason: str
    """Where the mapping comes from, for people to read."""


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """What the subjects and the behaviours of the labels become in one recording."""

    animals: tuple[str, ...]
    subjects: Mapping[str, str | None]
    """Subject to animal; None: left out. ``""`` stands for events without a subject."""
    reasons: Mapping[str, str]
    """Where the mapping of each subject comes from, for people to read."""
    actions: Mapping[str, ActionMapping]

    def number_of(self, animal: str) -> int:
        """Return an animal's number in the standard layout, which counts from 1."""
        return self.animals.index(animal) + 1


def slug(behaviour: str) -> str:
    """Return a name that the standard layout can hold: no blanks, commas or quotes."""
    return re.sub(r"[\s,'\"\[\]]+", "_", behaviour.strip()).strip("_")


def map_labels(
    animals: Sequence[str],
    subjects: Iterable[str],
    behaviours: Iterable[str],
    project: Project,
) -> LabelMapping:
    """Return the mapping of labels to the animals of one recording.

    Raises `ConfigError` where the project names an animal that the recording lacks.
    """
    animal_of, reasons = _map_subjects(animals, list(dict.fromkeys(subjects)), project)
    if lost := sorted({a for a in animal_of.values() if a and a not in animals}):
        raise ConfigError(
            f"project.yaml: subjects are mapped to {lost}, but the animals are "
            f"{list(animals)}"
        )
    actions = {
        behaviour: _map_action(behaviour, animals, project) for behaviour in behaviours
    }
    return LabelMapping(tuple(animals), animal_of, reasons, actions)


def _map_subjects(
    animals: Sequence[str], subjects: Sequence[str], project: Project
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Return the animal of each subject, and where the mapping comes from."""
    animal_of: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    named = [name for name in subjects if name]
    for name in ("", *named):
        if name in project.subjects:
            animal_of[name], reasons[name] = project.subjects[name], "project.yaml"
        elif animal := _animal_called(name, animals):
            animal_of[name], reasons[name] = animal, "same name"
    free = [animal for animal in animals if animal not in animal_of.values()]
    for name in named:
        if name in animal_of:
            continue
        if re.fullmatch(r"S\d+", name):
            animal_of[name], reasons[name] = animals[0], "a stream, not an animal"
        elif free:
            animal_of[name], reasons[name] = free.pop(0), "guess: the next animal"
        else:
            animal_of[name] = None
            reasons[name] = "guess: left out, all animals have a subject"
    if "" in subjects and "" not in animal_of:
        animal_of[""], reasons[""] = animals[0], "guess: the first animal"
    return animal_of, reasons


def _animal_called(subject: str, animals: Sequence[str]) -> str | None:
    """Return the animal of the same name, or of the number in ``mouse2``."""
    bare = {re.sub(r"[^a-z0-9]", "", animal.lower()): animal for animal in animals}
    squeezed = re.sub(r"[^a-z0-9]", "", subject.lower())
    if squeezed in bare:
        return bare[squeezed]
    number = re.fullmatch(r"(?:mouse|rat|animal|individual|subject)?([1-9])", squeezed)
    if number and int(number[1]) <= len(animals):
        return animals[int(number[1]) - 1]
    return None


def _map_action(
    behaviour: str, animals: Sequence[str], project: Project
) -> ActionMapping:
    settings = project.actions.get(behaviour, ActionSettings())
    if settings is None:
        return ActionMapping(behaviour, None, "self", None, "left out by project.yaml")
    for name in (settings.agent, settings.target):
        if name not in (None, "self", "other", *animals):
            raise ConfigError(
                f"project.yaml: action {behaviour!r} names {name!r}, but the animals "
                f"are {list(animals)}"
            )
    if settings.target:
        target, reason = settings.target, "project.yaml"
    elif len(animals) == 1:
        target, reason = "self", "there is one animal"
    elif _SELF_ACTIONS.search(behaviour):
        target, reason = "self", "guess: an action without a partner"
    elif len(animals) == 2:
        target, reason = "other", "guess: the other animal"
    else:
        target, reason = "other", "each event must have a target"
    name = slug(settings.name or behaviour)
    return ActionMapping(behaviour, name, target, settings.agent, reason)


def to_bouts(
    annotations: FileAnnotations, mapping: LabelMapping
) -> tuple[tuple[Bout, ...], list[str]]:
    """Return annotations in frames as bouts, and notes on the events left out.

    Raises `ConfigError` for an event whose target is not known.
    """
    bouts: set[Bout] = set()
    dropped: Counter[str] = Counter()
    for event in _without_fillers(annotations):
        action = mapping.actions[event.behaviour]
        agent = _agent(event, action, mapping)
        if action.name is None or agent is None:
            subject = f" of {event.subject!r}" if agent is None else ""
            dropped[f"{event.behaviour!r}{subject} left out"] += 1
            continue
        target = _target(event, action, agent, mapping)
        if target is None:
            raise ConfigError(
                f"{annotations.name}: {event.behaviour!r} of {agent!r} has no target, "
                f"and there are {len(mapping.animals)} animals; set `actions: "
                f"{{{event.behaviour}: {{target: self}}}}` in project.yaml, or an "
                "animal's name as the target"
            )
        start, stop = round(event.start), round(event.stop)
        bouts.add(
            Bout(
                start,
                max(stop, start + 1),
                action.name,
                mapping.number_of(agent),
                mapping.number_of(target),
            )
        )
    notes = [f"{what}: {count} events" for what, count in dropped.items()]
    return join_overlaps(bouts), notes


def _without_fillers(annotations: FileAnnotations) -> list[Event]:
    """Return the events without those that only fill an additional stream.

    Streams of the Caltech annotator have a type for every frame. Where a stream after
    the first begins and ends with one behaviour, that behaviour fills the frames
    without annotation.
    """
    streams = {event.subject for event in annotations.events}
    if not streams or not all(re.fullmatch(r"S\d+", name) for name in streams):
        return list(annotations.events)
    kept = []
    for stream in sorted(streams):
        events = [event for event in annotations.events if event.subject == stream]
        filler = events[0].behaviour if stream != "S1" else None
        is_filled = filler is not None and events[-1].behaviour == filler
        kept += [e for e in events if not (is_filled and e.behaviour == filler)]
    return sorted(kept)


def _agent(event: Event, action: ActionMapping, mapping: LabelMapping) -> str | None:
    if not event.subject and action.agent:
        return action.agent
    return mapping.subjects.get(event.subject)


def _target(
    event: Event, action: ActionMapping, agent: str, mapping: LabelMapping
) -> str | None:
    """Return the animal an event is directed at; None where it is not known."""
    for part in event.target.split("|"):
        if part == SELF:
            return agent
        named = mapping.subjects.get(part) or _animal_called(part, mapping.animals)
        if part and named:
            return named
    if action.target == "self":
        return agent
    if action.target != "other":
        return action.target
    others = [animal for animal in mapping.animals if animal != agent]
    return others[0] if len(others) == 1 else None


def join_overlaps(bouts: Iterable[Bout]) -> tuple[Bout, ...]:
    """Join overlapping bouts of one action and pair, as several files may give them."""
    joined: list[Bout] = []
    for bout in sorted(bouts, key=lambda each: (_action_and_pair(each), each.start)):
        last = joined[-1] if joined else None
        if (
            last
            and _action_and_pair(last) == _action_and_pair(bout)
            and bout.start < last.stop
        ):
            joined[-1] = replace(last, stop=max(last.stop, bout.stop))
        else:
            joined.append(bout)
    return tuple(sorted(joined))


def _action_and_pair(bout: Bout) -> tuple[str, int, int]:
    return bout.action, bout.agent, bout.target


def watched_of(
    mapping: LabelMapping, subjects: Iterable[str], project: Project
) -> tuple[Watched, ...]:
    """Return what was watched: the project's list, or all actions of all subjects."""
    if project.watched is not None:
        return tuple(sorted(_parse_watched(each, mapping) for each in project.watched))
    watched = set()
    agents = {mapping.subjects.get(subject) for subject in subjects}
    for action in mapping.actions.values():
        if action.name is None:
            continue
        for agent in agents | ({action.agent} if action.agent else set()):
            if agent is None:
                continue
            targets = [agent] if action.target == "self" else [action.target]
            if action.target == "other":
                targets = [a for a in mapping.animals if a != agent] or [agent]
            watched |= {
                Watched(
                    mapping.number_of(agent), mapping.number_of(target), action.name
                )
                for target in targets
            }
    return tuple(sorted(watched))


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
        spans |= {
            WatchedSpan(start, stop, each.action, each.agent, each.target)
            for each in watched
            if start < stop
            and each.action in actions
            and (animal is None or each.agent == mapping.number_of(animal))
        }
    return spans


def _parse_watched(text: str, mapping: LabelMapping) -> Watched:
    """Return an entry such as ``adult,juvenile,interact`` or ``adult,self,rear``."""
    parts = [part.strip() for part in text.split(",", 2)]
    if len(parts) == 3:
        agent = _animal_called(parts[0], mapping.animals)
        is_self = parts[1] == "self"
        target = agent if is_self else _animal_called(parts[1], mapping.animals)
        if agent and target:
            return Watched(
                mapping.number_of(agent), mapping.number_of(target), slug(parts[2])
            )
    raise ConfigError(
        f"project.yaml: watched: expected `agent,target,action` of the animals "
        f"{list(mapping.animals)} (target may be self), found {text!r}"
    )
