"""``project.yaml``: what a lab's files do not say, and what is meant by what they say.

::

    lab: Ethology
    fps: 30                      # where no file says it
    pixels_per_cm: 12.3          # else estimated from the length of the body
    min_confidence: 0.6          # below: missing; else the tracker's usual one
    animals: [adult, juvenile]   # mouse1, mouse2 …
    subjects: {Adult: adult}     # who the labels' subjects are; null: left out
    keypoints: {tail: tail_base, cable: null}
    actions:                     # null: left out; a text: another name
      interact: {target: other}  # other, self, or an animal's name
      groom R: {name: groom, agent: resident, target: self}
    watched: ["adult,juvenile,interact"]   # else every action of everyone who acts
    max_length_difference: 40    # frames by which labels and tracks may differ
    recordings:                  # what belongs together, where names do not tell
      - {tracks: a.h5, labels: [b.csv], fps: 25}

Every line is optional. `mabe import` writes what it took beside the data.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mabe.errors import ConfigError

FILE_NAME = "project.yaml"


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


_STRICT = ConfigDict(frozen=True, extra="forbid")


class ActionSettings(BaseModel):
    """What is meant by one behaviour of the labels."""

    model_config = _STRICT

    name: str | None = None
    """Another name for it."""
    agent: str | None = None
    """Who does it, where its events do not say."""
    target: str | None = None
    """``self``, ``other``, or an animal's name."""


class RecordingSettings(BaseModel):
    """One recording whose files are named."""

    model_config = _STRICT

    tracks: str
    labels: tuple[str, ...] = ()
    fps: Positive | None = None
    pixels_per_cm: Positive | None = None


class Project(BaseModel):
    """All settings of a project; the module says what each is for."""

    model_config = _STRICT

    lab: str | None = None
    fps: Positive | None = None
    pixels_per_cm: Positive | None = None
    body_cm: Positive = 9.0
    """Nose to tail base of an adult mouse; the scale where no other is known."""
    min_confidence: Annotated[float, Field(ge=0)] | None = None
    animals: tuple[str, ...] = ()
    subjects: Mapping[str, str | None] = Field(default_factory=dict)
    keypoints: Mapping[str, str | None] = Field(default_factory=dict)
    actions: Mapping[str, ActionSettings | None] = Field(default_factory=dict)
    watched: tuple[str, ...] | None = None
    max_length_difference: Annotated[int, Field(ge=0)] | None = None
    recordings: tuple[RecordingSettings, ...] = ()

    @field_validator("actions", mode="before")
    @classmethod
    def _allow_names(cls, actions: Any) -> Any:
        """Let a bare text stand for another name."""
        if not isinstance(actions, Mapping):
            return actions
        return {
            str(key): {"name": value} if isinstance(value, str) else value
            for key, value in actions.items()
        }

    def with_changes(self, **changes: Any) -> "Project":
        """Return the project with settings from elsewhere where they are given."""
        return self.model_copy(
            update={key: value for key, value in changes.items() if value is not None}
        )


def load_project(path: Path) -> Project:
    """Return the project of a file, or of a folder's `project.yaml` if it has one.

    Raises `ConfigError` with the file, the key and what is wrong.
    """
    if path.is_dir():
        path = path / FILE_NAME
        if not path.is_file():
            return Project()
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such project file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from None
    if values is None:
        return Project()
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected `key: value` lines, found {values!r:.60}")
    if unknown := [key for key in values if key not in Project.model_fields]:
        near = difflib.get_close_matches(str(unknown[0]), Project.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"{path}: unknown key {unknown[0]!r}{hint}; known: "
            f"{', '.join(Project.model_fields)}"
        )
    try:
        return Project(**values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{path}: {place}: {first['msg']}, found {first['input']!r:.60}"
        ) from None


def find_project(data: Path) -> Project:
    """Return the project that a file lies in: its own folder's, or the one above."""
    folder = data.absolute() if data.is_dir() else data.absolute().parent
    for place in (folder, folder.parent):
        if (place / FILE_NAME).is_file():
            return load_project(place)
    return Project()


def dump_project(project: Project) -> str:
    """Return a project as YAML, only what is set."""
    values = project.model_dump(mode="json", exclude_none=False)
    kept = {
        key: _without_nothing(value) if key in ("actions", "recordings") else value
        for key, value in values.items()
        if value not in (None, [], {}, ())
    }
    return yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


def _without_nothing(value: Any) -> Any:
    """Leave out what is not set inside a setting; a null that says "left out" stays."""
    if isinstance(value, list):
        return [
            {k: v for k, v in each.items() if v not in (None, [])} for each in value
        ]
    return {
        name: each and {k: v for k, v in each.items() if v is not None}
        for name, each in value.items()
    }
