"""Names of recordings in names of files: how alike two of them are.

A name is compared as its words: letters of any script, or digits. Case, signs between
words and the Unicode form (composed or decomposed) make no difference, and words for
the role of a file (*labels*, *tracks* …) are no part of a recording's name.
"""

import functools
import re
import unicodedata
from dataclasses import dataclass, field
from enum import IntEnum

_ROLE_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        analysis annot annotated annotation annotations behavior behaviors behaviour
        behaviours boris bout bouts coded coding coordinate coordinates coords dlc
        ethogram event events export exported filtered keypoint keypoints label labeled
        labelled labels manual manually marked point points pose poses position
        positions prediction predictions score scored scores scoring sleap tabular track
        tracked tracking tracks
        """,
    )
)
"""Words for what a file holds."""

_VIDEO_ENDINGS = re.compile(
    r"\.(avi|m4v|mkv|mov|mp4|mpe?g|seq|ufmf|webm|wmv|h264|tiff?)$", re.IGNORECASE
)

_SLEAP_NAME = re.compile(r".+\.\d{3}_(.+)")
"""SLEAP's window calls analysis files ``PROJECT.NUMBER_VIDEO.analysis.h5``."""

_SHORT = 3
"""A name of fewer letters, and without a digit, begins too many others."""

_DATE_DIGITS = 6
"""A number of so many digits is a date or time, not the number of a recording."""

Words = tuple[str, ...]


class Likeness(IntEnum):
    """How alike two names are: the smaller, the more."""

    EQUAL = 0
    SAME_IN_ANY_CASE = 1
    SAME_WORDS = 2
    SAME_WITHOUT_ROLES = 3
    BEGINS_ALIKE = 4
    """One name begins with the other, and goes on."""


@dataclass(frozen=True, slots=True, order=True)
class NameMatch:
    """How alike the name of a label file and that of a recording are."""

    likeness: Likeness
    surplus: int
    """By how many words one name is longer."""
    rest: Words = field(default=(), compare=False)
    """The words after the recording's name in the name of the labels; none where the
    recording's name is the longer one."""

    @property
    def is_certain(self) -> bool:
        """True where the names are the same."""
        return self.likeness < Likeness.BEGINS_ALIKE


def normalize(name: str) -> str:
    """Return a name in one Unicode form and case."""
    folded = unicodedata.normalize("NFC", name.strip()).casefold()
    return unicodedata.normalize("NFC", folded)


def words_of(name: str) -> Words:
    """Return the words of a name: runs of letters or of digits, normalized.

    ``Cage1 - DayTwo`` has the words cage, 1, day and two.
    """
    words: list[str] = []
    before = ""
    for sign in unicodedata.normalize("NFC", name):
        kind = _kind(sign)
        if kind == "separator":
            before = kind
            continue
        begins_word = sign.isupper() and before == "lower"
        is_other = ("digit" in (kind, before)) and kind != before
        if not words or before in ("", "separator") or is_other or begins_word:
            words.append("")
        words[-1] += sign
        before = "lower" if sign.islower() else kind
    return tuple(normalize(word) for word in words)


def _kind(sign: str) -> str:
    category = unicodedata.category(sign)
    if category == "Nd":
        return "digit"
    is_separator = category[0] in "PZC" or category in ("Sm", "Sk", "Sc")
    return "separator" if is_separator else "letter"


def without_roles(words: Words) -> Words:
    """Return the words of a name without those for the role of a file."""
    return tuple(word for word in words if word not in _ROLE_WORDS)


def squeeze(words: Words) -> str:
    """Return words as one string; two numbers stay apart, so 1 and 2 are not 12."""
    text = ""
    for word in words:
        text += "|" if text[-1:].isdigit() and word[:1].isdigit() else ""
        text += word
    return text


def same_name(first: str, second: str) -> bool:
    """Return whether two names have the same words."""
    words = squeeze(words_of(first))
    return bool(words) and words == squeeze(words_of(second))


@dataclass(frozen=True, slots=True)
class _Forms:
    """A name in the forms that are compared."""

    composed: str
    normal: str
    squeezed: str
    bare: Words
    squeezed_bare: str


@functools.lru_cache(maxsize=1 << 16)
def _forms_of(name: str) -> _Forms:
    words = words_of(name)
    bare = without_roles(words)
    composed = unicodedata.normalize("NFC", name.strip())
    return _Forms(composed, normalize(name), squeeze(words), bare, squeeze(bare))


def compare_names(labels: str, recording: str) -> NameMatch | None:
    """Return how alike two names are; None where they are of different recordings."""
    first, second = _forms_of(labels), _forms_of(recording)
    same = (
        (Likeness.EQUAL, first.composed, second.composed),
        (Likeness.SAME_IN_ANY_CASE, first.normal, second.normal),
        (Likeness.SAME_WORDS, first.squeezed, second.squeezed),
        (Likeness.SAME_WITHOUT_ROLES, first.squeezed_bare, second.squeezed_bare),
    )
    for likeness, one, other in same:
        if one == other != "":
            return NameMatch(likeness, 0)
    return _compare_beginnings(first.bare, second.bare)


def _compare_beginnings(labels: Words, recording: Words) -> NameMatch | None:
    """Return which of two names begins the other, without words for roles."""
    if labels[:1] != recording[:1] or not labels:
        return None
    if (rest := _continuation(recording, labels)) is not None:
        return NameMatch(Likeness.BEGINS_ALIKE, len(rest), rest)
    if (rest := _continuation(labels, recording)) is not None:
        return NameMatch(Likeness.BEGINS_ALIKE, len(rest))
    return None


def _continuation(short: Words, long: Words) -> Words | None:
    """Return the words by which a name goes on; None where it is another name.

    A number must not follow: ``trial_2`` is another recording than ``trial``.
    """
    rest = long[len(short) :]
    text = squeeze(short)
    is_too_short = len(text) < _SHORT and text.isascii() and text.isalpha()
    if long[: len(short)] != short or is_too_short:
        return None
    goes_on_with_number = rest[0].isdigit() and len(rest[0]) < _DATE_DIGITS
    return None if goes_on_with_number else rest


def split_path(path: str) -> tuple[Words, str]:
    """Return the folders of a path of any system, and the name of its video.

    Folders are normalized; a drive is no folder.
    """
    *folders, name = path.replace("\\", "/").split("/")
    kept = (each for each in folders if each and not each.endswith(":"))
    return tuple(normalize(each) for each in kept), _VIDEO_ENDINGS.sub("", name)


def names_in_stem(stem: str) -> tuple[str, ...]:
    """Return the names of recordings that the stem of a file with tracks may hold."""
    bare = stem.removesuffix(".analysis").removesuffix(".predictions")
    of_sleap = _SLEAP_NAME.fullmatch(bare)
    return (bare, of_sleap[1]) if of_sleap else (bare,)


def common_ending(first: Words, second: Words) -> int:
    """Return how many of the last folders of two paths are the same."""
    shared = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        shared += 1
    return shared
