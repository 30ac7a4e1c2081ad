"""From a lab's labels to who does what to whom.

Labels name subjects and behaviours; the standard layout wants animals and a target for
each action. What `project.yaml` does not say is guessed: subjects by their names,
targets by what the action is (grooming is of oneself, of two animals the other one is
meant). Every guess is shown before anything is written.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mabe.bouts import Bout, Watched
from mabe.errors import ConfigError
from mabe.io.project import ActionSettings, Project
from mabe.io.readers.annotations import SELF, Event, FileAnnotations

_ALONE = re.compile(
    r"(?<!allo)(?<!allo[-_ ])groom|rear|climb|clean|nonsocial|background|freez|redress|"
    r"nest|immobil|stretch|\b(dig|up|run|rest|walk|jump|sleep|eat|feed|drink|still|base|"
    r"burrow|locomot|explor|scratch)",
    re.IGNORECASE,
)
"""Actions that need nobody else."""


@dataclass(frozen=True, slots=True)
class Action:
    """What one behaviour of the labels becomes."""

    behaviour: str
    name: str | None
    """The action's name in the standard layout; None: left out."""
    target: str
    """``self``, ``other`` or an animal's name."""
    agent: str | None
    """Who does it where its events do not say."""
    how: str


@dataclass(frozen=True, slots=True)
class Cast:
    """Who the subjects of the labels are, and what their behaviours mean."""

    animals: tuple[str, ...]
    subjects: Mapping[str, str | None]
    """A subject of the labels to an animal; None: left out. ``""`` is nobody named."""
    how: Mapping[str, str]
    """Why each subject is taken for whom it is."""
    actions: Mapping[str, Action]


def slug(behaviour: str) -> str:
    """Return a name that the standard layout can hold: no blanks, commas or quotes."""
    return re.sub(r"[\s,'\"\[\]]+", "_", behaviour.strip()).strip("_")


def make_cast(
    animals: Sequence[str],
    subjects: Iterable[str],
    behaviours: Iterable[str],
    project: Project,
) -> Cast:
    """Return who is who for the animals of one recording.

    Raises `ConfigError` where the project names an animal that is not there, and where
    it is open to whom an action is done.
    """
    who: dict[str, str | None] = {}
    how: dict[str, str] = {}
    subjects = list(dict.fromkeys(subjects))
    named = [name for name in subjects if name]
    for name in ("", *named):
        if name in project.subjects:
            who[name], how[name] = project.subjects[name], "project.yaml"
        elif found := _same_name(name, animals):
            who[name], how[name] = found, "same name"
    free = [animal for animal in animals if animal not in who.values()]
    for name in named:
        if name in who:
            continue
        if re.fullmatch(r"S\d+", name):
            who[name], how[name] = animals[0], "a stream, not an animal"
        elif free:
            who[name], how[name] = free.pop(0), "guess: the next animal"
        else:
            who[name], how[name] = None, "guess: no animal is left, left out"
    if "" in subjects and "" not in who:
        who[""], how[""] = animals[0], "guess: the first animal"
    if lost := sorted({a for a in who.values() if a and a not in animals}):
        raise ConfigError(
            f"project.yaml: subjects are mapped to {lost}, but the animals are "
            f"{list(animals)}"
        )
    actions = {
        behaviour: _make_action(behaviour, animals, project) for behaviour in behaviours
    }
    return Cast(tuple(animals), who, how, actions)


def _same_name(subject: str, animals: Sequence[str]) -> str | None:
    """Return the animal whose name a subject has, or that its number counts."""
    bare = {re.sub(r"[^a-z0-9]", "", animal.lower()): animal for animal in animals}
    squeezed = re.sub(r"[^a-z0-9]", "", subject.lower())
    if squeezed in bare:
        return bare[squeezed]
    number = re.fullmatch(r"(?:mouse|rat|animal|individual|subject)?([1-9])", squeezed)
    if number and int(number[1]) <= len(animals):
        return animals[int(number[1]) - 1]
    return None


def _make_action(behaviour: str, animals: Sequence[str], project: Project) -> Action:
    settings = project.actions.get(behaviour, ActionSettings())
    if settings is None:
        return Action(behaviour, None, "self", None, "left out by project.yaml")
    for name in (settings.agent, settings.target):
        if name not in (None, "self", "other", *animals):
            raise ConfigError(
                f"project.yaml: action {behaviour!r} names {name!r}, but the animals "
                f"are {list(animals)}"
            )
    name = slug(settings.name or behaviour)
    if settings.target:
        return Action(behaviour, name, settings.target, settings.agent, "project.yaml")
    if len(animals) == 1:
        return Action(behaviour, name, "self", settings.agent, "there is one animal")
    if _ALONE.search(behaviour):
        return Action(
            behaviour, name, "self", settings.agent, "guess: needs nobody else"
        )
    if len(animals) == 2:
        return Action(
            behaviour, name, "other", settings.agent, "guess: the other animal"
        )
    return Action(behaviour, name, "other", settings.agent, "each event must say whom")


