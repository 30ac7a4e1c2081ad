"""Recordings of a data set in the standard layout, as files of labels are matched to.

Their tracks have been read and are not read again: a file of labels needs the names of
their animals, their rates and lengths, which the store of the project holds.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mabe.bouts import name_animal
from mabe.data.store import is_store, open_store
from mabe.errors import DataError
from mabe.io.folder_files import Track
from mabe.io.readers.poses import Poses
from mabe.io.standardize import StandardPoses
from mabe.recording import StoredRecording, VideoInfo


@dataclass(frozen=True, slots=True)
class LayoutRecording:
    """One recording, without its poses."""

    name: str
    track: Track
    standard: StandardPoses


def layout_recordings(
    data: Path, videos: Sequence[VideoInfo]
) -> tuple[LayoutRecording, ...]:
    """Return the recordings that are read.

    Raises `DataError` where none is read yet, and where two are called the same, so
    that a file of labels could be of both.
    """
    store = data / "studio" / "store"
    if not is_store(store):
        raise DataError("the recordings are not read yet: please wait, or train first")
    named = Counter(info.video for info in videos)
    if twice := [video for video, times in named.items() if times > 1]:
        raise DataError(
            f"several recordings are called {twice[0]!r}, and labels are matched by "
            "that name: rename one of the files"
        )
    stored = {each.name: each for each in open_store(store).recordings}
    return tuple(
        LayoutRecording(
            info.name, _track(info, stored[info.name]), _standard(stored[info.name])
        )
        for info in videos
        if info.name in stored
    )


def _track(info: VideoInfo, stored: StoredRecording) -> Track:
    return Track(
        path=info.tracking_path,
        place=0,
        name=info.video,
        format="standard layout",
        length=stored.native_length,
        animals=_tracked(stored),
        given_name=info.video,
        fps=stored.fps,
        start_s=info.start_s,
    )


def _standard(stored: StoredRecording) -> StandardPoses:
    animals = _tracked(stored)
    nowhere = np.broadcast_to(
        np.float32(np.nan), (stored.native_length, len(animals), 0, 2)
    )
    return StandardPoses(
        poses=Poses(
            nowhere, keypoints=(), animals=animals, name=stored.video, fps=stored.fps
        ),
        matches=(),
        fps=stored.fps,
        pixels_per_cm=1.0,
        objects=stored.objects,
        zones=tuple(each.zone for each in stored.zones),
    )


def _tracked(stored: StoredRecording) -> tuple[str, ...]:
    """Return the names of the animals and objects 1, 2 …, without those of zones."""
    last = max(stored.tracked_individuals, default=0)
    names = stored.animal_names
    return tuple(names[n - 1] if names else name_animal(n) for n in range(1, last + 1))
