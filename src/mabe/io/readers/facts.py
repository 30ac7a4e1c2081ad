"""What is known of a format: the facts that each reader and writer declares of it.

They stand at the top of its module, and `mabe.io.format_table` makes the table of
docs/formats.md from them.
"""

from dataclasses import dataclass
from typing import Literal

Use = Literal["tracks", "labels", "tracks, labels", "written", "not read"]

NOT_IN_FILE = "not in the file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts of one format, each in words; what does not apply is a dash."""

    name: str
    use: Use
    clock: str = "–"
    """What numbers or times frames, and which is the first."""
    stop: str = "–"
    """Whether the stop of a bout is the last frame of it or the one after."""
    fps: str = "–"
    """Where the frame rate is from."""
    points: str = "–"
    """The unit of coordinates, and the direction of y."""
    scale: str = "–"
    missing: str = "–"
    """What stands for a point that was not found."""
    watched: str = "–"
    """What was annotated, and when."""
    animals: str = "–"
    """Who is who."""
    assumed: str = "–"
    notes: str = "–"


def tracks(
    name: str,
    *,
    clock: str,
    missing: str,
    animals: str,
    fps: str = NOT_IN_FILE,
    points: str = "px, y down",
    scale: str = NOT_IN_FILE,
    assumed: str = "–",
    notes: str = "–",
) -> Facts:
    """Return the facts of a format that holds tracks."""
    return Facts(
        name=name,
        use="tracks",
        clock=clock,
        fps=fps,
        points=points,
        scale=scale,
        missing=missing,
        animals=animals,
        assumed=assumed,
        notes=notes,
    )


def labels(
    name: str,
    *,
    clock: str,
    stop: str,
    watched: str,
    animals: str,
    fps: str = "–",
    assumed: str = "–",
    notes: str = "–",
) -> Facts:
    """Return the facts of a format that holds labels."""
    return Facts(
        name=name,
        use="labels",
        clock=clock,
        stop=stop,
        fps=fps,
        watched=watched,
        animals=animals,
        assumed=assumed,
        notes=notes,
    )


def written(
    name: str, *, clock: str, stop: str, watched: str, animals: str, notes: str = "–"
) -> Facts:
    """Return the facts of a format that `mabe export` writes."""
    return Facts(
        name=name,
        use="written",
        clock=clock,
        stop=stop,
        watched=watched,
        animals=animals,
        notes=notes,
    )


def not_read(name: str, notes: str) -> Facts:
    """Return the facts of files that are recognised and not read."""
    return Facts(name=name, use="not read", notes=notes)
