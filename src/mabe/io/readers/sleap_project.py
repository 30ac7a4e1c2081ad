"""SLEAP's projects (`.slp`), read with sleap-io, an extra.

Every video is a recording, with the video's own frame numbers. An instance that a
person corrected replaces the predicted one it was made from, as SLEAP shows it: the one
in ``from_predicted``, or of the same track.

Since version 2.6 of the format a project has events: ``UserEvent`` by people and
``PredictedEvent`` by programs, with a subject and a target (tracks or identities; an
event without a target is directed at the subject itself) and frames of which both ends
are included. Only those by people are read as labels. ``provenance`` may have the frame
rate, the scale, and ``behaviors_labeled``: a list such as ``["mouse1,mouse2,attack"]``
of what was watched for, as in the challenge's metadata.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mabe.errors import DataError
from mabe.io.readers import facts
from mabe.io.readers.annotations import (
    SELF,
    Content,
    Event,
    FileAnnotations,
    WatchedInterval,
    annotations_of,
)
from mabe.io.readers.file_head import Peek
from mabe.io.readers.hdf5 import check_all_sizes, open_hdf5
from mabe.io.readers.instances import Instance, poses_of_instances
from mabe.io.readers.left_out import NothingToImport
from mabe.io.readers.poses import Poses
from mabe.io.readers.sleap import stem_of
from mabe.recording import MAX_FRAMES
from mabe.runtime.documents import parse_json

FACTS = facts.Facts(
    name="SLEAP `.slp` (extra)",
    use="tracks, labels",
    clock="`frame_idx`, from 0",
    stop="included",
    fps="the video's metadata, else `fps` in the provenance",
    points="px, y down",
    scale="`pixels_per_cm`, `pix_per_cm_approx` or `cm_per_pixel` in the provenance",
    missing="NaN, not visible",
    watched="`behaviors_labeled` in the provenance, else what occurs in `UserEvent`s",
    animals="tracks",
    assumed="a person placed as many instances as were predicted: the same animals",
    notes="each video is a recording; corrected instances replace predicted ones; "
    "`PredictedEvent`s are no labels",
)


_ONLY_PREDICTED = (
    "a SLEAP project of events that a program predicted, without poses; events that a "
    "person made (UserEvent) are read as labels."
)

_TRAINING = (
    "frames labelled to train SLEAP, a few of each video; give the project with the "
    "predictions."
)

_SPARSE = 10
"""Where fewer than one frame in so many has a pose, the frames were picked."""

_FPS = ("fps", "frames_per_second", "frame_rate", "framerate")

_PIXELS_PER_CM = ("pixels_per_cm", "pix_per_cm", "pix_per_cm_approx", "px_per_cm")

_CM_PER_PIXEL = ("cm_per_pixel", "cm_per_px")

_LABELED = "behaviors_labeled"


def is_project(peek: Peek) -> bool:
    """Return whether an HDF5 file is a SLEAP project."""
    return {"frames", "instances", "pred_points", "metadata"} <= peek.names


def read_project(peek: Peek) -> Content:
    """Return the tracks and the events of a project, for each of its videos."""
    try:
        import sleap_io
    except ImportError as error:
        raise DataError(
            f"{peek.path}: a SLEAP project is read with sleap-io; "
            '`pip install "mabe[slp]"`, or export "Analysis HDF5" from SLEAP.'
        ) from error
    with open_hdf5(peek.path) as file:  # sleap-io checks nothing
        check_all_sizes(file, peek.path)
    try:
        labels = sleap_io.load_slp(str(peek.path), open_videos=False)
        found = [_poses_of_video(labels, video, peek) for video in labels.videos]
        events = [_events_of_video(labels, video, peek) for video in labels.videos]
    except DataError:
        raise
    except Exception as error:  # sleap-io raises errors of many kinds
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{peek.path}: sleap-io cannot read it ({type(error).__name__}: {reason}); "
            "does SLEAP open it?"
        ) from error
    poses = tuple(each for each in found if each is not None)
    annotations = tuple(each for each in events if each is not None)
    if not poses and not annotations:
        if getattr(labels, "events", ()):
            raise NothingToImport(peek.path, _ONLY_PREDICTED)
        if any(len(frame.instances) for frame in labels.labeled_frames):
            raise NothingToImport(peek.path, _TRAINING)
        raise DataError(f"{peek.path}: no frame of this project has a pose.")
    return Content("SLEAP project", poses=poses, annotations=annotations)


def _name_of_video(labels: Any, video: Any, peek: Peek) -> str:
    """Return the project's name, or that of one of its videos where it has several."""
    stem = _path_of(video).replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return stem if len(labels.videos) > 1 and stem else stem_of(peek.path.name)


