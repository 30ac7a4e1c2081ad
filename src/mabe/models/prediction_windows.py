"""Which frames of a recording a model predicts together.

A recording is processed in *stretches*, each read with some frames on both sides of it
(its context), so that memory does not grow with the length of the recording. A network
predicts windows, which overlap by the same number of frames all along the recording.
Trees predict blocks of a few frames, which do not overlap.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

STRETCH_FRAMES = 6_000
"""Frames in a stretch; bounds the memory."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames [start, stop) of a recording, and those that are read for them."""

    start: int
    stop: int
    read_from: int
    read_to: int
    """With the context, so that features and statistics are right at the ends too."""
    window: int
    """Frames that are predicted together."""
    starts: tuple[int, ...]
    """Where each window begins, in frames of the recording."""

    @property
    def length(self) -> int:
        """Number of frames that are predicted."""
        return self.stop - self.start


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """Return where windows begin; all overlap by as much, but for the last one.

    The last window ends with the recording.
    """
    if length <= window:
        return [0]
    return [*range(0, length - window, window - overlap), length - window]


def window_stretches(
    length: int, *, window: int, overlap: int, context: int
) -> Iterator[Stretch]:
    """Yield the stretches of a recording whose windows overlap, in order."""
    room = max(0, STRETCH_FRAMES - window)
    starts = window_starts(length, window, overlap)
    for some in batched(starts, 1 + room // max(1, window - overlap)):
        start, stop = some[0], some[-1] + window
        yield Stretch(
            start=start,
            stop=stop,
            read_from=max(0, start - context),
            read_to=min(stop + context, length),
            window=window,
            starts=some,
        )


def block_stretches(length: int, *, block: int, context: float) -> Iterator[Stretch]:
    """Yield the stretches of a recording, each one window of whole blocks.

    The recording's last block may be shorter.
    """
    own = max(1, STRETCH_FRAMES // block) * block
    around = round(context / block) * block
    for start in range(0, length, own):
        stop = min(start + own, length)
        yield Stretch(
            start=start,
            stop=stop,
            read_from=max(0, start - around),
            read_to=min(start + own + around, length),
            window=math.ceil((stop - start) / block) * block,
            starts=(start,),
        )


def batched(items: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Yield items in order, at most so many at once (`itertools` has it from 3.12)."""
    for first in range(0, len(items), most):
        yield tuple(items[first : first + most])