def to_bouts(
    annotations: FileAnnotations, cast: Cast
) -> tuple[tuple[Bout, ...], list[str]]:
    """Return the labels of one recording, in frames already, and what was left out."""
    bouts: set[Bout] = set()
    dropped: dict[str, int] = {}
    for event in _without_fillers(annotations):
        action = cast.actions[event.behaviour]
        agent = _agent(event, action, cast)
        if action.name is None or agent is None:
            who = f" of {event.subject!r}" if agent is None else ""
            reason = f"{event.behaviour!r}{who} left out"
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        target = _target(event, action, agent, cast)
        if target is None:
            raise ConfigError(
                f"{annotations.name}: to whom is {event.behaviour!r} of {agent!r} "
                f"done? There are {len(cast.animals)} animals; say `actions: "
                f"{{{event.behaviour}: "
                "{target: self}}` in project.yaml, or an animal's name"
            )
        start, stop = round(event.start), round(event.stop)
        bouts.add(
            Bout(
                start,
                max(stop, start + 1),
                action.name,
                cast.animals.index(agent) + 1,
                cast.animals.index(target) + 1,
            )
        )
    notes = [f"{reason}: {count} events" for reason, count in dropped.items()]
    return join_overlaps(bouts), notes


def _without_fillers(annotations: FileAnnotations) -> list[Event]:
    """Leave out what a further stream says only to say nothing.

    Streams of the Caltech annotator have a type for every frame; what fills the first
    and the last frames of the second one is no behaviour beside those of the first.
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


def join_overlaps(bouts: Iterable[Bout]) -> tuple[Bout, ...]:
    """Join bouts of one action of one pair that overlap: several files say the same."""
    joined: list[Bout] = []
    for bout in sorted(bouts, key=lambda each: (_what(each), each.start)):
        last = joined[-1] if joined else None
        if last and _what(last) == _what(bout) and bout.start < last.stop:
            joined[-1] = replace(last, stop=max(last.stop, bout.stop))
        else:
            joined.append(bout)
    return tuple(sorted(joined))


def _what(bout: Bout) -> tuple[str, int, int]:
    """Return who does what to whom."""
    return bout.action, bout.agent, bout.target


def _agent(event: Event, action: Action, cast: Cast) -> str | None:
    if not event.subject and action.agent:
        return action.agent
    return cast.subjects.get(event.subject)


def _target(event: Event, action: Action, agent: str, cast: Cast) -> str | None:
    """Return to whom an event is done; None where that is open."""
    for part in event.target.split("|"):
        if part == SELF:
            return agent
        named = cast.subjects.get(part) or _same_name(part, cast.animals)
        if part and named:
            return named
    if action.target == "self":
        return agent
    if action.target != "other":
        return action.target
    others = [animal for animal in cast.animals if animal != agent]
    return others[0] if len(others) == 1 else None


def watched_of(
    cast: Cast, acting: Iterable[str], project: Project
) -> tuple[Watched, ...]:
    """Return what was watched: every action of everyone who acts, or as told."""
    if project.watched is not None:
        return tuple(sorted(_parse_watched(each, cast) for each in project.watched))
    found = set()
    agents = {cast.subjects.get(subject) for subject in acting}
    for action in cast.actions.values():
        if action.name is None:
            continue
        for agent in agents | ({action.agent} if action.agent else set()):
            if agent is None:
                continue
            targets = [agent] if action.target == "self" else [action.target]
            if action.target == "other":
                targets = [each for each in cast.animals if each != agent] or [agent]
            found |= {
                Watched(
                    cast.animals.index(agent) + 1,
                    cast.animals.index(target) + 1,
                    action.name,
                )
                for target in targets
            }
    return tuple(sorted(found))


def _parse_watched(text: str, cast: Cast) -> Watched:
    """Return what ``adult,juvenile,interact`` or ``adult,self,rear`` stands for."""
    parts = [part.strip() for part in text.split(",", 2)]
    if len(parts) == 3:
        agent = _same_name(parts[0], cast.animals)
        target = agent if parts[1] == "self" else _same_name(parts[1], cast.animals)
        if agent and target:
            return Watched(
                cast.animals.index(agent) + 1,
                cast.animals.index(target) + 1,
                slug(parts[2]),
            )
    raise ConfigError(
        f"project.yaml: watched: expected `agent,target,action` of the animals "
        f"{list(cast.animals)} (target may be self), found {text!r}"
    )
