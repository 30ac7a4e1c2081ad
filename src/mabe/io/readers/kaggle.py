"""The Kaggle layout: metadata tables, and one long table of points per video.

::

    train.csv  test.csv
    <split>_tracking/<lab>/<video>.parquet      video_frame, mouse_id, bodypart, x, y
    <split>_annotation/<lab>/<video>.parquet    agent_id, target_id, action,
                                                start_frame, stop_frame (exclusive)
    <split>_coverage/<lab>/<video>.parquet      the same columns (our own addition)

Coordinates are pixels, animals count from 1, and a missing point is an absent row.
Integer widths differ from file to file. A coverage file says in which frames annotators
watched for an action; without one, all of ``behaviors_labeled`` was watched for in all
frames. A table's column ``objects`` (our own addition, and optional) lists the animals
that are objects, such as ``[2, 3]``, and a column ``zones`` those that are zones, whose
shapes are in ``zones.csv`` beside the table. The layout is that of the Kaggle
competition "MABe Challenge: Social Action Recognition in Mice" (2025).
"""

import csv
import functools
import itertools
import math
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mabe.bouts import Bout, Coverage, Watched, WatchedSpan, covered_bouts
from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.kaggle_tracks import open_parquet, read_tracks, whole_numbers
from mabe.io.readers.zone_tables import EVERY_RECORDING, ZoneFile, read_zone_table
from mabe.recording import Recording, VideoInfo, problem_with_rate, problem_with_scale
from mabe.runtime.console import count
from mabe.runtime.csv_cells import text_of
from mabe.runtime.documents import parse_json
from mabe.runtime.file_names import problem_with_name, shorten
from mabe.runtime.object_storage import (
    RemoteFile,
    RemoteFolder,
    as_url,
    fetch,
    list_folder,
    naming_urls,
)
from mabe.skeleton import MOST_ANIMALS
from mabe.zones import TargetZone

FACTS = facts.Facts(
    name="the standard (Kaggle) layout",
    use="tracks, labels",
    clock="`video_frame`, from 0",
    stop="the frame after",
    fps="`frames_per_second` in train.csv",
    points="px, y down",
    scale="`pix_per_cm_approx` in train.csv",
    missing="no row",
    watched="`behaviors_labeled` in train.csv; when: `train_coverage`",
    animals="`mouse1` … `mouse4`",
    notes="the [data set](training.md#the-data-set) itself: needs no import",
)


SPLITS = ("train", "test")


ZONES_NAME = "zones.csv"
"""The zones of a data set, in cm."""


_INDEX_COLUMNS = (
    "lab_id",
    "video_id",
    "frames_per_second",
    "pix_per_cm_approx",
)


_NAME_COLUMNS = ("lab_id", "video_id")


_ANNOTATION_COLUMNS = ("agent_id", "target_id", "action", "start_frame", "stop_frame")


def read_index(data_dir: Path, *, splits: tuple[str, ...] = SPLITS) -> list[VideoInfo]:
    """Return the metadata of every video; its files are not opened.

    Of a video in two splits the first is used. Where a split has no annotation folder
    its labels are not public, so its videos count as not annotated although the table
    lists actions. A folder in object storage is listed, and its tables are read. Raises
    `DataError` when there are no tables or no videos, or when a row cannot be read.
    """
    if url := as_url(data_dir):
        return _read_remote_index(url, splits)
    tables = [path for split in splits if (path := data_dir / f"{split}.csv").is_file()]
    videos = _first_of_each(_read_table(path) for path in tables)
    if not videos:
        expected = " or ".join(f"{split}.csv" for split in splits)
        found = "none has a row" if tables else "there is none"
        if not data_dir.is_dir():
            found = "there is no such folder"
        raise DataError(
            f"{data_dir.absolute()}: no videos; expected {expected}, {found}. Your own "
            "tracks and labels become such a folder with `mabe import`, simulated ones "
            "with `mabe simulate`; docs/kaggle.md says how to get the challenge's."
        )
    return videos


def _first_of_each(tables: Iterable[list[VideoInfo]]) -> list[VideoInfo]:
    videos: dict[str, VideoInfo] = {}
    for info in itertools.chain.from_iterable(tables):
        videos.setdefault(info.name, info)
    return list(videos.values())


