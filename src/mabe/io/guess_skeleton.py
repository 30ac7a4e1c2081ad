"""The roles of keypoints, guessed from their names, and from how they move.

Keypoints of rodents have known roles (`mabe.skeleton.RODENT`). Of other bodies, words
of the names tell snout, centre and rump (`head_tip`, `thorax`, `abdomen_tip`), and left
from right. Where they do not, poses do: an animal travels towards its front; what keeps
its distance to the rest is trunk, and what does not is a tail or a limb; two points on
both sides of the axis are a pair. Left and right themselves cannot be told from poses,
and need not be: a pair is only exchanged in mirror images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from mabe.io.keypoint_names import split_words
from mabe.skeleton import (
    KEYPOINTS,
    LANDMARKS,
    RODENT,
    Skeleton,
    with_front_and_rear,
)

MOST_FRAMES = 20_000
"""Frames of a recording that are looked at."""


_WORDS = {
    "snout": (
        *("snout", "rostrum", "beak", "bill", "mouth", "nose", "proboscis"),
        *("mandible", "head tip", "tip head", "forehead", "head", "face", "front"),
    ),
    "body": (
        *("thorax", "body center", "center", "body", "mid", "trunk", "back", "spine"),
        *("pronotum", "carapace", "swim bladder", "swimbladder", "mantle"),
    ),
    "rump": (
        *("abdomen tip", "abdomen end", "tail base", "rump", "vent", "cloaca"),
        *("peduncle", "caudal peduncle", "abdomen", "hip", "rear", "hind", "tail"),
    ),
    "neck": ("neck", "nape", "throat", "prothorax"),
    "tip": ("tail tip", "tail end", "tail fin", "caudal fin", "tail feather"),
}
"""Words of names without a side, the best first."""


_NECK_PAIRS = ("eye", "ear", "gill", "operculum", "antenna", "shoulder")
"""Pairs half way between which the neck is, the best first."""


_TRAVELS = 0.5
"""Share of frames, the fastest, in which the direction of travel is looked at."""


_STEP_S = 0.2
"""The direction of travel is that of the centre over this time."""


_LEAST_FRAMES = 50


_LEAST_LEAD = 0.05
"""Share of a body's length by which points have to lead for a front to be known."""


_LIMB = 2.5
"""A point is no trunk where its place varies this many times as much as is usual."""


_ASIDE = 0.03
"""Share of a body's length from which on a point is aside of the axis."""


_CENTRE = 0.2
"""Share of a body's length by which its centre may be off the middle."""


_ALIKE = 0.15
"""Share of a body's length by which the places of a pair may differ."""


_NAME = "its name"


_MOVES = "how the points lie and move"


@dataclass(frozen=True, slots=True)
class RoleGuess:
    """What was taken for what, and why, for people to read."""

    what: str
    """Such as ``snout: head_tip``."""
    reason: str

    def __str__(self) -> str:
        return f"{self.what} ({self.reason})"


_NOTHING_TELLS = RoleGuess(
    "front and rear unknown",
    "neither names nor movements tell; set `skeleton` in project.yaml",
)


@dataclass(frozen=True, slots=True)
class GuessedSkeleton:
    """A skeleton, and why each role is what it is."""

    skeleton: Skeleton
    guesses: tuple[RoleGuess, ...] = ()
    """None where all keypoints are those of rodents, or roles are given."""


@dataclass(frozen=True, slots=True)
class BodyPlaces:
    """Where keypoints usually are in the frame of their own animal.

    Lengths are shares of the distance between the foremost and the rearmost point.
    """

    along_K: Float[np.ndarray, " k"]
    """Positive to the front."""
    across_K: Float[np.ndarray, " k"]
    varies_K: Float[np.ndarray, " k"]
    """Standard deviation of the place."""
    is_trunk_K: Bool[np.ndarray, " k"]


