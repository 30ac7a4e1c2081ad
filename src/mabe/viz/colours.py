"""One colour for each class, in all figures and pages, also for colour-blind readers.

After Okabe & Ito (2008), darkened for white paper and brightened for dark screens, so
that the contrast with the ground is at least 3 : 1. Colour is never the only sign: in
an ethogram each class has a row of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """One colour on light and on dark ground."""

    on_light: str
    on_dark: str

    def to_json(self) -> dict[str, str]:
        """Return it as the pages read it."""
        return {"light": self.on_light, "dark": self.on_dark}


NOTHING = Colour("#8a8f98", "#7f8791")
"""The background class."""


OTHER_ACTION = Colour("#2f3640", "#e3e6eb")
"""An annotated action that the model does not predict: darker (on dark ground brighter)
than `NOTHING`, so that the two differ."""


_BLUE = Colour("#2a7fb8", "#62b5ea")


_GREEN = Colour("#00805f", "#2fbf96")


_ORANGE = Colour("#c26a00", "#f0a33a")


_OTHERS = (
    Colour("#a8457f", "#e08fbd"),
    Colour("#5b53b5", "#a49df0"),
    Colour("#b23a1e", "#ff8566"),
    Colour("#7a6a00", "#d6c53c"),
    Colour("#0f7f8c", "#4fc6d3"),
    Colour("#6b5b4b", "#c4ae97"),
)


_USUAL = {
    "social": _BLUE,
    "sniff": _BLUE,
    "mating": _GREEN,
    "mount": _GREEN,
    "aggressive": _ORANGE,
    "aggression": _ORANGE,
    "attack": _ORANGE,
}


_ANIMALS = (_BLUE, _ORANGE, _GREEN, *_OTHERS)


def colours_of(names: Sequence[str], *, has_background: bool) -> list[Colour]:
    """Return a colour for each class; those in `_USUAL` always have the same one."""
    interesting = names[1:] if has_background else names
    taken = {_USUAL[name] for name in interesting if name in _USUAL}
    free = [each for each in (_BLUE, _ORANGE, _GREEN, *_OTHERS) if each not in taken]
    colours: list[Colour] = []
    given: set[Colour] = set()
    for name in interesting:
        usual = _USUAL.get(name)
        if usual is None or usual in given:
            usual = free.pop(0) if free else _OTHERS[len(colours) % len(_OTHERS)]
        given.add(usual)
        colours.append(usual)
    return [NOTHING, *colours] if has_background else colours


def animal_colours() -> tuple[Colour, ...]:
    """Return the colours of animals 1, 2 …; with more animals they are used again."""
    return _ANIMALS
