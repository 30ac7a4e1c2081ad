"""A lab's names of subjects and behaviours, mapped to animals, actions and targets.

Label files name subjects and behaviours; the standard layout has an agent, an action
and a target. What `project.yaml` does not define is guessed: subjects by their names,
targets by the kind of action (grooming has the target self; of two animals, the other
one is the target of sniffing). An event that names its target needs no guess. `mabe
import` prints every guess.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mabe.errors import ConfigError
from mabe.io.project import ActionSettings, Project
from mabe.io.readers.annotations import SELF, FileAnnotations
from mabe.io.recording_names import same_name, squeeze, words_of

_SELF_ACTIONS = re.compile(
    r"(?<!allo)(?<!allo[-_ ])groom|rear|climb|clean|nonsocial|background|freez|redress|"
    r"nest|immobil|stretch|\b(dig|up|run|rest|walk|jump|sleep|eat|feed|drink|still|base|"
    r"burrow|locomot|explor|scratch)",
    re.IGNORECASE,
)
"""Actions that have no other animal as their target."""

STREAM = re.compile(r"S\d+")
"""A stream of the Caltech annotator, which the files have in the place of a subject."""

NAMED = "named"
"""The target of an action whose events all name theirs."""

ZONE = "zone"
"""The target of an action at zones: each event names which; a single one may be left
out."""


@dataclass(frozen=True, slots=True)
class ActionMapping:
    """What one behaviour of the labels becomes."""

    behaviour: str
    name: str | None
    """The action's name in the standard layout; None: left out."""
    target: str
    """``self``, ``other``, the name of an animal or a zone, `ZONE`, or `NAMED`."""
    agent: str | None
    """The agent of events that name no subject."""
    reason: str
    """Where the mapping comes from, for people to read."""
    named_targets: frozenset[str] = frozenset()
    """``self`` or ``other``, where events name such targets."""
    named_zones: frozenset[str] = frozenset()
    """The zones that events name as targets."""

    def as_settings(self) -> ActionSettings | None:
        """Return the settings that give the same again; None: left out."""
        if self.name is None:
            return None
        target = None if self.target == NAMED else self.target
        if target is None and self.named_zones and not self.named_targets:
            target = ZONE  # also where no event names one, as in a film to predict
        return ActionSettings(name=self.name, agent=self.agent, target=target)


@dataclass(frozen=True, slots=True)
class LabelNames:
    """The names in all label files of a lab."""

    subjects: tuple[str, ...] = ()
    behaviours: tuple[str, ...] = ()
    named_targets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """For each behaviour what its events name: ``self``, ``other``, or ``""``
    (nothing that is an animal or a zone)."""
    named_zones: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """For each behaviour the zones that its events name."""
    together: tuple[frozenset[str], ...] = ()
    """Subjects that occur with each other in labels of one recording, or with others
    that do: roles such as resident and intruder, not names of single animals."""

    def companions(self, own: Iterable[str]) -> tuple[str, ...]:
        """Return the subjects that occur with some of a recording, and these."""
        wanted = set(own)
        found = wanted.union(*(each for each in self.together if each & wanted))
        return tuple(name for name in self.subjects if name in found)


@dataclass(frozen=True, slots=True)
class LabelMapping:
    """What the subjects and the behaviours of the labels become in one recording."""

    animals: tuple[str, ...]
    subjects: Mapping[str, str | None]
    """Subject to animal; None: left out. ``""`` stands for events without a subject."""
    reasons: Mapping[str, str]
    """Where the mapping of each subject comes from, for people to read."""
    actions: Mapping[str, ActionMapping]
    """Animals include objects and zones, which are targets alone."""
    zones: tuple[str, ...] = ()
    """The last of `animals`, which are zones."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The animals that the project gives other names, also where no event of the
    recording has such a name as its subject."""

    @property
    def tracked(self) -> tuple[str, ...]:
        """The animals and objects."""
        return self.animals[: len(self.animals) - len(self.zones)]

    def find_target(self, name: str) -> str | None:
        """Return the animal or object of a name, or else the zone."""
        return find_animal(name, self.tracked) or find_zone(name, self.zones)

    def number_of(self, animal: str) -> int:
        """Return an animal's number in the standard layout, which counts from 1."""
        return self.animals.index(animal) + 1

    @property
    def homeless(self) -> frozenset[str]:
        """Subjects for whom no animal was left."""
        return frozenset(
            subject
            for subject, animal in self.subjects.items()
            if animal is None and self.reasons[subject].startswith("guess")
        )