def guess_skeleton(
    keypoints: Sequence[str],
    poses: Sequence[Float[np.ndarray, "_ _ k 2"]],
    rate_fps: float,
) -> GuessedSkeleton:
    """Return the roles of keypoints, from their names and from poses in any unit.

    Keypoints that are a rodent's keep its roles, which come first.
    """
    keypoints = tuple(keypoints)
    known = RODENT.with_keypoints(tuple(n for n in KEYPOINTS if n in keypoints))
    others = [name for name in keypoints if name not in KEYPOINTS]
    if not others:
        return GuessedSkeleton(RODENT.with_keypoints(keypoints))
    guesses: list[RoleGuess] = []
    if known.has_heading:
        guessed = _by_names(keypoints, others, guesses, but=known)
        return GuessedSkeleton(
            RODENT.joined(guessed).with_keypoints(keypoints), tuple(guesses)
        )
    guessed = _by_names(keypoints, others, guesses)
    if len(keypoints) > 1 and not _is_told(guessed):
        places = measure_places(poses, rate_fps)
        if places is None:
            guesses.append(_NOTHING_TELLS)
        else:
            guessed = _by_places(keypoints, places, guessed, guesses)
    elif len(keypoints) == 1:
        guessed = replace(guessed, body=keypoints)
        guesses.append(RoleGuess(f"body: {keypoints[0]}", "the only point"))
    found = RODENT.joined(guessed).with_keypoints(keypoints)
    return GuessedSkeleton(with_front_and_rear(found), tuple(guesses))


def measure_places(
    poses: Sequence[Float[np.ndarray, "_ _ k 2"]], rate_fps: float
) -> BodyPlaces | None:
    """Return where keypoints are in their animal's frame; None if it moves too little.

    The frame is found in two steps: points that are ahead of the others while an animal
    travels are its front; then its axis is from rear to front in every frame.
    """
    bodies = _bodies(poses)
    leads = [_lead_K(body_TK2, rate_fps) for body_TK2 in bodies]
    weighted = [
        (lead_K, len(body_TK2))
        for lead_K, body_TK2 in zip(leads, bodies, strict=True)
        if lead_K is not None
    ]
    if not weighted:
        return None
    lead_K = np.average(
        [lead for lead, _ in weighted], axis=0, weights=[n for _, n in weighted]
    )
    spread = float(lead_K.max() - lead_K.min())
    offsets = _offsets(bodies)
    size = float(np.nanmedian(np.nanmax(np.linalg.norm(offsets, axis=2), axis=1)))
    if spread < _LEAST_LEAD * 2 * size:
        return None
    axis_N2 = np.nansum(offsets * (lead_K - lead_K.mean())[:, None], axis=1)
    axis_N2 /= np.linalg.norm(axis_N2, axis=1, keepdims=True).clip(min=1e-9)
    along_NK = np.einsum("nkx,nx->nk", offsets, axis_N2)
    left_N2 = np.stack([-axis_N2[:, 1], axis_N2[:, 0]], axis=1)
    across_NK = np.einsum("nkx,nx->nk", offsets, left_N2)
    along_K, across_K = np.nanmedian(along_NK, axis=0), np.nanmedian(across_NK, axis=0)
    varies_K = np.hypot(_spread_K(along_NK), _spread_K(across_NK))
    is_trunk_K = varies_K <= _LIMB * np.median(varies_K)
    length = float(along_K[is_trunk_K].max() - along_K[is_trunk_K].min()) or size
    return BodyPlaces(
        along_K / length, across_K / length, varies_K / length, is_trunk_K
    )


def _bodies(
    poses: Sequence[Float[np.ndarray, "_ _ k 2"]],
) -> list[Float[np.ndarray, "_ k 2"]]:
    """Return the tracks of each animal that has all keypoints at some time."""
    every = [each[:, animal] for each in poses for animal in range(each.shape[1])]
    return [body for body in every if np.isfinite(body[..., 0]).any(axis=0).all()]


