"""`mabe push`: a model and its card in a repository of the Hugging Face Hub.

What is pushed is data: the checkpoint (safetensors), its card as JSON, and the model
card as the repository's README.md. No other file of a run is pushed, and no path of
this machine.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.errors import ConfigError
from mabe.experiments.model_card import card_of
from mabe.models.checkpoint import (
    HUB_CARD,
    HUB_FILE,
    content_to_share,
    load_checkpoint,
)
from mabe.runtime.files import hash_bytes
from mabe.runtime.model_hub import HubAddress, hub_address, push_to_hub


@dataclass(frozen=True, slots=True)
class Pushed:
    """A model in a repository."""

    address: HubAddress
    url: str
    """Of the commit."""
    warnings: tuple[str, ...]
    """What the card lacks."""


def push(run: Path, to: Path, *, private: bool = False) -> Pushed:
    """Push a run's model, and return where it is.

    Raises `ConfigError` for an address that is none, `RunError` where there is no
    model, or the repository cannot be written.
    """
    address = hub_address(to)
    if address is None:
        raise ConfigError(f"{to}: expected hf://owner/name")
    checkpoint = load_checkpoint(run)
    content = content_to_share(checkpoint)
    card = replace(card_of(checkpoint), file=HUB_FILE, file_hash=hash_bytes(content))
    lacking = [
        f"no {what}: others will not know {why}; mabe train … --{option}"
        for what, value, why, option in (
            ("licence", card.licences, "whether they may use it", "licence cc-by-4.0"),
            ("author", card.authors, "whom to ask", "author NAME"),
        )
        if not value
    ]
    url = push_to_hub(
        address,
        {
            HUB_FILE: content,
            HUB_CARD: (json.dumps(card.to_json(), indent=1) + "\n").encode(),
            "README.md": card.to_markdown().encode(),
        },
        private=private,
    )
    return Pushed(address, url, tuple(lacking))
