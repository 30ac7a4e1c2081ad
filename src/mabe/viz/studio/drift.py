"""Recordings unlike the labelled ones, named with what is unlike.

Each stretch of some seconds is described by numbers of movement and distance (see
`mabe.viz.studio.stretches`). A number of a stretch is *outside* where it is above all
or below all of the labelled stretches, by more than a tenth of their range. The score
of a recording is the share of its tracked stretches with a number outside. The measure
for it are the labelled recordings themselves: each is compared with the stretches of
the others. A recording is unlike where its score is at least `LEAST`, and higher than
that of each labelled one.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from mabe.runtime.console import percent
from mabe.viz.studio.stretches import LEAST_TRACKED, NUMBERS, Stretches
from mabe.viz.studio.suggest import LABELLED_FROM

LEAST = 0.2

TOO_UNLIKE = 0.5
"""From this score of a labelled recording on, too little is usual to compare with."""

FEWEST_STRETCHES = 20
"""Fewer labelled stretches say too little about what is usual."""


_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class UnlikeRecording:
    """A recording that is unlike the labelled ones."""

    name: str
    share: float
    """Of its stretches, those with a number outside of the labelled range."""
    reason: str
    """The number that is outside most often."""

    def to_json(self) -> dict[str, Any]:
        """Return what the page shows of it."""
        return {"name": self.name, "share": self.share, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Drift:
    """Recordings unlike the labelled ones, the most unlike first."""

    unlike: tuple[UnlikeRecording, ...]
    usual: float | None
    """The highest score of a labelled recording against the others; None where there
    is too little to say."""

    def describe(self) -> str:
        """Return what was found, for people to read."""
        if self.usual is None:
            return (
                "Whether recordings are unlike the labelled ones cannot be said yet: "
                f"it needs {FEWEST_STRETCHES} labelled stretches in two recordings."
            )
        if not self.unlike and self.usual >= TOO_UNLIKE:
            return (
                "The labelled recordings are so unlike each other, in movement and "
                f"distance (one in {percent(self.usual)} of its stretches), that "
                "whether others are more unlike them cannot be said: label more."
            )
        if not self.unlike:
            return (
                "No recording is more unlike the labelled ones, in movement and "
                "distance, than these are unlike each other (up to "
                f"{percent(self.usual)} of their stretches)."
            )
        return (
            "Unlike the labelled recordings, so predictions there are less certain "
            "than the score says; label parts of them:"
        )

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "unlike": [each.to_json() for each in self.unlike],
            "usual": self.usual,
            "text": self.describe(),
        }


def find_drift(stretches: Stretches, labelled: Float[np.ndarray, " stretch"]) -> Drift:
    """Return the recordings unlike those of which stretches are labelled.

    `labelled` is the labelled share of each stretch.
    """
    is_tracked = stretches.tracked >= LEAST_TRACKED
    is_known = (labelled >= LABELLED_FROM) & is_tracked
    of = stretches.recording
    known = np.unique(of[is_known]).tolist()
    if len(known) < 2 or is_known.sum() < FEWEST_STRETCHES:
        return Drift((), None)
    own = [
        _share_outside(stretches, is_known & (of == each), is_known & (of != each))
        for each in known
    ]
    usual = max(share for share, _ in own)
    found = []
    for index, name in enumerate(stretches.names):
        mine = is_tracked & (of == index) & ~is_known
        if index in known or not mine.any():
            continue
        share, reason = _share_outside(stretches, mine, is_known)
        if share >= LEAST and share > usual:
            found.append(UnlikeRecording(name, round(share, 3), reason))
    found.sort(key=lambda each: (-each.share, each.name))
    return Drift(tuple(found), round(usual, 3))


def _share_outside(
    stretches: Stretches,
    mine: Bool[np.ndarray, " stretch"],
    others: Bool[np.ndarray, " stretch"],
) -> tuple[float, str]:
    """Return the share of some stretches that are outside of others, and by what."""
    values, usual = stretches.description[mine], stretches.description[others]
    low, high = usual.min(axis=0), usual.max(axis=0)
    margin = _MARGIN * (high - low)
    above, below = values > high + margin, values < low - margin
    share = float((above | below).any(axis=1).mean())
    often = np.stack([above.mean(axis=0), below.mean(axis=0)])
    side, number = np.unravel_index(int(often.argmax()), often.shape)
    word = "higher" if side == 0 else "lower"
    part = f"{percent(often[side, number])} of its stretches"
    return share, f"{NUMBERS[number]} {word} than anything labelled in {part}"