def _offsets(
    bodies: Sequence[Float[np.ndarray, "_ k 2"]],
) -> Float[np.ndarray, "n k 2"]:
    """Return points relative to their mean, of the frames with most points."""
    points = np.concatenate(bodies)
    known_N = np.isfinite(points[..., 0]).sum(axis=1)
    enough = np.sort(known_N)[-min(len(known_N), _LEAST_FRAMES)]
    best = points[known_N >= max(2, enough)]
    best = best[:: max(1, len(best) // MOST_FRAMES)]
    return best - np.nanmean(best, axis=1, keepdims=True)


def _lead_K(
    body_TK2: Float[np.ndarray, "time k 2"], rate_fps: float
) -> Float[np.ndarray, " k"] | None:
    """Return how far each point is ahead of the others while the animal travels.

    Points are compared two by two, so that it does not matter which are missing.
    """
    step = max(1, round(_STEP_S * rate_fps))
    moved_TK2 = body_TK2[2 * step :] - body_TK2[: -2 * step]
    is_known = np.isfinite(moved_TK2[..., 0]).any(axis=1)
    if is_known.sum() < _LEAST_FRAMES:
        return None
    moved_N2 = np.nanmean(moved_TK2[is_known], axis=1)
    points_NK2 = body_TK2[step : len(body_TK2) - step][is_known]
    far_N = np.linalg.norm(moved_N2, axis=1)
    is_fast = far_N > np.quantile(far_N, 1 - _TRAVELS)
    if not is_fast.any():
        return None
    way_N2 = moved_N2[is_fast] / far_N[is_fast, None]
    along_NK = np.einsum("nkx,nx->nk", points_NK2[is_fast], way_N2)
    ahead_NKK = along_NK[:, :, None] - along_NK[:, None]
    both_KK = np.isfinite(ahead_NKK).sum(axis=0)
    if (both_KK < _LEAST_FRAMES).any():
        return None
    return np.nanmedian(ahead_NKK, axis=0).mean(axis=1)


def _spread_K(values_NK: Float[np.ndarray, "n k"]) -> Float[np.ndarray, " k"]:
    """Return half of the range between the 16 % and 84 % quantiles."""
    low_K, high_K = np.nanquantile(values_NK, [0.16, 0.84], axis=0)
    return (high_K - low_K) / 2


def _by_names(
    keypoints: tuple[str, ...],
    others: Sequence[str],
    guesses: list[RoleGuess],
    *,
    but: Skeleton | None = None,
) -> Skeleton:
    """Return the roles that names tell, other than those that `but` has."""
    taken_roles = [role for role in LANDMARKS if but and getattr(but, role)]
    words = {name: split_words(name) for name in others}
    plain = {name: text for name, (text, side) in words.items() if not side}
    found: dict[str, Any] = {}
    taken: set[str] = set()
    for role in ("tip", "snout", "rump", "neck", "body"):
        for text in () if role in taken_roles else _WORDS[role]:
            wanted = frozenset(text.split())
            names = [n for n, has in plain.items() if has == wanted and n not in taken]
            if names:
                found[role] = (names[0],)
                taken.add(names[0])
                guesses.append(RoleGuess(f"{role}: {names[0]}", _NAME))
                break
    pairs = _named_pairs(others)
    if "neck" not in found and "neck" not in taken_roles:
        for part in _NECK_PAIRS:
            of_part = [pair for pair in pairs if part in words[pair[0]][0]]
            if of_part:
                found["neck"] = ("+".join(of_part[0]),)
                guesses.append(RoleGuess(f"neck: {'+'.join(of_part[0])}", _NAME))
                break
    if pairs:
        guesses.append(RoleGuess(f"left and right: {_listed(pairs)}", _NAME))
    return Skeleton(keypoints=keypoints, pairs=pairs, **found)


def _named_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of names that differ in their side only, left ones first."""
    left: dict[frozenset[str], str] = {}
    right: dict[frozenset[str], str] = {}
    for name in names:
        words, side = split_words(name)
        if side:
            (left if side == "left" else right).setdefault(words, name)
    return tuple((left[words], right[words]) for words in left if words in right)


def _is_told(skeleton: Skeleton) -> bool:
    """Return whether names tell the front and the rear."""
    found = RODENT.joined(skeleton).with_keypoints(skeleton.keypoints).landmarks
    return bool(found["snout"] and (found["rump"] or found["body"]))


def _by_places(
    keypoints: tuple[str, ...],
    places: BodyPlaces,
    named: Skeleton,
    guesses: list[RoleGuess],
) -> Skeleton:
    """Return the roles that names leave open, from where the keypoints are."""
    along_K, across_K = places.along_K, places.across_K
    trunk = [k for k in range(len(keypoints)) if places.is_trunk_K[k]]
    found: dict[str, Any] = {}
    pairs = named.pairs or _placed_pairs(keypoints, places)
    paired = {name for pair in pairs for name in pair}
    single = [k for k in trunk if keypoints[k] not in paired]
    on_axis = [k for k in single if abs(across_K[k]) < _ASIDE] or single
    if len(on_axis) < 2:
        guesses.append(_NOTHING_TELLS)
        return replace(named, pairs=pairs)
    snout = max(on_axis, key=lambda k: along_K[k])
    rump = _find_rump(on_axis, pairs, keypoints, along_K)
    middle = (along_K[snout] + along_K[rump]) / 2
    inner = [k for k in on_axis if along_K[rump] < along_K[k] < along_K[snout]]
    found["snout"] = named.snout or (keypoints[snout],)
    found["rump"] = named.rump or (keypoints[rump],)
    centre = min(inner, key=lambda k: abs(along_K[k] - middle), default=None)
    reach = _CENTRE * (along_K[snout] - along_K[rump])
    if not named.body and centre is not None and abs(along_K[centre] - middle) < reach:
        found["body"] = (keypoints[centre],)
    place = {name: k for k, name in enumerate(keypoints)}
    ahead = [
        pair
        for pair in pairs
        if all(places.is_trunk_K[place[n]] for n in pair)
        and np.mean([along_K[place[n]] for n in pair]) > middle
    ]
    if ahead and not named.neck:
        first = max(ahead, key=lambda pair: along_K[place[pair[0]]])
        found["neck"] = ("+".join(first),)
    behind = sorted(
        (k for k in range(len(keypoints)) if along_K[k] < along_K[rump]),
        key=lambda k: along_K[k],
    )
    if behind and not named.tip:
        found["tip"] = (keypoints[behind[0]],)
    if len(behind) > 1:
        found["tail"] = (keypoints[behind[len(behind) // 2]],)
    for role, (source,) in found.items():
        if not getattr(named, role):
            guesses.append(RoleGuess(f"{role}: {source}", _MOVES))
    if pairs and not named.pairs:
        guesses.append(RoleGuess(f"both sides: {_listed(pairs)}", _MOVES))
    return replace(named, pairs=pairs, **found)


def _find_rump(
    on_axis: Sequence[int],
    pairs: Sequence[tuple[str, str]],
    keypoints: tuple[str, ...],
    along_K: Float[np.ndarray, " k"],
) -> int:
    """Return the end of the trunk: what is behind the rearmost pair, but for a tail.

    With a single pair, which may be ears, it is the rearmost point.
    """
    ends = [min(along_K[keypoints.index(name)] for name in pair) for pair in pairs]
    behind = [k for k in on_axis if len(ends) > 1 and along_K[k] < min(ends)]
    if behind:
        return max(behind, key=lambda k: along_K[k])
    return min(on_axis, key=lambda k: along_K[k])


def _placed_pairs(
    keypoints: tuple[str, ...], places: BodyPlaces
) -> tuple[tuple[str, str], ...]:
    """Return the pairs of points that are each other's mirror image."""
    sides = np.abs(places.across_K) >= _ASIDE
    distances = [
        (
            float(
                np.hypot(
                    places.along_K[a] - places.along_K[b],
                    places.across_K[a] + places.across_K[b],
                )
            ),
            a,
            b,
        )
        for a in np.flatnonzero(sides & (places.across_K > 0)).tolist()
        for b in np.flatnonzero(sides & (places.across_K < 0)).tolist()
    ]
    pairs: list[tuple[str, str]] = []
    taken: set[int] = set()
    for distance, a, b in sorted(distances):
        if distance <= _ALIKE and not taken & {a, b}:
            taken |= {a, b}
            pairs.append((keypoints[a], keypoints[b]))
    return tuple(pairs)


def _listed(pairs: Sequence[tuple[str, str]]) -> str:
    return ", ".join(" – ".join(pair) for pair in pairs)
