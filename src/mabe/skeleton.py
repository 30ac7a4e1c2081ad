"""The canonical skeleton: which keypoints there are, and what labs call them.

Every pose in `mabe` has the axes ``[..., animal, keypoint, xy]`` with `ANIMALS` ×
`KEYPOINTS`. A *slot* is one (animal, keypoint) counted in that order:
``slot = animal * len(KEYPOINTS) + keypoint``.
"""

import difflib
import re

KEYPOINTS = (
    "nose",
    "head",
    "ear_left",
    "ear_right",
    "neck",
    "body_center",
    "lateral_left",
    "lateral_right",
    "hip_left",
    "hip_right",
    "spine_1",
    "spine_2",
    "tail_base",
    "tail_middle_1",
    "tail_midpoint",
    "tail_middle_2",
    "tail_tip",
    "headpiece",
)


ANIMALS = 4


SLOTS = ANIMALS * len(KEYPOINTS)


LEFT_RIGHT_PAIRS = (
    ("ear_left", "ear_right"),
    ("lateral_left", "lateral_right"),
    ("hip_left", "hip_right"),
)
"""Keypoints that change places when a pose is seen in a mirror."""


PAWS = frozenset(
    f"{side}_{end}" for side in ("forepaw", "hindpaw") for end in ("left", "right")
)
"""Tracked in the unlabelled MABe22 clips only, and dropped on purpose."""


_ALIASES = {
    "snout": "nose",
    "nosetip": "nose",
    "centroid": "body_center",
    "bodycentre": "body_center",
    "center": "body_center",
    "centre": "body_center",
    "bodycenter": "body_center",
    "tailbase": "tail_base",
    "tailstart": "tail_base",
    "tailend": "tail_tip",
    "tailtip": "tail_tip",
    "tailmid": "tail_midpoint",
    "tailmiddle": "tail_midpoint",
    "tailcenter": "tail_midpoint",
}
"""Names without separators, to keypoints whose own spelling is another."""


def _squeeze(name: str) -> str:
    """Lower-case, without separators or a trailing animal number."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"[_\W]+\d+$", "", name.lower()))


_BY_SQUEEZED = {
    **{re.sub(r"[^a-z0-9]", "", name): name for name in KEYPOINTS},
    **{
        f"{side}{part}": f"{part}_{side}"
        for part in ("ear", "hip", "lateral")
        for side in ("left", "right")
    },
    **_ALIASES,
}


def match_keypoint(name: str) -> str | None:
    """Return the canonical keypoint a lab's name stands for, or None.

    The eight corners of a head-mounted device all stand for `headpiece`; their mean
    is taken where poses are read. A number at the end belongs to an animal
    (``Ear_left_1``) unless the name with its number is canonical (``spine_1``).
    """
    if name.lower().startswith("headpiece"):
        return "headpiece"
    whole = re.sub(r"[^a-z0-9]", "", name.lower())
    return _BY_SQUEEZED.get(whole) or _BY_SQUEEZED.get(_squeeze(name))


def nearest_keypoints(name: str) -> list[str]:
    """Return up to three canonical names that look like an unknown one."""
    return difflib.get_close_matches(name.lower(), KEYPOINTS, n=3, cutoff=0.3)


def mirror_order() -> list[int]:
    """Return, for each keypoint, the keypoint whose place it takes in a mirror."""
    partner = dict(LEFT_RIGHT_PAIRS) | {b: a for a, b in LEFT_RIGHT_PAIRS}
    return [KEYPOINTS.index(partner.get(name, name)) for name in KEYPOINTS]