def _read_remote_index(url: str, splits: tuple[str, ...]) -> list[VideoInfo]:
    """Return the videos of a folder in object storage; only its tables are fetched."""
    folder = list_folder(url)
    tables = [file for split in splits if (file := folder.files.get(f"{split}.csv"))]
    beside = [file] if (file := folder.files.get(ZONES_NAME)) else []
    with tempfile.TemporaryDirectory(prefix="mabe-") as place:
        local = {Path(place) / file.name: file.url for file in (*tables, *beside)}
        for file, path in zip((*tables, *beside), local, strict=True):
            fetch(file, path)
        with naming_urls(local):
            own = list(local)[: len(tables)]
            videos = _first_of_each(_read_table(path, folder) for path in own)
    if not videos:
        expected = " or ".join(f"{split}.csv" for split in splits)
        raise DataError(
            f"{url}: no videos; expected {expected} among {len(folder.files)} files. "
            "Pose files of other formats are read from disk: copy them, or convert "
            "them to this layout with `mabe import`."
        )
    return videos


@contextmanager
def fetched(info: VideoInfo) -> Iterator[VideoInfo]:
    """Provide the video with its files on this machine, within the context."""
    if not info.remote:
        yield info
        return
    with tempfile.TemporaryDirectory(prefix="mabe-") as place:
        local: dict[Path, str] = {}
        paths: dict[str, Path] = {}
        for file in info.remote:
            kind = _kind_of(file)
            paths[kind] = Path(place) / kind / file.name
            fetch(file, paths[kind])
            local[paths[kind]] = file.url
        with naming_urls(local):
            yield replace(
                info,
                tracking_path=paths["tracking"],
                annotation_path=paths.get("annotation"),
                coverage_path=paths.get("coverage"),
                remote=(),
            )


def _kind_of(file: RemoteFile) -> str:
    """Return what a file of ``<split>_<kind>/<lab>/`` holds, such as ``tracking``."""
    return file.url.split("/")[-3].rpartition("_")[2]


def find_video(tracking_path: Path) -> VideoInfo:
    """Return the metadata of a tracking file, from the table two folders above it.

    Raises `DataError` where the file is not in the layout, or no row names it.
    """
    path = tracking_path.absolute()
    folder = path.parents[1] if len(path.parents) > 2 else path.parent
    if path.suffix != ".parquet" or not folder.name.endswith("_tracking"):
        raise DataError(
            f"{tracking_path}: expected a file like <split>_tracking/<lab>/"
            "<video>.parquet beside <split>.csv, which holds its frame rate and scale."
        )
    table = folder.with_name(folder.name.removesuffix("_tracking") + ".csv")
    if not table.is_file():
        raise DataError(
            f"{tracking_path}: its frame rate and scale are read from {table}, which "
            "does not exist; give the file's whole data folder."
        )
    for info in _read_table(table):
        if (info.lab, info.video) == (path.parent.name, path.stem):
            return info
    raise DataError(
        f"{table}: no row with lab_id {path.parent.name} and video_id {path.stem}, "
        f"which {tracking_path} needs; add one."
    )


def _read_table(path: Path, remote: RemoteFolder | None = None) -> list[VideoInfo]:
    """Return the videos of one metadata table, whose name is that of the split.

    Of a `remote` folder only the table is on this machine.
    """
    # The labels of a split without an annotation folder are not public (Kaggle's test
    # videos): its table lists what is watched, but no action is known not to occur.
    annotations = f"{path.stem}_annotation"
    has_labels = (
        remote.has_folder(annotations)
        if remote
        else path.with_name(annotations).is_dir()
    )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = list(reader.fieldnames or []), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be read as a table in UTF-8: {error}."
        ) from error
    if missing := [name for name in _INDEX_COLUMNS if name not in columns]:
        raise DataError(
            f"{path}: no column {missing}; it has {columns}. "
            "Is this the metadata table of the Kaggle layout?"
        )
    has_zones = any((row.get("zones") or "").strip() for row in rows)
    zones = _zones_beside(path) if has_zones else None
    videos = [
        _parse_row(row, path, number, remote, zones, has_labels=has_labels)
        for number, row in enumerate(rows, start=2)
    ]
    names: set[str] = set()
    for info in videos:
        if info.name in names:
            raise DataError(f"{path}: video {info.name} has two rows; remove one.")
        names.add(info.name)
    return videos


