"""What one file holds: tracks, marks, or both, of one recording or of several."""

from dataclasses import dataclass

from mabe.readers.labels import Marks
from mabe.readers.poses import Poses


@dataclass(frozen=True, slots=True)
class Content:
    """What was read from one file."""

    format: str
    """The format's name, for people."""
    poses: tuple[Poses, ...] = ()
    marks: tuple[Marks, ...] = ()
