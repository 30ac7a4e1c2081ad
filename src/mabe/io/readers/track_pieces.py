"""Broken tracks: pieces of track, laid into as few animals as there are at a time.

A tracker that loses an animal begins a new track when it finds it again. Tracks with
names such as ``track_7`` that are never seen at the same time may be pieces of one
animal.
Each piece continues the animal that was last seen nearest to where the piece begins;
identities are uncertain after every break. Tracks that a person has named are kept.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mabe.io.readers.poses import Poses
from mabe.runtime.console import count

_NUMBERED = re.compile(
    r"(track|tracklet|trk|instance|inst|untracked)[ _-]?\d+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Where one track begins and ends."""

    first: int
    last: int
    start_xy: np.ndarray
    """The mean of its points in the first frame."""
    stop_xy: np.ndarray


def are_pieces(names: Sequence[str], most_at_once: int) -> bool:
    """Return whether tracks are numbered, and more than there are animals at a time."""
    return len(names) > most_at_once and all(
        _NUMBERED.fullmatch(each) for each in names
    )


def assign_pieces(pieces: Sequence[Piece]) -> list[int]:
    """Return the animal of each piece; pieces of one animal do not overlap in time."""
    animal_of = [0] * len(pieces)
    ends: list[Piece] = []
    for at in sorted(range(len(pieces)), key=lambda n: (pieces[n].first, n)):
        piece = pieces[at]
        free = [n for n, end in enumerate(ends) if end.last < piece.first]
        if free:
            animal = min(free, key=lambda n: _distance(ends[n], piece))
            ends[animal] = piece
        else:
            animal = len(ends)
            ends.append(piece)
        animal_of[at] = animal
    return animal_of


def _distance(before: Piece, after: Piece) -> float:
    distance = float(np.hypot(*(after.start_xy - before.stop_xy)))
    return distance if np.isfinite(distance) else np.inf


def describe_pieces(pieces: int, animals: int) -> str:
    """Return what was done with broken tracks, for people."""
    return (
        f"{count(pieces, 'piece')} of track of at most {count(animals, 'animal')} at a "
        f"time: laid into {count(animals, 'animal')} by place, so identities are "
        "uncertain after each break; correct them in the tracking program if "
        "it matters who is who"
    )


def lay_out_pieces(poses: Poses) -> Poses:
    """Return poses with as many animals as there are at a time.

    Unchanged where tracks have names, or all are seen together.
    """
    seen = np.asarray(poses.present.any(axis=2))
    used = [at for at in range(len(poses.animals)) if seen[:, at].any()]
    at_once = int(seen.sum(axis=1).max(initial=0))
    if not at_once or not are_pieces(poses.animals, at_once):
        return poses
    pieces = [_piece(poses, np.flatnonzero(seen[:, at]), at) for at in used]
    animal_of = assign_pieces(pieces)
    count = max(animal_of) + 1
    if count == len(poses.animals):
        return poses
    shape = (len(poses.xy_px), count, *poses.xy_px.shape[2:])
    xy = np.full(shape, np.nan, poses.xy_px.dtype)
    confidence = z = None
    if poses.confidence is not None:
        confidence = np.full(shape[:3], np.nan, poses.confidence.dtype)
    if poses.z_px is not None:
        z = np.full(shape[:3], np.nan, poses.z_px.dtype)
    for at, piece, animal in zip(used, pieces, animal_of, strict=True):
        rows = slice(piece.first, piece.last + 1)
        xy[rows, animal] = poses.xy_px[rows, at]
        if confidence is not None and poses.confidence is not None:
            confidence[rows, animal] = poses.confidence[rows, at]
        if z is not None and poses.z_px is not None:
            z[rows, animal] = poses.z_px[rows, at]
    return replace(
        poses,
        animals=tuple(f"animal{number + 1}" for number in range(count)),
        xy_px=xy,
        z_px=z,
        confidence=confidence,
    ).noting(describe_pieces(len(used), count))


def _piece(poses: Poses, rows: np.ndarray, at: int) -> Piece:
    first, last = int(rows[0]), int(rows[-1])
    return Piece(
        first,
        last,
        np.nanmean(poses.xy_px[first, at], axis=0),
        np.nanmean(poses.xy_px[last, at], axis=0),
    )
