"""The stretches of all recordings to label next, as the page lists them."""

from typing import Any

from mabe.viz.studio.session import StudioSession
from mabe.viz.studio.stretches import labelled_share
from mabe.viz.studio.suggest import suggest

MOST_SUGGESTIONS = 12


def list_suggestions(
    session: StudioSession, most: int = MOST_SUGGESTIONS
) -> list[dict[str, Any]]:
    """Return the stretches to label next; none until recordings were read."""
    if session.stretches is None or not session.ethogram.actions:
        return []
    coverage, watchable, seconds = [], [], dict.fromkeys(session.ethogram.names, 0.0)
    for name in session.stretches.names:
        recording = session.recordings[name]
        labels = session.labels.read(name, frames=recording.native_length)
        coverage.append(labels.coverage)
        watchable.append(session.ethogram.watchable(recording))
        for bout in labels.bouts:
            if bout.action in seconds:
                seconds[bout.action] += (bout.stop - bout.start) / recording.fps
    share = labelled_share(session.stretches, coverage, watchable)
    actions = session.scores.actions if session.scores else ()
    rarity = [1 / (1 + seconds.get(action, 0.0) / 10) for action in actions]
    chosen = suggest(session.stretches, share, session.scores, rarity, most=most)
    places = {info.name: i for i, info in enumerate(session.project.videos)}
    rows = [each.to_json(session.stretches) for each in chosen]
    for row in rows:
        row["fps"] = session.recordings[row["name"]].fps
        row["recording"] = places[row["name"]]
    return rows
