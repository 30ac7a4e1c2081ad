"""The model that a run starts from (`--from`), and what that means for the run.

A run starts from one member of the model of its own kind: networks from a network,
trees from trees. Recordings that the model learned from are learned from and never
held out, so that scores are of recordings that neither model learned from. (Those whose
poses alone were used, in pretraining, may be held out; it is said.)
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mabe.config import RunConfig
from mabe.errors import ConfigError
from mabe.models.checkpoint import (
    Checkpoint,
    Member,
    find_checkpoint,
    load_checkpoint,
)
from mabe.models.input_contract import InputContract
from mabe.pair_task import PairTask
from mabe.runtime.files import hash_file


@dataclass(frozen=True, slots=True)
class Source:
    """The model that a run starts from."""

    checkpoint: Checkpoint
    hash: str
    """Of its file."""

    @property
    def name(self) -> str:
        """Name and hash, for the cards of models that were made of it."""
        path = self.checkpoint.path
        return f"{path.parent.name}/{path.name} ({self.hash})"

    @property
    def known_tracks(self) -> frozenset[str]:
        """Content hashes of the tracks that had a part in it."""
        tuned = self.checkpoint.tuned_on
        chose = self.checkpoint.validated_on
        return self.checkpoint.trained_on.union(chose, tuned)

    def of_kind(self, *, grown: bool) -> list[Member]:
        """Return its networks, or its trees: those with the settings of the first."""
        members = [
            member
            for member in self.checkpoint.members
            if member.model.config.is_grown == grown
        ]
        return [
            member for member in members if _settings(member) == _settings(members[0])
        ]


def _settings(member: Member) -> dict[str, object]:
    """Return the settings of a model, whatever it started from itself."""
    return member.model.config.model_dump(exclude={"base_classes"})


def find_source(config: RunConfig) -> Source | None:
    """Return the model that a run starts from, if any.

    Raises `RunError` where it cannot be read, and `ConfigError` where it is not the
    one that the run began with.
    """
    if config.from_model is None:
        return None
    return load_same_source(
        config.from_model, config.from_hash, use="this run started from"
    )


def load_same_source(path: Path, expected: str | None, *, use: str) -> Source:
    """Return a model that a run began with; `use` says in messages what for.

    Raises `ConfigError` where its hash is another than the one expected, if any.
    """
    source = load_source(path)
    if expected not in (None, source.hash):
        raise ConfigError(
            f"{path}: is not the model that {use} (hash {source.hash}, expected "
            f"{expected}); restore it, or start a new run in another directory"
        )
    return source


def load_source(path: Path) -> Source:
    """Return a model to start from; the last one is kept in memory."""
    file = find_checkpoint(path)
    return _load(file, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _load(path: Path, _changed_ns: int) -> Source:
    return Source(load_checkpoint(path), hash_file(path))


def source_member(config: RunConfig) -> Member | None:
    """Return the member that a run starts from: another one for each fold and seed.

    Raises `ConfigError` where the model has none of the run's kind.
    """
    source = find_source(config)
    if source is None:
        return None
    members = source.of_kind(grown=config.is_grown)
    if not members:
        raise ConfigError(
            f"{config.from_model}: has no {'trees' if config.is_grown else 'network'} "
            f"to start model_type: {config.model_type} from"
        )
    folds = config.folds or 1
    return members[(config.fold + config.seed * folds) % len(members)]


def known_tracks(config: RunConfig) -> frozenset[str]:
    """Return the tracks that are never held out, as the old model has seen them."""
    source = find_source(config)
    return source.known_tracks if source else frozenset()


def with_kept_actions(task: PairTask, config: RunConfig) -> PairTask:
    """Return the task with the old model's actions and labs, if they are to be kept.

    What the old model knows to be undirected stays so. An old action may be predicted
    in the new labs too.
    """
    source = find_source(config)
    if source is None:
        return task
    old = source.checkpoint.model.task
    assert isinstance(old, PairTask)
    if not config.keep_actions:
        return task
    actions = tuple(sorted({*task.actions, *old.actions}))
    added = frozenset(
        pair
        for pairs in old.vocabulary.values()
        for pair in pairs
        if pair[0] not in task.actions
    )
    vocabulary = {
        lab: frozenset(task.vocabulary.get(lab, frozenset()))
        | (added if lab in task.labs else frozenset())
        | frozenset(old.vocabulary.get(lab, frozenset()))
        for lab in sorted({*task.labs, *old.labs})
    }
    return replace(
        task,
        actions=actions,
        labs=tuple(sorted({*task.labs, *old.labs})),
        vocabulary=vocabulary,
        undirected=task.undirected | (old.undirected & set(old.actions)),
    )


def joined_contract(
    contract: InputContract, started_from: Member | None
) -> InputContract:
    """Return what all recordings were like that a model learned from."""
    old = started_from and started_from.provenance.contract
    return InputContract.union([contract, old]) if old else contract


def joined_tracks(
    own: Iterable[str], old: Iterable[str], *, without: Iterable[str] = ()
) -> tuple[str, ...]:
    """Return content hashes of tracks, each once, but for those `without`."""
    return tuple(sorted({*own, *old}.difference(without)))


def name_of_source(config: RunConfig) -> str | None:
    """Return name and hash of the model that a run starts from, for its card."""
    source = find_source(config)
    return source.name if source else None
