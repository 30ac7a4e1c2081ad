"""COCO keypoints of the pictures of videos (CVAT, Roboflow, Label Studio, MMPose …).

One JSON document: ``images`` (``id``, ``file_name``), ``annotations`` (``image_id``,
``category_id``, ``keypoints`` as ``x, y, v`` for each) and ``categories`` with the
names of the keypoints. Coordinates are pixels, y downwards; ``v`` is 0 for a point that
was not marked, 1 for a hidden and 2 for a visible one.

COCO itself knows neither videos nor identities. The number of the frame is the last
number in ``file_name`` (or ``frame_id``), the recording is named by the rest of the
name, or by its folder where the rest is a word such as *frame*. Identities are
``track_id`` or ``attributes.track_id`` (CVAT), else the category where each occurs once
a picture. Neither the frame rate nor the scale is given.

Source: COCO's "Data format", CVAT's documentation of "COCO Keypoints".
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import Content
from mabe.io.readers.file_head import Peek, read_json
from mabe.io.readers.instances import Instance, poses_of_instances
from mabe.io.readers.left_out import LeftOut
from mabe.io.readers.poses import Poses, check_names
from mabe.recording import MAX_FRAMES

FACTS = facts.tracks(
    "COCO keypoints of a video's pictures",
    clock="the number in the picture's name, or `frame_id`",
    missing="visibility 0",
    animals="`track_id` (also in `attributes`, CVAT), else the category",
    notes="results without identities are not read",
)


_OF_A_PICTURE = ("", "frame", "frames", "image", "images", "img", "im", "pic")
"""What names of pictures begin with that do not name their video."""

_MANY = (
    "write the points as a CSV with the columns frame, individual, keypoint, x, y, "
    "confidence."
)

_NO_KEYPOINTS = "COCO annotations without keypoints (boxes or outlines), not read."

_NO_FRAMES = (
    "COCO keypoints of pictures without a number in their names, which are no frames "
    f"of a video, not read; {_MANY}"
)

_NO_IDENTITY = (
    "COCO keypoints of several animals a picture without `track_id`, not read; track "
    f"the animals, or {_MANY}"
)

_DIFFERENT = f"COCO keypoints of categories with different keypoints, not read; {_MANY}"


@dataclass(frozen=True, slots=True)
class _Picture:
    """The recording and the frame that a picture is of."""

    video: str
    frame: int


def is_coco(peek: Peek) -> bool:
    """Return whether a JSON document has pictures and annotations of COCO."""
    if peek.kind != "json" or not peek.text.lstrip().startswith("{"):
        return False
    return any(
        re.search(rf'"{first}"\s*:', peek.text)
        and re.search(rf'"({others})"\s*:', peek.text)
        for first, others in (
            ("images", "categories|file_name"),
            ("annotations", "category_id"),
        )
    )


def read_coco(peek: Peek) -> Content:
    """Return the tracks of each video."""
    data = read_json(peek)
    try:
        pictures = _pictures(data["images"], peek)
        names = {each["id"]: each for each in data["categories"]}
        marked = [each for each in data["annotations"] if each.get("keypoints")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{peek.path}: looks like COCO keypoints but lacks {error}; export it anew."
        ) from error
    if not marked:
        raise LeftOut(peek.path, _NO_KEYPOINTS)
    keypoints = _keypoints(marked, names, peek)
    by_video: dict[str, list[Instance]] = {}
    for video, instance in _instances(marked, names, pictures, len(keypoints), peek):
        by_video.setdefault(video, []).append(instance)
        check_names(len(by_video), "video", str(peek.path))
    poses = tuple(
        found
        for video, those in by_video.items()
        if (found := _poses(video, those, keypoints, peek))
    )
    if not poses:
        raise DataError(f"{peek.path}: no point is marked in any picture.")
    return Content("COCO keypoints", poses=poses)


def _pictures(
    images: Sequence[Mapping[str, Any]], peek: Peek
) -> dict[int | str, _Picture]:
    """Return what each picture is of."""
    has_frames = all(isinstance(each.get("frame_id"), int) for each in images)
    found = {}
    for each in images:
        path = PurePosixPath(str(each["file_name"]).replace("\\", "/"))
        match = re.fullmatch(r"(.*?)[ _.-]*(\d{1,18})", path.stem)
        if not match and not has_frames:
            raise LeftOut(peek.path, _NO_FRAMES)
        frame = each["frame_id"] if has_frames else int(match[2]) if match else 0
        if not 0 <= frame < MAX_FRAMES:
            raise DataError(
                f"{peek.path}: {path.name} is no frame below {MAX_FRAMES:,}."
            )
        rest = match[1] if match else path.stem
        is_word = rest.lower() in _OF_A_PICTURE
        folder = (
            path.parent.name if path.parent.name.lower() not in _OF_A_PICTURE else ""
        )
        found[each["id"]] = _Picture((folder or peek.stem) if is_word else rest, frame)
    return found


def _keypoints(
    marked: Sequence[Mapping[str, Any]], names: Mapping[Any, Any], peek: Peek
) -> tuple[str, ...]:
    """Return the names of the keypoints, which all categories share."""
    lists = {
        tuple(map(str, names[each["category_id"]].get("keypoints") or ()))
        for each in marked
        if each.get("category_id") in names
    }
    if len(lists) > 1:
        raise LeftOut(peek.path, _DIFFERENT)
    if not lists or not next(iter(lists)):
        raise DataError(f"{peek.path}: its categories name no keypoints.")
    found = next(iter(lists))
    check_names(len(found), "keypoint", str(peek.path))
    return found


def _instances(
    marked: Sequence[Mapping[str, Any]],
    names: Mapping[Any, Any],
    pictures: Mapping[int | str, _Picture],
    keypoints: int,
    peek: Peek,
) -> Iterator[tuple[str, Instance]]:
    """Yield the video and the animal of each annotation."""
    has_tracks = any(_track(each) is not None for each in marked)
    counts = Counter((each["image_id"], each["category_id"]) for each in marked)
    if not has_tracks and max(counts.values()) > 1:
        raise LeftOut(peek.path, _NO_IDENTITY)
    is_one = len({each["category_id"] for each in marked}) == 1
    for each in marked:
        if each["image_id"] not in pictures or each["category_id"] not in names:
            raise DataError(
                f"{peek.path}: an annotation is of the picture {each['image_id']!r} or "
                f"category {each['category_id']!r}, which is not listed."
            )
        points = np.asarray(each["keypoints"], np.float64)
        if points.shape != (3 * keypoints,):
            raise DataError(
                f"{peek.path}: an annotation has {points.size} numbers for {keypoints} "
                "keypoints; expected x, y and visibility of each."
            )
        with np.errstate(over="ignore"):  # infinite means missing
            points = points.reshape(keypoints, 3).astype(np.float32)
        points[points[:, 2] <= 0, :2] = np.nan
        points[:, 2] = 1
        category = str(names[each["category_id"]].get("name", each["category_id"]))
        track = _track(each)
        animal = category
        if has_tracks:
            known = "" if track is None else str(track)
            animal = known if is_one or not known else f"{category} {known}"
        picture = pictures[each["image_id"]]
        yield picture.video, Instance(picture.frame, animal, points)


def _track(annotation: Mapping[str, Any]) -> int | str | None:
    """Return the identity of an annotation; None where it has none."""
    attributes = annotation.get("attributes")
    inner = attributes.get("track_id") if isinstance(attributes, dict) else None
    track = annotation.get("track_id", inner)
    return track if isinstance(track, int | str) and track != "" else None


def _poses(
    video: str, found: Sequence[Instance], keypoints: Sequence[str], peek: Peek
) -> Poses | None:
    return poses_of_instances(
        sorted(found, key=lambda each: each.frame),
        sorted({each.track for each in found if each.track}, key=_natural),
        keypoints,
        name=video,
        where=str(peek.path),
        tracker="COCO",
    )


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which 2 comes before 10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(p[:18]), "") if p.isdecimal() else (0, p) for p in parts]
