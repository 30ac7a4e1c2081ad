"""Recordings without files, for the pair task: what was marked, and what was watched.

An action is written as ``"1>2 attack"``, on oneself ``"1>1 rear"``.
"""

from mabe.bouts import Bout, Watched, WatchedSpan
from mabe.recording import StoredRecording
from mabe.resampling import resampled_length
from mabe.skeleton import KEYPOINTS

RATE = 10.0
"""Frames per second of a store; of a recording too, where a test does not say."""


def stored(
    *bouts,
    watched=(),
    lab="Lab",
    frames=20,
    fps=RATE,
    animals=(1, 2),
    has_labels=True,
    coverage=None,
):
    """Return a recording in which each animal has one point, its nose.

    Bouts are ``("1>2 attack", start, stop)`` at the recording's own frames, and so are
    the spans of `coverage`.
    """
    return StoredRecording(
        lab=lab,
        video="1",
        fps=fps,
        native_length=frames,
        length=resampled_length(frames, from_fps=fps, to_fps=RATE),
        slots=tuple((animal - 1) * len(KEYPOINTS) for animal in animals),
        origin_cm=(0.0, 0.0),
        offset=0,
        bouts=tuple(
            Bout(start, stop, action, agent, target)
            for (agent, target, action), start, stop in (
                (_entry(words), start, stop) for words, start, stop in bouts
            )
        ),
        watched=tuple(Watched(*_entry(words)) for words in watched),
        has_labels=has_labels,
        coverage=None
        if coverage is None
        else tuple(
            sorted(
                WatchedSpan(start, stop, action, agent, target)
                for (agent, target, action), start, stop in (
                    (_entry(words), start, stop) for words, start, stop in coverage
                )
            )
        ),
        tracking_hash="",
        content_hash="",
        missing_share=0.0,
        notes=(),
    )


def _entry(words):
    pair, action = words.split()
    agent, target = pair.split(">")
    return int(agent), int(target), action
