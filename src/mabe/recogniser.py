"""The recogniser: what training makes and users load. Data, not a pickle.

A checkpoint is one safetensors file. Its header carries the *card*, a JSON text with
everything needed to use the weights: the keypoints expected, the working rate, units,
classes, settings, what it was trained on and how well it did. Loading executes no
code. A `.json` copy of the card lies beside it for people; it is never read back.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mabe import __version__
from mabe.augment import center_scene, pack_animals
from mabe.config import RunConfig, build_config, dump_config
from mabe.errors import RunError
from mabe.features.motion import MotionFeatures, feature_names
from mabe.files import write_bytes, write_json
from mabe.models.conv_bilstm import ConvBiLSTM
from mabe.models.entry import FeatureEntry
from mabe.models.tcn import TCN
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


class Recogniser(nn.Module):
    """Poses in, one logit per class and frame out.

    Dimension key: B batch, T time, A animal, K keypoint, N classes.
    """

    def __init__(self, config: RunConfig) -> None:
        super().__init__()
        self.config = config
        self.classes = tuple(config.classes)
        self.features = MotionFeatures(
            rate_fps=config.fps,
            use_motion_features=config.use_motion_features,
            max_gap_s=config.max_gap_s,
            scene_frame=config.scene_frame,
        )
        self.entry = FeatureEntry(features=config.features)
        self.network = build_network(config, self.entry.channels, len(self.classes))

    def forward(
        self, poses_BTAK2: Float[Tensor, "b t a k 2"]
    ) -> Float[Tensor, "b t n"]:
        """Return logits for poses in cm at the working rate, NaN where missing."""
        with torch.autocast(poses_BTAK2.device.type, enabled=False):
            # Features stay in 32 bits: speeds are small differences of large numbers.
            x_BTF = self.features(pack_animals(poses_BTAK2))
        return self.network(self.entry(x_BTF))

    def probabilities(
        self,
        poses_BTAK2: Float[Tensor, "b t a k 2"],
        possible_N: Bool[Tensor, " n"],
    ) -> Float[Tensor, "b t n"]:
        """Return probabilities over the classes that are possible; others get 0."""
        logits_BTN = self(center_scene(poses_BTAK2)).float()
        return logits_BTN.masked_fill(~possible_N, -torch.inf).softmax(dim=-1)


def build_network(config: RunConfig, channels: int, classes: int) -> nn.Module:
    """Return the network that `model_type` names."""
    if config.model_type == "tcn":
        return TCN(
            channels,
            classes,
            width=config.tcn_width,
            layers=config.tcn_layers,
            dropout=config.dropout,
        )
    return ConvBiLSTM(
        channels,
        classes,
        conv_channels=config.conv_channels,
        conv_kernel=config.conv_kernel,
        lstm_hidden=config.lstm_hidden,
        lstm_layers=config.lstm_layers,
        dropout=config.dropout,
    )


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
        "task": "scene",
        "classes": list(config.classes),
        "keypoints": list(KEYPOINTS),
        "rate_fps": config.fps,
        "units": "cm, s",
        "features": feature_names(use_motion_features=config.use_motion_features),
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
    recogniser = Recogniser(build_config(card["config"], where=str(path)))
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


def _provenance(values: dict[str, Any]) -> Provenance:
    return Provenance(
        epoch=values["epoch"],
        step=values["step"],
        trained_on=tuple(values["trained_on"]),
        validated_on=tuple(values["validated_on"]),
        validation=values["validation"],
    )
