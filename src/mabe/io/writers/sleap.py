"""Predictions as events of a SLEAP project (`.slp`, since version 2.6 of the format).

Every bout is a ``PredictedEvent`` with the agent as subject, the target as target (none
for an action on oneself) and both ends included; its score is the mean probability. The
catalogue of event types lists every action that could have been predicted. Poses are
not written: the project is merged with the one that holds them, by the video's name and
the tracks' names. Needs sleap-io, an extra.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mabe.bouts import NO_ANIMAL, Bout, RecordingBouts
from mabe.errors import OutputError
from mabe.io.predictions import PredictionProvenance
from mabe.io.readers import facts
from mabe.runtime.files import write_atomically

FACTS = facts.written(
    "`slp` (extra)",
    clock="frames from 0",
    stop="included",
    watched="–",
    animals="tracks: subject and target",
    notes="`predictions.slp` with a `PredictedEvent` for each bout; without poses",
)


def write_slp(
    folder: Path, recordings: Sequence[RecordingBouts], provenance: PredictionProvenance
) -> list[Path]:
    """Write one project with the events of all recordings.

    Raises `OutputError` where sleap-io is not installed.
    """
    try:
        import sleap_io
    except ImportError as error:
        raise OutputError(
            "SLEAP projects are written with sleap-io, which is not installed; "
            '`pip install "mabe[slp]"`'
        ) from error
    tracks: dict[str, Any] = {}
    types: dict[str, Any] = {}
    for each in recordings:
        for bout in each.bouts:
            for animal in {bout.agent, bout.target} - {NO_ANIMAL}:
                name = each.name_of(animal)
                tracks.setdefault(name, sleap_io.Track(name))
    bouts = [bout for each in recordings for bout in each.bouts]
    for action in (*provenance.actions, *(bout.action for bout in bouts)):
        types.setdefault(action, sleap_io.EventType(name=action))
    videos = {
        each.video: sleap_io.Video(
            filename=f"{each.video}.mp4",
            open_backend=False,
            backend_metadata={"fps": each.fps},
        )
        for each in recordings
    }

    def event(each: RecordingBouts, bout: Bout) -> Any:
        is_directed = bout.target not in (NO_ANIMAL, bout.agent)
        return sleap_io.PredictedEvent(
            type=types[bout.action],
            video=videos[each.video],
            start_frame=bout.start,
            end_frame=bout.stop - 1,
            subject=tracks.get(each.name_of(bout.agent)),
            target=tracks[each.name_of(bout.target)] if is_directed else None,
            source=f"mabe {provenance.mabe}",
            score=bout.probability,
        )

    labels = sleap_io.Labels(
        videos=list(videos.values()),
        tracks=list(tracks.values()),
        event_types=list(types.values()),
        events=[event(each, bout) for each in recordings for bout in each.bouts],
        provenance={"mabe": provenance.to_text()},
    )
    path = folder / "predictions.slp"

    def write(place: Path) -> None:
        sleap_io.save_slp(labels, str(place), embed=False, verbose=False)

    write_atomically(path, write)
    return [path]
