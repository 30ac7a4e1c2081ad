"""Objects: points that an animal may act on and that are no animals.

``project.yaml`` names them. An object is an individual of the tracks, a keypoint (as
where one animal and the objects were labelled together), or a fixed place::

    objects: [cup, lever]             # individuals or keypoints of these names
    objects:
      cup: obj_1                      # one of another name
      lever: [210, 126]               # x and y in pixels
      door: {cm: [14.0, 8.4]}

Objects are numbered after the animals and have one point. A tracked object that rests
is at one place in all frames: trackers lose it when an animal is over it, or jump.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mabe.errors import DataError
from mabe.io.readers.poses import Poses

RESTING_CM = 1.0
"""An object rests where most of its points lie within this distance of their median."""

RESTING_SHARE = 0.9

Coordinate = Annotated[float, Field(allow_inf_nan=False)]
Place = tuple[Coordinate, Coordinate]


class ObjectSettings(BaseModel):
    """Where one object is: in the tracks, or at a fixed place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    track: str | None = None
    """The name of its individual or keypoint in the tracks."""
    px: Place | None = None
    cm: Place | None = None

    @model_validator(mode="before")
    @classmethod
    def _allow_short_forms(cls, value: Any) -> Any:
        """Read a bare string as the name of a track, and two numbers as pixels."""
        if isinstance(value, str):
            return {"track": value}
        return {"px": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _choose_one(self) -> "ObjectSettings":
        if sum(given is not None for given in (self.track, self.px, self.cm)) != 1:
            raise ValueError(
                "needs the name of its track, or [x, y] in pixels, or cm: [x, y]"
            )
        return self


def named_objects(value: Any) -> Any:
    """Return what `objects` of a project names, as a mapping; a list names tracks."""
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return {name: {"track": name} for name in value}
    return value


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object of a recording."""

    name: str
    xy_px: Float[np.ndarray, "time 2"] | None
    """Its track, NaN where missing; None: it has a fixed place."""
    settings: ObjectSettings

    def place_px(self, pixels_per_cm: float) -> Float[np.ndarray, "2"] | None:
        """Return where the object is in all frames; None where it moves."""
        if self.xy_px is None:
            scale = 1.0 if self.settings.px is not None else pixels_per_cm
            return np.array(self.settings.px or self.settings.cm, np.float32) * scale
        known = self.xy_px[np.isfinite(self.xy_px).all(axis=1)]
        middle: np.ndarray = np.median(known, axis=0)
        away = np.hypot(*(known - middle).T)
        near = np.count_nonzero(away <= RESTING_CM * pixels_per_cm)
        return middle if near >= RESTING_SHARE * len(known) else None


def take_objects(
    poses: Poses, objects: Mapping[str, ObjectSettings]
) -> tuple[Poses, tuple[SceneObject, ...]]:
    """Return the poses of the animals alone, and the objects.

    Raises `DataError` where an object is in none of the tracks, is never tracked, is a
    keypoint of several individuals, or where no animal remains.
    """
    found = tuple(
        SceneObject(name, _track(poses, name, settings), settings)
        for name, settings in objects.items()
    )
    tracks = {settings.track for settings in objects.values()}
    animals = [at for at, name in enumerate(poses.animals) if name not in tracks]
    parts = [at for at, name in enumerate(poses.keypoints) if name not in tracks]
    tracked = np.flatnonzero(poses.present[:, :, parts].any(axis=(0, 2)))
    animals = [at for at in animals if at in tracked]
    if not animals:
        raise DataError(
            f"{poses.name}: `objects` in project.yaml leaves no animal; it has the "
            f"individuals {list(poses.animals)} and keypoints {list(poses.keypoints)}."
        )
    return poses.selected(animals=animals, keypoints=parts), found


def _track(
    poses: Poses, name: str, settings: ObjectSettings
) -> Float[np.ndarray, "time 2"] | None:
    """Return the track of an object; None for one with a fixed place."""
    if settings.track is None:
        return None
    if settings.track in poses.animals:
        points = poses.xy_px[:, poses.animals.index(settings.track)]
    elif settings.track in poses.keypoints:
        points = poses.xy_px[:, :, poses.keypoints.index(settings.track)]
        several = np.count_nonzero(np.isfinite(points[..., 0]).any(axis=0))
        if several > 1:
            raise DataError(
                f"{poses.name}: the object {name!r} is a keypoint of {several} "
                "individuals; name an individual, or a place [x, y]."
            )
    else:
        raise DataError(
            f"{poses.name}: the object {name!r} is in none of its tracks; it has the "
            f"individuals {list(poses.animals)} and keypoints {list(poses.keypoints)}."
        )
    track = _mean_of_present(points)
    if not np.isfinite(track).any():
        raise DataError(
            f"{poses.name}: the object {name!r} is never tracked surely enough; set "
            "its place in project.yaml: objects: {…: [x, y]}, or min_confidence."
        )
    return track


def _mean_of_present(
    points: Float[np.ndarray, "time several 2"],
) -> Float[np.ndarray, "time 2"]:
    """Return the mean of the points that are present, NaN where none is."""
    is_known = np.isfinite(points).all(axis=-1, keepdims=True)
    count = is_known.sum(axis=1)
    total = np.where(is_known, points, 0).sum(axis=1)
    mean = total / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan).astype(np.float32)


def add_objects(
    poses: Poses,
    objects: Sequence[SceneObject],
    *,
    pixels_per_cm: float,
    keypoint: int = 0,
) -> Poses:
    """Return poses in which objects follow the animals, with one point each.

    Their point is in the column of a keypoint and has no z. Notes tell which of them
    rest. Raises `DataError` where an object and an animal have one name.
    """
    if not objects:
        return poses
    if twice := {each.name for each in objects} & set(poses.animals):
        raise DataError(
            f"{poses.name}: {sorted(twice)} name both an animal and an object."
        )
    shape = (len(poses.xy_px), len(objects), len(poses.keypoints), 2)
    xy = np.full(shape, np.nan, poses.xy_px.dtype)
    notes = []
    for at, each in enumerate(objects):
        place = each.place_px(pixels_per_cm)
        xy[:, at, keypoint] = each.xy_px if place is None else place
        if place is None:
            notes.append(f"object {each.name}: moves; its track is used as it is")
        else:
            where = f"at ({place[0]:.0f}, {place[1]:.0f}) px in all frames"
            notes.append(f"object {each.name}: {where}")
    no_z = xy[..., 0] * np.nan
    return replace(
        poses,
        animals=(*poses.animals, *(each.name for each in objects)),
        xy_px=np.concatenate([poses.xy_px, xy], axis=1),
        z_px=None if poses.z_px is None else np.concatenate([poses.z_px, no_z], axis=1),
        confidence=None,
    ).noting(*notes)
