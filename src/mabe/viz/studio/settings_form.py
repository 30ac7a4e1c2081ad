"""The settings of a project as its page shows them, and what changes them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from mabe.errors import DataError, MabeError
from mabe.io.project import Project, parse_project, project_beside
from mabe.io.project_edits import edit_yaml
from mabe.runtime.documents import parse_yaml
from mabe.skeleton import LANDMARKS, RODENT
from mabe.viz.studio.jobs import start_job
from mabe.viz.studio.project_folder import open_project
from mabe.viz.studio.session import StudioSession
from mabe.viz.studio.settings import Change, change_values, settled
from mabe.viz.studio.settling import decide, propose


def settings_json(session: StudioSession) -> dict[str, Any]:
    """Return what is settled, and what may be; with an error for a broken file."""
    about: dict[str, Any] = {
        "file": str(session.project.file),
        "version": session.times_settled,
        "isLayout": session.project.is_layout,
        "settledAfter": session.project.settled_after,
        "tracks": _tracks(session),
        "keypoints": _keypoints(session),
        "roles": _roles_of(project_beside(session.data), _keypoints(session)),
    }
    try:
        return {**about, "values": settled(settings_values(session), _videos(session))}
    except MabeError as error:
        return {**about, "values": None, "error": str(error)}


def settle(session: StudioSession, changes: Sequence[Change]) -> None:
    """Start to standardize the project anew by changed settings.

    Raises `MabeError` where somebody else has changed the same meanwhile, where a
    value is not allowed, and where other work is going on.
    """
    with session.lock:
        if session.project.is_layout:
            raise DataError(
                f"{session.project.root} is a data set in the standard layout, whose "
                "rates and scales are columns of train.csv; settle them where it "
                "was imported, or change the table"
            )
        session.check_idle()
        values = change_values(settings_values(session), changes, _videos(session))
        text = edit_yaml(session.project.settings_text(), values)
        parse_project(text, session.project.file)
        propose(session.data, session.project.file, text)
        session.job = start_job("settle", session.data, partial(_take_settled, session))


def _take_settled(session: StudioSession) -> None:
    """Put in place what was standardized, and read it."""
    session.cancel_trust()
    session.cancel_full()  # both are of what was settled before
    with session.lock, session.labels.held():
        labels = {name: session.labels.read(name) for name in session.labels.infos}
        last = session.rounds[-1].number if session.rounds else 0
        decide(session.data, session.project.videos, labels, last_round=last)
        file = session.project.file
        settings = parse_project(session.project.settings_text(), file)
        session.project = open_project(session.project.root, settings, file=file)
        session.labels.infos = {info.name: info for info in session.project.videos}
        session.recordings = {}
        session.opened.clear()
        session.load_rounds()
        session.times_settled += 1
        session.job = start_job("read", session.data, session.load_rounds)


def settings_values(session: StudioSession) -> dict[str, Any]:
    """Return what project.yaml holds now, and what the command line gave."""
    text = session.project.settings_text()
    parse_project(text, session.project.file)
    return {**(parse_yaml(text) or {}), **session.project.given}


def _videos(session: StudioSession) -> list[str]:
    return [info.video for info in session.project.videos]


def _tracks(session: StudioSession) -> list[str]:
    """Return the animals of all recordings, by the names of their tracks."""
    names = project_beside(session.data).animal_names
    track_of = {name: track for track, name in names.items()}
    animals = (
        name
        for info in session.project.videos
        for at, name in enumerate(info.animals, 1)
        if at not in (*info.objects, *(zone.number for zone in info.zones))
    )
    return list(dict.fromkeys(track_of.get(name, name) for name in animals))


def _keypoints(session: StudioSession) -> list[str]:
    every = (p.keypoint for r in session.recordings.values() for p in r.points)
    return list(dict.fromkeys(every))


def _roles_of(project: Project, keypoints: Sequence[str]) -> dict[str, str]:
    """Return the role of each keypoint that has one; ``a+b`` are both of a role."""
    skeleton = RODENT.with_keypoints(tuple(keypoints))
    if project.skeleton is not None:
        skeleton = project.skeleton.skeleton(tuple(keypoints))
    return {
        part: role
        for role in reversed(LANDMARKS)
        for source in getattr(skeleton, role)
        for part in source.split("+")
        if part in keypoints
    }
