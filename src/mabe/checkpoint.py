"""Recognisers on disk: what training makes and users load. Data, not a pickle.

A checkpoint is one safetensors file. Its header carries the *card*, a JSON text with
everything needed to use the weights: the keypoints expected, the working rate, units,
classes, settings, what it was trained on and how well it did. Loading executes no
code. A `.json` copy of the card lies beside it for people; it is never read back.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mabe import __version__
from mabe.config import RunConfig, build_config, dump_config
from mabe.errors import RunError
from mabe.features.motion import feature_names
from mabe.files import write_bytes, write_json
from mabe.pairs import PairTask
from mabe.recogniser import PairRecogniser, Recogniser, build_recogniser
from mabe.skeleton import KEYPOINTS

CARD_FORMAT = 1
SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a recogniser's knowledge comes from."""

    epoch: int
    step: int
    trained_on: tuple[str, ...]
    """Content hashes of the tracks it learned from; never score it on those."""
    validated_on: tuple[str, ...]
    """Content hashes of the tracks that chose the epoch (and the learning rate)."""
    validation: dict[str, Any]
    """Scores on the validation recordings."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded recogniser and where it comes from."""

    recogniser: Recogniser
    provenance: Provenance
    path: Path


def save_checkpoint(path: Path, recogniser: Recogniser, provenance: Provenance) -> None:
    """Write weights and card as one file, and the card beside it for people."""
    config = recogniser.config
    card = {
        "format": CARD_FORMAT,
        "mabe": __version__,
        **_describe_task(recogniser),
        "keypoints": list(KEYPOINTS),
        "rate_fps": config.fps,
        "units": "cm, s",
        "config": dump_config(config),
        "provenance": asdict(provenance),
    }
    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in recogniser.state_dict().items()
    }
    data = save(tensors, metadata={"card": json.dumps(card)})
    write_bytes(path, data)
    write_json(path.with_suffix(".json"), card)


def load_checkpoint(run: Path) -> Checkpoint:
    """Load a run directory's best recogniser, or the one checkpoint named.

    Raises `RunError` where there is none, or where it was made by another format.
    """
    path = find_checkpoint(run)
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "null"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise RunError(f"{path}: not a readable checkpoint: {error}") from None
    if not isinstance(card, dict) or card.get("format") != CARD_FORMAT:
        found = card.get("format") if isinstance(card, dict) else "no card"
        raise RunError(
            f"{path}: expected a mabe checkpoint of format {CARD_FORMAT}, found {found}"
        )
    if missing := sorted(RunConfig.model_fields.keys() - card["config"].keys()):
        # A default of today may not be what the weights were trained with.
        raise RunError(
            f"{path}: made by mabe {card['mabe']}, whose settings lack {missing}; use "
            "that version, or train again"
        )
    config = build_config(card["config"], where=str(path))
    is_pair = config.task == "pair"
    task = PairTask.from_json(card["pairs"]) if is_pair else config.scene_task
    recogniser = build_recogniser(config, task)
    recogniser.load_state_dict(weights)
    recogniser.eval()
    return Checkpoint(recogniser, _provenance(card["provenance"]), path)


def find_checkpoint(run: Path) -> Path:
    """Return the checkpoint file that a RUN on the command line stands for."""
    if run.is_file():
        return run
    for path in (run / f"best{SUFFIX}", run.parent / f"{run.name}{SUFFIX}"):
        if path.is_file():
            return path
    others = sorted(p.name for p in run.glob(f"*{SUFFIX}")) if run.is_dir() else []
    seen = f"; it holds {others}, name one of them" if others else ""
    raise RunError(
        f"{run}: no recogniser here; expected a run directory with best{SUFFIX}, or "
        f"one checkpoint file{seen}. `mabe train` makes one"
    )


def _describe_task(recogniser: Recogniser) -> dict[str, Any]:
    """Return what a card says of the task: what goes in, and what comes out."""
    if isinstance(recogniser, PairRecogniser):
        return {
            "task": "pair",
            "pairs": recogniser.task.to_json(),
            "features": recogniser.features.layout.names(),
        }
    motion = recogniser.config.use_motion_features
    return {
        "task": "scene",
        "classes": list(recogniser.task.classes),
        "features": feature_names(use_motion_features=motion),
    }


def _provenance(values: dict[str, Any]) -> Provenance:
    return Provenance(
        epoch=values["epoch"],
        step=values["step"],
        trained_on=tuple(values["trained_on"]),
        validated_on=tuple(values["validated_on"]),
        validation=values["validation"],
    )
