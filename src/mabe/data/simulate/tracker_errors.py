"""Tracked pixels of true poses: with noise, gaps, swapped animals and outliers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from mabe.data.simulate.random_signals import smooth_noise

Poses = Float[np.ndarray, "time animal part 2"]


Missing = Bool[np.ndarray, "time animal part"]


_CLOSE_CM = 7.0


_FAR_ACCEPTED = 0.45
"""Rate of gaps while no other animal is near, relative to that while one is."""


_ANIMAL_GAP_S = 0.7


_POINT_GAP_S = 0.25


_ANIMAL_GAP_SHARE = 0.35
"""Share of missing points that are missing with their whole animal."""


_SWAPS_PER_MINUTE = 0.7


_OUTLIERS_PER_POINT = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """One lab's camera and tracker."""

    fps: float
    pixels_per_cm: float
    width_px: float
    height_px: float
    missing_share: float
    """Approximate share of missing points; more where animals are close."""
    jitter_cm: float


def film(poses_cm: Poses, camera: Camera, rng: np.random.Generator) -> Poses:
    """Return tracked pixels, in steps of 1/32; a missing point is NaN.

    In the image y points down. Pieces of a video are independent of each other.
    """
    close = _close_to_another(poses_cm)
    points = _add_noise(poses_cm, camera, rng)
    scale = camera.pixels_per_cm
    points *= np.array([scale, -scale], np.float32)
    points += np.array([camera.width_px / 2, camera.height_px / 2], np.float32)
    _swap_animals(points, close, camera, rng)
    _add_outliers(points, camera, rng)
    np.rint(points * np.float32(32), out=points)
    points /= np.float32(32)  # short fractions, so that files compress
    points[_missing(close, poses_cm.shape[2], camera, rng)] = np.nan
    return points


def _close_to_another(poses_cm: Poses) -> Bool[np.ndarray, "time animal"]:
    """Return whether another animal is near, by the distance of their centres."""
    centre = poses_cm.mean(axis=2)
    close = np.zeros(centre.shape[:2], bool)
    for one in range(centre.shape[1]):
        for other in range(one):
            apart = np.linalg.norm(centre[:, one] - centre[:, other], axis=-1)
            close[:, one] |= apart < _CLOSE_CM
            close[:, other] |= apart < _CLOSE_CM
    return close


def _add_noise(poses_cm: Poses, camera: Camera, rng: np.random.Generator) -> Poses:
    """Return the poses with jitter of each frame, and slow drift of each part."""
    noise = rng.standard_normal(poses_cm.shape, np.float32)
    noise *= np.float32(camera.jitter_cm)
    noise += poses_cm
    # One drift for each part of all animals: where the tracker places a "hip".
    for part, axis in np.ndindex(poses_cm.shape[2], 2):
        drift = smooth_noise(rng, len(poses_cm), spacing=3 * camera.fps)
        noise[:, :, part, axis] += (0.12 * drift).astype(np.float32)[:, None]
    return noise


def _swap_animals(
    points: Poses,
    close: Bool[np.ndarray, "time animal"],
    camera: Camera,
    rng: np.random.Generator,
) -> None:
    """Swap the identities of two close animals for about a second."""
    frames, animals = close.shape
    minutes = frames / camera.fps / 60
    for _ in range(rng.poisson(_SWAPS_PER_MINUTE * minutes)):
        start = int(rng.integers(frames))
        stop = start + round(rng.uniform(0.5, 1.5) * camera.fps)
        near = np.flatnonzero(close[start])
        if len(near) >= 2 and animals >= 2:
            one, other = rng.choice(near, 2, replace=False)
            points[start:stop, [one, other]] = points[start:stop, [other, one]]


def _add_outliers(points: Poses, camera: Camera, rng: np.random.Generator) -> None:
    """Replace a few single points by random ones of the image."""
    flat = points.reshape(-1, 2)
    count = rng.poisson(_OUTLIERS_PER_POINT * len(flat))
    picture = np.array([camera.width_px, camera.height_px])
    flat[rng.integers(len(flat), size=count)] = rng.random((count, 2)) * picture


def _missing(
    close: Bool[np.ndarray, "time animal"],
    parts: int,
    camera: Camera,
    rng: np.random.Generator,
) -> Missing:
    share = camera.missing_share
    of_animals = _gaps(
        close, share * _ANIMAL_GAP_SHARE, _ANIMAL_GAP_S * camera.fps, rng
    )
    of_points = _gaps(
        np.repeat(close, parts, axis=1),
        share * (1 - _ANIMAL_GAP_SHARE),
        _POINT_GAP_S * camera.fps,
        rng,
    )
    of_points = of_points.reshape(*close.shape, parts)
    of_points |= of_animals[:, :, None]
    return of_points


def _gaps(
    close: Bool[np.ndarray, "time track"],
    share: float,
    mean_frames: float,
    rng: np.random.Generator,
) -> Bool[np.ndarray, "time track"]:
    """Return gaps that cover about a share of all frames, most of animals close."""
    frames, tracks = close.shape
    accepted = close.mean() + _FAR_ACCEPTED * (1 - close.mean())
    # Overlapping gaps cover less than their sum: -log(1 - share) of them cover it.
    # A gap lasts at least a frame: on average, half a frame more than drawn.
    rate = -np.log1p(-share) / (mean_frames + 0.5) / accepted
    count = rng.poisson(rate * frames * tracks)
    start, track = rng.integers(frames, size=count), rng.integers(tracks, size=count)
    kept = close[start, track] | (rng.random(count) < _FAR_ACCEPTED)
    start, track = start[kept], track[kept]
    stop = np.minimum(start + 1 + rng.exponential(mean_frames, len(start)), frames)
    depth = np.zeros((frames + 1, tracks), np.int16)
    np.add.at(depth, (start, track), 1)
    np.add.at(depth, (stop.astype(int), track), -1)
    return np.cumsum(depth[:-1], axis=0, dtype=np.int16) > 0
