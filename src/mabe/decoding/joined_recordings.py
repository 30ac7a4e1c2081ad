"""Frames of several recordings on one time axis, laid end to end.

A pass over the axis serves all recordings at once. What one recording holds never
influences another.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Length and frame rate of each recording on the axis."""

    lengths: Int[np.ndarray, " recordings"]
    fps: Float[np.ndarray, " recordings"]

    @classmethod
    def of_one(cls, length: int, fps: float) -> "Timeline":
        """Return the timeline of a single recording."""
        return cls(np.array([length]), np.array([float(fps)]))

    @property
    def slices(self) -> list[slice]:
        """The frames of each recording."""
        stops = np.cumsum(self.lengths)
        return [
            slice(int(stop - length), int(stop))
            for stop, length in zip(stops, self.lengths, strict=True)
        ]

    @property
    def frame_fps(self) -> Float[np.ndarray, " time"]:
        """Frames per second of the recording each frame is of."""
        return np.repeat(self.fps, self.lengths)

    @property
    def is_last(self) -> Bool[np.ndarray, " time"]:
        """True for the last frame of each recording."""
        last = np.zeros(int(self.lengths.sum()), bool)
        last[np.cumsum(self.lengths)[self.lengths > 0] - 1] = True
        return last
