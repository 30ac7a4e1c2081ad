"""What is settled on the page: rate, scale, animals, skeleton and zones of a project.

They are keys of project.yaml, as `mabe import` reads them. A change says what the page
has shown before, and is refused where somebody else has changed the same since, so two
windows do not replace what the other has settled. A rate, a scale or a zone is a value
for all recordings, and values of single ones: ``{"all": 30, "own": {"cage1": 25}}``.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.errors import DataError
from mabe.io.recording_names import normalize

NUMBERS = ("fps", "pixels_per_cm")
WHOLE = ("animals", "animal_names", "skeleton")
"""Keys that have no values of single recordings."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key, what the page has shown of it, and what it becomes."""

    key: str
    """``fps``, ``pixels_per_cm``, one of `WHOLE`, or ``zone``."""
    before: Any
    value: Any
    name: str = ""
    """The zone's."""

    def __post_init__(self) -> None:
        if self.key not in (*NUMBERS, *WHOLE, "zone") or (
            (self.key == "zone") != bool(self.name.strip())
        ):
            raise ValueError(f"expected a setting, found {self.key!r} {self.name!r}")
        is_mapping = isinstance(self.value, dict) and isinstance(
            self.value.get("own", None), dict
        )
        if self.key not in WHOLE and not is_mapping:
            raise ValueError(f"{self.key}: expected all and own, found {self.value!r}")


def settled(values: Mapping[str, Any], recordings: Sequence[str]) -> dict[str, Any]:
    """Return what a project.yaml says of each key, for these recordings."""
    own = {name: _entry(values, name) or {} for name in recordings}
    zones = values.get("zones") or {}
    shared = {} if isinstance(zones, str) else zones
    of_own = [name for each in own.values() for name in each.get("zones") or {}]
    skeleton = values.get("skeleton")
    return {
        **{key: _spread(key, values, own) for key in NUMBERS},
        "animals": list(values.get("animals") or ()),
        "animal_names": dict(values.get("animal_names") or {}),
        "skeleton": skeleton and {role: _listed(v) for role, v in skeleton.items()},
        "zones": {
            str(name): {
                "all": shared.get(name),
                "own": {
                    recording: each["zones"][name]
                    for recording, each in own.items()
                    if name in (each.get("zones") or {})
                },
            }
            for name in dict.fromkeys([*shared, *of_own])
        },
        "zoneFile": zones if isinstance(zones, str) else None,
    }


def _spread(
    key: str, values: Mapping[str, Any], own: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a key's value for all, and those of single recordings."""
    return {
        "all": values.get(key),
        "own": {name: each[key] for name, each in own.items() if each.get(key)},
    }


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def change_values(
    values: Mapping[str, Any], changes: Iterable[Change], recordings: Sequence[str]
) -> dict[str, Any]:
    """Return the values of a project.yaml after changes.

    Raises `DataError` where a key is no longer what the page has shown, and where zones
    of all recordings are drawn although a file gives them.
    """
    changed = copy.deepcopy(dict(values))
    for change in changes:
        now = settled(changed, recordings)
        shown = (
            now["zones"].get(change.name, {"all": None, "own": {}})
            if change.key == "zone"
            else now[change.key]
        )
        if shown != change.before:
            what = f"the zone {change.name}" if change.name else change.key
            raise DataError(
                f"{what} was changed elsewhere meanwhile; the page now shows that, so "
                "look at it and settle it again"
            )
        _put(changed, change, recordings)
    return {key: value for key, value in changed.items() if value not in ({}, [])}


def _put(values: dict[str, Any], change: Change, recordings: Sequence[str]) -> None:
    if change.key in WHOLE:
        _set(values, change.key, change.value or None)
        return
    if lost := sorted(set(change.value["own"]) - set(recordings)):
        raise DataError(f"{change.key}: there is no recording {lost[0]!r}")
    if change.key != "zone":
        _set(values, change.key, _whole(change.value.get("all")))
    elif not isinstance(values.get("zones"), str):
        _set_zone(values, change.name, change.value.get("all"))
    elif change.value.get("all") is not None:
        raise DataError(
            f"the zones of all recordings are in {values['zones']}, which `zones` in "
            "project.yaml names: draw this one for single recordings, or remove that "
            "line"
        )
    for name in recordings:
        wanted, entry = change.value["own"].get(name), _entry(values, name)
        if entry is None and wanted is None:
            continue
        if entry is None:
            entry = _add_entry(values, name)
        if change.key == "zone":
            _set_zone(entry, change.name, wanted)
        else:
            _set(entry, change.key, _whole(wanted))
        _drop_empty(values, name)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value


def _set_zone(values: dict[str, Any], name: str, shape: Any) -> None:
    zones = dict(values.get("zones") or {})
    _set(zones, name, shape)
    _set(values, "zones", zones or None)


def _whole(number: Any) -> Any:
    """Return a number without a fraction of zero, as people write it."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _entry(values: Mapping[str, Any], recording: str) -> dict[str, Any] | None:
    """Return the settings of a recording, which are a list's or a mapping's."""
    given, wanted = values.get("recordings") or [], normalize(recording)
    if isinstance(given, dict):
        names = {normalize(str(name)): name for name in given}
        return given[names[wanted]] if wanted in names else None
    for each in given:
        track = normalize(Path(str(each.get("tracks") or "")).stem)
        if wanted in (normalize(str(each.get("name") or "")), track):
            found: dict[str, Any] = each
            return found
    return None


def _add_entry(values: dict[str, Any], recording: str) -> dict[str, Any]:
    entry: dict[str, Any] = {}
    given = values.setdefault("recordings", [])
    if isinstance(given, dict):
        given[recording] = entry
    else:
        entry["name"] = recording
        given.append(entry)
    return entry


def _drop_empty(values: dict[str, Any], recording: str) -> None:
    """Remove an entry that only names its recording."""
    given, entry = values["recordings"], _entry(values, recording)
    if entry is None or set(entry) - {"name"}:
        return
    if isinstance(given, dict):
        values["recordings"] = {k: v for k, v in given.items() if v is not entry}
    else:
        values["recordings"] = [each for each in given if each is not entry]
