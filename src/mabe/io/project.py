"""``project.yaml``: what a lab's files do not give, and how their names are mapped.

::

    lab: Ethology
    fps: 30                      # where no file gives it
    pixels_per_cm: 12.3          # else that of the file, else from body length
    size: [640, 480]             # of the picture, for coordinates from 0 to 1
    min_confidence: 0.6          # below: missing; else the tracker's usual limit
    vertical: -z                 # the axis that points up in three dimensions; else z
    repair_identities: true      # exchange tracks where a tracker did; else left alone
    animals: [adult, juvenile]   # mouse1, mouse2 …
    animal_names: {track_0: Ada} # what an animal of the tracks is called
    subjects: {Adult: adult}     # animals of the labels' subjects; null: left out
    keypoints: {tail: tail_base, cable: null}
    objects: {cup: obj_1, lever: [210, 126]}   # a track, or x and y in pixels
    zones: {centre: {circle: [320, 240, 100]}} # or a file such as ROI_definitions.h5
    skeleton: {snout: head_tip, body: thorax, rump: abdomen_tip}   # of other bodies
    actions:                     # null: left out; a string: another name
      interact: {target: other}  # other, self, or an animal's name
      groom R: {name: groom, agent: resident, target: self}
    watched: ["adult,juvenile,interact"]   # else all actions of all subjects
    max_length_difference: 40    # frames by which labels and tracks may differ
    first_frame: 1               # number of the first frame in tables of frames; else 0
    stop: inclusive              # a bout's stop is its last frame; else the one after
    columns: {subject: Mouse, action: Behaviour, start_s: Start, stop_s: Stop}
    coders: anna                 # one of several coders; or copies, both, joined
    recordings:                  # files that belong together, where names differ
      - {tracks: a.h5, labels: [b.csv], fps: 25}
      - name: day2               # or a recording by its name
        subjects: {M24: ind2}
        labels: [{file: c.csv, subject: M24, coder: ben, stop: inclusive}]

Every line is optional. `mabe import` writes the settings it used beside the data.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mabe.errors import ConfigError
from mabe.io.objects import ObjectSettings, named_objects
from mabe.io.skeleton_settings import SkeletonSettings
from mabe.io.vertical import Vertical
from mabe.io.zone_settings import ZoneSettings
from mabe.recording import RATES_FPS, SCALES_PX_PER_CM
from mabe.runtime.documents import parse_yaml, shorten_value
from mabe.runtime.file_names import problem_with_name
from mabe.runtime.object_storage import small_file

FILE_NAME = "project.yaml"


Rate = Annotated[float, Field(ge=RATES_FPS[0], le=RATES_FPS[1])]


Scale = Annotated[float, Field(ge=SCALES_PX_PER_CM[0], le=SCALES_PX_PER_CM[1])]


Length = Annotated[float, Field(ge=0.1, le=1_000)]
"""Centimetres."""


Side = Annotated[int, Field(ge=16, le=100_000)]
"""Pixels."""


_STRICT = ConfigDict(frozen=True, extra="forbid")


class ActionSettings(BaseModel):
    """What one behaviour of the labels becomes."""

    model_config = _STRICT

    name: str | None = None
    """Another name for it."""
    agent: str | None = None
    """The agent of events that name no subject."""
    target: str | None = None
    """``self``, ``other``, ``zone``, or the name of an animal, an object or a zone."""


Stop = Literal["inclusive", "exclusive"]
"""Whether the stop of a bout is its last frame, or the one after it."""

Coders = Literal["copies", "both", "joined"]


class CoderSettings(BaseModel):
    """Whose labels are used where several people annotated a recording."""

    model_config = _STRICT

    coder: str | None = None
    """One coder's."""
    use: Coders | None = None
    """``copies``: those of each, as recordings of their own with the same tracks.
    ``both``: what all annotated; where they differ, nothing is known. ``joined``: all
    together, which complete each other."""

    @model_validator(mode="before")
    @classmethod
    def _allow_a_word(cls, value: Any) -> Any:
        """Read a bare string as ``use``, or as a coder's name."""
        if not isinstance(value, str):
            return value
        return {"use" if value in ("copies", "both", "joined") else "coder": value}

    @model_validator(mode="after")
    def _choose_one(self) -> "CoderSettings":
        if (self.coder is None) == (self.use is None):
            raise ValueError(
                "needs either a coder's name, or use: copies, both or joined"
            )
        return self


