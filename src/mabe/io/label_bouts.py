"""Events of label files as bouts of animals, in the frames of a recording.

`mabe.io.behaviour_names` maps the names. An event whose agent or target has no animal
in the recording is left out, with a note.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from mabe.bouts import Bout
from mabe.errors import DataError
from mabe.io.behaviour_names import (
    NAMED,
    STREAM,
    ZONE,
    ActionMapping,
    LabelMapping,
    find_zone,
    named_animal,
    zones_of_action,
)
from mabe.io.readers.annotations import SELF, Event, FileAnnotations
from mabe.io.recording_names import same_name
from mabe.runtime.console import count


def to_bouts(
    annotations: FileAnnotations, mapping: LabelMapping
) -> tuple[tuple[Bout, ...], list[str]]:
    """Return annotations in frames as bouts, and notes on the events left out.

    Raises `DataError` for an event whose target is not known.
    """
    bouts: set[Bout] = set()
    dropped: Counter[str] = Counter()
    for event in _without_fillers(annotations):
        action = mapping.actions[event.behaviour]
        agent = _agent(event, action, mapping)
        lost = _lost_animal(event, action, mapping) if agent else event.subject
        if action.name is None or agent is None or lost is not None:
            whom = f" of {lost!r}" if lost is not None else ""
            dropped[f"{event.behaviour!r}{whom} left out"] += 1
            continue
        target = _target(event, action, agent, mapping)
        if target is None:
            raise DataError(
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
    notes = [f"{what}: {count(events, 'event')}" for what, events in dropped.items()]
    return join_overlaps(bouts), notes


def _lost_animal(
    event: Event, action: ActionMapping, mapping: LabelMapping
) -> str | None:
    """Return the target of an event that is no animal of the recording."""
    parts = [part for part in event.target.split("|") if part]
    for part in parts:
        if mapping.subjects.get(part, "") is None:
            return part
    is_known = any(part == SELF or animal_of_modifier(part, mapping) for part in parts)
    is_named = action.target == NAMED or (action.target == ZONE and event.target)
    return event.target if is_named and not is_known else None


def lost_behaviours(
    annotations: FileAnnotations, mapping: LabelMapping
) -> dict[str, set[str]]:
    """Return the behaviours of events whose agent or target has no animal, and these.

    Not those of subjects that the project leaves out. Of such a behaviour a recording
    does not tell when it did not occur.
    """
    lost: dict[str, set[str]] = {}
    for event in annotations.events:
        action = mapping.actions[event.behaviour]
        nobody = event.subject if event.subject in mapping.homeless else None
        if mapping.subjects.get(event.subject) is not None:
            target = _lost_animal(event, action, mapping)
            is_guess = mapping.reasons.get(target or "", "guess").startswith("guess")
            nobody = target if is_guess else None
        if nobody is not None and action.name is not None:
            lost.setdefault(event.behaviour, set()).add(nobody)
    return lost


def _without_fillers(annotations: FileAnnotations) -> list[Event]:
    """Return the events without those that only fill an additional stream.

    Streams of the Caltech annotator have a type for every frame. Where a stream after
    the first begins and ends with one behaviour, that behaviour fills the frames
    without annotation.
    """
    streams = {event.subject for event in annotations.events}
    if not streams or not all(STREAM.fullmatch(name) for name in streams):
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
        if part and (named := animal_of_modifier(part, mapping)):
            return named
    if action.target == "self":
        return agent
    if action.target == ZONE:
        return _only_zone(action, mapping)
    if action.target not in ("other", NAMED):
        return action.target
    others = [animal for animal in mapping.tracked if animal != agent]
    return others[0] if len(others) == 1 else None


def _only_zone(action: ActionMapping, mapping: LabelMapping) -> str | None:
    """Return the zone of events that name none; None where there are several."""
    if action.target != ZONE:
        return None
    zones = zones_of_action(action, mapping)
    return zones[0] if len(zones) == 1 else None


def animal_of_modifier(modifier: str, mapping: LabelMapping) -> str | None:
    """Return the animal or zone that an event's modifier names; None where none is."""
    names = (*mapping.subjects, *mapping.names)
    if not named_animal(modifier, mapping.tracked, names):
        return find_zone(modifier, mapping.zones)
    for known in (mapping.subjects, mapping.names):
        same = next((name for name in known if name and same_name(name, modifier)), "")
        if same and (animal := known.get(same)):
            return animal
    return mapping.find_target(modifier)


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
