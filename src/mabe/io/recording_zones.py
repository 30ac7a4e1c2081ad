"""The zones of each recording in cm: those of project.yaml, or of a file it names.

``zones: ROI_definitions.h5`` names SimBA's regions, a table of zones, or one of the
keypoints at their corners (`mabe.io.zone_corners`), relative to the folder that is
imported; `mabe.io.zone_settings` describes zones that project.yaml holds itself. A
recording's own zones take the place of those of all recordings that have the same name.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.errors import ConfigError, DataError
from mabe.io.project import Project
from mabe.io.readers.containers import open_peek
from mabe.io.readers.file_head import read_text
from mabe.io.readers.kaggle import ZONES_NAME
from mabe.io.readers.simba_zones import is_simba_zones, read_simba_zones
from mabe.io.readers.zone_tables import ZoneFile, is_zone_table, read_zone_table
from mabe.io.recording_names import compare_names
from mabe.io.standardize import StandardPoses
from mabe.io.zone_corners import Place, corners_of_rows, zones_px
from mabe.io.zone_settings import ZoneSettings
from mabe.zones import MOST_PARTS, Zone

FILE_NAME = ZONES_NAME


@dataclass(frozen=True, slots=True)
class RecordingZones:
    """What gives the zones of recordings: a project, and the file that it names."""

    project: Project
    file: ZoneFile | None = None

    @classmethod
    def of(cls, project: Project, folder: Path) -> "RecordingZones":
        """Return those of a project for the recordings of a folder."""
        return cls(project, read_zone_file(project, folder))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all zones."""
        shared = (
            () if isinstance(self.project.zones, str) else tuple(self.project.zones)
        )
        own = (name for each in self.project.recordings for name in each.zones)
        of_file = self.file.names if self.file else ()
        return tuple(dict.fromkeys((*of_file, *shared, *own)))

    @property
    def corners(self) -> tuple[str, ...]:
        """The keypoints that are corners of zones."""
        every = self.file.corners.values() if self.file else ()
        return tuple(dict.fromkeys(point for points in every for point in points))

    def own_of(self, name: str) -> Mapping[str, ZoneSettings]:
        """Return the zones that the settings of the recording of a name give."""
        own = self.project.of_recording(name)
        return own.zones if own else {}


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
    peek = open_peek(path)
    if is_simba_zones(peek):
        return read_simba_zones(path)
    if peek.kind == "text" and not is_zone_table(peek):
        table = csv.reader(io.StringIO(read_text(peek)), delimiter=peek.delimiter)
        rows = [row for row in table if any(cell.strip() for cell in row)]
        if corners := corners_of_rows(rows):
            return ZoneFile(path, "px", {}, corners)
    return read_zone_table(path)


def place_zones(
    standard: StandardPoses,
    zones: RecordingZones,
    *,
    name: str | None = None,
    own: Mapping[str, ZoneSettings] | None = None,
) -> StandardPoses:
    """Return a recording with its zones, at which labels may be directed.

    `name` is that by which a file of zones calls the recording, and `own` are the zones
    of its settings; by default these are looked up by its own name.
    """
    found = zones_in_cm(
        name or standard.name,
        zones.project,
        zones.file,
        zones.own_of(standard.name) if own is None else own,
        pixels_per_cm=standard.pixels_per_cm,
        corners_px=standard.corners_px,
    )
    notes = []
    if zones.file is not None and not found:
        notes.append(f"{zones.file.path.name}: no zones of this recording")
    placed = replace(standard, poses=standard.poses.noting(*notes), zones=found)
    if lost := placed.untargeted:
        placed = replace(
            placed,
            poses=placed.poses.noting(
                f"no action can be directed at the zones {', '.join(lost)}: an animal "
                f"or object is called so, or they have over {MOST_PARTS} parts"
            ),
        )
    return placed


def zones_in_cm(
    name: str,
    project: Project,
    file: ZoneFile | None,
    own: Mapping[str, ZoneSettings],
    *,
    pixels_per_cm: float,
    corners_px: Mapping[str, Place] | None = None,
) -> tuple[Zone, ...]:
    """Return the zones of the recording of this name.

    `own` are those of its settings, `corners_px` where the keypoints are that are
    corners of a file's zones. Raises `DataError` where the file names several videos
    that may be the recording.
    """
    found: dict[str, Zone] = {}
    if file is not None and file.corners:
        of_points = zones_px(name, file.corners, corners_px or {})
        found |= {zone.name: zone.scaled(1 / pixels_per_cm) for zone in of_points}
    elif file is not None:
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
