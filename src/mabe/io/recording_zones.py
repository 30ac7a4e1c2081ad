"""The zones of each recording in cm: those of project.yaml, or of a file it names.

``zones: ROI_definitions.h5`` names SimBA's regions, or a table of zones, relative to
the folder that is imported; `mabe.io.zone_settings` describes zones that project.yaml
holds itself. A recording's own zones take the place of those of all recordings that
have the same name.
"""

from collections.abc import Mapping
from pathlib import Path

from mabe.errors import ConfigError, DataError
from mabe.io.project import Project
from mabe.io.readers.containers import open_peek
from mabe.io.readers.simba_zones import is_simba_zones, read_simba_zones
from mabe.io.readers.zone_tables import ZoneFile, read_zone_table
from mabe.io.recording_names import compare_names
from mabe.io.zone_settings import ZoneSettings
from mabe.zones import Zone

FILE_NAME = "zones.csv"
"""The zones of a data set, in cm."""


def read_zone_file(project: Project, folder: Path) -> ZoneFile | None:
    """Return the file of zones that a project names; None where it names none.

    Raises `ConfigError` where there is no such file, and `DataError` where it holds no
    zones.
    """
    if not isinstance(project.zones, str):
        return None
    path = folder / project.zones
    if not path.is_file():
        raise ConfigError(f"project.yaml: zones: there is no file {path}")
    if is_simba_zones(open_peek(path)):
        return read_simba_zones(path)
    return read_zone_table(path)


def zones_in_cm(
    name: str,
    project: Project,
    file: ZoneFile | None,
    own: Mapping[str, ZoneSettings],
    *,
    pixels_per_cm: float,
) -> tuple[Zone, ...]:
    """Return the zones of the recording of this name.

    `own` are those of its settings. Raises `DataError` where the file names several
    videos that may be the recording.
    """
    found: dict[str, Zone] = {}
    if file is not None:
        scale = 1.0 if file.unit == "cm" else 1 / pixels_per_cm
        of_file = file.of(_video_of(name, file))
        found |= {zone.name: zone.scaled(scale) for zone in of_file}
    shared = {} if isinstance(project.zones, str) else project.zones
    for zone, settings in {**shared, **own}.items():
        found[zone] = settings.in_cm(zone, pixels_per_cm)
    return tuple(found.values())


def _video_of(name: str, file: ZoneFile) -> str:
    """Return the video of a file of zones that is a recording's, or its own name."""
    videos = [video for video in file.zones if video]
    alike = [video for video in videos if compare_names(Path(video).stem, name)]
    if file.own(name) or not alike:
        return name
    if len(alike) > 1:
        raise DataError(
            f"{file.path}: has zones of {alike}, each of which may be {name}; name "
            "them as the recordings are named."
        )
    return alike[0]
