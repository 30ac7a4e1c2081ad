"""What to ask of data when nobody said: from how they were labelled.

Where every recording has one pair of animals whose frames are all labelled, with one
action each, the labels tell what goes on in the scene. Anything else is who does what
to whom.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from mabe.bouts import Bout
from mabe.store import StoredRecording

COVERED_SHARE = 0.95
"""Share of the frames that labels have to cover, to be one class a frame."""


@dataclass(frozen=True, slots=True)
class Guess:
    """Settings, and why."""

    settings: dict[str, Any]
    reasons: tuple[str, ...]


def guess_question(
    recordings: Sequence[StoredRecording], *, ignore: Collection[str] = ()
) -> Guess:
    """Return what to ask of labelled recordings; actions to ignore are no classes."""
    labelled = [each for each in recordings if each.has_labels and each.bouts]
    if labelled and all(map(_is_one_class_a_frame, labelled)):
        frames: Counter[str] = Counter()
        for bout in (bout for each in labelled for bout in each.bouts):
            frames[bout.action] += bout.stop - bout.start
        ranked = [action for action, _ in frames.most_common()]
        actions = [action for action in ranked if action not in ignore]
        return Guess(
            {"task": "scene", "classes": {each: [each] for each in actions}},
            (
                "Task: scene, as each frame has one label and no direction; classes: "
                f"{', '.join(actions)}. To leave some out: --set 'ignore=[NAME]'; to "
                "join some: `classes` in a config",
            ),
        )
    return Guess(
        {"task": "pair"},
        (
            "Task: pair, who does what to whom, as labels name agents and targets; "
            "all actions that were watched for",
        ),
    )


def _is_one_class_a_frame(recording: StoredRecording) -> bool:
    pairs = {(bout.agent, bout.target) for bout in recording.bouts}
    if len(pairs) > 1 or any(agent == target for agent, target in pairs):
        return False
    bouts = sorted(recording.bouts, key=lambda bout: bout.start)
    covered = sum(bout.stop - bout.start for bout in bouts)
    return not _overlap(bouts) and covered >= COVERED_SHARE * recording.native_length


def _overlap(bouts: Sequence[Bout]) -> bool:
    """Tell whether two bouts, in order of their start, share a frame."""
    return any(after.start < before.stop for before, after in pairwise(bouts))
