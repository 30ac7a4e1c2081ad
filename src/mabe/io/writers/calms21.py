"""Predictions as CalMS21-like JSON: a class for every frame, and its vocabulary.

``{"mabe": {sequence: {"annotations": [...], "metadata": {"vocab", "fps", …}}}}``. As a
frame has one class, each agent and target with a bout have a sequence of their own,
``<video>/<agent>-<target>``; simultaneous bouts of a pair, which `mabe` does not
predict, would be in further sequences.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mabe.bouts import Bout, RecordingBouts
from mabe.io.predictions import PredictionProvenance
from mabe.io.readers import facts
from mabe.runtime.files import write_json

FACTS = facts.written(
    "`calms21`",
    clock="row 0 is frame 0",
    stop="a class for each frame",
    watched="the vocabulary",
    animals="one sequence for each pair with a bout",
    notes="JSON",
)


_NOTHING = "other"


def write_calms21(
    folder: Path, recordings: Sequence[RecordingBouts], provenance: PredictionProvenance
) -> list[Path]:
    """Write all recordings as one JSON document."""
    path = folder / "predictions.calms21.json"
    write_json(path, calms21_document(recordings, provenance))
    return [path]


def calms21_document(
    recordings: Sequence[RecordingBouts], provenance: PredictionProvenance
) -> dict[str, Any]:
    """Return the document: the sequences, and their provenance."""
    sequences: dict[str, Any] = {}
    actions = dict.fromkeys(
        (*provenance.actions, *(b.action for each in recordings for b in each.bouts))
    )
    codes = {
        action: code for code, action in enumerate(a for a in actions if a != _NOTHING)
    }
    codes[_NOTHING] = len(codes)
    for each in recordings:
        pairs = defaultdict(list)
        for bout in each.bouts:
            pairs[each.name_of(bout.agent), each.name_of(bout.target)].append(bout)
        for (agent, target), bouts in sorted(pairs.items()) or [(("", ""), [])]:
            for layer, those in enumerate(_layers(bouts)):
                pair = "-".join(filter(None, (agent, target)))
                name = f"{each.video}/{pair}" if pair else each.video
                sequences[f"{name}#{layer + 1}" if layer else name] = {
                    "annotations": _annotate(those, each.length, codes),
                    "metadata": {
                        "vocab": codes,
                        "fps": each.fps,
                        "video": each.video,
                        "agent": agent,
                        "target": target,
                        "annotator": f"mabe {provenance.mabe}",
                    },
                }
    return {"mabe": sequences, "provenance": provenance.to_json()}


def _layers(bouts: Sequence[Bout]) -> list[list[Bout]]:
    """Divide bouts into layers without overlaps or touching bouts of one action."""
    layers: list[list[Bout]] = [[]]
    for bout in sorted(bouts):
        free = (layer for layer in layers if not layer or _fits(layer[-1], bout))
        layer = next(free, None)
        if layer is None:
            layers.append([bout])
        else:
            layer.append(bout)
    return layers


def _fits(last: Bout, bout: Bout) -> bool:
    """Return whether a bout may follow another in the same layer."""
    gap = 1 if last.action == bout.action else 0
    return last.stop + gap <= bout.start


def _annotate(bouts: Sequence[Bout], length: int, codes: dict[str, int]) -> list[int]:
    """Return the class of each frame."""
    frames = np.full(length, codes[_NOTHING])
    for bout in bouts:
        frames[bout.start : bout.stop] = codes[bout.action]
    return frames.tolist()
