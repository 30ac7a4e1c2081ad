"""A lab's poses, standardized: animals, keypoints, frame rate and scale settled.

Files, `project.yaml` and estimates together decide which points count, which animals
and keypoints there are, the frame rate and the pixels per cm; every assumption becomes
a note. Importing and predicting use the same code, so that new files are treated as
those of the training data were.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mabe.bouts import Bout, Coverage, Watched
from mabe.errors import DataError, MabeError
from mabe.io.confidence import drop_unsure
from mabe.io.guess_skeleton import GuessedSkeleton, guess_skeleton
from mabe.io.identity_exchanges import note_on_exchanges
from mabe.io.keypoint_names import match_keypoint
from mabe.io.match_keypoints import EXTRA, Match, match_names, split_animals
from mabe.io.objects import ObjectSettings, add_objects, take_objects
from mabe.io.project import Project
from mabe.io.readers.poses import Poses, pick_animals
from mabe.io.recording_names import same_name
from mabe.io.repair_identities import Exchange, note_on_repairs, repair_identities
from mabe.io.vertical import settle_heights
from mabe.io.zone_corners import Place, take_corners
from mabe.recording import (
    Recording,
    VideoInfo,
    mean_of_tracked,
    problem_with_rate,
    problem_with_scale,
)
from mabe.runtime.console import count
from mabe.skeleton import (
    MOST_ANIMALS,
    RODENT,
    PoseLayout,
    Skeleton,
    joined_keypoints,
)
from mabe.zones import MOST_PARTS, TargetZone, Zone, parts_of

_BODY_FRACTIONS = {"nose": 1.0, "head": 0.8, "neck": 0.7}
"""Rough distance of each keypoint to the tail base, as a fraction of the nose's."""

ONE_CAMERA = 1.25
"""Estimates of a camera's scale from different films differ by at most this factor."""


_ANY_FPS = 30.0
"""Where only the scale is wanted, which does not depend on the rate."""