class TableColumns(BaseModel):
    """Which columns of a lab's own tables of bouts hold what."""

    model_config = _STRICT

    action: str
    start_s: str | None = None
    stop_s: str | None = None
    duration_s: str | None = None
    start_frame: str | None = None
    stop_frame: str | None = None
    subject: str | None = None
    target: str | None = None
    video: str | None = None

    @model_validator(mode="after")
    def _need_times(self) -> "TableColumns":
        if (self.start_s is None) == (self.start_frame is None):
            raise ValueError("needs either start_s (seconds) or start_frame")
        return self

    @property
    def names(self) -> dict[str, str]:
        """The table's own name of each column, by what it holds."""
        return {what: name for what, name in self if name is not None}


class LabelSettings(BaseModel):
    """One label file of a recording."""

    model_config = _STRICT

    file: str
    subject: str | None = None
    """Whose behaviour it holds, where it names nobody."""
    coder: str | None = None
    """Who annotated."""
    first_frame: int | None = None
    stop: Stop | None = None
    offset_s: float | None = None
    """What its clock shows when the recording begins."""

    @model_validator(mode="before")
    @classmethod
    def _allow_a_path(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value


class RecordingSettings(BaseModel):
    """The files and settings of one recording."""

    model_config = _STRICT

    name: str | None = None
    """The recording's name, by which its tracks are found if `tracks` is not given."""
    tracks: str | None = None
    labels: tuple[LabelSettings, ...] | None = None
    """None: found by their names."""
    subjects: Mapping[str, str | None] = Field(default_factory=dict)
    objects: Mapping[str, ObjectSettings] = Field(default_factory=dict)
    """Objects at another place, or of another track, than in other recordings."""
    zones: Mapping[str, ZoneSettings] = Field(default_factory=dict)
    """Zones of another shape than in other recordings."""
    fps: Rate | None = None
    pixels_per_cm: Scale | None = None
    coders: CoderSettings | None = None

    _objects = field_validator("objects", mode="before")(named_objects)

    @model_validator(mode="after")
    def _need_a_name(self) -> "RecordingSettings":
        if self.name is None and self.tracks is None:
            raise ValueError("needs the recording's name or its tracks")
        return self


class Project(BaseModel):
    """All settings of a project; the module describes each."""

    model_config = _STRICT

    lab: str | None = None
    fps: Rate | None = None
    pixels_per_cm: Scale | None = None
    body_cm: Length = 9.0
    """Nose to tail base of an adult mouse, from which an unknown scale is estimated."""
    size: tuple[Side, Side] | None = None
    """Width and height of the picture in pixels, for coordinates relative to it."""
    min_confidence: Annotated[float, Field(ge=0)] | None = None
    repair_identities: bool | None = None
    """Whether identities that look exchanged are put back; None: they are not."""
    vertical: Vertical | None = None
    """The axis of three-dimensional poses that points up; None: z does."""
    animals: tuple[str, ...] = ()
    """Those of the tracks that count, in their order."""
    animal_names: Mapping[str, str] = Field(default_factory=dict)
    """By the names of the tracks, by which all other settings call them too."""
    subjects: Mapping[str, str | None] = Field(default_factory=dict)
    keypoints: Mapping[str, str | None] = Field(default_factory=dict)
    objects: Mapping[str, ObjectSettings] = Field(default_factory=dict)
    """What animals may act on, see `mabe.io.objects`; a list names tracks."""
    zones: str | Mapping[str, ZoneSettings] = Field(default_factory=dict)
    """Parts of the arena, or the file that they are in."""
    skeleton: SkeletonSettings | None = None
    actions: Mapping[str, ActionSettings | None] = Field(default_factory=dict)
    watched: tuple[str, ...] | None = None
    max_length_difference: Annotated[int, Field(ge=0)] | None = None
    first_frame: int | None = None
    """Number of the first frame in label files that do not define it; 0 by default."""
    stop: Stop | None = None
    """What stops mean in label files that do not define it; by default exclusive."""
    columns: TableColumns | None = None
    coders: CoderSettings | None = None
    recordings: tuple[RecordingSettings, ...] = ()

    _objects = field_validator("objects", mode="before")(named_objects)

    @field_validator("recordings", mode="before")
    @classmethod
    def _allow_a_mapping(cls, recordings: Any) -> Any:
        """Read ``NAME: {…}`` as the settings of the recording of that name."""
        if not isinstance(recordings, Mapping):
            return recordings
        return [
            {"name": str(name), **settings} if isinstance(settings, Mapping) else name
            for name, settings in recordings.items()
        ]

    @field_validator("animal_names")
    @classmethod
    def _name_animals(cls, names: Mapping[str, str]) -> Mapping[str, str]:
        """Refuse names that two animals would have, or that no label can have."""
        new = [name.strip() for name in names.values()]
        if twice := sorted({name for name in new if new.count(name) > 1}):
            raise ValueError(f"two animals would be called {twice[0]!r}")
        for name in new:
            if not name.isprintable() or not 0 < len(name) <= 60 or "," in name:
                raise ValueError("a name has 1 to 60 letters, and no comma")
        moved = {its for track, its in zip(names, new, strict=True) if track != its}
        if taken := sorted(moved & names.keys()):
            raise ValueError(
                f"{taken[0]!r} is the name of another track, so a label by it could "
                "mean either; choose another name"
            )
        return dict(zip(names, new, strict=True))

    @model_validator(mode="after")
    def _labels_by_new_names(self) -> "Project":
        """Let labels call animals by these names, too; none is that of an object."""
        of_recordings = (each.objects for each in self.recordings)
        objects = {name for each in (self.objects, *of_recordings) for name in each}
        if taken := sorted(objects & set(self.animal_names.values())):
            raise ValueError(
                f"animal_names: {taken[0]!r} is the name of an object; choose another"
            )
        new = {name: track for track, name in self.animal_names.items()}
        object.__setattr__(self, "subjects", {**new, **self.subjects})
        return self

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

    def of_recording(self, name: str) -> RecordingSettings | None:
        """Return the settings of the recording of a name; None where it has none."""
        for each in self.recordings:
            if name in (each.name, Path(each.tracks or "").stem):
                return each
        return None

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
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such project file") from None
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as YAML: {reason}") from None
    return parse_project(text, path)


def parse_project(text: str, path: Path) -> Project:
    """Return the project of a file's text; `path` is named in errors.

    Raises `ConfigError` with the file, the key and what is wrong.
    """
    try:
        values = parse_yaml(text)
    except ValueError as error:
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


def project_beside(data_dir: Path) -> Project:
    """Return the project of a data set, which may be at a URL; empty without a file."""
    with small_file(data_dir / FILE_NAME) as path:
        return load_project(path) if path else Project()


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
    values = project.model_dump(mode="json")
    values["actions"] = {
        behaviour: settings and _set(settings)
        for behaviour, settings in values["actions"].items()
    }
    values["objects"] = _dump_objects(values["objects"])
    values["zones"] = _dump_zones(values["zones"])
    values["recordings"] = [_dump_recording(each) for each in values["recordings"]]
    for key in ("columns", "coders"):
        values[key] = values[key] and _set(values[key])
    if project.skeleton is not None:
        values["skeleton"] = project.skeleton.plain()
    kept = {key: value for key, value in values.items() if value not in _NOTHING}
    return HEADING + yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)


HEADING = "# Settings that `mabe import` used.\n"


_NOTHING: tuple[Any, ...] = (None, [], {}, ())


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not None."""
    return {name: value for name, value in settings.items() if value is not None}


def _dump_objects(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Return where each object is, in the shortest form."""
    given = {name: _set(settings) for name, settings in objects.items()}
    return {
        name: settings.get("track", settings.get("px", settings))
        for name, settings in given.items()
    }


def _dump_zones(zones: Any) -> Any:
    """Return what is set of each zone, or the file that they are in."""
    if isinstance(zones, str):
        return zones
    return {name: _set(settings) for name, settings in zones.items()}


def _dump_recording(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recording's settings; an empty list of labels stays."""
    subjects, objects = settings["subjects"], _dump_objects(settings["objects"])
    zones = _dump_zones(settings["zones"])
    own = {"subjects": subjects, "objects": objects, "zones": zones}
    kept = _set({**settings, **{name: value or None for name, value in own.items()}})
    if "coders" in kept:
        kept["coders"] = _set(kept["coders"])
    if "labels" in kept:
        files = [_set(each) for each in kept["labels"]]
        kept["labels"] = [each["file"] if len(each) == 1 else each for each in files]
    return kept
