"""What the page of a project shows: its recordings, settings, training and scores."""

from typing import Any

from mabe.bouts import watched_frames
from mabe.recording import VideoInfo
from mabe.viz.studio.ethogram import coloured_json
from mabe.viz.studio.label_import import import_json
from mabe.viz.studio.rounds import Round, reasons_not_ready
from mabe.viz.studio.session import StudioSession
from mabe.viz.studio.settings_form import settings_json


def overview(session: StudioSession) -> dict[str, Any]:
    """Return the table of recordings, and the state of labels and training."""
    last = session.rounds[-1] if session.rounds else None
    return {
        "name": session.project.root.resolve().name,
        "folder": str(session.data),
        "recordings": [
            _row(session, index, info)
            for index, info in enumerate(session.project.videos)
        ],
        "problems": list(session.project.problems),
        "settings": settings_json(session),
        "incoming": import_json(session),
        "canUndoImport": bool(session.label_import.taken),
        "ethogram": coloured_json(session.ethogram),
        "job": session.job and session.job.to_json(),
        "round": last and _round_json(last),
        "trust": last and last.trust,
        "trustJob": session.trust_job and session.trust_job.to_json(),
        "fullJob": session.full_job and session.full_job.to_json(),
        "rounds": [
            {
                "number": each.number,
                "minutes": each.about["minutes"],
                "f1": each.about["f1"],
                "recipe": each.about.get("recipe", "quick"),
            }
            for each in session.rounds
        ],
        "isRead": session.stretches is not None,
        "predictions": str(session.data / "predictions"),
    }


def _row(session: StudioSession, index: int, info: VideoInfo) -> dict[str, Any]:
    film, known = session.films.get(info.name), session.recordings.get(info.name)
    row: dict[str, Any] = {
        "index": index,
        "name": info.video,
        "fps": info.fps,
        "pixelsPerCm": info.pixels_per_cm,
        "sources": session.project.sources.get(info.name, {}),
        "film": film and film.name,
        "isPlayed": session.playable(info.name) is not None,
        "seconds": None,
        "animals": None,
        "bouts": None,
        "watched": None,
        "problems": [],
    }
    if known is not None:
        labels = session.labels.read(info.name, frames=known.native_length)
        row |= {
            "seconds": known.native_length / known.fps,
            "animals": len(known.tracked_animals),
            "bouts": len(labels.bouts),
            "watched": watched_frames(labels.coverage) / known.fps,
            "problems": list(known.notes),
        }
    return row


def _round_json(of: Round) -> dict[str, Any]:
    """Return a round as the page shows it.

    In rounds without ``scored``, which are older, an action labelled in one recording
    has an F1 of 0, which is part of the mean.
    """
    old = "scored" not in of.about
    actions = [
        {
            **each,
            "f1": None if old and each["recordings"] < 2 else each["f1"],
            "notReady": reasons_not_ready(each),
        }
        for each in of.about["actions"]
    ]
    known = {
        "scored": sum(each["f1"] is not None for each in actions),
        "isMeanOfAll": old and any(each["recordings"] < 2 for each in actions),
    }
    return {**of.about, **known, "number": of.number, "actions": actions}
