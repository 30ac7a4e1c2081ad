"""Models on disk: what training makes and users load. Data, not a pickle.

A checkpoint is one safetensors file with one model, or several that are used as one.
Its header carries the *card*, a JSON text with everything needed to use the weights:
for each model its settings (`ModelConfig`), its task, the names of its features, what
it was trained on and how well it did; the decision rules; units. Loading executes no
code. Cards of earlier formats are migrated (`mabe.models.migrations`). A `.json` copy
of the card lies beside the file for people; it is never read back.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mabe import __version__
from mabe.decoding.rules import DecisionRules
from mabe.errors import ConfigError, RunError
from mabe.models.boosted_trees import Forest
from mabe.models.ensemble import Ensemble
from mabe.models.input_contract import InputContract
from mabe.models.migrations import CARD_FORMAT, Card, migrate, migrate_weights
from mabe.models.model import Model, build_model
from mabe.models.model_config import ModelConfig
from mabe.models.trees_model import BaseTrees, TreesModel, build_trees
from mabe.pair_task import PairTask
from mabe.runtime.documents import parse_json, shorten_value
from mabe.runtime.files import write_bytes, write_json
from mabe.runtime.model_hub import fetch_from_hub, hub_address
from mabe.runtime.versions import UPDATE, is_newer, made_by_newer
from mabe.scene_task import SceneTask, TaskKind

SUFFIX = ".safetensors"
HUB_FILE = f"best{SUFFIX}"
"""The model in a repository of the Hugging Face Hub."""
HUB_CARD = "model_card.json"
"""Its card beside it, for people and programs; with the scores."""


_OF_DAMAGED_CARDS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Errors that values of an unexpected kind lead to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a model was trained on, and how well it did."""

    epoch: int
    step: int
    trained_on: tuple[str, ...]
    """Content hashes of the tracks it was trained on; never score it on those."""
    validated_on: tuple[str, ...]
    """Content hashes of the tracks that chose the epoch (and the learning rate)."""
    validation: dict[str, Any]
    """Scores on the validation recordings."""
    contract: InputContract | None = None
    """What the recordings it was trained on were like; early models have none."""
    data_dir: str | None = None
    """Folder or URL of the data when it was trained; they may be elsewhere now."""
    started_from: str | None = None
    """Name and hash of the model that it was started from (`--from`)."""
    distilled_from: str | None = None
    """Name and hash of the model that it imitates (`mabe distil`)."""
    pretrained_on: tuple[str, ...] = ()
    """Content hashes of further tracks, used without labels in pretraining."""
    author: str | None = None
    licence: str | None = None
    cite: str | None = None
    """How to cite it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One model and what it was trained on."""

    model: Model
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model (or several used as one), and its decision rules."""

    model: Model | Ensemble
    members: tuple[Member, ...]
    rules: DecisionRules
    tuned_on: tuple[str, ...]
    """Content hashes of the tracks that chose thresholds, smoothing or weights."""
    path: Path

    @property
    def trained_on(self) -> frozenset[str]:
        """Content hashes of the tracks that any member was trained on."""
        return frozenset().union(*(m.provenance.trained_on for m in self.members))

    @property
    def pretrained_on(self) -> frozenset[str]:
        """Content hashes of the tracks that were used in pretraining alone."""
        used = (m.provenance.pretrained_on for m in self.members)
        return frozenset().union(*used) - self.trained_on

    @property
    def weights(self) -> tuple[float, ...]:
        """The weight of each member in the mean of their probabilities."""
        return tuple(weight for _, weight in self.model.members_with_weights)

    @property
    def contract(self) -> InputContract | None:
        """What the recordings that any member was trained on were like."""
        known = [m.provenance.contract for m in self.members if m.provenance.contract]
        return InputContract.union(known) if known else None

    @property
    def validated_on(self) -> frozenset[str]:
        """Content hashes of the tracks that chose any member's epoch."""
        return frozenset().union(*(m.provenance.validated_on for m in self.members))


def plain_rules(task: SceneTask | PairTask) -> DecisionRules:
    """Return rules without tuned thresholds or smoothing."""
    return DecisionRules.plain(task.kind, task.classes)


def save_checkpoint(path: Path, model: Model, provenance: Provenance) -> None:
    """Write weights and card as one file, and the card beside it for people."""
    _write(path, [Member(model, provenance)], (1.0,), None, ())


def save_ensemble(
    path: Path,
    members: Sequence[Member],
    weights: Sequence[float],
    *,
    tuned_on: Sequence[str] = (),
) -> None:
    """Write several models as one file."""
    _write(path, members, weights, None, tuned_on)