ONE_POINT = (
    "one point an animal: its heading is the direction in which it travels, its "
    "posture is unknown"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardPoses:
    """The poses of one recording, with known frame rate, scale and keypoints."""

    poses: Poses
    matches: tuple[Match, ...]
    fps: float
    pixels_per_cm: float
    is_scale_estimated: bool = False
    body: GuessedSkeleton | None = None
    """The roles of keypoints, where they are not those of a rodent."""
    objects: tuple[int, ...] = ()
    """The numbers of those individuals that are objects."""
    zones: tuple[Zone, ...] = ()
    """In cm."""
    corners_px: Mapping[str, Place] = field(default_factory=dict)
    """Where the keypoints are that are corners of zones."""
    repairs: tuple[Exchange, ...] = ()
    """Identities that were put back."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What animals of the tracks are called."""

    @property
    def name(self) -> str:
        """The recording's name."""
        return self.poses.name

    @property
    def animals(self) -> tuple[str, ...]:
        """The lab's names of animals 1, 2 …, then of the objects, then of the zones."""
        named = (self.names.get(each, each) for each in self.poses.animals)
        return (*named, *(each.zone.name for each in self.targets))

    @property
    def agents(self) -> tuple[str, ...]:
        """The tracks' names of the animals, without objects and zones."""
        numbered = enumerate(self.poses.animals, 1)
        return tuple(name for at, name in numbered if at not in self.objects)

    @property
    def targets(self) -> tuple[TargetZone, ...]:
        """The zones at which actions may be directed, with their numbers."""
        zones = [zone for zone in self.zones if self._may_be_target(zone)]
        first = len(self.poses.animals) + 1
        return tuple(TargetZone(at, zone) for at, zone in enumerate(zones, first))

    @property
    def untargeted(self) -> tuple[str, ...]:
        """The names of the other zones."""
        return tuple(z.name for z in self.zones if not self._may_be_target(z))

    def _may_be_target(self, zone: Zone) -> bool:
        """Return whether a label of its name means the zone, and it has a border."""
        tracked = self.poses.animals
        every = (*tracked, *(self.names.get(each, each) for each in tracked))
        is_taken = any(same_name(zone.name, name) for name in every)
        return not is_taken and len(parts_of(zone.shape)) <= MOST_PARTS

    @property
    def parts(self) -> tuple[str | None, ...]:
        """The standard layout's name of each keypoint; None: left out."""
        parts = [_part(match) for match in self.matches]
        twice = {part for part in parts if part and parts.count(part) > 1}
        return tuple(
            _of_several(part, match.name) if part in twice else part
            for part, match in zip(parts, self.matches, strict=True)
        )


def standardize(
    poses: Poses,
    project: Project,
    *,
    fps: float | None = None,
    pixels_per_cm: float | None = None,
    usual_scale: float | None = None,
    objects: Mapping[str, ObjectSettings] | None = None,
    corners: Collection[str] = (),
) -> StandardPoses:
    """Return poses with their rate, scale, animals and keypoints.

    `fps`, `pixels_per_cm` and `objects` are this recording's own and take precedence.
    Else the file's rate is used, and the project's where the file gives none; the
    project's scale, and the file's where the project gives none. `usual_scale`, that of
    other films of the camera, is used before it is estimated from this one alone.
    `corners` are keypoints of the arena, which are no part of an animal.
    Raises `DataError` where there is no rate, where coordinates are relative to a
    picture whose size the project does not give, where the scale cannot be estimated,
    and where no keypoint is known.
    """
    poses = separate_animals(poses.in_pixels(project.size))
    poses = drop_unsure(poses, project.min_confidence)
    poses = settle_heights(poses, project.vertical)
    poses, corners_px = take_corners(poses, corners)
    poses, found = take_objects(poses, {**project.objects, **(objects or {})})
    wanted = tuple(name for name in project.animals if name not in project.objects)
    poses = pick_animals(poses, MOST_ANIMALS, wanted)
    _check_names(poses, project.animal_names)
    matches = match_names(poses.keypoints, project.keypoints)
    if not any(match.is_kept for match in matches):
        raise DataError(
            f"{poses.name}: `keypoints` in project.yaml leaves out all its keypoints: "
            f"{list(poses.keypoints)}."
        )
    if len(matches) == 1:
        poses = poses.noting(ONE_POINT)
    poses, rate = _settle_rate(poses, project, fps)
    poses, scale = _given_scale(poses, pixels_per_cm or project.pixels_per_cm)
    is_estimated = scale is None
    body = _find_body(poses, matches, project, rate)
    if scale is None and usual_scale:
        scale = usual_scale
        poses = poses.noting(
            f"pixels per cm unknown: {scale:.4g} estimated from bodies of all films "
            "together; give --pixels-per-cm if you know it"
        )
    elif scale is None:
        scale, note = _estimate_scale(poses, matches, body, project.body_cm)
        poses = poses.noting(note)
    if problem := problem_with_rate(rate) or problem_with_scale(scale):
        raise DataError(
            f"{poses.name}: {problem}; give --fps or --pixels-per-cm, or set them in "
            "project.yaml."
        )
    animals = len(poses.animals)
    repairs: tuple[Exchange, ...] = ()
    if project.repair_identities:
        poses, repairs = repair_identities(poses, fps=rate, pixels_per_cm=scale)
        poses = poses.noting(note_on_repairs(repairs))
    exchanged = note_on_exchanges(poses, fps=rate, pixels_per_cm=scale)
    poses = poses.noting(exchanged) if exchanged else poses
    return StandardPoses(
        poses=add_objects(
            poses, found, pixels_per_cm=scale, keypoint=_kept_column(matches)
        ),
        matches=matches,
        fps=rate,
        pixels_per_cm=scale,
        is_scale_estimated=is_estimated,
        body=body,
        objects=tuple(range(animals + 1, animals + len(found) + 1)),
        corners_px=corners_px,
        repairs=repairs,
        names=project.animal_names,
    )


def _check_names(poses: Poses, names: Mapping[str, str]) -> None:
    """Raise `DataError` where two animals would have one name."""
    named = [names.get(each, each) for each in poses.animals]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise DataError(
            f"{poses.name}: by `animal_names` in project.yaml two animals would be "
            f"called {twice[0]}."
        )


def _kept_column(matches: Sequence[Match]) -> int:
    """Return the keypoint that an object's point has: the centre, or the first."""
    names = [match.keypoint for match in matches]
    if "body_center" in names:
        return names.index("body_center")
    return next(at for at, match in enumerate(matches) if match.is_kept)


def estimate_scale(poses: Poses, project: Project) -> float | None:
    """Return pixels per cm by the length of bodies; None where given or unknown."""
    if project.pixels_per_cm or poses.pixels_per_cm:
        return None
    try:
        own = standardize(poses, project, fps=poses.fps or project.fps or _ANY_FPS)
    except MabeError:
        return None  # said when the recording itself is read
    return own.pixels_per_cm if own.is_scale_estimated else None


def shared_scale(scales: Sequence[float]) -> float | None:
    """Return the scale of one camera from estimates of its films; None: not of one.

    A camera has one scale, and lengths of bodies vary from film to film.
    """
    if len(scales) < 2 or max(scales) / min(scales) > ONE_CAMERA:
        return None
    return float(np.median(scales))


def _settle_rate(
    poses: Poses, project: Project, fps: float | None
) -> tuple[Poses, float]:
    """Return the frame rate, and poses with a note where another one is given too."""
    rate = fps or poses.fps or project.fps
    if rate is None:
        raise DataError(
            f"{poses.name}: no file gives its frame rate; give --fps, or set `fps` in "
            "project.yaml."
        )
    if poses.fps and project.fps and not fps and _differ(poses.fps, project.fps):
        poses = poses.noting(
            f"its file gives {poses.fps:g} fps, which is used; {project.fps:g} fps are "
            "for recordings whose files give none (`recordings` in project.yaml sets "
            "another rate for one)"
        )
    return poses, rate


def _given_scale(poses: Poses, given: float | None) -> tuple[Poses, float | None]:
    """Return the scale, and poses with a note where their file has another one."""
    own = poses.pixels_per_cm
    if given and own and _differ(own, given):
        poses = poses.noting(
            f"its file gives {own:.4g} pixels per cm; {given:.4g} is set, and used"
        )
    return poses, given or own


def _differ(rate: float, other: float) -> bool:
    return abs(rate / other - 1) > 1e-3


def separate_animals(poses: Poses) -> Poses:
    """Return poses in which animals that share one track have one each.

    Keypoints such as ``B_Nose`` and ``W_Nose`` of one track belong to two animals.
    """
    if len(poses.animals) != 1 or not (groups := split_animals(poses.keypoints)):
        return poses
    parts = list(next(iter(groups.values())))
    order = [
        [poses.keypoints.index(of_animal[part]) for part in parts]
        for of_animal in groups.values()
    ]
    confidence, z = poses.confidence, poses.z_px
    return replace(
        poses,
        animals=tuple(groups),
        keypoints=tuple(parts),
        xy_px=poses.xy_px[:, 0][:, order],
        z_px=None if z is None else z[:, 0][:, order],
        confidence=None if confidence is None else confidence[:, 0][:, order],
    ).noting(f"keypoint names of {count(len(groups), 'animal')}: {', '.join(groups)}")


def _find_body(
    poses: Poses, matches: tuple[Match, ...], project: Project, rate_fps: float
) -> GuessedSkeleton | None:
    """Return the roles of keypoints; None where they are those of a rodent."""
    kept = {at: m.keypoint or m.name for at, m in enumerate(matches) if m.is_kept}
    names = tuple(kept.values())
    if project.skeleton is not None:
        return GuessedSkeleton(project.skeleton.skeleton(names))
    known = tuple(match.keypoint for match in matches if match.keypoint)
    if len(known) == len(kept) or RODENT.with_keypoints(known).has_heading:
        return None
    return guess_skeleton(names, [poses.xy_px[:, :, list(kept)]], rate_fps)


def _estimate_scale(
    poses: Poses,
    matches: tuple[Match, ...],
    body: GuessedSkeleton | None,
    body_cm: float,
) -> tuple[float, str]:
    """Return pixels per cm, estimated from body length, and a note on the estimate."""
    if body is not None:
        return _scale_of_body(poses, matches, body.skeleton, body_cm)
    place = {match.keypoint: at for at, match in enumerate(matches) if match.keypoint}
    tail = place.get("tail_base")
    for front, fraction in _BODY_FRACTIONS.items():
        if front not in place or tail is None:
            continue
        along = poses.xy_px[:, :, place[front]] - poses.xy_px[:, :, tail]
        lengths = np.hypot(along[..., 0], along[..., 1])
        if np.isfinite(lengths).any() and (length := float(np.nanmedian(lengths))) > 0:
            scale = length / (body_cm * fraction)
            return scale, (
                f"pixels per cm unknown: {scale:.3g} estimated from a distance of "
                f"{body_cm * fraction:g} cm ({length:.3g} px, median) between {front} "
                "and tail_base; give --pixels-per-cm if you know it"
            )
    raise DataError(
        f"{poses.name}: no file gives pixels per cm, and the scale cannot be estimated "
        "without nose and tail base; give --pixels-per-cm, or set `pixels_per_cm` in "
        "project.yaml."
    )


def _scale_of_body(
    poses: Poses, matches: tuple[Match, ...], skeleton: Skeleton, body_cm: float
) -> tuple[float, str]:
    """Return the scale at which a body that is no rodent's has the usual length."""
    place = {match.keypoint or match.name: at for at, match in enumerate(matches)}

    def point(source: str) -> Float[np.ndarray, "time animal 2"]:
        at = [place[name] for name in source.split("+")]
        return poses.xy_px[:, :, at].mean(axis=2)

    if not (skeleton.snout and skeleton.rump):
        raise DataError(
            f"{poses.name}: no file gives pixels per cm, and the length of a body is "
            "not known from its points; map them under `keypoints` in project.yaml, or "
            "name snout and rump under `skeleton`, or give --pixels-per-cm."
        )
    ends = skeleton.snout[0], skeleton.rump[0]
    body = point(ends[0]) - point(ends[1])
    lengths = np.hypot(body[..., 0], body[..., 1])
    length = float(np.nanmedian(lengths)) if np.isfinite(lengths).any() else 0.0
    if not length > 0:
        raise DataError(
            f"{poses.name}: no file gives pixels per cm, and {' and '.join(ends)} are "
            "never tracked together; give --pixels-per-cm, or set `pixels_per_cm` in "
            "project.yaml."
        )
    return length / body_cm, (
        f"pixels per cm unknown: a body from {ends[0]} to {ends[1]} ({length:.3g} px, "
        f"median) is taken for {body_cm:g} cm, so that lengths are in body lengths "
        f"times {body_cm:g}; give --pixels-per-cm, or set body_cm in project.yaml"
    )


def _part(match: Match) -> str | None:
    """Return the name in the standard layout; None: left out."""
    if match.keypoint or not match.is_kept:
        return match.keypoint
    # The layout's reader must not map an extra body part to a canonical keypoint.
    return f"{EXTRA}{match.name}" if match_keypoint(match.name) else match.name


def _of_several(keypoint: str | None, name: str) -> str:
    """Return a name of its own for one of several points that stand for a keypoint.

    They are the corners of a headpiece, whose mean the layout's reader computes.
    """
    return name if match_keypoint(name) == keypoint else f"{keypoint}_{name}"


def assume_fps(poses: Poses, usual_fps: float) -> Poses:
    """Return poses at the usual frame rate, with a note that it was assumed."""
    return replace(poses, fps=usual_fps).noting(
        f"frame rate unknown: {usual_fps:g} fps assumed, as in the training data; "
        "give --fps if it is another"
    )


def to_recording(
    standard: StandardPoses,
    path: Path,
    *,
    lab: str,
    watched: tuple[Watched, ...] = (),
    bouts: tuple[Bout, ...] = (),
    coverage: Coverage | None = None,
    has_labels: bool = False,
) -> Recording:
    """Return a recording of the canonical keypoints, as the layout's reader does."""
    names = joined_keypoints([_keypoints_of(standard).values()])
    slots, points = _to_slots(standard, names)
    info = VideoInfo(
        lab=lab,
        video=standard.name,
        fps=standard.fps,
        pixels_per_cm=standard.pixels_per_cm,
        watched=watched,
        animals=standard.animals,
        objects=standard.objects,
        zones=standard.targets,
        has_labels=has_labels,
        tracking_path=path,
        annotation_path=None,
        start_s=standard.poses.start_s,
    )
    return Recording(
        info=info,
        slots=slots,
        keypoints=names,
        xy_px=np.ascontiguousarray(points[..., :2]),
        z_px=points[..., 2] if standard.poses.z_px is not None else None,
        bouts=bouts,
        coverage=coverage,
        notes=standard.poses.notes,
    )


def _keypoints_of(standard: StandardPoses) -> dict[int, str]:
    """Return the keypoint at each place that is kept: canonical, or the lab's own."""
    taken = {match.keypoint for match in standard.matches}
    return {
        at: match.keypoint
        or (match.name if match.name not in taken else f"{EXTRA}{match.name}")
        for at, match in enumerate(standard.matches)
        if match.is_kept and standard.poses.present[:, :, at].any()
    }


def _to_slots(
    standard: StandardPoses, names: tuple[str, ...]
) -> tuple[Int[np.ndarray, " slot"], Float[np.ndarray, "time slot c"]]:
    """Return the slots that are tracked in any frame, ascending, and their points.

    A point has three coordinates in three-dimensional poses.
    """
    poses = standard.poses
    places = poses.xy_px
    if poses.z_px is not None:
        places = np.concatenate([places, poses.z_px[..., None]], axis=-1)
    columns: dict[int, list[tuple[int, int]]] = {}
    layout = PoseLayout(keypoints=names)
    for at, keypoint in _keypoints_of(standard).items():
        for animal in range(len(poses.animals)):
            if poses.present[:, animal, at].any():
                slot = layout.slot_of(animal, names.index(keypoint))
                columns.setdefault(slot, []).append((animal, at))
    tracked = np.flatnonzero(poses.present.any(axis=(1, 2)))
    length = poses.first_frame + (int(tracked[-1]) + 1 if len(tracked) else 0)
    shape = length, len(columns), places.shape[-1]
    found = np.full(shape, np.nan, np.float32)
    rows = slice(poses.first_frame, length)
    for column, slot in enumerate(sorted(columns)):
        animals, keypoints = zip(*columns[slot], strict=True)
        points = places[: length - poses.first_frame, animals, keypoints]
        # Several are the corners of a headpiece.
        is_one = points.shape[1] == 1
        found[rows, column] = points[:, 0] if is_one else mean_of_tracked(points)
    return np.array(sorted(columns), int), found
