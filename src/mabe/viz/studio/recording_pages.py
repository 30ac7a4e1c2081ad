"""The recordings of a project, as the page of one shows them."""

from dataclasses import dataclass
from typing import Any

from mabe.viz.review.tracks import pose_window, tracks_json
from mabe.viz.studio.ethogram import coloured_json
from mabe.viz.studio.label_files import labels_to_json
from mabe.viz.studio.round_views import view_pairs
from mabe.viz.studio.session import StudioSession


@dataclass(frozen=True, slots=True)
class RecordingPages:
    """What the page gets of each recording, by its number."""

    session: StudioSession

    def listing(self) -> list[dict[str, Any]]:
        """Return the recordings for the page to choose from."""
        return [
            {"index": i, "name": info.name, "hasLabels": True, "uncertainty": None}
            for i, info in enumerate(self.session.project.videos)
        ]

    def describe(self, index: int) -> dict[str, Any]:
        """Return what the page shows of a recording, without predictions."""
        session = self.session
        store, info = session.open(index), session.project.videos[index]
        recording, film = store.recordings[0], session.films.get(info.name)
        ethogram = session.ethogram
        return {
            **tracks_json(store, 0),
            "index": index,
            "isDirected": True,
            "hasLabels": False,
            "rows": [
                {
                    **each,
                    "classIndex": place,
                    "hasBouts": True,
                    "actions": [each["name"]],
                    "threshold": 0.5,
                }
                for place, each in enumerate(coloured_json(ethogram))
            ],
            "pairs": [list(pair) for pair in view_pairs(recording)],
            "corrected": False,
            "trainedOn": False,
            "video": session.playable(info.name) is not None,
            "film": film and film.name,
            "pixelsPerCm": info.pixels_per_cm,
            "watchable": [
                [each.action, each.agent, each.target]
                for each in ethogram.watchable(recording)
            ],
            **self.labels(index),
        }

    def labels(self, index: int) -> dict[str, Any]:
        """Return the labels of a recording, and their version."""
        session = self.session
        name = session.project.videos[index].name
        frames = session.open(index).recordings[0].native_length
        labels = session.labels.read(name, frames=frames)
        return {"version": session.labels.version(name), **labels_to_json(labels)}

    def predictions(self, index: int) -> dict[str, Any]:
        """Return the predicted bouts of the last round; none before the first."""
        session, views = self.session, self.session.round_views(index)
        return {
            "state": "ready",
            "round": session.rounds[-1].number if session.rounds else 0,
            "classes": len(session.ethogram.actions),
            "views": [] if views is None else views.to_json(),
        }

    def poses(self, index: int, start: int, stop: int) -> bytes:
        """Return a window of poses, see `pose_window`."""
        return pose_window(self.session.open(index), 0, start, stop)

    def probabilities(
        self, index: int, view: int, start: int, stop: int, columns: int
    ) -> tuple[int, int, bytes]:
        """Return a window of probabilities: first frame, frames a column, and bytes."""
        views = self.session.round_views(index)
        if views is None:
            raise IndexError(view)
        first, step, values = views.timeline(view).window(start, stop, columns)
        return first, step, values.tobytes()