def holds_ensemble(
    path: Path,
    members: Sequence[Member],
    weights: Sequence[float],
    *,
    tuned_on: Sequence[str] = (),
) -> bool:
    """Return whether a file is exactly what `save_ensemble` would write."""
    content, _ = _pack(members, weights, None, tuned_on)
    return path.is_file() and path.read_bytes() == content


def save_rules(
    checkpoint: Checkpoint,
    rules: DecisionRules,
    *,
    tuned_on: Sequence[str],
    path: Path | None = None,
) -> None:
    """Write a checkpoint with other decision rules, by default in its place."""
    known = sorted({*checkpoint.tuned_on, *tuned_on})
    place = path or checkpoint.path
    _write(place, checkpoint.members, checkpoint.weights, rules, known)


def content_to_share(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint's file for others, without paths of this machine.

    Of the folders of training data only the names are left.
    """
    members = [
        replace(
            member,
            provenance=replace(
                member.provenance, data_dir=_last_name(member.provenance.data_dir)
            ),
        )
        for member in checkpoint.members
    ]
    is_plain = checkpoint.rules == plain_rules(checkpoint.model.task)
    rules = None if is_plain else checkpoint.rules
    content, _ = _pack(members, checkpoint.weights, rules, checkpoint.tuned_on)
    return content


def _last_name(data_dir: str | None) -> str | None:
    """Return the name of a folder that was given on any system."""
    return data_dir and re.split(r"[\\/]", data_dir.rstrip("\\/"))[-1]


def load_checkpoint(run: Path) -> Checkpoint:
    """Load a run directory's best model, or the one checkpoint named.

    Raises `RunError` where there is none, or where this version cannot read it.
    """
    path = find_checkpoint(run)
    try:
        with safe_open(path, framework="pt") as file:
            card = parse_json((file.metadata() or {}).get("card", "null"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{path}: not a readable checkpoint: {error}") from None
    if not isinstance(card, dict):
        raise RunError(f"{path}: expected a mabe model, found no card in its header")
    try:
        return _read_card(card, weights, path)
    except RunError as error:
        if not is_newer(card.get("mabe")) or "newer mabe" in str(error):
            raise
        raise RunError(f"{error}; it was {made_by_newer(card['mabe'])}") from None


def _read_card(card: Card, weights: dict[str, Tensor], path: Path) -> Checkpoint:
    """Return the checkpoint of a card; raise `RunError` where it is not readable."""
    try:
        current = migrate(card, where=str(path))
        return _from_card(current, migrate_weights(weights, card["format"]), path)
    except ConfigError as error:
        raise RunError(f"{path}: its card is damaged: {error}") from None
    except _OF_DAMAGED_CARDS as error:
        raise RunError(
            f"{path}: its card is damaged or incomplete ({type(error).__name__}: "
            f"{shorten_value(str(error))}); get the file again"
        ) from None


def _from_card(card: Card, weights: dict[str, Tensor], path: Path) -> Checkpoint:
    """Return the checkpoint of a card in the current format."""
    members = tuple(
        Member(
            _model(each, _whole(each, _below(f"{place}/", weights), path), path),
            _provenance(each["provenance"]),
        )
        for place, each in enumerate(card["members"])
    )
    models = [member.model for member in members]
    several = len(models) > 1
    model = Ensemble.of(models, card["weights"]) if several else models[0]
    rules = card["rules"]
    return Checkpoint(
        model,
        members,
        DecisionRules.from_json(json.dumps(rules), where=str(path))
        if rules
        else plain_rules(model.task),
        tuple(card["tuned_on"]),
        path,
    )


def _write(
    path: Path,
    members: Sequence[Member],
    weights: Sequence[float],
    rules: DecisionRules | None,
    tuned_on: Sequence[str],
) -> None:
    content, card = _pack(members, weights, rules, tuned_on)
    write_bytes(path, content)
    write_json(path.with_suffix(".json"), card)


def _pack(
    members: Sequence[Member],
    weights: Sequence[float],
    rules: DecisionRules | None,
    tuned_on: Sequence[str],
) -> tuple[bytes, Card]:
    """Return the content of a checkpoint file, and its card."""
    card = {
        "format": CARD_FORMAT,
        "mabe": __version__,
        "keypoints": list(members[0].model.config.body.keypoints),
        "units": "cm, s",
        "weights": list(weights),
        "rules": json.loads(rules.to_json()) if rules else None,
        "tuned_on": list(tuned_on),
        "members": [
            {
                "task": _describe_task(member.model.task),
                "features": member.model.feature_names,
                "config": member.model.config.model_dump(mode="json"),
                "provenance": asdict(member.provenance),
                "weights_hash": _hash_weights(member.model.state_dict()),
            }
            for member in members
        ],
    }
    tensors = {
        f"{place}/{name}": value.detach().cpu().contiguous()
        for place, member in enumerate(members)
        for name, value in member.model.state_dict().items()
    }
    return save(tensors, metadata={"card": json.dumps(card)}), card


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of one member, under their own names."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _whole(card: Card, weights: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the weights of a member; raise `RunError` where their hash is another.

    Models of version 0.2 and earlier have none.
    """
    noted = card.get("weights_hash")
    if noted is not None and noted != _hash_weights(weights):
        raise RunError(
            f"{path}: its weights are damaged or were exchanged; get the file again"
        )
    return weights


def _hash_weights(weights: Mapping[str, Tensor]) -> str:
    """Return a hash of tensors: their names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        plain = value.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:20]


def _model(card: Card, weights: dict[str, Tensor], path: Path) -> Model:
    config = _config(card["config"], path)
    task = _read_task(card["task"])
    if config.is_grown:
        return _read_trees(config, task, weights, path).eval()
    _check_shapes(config, task, weights, path)
    model = build_model(config, task)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{path}: its weights do not fit its card: {reason}") from None
    return model.eval()


def _read_trees(
    config: ModelConfig,
    task: SceneTask | PairTask,
    weights: dict[str, Tensor],
    path: Path,
) -> TreesModel:
    """Return trees, and those of earlier models that they were grown on, checked."""

    def read(name: str) -> Forest:
        return Forest.from_bytes(weights[name].numpy().tobytes(), where=str(path))

    base = [
        BaseTrees(classes, read(f"base{number}_X"))
        for number, classes in enumerate(config.base_classes)
    ]
    trees = build_trees(config, task, read("text_X"), base)
    own = BaseTrees(tuple(task.classes), trees.forest)
    for each in (*base, own):
        each.forest.check(
            where=str(path),
            features=len(trees.statistic_names()),
            classes=len(each.classes),
        )
    return trees


def _check_shapes(
    config: ModelConfig,
    task: SceneTask | PairTask,
    weights: dict[str, Tensor],
    path: Path,
) -> None:
    """Raise `RunError` where a card describes another network than the weights are of.

    No memory is taken for it, whatever size the card gives.
    """
    with torch.device("meta"):
        expected = build_model(config, task).state_dict()
    for name, value in expected.items():
        if name not in weights or weights[name].shape != value.shape:
            found = tuple(weights[name].shape) if name in weights else "none"
            raise RunError(
                f"{path}: its weights do not fit its card: {name} should be "
                f"{tuple(value.shape)}, found {found}; get the file again"
            )


def find_checkpoint(run: Path) -> Path:
    """Return the checkpoint file of a run directory, or the one that is named.

    One of a repository (``hf://owner/name``) is fetched.
    """
    if (address := hub_address(run)) is not None:
        return fetch_from_hub(address, needed=HUB_FILE, also=(HUB_CARD,))
    if run.is_file():
        return run
    for path in (run / f"best{SUFFIX}", run.parent / f"{run.name}{SUFFIX}"):
        if path.is_file():
            return path
    others = sorted(p.name for p in run.glob(f"*{SUFFIX}")) if run.is_dir() else []
    hint = f"; it holds {others}, name one of them" if others else ""
    raise RunError(
        f"{run}: no model here; expected a run directory with best{SUFFIX}, or "
        f"one checkpoint file{hint}. `mabe train` makes one"
    )


def _config(values: Card, path: Path) -> ModelConfig:
    if unknown := sorted(values.keys() - ModelConfig.model_fields.keys()):
        raise RunError(
            f"{path}: has settings that mabe {__version__} does not have "
            f"({', '.join(unknown)}): made by a newer mabe. {UPDATE}"
        )
    try:
        return ModelConfig.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors()
        )
        raise RunError(f"{path}: its settings are not valid: {problems}") from None


_TASKS: dict[str, type[SceneTask] | type[PairTask]] = {
    TaskKind.SCENE: SceneTask,
    TaskKind.PAIR: PairTask,
}


def _describe_task(task: SceneTask | PairTask) -> Card:
    return {"kind": task.kind, **task.to_json()}


def _read_task(values: Card) -> SceneTask | PairTask:
    return _TASKS[values["kind"]].from_json(values)


def _provenance(values: dict[str, Any]) -> Provenance:
    return Provenance(
        epoch=values["epoch"],
        step=values["step"],
        trained_on=tuple(values["trained_on"]),
        validated_on=tuple(values["validated_on"]),
        validation=values["validation"],
        contract=InputContract.from_json(values["contract"]),
        data_dir=values["data_dir"],
        pretrained_on=tuple(values.get("pretrained_on", ())),
        # Cards of 0.3.0 and earlier may lack these.
        **{
            name: values.get(name)
            for name in (
                *("started_from", "distilled_from"),
                *("author", "licence", "cite"),
            )
        },
    )
