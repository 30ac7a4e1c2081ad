"""Starting a network from the weights of another one, for other classes or labs.

The *trunk* is everything but the heads: the layers that give a logit for each class (or
action). Heads have a row for each class, and the embedding of labs one for each lab.
Rows of classes that both networks have are copied. A lab that the old network does not
know starts as its "unknown" lab did.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mabe.errors import ConfigError
from mabe.models.model import NetworkModel
from mabe.pair_task import UNKNOWN_LAB, PairTask

_HEADS = ("head", "quick_head")
_LABS = "lab.weight"


@torch.no_grad()
def start_from(model: NetworkModel, old: NetworkModel) -> None:
    """Copy the weights of an old network into a new one, as far as they go.

    Raises `ConfigError` where features or layers differ.
    """
    check_same_features(model.feature_names, old.feature_names)
    weights, known = model.state_dict(), old.state_dict()
    for name, value in weights.items():
        if is_head(name):
            rows = _shared(model.task.classes, old.task.classes)
        elif name == _LABS:
            rows = _rows_of_labs(model, old)
        elif name in known and known[name].shape == value.shape:
            value.copy_(known[name])
            continue
        else:
            raise ConfigError(
                f"--from: the network's layer {name} is {tuple(value.shape)} here and "
                f"{tuple(known[name].shape) if name in known else 'absent'} in the "
                "model; leave out settings of the network's size"
            )
        _copy_rows(value, known[name], rows)
    model.load_state_dict(weights)


def freeze_trunk(model: NetworkModel) -> None:
    """Let only heads, and the embedding of labs, learn."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(is_head(name) or name == _LABS)


def is_head(name: str) -> bool:
    """Return whether a weight is one of a head."""
    return any(part in _HEADS for part in name.split("."))


def check_same_features(here: Sequence[str], of_model: Sequence[str]) -> None:
    """Raise `ConfigError` where a model had other features than it would have here."""
    if list(here) == list(of_model):
        return
    added = [name for name in here if name not in set(of_model)]
    gone = [name for name in of_model if name not in set(here)]
    raise ConfigError(
        f"--from: the features differ: {len(here)} here, {len(of_model)} in the model "
        f"(only here: {', '.join(added[:3]) or 'none'}; only there: "
        f"{', '.join(gone[:3]) or 'none'}). Other keypoints, numbers of animals or "
        "objects need a model that is trained from the beginning"
    )


def _copy_rows(value: Tensor, known: Tensor, rows: Sequence[tuple[int, int]]) -> None:
    for new, old in rows:
        value[new].copy_(known[old])


def _shared(here: Sequence[str], there: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of names that are in both."""
    return [(here.index(name), there.index(name)) for name in here if name in there]


def _rows_of_labs(model: NetworkModel, old: NetworkModel) -> list[tuple[int, int]]:
    assert isinstance(model.task, PairTask)
    assert isinstance(old.task, PairTask)
    labs = enumerate(model.task.labs, start=1)
    known = [(number, old.task.lab_number(lab)) for number, lab in labs]
    return [(UNKNOWN_LAB, UNKNOWN_LAB), *known]
