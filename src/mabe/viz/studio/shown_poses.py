"""The poses that the page shows: each recording at its own rate, mapped from disk.

A recording of ten hours takes seconds to read, and a page needs a thousand frames of it
at once. So each is read whole a single time, and is then a store of its own in
``studio/poses/LAB/VIDEO``, of which windows are read. Its file of poses is named by the
tracks and the settings it was made of. A store that is not whole is not used: its index
is written last.
"""

import contextlib
from dataclasses import replace
from pathlib import Path

from mabe.data.prepare_parts import file_stamp
from mabe.data.store import PoseStore, is_store, open_store, quantize_recording
from mabe.data.store_index import write_index
from mabe.errors import DataError
from mabe.io.readers.kaggle import read_recording
from mabe.recording import VideoInfo
from mabe.runtime.file_names import path_under
from mabe.runtime.files import make_folder, write_atomically


def shown_poses(data: Path, info: VideoInfo) -> PoseStore:
    """Return a recording of a data set at its own rate, without labels.

    It is read whole where that was not done since its tracks or its settings changed.
    Raises `DataError` where it cannot be read.
    """
    folder = path_under(data / "studio" / "poses", info.lab, info.video)
    name = f"poses-{_stamp(info)}.i16"
    if (store := _open_current(folder, name)) is not None:
        return store
    stored, steps = quantize_recording(read_recording(info), info.fps)
    make_folder(folder)
    write_atomically(folder / name, lambda place: steps.tofile(place))
    bare = replace(stored, bouts=(), watched=(), coverage=None, has_labels=False)
    write_index(folder, rate_fps=info.fps, poses=name, recordings=(bare,))
    for earlier in folder.glob("poses-*.i16"):
        if earlier.name != name:
            with contextlib.suppress(OSError):  # Windows keeps a file that is mapped
                earlier.unlink()
    return open_store(folder)


def _stamp(info: VideoInfo) -> str:
    """Return by what unchanged tracks and settings are recognised; not the labels."""
    bare = replace(
        info, annotation_path=None, coverage_path=None, watched=(), has_labels=False
    )
    return file_stamp(bare, info.fps)


def _open_current(folder: Path, name: str) -> PoseStore | None:
    """Return the store in a folder, if its poses have this name and are whole."""
    try:
        store = open_store(folder) if is_store(folder) else None
    except DataError:  # damaged, or of another version: it is made again
        return None
    is_current = store and store.poses_path and store.poses_path.name == name
    return store if is_current else None
