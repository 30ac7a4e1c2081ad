"""The poses of all recordings as one array on disk, and their labels.

A store is a folder with ``index.json`` (all recordings, their labels, and where their
poses are) and one ``poses-<key>.i16``: little-endian 16-bit quantization steps, see
`mabe.data.poses_in_cm`, relative to each recording's `origin_cm`. The poses of a
recording are contiguous, in the order [time, slot, xy], with the slots that occur in
it, so that two animals need half the space of four. Where they have three dimensions,
the heights above the recording's floor follow, in the order [time, slot]. Poses are at
the store's rate; labels are in the recording's own frames.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Int16

from mabe.data.poses_file import PosesFile, hash_of
from mabe.data.poses_in_cm import (
    MISSING,
    REACH_CM,
    STEP_DTYPE,
    QuantizedHeights,
    quantize_heights,
    quantize_points,
    quantize_poses,
    to_cm,
)
from mabe.data.store_index import (
    INDEX_NAME,
    check_version,
    hashes_of,
    read_index,
    recordings_of,
)
from mabe.errors import DataError
from mabe.recording import (
    MAX_FRAMES,
    Recording,
    StoredRecording,
)
from mabe.resampling import resampled_length
from mabe.runtime.console import count
from mabe.runtime.disk_arrays import Touched, row_blocks
from mabe.runtime.documents import shorten_value
from mabe.runtime.object_storage import as_url, exists, fetch_store
from mabe.skeleton import (
    ANIMALS,
    BORDER,
    ZONE_CENTRE,
    PoseLayout,
    TrackedPoint,
    in_layout,
    joined_keypoints,
)
from mabe.zones import TargetZone, border_points

SlotsRead = tuple[Int[np.ndarray, "_"], Int[np.ndarray, "_"]]
"""Places of points in a recording's slots, and the slots they are read into. The points
of its zones, which do not move, follow its slots."""


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
    def individuals(self) -> int:
        """The highest number of an animal, object or zone of a recording."""
        numbers = [zone.number for each in self.recordings for zone in each.zones]
        return max([self.layout.animals, *numbers])

    @property
    def poses_path(self) -> Path | None:
        """The file of the poses; None for poses in memory."""
        return self._poses.path if isinstance(self._poses, PosesFile) else None

    def poses_hash(self, index: int) -> str:
        """Return the hash of a recording's poses."""
        if isinstance(self._poses, PosesFile):
            name = self.recordings[index].name
            return self._poses.hashes.get(name) or hash_of(self.values_of(index))
        return hash_of(self.values_of(index))

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

    def without_labels(self) -> "PoseStore":
        """Return the store as if nobody had labelled its recordings."""
        return self.with_recordings(
            replace(each, bouts=(), watched=(), coverage=None, has_labels=False)
            for each in self.recordings
        )

    def with_recordings(self, recordings: Iterable[StoredRecording]) -> "PoseStore":
        """Return the store with other facts, such as labels, about its recordings."""
        return PoseStore(
            root=self.root,
            rate_fps=self.rate_fps,
            recordings=tuple(recordings),
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
            points = recording.points
            if self.layout.has_zones:
                centre = self._zone_centre
                points += tuple(p for p, _ in _points_of_zones(recording, centre))
            found = in_layout(points, self.layout)
            rows = [
                (place, slot)
                for place, slot in found.items()
                if points[place].animal + 1 not in hidden
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
        points = self.points_cm(index, start, stop, every=every)
        return self._in_layout(index, points)

    def inputs_cm(
        self, index: int, start: int, stop: int
    ) -> Float[np.ndarray, "time a k c"]:
        """Return what a model reads of frames [start, stop): poses, and heights.

        A point has a third coordinate where the layout has heights.
        """
        return self._in_layout(index, self.coordinates_cm(index, start, stop))

    def _in_layout(
        self, index: int, points: Float[np.ndarray, "time slot c"]
    ) -> Float[np.ndarray, "time a k c"]:
        layout = self.layout
        columns, slots = self.slots_read(index)
        size = points.shape[2]
        poses = np.full((len(points), layout.slots, size), np.nan, np.float32)
        poses[:, slots] = points[:, columns]
        return poses.reshape(-1, layout.animals, len(layout.keypoints), size)

    def coordinates_cm(
        self, index: int, start: int, stop: int
    ) -> Float[np.ndarray, "time slot c"]:
        """Return `points_cm`, with heights where the layout has them.

        Zones have none. Raises `DataError` for a recording in two dimensions.
        """
        points = self.points_cm(index, start, stop)
        if not self.layout.has_heights:
            return points
        stored = to_cm(self.quantized_heights(index)[start:stop])
        heights = np.full((*points.shape[:2], 1), np.nan, np.float32)
        heights[:, : stored.shape[1], 0] = stored
        return np.concatenate([points, heights], axis=2)

    def points_cm(
        self, index: int, start: int, stop: int, *, every: int = 1
    ) -> Float[np.ndarray, "time slot 2"]:
        """Return the same for the stored slots, then for the points of zones."""
        recording = self.recordings[index]
        if not 0 <= start <= stop <= recording.length:
            raise ValueError(
                f"{recording.name}: frames {start} to {stop} requested, "
                f"it has {recording.length}"
            )
        poses = self.quantized(index)[start:stop:every]
        points = to_cm(poses)
        if len(still := self.zone_points(index)):
            shape = len(points), *still.shape
            points = np.concatenate(
                [points, np.broadcast_to(to_cm(still), shape)], axis=1
            )
        if self._touched is not None:
            self._touched.add(poses.nbytes)
        elif isinstance(self._poses, PosesFile):
            self._poses.count_touched(poses.nbytes)
        return points

    @property
    def _zone_centre(self) -> str:
        names = self.layout.keypoints
        return ZONE_CENTRE if ZONE_CENTRE in names else names[0]

    def zone_points(self, index: int) -> Int16[np.ndarray, "point 2"]:
        """Return the stored values of the points of a recording's zones.

        They do not move. There are none in a layout that has no zones.
        """
        recording = self.recordings[index]
        if not (self.layout.has_zones and recording.zones):
            return np.empty((0, 2), STEP_DTYPE)
        every = [xy for _, xy in _points_of_zones(recording, self._zone_centre)]
        return quantize_points(np.array(every) - recording.origin_cm)

    def quantized(self, index: int) -> Int16[np.ndarray, "time slot 2"]:
        """Return the stored values of a recording's poses, as a view of the file.

        Raises `DataError` where they are not those that were stored.
        """
        recording = self.recordings[index]
        flat = self.values_of(index)[: 2 * recording.stored_points]
        return flat.reshape(recording.length, len(recording.slots), 2)

    def quantized_heights(self, index: int) -> Int16[np.ndarray, "time slot"]:
        """Return the same of the heights of its points.

        Raises `DataError` for a recording in two dimensions.
        """
        recording = self.recordings[index]
        check_heights(recording)
        flat = self.values_of(index)[2 * recording.stored_points :]
        return flat.reshape(recording.length, len(recording.slots))

    def values_of(self, index: int) -> Int16[np.ndarray, " value"]:
        """Return all that is stored of a recording's poses, as a view of the file.

        Raises `DataError` where it is not what was stored.
        """
        recording = self.recordings[index]
        if isinstance(self._poses, PosesFile):
            return self._poses.of_recording(recording)
        return self._poses[recording.offset : recording.offset + recording.values]

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
    index = read_index(root)
    check_version(index, root)
    try:
        rate_fps, recordings = recordings_of(index)
        poses = root / index["poses"]
        hashes = hashes_of(index, recordings)
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


def check_heights(recording: StoredRecording) -> None:
    """Raise `DataError` where a recording has no heights, for models that read them."""
    if not recording.has_heights:
        raise DataError(
            f"{recording.name}: its tracks have two dimensions, and the model was "
            "trained on three; give tracks with z, or train without it (`vertical: "
            "none` in project.yaml)."
        )


def is_store(root: Path) -> bool:
    """Return whether a folder holds a store, of any version.

    Raises `DataError` where its index is not that of a store: it is not overwritten.
    """
    if url := as_url(root):
        return exists(f"{url.rstrip('/')}/{INDEX_NAME}")
    return (root / INDEX_NAME).exists() and bool(read_index(root))


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


def _points_of_zones(
    recording: StoredRecording, centre: str
) -> list[tuple[TrackedPoint, tuple[float, float]]]:
    """Return the centre and the border of each zone, in the recording's own cm."""
    found = []
    for each in recording.zones:
        border = [(x, y) for x, y in border_points(each.zone).tolist()]
        points = zip((centre, *BORDER), (each.zone.centre, *border), strict=True)
        found += [(TrackedPoint(each.number - 1, name), xy) for name, xy in points]
    return found


def _is_in_reach(zone: TargetZone, origin_cm: tuple[float, float]) -> bool:
    away = np.abs(border_points(zone.zone) - origin_cm)
    return bool(np.nanmax(away) <= REACH_CM)


def from_recording(recording: Recording, rate_fps: float) -> PoseStore:
    """Return one recording as a store in memory, with the same poses as on disk."""
    stored, poses = quantize_recording(recording, rate_fps)
    return PoseStore(
        root=recording.info.tracking_path,
        rate_fps=rate_fps,
        recordings=(stored,),
        poses=poses,
    )


def quantize_recording(
    recording: Recording,
    rate_fps: float,
    *,
    content_hash: str = "",
) -> tuple[StoredRecording, Int16[np.ndarray, " value"]]:
    """Return what a store holds of a recording, and its values: poses, then heights.

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
    heights = _heights_of(recording, poses.values, rate_fps)
    notes = recording.notes
    if heights is not None and (gone := _without_height(poses.values, heights.values)):
        notes += (
            f"{count(gone, 'point')} without a height, or over {REACH_CM:.0f} cm above "
            "the floor, treated as of unknown height",
        )
    if poses.out_of_reach:
        far = f"points over {REACH_CM:.0f} cm from the middle: {poses.out_of_reach}"
        notes += (f"{far}, treated as missing",)
    zones = [zone for zone in info.zones if _is_in_reach(zone, poses.origin_cm)]
    if lost := [zone.zone.name for zone in info.zones if zone not in zones]:
        notes += (
            f"zones over {REACH_CM:.0f} cm from the middle, at which no action can be "
            f"directed: {', '.join(lost)}; are they in the unit of the tracks?",
        )
    stored = StoredRecording(
        lab=info.lab,
        video=info.video,
        fps=info.fps,
        native_length=recording.length,
        length=len(poses.values),
        slots=tuple(int(slot) for slot in recording.slots),
        keypoints=recording.keypoints,
        origin_cm=poses.origin_cm,
        floor_cm=None if heights is None else heights.floor_cm,
        offset=0,
        bouts=recording.bouts,
        watched=info.watched,
        animals=info.animals,
        objects=info.objects,
        zones=tuple(zones),
        has_labels=info.has_labels,
        coverage=recording.coverage,
        start_s=info.start_s,
        tracking_hash=recording.tracking_hash(),
        content_hash=content_hash,
        missing_share=poses.missing_share,
        notes=notes,
    )
    values = poses.values.reshape(-1)
    if heights is not None:
        values = np.concatenate([values, heights.values.reshape(-1)])
    return stored, values


def _without_height(
    poses: Int16[np.ndarray, "time slot 2"], heights: Int16[np.ndarray, "time slot"]
) -> int:
    """Return how many points are known, and their heights not."""
    return int(np.count_nonzero((heights == MISSING) & (poses[..., 0] != MISSING)))


def _heights_of(
    recording: Recording, poses: Int16[np.ndarray, "time slot 2"], rate_fps: float
) -> QuantizedHeights | None:
    """Return the heights of those points whose place is known."""
    if recording.z_px is None:
        return None
    heights = quantize_heights(
        recording.z_px,
        pixels_per_cm=recording.info.pixels_per_cm,
        from_fps=recording.info.fps,
        to_fps=rate_fps,
    )
    heights.values[poses[..., 0] == MISSING] = MISSING
    return heights
