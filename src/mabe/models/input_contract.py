"""What a model learned from, so that new recordings can be held against it.

A recording that has fewer keypoints or other animals can still be marked; what is
missing then, and what is of no use, is said.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mabe.errors import DataError
from mabe.recording import StoredRecording
from mabe.skeleton import KEYPOINTS

_SAME_RATE = 0.01


@dataclass(frozen=True, slots=True)
class InputContract:
    """The keypoints, animals and frame rates of the recordings learned from."""

    keypoints: tuple[str, ...]
    animals: tuple[int, ...]
    """How many animals the recordings had; each number once, ascending."""
    rates_fps: tuple[float, ...]
    """Their frame rates, the commonest first."""

    @classmethod
    def of(cls, recordings: Sequence[StoredRecording]) -> "InputContract":
        """Return the contract of recordings."""
        seen = {slot % len(KEYPOINTS) for each in recordings for slot in each.slots}
        rates = Counter(each.fps for each in recordings)
        return cls(
            tuple(KEYPOINTS[at] for at in sorted(seen)),
            tuple(sorted({_count_animals(each) for each in recordings})),
            tuple(rate for rate, _ in rates.most_common()),
        )

    @classmethod
    def from_json(cls, values: dict[str, Any] | None) -> "InputContract | None":
        """Return the contract of a card; None where the card has none."""
        if not values:
            return None
        return cls(
            tuple(values["keypoints"]),
            tuple(values["animals"]),
            tuple(values["rates_fps"]),
        )

    def compare(self, about: StoredRecording, *, working_fps: float) -> list[str]:
        """Return how a recording differs, and what is done about it.

        Raises `DataError` where it has nothing in common with what was learned from.
        """
        own = {KEYPOINTS[slot % len(KEYPOINTS)] for slot in about.slots}
        lacking = [name for name in self.keypoints if name not in own]
        if own and len(lacking) == len(self.keypoints):
            raise DataError(
                f"{about.name}: has {', '.join(sorted(own))}; the model learned "
                f"from {', '.join(self.keypoints)} and knows none of these. Map the "
                "keypoints in project.yaml, or train on recordings like this one."
            )
        notes = []
        if lacking:
            notes.append(
                f"keypoints it learned from, taken for missing: {_list(lacking)}"
            )
        if strange := sorted(own - set(self.keypoints)):
            notes.append(
                f"keypoints it never saw and cannot use well: {_list(strange)}"
            )
        animals = _count_animals(about)
        if animals not in self.animals:
            known = " or ".join(map(str, self.animals))
            notes.append(f"{animals} animals; it learned from recordings of {known}")
        if not any(abs(about.fps / rate - 1) < _SAME_RATE for rate in self.rates_fps):
            known = ", ".join(f"{rate:g}" for rate in self.rates_fps)
            notes.append(
                f"filmed at {about.fps:g} fps, it learned from {known}: brought to its "
                f"{working_fps:g}"
            )
        return notes


def _count_animals(recording: StoredRecording) -> int:
    return len({slot // len(KEYPOINTS) for slot in recording.slots})


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
