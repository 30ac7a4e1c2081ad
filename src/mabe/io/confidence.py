"""Points of low confidence, which count as missing."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from mabe.io.readers.poses import Poses
from mabe.runtime.console import percent


def drop_unsure(poses: Poses, min_confidence: float | None = None) -> Poses:
    """Return poses without unsure points, with notes on how many were removed.

    Removed are points that are not finite, points at exactly (0, 0), as several tools
    write "not detected", and points with a confidence below `min_confidence`, by
    default the tracker's own threshold. Animals without any point are left out.
    """
    least = poses.usual_confidence if min_confidence is None else min_confidence
    given = poses.present
    at_origin = (poses.xy_px == 0).all(axis=-1)
    is_weak = np.zeros_like(given)
    if poses.confidence is not None:
        is_weak = given & ~at_origin & (poses.confidence < least)
    sure = given & ~at_origin & ~is_weak
    xy = np.where(sure[..., None], poses.xy_px, np.float32(np.nan))
    notes = []
    if at_origin.any():
        notes.append(f"points at (0, 0): {_share(at_origin)}, treated as missing")
    if is_weak.any():
        notes.append(
            f"points with a confidence below {least:g}: {_share(is_weak)}, "
            "treated as missing"
        )
    z = None if poses.z_px is None else np.where(sure, poses.z_px, np.float32(np.nan))
    cleaned = replace(poses, xy_px=xy.astype(np.float32, copy=False), z_px=z).noting(
        *notes
    )
    return _drop_absent(cleaned, sure.any(axis=(0, 2)))


def _drop_absent(poses: Poses, tracked: Bool[np.ndarray, " animal"]) -> Poses:
    """Leave out animals that are never tracked, unless none is."""
    if tracked.all() or not tracked.any():
        return poses
    keep = np.flatnonzero(tracked)
    gone = [
        name
        for name, is_tracked in zip(poses.animals, tracked, strict=True)
        if not is_tracked
    ]
    return poses.selected(animals=keep.tolist()).noting(
        f"animals without a single point left out: {', '.join(gone)}"
    )


def _share(mask: Bool[np.ndarray, "..."]) -> str:
    return f"{np.count_nonzero(mask):,} ({percent(mask.mean(), digits=1)})"
