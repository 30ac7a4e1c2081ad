"""The poses of all recordings as one array on disk, and their labels.

A store is a folder with ``index.json`` (all recordings, their labels, and where their
poses are) and one ``poses-<key>.i16``: little-endian 16-bit quantization steps, see
`mabe.data.poses_in_cm`, relative to each recording's `origin_cm`. The poses of a
recording are contiguous, in the order [time, slot, xy], with the slots that occur in
it, so that two animals need half the space of four. Poses are at the store's rate;
labels are in the recording's own frames.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int16

from mabe.bouts import Bout, Coverage, Watched, WatchedSpan
from mabe.data.poses_file import PosesFile, hash_of
from mabe.data.poses_in_cm import (
    MISSING,
    REACH_CM,
    STEP_DTYPE,
    quantize_poses,
    to_cm,
)
from mabe.errors import DataError
from mabe.recording import (
    MAX_FRAMES,
    Recording,
    StoredRecording,
    problem_with_rate,
)
from mabe.resampling import resampled_length
from mabe.runtime.disk_arrays import Touched, row_blocks
from mabe.runtime.documents import read_json, shorten_value
from mabe.runtime.file_names import problem_with_name, shorten
from mabe.runtime.files import write_text
from mabe.runtime.object_storage import as_url, exists, fetch_store
from mabe.runtime.versions import made_by_newer
from mabe.skeleton import (
    ANIMALS,
    KEYPOINTS,
    MOST_ANIMALS,
    PoseLayout,
    in_layout,
    joined_keypoints,
)

FORMAT_VERSION = 4
"""Of a store without coverage, which versions of mabe before 0.3 can read too."""


_WITH_COVERAGE = 5


_WITH_OTHER_SKELETONS = 6


INDEX_NAME = "index.json"


_FORMAT = "mabe pose store"


SlotsRead = tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]
"""Places of points in a recording's slots, and the slots they are read into."""