def slug(behaviour: str) -> str:
    """Return a name that the standard layout can hold: no blanks, commas or quotes."""
    return re.sub(r"[\s,'\"\[\]]+", "_", behaviour.strip()).strip("_")


def map_labels(
    animals: Sequence[str],
    subjects: Iterable[str],
    behaviours: Iterable[str],
    project: Project,
    *,
    lab: LabelNames | None = None,
    agents: Sequence[str] = (),
    zones: Sequence[str] = (),
) -> LabelMapping:
    """Return the mapping of labels to the animals of one recording.

    `agents` are those that are no objects; by default all are. `zones` are the zones of
    the recording, which are targets as well.
    `subjects` are those of the recording's own labels, `lab` the names in all labels.
    Raises `ConfigError` where the project names an animal that the recording lacks.
    """
    lab = lab or LabelNames()
    own = list(dict.fromkeys(subjects))
    agents = agents or animals
    animal_of, reasons = _map_subjects(agents, own, lab, project)
    if lost := sorted({a for a in animal_of.values() if a and a not in agents}):
        raise ConfigError(
            f"project.yaml: subjects are mapped to {lost}, but the animals are "
            f"{list(agents)}"
        )
    actions = {
        behaviour: _map_action(
            behaviour,
            animals,
            project,
            lab.named_targets.get(behaviour, frozenset()),
            lab.named_zones.get(behaviour, frozenset()),
            agents=len(agents),
            zones=zones,
        )
        for behaviour in behaviours
    }
    return LabelMapping(
        (*animals, *zones),
        animal_of,
        reasons,
        actions,
        tuple(zones),
        {
            name: told
            for name, told in project.subjects.items()
            if told is not None and told in animals
        },
    )


