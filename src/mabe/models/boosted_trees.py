"""Gradient-boosted trees on windowed features: strong from few videos, quickly.

Trees see one moment at a time, so what happened around it is told to them as statistics
over windows (`mabe.features.rolling`), one row for each block of frames. A *forest* is
one booster that chooses among classes, or one for each action that says yes or no.

*Out of core.* Rows to learn from go into a temporary file, from which LightGBM reads
them piece by piece into one byte for each value.

*On disk* a forest is LightGBM's own text. Loading executes nothing.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from jaxtyping import Float, Int

from mabe.errors import ConfigError, DataError, RunError

if TYPE_CHECKING:
    import lightgbm as lgb


Rows = Float[np.ndarray, "row statistic"]


_BINS = 63


_READ_ROWS = 4_096


_DIGEST = 20
"""Letters of a text's hash that go before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreesConfig:
    """How many trees of which size."""

    rounds: int = 250
    """One tree for each class a round."""
    learning_rate: float = 0.05
    leaves: int = 15
    min_rows_in_leaf: int = 100
    feature_share: float = 0.1
    """Statistics that a tree may use: neighbours in scale tell nearly the same."""
    row_share: float = 0.7
    l2: float = 5.0
    threads: int = 1
    seed: int = 0

    def parameters(self) -> dict[str, Any]:
        """Return what LightGBM calls these."""
        return {
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_rows_in_leaf,
            "feature_fraction": self.feature_share,
            "bagging_fraction": self.row_share,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "max_bin": _BINS,
            "num_threads": self.threads,
            "seed": self.seed,
            "deterministic": True,
            "force_col_wise": True,
            "verbosity": -1,
        }


