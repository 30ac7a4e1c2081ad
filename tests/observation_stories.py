"""Observations of a few seconds whose measures anybody can count."""

import numpy as np

from mabe.bouts import Bout, RecordingBouts, Watched, WatchedSpan
from mabe.measures.observation import ANNOTATED, observe

FPS = 10.0


def observed(
    bouts,
    *,
    length=600,
    animals=("resident", "intruder"),
    source=ANNOTATED,
    watched=None,
    coverage=None,
    video="day1",
    lab="Lab",
    track="",
):
    """Return an observation of (start, stop, action, agent, target)."""
    bouts = tuple(Bout(*bout) for bout in bouts)
    recording = RecordingBouts(
        lab=lab, video=video, fps=FPS, length=length, animals=animals, bouts=bouts
    )
    if watched is None:
        watched = {Watched(b.agent, b.target, b.action) for b in bouts}
    entries = [
        Watched(*entry) if isinstance(entry, tuple) else entry for entry in watched
    ]
    spans = coverage and tuple(WatchedSpan(*span) for span in coverage)
    return observe(source, recording, entries, spans, track=track)


def spans(*rows):
    """Return a span array."""
    return np.array(rows, int).reshape(-1, 2)
