"""Lanes whose scores anybody can count: ten seconds at 10 fps, three classes."""

import numpy as np

from mabe.decoding.rules import DecisionRules
from mabe.decoding.views import SCENE, Lane
from mabe.scene_task import TaskKind

FPS = 10.0
CLASSES = ("background", "social", "aggressive")
RULES = DecisionRules.plain(TaskKind.SCENE, CLASSES)


def scene(seen, found, *, video="1", lab="Lab", frames=100, ignored=(), sure=0.8):
    """Return a lane; `seen` and `found` are rows of (start, stop, class)."""
    labels = np.zeros((frames, 3), np.int8)
    chosen = np.zeros(frames, int)
    classes = np.zeros(frames, int)
    for start, stop, place in seen:
        classes[start:stop] = place
    for start, stop, place in found:
        chosen[start:stop] = place
    labels[np.arange(frames), classes] = 1
    for start, stop in ignored:
        labels[start:stop] = -1
    probabilities = np.full((frames, 3), (1 - sure) / 2, np.float32)
    probabilities[np.arange(frames), chosen] = sure
    return Lane(
        lab=lab,
        video=video,
        agent=SCENE,
        target=SCENE,
        track=f"{lab}{video}",
        fps=FPS,
        probabilities=probabilities,
        labels=labels,
        chosen=chosen,
    )


def fight():
    """People see a fight of 4 s and one of 1 s; found is the first one, a second late.

    Another bout of 2 s is found where nobody saw anything.
    """
    return scene(
        seen=[(10, 50, 2), (80, 90, 2)], found=[(20, 50, 2), (60, 80, 2)], video="fight"
    )
