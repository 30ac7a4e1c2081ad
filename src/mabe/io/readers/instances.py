"""Animals of single frames, placed into the tracks of a recording.

An instance names its track, or none. Animals without a track are numbered by their
order in the frame; broken tracks are laid into as few animals as there are at a time
(`mabe.io.readers.track_pieces`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from mabe.io.readers.poses import Poses, check_span
from mabe.io.readers.track_pieces import (
    Piece,
    are_pieces,
    assign_pieces,
    describe_pieces,
)
from mabe.runtime.console import count


@dataclass(frozen=True, slots=True)
class Instance:
    """One animal in one frame."""

    frame: int
    track: str
    """The name of its track; empty where it belongs to none."""
    points: Float[np.ndarray, "keypoint 3"]
    """x, y and confidence; NaN where a point is missing."""


def place_instances(
    instances: Iterable[Instance], tracks: Sequence[str], *, where: str
) -> tuple[
    int, tuple[str, ...], Float[np.ndarray, "time animal keypoint 3"], list[str]
]:
    """Return the first frame, the animals, their points from there on, and notes.

    Of several instances of one track in a frame the last is used. `tracks` gives the
    order of the animals; tracks without an instance are left out.
    """
    found = [each for each in instances if np.isfinite(each.points[:, :2]).any()]
    if not found:
        return 0, (), np.empty((0, 0, 0, 3), np.float32), []
    occurring = {each.track for each in found if each.track}
    order = [name for name in dict.fromkeys((*tracks, *occurring)) if name in occurring]
    found, notes = _without_stray(found)
    found, order, more = _join_pieces(found, order)
    notes += more
    free: Counter[int] = Counter()
    place = {name: at for at, name in enumerate(order)}
    places = []
    for each in found:
        if each.track:
            places.append(place[each.track])
        else:
            places.append(len(order) + free[each.frame])
            free[each.frame] += 1
    untracked = max(free.values(), default=0)
    if untracked > 1 or (untracked and order):
        notes.append(
            f"up to {count(untracked, 'animal')} per frame without a track: their "
            "order in the frame is used as their identity"
        )
    animals = (*order, *(f"untracked_{at + 1}" for at in range(untracked)))
    first = min(each.frame for each in found)
    last = max(each.frame for each in found)
    nodes = len(found[0].points)
    width = 3 * len(animals) * nodes
    check_span(first, last, rows=len(found), values=width, where=where)
    shape = (last - first + 1, len(animals), nodes, 3)
    placed = np.full(shape, np.nan, np.float32)
    for each, at in zip(found, places, strict=True):
        placed[each.frame - first, at] = each.points
    if gaps := len(placed) - len({each.frame for each in found}):
        notes.append(f"frames without a row: {gaps}, treated as missing")
    return first, animals, placed, notes


def _without_stray(found: list[Instance]) -> tuple[list[Instance], list[str]]:
    """Return instances without those of no track, where most belong to one.

    SLEAP's own export leaves these out too: they would be one more animal.
    """
    tracked = [each for each in found if each.track]
    stray = len(found) - len(tracked)
    if not stray or len(tracked) <= stray:
        return found, []
    return tracked, [
        f"instances of no track left out: {stray} (SLEAP's own export does the same; "
        "give them a track in SLEAP to use them)"
    ]


def _join_pieces(
    found: list[Instance], tracks: list[str]
) -> tuple[list[Instance], list[str], list[str]]:
    """Return instances and tracks with broken tracks joined, and a note on that."""
    at_once = max(Counter(each.frame for each in found).values())
    if not are_pieces(tracks, at_once) or any(not each.track for each in found):
        return found, tracks, []
    firsts: dict[str, Instance] = {}
    lasts: dict[str, Instance] = {}
    for each in sorted(found, key=lambda instance: instance.frame):
        firsts.setdefault(each.track, each)
        lasts[each.track] = each
    pieces = [
        Piece(firsts[t].frame, lasts[t].frame, _middle(firsts[t]), _middle(lasts[t]))
        for t in tracks
    ]
    animal_of = dict(zip(tracks, assign_pieces(pieces), strict=True))
    count = max(animal_of.values()) + 1
    if count == len(tracks):
        return found, tracks, []
    names = [f"animal{number + 1}" for number in range(count)]
    joined = [replace(each, track=names[animal_of[each.track]]) for each in found]
    return joined, names, [describe_pieces(len(tracks), count)]


def _middle(instance: Instance) -> np.ndarray:
    return np.nanmean(instance.points[:, :2], axis=0)


def poses_of_instances(
    instances: Iterable[Instance],
    tracks: Sequence[str],
    keypoints: Sequence[str],
    *,
    name: str,
    where: str,
    tracker: str = "SLEAP",
) -> Poses | None:
    """Return the animals of all frames; None where there are none."""
    first, animals, placed, notes = place_instances(instances, tracks, where=where)
    if not animals:
        return None
    return Poses(
        name=name,
        animals=animals,
        keypoints=keypoints,
        xy_px=placed[..., :2],
        confidence=placed[..., 2],
        first_frame=first,
        tracker=tracker,
        notes=tuple(notes),
    )
