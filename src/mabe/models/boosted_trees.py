"""Gradient-boosted trees on rolling statistics: accurate from few videos, and fast.

Trees predict from one row of numbers, the rolling statistics of a block of frames
(`mabe.features.rolling`). A *forest* is one booster for all classes (scene task), or
one binary booster for each action (pair task).

*Out of core.* Rows for training are written to a temporary file, from which LightGBM
reads them. It keeps one byte for each value, once for all actions that count in the
same rows; while it finds the edges of their bins it needs about 20.

*On disk* a forest is LightGBM's own text. Loading executes nothing.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from jaxtyping import Bool, Float, Int

from mabe.errors import ConfigError, DataError, RunError
from mabe.models.tree_text import check_text, without_settings

if TYPE_CHECKING:
    import lightgbm as lgb


Rows = Float[np.ndarray, "row statistic"]


_BINS = 63


_READ_ROWS = 4_096


_OWN_BINS = {"max_bin": _BINS, "verbosity": -1}
_SHARED_BINS = {
    **_OWN_BINS,
    "bin_construct_sample_cnt": 5000,
    "enable_bundle": False,  # looking for sparse statistics, of which there are none
    "feature_pre_filter": False,  # statistics are not dropped for one size of leaves
}


_DIGEST = 20
"""Number of letters of a text's hash, which are written before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreesConfig:
    """Number and size of the trees; the defaults of the others are in `mabe.config`."""

    rounds: int
    """In each round one tree is grown for each class."""
    learning_rate: float
    leaves: int
    min_rows_in_leaf: int
    feature_share: float
    """Share of the statistics that a tree may use; many are nearly the same."""
    row_share: float = 0.7
    l2: float = 5.0
    threads: int = 1
    seed: int = 0

    def parameters(self) -> dict[str, Any]:
        """Return the parameters under LightGBM's names."""
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
    """Boosters as text, parsed when they are first used."""

    texts: tuple[str, ...]
    """One for all classes, or one for each action; empty for one without trees."""

    @cached_property
    def boosters(self) -> "tuple[lgb.Booster | None, ...]":
        """The boosters; None for an action without trees."""
        lightgbm = import_lightgbm()
        return tuple(
            lightgbm.Booster(model_str=without_settings(text)) if text else None
            for text in self.texts
        )

    def check(self, *, where: str, features: int, classes: int) -> None:
        """Check a forest that anybody may have written, before LightGBM reads it.

        A row has so many `features`; one text is for all `classes`, or each of them has
        its own. Raises `RunError` where the trees are not for such rows and classes.
        """
        together = len(self.texts) == 1 and classes > 1
        if not together and len(self.texts) != classes:
            raise RunError(
                f"{where}: has {len(self.texts)} forests for {classes} classes"
            )
        of_each = classes if together else 1
        try:
            for text in filter(None, self.texts):
                check_text(text, features=features, classes=of_each)
        except ValueError as error:
            raise RunError(
                f"{where}: its trees cannot be read ({error}); get the file again"
            ) from None

    def probabilities(
        self, rows: Rows, *, threads: int
    ) -> Float[np.ndarray, "row classes"]:
        """Return the probability of each class, or of each action."""
        columns = [
            np.zeros(len(rows))
            if booster is None
            else np.asarray(booster.predict(rows, num_threads=threads))
            for booster in self.boosters
        ]
        return np.column_stack(columns).astype(np.float32)

    def raw_scores(
        self, rows: Rows, *, threads: int
    ) -> Float[np.ndarray, "row classes"]:
        """Return the sum of the trees for each class; NaN for an action without."""
        columns = [
            np.full(len(rows), np.nan)
            if booster is None
            else np.asarray(booster.predict(rows, raw_score=True, num_threads=threads))
            for booster in self.boosters
        ]
        return np.column_stack(columns)

    def importance(self) -> Float[np.ndarray, " statistic"]:
        """Return the gain of each statistic in the loss, summed over all boosters."""
        gains = [
            booster.feature_importance("gain")
            for booster in self.boosters
            if booster is not None
        ]
        return np.sum(gains, axis=0)

    def to_bytes(self) -> bytes:
        """Return all texts, each after its hash, with a zero byte between them."""
        return b"\0".join(_digest(text).encode() + text.encode() for text in self.texts)

    @classmethod
    def from_bytes(cls, packed: bytes, *, where: str) -> "Forest":
        """Return the forest of `to_bytes`.

        Raises `RunError` where it is damaged; LightGBM would crash on such a text.
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
    """Rows for training, and their labels."""

    rows: Rows
    labels: Int[np.ndarray, "row columns"]
    """One column of class indices, or a column of 1 and 0 for each action; rows with
    -1 are left out."""


@contextmanager
def rows_on_disk(parts: Iterable[LabelledRows]) -> Iterator["RowsOnDisk"]:
    """Write rows into a temporary file, which exists as long as the context."""
    with tempfile.TemporaryDirectory(prefix="mabe-trees-") as folder:
        path = Path(folder) / "rows.f32"
        with path.open("wb") as file:
            labels = [_append(file, part) for part in parts]
        yield RowsOnDisk(
            path, np.concatenate(labels) if labels else np.empty((0, 1), np.int8)
        )


def _append(file: BinaryIO, part: LabelledRows) -> Int[np.ndarray, "row columns"]:
    file.write(np.ascontiguousarray(part.rows, np.float32).data)
    return part.labels


@dataclass(frozen=True, slots=True)
class RowsOnDisk:
    """The rows of a file, and their labels in memory."""

    path: Path
    labels: Int[np.ndarray, "row columns"]
    bins: "lgb.Dataset | None" = None
    """All rows in bins, where forests of parts of them share these."""

    def binned(self) -> "RowsOnDisk":
        """Return the rows with bins for all forests that are grown on parts of them.

        Bins take most of the time of a small forest. Their edges are those of a sample,
        without any labels, of all rows: also of rows that a forest does not learn from.
        """
        rows = np.memmap(self.path, np.float32, mode="r").reshape(len(self.labels), -1)
        bins = import_lightgbm().Dataset(rows, params=_SHARED_BINS, free_raw_data=True)
        return replace(self, bins=bins.construct())

    def data(self, kept: Int[np.ndarray, " kept"]) -> "lgb.Dataset":
        """Return some rows, in order, as a data set without labels.

        LightGBM reads them in pieces, and keeps one byte for each value. Given them as
        one array it grows other trees: 0.002 worse in each fold of `rat_dyad`.
        """
        if self.bins is not None:
            # Constructed now: labels that are set before are lost in a subset.
            return self.bins.subset(kept.tolist(), params=_SHARED_BINS).construct()
        rows = np.memmap(self.path, np.float32, mode="r").reshape(len(self.labels), -1)
        lightgbm = import_lightgbm()

        class Pieces(lightgbm.Sequence):  # type: ignore[misc]
            batch_size = _READ_ROWS

            def __len__(self) -> int:
                return len(kept)

            def __getitem__(self, index: Any) -> np.ndarray:
                return np.asarray(rows[kept[index]], np.float64)

        return lightgbm.Dataset(Pieces(), params=_OWN_BINS, free_raw_data=True)


def grow_for_classes(
    rows: RowsOnDisk,
    *,
    classes: Sequence[str],
    class_weights: Sequence[float],
    config: TreesConfig,
    start: Float[np.ndarray, "row classes"] | None = None,
) -> Forest:
    """Return the forest of one booster for all classes.

    `start` are the scores of trees that it is grown on. Raises `DataError` where fewer
    than two classes occur.
    """
    labels = rows.labels[:, 0]
    kept = np.flatnonzero(labels >= 0)
    counts = np.bincount(labels[kept], minlength=len(classes))
    if (counts > 0).sum() < 2:
        frames = {name: int(n) for name, n in zip(classes, counts, strict=True)}
        raise DataError(
            f"trees need frames of at least two classes, found {frames}; are the "
            "recordings labelled?"
        )
    weights = np.asarray(class_weights)[labels[kept]]
    objective = {"objective": "multiclass", "num_class": len(classes)}
    data = rows.data(kept)
    begun = None if start is None else start[kept]
    return Forest((_boost(data, labels[kept], weights, objective, config, begun),))


def grow_for_actions(
    rows: RowsOnDisk,
    *,
    happening_weights: Sequence[float],
    config: TreesConfig,
    start: Float[np.ndarray, "row actions"] | None = None,
) -> Forest:
    """Return the forest of one binary booster for each action.

    An action that always or never happens gets no trees, and probability 0. `start` are
    the scores of trees that it is grown on, NaN for an action without.
    """
    texts = [""] * len(happening_weights)
    for of_data, actions in _actions_of_same_rows(rows.labels):
        kept = np.flatnonzero(of_data)
        # Actions that count in the same rows share the bytes of these.
        data = rows.data(kept)
        for action in actions:
            labels = rows.labels[kept, action]
            weights = np.where(labels == 1, happening_weights[action], 1.0)
            begun = None if start is None else start[kept, action]
            if begun is not None and np.isnan(begun).any():
                begun = None
            texts[action] = _boost(
                data, labels, weights, {"objective": "binary"}, config, begun
            )
    if not any(texts) and start is None:
        raise DataError(
            "trees need an action that happens in some frames and not in others; found "
            "none. Are the recordings labelled?"
        )
    return Forest(tuple(texts))


def _actions_of_same_rows(
    labels: Int[np.ndarray, "row actions"],
) -> list[tuple[Bool[np.ndarray, " row"], list[int]]]:
    """Return sets of rows, and the actions that count in just these.

    Actions that always or never happen in the rows where they count are left out.
    """
    groups: dict[bytes, tuple[Bool[np.ndarray, " row"], list[int]]] = {}
    for action, states in enumerate(labels.T):
        counts = states >= 0
        if len(np.unique(states[counts])) == 2:
            groups.setdefault(counts.tobytes(), (counts, []))[1].append(action)
    return list(groups.values())


def _boost(
    data: "lgb.Dataset",
    labels: Int[np.ndarray, " row"],
    weights: Float[np.ndarray, " row"],
    objective: dict[str, Any],
    config: TreesConfig,
    start: Float[np.ndarray, " *row"] | None,
) -> str:
    data.set_label(labels).set_weight(weights).set_init_score(start)
    parameters = objective | data.get_params() | config.parameters()
    booster = import_lightgbm().train(parameters, data, config.rounds)
    return booster.model_to_string(num_iteration=-1)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def import_lightgbm() -> Any:
    """Return the library, which is imported only where trees are used.

    Raises `ConfigError` where it is absent or cannot be loaded.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigError(
            f"model_type: trees needs LightGBM ({error}); pip install lightgbm, or "
            "choose a network"
        ) from error
    except OSError as error:  # its shared library needs one of the system
        raise ConfigError(
            f"LightGBM cannot be loaded ({error}); on macOS: brew install libomp. Or "
            "choose a network with model_type"
        ) from error
    return lightgbm
