"""``project.yaml``: what a lab's files do not give, and how their names are mapped.

::

    lab: Ethology
    fps: 30                      # where no file gives it
    pixels_per_cm: 12.3          # else estimated from body length
    min_confidence: 0.6          # below: missing; else the tracker's usual limit
    animals: [adult, juvenile]   # mouse1, mouse2 …
    subjects: {Adult: adult}     # animals of the labels' subjects; null: left out
    keypoints: {tail: tail_base, cable: null}
    actions:                     # null: left out; a string: another name
      interact: {target: other}  # other, self, or an animal's name
      groom R: {name: groom, agent: resident, target: self}
    watched: ["adult,juvenile,interact"]   # else all actions of all subjects
    max_length_difference: 40    # frames by which labels and tracks may differ
    recordings:                  # files that belong together, where names differ
      - {tracks: a.h5, labels: [b.csv], fps: 25}

Every line is optional. `mabe import` writes the settings it used beside the data.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mabe.errors import ConfigError
from mabe.runtime.documents import parse_yaml, shorten_value
from mabe.runtime.file_names import problem_with_name

FILE_NAME = "project.yaml"


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


_STRICT = ConfigDict(frozen=True, extra="forbid")


class ActionSettings(BaseModel):
    """What one behaviour of the labels becomes."""

    model_config = _STRICT

    name: str | None = None
    """Another name for it."""
    agent: str | None = None
    """The agent of events that name no subject."""
    target: str | None = None
    """``self``, ``other``, or an animal's name."""


class RecordingSettings(BaseModel):
    """The files and settings of one recording."""

    model_config = _STRICT

    tracks: str
    labels: tuple[str, ...] = ()
    fps: Positive | None = None
    pixels_per_cm: Positive | None = None


class Project(BaseModel):
    """All settings of a project; the module describes each."""

    model_config = _STRICT

    lab: str | None = None
    fps: Positive | None = None
    pixels_per_cm: Positive | None = None
    body_cm: Positive = 9.0
    """Nose to tail base of an adult mouse, from which an unknown scale is estimated."""
    min_confidence: Annotated[float, Field(ge=0)] | None = None
    animals: tuple[str, ...] = ()
    subjects: Mapping[str, str | None] = Field(default_factory=dict)
    keypoints: Mapping[str, str | None] = Field(default_factory=dict)
    actions: Mapping[str, ActionSettings | None] = Field(default_factory=dict)
    watched: tuple[str, ...] | None = None
    max_length_difference: Annotated[int, Field(ge=0)] | None = None
    recordings: tuple[RecordingSettings, ...] = ()

    @field_validator("lab")
    @classmethod
    def _name_a_folder(cls, lab: str | None) -> str | None:
        """Refuse a name that cannot be that of a folder."""
        if lab is not None and (problem := problem_with_name(lab)):
            raise ValueError(f"names a folder, but {problem}")
        return lab

    @field_validator("actions", mode="before")
    @classmethod
    def _allow_names(cls, actions: Any) -> Any:
        """Read a bare string as another name."""
        if not isinstance(actions, Mapping):
            return actions
        return {
            str(key): {"name": value} if isinstance(value, str) else value
            for key, value in actions.items()
        }

    def with_changes(self, **changes: Any) -> "Project":
        """Return the project with the changes that are not None.

        Raises `ConfigError` for a value that is not allowed.
        """
        given = {key: value for key, value in changes.items() if value is not None}
        try:
            return Project(**{**dict(self), **given})
        except ValidationError as error:
            raise ConfigError(_describe(error)) from None


def load_project(path: Path) -> Project:
    """Return the project of a file, or of a folder's `project.yaml` if it has one.

    Raises `ConfigError` with the file, the key and what is wrong.
    """
    if path.is_dir():
        path = path / FILE_NAME
        if not path.is_file():
            return Project()
    try:
        values = parse_yaml(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such project file") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from None
    if values is None:
        return Project()
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: expected `key: value` lines, found {shorten_value(values)}"
        )
    if unknown := [key for key in values if key not in Project.model_fields]:
        near = difflib.get_close_matches(
            str(unknown[0])[:100], Project.model_fields, n=1
        )
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"{path}: unknown key {shorten_value(unknown[0])}{hint}; known: "
            f"{', '.join(Project.model_fields)}"
        )
    try:
        return Project(**values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_describe(error)}") from None


def _describe(error: ValidationError) -> str:
    """Return which setting is wrong, why, and its value."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}, found {shorten_value(first['input'])}"


def find_project(data: Path) -> Project:
    """Return the project of a file's folder, or of the one above."""
    folder = data.absolute() if data.is_dir() else data.absolute().parent
    for place in (folder, folder.parent):
        if (place / FILE_NAME).is_file():
            return load_project(place)
    return Project()


def dump_project(project: Project) -> str:
    """Return the settings that are set, as YAML."""
    values = project.model_dump(mode="json", exclude_none=False)
    kept = {
        key: _without_nothing(value) if key in ("actions", "recordings") else value
        for key, value in values.items()
        if value not in (None, [], {}, ())
    }
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


def _without_nothing(value: Any) -> Any:
    """Remove unset values within a setting; a null that stands for "left out" stays."""
    if isinstance(value, list):
        return [
            {k: v for k, v in each.items() if v not in (None, [])} for each in value
        ]
    return {
        name: each and {k: v for k, v in each.items() if v is not None}
        for name, each in value.items()
    }
