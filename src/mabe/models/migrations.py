"""Model cards of earlier formats, brought to the current format.

The *card* is the JSON text in a model file that describes the model (see
`mabe.models.checkpoint`). Its format has a number. A migration is a pure function from
the card of one format to that of the next; all that are needed are applied in turn. So
every release reads the models of all earlier ones.

| format | what changed |
|---|---|
| 3 | the whole run's settings are in the card (commit d8a304b) |
| 4 | settings of the model alone; its task; sets of keypoints; other names of layers |

When `ModelConfig`, a task, `Provenance` or `InputContract` changes so that cards of the
current format would be misread: increase `CARD_FORMAT`, add a migration here, and
record the settings in tests/test_migrations.py. A migration never changes afterwards.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mabe.errors import RunError
from mabe.runtime.versions import made_by_newer

CARD_FORMAT = 4


Card = dict[str, Any]


T = TypeVar("T")


def migrate(card: Card, *, where: str) -> Card:
    """Return a card of any known format in the current one.

    Raises `RunError` where the format is not known: later than this version's, or from
    before the first that is supported.
    """
    found = card.get("format")
    if isinstance(found, int) and found > CARD_FORMAT:
        raise RunError(
            f"{where}: has model format {found}, known are those up to {CARD_FORMAT}: "
            f"{made_by_newer(card.get('mabe'))}"
        )
    if found != CARD_FORMAT and found not in MIGRATIONS:
        raise RunError(
            f"{where}: expected a mabe model of format {min(MIGRATIONS)} to "
            f"{CARD_FORMAT}, found format {found}; train again"
        )
    while card["format"] != CARD_FORMAT:
        card = MIGRATIONS[card["format"]](card)
    return card


def migrate_weights(weights: dict[str, T], found: int) -> dict[str, T]:
    """Return the weights of a model of an earlier format under their current names."""
    for each in range(found, CARD_FORMAT):
        weights = {
            _rename_layers(name, RENAMED_LAYERS.get(each, {})): value
            for name, value in weights.items()
        }
    return weights


def _rename_layers(name: str, new: Mapping[str, str]) -> str:
    """Return a name such as ``0/entry.weight`` with other names of its layers."""
    return re.sub("[^./]+", lambda part: new.get(part[0], part[0]), name)


def to_format_4(card: Card) -> Card:
    """Keep the settings of the model, and describe its task beside them."""
    members = [
        {
            "task": _task_of_format_4(member),
            "features": member["features"],
            "config": {name: member["config"][name] for name in _SETTINGS_OF_FORMAT_4},
            "provenance": {
                **member["provenance"],
                "data_dir": member["config"]["data_dir"],
                "contract": _contract_of_format_4(member["provenance"]),
            },
        }
        for member in card["members"]
    ]
    return {**card, "format": 4, "members": members}


MIGRATIONS: Mapping[int, Callable[[Card], Card]] = {3: to_format_4}
"""For each earlier format, the function to the next one."""


RENAMED_LAYERS: Mapping[int, Mapping[str, str]] = {
    3: {"entry": "scaling", "look": "conv", "look_norm": "conv_norm"}
}
"""For each earlier format, the layers that have another name in the next one."""


_SETTINGS_OF_FORMAT_4 = (
    "fps",
    "feature_set",
    "use_motion_features",
    "scene_frame",
    "max_gap_s",
    "model_type",
    "sequence_length",
    "conv_channels",
    "conv_kernel",
    "lstm_hidden",
    "lstm_layers",
    "tcn_width",
    "tcn_layers",
    "gru_width",
    "gru_layers",
    "gru_pooling",
    "dropout",
    "lab_channels",
    "lab_dropout",
)


def _task_of_format_4(member: Card) -> Card:
    config = member["config"]
    if member["task"] == "pair":
        return {"kind": "pair", **member["pairs"], "named_actions": config["actions"]}
    return {
        "kind": "scene",
        "classes": config["classes"],
        "ignored": config["ignore"],
        "others_are_first": config["other"] == "background",
    }


def _contract_of_format_4(provenance: Card) -> Card | None:
    """Return the contract, as if all recordings had had the same keypoints."""
    contract = provenance.get("contract")
    if not contract:
        return None
    return {
        "keypoint_sets": [contract["keypoints"]],
        "animals": contract["animals"],
        "rates_fps": contract["rates_fps"],
    }