def _parse_row(
    row: dict[str, str | None],
    table: Path,
    number: int,
    remote: RemoteFolder | None,
    zones: ZoneFile | None,
    *,
    has_labels: bool,
) -> VideoInfo:
    """Return the video of one row of a metadata table; rows count from 2."""
    lab, video = (_parse_name(row, key, table, number) for key in _NAME_COLUMNS)
    where = f"{table}: video {lab}/{video}"
    try:
        watched = _parse_watched(row.get("behaviors_labeled") or "")
    except ValueError as error:
        raise DataError(f"{where}: behaviors_labeled {error}.") from error
    fps = _positive(row["frames_per_second"], f"{where}: frames_per_second")
    scale = _positive(row["pix_per_cm_approx"], f"{where}: pix_per_cm_approx")
    if problem := problem_with_rate(fps) or problem_with_scale(scale):
        raise DataError(f"{where}: {problem}; correct the table.")
    split, place = table.stem, Path(lab) / f"{video}.parquet"
    root = Path(remote.url) if remote else table.parent
    tracking = root / f"{split}_tracking" / place
    annotation = root / f"{split}_annotation" / place
    coverage = root / f"{split}_coverage" / place
    objects = _find_objects(remote, tracking, annotation, coverage) if remote else ()
    kinds = {_kind_of(file) for file in objects}
    is_annotated = "annotation" in kinds if remote else annotation.is_file()
    has_coverage = "coverage" in kinds if remote else coverage.is_file()
    animals = _parse_animals(row)
    return VideoInfo(
        lab=lab,
        video=video,
        fps=fps,
        pixels_per_cm=scale,
        watched=watched,
        animals=animals,
        objects=_parse_numbers(row, "objects", where),
        zones=_target_zones(
            _parse_numbers(row, "zones", where), animals, zones, video, where
        ),
        has_labels=has_labels and bool(watched or is_annotated),
        tracking_path=tracking,
        annotation_path=annotation if has_labels and is_annotated else None,
        coverage_path=coverage if has_labels and has_coverage else None,
        remote=objects,
    )


def _parse_name(
    row: dict[str, str | None], column: str, table: Path, number: int
) -> str:
    """Return the lab or video of a row, which also names its files."""
    name = text_of((row[column] or "").strip())
    if not name:
        raise DataError(
            f"{table}: row {number}: lab_id and video_id must both be given."
        )
    if problem := problem_with_name(name):
        raise DataError(
            f"{table}: row {number}: {column} {shorten(name)} {problem}; "
            "rename it, and the files that it names."
        )
    return name


def _find_objects(
    remote: RemoteFolder, tracking: Path, *others: Path
) -> tuple[RemoteFile, ...]:
    """Return a video's files in object storage, the tracking file first.

    One that is in the table and not in the listing raises an error when it is fetched.
    """
    root = Path(remote.url)
    tracks, *rest = [path.relative_to(root).as_posix() for path in (tracking, *others)]
    absent = RemoteFile(f"{remote.url.rstrip('/')}/{tracks}", 0, "absent")
    found = [file for place in rest if (file := remote.files.get(place))]
    return (remote.files.get(tracks) or absent, *found)


def _parse_animals(row: dict[str, str | None]) -> tuple[str, ...]:
    """Return the lab's own ids of the animals in a video; many tables have none."""
    columns = [key for key in row if re.fullmatch(r"mouse\d+_id", key or "")]
    columns.sort(key=lambda key: int(key[len("mouse") : -len("_id")]))
    ids = [text_of((row[column] or "").strip()) for column in columns]
    return tuple(each for each in ids if each.lower() not in ("", "nan", "none"))


def _zones_beside(table: Path) -> ZoneFile:
    """Return the zones of a data set."""
    path = table.with_name(ZONES_NAME)
    if not path.is_file():
        raise DataError(
            f"{table}: its column 'zones' numbers zones, whose shapes are in {path}, "
            "which does not exist."
        )
    return read_zone_table(path)


