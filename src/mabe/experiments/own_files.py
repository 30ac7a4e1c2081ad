"""mabe's own files, for `mabe inspect`: models and runs, predictions, stores."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mabe.data.store import is_store, open_store
from mabe.experiments.model_card import read_model_card
from mabe.io.predictions import BOUTS, PROVENANCE, read_predictions
from mabe.models.checkpoint import SUFFIX
from mabe.runtime.console import count
from mabe.runtime.model_hub import hub_address


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """What a file or folder of mabe holds."""

    kind: str
    """``model``, ``predictions`` or ``store``."""
    text: str
    values: dict[str, Any]


def describe_own_files(path: Path) -> OwnFiles | None:
    """Return what a model, run, predictions or store holds; None for anything else.

    Raises `RunError` or `DataError` where it is damaged.
    """
    if path.suffix == SUFFIX or (path / f"best{SUFFIX}").is_file() or hub_address(path):
        card = read_model_card(path)
        return OwnFiles("model", card.to_text(), card.to_json())
    if (path / PROVENANCE).is_file() and (path / BOUTS).is_file():
        return _describe_predictions(path)
    if path.is_dir() and is_store(path):
        return _describe_store(path)
    return None


def _describe_predictions(path: Path) -> OwnFiles:
    found = read_predictions(path)
    about = found.provenance
    bouts = Counter(bout.action for each in found.recordings for bout in each.bouts)
    notes = {note for source in about.sources for note in source.notes}
    values = {
        "model": about.model,
        "model_hash": about.model_hash,
        "task": str(about.task),
        "mabe": about.mabe,
        "rate_fps": about.rate_fps,
        "recordings": len(found.recordings),
        "bouts": {action: bouts[action] for action in about.actions},
        "notes": sorted(notes),
    }
    each = ", ".join(f"{action} {bouts[action]}" for action in about.actions)
    lines = [
        f"Predictions of {count(len(found.recordings), 'recording')} by {about.model} "
        f"({about.model_hash}), mabe {about.mabe}",
        f"Bouts: {each}",
        *(f"! {note}" for note in sorted(notes)),
        "Next: mabe export, mabe summary",
    ]
    return OwnFiles("predictions", "\n".join(lines), values)


def _describe_store(path: Path) -> OwnFiles:
    store = open_store(path)
    labelled = sum(each.has_labels for each in store.recordings)
    frames = sum(each.length for each in store.recordings)
    labs = sorted({each.lab for each in store.recordings})
    values = {
        "recordings": len(store.recordings),
        "labelled": labelled,
        "frames": frames,
        "rate_fps": store.rate_fps,
        "animals": store.layout.animals,
        "keypoints": list(store.layout.keypoints),
        "labs": labs,
    }
    lines = [
        f"Store of {count(len(store.recordings), 'recording')}, {labelled} with "
        f"labels, {count(frames, 'frame')} at {store.rate_fps:g} fps",
        f"Labs: {', '.join(labs)}",
        f"Keypoints: {', '.join(store.layout.keypoints)}; at most "
        f"{count(store.layout.animals, 'animal')}",
        "Next: mabe train",
    ]
    return OwnFiles("store", "\n".join(lines), values)
