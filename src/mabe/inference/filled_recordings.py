"""Predictions that fill whole recordings: possible, and most often a fault.

A model that meets another camera or another scale can see one action from beginning to
end. Nothing is changed; the user is told.
"""

from collections import defaultdict
from collections.abc import Iterable

from mabe.bouts import RecordingBouts
from mabe.runtime.console import count

FILLED = 0.95
"""Share of a recording's frames from which on an action fills it."""


LEAST_S = 30.0
"""Shorter recordings may well show one action alone."""


_SHOWN = 3


def notes_on_filled(recordings: Iterable[RecordingBouts]) -> list[str]:
    """Return a note for each action that fills recordings, with their names."""
    filled: dict[str, list[str]] = defaultdict(list)
    for recording in recordings:
        if recording.length < LEAST_S * recording.fps:
            continue
        frames: dict[tuple[str, int, int], int] = defaultdict(int)
        for bout in recording.bouts:
            frames[bout.action, bout.agent, bout.target] += bout.stop - bout.start
        enough = FILLED * recording.length
        whole = {action for (action, *_), number in frames.items() if number >= enough}
        for action in sorted(whole):
            filled[action].append(f"{recording.lab}/{recording.video}")
    return [
        f"{action} fills {count(len(names), 'whole recording')} "
        f"({', '.join(names[:_SHOWN])}{' …' if len(names) > _SHOWN else ''}); look at "
        "them before you use them: is the scale right, and the camera like those that "
        "the model was trained on?"
        for action, names in filled.items()
    ]
