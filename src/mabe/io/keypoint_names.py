"""Keypoint names of labs, and the canonical keypoint that each stands for.

A lab's name (``Left_bhip``, ``leftear``, ``EarL``, ``BASE_TAIL``) is split into words.
A side is recognised in any position, and the other words are looked up regardless of
their order. Every file is read with this one table of aliases.
"""

import difflib
import re
from dataclasses import dataclass

from mabe.skeleton import KEYPOINTS


@dataclass(frozen=True, slots=True)
class Alias:
    """The canonical keypoint of a lab's name."""

    keypoint: str
    rank: int
    """Of several names for one keypoint the one of the lowest rank is preferred; below
    0 are the canonical name itself and other spellings of it."""
    reason: str
    """For people to read."""


def find_alias(name: str, *, without: frozenset[str] = frozenset()) -> Alias | None:
    """Return what a lab's name stands for; None for an unknown name.

    The eight corners of a head-mounted device all stand for `headpiece`; their mean
    is computed where poses are read. A number at the end belongs to an animal
    (``Ear_left_1``) unless the name with its number is canonical (``spine_1``). The
    words in `without` are disregarded.
    """
    if keypoint := _spelled_out(name):
        if name.lower() == keypoint:
            return Alias(keypoint, -2, "same name")
        return Alias(keypoint, -1, "alias")
    words, side = split_words(name)
    known = _BY_WORDS.get((words - without, side))
    return known and Alias(*known, "left/right pattern" if side else "alias")


def match_keypoint(name: str) -> str | None:
    """Return the canonical keypoint that a lab's name stands for, or None."""
    alias = find_alias(name)
    return alias.keypoint if alias else None


def nearest_keypoints(name: str, *, cutoff: float = 0.3) -> list[str]:
    """Return up to three canonical names that are similar to an unknown one."""
    return difflib.get_close_matches(name.lower(), KEYPOINTS, n=3, cutoff=cutoff)


def split_words(name: str) -> tuple[frozenset[str], str]:
    """Return the words of a name in one spelling, and its side if it has one."""
    spaced = re.sub(_WORD_BORDER, " ", name)
    raw = [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]
    words = [part for word in raw for part in _split_compound(word)]
    sides = {_SIDES[word] for word in words if word in _SIDES}
    side = sides.pop() if len(sides) == 1 else ""
    rest = frozenset(
        _SPELLINGS.get(word, word) for word in words if not (side and word in _SIDES)
    )
    return rest, side


def _split_compound(word: str) -> list[str]:
    """Split ``leftear`` or ``tailbase`` into known words; leave any other as it is."""
    if word in BODY_WORDS or not word:
        return [word] if word else []
    for known in _COMPOUND_WORDS:
        if word.startswith(known):
            rest = _split_compound(word[len(known) :])
            if all(part in BODY_WORDS for part in rest):
                return [known, *rest]
    return [word]


def _spelled_out(name: str) -> str | None:
    """Return the keypoint of a name that differs from it only in how it is spelled."""
    if name.lower().startswith("headpiece"):
        return "headpiece"
    bare = _squeeze(re.sub(r"[_\W]+\d+$", "", name))
    return _BY_SPELLING.get(_squeeze(name)) or _BY_SPELLING.get(bare)


def _squeeze(name: str) -> str:
    """Return a name in lower case without separators."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


_WORD_BORDER = r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])"


_SIDES = {
    **dict.fromkeys(("left", "l", "lft"), "left"),
    **dict.fromkeys(("right", "r", "rgt", "rt"), "right"),
}


_BY_SPELLING = {
    **{_squeeze(name): name for name in KEYPOINTS},
    **{
        f"{side}{part}": f"{part}_{side}"
        for part in ("ear", "hip", "lateral")
        for side in ("left", "right")
    },
    **dict.fromkeys(("snout", "nosetip"), "nose"),
    **dict.fromkeys(("centroid", "center", "centre"), "body_center"),
    **dict.fromkeys(("bodycenter", "bodycentre"), "body_center"),
    **dict.fromkeys(("tailbase", "tailstart"), "tail_base"),
    **dict.fromkeys(("tailend", "tailtip"), "tail_tip"),
    **dict.fromkeys(("tailmid", "tailmiddle", "tailcenter"), "tail_midpoint"),
}
"""Names without separators."""


_SPELLINGS = {
    "centre": "center",
    "middle": "mid",
    "midpoint": "mid",
    "median": "mid",
    "snout": "nose",
    "muzzle": "nose",
    "trunk": "body",
    "torso": "body",
    "centroid": "center",
    "lat": "lateral",
    "flank": "lateral",
    "haunch": "hip",
    "bhip": "hip",
    "fhip": "shoulder",
    "front": "fore",
    "rear": "hind",
    "root": "base",
    "start": "base",
    "onset": "base",
    "end": "tip",
    "nape": "neck",
    "skull": "head",
    "foot": "paw",
    "hand": "paw",
}
"""Words with the same meaning."""


_MIDLINE = {
    "nose": ("nose", "nose tip", "tip nose"),
    "head": ("head", "head center", "head mid", "head top", "head body"),
    "neck": ("neck", "neck base", "neck mid"),
    "body_center": (
        *("body center", "center", "body mid", "body", "back center", "spine center"),
        *("back mid", "spine mid", "back", "spine"),
    ),
    "spine_1": ("spine 1", "spine upper", "upper back", "spine fore"),
    "spine_2": ("spine 2", "spine lower", "lower back", "spine hind"),
    "tail_base": ("tail base", "tti", "tail"),
    "tail_midpoint": ("tail mid", "tail center"),
    "tail_tip": ("tail tip",),
}
"""Words of each keypoint without a side, the preferred ones first."""


_SIDED = {
    "ear": ("ear", "ear base", "ear tip"),
    "hip": ("hip", "hip hind", "hip back"),
    "lateral": ("lateral", "body lateral", "body", "mid", "shoulder", "hip fore"),
}
"""Words of each pair of keypoints besides the side, the preferred ones first."""


_BY_WORDS = {
    (frozenset(words.split()), ""): (keypoint, rank)
    for keypoint, names in _MIDLINE.items()
    for rank, words in enumerate(names)
} | {
    (frozenset(words.split()), side): (f"{part}_{side}", rank)
    for part, names in _SIDED.items()
    for side in ("left", "right")
    for rank, words in enumerate(names)
}


BODY_WORDS = frozenset(
    {
        *(
            word
            for names in (*_MIDLINE.values(), *_SIDED.values())
            for name in names
            for word in name.split()
        ),
        *_SPELLINGS,
        *_SIDES,
        *("paw", "fore", "hind", "eye"),
    }
)
"""All words that are known to name a part of the body, or its side."""


_COMPOUND_WORDS = sorted(
    (word for word in BODY_WORDS - {"lft", "rgt"} if len(word) > 2),
    key=lambda word: (-len(word), word),
)
"""Words that begin names without separators, the longest first."""