def _path_of(video: Any) -> str:
    """Return a video's path; nothing for pictures, of which it is a list."""
    place = getattr(video, "filename", "")
    return place if isinstance(place, str) else ""


def _poses_of_video(labels: Any, video: Any, peek: Peek) -> Poses | None:
    """Return the tracks of one video of a project; None where there are none.

    Nor are frames that were labelled to train SLEAP the tracks of a video.
    """
    frames = sorted(labels.find(video), key=lambda frame: frame.frame_idx)
    if not any(len(frame.instances) for frame in frames):
        return None
    nodes = tuple(_nodes(labels))
    names = {
        id(track): track.name or f"track_{at}" for at, track in enumerate(labels.tracks)
    }
    instances: list[Instance] = []
    replaced = 0
    for frame in frames:
        kept = _without_corrected(frame.instances)
        replaced += len(frame.instances) - len(kept)
        instances += [
            Instance(
                int(frame.frame_idx),
                names.get(id(_track_of(each)), ""),
                _points(each, len(nodes)),
            )
            for each in kept
        ]
    if _is_training(frames):
        return None
    poses = poses_of_instances(
        instances,
        tuple(names.values()),
        nodes,
        name=_name_of_video(labels, video, peek),
        where=str(peek.path),
    )
    if poses is None:
        return None
    notes = []
    if replaced:
        notes.append(f"predicted instances replaced by a person's own: {replaced}")
    events = [each for each in getattr(labels, "events", ()) if each.video is video]
    if events and all(each.is_predicted for each in events):
        notes.append(_note_on_predicted(len(events)))
    length = (video.shape or [0])[0] if video.shape is not None else 0
    if 0 < length <= MAX_FRAMES:
        notes.append(f"the video has {length:,} frames")
    return _with_rate_and_scale(poses, labels, video).noting(*notes)


def _is_training(frames: Sequence[Any]) -> bool:
    """Return whether people labelled single frames, and nothing was predicted."""
    numbers = [frame.frame_idx for frame in frames if len(frame.instances)]
    span = max(numbers) - min(numbers) + 1
    return span > _SPARSE * len(numbers) and all(
        _is_by_hand(each) for frame in frames for each in frame.instances
    )


def _nodes(labels: Any) -> list[str]:
    """Return the names of a project's keypoints, of which one skeleton is expected."""
    skeletons = labels.skeletons
    if len(skeletons) != 1:
        raise DataError(
            f"a SLEAP project of {len(skeletons)} skeletons; expected one. Export "
            "each as Analysis HDF5."
        )
    return [str(name) for name in skeletons[0].node_names]


def _is_by_hand(instance: Any) -> bool:
    """Return whether a person placed it; both kinds of instance have all fields."""
    return type(instance).__name__ != "PredictedInstance"


def _track_of(instance: Any) -> Any:
    """Return an instance's track, or that of the predicted one it was made from."""
    if instance.track is None and instance.from_predicted is not None:
        return instance.from_predicted.track
    return instance.track


def _without_corrected(instances: Iterable[Any]) -> list[Any]:
    """Return a frame's instances without predicted ones that a person replaced.

    Where instances have neither tracks nor links and a person placed as many as were
    predicted, they are the same animals.
    """
    instances = list(instances)
    by_hand = [each for each in instances if _is_by_hand(each)]
    sources = {id(each.from_predicted) for each in by_hand}
    tracks = {id(_track_of(each)) for each in by_hand if _track_of(each) is not None}
    predicted = [
        each
        for each in instances
        if not _is_by_hand(each)
        and id(each) not in sources
        and (each.track is None or id(each.track) not in tracks)
    ]
    unlinked = [each for each in by_hand if each.from_predicted is None]
    is_all_free = all(each.track is None for each in (*unlinked, *predicted))
    if unlinked and is_all_free and len(unlinked) >= len(predicted):
        predicted = []
    # Instances by hand come last and replace others.
    return [*predicted, *by_hand]


