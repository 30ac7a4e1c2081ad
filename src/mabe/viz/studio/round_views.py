"""What a round predicts of a recording, in the views that the page shows.

The page shows an ordered pair of animals, and in it a row for each action: actions of
the agent to the target, of both together, and of the agent by itself. The predictions
of these come from three views of the model and are joined here.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mabe.bouts import View
from mabe.recording import StoredRecording
from mabe.viz.review.compact_timeline import UNKNOWN, ViewTimeline, read_timelines
from mabe.viz.studio.ethogram import Ethogram, Kind
from mabe.viz.studio.rounds import Round

_KEPT = 4
"""Joined views in memory."""


def view_pairs(recording: StoredRecording) -> list[tuple[int, int]]:
    """Return the ordered pairs that the page shows; one animal is a pair by itself."""
    animals = recording.tracked_animals
    pairs = [(a, b) for a in animals for b in recording.tracked_individuals if a != b]
    return pairs or [(a, a) for a in animals]


@dataclass(slots=True)
class RoundViews:
    """The predictions of one recording."""

    pairs: list[tuple[int, int]]
    ethogram: Ethogram
    columns: dict[str, int]
    """The column of each action in the model's predictions."""
    timelines: dict[View, ViewTimeline]
    _joined: "OrderedDict[int, ViewTimeline]" = field(default_factory=OrderedDict)

    @classmethod
    def read(
        cls, of: Round, recording: StoredRecording, ethogram: Ethogram
    ) -> "RoundViews | None":
        """Return what a round predicts of a recording; None where it has nothing."""
        timelines = read_timelines(of.predictions(recording.name))
        if timelines is None:
            return None
        return cls(
            view_pairs(recording),
            ethogram,
            {name: place for place, name in enumerate(of.actions)},
            {View(each.agent, each.target): each for each in timelines},
        )

    def to_json(self) -> list[dict[str, Any]]:
        """Return the bouts of each pair for the page."""
        return [
            {
                "agent": agent,
                "target": target,
                "bouts": self._bouts(place),
                "uncertain": self._uncertain(place),
            }
            for place, (agent, target) in enumerate(self.pairs)
        ]

    def timeline(self, place: int) -> ViewTimeline:
        """Return the joined timeline of a pair; `IndexError` where there is none."""
        if place not in self._joined:
            self._joined[place] = self._join(place)
            while len(self._joined) > _KEPT:
                self._joined.popitem(last=False)
        return self._joined[place]

    def _sources(self, place: int) -> list[tuple[int, int, ViewTimeline]]:
        """Return (row, column, timeline) for each action that is predicted."""
        agent, target = self.pairs[place]
        view_of = {
            Kind.SELF: View(agent, agent),
            Kind.MUTUAL: View(min(agent, target), max(agent, target)),
            Kind.DIRECTED: View(agent, target),
        }
        return [
            (row, self.columns[action.name], timeline)
            for row, action in enumerate(self.ethogram.actions)
            if action.name in self.columns
            and (timeline := self.timelines.get(view_of[action.kind])) is not None
        ]

    def _bouts(self, place: int) -> list[list[Any]]:
        rows = []
        for row, column, timeline in self._sources(place):
            for start, stop, index, probability in timeline.bouts():
                if index == column:
                    rows.append([start, stop, row, probability])
        return sorted(rows)

    def _uncertain(self, place: int) -> list[list[Any]]:
        sources = {id(each): each for _, _, each in self._sources(place)}
        spans = [span for each in sources.values() for span in each.uncertain]
        spans.sort(key=lambda span: -span.wrong_s)
        return [[span.start, span.stop, span.wrong_s] for span in spans[:50]]

    def _join(self, place: int) -> ViewTimeline:
        agent, target = self.pairs[place]
        any_view = next(iter(self.timelines.values()))
        shape = len(any_view.probabilities), len(self.ethogram.actions)
        values = np.full(shape, UNKNOWN, np.uint8)
        for row, column, timeline in self._sources(place):
            values[:, row] = timeline.probabilities[:, column]
        runs = np.empty((0, 3), int)
        return ViewTimeline(agent, target, any_view.fps, values, runs)
