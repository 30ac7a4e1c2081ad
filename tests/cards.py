"""The cards of model files, read and changed."""

import json

from safetensors import safe_open
from safetensors.torch import save


def read_card(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["card"])


def change_card(path, change, *, card=None):
    """Change the card of a file in place, or put another text in its place."""
    values = read_card(path)
    change(values)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    text = json.dumps(values) if card is None else card
    path.write_bytes(save(tensors, metadata={"card": text}))
