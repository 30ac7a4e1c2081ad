"""A lab's poses, brought to what the rest of `mabe` works with.

Here it is decided which points count, who is who, what the keypoints are, how fast was
filmed and how large a pixel is; whatever had to be assumed becomes a note. Importing
and predicting go through the same code, so that a model meets new files as it met
those it learned from.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import Bout, Watched
from mabe.errors import DataError
from mabe.io.keypoint_names import Match, match_names, split_animals
from mabe.io.project import Project
from mabe.io.readers.poses import Poses, keep_sure, pick_animals
from mabe.recording import Recording, VideoInfo
from mabe.skeleton import ANIMALS, KEYPOINTS, match_keypoint

_BODY = (("nose", "tail_base"), ("head", "tail_base"), ("neck", "tail_base"))


_SHARES = {"nose": 1.0, "head": 0.8, "neck": 0.7}
"""How much of nose to tail base lies behind each of them, roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """One recording's poses with nothing left open."""

    poses: Poses
    matches: tuple[Match, ...]
    fps: float
    pixels_per_cm: float

    @property
    def name(self) -> str:
        """What the recording is called."""
        return self.poses.name

    @property
    def animals(self) -> tuple[str, ...]:
        """The lab's names of mouse1, mouse2 and so on."""
        return self.poses.animals

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The body part of each keypoint as the standard layout names it."""
        return tuple(_part(match) for match in self.matches)


def standardise(
    poses: Poses,
    project: Project,
    *,
    fps: float | None = None,
    pixels_per_cm: float | None = None,
) -> Standard:
    """Return poses with rate, scale, animals and keypoints settled.

    `fps` and `pixels_per_cm` go before the project's, these before the file's. Raises
    `DataError` where a rate or a scale is nowhere to be found, or no keypoint is known.
    """
    poses = pick_animals(
        keep_sure(tell_apart(poses), project.min_confidence), ANIMALS, project.animals
    )
    matches = match_names(poses.keypoints, project.keypoints)
    if not any(match.keypoint for match in matches):
        raise DataError(
            f"{poses.name}: none of its keypoints {list(poses.keypoints)} is known; "
            "map them under `keypoints` in project.yaml to some of "
            f"{', '.join(KEYPOINTS)}."
        )
    rate = fps or project.fps or poses.fps
    if rate is None:
        raise DataError(
            f"{poses.name}: its frame rate is in none of its files; give --fps, or "
            "`fps` in project.yaml."
        )
    scale = pixels_per_cm or project.pixels_per_cm or poses.pixels_per_cm
    if scale is None:
        scale, note = _estimate_scale(poses, matches, project.body_cm)
        poses = poses.noting(note)
    return Standard(poses=poses, matches=matches, fps=rate, pixels_per_cm=scale)


def tell_apart(poses: Poses) -> Poses:
    """Return one column for each animal where one track holds several.

    Names like ``B_Nose`` and ``W_Nose`` of a tracker for one animal are two animals.
    """
    if len(poses.animals) != 1 or not (groups := split_animals(poses.keypoints)):
        return poses
    parts = list(next(iter(groups.values())))
    order = [
        [poses.keypoints.index(of_animal[part]) for part in parts]
        for of_animal in groups.values()
    ]
    kept = poses.confidence
    return replace(
        poses,
        animals=tuple(groups),
        keypoints=tuple(parts),
        xy_px=poses.xy_px[:, 0][:, order],
        confidence=None if kept is None else kept[:, 0][:, order],
    ).noting(f"names tell {len(groups)} animals apart: {', '.join(groups)}")


def _estimate_scale(
    poses: Poses, matches: tuple[Match, ...], body_cm: float
) -> tuple[float, str]:
    """Return pixels per cm from the length of the body, and say so."""
    place = {match.keypoint: at for at, match in enumerate(matches) if match.keypoint}
    for front, back in _BODY:
        if front not in place or back not in place:
            continue
        ends = poses.xy_px[:, :, place[front]] - poses.xy_px[:, :, place[back]]
        lengths = np.hypot(ends[..., 0], ends[..., 1])
        if np.isfinite(lengths).any() and (length := float(np.nanmedian(lengths))) > 0:
            scale = length / (body_cm * _SHARES[front])
            return scale, (
                f"pixels per cm unknown: {scale:.3g} estimated, {front} to {back} "
                f"({length:.3g} px in the middle) taken for "
                f"{body_cm * _SHARES[front]:g} "
                "cm; give --pixels-per-cm if you know it"
            )
    raise DataError(
        f"{poses.name}: pixels per cm are in none of its files, and cannot be "
        "estimated without nose and tail base; give --pixels-per-cm, or set it in "
        "project.yaml."
    )


def _part(match: Match) -> str | None:
    """Return the name in the standard layout; None for what is left out."""
    if match.keypoint or not match.is_kept:
        return match.keypoint
    # A name that the layout's reader would take for a canonical one must not be.
    return f"extra_{match.name}" if match_keypoint(match.name) else match.name


def to_recording(
    standard: Standard,
    path: Path,
    *,
    lab: str,
    watched: tuple[Watched, ...] = (),
    bouts: tuple[Bout, ...] = (),
) -> Recording:
    """Return a recording of the canonical keypoints, as the layout's reader would."""
    slots, xy = _canonical(standard)
    info = VideoInfo(
        lab=lab,
        video=standard.name,
        fps=standard.fps,
        pixels_per_cm=standard.pixels_per_cm,
        watched=watched,
        animals=standard.animals,
        has_labels=False,
        tracking_path=path,
        annotation_path=None,
    )
    return Recording(
        info=info, slots=slots, xy_px=xy, bouts=bouts, notes=standard.poses.notes
    )


def _canonical(
    standard: Standard,
) -> tuple[Int[np.ndarray, " slot"], Float[np.ndarray, "time slot 2"]]:
    """Return the slots that are ever seen, ascending, and their points."""
    poses = standard.poses
    columns: dict[int, list[tuple[int, int]]] = {}
    for at, match in enumerate(standard.matches):
        if match.keypoint is None:
            continue
        for animal in range(len(poses.animals)):
            if poses.present[:, animal, at].any():
                slot = animal * len(KEYPOINTS) + KEYPOINTS.index(match.keypoint)
                columns.setdefault(slot, []).append((animal, at))
    seen = np.flatnonzero(poses.present.any(axis=(1, 2)))
    length = poses.first_frame + (int(seen[-1]) + 1 if len(seen) else 0)
    xy = np.full((length, len(columns), 2), np.nan, np.float32)
    rows = slice(poses.first_frame, length)
    for column, slot in enumerate(sorted(columns)):
        animals, keypoints = zip(*columns[slot], strict=True)
        points = poses.xy_px[: length - poses.first_frame, animals, keypoints]
        xy[rows, column] = _mean_of_present(points)
    return np.array(sorted(columns), int), xy


def _mean_of_present(
    points: Float[np.ndarray, "time several 2"],
) -> Float[np.ndarray, "time 2"]:
    """Return the mean of the points that are there (the corners of a headpiece)."""
    if points.shape[1] == 1:
        return points[:, 0]
    count = np.isfinite(points[..., :1]).sum(axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0 where none is there: missing
        return (np.nansum(points, axis=1) / count).astype(np.float32)