def _target_zones(
    numbers: Sequence[int],
    animals: Sequence[str],
    file: ZoneFile | None,
    video: str,
    where: str,
) -> tuple[TargetZone, ...]:
    """Return the zones of a video at which actions may be directed, in cm."""
    if not numbers or file is None:
        return ()
    every = (*file.zones.get(EVERY_RECORDING, ()), *file.zones.get(video, ()))
    shapes = {zone.name: zone for zone in every}
    found = []
    for number in numbers:
        name = animals[number - 1] if number <= len(animals) else None
        if name not in shapes or file.unit != "cm":
            raise DataError(
                f"{where}: {name or f'mouse{number}'} is a zone, and {file.path} "
                "holds no shape of it in cm; import the recordings again."
            )
        try:
            found.append(TargetZone(number, shapes[name]))
        except ValueError as error:
            raise DataError(f"{where}: {error}.") from None
    return tuple(found)


def _parse_numbers(
    row: dict[str, str | None], column: str, where: str
) -> tuple[int, ...]:
    """Return the numbers that are objects, or zones; most tables have none."""
    text = (row.get(column) or "").strip()
    if not text:
        return ()
    try:
        numbers = parse_json(text)
    except ValueError:
        numbers = None
    if not isinstance(numbers, list) or not all(
        isinstance(number, int) and 1 <= number <= MOST_ANIMALS for number in numbers
    ):
        raise DataError(
            f"{where}: {column} must be a list of numbers of animals such as [2, 3], "
            f"found {shorten(text)}; correct the table."
        )
    return tuple(sorted(set(numbers)))


def _positive(text: str | None, what: str) -> float:
    """Return a number; raise `DataError` unless it is finite and above zero."""
    try:
        number = float(text or "nan")
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise DataError(
            f"{what} must be a number above 0, found {text or 'nothing'!r}; "
            "correct the table."
        )
    return number


@functools.cache  # the videos of a lab share a few lists
def _parse_watched(text: str) -> tuple[Watched, ...]:
    """Return what a `behaviors_labeled` cell lists.

    The lists of some labs hold everything twice, the second time with additional quotes
    (``'mouse1','mouse2','sniff'``).
    """
    if text.strip().lower() in ("", "nan", "null"):
        return ()
    try:
        entries = parse_json(text)
    except ValueError as error:
        raise ValueError(f"is no JSON list: {error}") from error
    if not isinstance(entries, list):
        raise ValueError(f"must be a JSON list, found {text[:40]!r}")
    return tuple(sorted({_parse_watched_entry(entry) for entry in entries}))


def _parse_watched_entry(entry: object) -> Watched:
    """Return an entry such as ``mouse1,mouse2,attack`` or ``mouse1,self,rear``.

    Blanks count within an action's name alone, as they do in annotation files.
    """
    parts = str(entry).strip(" \t'\"").split(",", maxsplit=2)
    bare = ",".join(part.strip(" \t\r\n'\"") for part in parts)
    number = r"([1-9]\d{0,3})"
    match = re.fullmatch(rf"mouse{number},(?:mouse{number}|self),(.+)", bare)
    if match is None or max(map(int, filter(None, match.groups()[:2]))) > MOST_ANIMALS:
        raise ValueError(
            f"should hold entries like 'mouse1,mouse2,attack' or 'mouse1,self,rear', "
            f"found {entry!r}"
        )
    agent, target, action = match.groups()
    return Watched(int(agent), int(target or agent), action)


def read_recording(info: VideoInfo) -> Recording:
    """Return the poses and labels of one video.

    The recording ends with its last tracked frame or its last label, whichever is
    later: the duration in the metadata is often too short. Raises `DataError` when a
    file is absent or broken, or holds impossible values.
    """
    bouts, notes = read_labels(info)
    coverage = read_coverage(info)
    notes += _notes_on_coverage(bouts, coverage)
    last_label = max((bout.stop for bout in bouts), default=0)
    tracks = read_tracks(info.tracking_path, at_least_frames=last_label)
    notes += _note_on_missing_end(tracks.xy_px, last_label, info.fps)
    return Recording(
        info=info,
        slots=tracks.slots,
        keypoints=tracks.keypoints,
        xy_px=tracks.xy_px,
        z_px=tracks.z_px,
        bouts=bouts,
        coverage=coverage,
        notes=(*tracks.notes, *notes),
    )


