"""Predictions as BORIS events: a `.boris` project, and a table to paste.

A bout is a state event with a START and a STOP; the agent is the subject, and the
target (``self`` for an action on oneself) is a modifier. Times have three decimals,
which is exact to the frame at any camera's rate. The table has the six columns that
BORIS accepts from the clipboard (time, subject, code, modifier, comment, frame) and no
additional line.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mabe.bouts import NO_ANIMAL, Bout, Coverage, RecordingBouts
from mabe.io.predictions import PredictionProvenance
from mabe.io.readers import facts
from mabe.io.readers.boris_project import WATCHED
from mabe.runtime.csv_cells import cell_of
from mabe.runtime.file_names import path_under
from mabe.runtime.files import write_json, write_text

FACTS = facts.written(
    "`boris`",
    clock="s from the film's beginning, exact to the frame",
    stop="times",
    watched="the whole ethogram",
    animals="the agent is the subject, the target a modifier",
    notes="`predictions.boris`, one observation for each recording, and "
    "`VIDEO.paste.tsv`, which can be pasted into the events of an open observation",
)


_KEYS = "abcdefghijklmnopqrstuvwxyz0123456789"


_WATCHED_VARIABLE = {
    "label": WATCHED,
    "description": "When was watched for what: start and stop in s, behaviour, "
    "subject, target. Elsewhere nothing is known.",
    "type": "text",
    "default value": "",
    "possible values": "",
}


_DATE = "1970-01-01T00:00:00"
"""BORIS needs a date; that of the recording is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BorisHeading:
    """What a project says beside its events."""

    name: str
    description: str
    actions: tuple[str, ...]
    """The ethogram; actions that only have bouts are added."""
    points: frozenset[str] = frozenset()
    """Actions that are point events: of their bouts only the starts are written."""
    is_exclusive: bool = False
    """Whether each action excludes all others."""
    places: frozenset[str] = frozenset()
    """Names of objects and zones, which are targets alone and no subjects."""
    media: Mapping[str, str] = field(default_factory=dict)
    """The film of each recording; without one it is called ``VIDEO.mp4``."""
    watched: Mapping[str, Coverage] = field(default_factory=dict)
    """When was watched for what, which BORIS has no place for: it is noted as an
    independent variable, from which mabe reads it again."""
    of_recording: Callable[[RecordingBouts], str]
    """Gives the description of an observation."""

    @classmethod
    def of_predictions(cls, provenance: PredictionProvenance) -> "BorisHeading":
        """Return that of the predictions of a model."""
        return cls(
            name="predictions of mabe",
            description="Predicted by mabe; provenance:\n" + provenance.to_text(),
            actions=tuple(provenance.actions),
            is_exclusive=provenance.task != "pair",  # a frame of a scene has one class
            of_recording=lambda each: provenance.of_recording(each).to_text(),
        )


def write_boris(
    folder: Path,
    recordings: Sequence[RecordingBouts],
    provenance: PredictionProvenance,
    *,
    heading: BorisHeading | None = None,
) -> list[Path]:
    """Write a project with all recordings as observations, and one table for each.

    The heading is that of the predictions, unless another one is given.
    """
    heading = heading or BorisHeading.of_predictions(provenance)
    project = folder / "predictions.boris"
    write_json(project, boris_project(recordings, heading))
    tables = []
    for each in recordings:
        table = path_under(folder, each.video, ending=".paste.tsv")
        events = boris_events(each, heading.points)
        write_text(table, "\n".join(map(_pasted_line, events)))
        tables.append(table)
    return [project, *tables]


def _pasted_line(event: Sequence[Any]) -> str:
    """Return an event as a line of cells; a tab or line break in a name is a space."""
    cells = (
        cell_of(" ".join(value.split())) if isinstance(value, str) else str(value)
        for value in event
    )
    return "\t".join(cells)