def _map_subjects(
    animals: Sequence[str],
    own: Sequence[str],
    lab: LabelNames,
    project: Project,
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Return the animal of each subject, and where the mapping comes from.

    Names that are no animal's are dealt to the animals that are left: those that occur
    with the recording's in any labels, where they are no more than these, so that a
    role is the same animal in every recording; else those of the recording.
    """
    animal_of: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    everybody = list(dict.fromkeys(name for name in (*lab.subjects, *own) if name))
    for name in ("", *everybody):
        told = project.subjects.get(name)
        if name in project.subjects and (name in own or told in (None, *animals)):
            animal_of[name], reasons[name] = told, "project.yaml"
        elif animal := find_animal(name, animals):
            is_same = same_name(animal, name)
            animal_of[name] = animal
            reasons[name] = "same name" if is_same else "guess: its number"
        elif STREAM.fullmatch(name):
            animal_of[name], reasons[name] = animals[0], "a stream, not an animal"
    free = [animal for animal in animals if animal not in animal_of.values()]
    near = {*own, *lab.companions(own)}
    strangers = [name for name in everybody if name not in animal_of and name in near]
    if len(strangers) > len(free):
        strangers = [name for name in strangers if name in own]
    only = "there is one animal" if len(animals) == 1 else ""
    for name in strangers:
        if free:
            animal_of[name] = free.pop(0)
            reasons[name] = only or "guess: the next animal"
        else:
            animal_of[name] = None
            reasons[name] = "guess: left out, all animals have a subject"
    for name, told in project.subjects.items():
        if told is None and name not in animal_of:  # named as a target alone
            animal_of[name], reasons[name] = None, "project.yaml"
    if "" in own and "" not in animal_of:
        animal_of[""], reasons[""] = animals[0], only or "guess: the first animal"
    return animal_of, reasons


def find_animal(subject: str, animals: Sequence[str]) -> str | None:
    """Return the animal of the same name, or of the number in ``mouse2``."""
    if not subject:
        return None
    found = next((each for each in animals if same_name(each, subject)), None)
    if found is not None:
        return found
    number = re.fullmatch(
        r"(?:mouse|rat|animal|individual|subject)?([1-9])", squeeze(words_of(subject))
    )
    if number and int(number[1]) <= len(animals):
        return animals[int(number[1]) - 1]
    return None


def named_animal(
    modifier: str, animals: Sequence[str], subjects: Iterable[str]
) -> bool:
    """Return whether what an event names as its target can be an animal.

    A bare number is one only where animals or subjects are called by numbers.
    """
    names = (*animals, *subjects)
    if modifier.strip().isdecimal():
        return any(name.strip().isdecimal() for name in names) and (
            any(same_name(name, modifier) for name in names)
            or find_animal(modifier, animals) is not None
        )
    return any(same_name(name, modifier) for name in names if name) or (
        find_animal(modifier, animals) is not None
    )


def find_zone(name: str, zones: Sequence[str]) -> str | None:
    """Return the zone of the same name."""
    return next((zone for zone in zones if same_name(zone, name)), None)


def zones_of_action(action: ActionMapping, mapping: LabelMapping) -> list[str]:
    """Return the zones of a recording at which an action may be directed.

    They are those that events name; all, where the project says that it is at zones and
    no event names one.
    """
    if action.named_zones:
        found = (find_zone(name, mapping.zones) for name in action.named_zones)
        return sorted({zone for zone in found if zone is not None})
    return list(mapping.zones) if action.target == ZONE else []


def find_named_targets(
    files: Iterable[FileAnnotations],
    animals: Sequence[str],
    subjects: Sequence[str],
    zones: Sequence[str] = (),
) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Return what the events of each behaviour have as targets, and which zones."""
    found: dict[str, set[str]] = {}
    at_zones: dict[str, set[str]] = {}
    for behaviour, subject, target in _directions(files):
        parts = [part for part in target.split("|") if part]
        kinds = {
            "self" if part in (SELF, subject) else "other"
            for part in parts
            if part == SELF or named_animal(part, animals, subjects)
        }
        named = {zone for part in parts if (zone := find_zone(part, zones))}
        if not kinds and named:
            at_zones.setdefault(behaviour, set()).update(named)
            found.setdefault(behaviour, set())
        else:
            found.setdefault(behaviour, set()).update(kinds or {""})
    return (
        {behaviour: frozenset(kinds) for behaviour, kinds in found.items()},
        {behaviour: frozenset(names) for behaviour, names in at_zones.items()},
    )


def _directions(files: Iterable[FileAnnotations]) -> set[tuple[str, str, str]]:
    """Return behaviour, subject and target of events, and of what was watched for."""
    found: set[tuple[str, str, str]] = set()
    for each in files:
        found |= {(e.behaviour, e.subject, e.target) for e in each.events}
        for watched in each.watched or ():
            if watched.behaviour and watched.target:
                found.add((watched.behaviour, watched.subject, watched.target))
    return found


def _map_action(
    behaviour: str,
    animals: Sequence[str],
    project: Project,
    kinds: frozenset[str],
    at_zones: frozenset[str],
    *,
    agents: int,
    zones: Sequence[str],
) -> ActionMapping:
    """Return what a behaviour becomes; so many of the animals are no objects.

    `kinds` and `at_zones` are what its events name.
    """
    settings = project.actions.get(behaviour, ActionSettings())
    if settings is None:
        return ActionMapping(behaviour, None, "self", None, "left out by project.yaml")
    for name in (settings.agent, settings.target):
        if name not in (None, "self", "other", ZONE, *animals, *zones):
            of_zones = f" and the zones {list(zones)}" if zones else ""
            raise ConfigError(
                f"project.yaml: action {behaviour!r} names {name!r}, but the animals "
                f"are {list(animals)}{of_zones}"
            )
    named = kinds - {""}
    if settings.target:
        target, reason = settings.target, "project.yaml"
    elif not at_zones and (len(animals) == 1 or (agents == 1 and not named)):
        target, reason = "self", "there is one animal"
    elif (named or at_zones) and "" not in kinds:
        target, reason = NAMED, "each event names its target"
    elif len(animals) == 1:
        target, reason = "self", "there is one animal, where no zone is named"
    elif _SELF_ACTIONS.search(behaviour):
        target, reason = "self", "guess: an action without a partner"
    elif len(animals) == 2:
        target, reason = "other", "guess: the other animal"
    else:
        target, reason = "other", "each event must have a target"
    name = slug(settings.name or behaviour)
    return ActionMapping(
        behaviour, name, target, settings.agent, reason, named, at_zones
    )
