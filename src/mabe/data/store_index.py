"""The index of a pose store: all recordings, their labels, and where their poses are.

One JSON file, ``index.json``, with a line for each recording: fast to read, and legible
for people. `mabe.data.store` describes the store.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from mabe.bouts import Bout, Coverage, Watched, WatchedSpan
from mabe.errors import DataError
from mabe.recording import MAX_FRAMES, StoredRecording, problem_with_rate
from mabe.runtime.documents import read_json, shorten_value
from mabe.runtime.file_names import problem_with_name, shorten
from mabe.runtime.files import write_text
from mabe.runtime.versions import made_by_newer
from mabe.skeleton import ANIMALS, KEYPOINTS, MOST_ANIMALS
from mabe.zones import (
    Circle,
    Polygon,
    TargetZone,
    Zone,
    parts_of,
    shape_of,
)

FORMAT_VERSION = 4
"""Of a store without coverage, which versions of mabe before 0.3 can read too."""


WITH_COVERAGE = 5


WITH_OTHER_SKELETONS = 6


WITH_ZONES = 7


WITH_HEIGHTS = 8


INDEX_NAME = "index.json"


FORMAT = "mabe pose store"


def read_index(root: Path) -> dict[str, Any]:
    """Return the index of a store; raise `DataError` where there is none."""
    path = root / INDEX_NAME
    try:
        index = read_json(path)
    except FileNotFoundError as error:
        raise DataError(
            f"{root}: no pose store here ({INDEX_NAME} is absent); make one with "
            f"`mabe prepare DATA --out {root}`."
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path}: not a pose store's index ({error}); delete it and prepare again."
        ) from error
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise DataError(
            f"{path}: not a pose store's index; choose another folder for the store."
        )
    return index


def check_version(index: Mapping[str, Any], root: Path) -> None:
    """Raise `DataError` where an index is of a version that cannot be read."""
    known = range(FORMAT_VERSION, WITH_HEIGHTS + 1)
    if (found := index.get("version")) not in known:
        is_newer = isinstance(found, int) and found > max(known)
        raise DataError(
            f"{root}: a pose store of version {shorten_value(found)}, known are "
            f"{min(known)} to {max(known)}"
            + (f": {made_by_newer(None)}, or" if is_newer else ";")
            + " run `mabe prepare` again."
        )


def recordings_of(
    index: Mapping[str, Any],
) -> tuple[float, tuple[StoredRecording, ...]]:
    """Return the rate and the recordings of an index.

    Raises an error of Python where it is none, or its parts do not fit together.
    """
    recordings = tuple(
        recording_from_json(entry, index["watched"]) for entry in index["recordings"]
    )
    rate_fps = float(index["rate_fps"])
    if problem := problem_with_rate(rate_fps):
        raise ValueError(problem)
    for name in (index["poses"], *(n for r in recordings for n in (r.lab, r.video))):
        if problem := problem_with_name(name):
            raise ValueError(f"the name {shorten(name)} {problem}")
    offset = 0
    for recording in recordings:
        if problem := problem_with_rate(recording.fps):
            raise ValueError(f"{recording.name}: {problem}")
        slots = set(recording.slots)
        texts = (*recording.animals, *recording.notes, recording.tracking_hash)
        bouts = recording.bouts
        is_sound = (
            all(isinstance(each, str) for each in (*texts, recording.content_hash))
            and all(
                isinstance(b.agent, int) and isinstance(b.target, int) for b in bouts
            )
            and isinstance(recording.has_labels, bool)
            and len(recording.origin_cm) == 2
            and all(isinstance(each, float | int) for each in recording.origin_cm)
            and isinstance(recording.floor_cm, float | int | None)
            and isinstance(recording.missing_share, float | int)
            and recording.offset == offset
            and 0 <= recording.length <= MAX_FRAMES
            and 0 <= recording.native_length <= MAX_FRAMES
            and all(isinstance(name, str) for name in recording.keypoints)
            and all(isinstance(number, int) for number in recording.objects)
            and slots <= set(range(MOST_ANIMALS * len(recording.keypoints)))
            and len(slots) == len(recording.slots)
        )
        if not is_sound:
            raise ValueError(f"{recording.name}: its frames, points or place")
        offset += recording.values
    return rate_fps, recordings


def hashes_of(
    index: Mapping[str, Any], recordings: Sequence[StoredRecording]
) -> dict[str, str]:
    """Return the hash of each recording's poses; none in stores of mabe 0.2.

    Raises `ValueError` where they are not those of the recordings.
    """
    if "hashes" not in index:
        return {}
    hashes = dict(zip((r.name for r in recordings), index["hashes"], strict=True))
    if not all(isinstance(each, str) for each in hashes.values()):
        raise ValueError("its hashes")
    return hashes


def write_index(
    root: Path,
    *,
    rate_fps: float,
    poses: str,
    recordings: tuple[StoredRecording, ...],
    hashes: Sequence[str] = (),
) -> None:
    """Write the index of a store whose file of poses is complete."""
    watched = sorted({recording.watched for recording in recordings})
    place = {each: number for number, each in enumerate(watched)}
    entries = [
        recording_to_json(recording) | {"watched": place[recording.watched]}
        for recording in recordings
    ]
    index = {
        "format": FORMAT,
        "version": _version_of(recordings),
        "rate_fps": rate_fps,
        "poses": poses,
        "watched": [_watched_rows(each) for each in watched],
    } | ({"hashes": list(hashes)} if hashes else {})
    # One line for each recording: fast to read, and legible for people.
    lines = ",\n".join(_dense_json(entry) for entry in entries)
    write_text(
        root / INDEX_NAME, _dense_json(index)[:-1] + f',"recordings":[\n{lines}\n]}}\n'
    )


def _version_of(recordings: Sequence[StoredRecording]) -> int:
    """Return the oldest version of the format that can hold recordings."""
    if any(each.has_heights for each in recordings):
        return WITH_HEIGHTS
    if any(each.zones for each in recordings):
        return WITH_ZONES
    if any(
        each.keypoints != KEYPOINTS
        or max(each.tracked_individuals, default=0) > ANIMALS
        or each.objects
        for each in recordings
    ):
        return WITH_OTHER_SKELETONS
    is_covered = any(recording.coverage is not None for recording in recordings)
    return WITH_COVERAGE if is_covered else FORMAT_VERSION


def recording_to_json(recording: StoredRecording) -> dict[str, Any]:
    """Return a recording as plain values; bouts as rows, which are read faster."""
    plain = {each.name: getattr(recording, each.name) for each in fields(recording)}
    if recording.keypoints == KEYPOINTS:
        del plain["keypoints"]
    if not recording.objects:
        del plain["objects"]
    if not recording.has_heights:
        del plain["floor_cm"]
    if recording.zones:
        plain["zones"] = [_zone_to_json(each) for each in recording.zones]
    else:
        del plain["zones"]
    if recording.coverage is None:
        del plain["coverage"]
    else:
        plain["coverage"] = _bout_rows(recording.coverage)
    return plain | {
        "bouts": _bout_rows(recording.bouts),
        "watched": _watched_rows(recording.watched),
    }


def recording_from_json(
    entry: Mapping[str, Any], watched_lists: list[Any] | None = None
) -> StoredRecording:
    """Return the recording of `recording_to_json`.

    In an index, `watched` is the number of one of the lists that recordings share.
    """
    watched = entry["watched"]
    if watched_lists is not None:
        watched = watched_lists[watched]
    return StoredRecording(
        **{
            **entry,
            "slots": tuple(entry["slots"]),
            "keypoints": tuple(entry.get("keypoints", KEYPOINTS)),
            "objects": tuple(entry.get("objects", ())),
            "zones": tuple(map(_zone_from_json, entry.get("zones", ()))),
            "origin_cm": tuple(entry["origin_cm"]),
            "bouts": tuple(
                Bout(start, stop, sys.intern(action), agent, target)
                for start, stop, action, agent, target in entry["bouts"]
            ),
            "watched": tuple(Watched(*row) for row in watched),
            "coverage": _coverage_of_rows(entry.get("coverage")),
            "animals": tuple(entry["animals"]),
            "notes": tuple(entry["notes"]),
        }
    )


def _zone_to_json(target: TargetZone) -> list[Any]:
    """Return a zone as plain values: a circle has a radius, a polygon corners."""
    parts = [
        [part.x, part.y, part.radius] if isinstance(part, Circle) else [*part.corners]
        for part in parts_of(target.zone.shape)
    ]
    return [target.number, target.zone.name, parts]


def _zone_from_json(row: Sequence[Any]) -> TargetZone:
    """Return the zone of `_zone_to_json`; raises `ValueError` where it is none."""
    number, name, parts = row
    if not (isinstance(number, int) and isinstance(name, str)):
        raise ValueError("a zone")
    shapes = [
        Polygon(tuple((x, y) for x, y in part))
        if isinstance(part[0], list)
        else Circle(*part)
        for part in parts
    ]
    return TargetZone(number, Zone(name, shape_of(shapes)))


def _bout_rows(spans: Iterable[Bout | WatchedSpan]) -> list[list[Any]]:
    return [
        [span.start, span.stop, span.action, span.agent, span.target] for span in spans
    ]


def _coverage_of_rows(rows: list[list[Any]] | None) -> Coverage | None:
    """Return the spans of `_bout_rows`; None where all was watched all the time."""
    if rows is None:
        return None
    return tuple(
        WatchedSpan(start, stop, sys.intern(action), agent, target)
        for start, stop, action, agent, target in rows
    )


def _watched_rows(watched: tuple[Watched, ...]) -> list[list[Any]]:
    return [[each.agent, each.target, each.action] for each in watched]


def _dense_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