def boris_project(
    recordings: Sequence[RecordingBouts], heading: BorisHeading
) -> dict[str, Any]:
    """Return a project as BORIS 7 to 9 read it."""
    animals = list(
        dict.fromkeys(name for each in recordings for name in _animals(each))
    )
    bouts = [bout for each in recordings for bout in each.bouts]
    actions = dict.fromkeys((*heading.actions, *(bout.action for bout in bouts)))
    has_targets = any(bout.target != NO_ANIMAL for bout in bouts)
    subjects = [name for name in animals if name not in heading.places]
    return {
        "time_format": "s",
        "project_date": _DATE,
        "project_name": heading.name,
        "project_description": heading.description,
        "project_format_version": "7.0",
        "subjects_conf": {
            str(at): {"key": _key(at), "name": name, "description": ""}
            for at, name in enumerate(subjects)
        },
        "behaviors_conf": {
            str(at): _behaviour(
                at,
                action,
                ["self", *animals] if has_targets else [],
                is_point=action in heading.points,
                excluded=[each for each in actions if each != action]
                if heading.is_exclusive
                else (),
            )
            for at, action in enumerate(actions)
        },
        "observations": {
            each.video: _observation(each, heading) for each in recordings
        },
        "behavioral_categories": [],
        "independent_variables": {"0": _WATCHED_VARIABLE} if heading.watched else {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }


def _animals(each: RecordingBouts) -> list[str]:
    """Return the names of all animals that the lab names or that have a bout."""
    numbers = {*range(1, len(each.animals) + 1)}
    numbers |= {animal for bout in each.bouts for animal in (bout.agent, bout.target)}
    return [each.name_of(animal) for animal in sorted(numbers - {NO_ANIMAL})]


def _key(at: int) -> str:
    """Return a key for coding; none for more behaviours than keys."""
    return _KEYS[at] if at < len(_KEYS) else ""


def _behaviour(
    at: int,
    action: str,
    targets: Sequence[str],
    *,
    is_point: bool,
    excluded: Sequence[str],
) -> dict[str, Any]:
    modifiers = {"0": {"name": "target", "type": 0, "values": list(targets)}}
    return {
        "type": "Point event" if is_point else "State event",
        "key": _key(at),
        "code": action,
        "description": "",
        "category": "",
        "modifiers": modifiers if targets else {},
        "excluded": ",".join(excluded),
        "coding map": "",
    }


def _observation(each: RecordingBouts, heading: BorisHeading) -> dict[str, Any]:
    media = heading.media.get(each.video, f"{each.video}.mp4")
    watched = heading.watched.get(each.video)
    return {
        "file": {"1": [media], **{str(player): [] for player in range(2, 9)}},
        "type": "MEDIA",
        "date": _DATE,
        "description": heading.of_recording(each),
        "time offset": 0.0,
        "events": [list(event) for event in boris_events(each, heading.points)],
        "observation time interval": [0, 0],
        "independent_variables": {}
        if watched is None
        else {WATCHED: json.dumps(_rows_of(each, watched), ensure_ascii=False)},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "scan_sampling_time": 0,
        "media_info": {
            "length": {media: round(each.length / each.fps, 6)},
            "fps": {media: each.fps},
            "hasVideo": {media: True},
            "hasAudio": {media: False},
            "offset": {"1": 0.0},
        },
    }


def _rows_of(each: RecordingBouts, watched: Coverage) -> list[list[Any]]:
    """Return what was watched as start and stop in s, action, agent and target."""
    return [
        [
            round(span.start / each.fps, 3),
            round(span.stop / each.fps, 3),
            span.action,
            each.name_of(span.agent),
            "self" if span.target == span.agent else each.name_of(span.target),
        ]
        for span in watched
    ]


def boris_events(
    each: RecordingBouts, points: Collection[str] = ()
) -> list[tuple[float, str, str, str, str, int]]:
    """Return two events for each bout, in time order, stops before starts.

    Of actions that are `points` there is one, the start.
    """
    moments = []
    for bout in each.bouts:
        moments.append((bout.start, 1, bout))
        if bout.action not in points:
            moments.append((bout.stop, 0, bout))
    moments.sort(key=lambda moment: (moment[0], moment[1], moment[2]))
    return [
        (
            round(frame / each.fps, 3),
            each.name_of(bout.agent),
            bout.action,
            each.target_name(bout),
            _comment(bout) if is_start else "",
            frame,
        )
        for frame, is_start, bout in moments
    ]


def _comment(bout: Bout) -> str:
    return "" if bout.probability is None else f"probability {bout.probability:.3f}"