@dataclass(frozen=True)
class Forest:
    """Boosters as text; they are parsed when first asked."""

    texts: tuple[str, ...]
    """One for all classes, or one for each action; empty for one never learned."""

    @cached_property
    def boosters(self) -> "tuple[lgb.Booster | None, ...]":
        """The boosters; none of an action that there was nothing to learn of."""
        lightgbm = import_lightgbm()
        return tuple(
            lightgbm.Booster(model_str=text) if text else None for text in self.texts
        )

    def probabilities(
        self, rows: Rows, *, threads: int
    ) -> Float[np.ndarray, "row answers"]:
        """Return each class's probability, or each action's."""
        told = [
            np.zeros(len(rows))
            if booster is None
            else np.asarray(booster.predict(rows, num_threads=threads))
            for booster in self.boosters
        ]
        return np.column_stack(told).astype(np.float32)

    def importance(self) -> Float[np.ndarray, " statistic"]:
        """Return how much each statistic improved the loss, over all boosters."""
        gains = [
            booster.feature_importance("gain")
            for booster in self.boosters
            if booster is not None
        ]
        return np.sum(gains, axis=0)

    def to_bytes(self) -> bytes:
        """Return all texts, each behind its hash, with a zero byte between them."""
        return b"\0".join(_digest(text).encode() + text.encode() for text in self.texts)

    @classmethod
    def from_bytes(cls, packed: bytes, *, where: str) -> "Forest":
        """Return the forest of `to_bytes`.

        Raises `RunError` where it is damaged: LightGBM would crash on such a text.
        """
        try:
            pieces = [piece.decode() for piece in packed.split(b"\0")]
        except UnicodeDecodeError:
            pieces = [""]
        texts = tuple(piece[_DIGEST:] for piece in pieces)
        if any(
            _digest(text) != piece[:_DIGEST]
            for text, piece in zip(texts, pieces, strict=True)
        ):
            raise RunError(
                f"{where}: its trees are cut off or damaged; get the file again"
            )
        return cls(texts)


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows to learn from, and the answers to each."""

    rows: Rows
    labels: Int[np.ndarray, "row questions"]
    """One column of classes, or a column of 1 and 0 for each action; -1 does not
    count."""


@contextmanager
def rows_on_disk(parts: Iterable[LabelledRows]) -> Iterator["RowsOnDisk"]:
    """Write parts into a temporary file, one after the other, and read them there."""
    with tempfile.TemporaryDirectory(prefix="mabe-trees-") as folder:
        path = Path(folder) / "rows.f32"
        with path.open("wb") as file:
            labels = [_append(file, part) for part in parts]
        yield RowsOnDisk(
            path, np.concatenate(labels) if labels else np.empty((0, 1), np.int8)
        )


def _append(file: BinaryIO, part: LabelledRows) -> Int[np.ndarray, "row questions"]:
    file.write(np.ascontiguousarray(part.rows, np.float32).data)
    return part.labels


@dataclass(frozen=True, slots=True)
class RowsOnDisk:
    """The rows of a file, and their labels in memory."""

    path: Path
    labels: Int[np.ndarray, "row questions"]

    def data(
        self,
        kept: Int[np.ndarray, " kept"],
        labels: Int[np.ndarray, " kept"],
        weights: Float[np.ndarray, " kept"],
    ) -> "lgb.Dataset":
        """Return some rows for LightGBM to read in pieces."""
        lightgbm = import_lightgbm()
        rows = np.memmap(self.path, np.float32, mode="r").reshape(len(self.labels), -1)

        class Pieces(lightgbm.Sequence):  # type: ignore[misc]
            batch_size = _READ_ROWS

            def __len__(self) -> int:
                return len(kept)

            def __getitem__(self, index: Any) -> np.ndarray:
                return np.asarray(rows[kept[index]], np.float64)

        return lightgbm.Dataset(
            Pieces(),
            labels,
            weight=weights,
            params={"max_bin": _BINS, "verbosity": -1},
            free_raw_data=True,
        )


def grow_for_classes(
    rows: RowsOnDisk,
    *,
    classes: Sequence[str],
    class_weights: Sequence[float],
    config: TreesConfig,
) -> Forest:
    """Return trees that choose among classes.

    Raises `DataError` where fewer than two classes occur.
    """
    labels = rows.labels[:, 0]
    kept = np.flatnonzero(labels >= 0)
    counts = np.bincount(labels[kept], minlength=len(classes))
    if (counts > 0).sum() < 2:
        seen = {name: int(n) for name, n in zip(classes, counts, strict=True)}
        raise DataError(
            f"trees need frames of at least two classes to learn from, found {seen}; "
            "are the recordings labelled?"
        )
    weights = np.asarray(class_weights)[labels[kept]]
    about = {"objective": "multiclass", "num_class": len(classes)}
    return Forest((_boost(rows.data(kept, labels[kept], weights), about, config),))


def grow_for_actions(
    rows: RowsOnDisk, *, happening_weights: Sequence[float], config: TreesConfig
) -> Forest:
    """Return trees that say of each action whether it happens.

    An action that always or never happens gets no trees, and the answer "no".
    """
    texts = []
    for action, happening in enumerate(happening_weights):
        labels = rows.labels[:, action]
        kept = np.flatnonzero(labels >= 0)
        if len(np.unique(labels[kept])) < 2:
            texts.append("")
            continue
        weights = np.where(labels[kept] == 1, happening, 1.0)
        data = rows.data(kept, labels[kept], weights)
        texts.append(_boost(data, {"objective": "binary"}, config))
    if not any(texts):
        raise DataError(
            "trees need an action that happens at times and at others not, and found "
            "none; are the recordings labelled?"
        )
    return Forest(tuple(texts))


def _boost(data: "lgb.Dataset", about: dict[str, Any], config: TreesConfig) -> str:
    booster = import_lightgbm().train(about | config.parameters(), data, config.rounds)
    return booster.model_to_string(num_iteration=-1)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def import_lightgbm() -> Any:
    """Return the library; imported late, since networks do without.

    Raises `ConfigError` with what to do where it is absent or cannot start.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigError(
            f"model_type: trees needs LightGBM ({error}); pip install lightgbm, or "
            "choose a network"
        ) from error
    except OSError as error:  # its library needs one of the system's
        raise ConfigError(
            f"LightGBM cannot start ({error}); on macOS: brew install libomp. Or "
            "choose a network with model_type"
        ) from error
    return lightgbm
