"""What the recordings that a model was trained on were like.

A recording with other keypoints, another number of animals or another frame rate can
still be predicted; the differences, and what is done about them, are listed.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mabe.errors import DataError
from mabe.recording import StoredRecording
from mabe.runtime.console import count
from mabe.skeleton import joined_keypoints

_SAME_RATE = 0.01


@dataclass(frozen=True, slots=True)
class InputContract:
    """The keypoints, numbers of animals and frame rates of training recordings."""

    keypoint_sets: tuple[tuple[str, ...], ...]
    """The keypoints that are tracked in a recording; each set once, the most frequent
    first."""
    animals: tuple[int, ...]
    """Numbers of animals in a recording, ascending."""
    rates_fps: tuple[float, ...]
    """Frame rates, the most frequent first."""

    @classmethod
    def of(cls, recordings: Sequence[StoredRecording]) -> "InputContract":
        """Return the contract of recordings."""
        sets = Counter(_tracked_keypoints(each) for each in recordings)
        rates = Counter(each.fps for each in recordings)
        return cls(
            tuple(each for each, _ in sets.most_common()),
            tuple(sorted({_count_animals(each) for each in recordings})),
            tuple(rate for rate, _ in rates.most_common()),
        )

    @classmethod
    def union(cls, contracts: Iterable["InputContract"]) -> "InputContract":
        """Return what the recordings of several models were like."""
        each = list(contracts)
        return cls(
            tuple(dict.fromkeys(chain.from_iterable(c.keypoint_sets for c in each))),
            tuple(sorted(set(chain.from_iterable(c.animals for c in each)))),
            tuple(dict.fromkeys(chain.from_iterable(c.rates_fps for c in each))),
        )

    @classmethod
    def from_json(cls, values: dict[str, Any] | None) -> "InputContract | None":
        """Return the contract of a card; None where the card has none."""
        if not values:
            return None
        return cls(
            tuple(map(tuple, values["keypoint_sets"])),
            tuple(values["animals"]),
            tuple(values["rates_fps"]),
        )

    @property
    def keypoints(self) -> tuple[str, ...]:
        """All keypoints that were tracked in some recording."""
        known = {name for one in self.keypoint_sets for name in one}
        return tuple(name for name in joined_keypoints([known]) if name in known)

    def compare(
        self, recording: StoredRecording, *, working_fps: float, read: Collection[str]
    ) -> list[str]:
        """Return how a recording differs, and what is done about it.

        `read` are the keypoints that the model's features are made of. Keypoints that
        are missing are those of the most similar training recording. Raises `DataError`
        where the recording has no keypoint that the model reads and any of them has.
        """
        tracked = _tracked_keypoints(recording)
        readable = [name for name in self.keypoints if name in read]
        if tracked and not set(tracked) & set(readable):
            raise DataError(
                f"{recording.name}: its keypoints are {_list(tracked)}; the model "
                "reads none of them, but these of the recordings it was trained on: "
                f"{_list(readable)}. Map the keypoints in project.yaml, or train on "
                "recordings like this one."
            )
        notes = self._compare_keypoints(tracked, read)
        animals = _count_animals(recording)
        if animals not in self.animals:
            known = " or ".join(map(str, self.animals))
            notes.append(
                f"{count(animals, 'animal')}; the model was trained on {known}"
            )
        if not any(
            abs(recording.fps / rate - 1) < _SAME_RATE for rate in self.rates_fps
        ):
            known = _list([f"{rate:g}" for rate in self.rates_fps])
            notes.append(
                f"{recording.fps:g} fps; the model was trained on {known} fps "
                f"(resampled to {working_fps:g})"
            )
        return notes

    def _compare_keypoints(
        self, tracked: tuple[str, ...], read: Collection[str]
    ) -> list[str]:
        of_model = set(tracked) & set(read)
        sets = [[name for name in one if name in read] for one in self.keypoint_sets]
        nearest = min(sets, key=lambda one: len(set(one) ^ of_model))
        notes = []
        if lacking := [name for name in nearest if name not in tracked]:
            notes.append(
                f"keypoints not tracked here (treated as missing): {_list(lacking)}"
            )
        if unknown := [name for name in tracked if name not in self.keypoints]:
            notes.append(
                f"keypoints that no training recording has (of little use): "
                f"{_list(unknown)}"
            )
        if unread := [
            name for name in tracked if name in self.keypoints and name not in read
        ]:
            others = _list(name for name in tracked if name in of_model)
            notes.append(
                f"keypoints that the model does not read: {_list(unread)}; it predicts "
                f"from {others} alone"
            )
        return notes


def _tracked_keypoints(recording: StoredRecording) -> tuple[str, ...]:
    """Return the keypoints that some animal has, in the order of the skeleton."""
    tracked = {
        point.keypoint
        for point in recording.points
        if point.animal + 1 not in recording.objects
    }
    return tuple(name for name in recording.keypoints if name in tracked)


def _count_animals(recording: StoredRecording) -> int:
    return len(recording.tracked_animals)


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
