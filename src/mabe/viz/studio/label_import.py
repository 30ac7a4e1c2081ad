"""The import of labels into a project: a file is read, shown, and taken or discarded.

`mabe.viz.studio.incoming` says what a file holds and how its labels join those there
are.
"""

from functools import partial
from typing import Any

from mabe.errors import DataError
from mabe.runtime.file_names import problem_with_name
from mabe.runtime.files import make_folder, write_bytes
from mabe.viz.studio.incoming import (
    Prefer,
    by_own_names,
    compare,
    edit_of,
    fitting,
    joined_ethogram,
    load_incoming,
    unknown_recordings,
    way_back,
)
from mabe.viz.studio.jobs import start_job
from mabe.viz.studio.session import StudioSession


def start_import(session: StudioSession, name: str, content: bytes) -> None:
    """Start to read a file of labels; nothing becomes a label yet.

    Raises `DataError` for a name that is none.
    """
    if problem := problem_with_name(name):
        raise DataError(f"the file's name {problem}; rename it")
    with session.lock:
        session.check_idle()
        session.label_import.incoming = None
        path = session.data / "studio" / "incoming" / name
        make_folder(path.parent)
        write_bytes(path, content)
        session.job = start_job(
            "incoming", session.data, partial(_show, session), str(path)
        )


def _show(session: StudioSession) -> None:
    found = by_own_names(load_incoming(session.data), session.ethogram)
    joined_ethogram(session.ethogram, found)  # raises where it cannot be taken
    session.label_import.incoming = found


def import_json(session: StudioSession) -> dict[str, Any] | None:
    """Return what a file of labels would bring; None where there is none."""
    found = session.label_import.incoming
    if found is None:
        return None
    try:
        ethogram = joined_ethogram(session.ethogram, found)
    except DataError as error:  # actions were added since it was read
        notes = [str(error)]
        return {"file": found.file, "rows": [], "notes": notes, "newActions": []}
    rows = [
        row
        for info in session.project.videos
        if info.name in found.labels
        for row in compare(
            info.video,
            session.labels.read(info.name),
            found.labels[info.name],
            ethogram,
            info.fps,
        )
    ]
    names = [info.name for info in session.project.videos]
    unknown = [
        f"{name}: not in the project" for name in unknown_recordings(found, names)
    ]
    return {
        "file": found.file,
        "rows": rows,
        "notes": [*unknown, *found.notes],
        "newActions": [n for n in ethogram.names if n not in session.ethogram.names],
    }


def take_import(session: StudioSession, prefer: Prefer) -> None:
    """Add the labels of the file that is shown; `prefer` says whose count."""
    with session.lock, session.labels.held():
        found = session.label_import.incoming
        if found is None:
            raise DataError("no labels are waiting: choose a file first")
        ethogram = joined_ethogram(session.ethogram, found)
        if ethogram != session.ethogram:
            session.set_ethogram(ethogram)
        session.label_import.taken = {}
        for index, info in enumerate(session.project.videos):
            if info.name not in found.labels:
                continue
            frames = session.open(index).recordings[0].native_length
            theirs = fitting(found.labels[info.name], ethogram)
            mine = session.labels.read(info.name, frames=frames)
            edit = edit_of(mine, theirs, prefer)
            _, after = session.labels.apply(info.name, edit, frames=frames)
            session.label_import.taken[info.name] = mine, after, frames
        session.label_import.incoming = None


def undo_import(session: StudioSession) -> None:
    """Take the last import back; raises `DataError` where labels changed since."""
    with session.lock, session.labels.held():
        for name, (_, after, frames) in session.label_import.taken.items():
            if session.labels.read(name, frames=frames) != after:
                raise DataError(
                    f"{name}: its labels were changed since the import, so it is "
                    "not taken back"
                )
        for name, (before, after, frames) in session.label_import.taken.items():
            session.labels.apply(name, way_back(before, after), frames=frames)
        session.label_import.taken = {}


def discard_import(session: StudioSession) -> None:
    """Forget the file of labels that is shown."""
    session.label_import.incoming = None
