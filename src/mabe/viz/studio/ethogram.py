"""The actions of a project: their names, their keys, and whom they concern.

They are kept in ``studio/ethogram.json`` of the project's data set.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mabe.bouts import Bout, Watched
from mabe.errors import DataError
from mabe.recording import StoredRecording
from mabe.runtime.documents import read_json
from mabe.runtime.files import write_json
from mabe.viz.colours import colours_of

USUAL_KEYS = "123456789"
"""The keys of actions to which nobody gave another one."""


RESERVED_KEYS = frozenset("adnpsuwx0[]/*+-=? ")
"""Keys with another meaning on the page."""


MOST_ACTIONS = 40


class Kind(StrEnum):
    """Whom an action concerns."""

    DIRECTED = "directed"
    """An agent acts on a target."""
    SELF = "self"
    """An animal by itself."""
    MUTUAL = "mutual"
    """Two animals together, without an agent."""


@dataclass(frozen=True, slots=True)
class StudioAction:
    """One action that is labelled."""

    name: str
    key: str
    kind: Kind
    is_point: bool = False
    """Whether it happens in a moment: its bouts are one frame long."""

    def __post_init__(self) -> None:
        name = self.name.strip()
        if not name or name != self.name or len(name) > 60 or not name.isprintable():
            raise DataError(
                f"an action needs a name of 1 to 60 letters, found {self.name[:70]!r}"
            )
        if "," in name or '"' in name or "'" in name:
            raise DataError(f"{name}: no commas or quotes, please; use another name")
        if len(self.key) != 1 or not self.key.isprintable():
            raise DataError(f"{name}: a key is one letter or digit, not {self.key!r}")
        if self.key.lower() in RESERVED_KEYS:
            raise DataError(
                f"{name}: the key {self.key} has another meaning; use a digit, or a "
                "letter other than a, d, n, p, s, u, w and x"
            )

    def applies_to(self, agent: int, target: int) -> bool:
        """Return whether labels of an agent to a target may be of this action."""
        if self.kind is Kind.SELF:
            return agent == target
        return agent != target if self.kind is Kind.DIRECTED else agent < target


@dataclass(frozen=True, slots=True)
class Ethogram:
    """All actions of a project, in the order of their rows."""

    actions: tuple[StudioAction, ...] = ()

    def __post_init__(self) -> None:
        for what in ("name", "key"):
            values = [getattr(action, what).lower() for action in self.actions]
            if twice := {value for value in values if values.count(value) > 1}:
                raise DataError(f"two actions have the {what} {sorted(twice)[0]}")
        if len(self.actions) > MOST_ACTIONS:
            raise DataError(f"at most {MOST_ACTIONS} actions, not {len(self.actions)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the actions."""
        return tuple(action.name for action in self.actions)

    @property
    def undirected(self) -> tuple[str, ...]:
        """The names of actions without an agent."""
        return tuple(each.name for each in self.actions if each.kind is Kind.MUTUAL)

    @property
    def points(self) -> frozenset[str]:
        """The names of actions that happen in a moment."""
        return frozenset(each.name for each in self.actions if each.is_point)

    def watchable(self, recording: StoredRecording) -> list[Watched]:
        """Return everything that can be labelled in a recording."""
        return [
            Watched(agent, target, action.name)
            for agent in recording.tracked_animals
            for target in recording.tracked_individuals
            for action in self.actions
            if action.applies_to(agent, target)
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the actions as plain values."""
        return [
            {
                "name": each.name,
                "key": each.key,
                "kind": each.kind.value,
                "point": each.is_point,
            }
            for each in self.actions
        ]

    @classmethod
    def from_json(cls, values: Any) -> "Ethogram":
        """Return the ethogram of `to_json`; raises `DataError` for anything else."""
        try:
            return cls(
                tuple(
                    StudioAction(
                        str(v["name"]),
                        str(v["key"]),
                        Kind(v["kind"]),
                        is_point=v.get("point") is True,
                    )
                    for v in values
                )
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"expected actions with name, key and kind: {error}"
            ) from None

    @classmethod
    def of_labels(cls, labelled: Iterable[Bout | Watched]) -> "Ethogram":
        """Return the actions of labels that were there before.

        An action that only ever concerns an animal itself is one of an animal by
        itself; whether an action of two animals has a direction is not in labels.
        """
        is_self: dict[str, bool] = {}
        for each in labelled:
            alone = each.agent == each.target
            is_self[each.action] = alone and is_self.get(each.action, True)
        keys = free_keys(())
        actions = [
            StudioAction(name, keys[at], Kind.SELF if alone else Kind.DIRECTED)
            for at, (name, alone) in enumerate(sorted(is_self.items()))
        ]
        return cls(tuple(actions[:MOST_ACTIONS]))


def coloured_json(ethogram: Ethogram) -> list[dict[str, Any]]:
    """Return the actions as plain values, each with its colour."""
    colours = colours_of(ethogram.names, has_background=False)
    return [
        {**each, "colour": colour.to_json()}
        for each, colour in zip(ethogram.to_json(), colours, strict=True)
    ]


def free_keys(taken: Sequence[str]) -> list[str]:
    """Return the keys that may be given to further actions, digits first."""
    letters = "efghijklmoqrtvyzbc"
    known = {key.lower() for key in taken}
    keys = [key for key in USUAL_KEYS + letters if key.lower() not in known]
    return keys + [key for key in "ÄÖÜÉÈÀÇÑØÅÆŒ" if key not in taken]


def ethogram_path(data: Path) -> Path:
    """Return where the ethogram of a data set is."""
    return data / "studio" / "ethogram.json"


def read_ethogram(data: Path) -> Ethogram | None:
    """Return the ethogram of a data set, None where it has none yet."""
    path = ethogram_path(data)
    if not path.is_file():
        return None
    try:
        return Ethogram.from_json(read_json(path))
    except (OSError, ValueError, DataError) as error:
        raise DataError(f"{path}: cannot be read: {error}; correct it") from None


def write_ethogram(data: Path, ethogram: Ethogram) -> None:
    """Write the ethogram of a data set."""
    write_json(ethogram_path(data), ethogram.to_json())