def _note_on_missing_end(
    xy_px: Float[np.ndarray, "time slot 2"], last_label: int, fps: float
) -> list[str]:
    """Return a note where labels end over a second after the last tracked point."""
    if np.isfinite(xy_px[max(0, last_label - math.ceil(fps)) :, :, 0]).any():
        return []
    tracked = np.flatnonzero(np.isfinite(xy_px[..., 0]).any(axis=1))
    end = int(tracked[-1]) + 1 if len(tracked) else 0
    if not last_label:
        return ["nothing was tracked"] if len(xy_px) else []
    return [f"tracking ends at frame {end}, labels go on to {last_label}"]


def read_labels(info: VideoInfo) -> tuple[tuple[Bout, ...], list[str]]:
    """Return the sorted labels of a video, and notes on irregularities."""
    if info.annotation_path is None:
        absent = (
            "watched, but no annotation file: treated as no action; if the file was "
            "lost, restore it"
        )
        return (), [absent] if info.has_labels else []
    rows = _read_spans(info.annotation_path)
    bouts = [Bout(*row) for row in rows if row[0] < row[1]]
    empty = len(rows) - len(bouts)
    return tuple(sorted(bouts)), _notes_on_labels(bouts, empty, info)


def read_coverage(info: VideoInfo) -> Coverage | None:
    """Return when annotators watched for what; None: all the time.

    The file has the columns of an annotation file; a row is a span in which the action
    was watched for. An action without a row was never watched for.
    """
    if info.coverage_path is None:
        return None
    rows = _read_spans(info.coverage_path)
    return tuple(sorted(WatchedSpan(*row) for row in rows if row[0] < row[1]))


def _read_spans(path: Path) -> list[tuple[int, int, str, int, int]]:
    """Return the rows (start, stop, action, agent, target) of an annotation file."""
    with open_parquet(path, _ANNOTATION_COLUMNS, kind="annotation") as file:
        table = file.read(list(_ANNOTATION_COLUMNS), use_threads=False)
    if any(column.null_count for column in table.columns):
        raise DataError(f"{path}: {_ANNOTATION_COLUMNS} must be given in every row.")
    agents, targets, starts, stops = (
        whole_numbers(table.column(name).combine_chunks(), name, path).tolist()
        for name in _ANNOTATION_COLUMNS
        if name != "action"
    )
    actions = [str(action) for action in table.column("action").to_pylist()]
    rows = list(zip(starts, stops, actions, agents, targets, strict=True))
    for row, (start, stop, _, agent, target) in enumerate(rows):
        if not 0 <= start <= stop:
            raise DataError(
                f"{path}: row {row}: expected 0 <= start_frame <= stop_frame, "
                f"found {start} and {stop}."
            )
        if not (1 <= agent <= MOST_ANIMALS and 1 <= target <= MOST_ANIMALS):
            raise DataError(
                f"{path}: row {row}: agent_id and target_id must be 1 to "
                f"{MOST_ANIMALS:,}, found {agent} and {target}."
            )
    return rows


def _notes_on_coverage(bouts: Sequence[Bout], coverage: Coverage | None) -> list[str]:
    """Return a note where labels lie outside the frames that were watched."""
    inside = covered_bouts(bouts, coverage)
    frames = sum(bout.stop - bout.start for bout in bouts)
    lost = frames - sum(bout.stop - bout.start for bout in inside)
    if not lost:
        return []
    return [
        f"labels outside the frames that train_coverage says were watched: "
        f"{count(lost, 'frame')}, which count neither as yes nor as no"
    ]


def _notes_on_labels(bouts: list[Bout], empty: int, info: VideoInfo) -> list[str]:
    """Return notes on labels that were dropped, and on those of unwatched actions."""
    notes = []
    if empty:
        notes.append(f"labels of zero length: {empty}, dropped")
    watched = set(info.watched)
    unwatched = [
        bout
        for bout in bouts
        if Watched(bout.agent, bout.target, bout.action) not in watched
    ]
    if unwatched:
        names = ", ".join(sorted({bout.action for bout in unwatched}))
        notes.append(
            f"labels that behaviors_labeled does not name: {len(unwatched)} ({names})"
        )
    return notes
