"""The labels of a project as a file of another program."""

from typing import Any

from mabe.bouts import Coverage, RecordingBouts, watched_frames
from mabe.errors import DataError
from mabe.io.writers.boris import BorisHeading, boris_project
from mabe.recording import StoredRecording
from mabe.viz.studio.boris_names import film_names, place_names
from mabe.viz.studio.session import StudioSession


def labels_as_boris(session: StudioSession) -> dict[str, Any]:
    """Return the bouts of all labelled recordings as a BORIS project.

    BORIS has no time that was not watched: how much was is in words, and noted where
    `mabe` reads it again. Raises `DataError` where two recordings would have one name.
    """
    recordings: list[RecordingBouts] = []
    watched: dict[str, Coverage] = {}
    stored: list[StoredRecording] = []
    for index, info in enumerate(session.project.videos):
        if not (info.has_labels or session.labels.read(info.name).coverage):
            continue  # and it may be long, or damaged
        about = session.open(index).recordings[0]
        labels = session.labels.read(info.name, frames=about.native_length)
        if not labels.coverage:
            continue
        if info.video in watched:
            raise DataError(
                f"several labelled recordings are called {info.video!r}, and BORIS "
                "names observations by them: rename one of the files"
            )
        watched[info.video] = labels.coverage
        stored.append(about)
        recordings.append(
            RecordingBouts(
                lab=info.lab,
                video=info.video,
                fps=about.fps,
                length=about.native_length,
                animals=about.animal_names,
                bouts=labels.bouts,
            )
        )
    heading = BorisHeading(
        name=f"labels of {session.project.root.resolve().name}",
        description="Labelled in mabe studio.",
        actions=session.ethogram.names,
        points=session.ethogram.points,
        places=place_names(stored),
        media=film_names(session.project.root, [each.video for each in stored]),
        watched=watched,
        of_recording=lambda each: (
            f"{watched_frames(watched[each.video]) / each.fps:.1f} of "
            f"{each.length / each.fps:.1f} s were watched for some action; elsewhere "
            "nothing is known."
        ),
    )
    return boris_project(recordings, heading)
