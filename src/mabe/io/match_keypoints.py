"""All keypoint names of a recording, matched to the canonical skeleton.

`mabe.io.keypoint_names` has the aliases of single names. Here names are matched
together: of several names for one keypoint the preferred one is matched, numbered
points are spread along the tail, and words that all names share are disregarded. A name
that is not matched is *extra*.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mabe.errors import ConfigError
from mabe.io.keypoint_names import (
    BODY_WORDS,
    Alias,
    find_alias,
    nearest_keypoints,
    split_words,
)
from mabe.skeleton import KEYPOINTS

EXTRA = "extra_"
"""Begins the name of an extra keypoint in the standard layout, where its own would be
matched."""


LIKE = 0.85
"""How alike a name and a keypoint are where one may be a misspelling."""


OWN = "no keypoint of rodents, kept"


_TAIL_PLACES = {
    1: ("tail_midpoint",),
    2: ("tail_middle_1", "tail_middle_2"),
    3: ("tail_middle_1", "tail_midpoint", "tail_middle_2"),
}
"""Keypoints of so many numbered points along the tail."""

_ANIMAL_FIRST = r"(?P<animal>[^_]+)[_ ](?P<part>.+)"

_ANIMAL_LAST = r"(?P<part>.+?)[_ ]?(?P<animal>\d+)"


@dataclass(frozen=True, slots=True)
class Match:
    """The keypoint of one of a lab's names."""

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
    """Return the match of each name, in the order given.

    `mapping` (a lab's name to a keypoint, or to None to leave it out) takes precedence.
    Raises `ConfigError` where it names a keypoint that does not exist, or one twice.
    """
    mapping = dict(mapping or {})
    _check_mapping(mapping)
    mapped = {name: mapping[name] for name in names if name in mapping}
    aliases = _find_aliases([name for name in names if name not in mapped])
    best: dict[str, str] = {}
    for name, known in sorted(aliases.items(), key=lambda item: item[1].rank):
        if known.keypoint not in mapped.values():
            best.setdefault(known.keypoint, name)
    matches = []
    for name in names:
        if name in mapped:
            is_kept = mapped[name] is not None
            reason = "project.yaml" if is_kept else "left out by project.yaml"
            matches.append(Match(name, mapped[name], reason, is_kept))
        elif (alias := aliases.get(name)) is None:
            matches.append(Match(name, None, _describe_extra(name)))
        elif best.get(alias.keypoint) == name or alias.keypoint == "headpiece":
            matches.append(Match(name, alias.keypoint, alias.reason))
        else:
            other = best.get(alias.keypoint) or "project.yaml"
            matches.append(Match(name, None, f"{OWN}: {alias.keypoint} is {other}"))
    return tuple(matches)


def match_parts(parts: Iterable[str]) -> dict[str, str]:
    """Return the keypoints of the body parts of a file in the Kaggle layout.

    As `match_names`, but all spellings of a keypoint are matched to it.
    """
    matched: dict[str, str] = {}
    for match in match_names(sorted(set(parts))):
        alias = find_alias(match.name)
        is_spelling = alias is not None and alias.rank < 0
        if keypoint := alias.keypoint if alias and is_spelling else match.keypoint:
            matched[match.name] = keypoint
    return matched


def _check_mapping(mapping: Mapping[str, str | None]) -> None:
    """Raise `ConfigError` for an unknown keypoint, or one that is named twice."""
    wanted = [keypoint for keypoint in mapping.values() if keypoint is not None]
    for name, keypoint in mapping.items():
        if keypoint is not None and keypoint not in KEYPOINTS:
            near = ", ".join(nearest_keypoints(keypoint)) or "none"
            raise ConfigError(
                f"keypoints: {name!r} is mapped to {keypoint!r}, which is no keypoint "
                f"(nearest: {near}); all: {', '.join(KEYPOINTS)}"
            )
    twice = {each for each in wanted if wanted.count(each) > 1 and each != "headpiece"}
    if twice:
        raise ConfigError(f"keypoints: several names are mapped to {sorted(twice)}")


def _find_aliases(names: Sequence[str]) -> dict[str, Alias]:
    """Return the alias of every name that has one."""
    shared = _shared_words(names)
    found: dict[str, Alias] = {}
    tails: dict[str, int] = {}
    for name in names:
        for without in (frozenset[str](), shared):
            if alias := find_alias(name, without=without):
                found[name] = alias
            elif (number := tail_number(name, without=without)) is not None:
                tails[name] = number
            else:
                continue
            break
    return found | _number_tails(tails)


def tail_number(name: str, *, without: frozenset[str] = frozenset()) -> int | None:
    """Return the number of a tail point such as ``tail_3``; None for other names."""
    words, side = split_words(name)
    numbers = [word for word in words - without if word.isdigit()]
    is_tail = not side and words - without - set(numbers) == {"tail"}
    return int(numbers[0]) if is_tail and len(numbers) == 1 else None


def _number_tails(tails: Mapping[str, int]) -> dict[str, Alias]:
    """Spread numbered points over the tail between its base and its tip."""
    order = sorted(tails, key=lambda name: tails[name])
    if len(order) > 3:
        order = [order[0], order[len(order) // 2], order[-1]]
    places = _TAIL_PLACES.get(len(order), ())
    return {
        name: Alias(place, 0, f"number along the tail ({tails[name]})")
        for name, place in zip(order, places, strict=True)
    }


def _shared_words(names: Sequence[str]) -> frozenset[str]:
    """Return the words that all names have, such as an animal's name."""
    words = [split_words(name)[0] for name in names]
    return frozenset.intersection(*words) if len(words) > 2 else frozenset()


def _describe_extra(name: str) -> str:
    near = nearest_keypoints(name, cutoff=LIKE)[:2]
    return OWN + (f"; did you mean {' or '.join(near)}?" if near else "")


def format_matches(matches: Iterable[Match]) -> str:
    """Return the matches as a table for people."""
    matches = tuple(matches)
    width = max((len(each.name) for each in matches), default=0)
    return "\n".join(
        f"    {each.name:<{width}}  "
        f"{each.keypoint or ('-' if not each.is_kept else each.name):<13}  "
        f"{each.reason}"
        for each in matches
    )


def split_animals(names: Sequence[str]) -> dict[str, dict[str, str]] | None:
    """Return, for each animal of one track, the full name of each of its keypoints.

    None where the names are not like ``B_Nose, W_Nose`` or ``nose1, nose2``, and hence
    those of one animal.
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
                each.lower() in BODY_WORDS and not each.isdigit() for each in groups
            )
            are_alike = len(parts) == 1 and len(next(iter(parts))) > 2
            if len(groups) > 1 and are_alike and not is_body:
                return groups
    return None