class PoseStore:
    """Poses and labels of many recordings."""

    def __init__(
        self,
        *,
        root: Path,
        rate_fps: float,
        recordings: tuple[StoredRecording, ...],
        poses: PosesFile | Int16[np.ndarray, " value"],
        layout: PoseLayout | None = None,
        has_objects: bool = True,
    ) -> None:
        self.root = root
        """The store's folder; for poses in memory, the file they were read from."""
        self.rate_fps = rate_fps
        self.recordings = recordings
        self.layout = layout or layout_of(recordings)
        """The animals and keypoints of the poses that are read."""
        self.has_objects = has_objects
        """False: only animals are read."""
        self._poses = poses
        self._slots_read: dict[int, SlotsRead] = {}
        self._touched = Touched(poses) if isinstance(poses, np.ndarray) else None

    @property
    def poses_path(self) -> Path | None:
        """The file of the poses; None for poses in memory."""
        return self._poses.path if isinstance(self._poses, PosesFile) else None

    def poses_hash(self, index: int) -> str:
        """Return the hash of a recording's poses."""
        if isinstance(self._poses, PosesFile):
            name = self.recordings[index].name
            return self._poses.hashes.get(name) or hash_of(self.quantized(index))
        return hash_of(self.quantized(index))

    def is_sound(self) -> bool:
        """Return whether all poses are those that were stored."""
        return isinstance(self._poses, np.ndarray) or all(
            map(self._poses.is_sound, self.recordings)
        )

    def select(self, index: int) -> "PoseStore":
        """Return a store of one recording, with the same file of poses."""
        return PoseStore(
            root=self.root,
            rate_fps=self.rate_fps,
            recordings=(self.recordings[index],),
            poses=self._poses,
            layout=self.layout,
            has_objects=self.has_objects,
        )

    def in_layout(self, layout: PoseLayout, *, objects: bool = True) -> "PoseStore":
        """Return the store with the animals and keypoints that a model needs.

        Keypoints of other names are missing in its poses, and so are the animals it has
        no room for, and objects where they are not wanted.
        """
        if (layout, objects) == (self.layout, self.has_objects):
            return self
        return PoseStore(
            root=self.root,
            rate_fps=self.rate_fps,
            recordings=self.recordings,
            poses=self._poses,
            layout=layout,
            has_objects=objects,
        )

    def slots_read(self, index: int) -> SlotsRead:
        """Return which points of a recording are read, and their slots in the layout.

        Points are places in the recording's own slots.
        """
        if index not in self._slots_read:
            recording = self.recordings[index]
            hidden = set() if self.has_objects else set(recording.objects)
            found = in_layout(recording.points, self.layout)
            rows = [
                (place, slot)
                for place, slot in found.items()
                if recording.points[place].animal + 1 not in hidden
            ]
            both = np.array(rows, int).reshape(-1, 2)
            self._slots_read[index] = (both[:, 0], both[:, 1])
        return self._slots_read[index]

    def __repr__(self) -> str:
        return f"PoseStore({str(self.root)!r}, {len(self.recordings)} recordings)"

    def poses_cm(
        self, index: int, start: int, stop: int, *, every: int = 1
    ) -> Float[np.ndarray, "time a k 2"]:
        """Return frames [start, stop) of a recording, NaN where a point is missing.

        With `every` only each so many frames are. Frames are at the store's rate,
        centimetres relative to the recording's origin.
        """
        layout = self.layout
        columns, slots = self.slots_read(index)
        points = self.points_cm(index, start, stop, every=every)
        poses = np.full((len(points), layout.slots, 2), np.nan, np.float32)
        poses[:, slots] = points[:, columns]
        return poses.reshape(-1, layout.animals, len(layout.keypoints), 2)

    def points_cm(
        self, index: int, start: int, stop: int, *, every: int = 1
    ) -> Float[np.ndarray, "time slot 2"]:
        """Return the same for the stored slots only."""
        recording = self.recordings[index]
        if not 0 <= start <= stop <= recording.length:
            raise ValueError(
                f"{recording.name}: frames {start} to {stop} requested, "
                f"it has {recording.length}"
            )
        poses = self.quantized(index)[start:stop:every]
        points = to_cm(poses)
        if self._touched is not None:
            self._touched.add(poses.nbytes)
        elif isinstance(self._poses, PosesFile):
            self._poses.count_touched(poses.nbytes)
        return points

    def quantized(self, index: int) -> Int16[np.ndarray, "time slot 2"]:
        """Return the stored values of a recording's poses, as a view of the file.

        Raises `DataError` where they are not those that were stored.
        """
        recording = self.recordings[index]
        if isinstance(self._poses, PosesFile):
            flat = self._poses.of_recording(recording)
        else:
            flat = self._poses[recording.offset : recording.offset + recording.values]
        return flat.reshape(recording.length, len(recording.slots), 2)

    def tracked_span(self, index: int) -> tuple[int, int] | None:
        """Return the first frame with a point, and the one after the last."""
        poses = self.quantized(index)
        is_tracked = [np.empty(0, bool)]
        for rows in row_blocks(poses):
            is_tracked.append((poses[rows, :, 0] != MISSING).any(axis=1))
        frames = np.flatnonzero(np.concatenate(is_tracked))
        return (int(frames[0]), int(frames[-1]) + 1) if len(frames) else None


def open_store(root: Path) -> PoseStore:
    """Return the store in a folder; one in object storage is fetched first.

    Raises `DataError` when there is none, or it is incomplete or of another version.
    """
    if url := as_url(root):
        root = fetch_store(url, INDEX_NAME, ["poses-*.i16"])
    index = _read_index(root)
    known = (FORMAT_VERSION, _WITH_COVERAGE, _WITH_OTHER_SKELETONS)
    if (found := index.get("version")) not in known:
        is_newer = isinstance(found, int) and found > max(known)
        raise DataError(
            f"{root}: a pose store of version {shorten_value(found)}, known are "
            f"{min(known)} to {max(known)}"
            + (f": {made_by_newer(None)}, or" if is_newer else ";")
            + " run `mabe prepare` again."
        )
    try:
        rate_fps, recordings = _recordings_of(index)
        poses = root / index["poses"]
        hashes = _hashes_of(index, recordings)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        raise DataError(
            f"{root / INDEX_NAME}: is damaged ({type(e).__name__}: "
            f"{shorten_value(str(e))}); run `mabe prepare` again."
        ) from None
    expected = sum(recording.values for recording in recordings) * STEP_DTYPE.itemsize
    found = poses.stat().st_size if poses.is_file() else 0
    if found != expected:
        raise DataError(
            f"{poses}: has {found:,} bytes, expected {expected:,}; run `mabe prepare` "
            "again."
        )
    return PoseStore(
        root=root,
        rate_fps=rate_fps,
        recordings=recordings,
        poses=PosesFile(poses, hashes),
    )


