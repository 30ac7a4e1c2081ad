"""Tracks of one recording that lie in several files or sheets, an animal in each.

Every part keeps the numbers of its frames; where a part has no frame or no keypoint of
another, its animal is missing there.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mabe.errors import DataError
from mabe.io.readers.poses import X_AND_Y, Poses, check_names, check_span

_SAME_RATE = 1e-3
"""Largest relative difference between the frame rates of one recording."""


def join_animals(parts: Sequence[Poses], where: str) -> Poses:
    """Return the tracks of all parts as those of one recording, in their order.

    Raises `DataError` where two parts have different frame rates or scales, or an
    animal of one name.
    """
    if len(parts) == 1:
        return parts[0]
    _check_alike(parts, where)
    animals = [animal for part in parts for animal in part.animals]
    if len(set(animals)) < len(animals):
        raise DataError(
            f"{where}: several tracks of one animal ({', '.join(animals)}) in one "
            "recording; give one of them."
        )
    check_names(len(animals), "animal", where)
    keypoints = list(dict.fromkeys(name for part in parts for name in part.keypoints))
    first = min(part.first_frame for part in parts)
    length = max(part.length for part in parts) - first
    check_span(
        first,
        first + length - 1,
        rows=sum(len(part.xy_px) for part in parts),
        values=2 * len(animals) * len(keypoints),
        where=where,
    )
    shape = (length, len(animals), len(keypoints))
    xy = np.full((*shape, 2), np.nan, np.float32)
    is_sure = all(part.confidence is not None for part in parts)
    confidence = np.full(shape, np.nan, np.float32) if is_sure else None
    has_z = all(part.z_px is not None for part in parts)
    z = np.full(shape, np.nan, np.float32) if has_z else None
    notes = [note for part in parts for note in part.notes]
    if not has_z and any(part.z_px is not None for part in parts):
        notes.append(f"{X_AND_Y}: not every file of the recording has z")
    animal = 0
    for part in parts:
        start = part.first_frame - first
        rows = slice(start, start + len(part.xy_px))
        points = [keypoints.index(name) for name in part.keypoints]
        for own in range(len(part.animals)):
            xy[rows, animal, points] = part.xy_px[:, own]
            if confidence is not None and part.confidence is not None:
                confidence[rows, animal, points] = part.confidence[:, own]
            if z is not None and part.z_px is not None:
                z[rows, animal, points] = part.z_px[:, own]
            animal += 1
    return replace(
        parts[0],
        xy_px=xy,
        z_px=z,
        animals=animals,
        keypoints=keypoints,
        confidence=confidence,
        first_frame=first,
        notes=tuple(dict.fromkeys(notes)),
    )


def _check_alike(parts: Sequence[Poses], where: str) -> None:
    """Raise `DataError` where parts cannot be those of one recording."""
    for what, values in (
        ("frame rates", [part.fps for part in parts]),
        ("scales", [part.pixels_per_cm for part in parts]),
    ):
        known = [value for value in values if value]
        if known and max(known) - min(known) > _SAME_RATE * max(known):
            raise DataError(
                f"{where}: the tracks of one recording have different {what} "
                f"({', '.join(f'{value:g}' for value in known)}); export them alike."
            )
