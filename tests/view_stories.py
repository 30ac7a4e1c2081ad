"""Predictions whose scores can be counted by hand: 10 s at 10 fps, three classes."""

import numpy as np

from mabe.bouts import SCENE
from mabe.decoding.rules import DecisionRules
from mabe.decoding.view_predictions import ViewPredictions
from mabe.scene_task import TaskKind

FPS = 10.0
CLASSES = ("background", "social", "aggressive")
RULES = DecisionRules.plain(TaskKind.SCENE, CLASSES)


def scene(
    annotated, predicted, *, video="1", lab="Lab", frames=100, ignored=(), sure=0.8
):
    """Return the predictions of a scene; bouts are rows of (start, stop, class)."""
    labels = np.zeros((frames, 3), np.int8)
    chosen = np.zeros(frames, int)
    classes = np.zeros(frames, int)
    for start, stop, place in annotated:
        classes[start:stop] = place
    for start, stop, place in predicted:
        chosen[start:stop] = place
    labels[np.arange(frames), classes] = 1
    for start, stop in ignored:
        labels[start:stop] = -1
    probabilities = np.full((frames, 3), (1 - sure) / 2, np.float32)
    probabilities[np.arange(frames), chosen] = sure
    return ViewPredictions(
        kind=TaskKind.SCENE,
        classes=CLASSES,
        lab=lab,
        video=video,
        view=SCENE,
        track=f"{lab}{video}",
        fps=FPS,
        probabilities=probabilities,
        labels=labels,
        chosen=chosen,
    )


def fight():
    """A fight of 4 s and one of 1 s; predicted is the first one, a second late.

    Another bout of 2 s is predicted where none is annotated.
    """
    return scene(
        annotated=[(10, 50, 2), (80, 90, 2)],
        predicted=[(20, 50, 2), (60, 80, 2)],
        video="fight",
    )
