"""Starting a network from the weights of another one, for other classes or labs.

The *trunk* is everything but the heads: the layers that give a logit for each class (or
action). Heads have a row for each class, and the embedding of labs one for each lab.
Rows of classes that both networks have are copied. A lab that the old network does not
know starts as its "unknown" lab did.

After training the weights to use lie between the old and the new ones: in few
recordings some actions hardly occur, and a network that learns from them alone forgets
these (`move_towards`). The method is that of Wortsman et al. 2022, *Robust
fine-tuning of zero-shot models* (WiSE-FT).
"""

from collections.abc import Iterator, Sequence

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
    for value, known in _shared_weights(model, old):
        value.copy_(known)


def has_new_classes(model: NetworkModel, old: NetworkModel) -> bool:
    """Return whether a network has classes, or actions, that the old one has not."""
    return not set(model.task.classes) <= set(old.task.classes)


@torch.no_grad()
def move_towards(model: NetworkModel, old: NetworkModel, share: float) -> None:
    """Interpolate a network's weights linearly towards those it started from.

    Of use where no class is new: the head of a new one was trained with the new trunk.
    """
    for value, known in _shared_weights(model, old):
        if value.is_floating_point():
            value.lerp_(known.to(value), share)


def _shared_weights(
    model: NetworkModel, old: NetworkModel
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the weights that two networks share, to be changed in the first one."""
    check_same_features(model.feature_names, old.feature_names)
    weights, known = model.state_dict(), old.state_dict()
    for name, value in weights.items():
        if is_head(name):
            rows = _shared(model.task.classes, old.task.classes)
        elif name == _LABS:
            rows = _rows_of_labs(model, old)
        elif name in known and known[name].shape == value.shape:
            yield value, known[name]
            continue
        else:
            raise ConfigError(
                f"--from: the network's layer {name} is {tuple(value.shape)} here and "
                f"{tuple(known[name].shape) if name in known else 'absent'} in the "
                "model; leave out settings of the network's size"
            )
        for here, there in rows:
            yield value[here], known[name][there]


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


def _shared(here: Sequence[str], there: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of names that are in both."""
    return [(here.index(name), there.index(name)) for name in here if name in there]


def _rows_of_labs(model: NetworkModel, old: NetworkModel) -> list[tuple[int, int]]:
    assert isinstance(model.task, PairTask)
    assert isinstance(old.task, PairTask)
    labs = enumerate(model.task.labs, start=1)
    known = [(number, old.task.lab_number(lab)) for number, lab in labs]
    return [(UNKNOWN_LAB, UNKNOWN_LAB), *known]
