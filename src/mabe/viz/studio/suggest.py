"""Which stretches to label next, and why.

Three reasons take turns: the model's decisions there are *uncertain*; an action of
which there are few labels is *suspected*; the stretch is *unlike* everything that is
labelled (the farthest in its description, Gonzalez 1985). Before the first training
the last one takes turns with stretches *drawn* at random, so that the usual is labelled
too. Suggestions lie apart, so that one does not repeat another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from mabe.runtime.files import write_atomically
from mabe.viz.studio.stretches import LEAST_TRACKED, Stretches

LABELLED_FROM = 0.5
"""A stretch of which so much is labelled is not suggested."""


SUSPECTED_FROM = 0.15
"""Mean probability of an action from which it is suspected in a stretch."""


_APART = 1
"""Stretches between two suggestions of one recording and pair."""


@dataclass(frozen=True, slots=True, eq=False)
class StretchScores:
    """What a model predicts of each stretch."""

    actions: tuple[str, ...]
    error: Float[np.ndarray, " stretch"]
    """Mean probability of a wrong decision, of the least certain view."""
    probability: Float[np.ndarray, "stretch action"]
    """The highest mean probability over a second, of any view."""

    def write(self, path: Path) -> None:
        """Write the scores to a file."""

        def save(place: Path) -> None:
            with place.open("wb") as file:
                np.savez_compressed(
                    file,
                    actions=np.array(self.actions),
                    error=self.error,
                    probability=self.probability,
                )

        write_atomically(path, save)

    @classmethod
    def read(cls, path: Path) -> "StretchScores":
        """Return the scores of a file."""
        with np.load(path, allow_pickle=False) as file:
            actions = tuple(str(name) for name in file["actions"])
            return cls(actions, file["error"], file["probability"])


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A stretch to label, and why."""

    place: int
    """Its place among the stretches."""
    reason: str
    action: str | None = None
    """The action that is suspected."""

    def to_json(self, stretches: Stretches) -> dict[str, Any]:
        """Return what the page shows of it."""
        start, stop = stretches.frames[self.place].tolist()
        return {
            "recording": int(stretches.recording[self.place]),
            "name": stretches.names[stretches.recording[self.place]],
            "pair": stretches.pair[self.place].tolist(),
            "start": start,
            "stop": stop,
            "reason": self.reason,
            "action": self.action,
        }


def suggest(
    stretches: Stretches,
    labelled: Float[np.ndarray, " stretch"],
    scores: StretchScores | None,
    rarity: Sequence[float] = (),
    *,
    most: int = 12,
) -> list[Suggestion]:
    """Return the stretches to label next, those that would teach most first.

    `labelled` is the labelled share of each stretch; `rarity` is from 0 to 1 for each
    action of the scores, highest for the one with fewest labels.
    """
    is_free = (labelled < LABELLED_FROM) & (stretches.tracked >= LEAST_TRACKED)
    novel = _Novelty(stretches, labelled >= LABELLED_FROM)
    ways: list[Callable[[Bool[np.ndarray, " stretch"]], Suggestion | None]]
    sample = _sample(int((labelled >= LABELLED_FROM).sum()))
    ways = [novel.next, sample, sample]
    if scores is not None:
        uncertain = _uncertain(scores)
        ways = [uncertain, _suspected(scores, rarity), uncertain, novel.next]
    chosen: list[Suggestion] = []
    for way in _turns(ways):
        if len(chosen) >= most or not is_free.any():
            break
        found = way(is_free)
        if found is None:
            if all(each(is_free) is None for each in ways):
                break
            continue
        chosen.append(found)
        novel.add(found.place)
        is_free = is_free & ~_near(stretches, found.place)
    return chosen


def _turns(ways: Sequence[Any]) -> Iterator[Any]:
    while True:
        yield from ways


def _near(stretches: Stretches, place: int) -> Bool[np.ndarray, " stretch"]:
    """Return the stretches at the same time or next to it, in the same recording."""
    start, stop = stretches.frames[place]
    margin = _APART * (stop - start) + 1
    is_same = stretches.recording == stretches.recording[place]
    first, last = stretches.frames.T
    return is_same & (first < stop + margin) & (last > start - margin)


def _uncertain(
    scores: StretchScores,
) -> Callable[[Bool[np.ndarray, " stretch"]], Suggestion | None]:
    def choose(is_free: Bool[np.ndarray, " stretch"]) -> Suggestion | None:
        value = np.where(is_free, scores.error, -1.0)
        place = int(value.argmax())
        if value[place] <= 0:
            return None
        percent = f"{100 * scores.error[place]:.0f}"
        share = f"{percent} %" if percent != "0" else "under 1 %"
        return Suggestion(place, f"uncertain: {share} of decisions expected wrong")

    return choose


def _suspected(
    scores: StretchScores, rarity: Sequence[float]
) -> Callable[[Bool[np.ndarray, " stretch"]], Suggestion | None]:
    weight = np.array(rarity, float) if len(rarity) else np.ones(len(scores.actions))

    def choose(is_free: Bool[np.ndarray, " stretch"]) -> Suggestion | None:
        if not len(scores.actions):
            return None
        known = np.where(scores.probability >= SUSPECTED_FROM, scores.probability, 0)
        value = np.where(is_free[:, None], known * weight, 0)
        place, action = divmod(int(value.argmax()), value.shape[1])
        if value[place, action] <= 0:
            return None
        name, likely = scores.actions[action], scores.probability[place, action]
        reason = f"{name} suspected (probability {likely:.2f}), few labels of it"
        return Suggestion(place, reason, name)

    return choose


def _sample(seed: int) -> Callable[[Bool[np.ndarray, " stretch"]], Suggestion | None]:
    rng = np.random.default_rng(seed)

    def choose(is_free: Bool[np.ndarray, " stretch"]) -> Suggestion | None:
        if not is_free.any():
            return None
        place = int(rng.choice(np.flatnonzero(is_free)))
        return Suggestion(place, "drawn at random, so that the usual is labelled too")

    return choose


class _Novelty:
    """The stretch that is farthest from all that are labelled or suggested."""

    def __init__(
        self, stretches: Stretches, known: Bool[np.ndarray, " stretch"]
    ) -> None:
        self.points = stretches.description.clip(-3, 3)
        self.away = np.full(len(stretches), np.inf)
        for place in np.flatnonzero(known):
            self.add(int(place))

    def add(self, place: int) -> None:
        """Take a stretch as known."""
        away = np.linalg.norm(self.points - self.points[place], axis=1)
        self.away = np.minimum(self.away, away)

    def next(self, is_free: Bool[np.ndarray, " stretch"]) -> Suggestion | None:
        """Return the farthest stretch; the liveliest where nothing is known yet."""
        if not is_free.any():
            return None
        if np.isinf(self.away).all():
            value = np.where(is_free, self.points.sum(axis=1), -np.inf)
            return Suggestion(int(value.argmax()), "much movement: a first look")
        place = int(np.where(is_free, self.away, -1.0).argmax())
        return Suggestion(place, "unlike everything that is labelled")