def _hashes_of(
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


def _recordings_of(
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


def is_store(root: Path) -> bool:
    """Return whether a folder holds a store, of any version.

    Raises `DataError` where its index is not that of a store: it is not overwritten.
    """
    if url := as_url(root):
        return exists(f"{url.rstrip('/')}/{INDEX_NAME}")
    return (root / INDEX_NAME).exists() and bool(_read_index(root))


def _read_index(root: Path) -> dict[str, Any]:
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
    if not isinstance(index, dict) or index.get("format") != _FORMAT:
        raise DataError(
            f"{path}: not a pose store's index; choose another folder for the store."
        )
    return index


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
        "format": _FORMAT,
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
    if any(
        each.keypoints != KEYPOINTS
        or max(each.tracked_individuals, default=0) > ANIMALS
        or each.objects
        for each in recordings
    ):
        return _WITH_OTHER_SKELETONS
    is_covered = any(recording.coverage is not None for recording in recordings)
    return _WITH_COVERAGE if is_covered else FORMAT_VERSION


def layout_of(recordings: Iterable[StoredRecording]) -> PoseLayout:
    """Return the animals of recordings, and the keypoints of those with labels.

    Without any labels the keypoints are those of all. There is room for those of the
    challenge at least, so that models of rodents have the same inputs whatever a lab
    tracks of them.
    """
    every = tuple(recordings)
    animals = max([ANIMALS, *(n for each in every for n in each.tracked_individuals)])
    labelled = [each for each in every if each.has_labels] or every
    names = {point.keypoint for each in labelled for point in each.points}
    return PoseLayout(animals, joined_keypoints([names]))


def recording_to_json(recording: StoredRecording) -> dict[str, Any]:
    """Return a recording as plain values; bouts as rows, which are read faster."""
    plain = {each.name: getattr(recording, each.name) for each in fields(recording)}
    if recording.keypoints == KEYPOINTS:
        del plain["keypoints"]
    if not recording.objects:
        del plain["objects"]
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


def from_recording(recording: Recording, rate_fps: float) -> PoseStore:
    """Return one recording as a store in memory, with the same poses as on disk."""
    stored, poses = quantize_recording(recording, rate_fps)
    return PoseStore(
        root=recording.info.tracking_path,
        rate_fps=rate_fps,
        recordings=(stored,),
        poses=poses.reshape(-1),
    )


def quantize_recording(
    recording: Recording,
    rate_fps: float,
    *,
    content_hash: str = "",
) -> tuple[StoredRecording, Int16[np.ndarray, "time slot 2"]]:
    """Return what a store holds of a recording, and its quantized poses.

    The content hash is empty for a recording that is not written to a store.
    """
    info = recording.info
    length = resampled_length(recording.length, from_fps=info.fps, to_fps=rate_fps)
    if length > MAX_FRAMES:
        raise DataError(
            f"{info.name}: {recording.length:,} frames at {info.fps:g} fps are "
            f"{length:,} at {rate_fps:g}; at most {MAX_FRAMES:,} are read. Is its "
            "frame rate right?"
        )
    poses = quantize_poses(
        recording.xy_px,
        pixels_per_cm=info.pixels_per_cm,
        from_fps=info.fps,
        to_fps=rate_fps,
    )
    notes = recording.notes
    if poses.out_of_reach:
        far = f"points over {REACH_CM:.0f} cm from the middle: {poses.out_of_reach}"
        notes += (f"{far}, treated as missing",)
    stored = StoredRecording(
        lab=info.lab,
        video=info.video,
        fps=info.fps,
        native_length=recording.length,
        length=len(poses.values),
        slots=tuple(int(slot) for slot in recording.slots),
        keypoints=recording.keypoints,
        origin_cm=poses.origin_cm,
        offset=0,
        bouts=recording.bouts,
        watched=info.watched,
        animals=info.animals,
        objects=info.objects,
        has_labels=info.has_labels,
        coverage=recording.coverage,
        start_s=info.start_s,
        tracking_hash=recording.tracking_hash(),
        content_hash=content_hash,
        missing_share=poses.missing_share,
        notes=notes,
    )
    return stored, poses.values


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
