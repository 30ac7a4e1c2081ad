"""Any lab's keypoint names, matched to the canonical skeleton.

A name is taken apart into words (``Left_bhip``, ``leftear``, ``EarL``, ``BASE_TAIL``),
sides are recognised wherever they stand, and the words are looked up without their
order. Where two names stand for one keypoint the one that says it best has it. What
stands for none is *extra*: it is kept under its own name, for features that take any.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mabe.errors import ConfigError
from mabe.skeleton import KEYPOINTS, match_keypoint, nearest_keypoints

_SIDES = {"left": "left", "l": "left", "lft": "left"} | {
    "right": "right",
    "r": "right",
    "rgt": "right",
    "rt": "right",
}


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


_PLAIN = {
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
"""Words of each keypoint without a side, the likeliest first."""


_SIDED = {
    "ear": ("ear", "ear base", "ear tip"),
    "hip": ("hip", "hip hind", "hip back"),
    "lateral": ("lateral", "body lateral", "body", "mid", "shoulder", "hip fore"),
}


_TAIL_PLACES = {
    1: ("tail_midpoint",),
    2: ("tail_middle_1", "tail_middle_2"),
    3: ("tail_middle_1", "tail_midpoint", "tail_middle_2"),
}


_WORDS = sorted(
    {
        *(
            word
            for names in (*_PLAIN.values(), *_SIDED.values())
            for name in names
            for word in name.split()
        ),
        *_SPELLINGS,
        *("left", "right", "paw", "fore", "hind", "eye"),
    },
    key=lambda word: -len(word),
)


_BORDER = r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])"


_ANIMAL_FIRST = r"(?P<animal>[^_]+)[_ ](?P<part>.+)"


_ANIMAL_LAST = r"(?P<part>.+?)[_ ]?(?P<animal>\d+)"


_RANK = {
    (frozenset(words.split()), ""): (keypoint, rank)
    for keypoint, names in _PLAIN.items()
    for rank, words in enumerate(names)
} | {
    (frozenset(words.split()), side): (f"{part}_{side}", rank)
    for part, names in _SIDED.items()
    for side in ("left", "right")
    for rank, words in enumerate(names)
}


@dataclass(frozen=True, slots=True)
class Match:
    """What one name of a lab stands for."""

    name: str
    keypoint: str | None
    """The canonical keypoint; None for an extra one, or one that is left out."""
    reason: str
    """Why, for people to read."""
    is_kept: bool = True
    """False: the project leaves it out altogether."""


def match_names(
    names: Sequence[str], mapping: Mapping[str, str | None] | None = None
) -> tuple[Match, ...]:
    """Return what each name stands for, in the order given.

    `mapping` (a lab's name to ours, or to None to leave it out) goes before all else.
    Raises `ConfigError` where it names a keypoint that does not exist, or one twice.
    """
    mapping = dict(mapping or {})
    _check_mapping(mapping)
    by_hand = {name: mapping[name] for name in names if name in mapping}
    taken = {keypoint for keypoint in by_hand.values() if keypoint}
    free = [name for name in names if name not in by_hand]
    ranked = _candidates(free)
    best: dict[str, str] = {}
    by_rank = sorted(ranked.items(), key=lambda item: item[1][1])
    for name, (keypoint, _, _) in by_rank:
        if keypoint not in taken and (keypoint not in best or keypoint == "headpiece"):
            best.setdefault(keypoint, name)
    found = []
    for name in names:
        if name in by_hand:
            kept = by_hand[name] is not None
            reason = "project.yaml" if kept else "left out by project.yaml"
            found.append(Match(name, by_hand[name], reason, kept))
        elif name in ranked:
            keypoint, _, reason = ranked[name]
            if best.get(keypoint) == name or keypoint == "headpiece":
                found.append(Match(name, keypoint, reason))
            else:
                other = best.get(keypoint) or "project.yaml"
                found.append(Match(name, None, f"extra: {keypoint} is {other}"))
        else:
            found.append(Match(name, None, _describe_extra(name)))
    return tuple(found)


def _check_mapping(mapping: Mapping[str, str | None]) -> None:
    """Raise `ConfigError` for a mapping to what does not exist, or twice to one."""
    wanted = [keypoint for keypoint in mapping.values() if keypoint is not None]
    for name, keypoint in mapping.items():
        if keypoint is not None and keypoint not in KEYPOINTS:
            near = ", ".join(nearest_keypoints(keypoint)) or "none"
            raise ConfigError(
                f"keypoints: {name!r} is mapped to {keypoint!r}, which is none of ours "
                f"(nearest: {near}); all: {', '.join(KEYPOINTS)}"
            )
    twice = {each for each in wanted if wanted.count(each) > 1 and each != "headpiece"}
    if twice:
        raise ConfigError(f"keypoints: several names are mapped to {sorted(twice)}")


def _candidates(names: Sequence[str]) -> dict[str, tuple[str, int, str]]:
    """Return keypoint, rank (lower is likelier) and reason, of names that have one."""
    shared = _shared_words(names)
    found: dict[str, tuple[str, int, str]] = {}
    tails: dict[str, int] = {}
    for name in names:
        if keypoint := match_keypoint(name):
            reason = "same name" if name.lower() == keypoint else "alias"
            found[name] = (keypoint, -2 if reason == "same name" else -1, reason)
            continue
        words, side = take_apart(name)
        for rest in (words, words - shared):
            if (known := _RANK.get((rest, side))) is not None:
                reason = "left/right pattern" if side else "alias"
                found[name] = (*known, reason)
                break
            numbers = [word for word in rest if word.isdigit()]
            if not side and len(numbers) == 1 and rest - set(numbers) == {"tail"}:
                tails[name] = int(numbers[0])
                break
    return found | _number_tails(tails)


def _number_tails(tails: Mapping[str, int]) -> dict[str, tuple[str, int, str]]:
    """Spread numbered points over the tail between its base and its tip."""
    order = sorted(tails, key=lambda name: tails[name])
    if len(order) > 3:
        order = [order[0], order[len(order) // 2], order[-1]]
    places = _TAIL_PLACES.get(len(order), ())
    return {
        name: (place, 0, f"number along the tail ({tails[name]})")
        for name, place in zip(order, places, strict=True)
    }


def _shared_words(names: Sequence[str]) -> frozenset[str]:
    """Return words in front of all names, such as an animal's."""
    words = [take_apart(name)[0] for name in names]
    return frozenset.intersection(*words) if len(words) > 2 else frozenset()


def take_apart(name: str) -> tuple[frozenset[str], str]:
    """Return the words of a name in one spelling, and its side if it has one."""
    spaced = re.sub(_BORDER, " ", name)
    raw = [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]
    words = [part for word in raw for part in _split_word(word)]
    sides = {_SIDES[word] for word in words if word in _SIDES}
    side = sides.pop() if len(sides) == 1 else ""
    rest = frozenset(
        _SPELLINGS.get(word, word) for word in words if not (side and word in _SIDES)
    )
    return rest, side


def _split_word(word: str) -> list[str]:
    """Split ``leftear`` or ``tailbase`` into words that are known; else leave it."""
    if word in _WORDS or word in _SIDES or not word:
        return [word] if word else []
    for known in _WORDS:
        if len(known) > 2 and word.startswith(known):
            rest = _split_word(word[len(known) :])
            if all(part in _WORDS or part in _SIDES for part in rest):
                return [known, *rest]
    return [word]


def _describe_extra(name: str) -> str:
    words, side = take_apart(name)
    if "paw" in words and side:
        return "extra: a paw"
    near = nearest_keypoints(name)[:2]
    return "extra" + (f"; did you mean {' or '.join(near)}?" if near else "")


def format_matches(matches: Iterable[Match]) -> str:
    """Return the matches as a table for people."""
    matches = tuple(matches)
    width = max((len(each.name) for each in matches), default=0)
    return "\n".join(
        f"    {each.name:<{width}}  {each.keypoint or '-':<13}  {each.reason}"
        for each in matches
    )


def split_animals(names: Sequence[str]) -> dict[str, dict[str, str]] | None:
    """Tell animals apart that share one track: ``B_Nose, W_Nose`` or ``nose1, nose2``.

    Returns, for each animal, the full name of each of its keypoints; None where the
    names are those of one animal.
    """
    for pattern in (_ANIMAL_FIRST, _ANIMAL_LAST):
        groups: dict[str, dict[str, str]] = {}
        for name in names:
            if (found := re.fullmatch(pattern, name)) is None:
                break
            groups.setdefault(found["animal"], {})[found["part"]] = name
        else:
            parts = {frozenset(each) for each in groups.values()}
            is_body = any(
                each.lower() in (*_WORDS, *_SIDES) and not each.isdigit()
                for each in groups
            )
            are_alike = len(parts) == 1 and len(next(iter(parts))) > 2
            if len(groups) > 1 and are_alike and not is_body:
                return groups
    return None