def _points(instance: Any, nodes: int) -> np.ndarray:
    """Return x, y and confidence of one animal; 1 for points placed by a person."""
    points = np.asarray(instance.numpy(), np.float32)
    scores = np.ones(nodes, np.float32)
    if "score" in (instance.points.dtype.names or ()):
        scores = np.asarray(instance.points["score"], np.float32)
    return np.concatenate([points, scores[:, None]], axis=1)


def _with_rate_and_scale(poses: Poses, labels: Any, video: Any) -> Poses:
    """Return poses with the frame rate and the scale of the video or the provenance."""
    scale = _number(labels.provenance, _PIXELS_PER_CM)
    inverse = _number(labels.provenance, _CM_PER_PIXEL)
    return replace(
        poses,
        fps=_rate(labels, video),
        video=_path_of(video),
        pixels_per_cm=scale or (1 / inverse if inverse else None),
    )


def _rate(labels: Any, video: Any) -> float | None:
    """Return the frame rate of a video, from its metadata or the provenance."""
    own = _positive(getattr(video, "fps", None))
    return own or _number(labels.provenance, _FPS)


def _number(provenance: Any, names: Iterable[str]) -> float | None:
    """Return a positive number of the provenance under any of several names."""
    if not isinstance(provenance, Mapping):
        return None
    values = (_positive(provenance.get(name)) for name in names)
    return next((value for value in values if value), None)


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _events_of_video(labels: Any, video: Any, peek: Peek) -> FileAnnotations | None:
    """Return what people marked in one video; None where they marked nothing."""
    events = [each for each in getattr(labels, "events", ()) if each.video is video]
    marked = [each for each in events if not each.is_predicted]
    predicted = len(events) - len(marked)
    watched = _labelled(labels.provenance)
    if not marked and not watched:
        return None
    by_program = {each.type.name for each in events if each.is_predicted}
    by_people = {each.type.name for each in marked}
    ethogram = [
        each.name
        for each in getattr(labels, "event_types", ())
        if each.name in by_people or each.name not in by_program
    ]
    tracks = _tracks_of_identities(labels, video)
    notes = []
    if predicted:
        notes.append(_note_on_predicted(predicted))
    behaviours = dict.fromkeys(each.behaviour for each in watched) or ethogram
    return annotations_of(
        _name_of_video(labels, video, peek),
        "frame",
        [_event(each, tracks) for each in marked],
        behaviours=behaviours,
        subjects=dict.fromkeys(each.subject for each in watched if each.subject),
        fps=_rate(labels, video),
        watched=watched or None,
        notes=notes,
    )


def _note_on_predicted(count: int) -> str:
    return f"events predicted by a program are no labels, left out: {count}"


def _tracks_of_identities(labels: Any, video: Any) -> dict[str, str]:
    """Return the name of the track that each identity has in most frames of a video."""
    counts: dict[str, Counter[str]] = {}
    for frame in labels.find(video):
        for each in frame.instances:
            identity = getattr(each, "identity", None)
            if identity is not None and each.track is not None:
                counts.setdefault(identity.name, Counter())[each.track.name] += 1
    return {name: tracks.most_common(1)[0][0] for name, tracks in counts.items()}


def _event(event: Any, tracks: Mapping[str, str]) -> Event:
    """Return an event, whose stop is the frame after its last one."""
    names = (
        str(getattr(who, "name", "") or "") for who in (event.subject, event.target)
    )
    subject, target = (tracks.get(name, name) for name in names)
    if subject and target in ("", subject):
        target = SELF
    return Event(
        int(event.start_frame),
        int(event.end_frame) + 1,
        str(event.type.name),
        subject,
        target,
    )


def _labelled(provenance: Any) -> list[WatchedInterval]:
    """Return what was watched for, where the provenance lists it."""
    value = provenance.get(_LABELED) if isinstance(provenance, Mapping) else None
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except ValueError:
            value = [part for part in value.split(";") if part.strip()]
    found = []
    for entry in value if isinstance(value, list | tuple) else ():
        parts = [part.strip() for part in str(entry).replace("'", "").split(",", 2)]
        subject = parts[0] if len(parts) == 3 else ""
        found.append(WatchedInterval(0, math.inf, parts[-1], subject))
    return sorted(set(found))
