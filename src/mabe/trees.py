"""Gradient-boosted trees on windowed social features: strong from few videos, quickly.

Poses are [time, animal, keypoint, xy] in cm at the working rate, NaN where missing.
The features are those of `mabe.features.social`, the statistics over windows those of
`mabe.features.rolling`; the trees decide once for each block of frames.

*Out of core.* The statistics of one recording at a time are in memory. The rows to
learn from go into a temporary file, from which LightGBM reads them piece by piece into
one byte for each value.

*On disk* a model is one text file: a line of JSON with what the features need to know,
then LightGBM's own text. Loading executes nothing.
"""

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import torch
from jaxtyping import Float, Int

from mabe.errors import ConfigError, DataError, RunError
from mabe.features.rolling import RollingConfig, rolling_statistics
from mabe.features.social import SocialFeatures
from mabe.files import write_text
from mabe.tasks import NOT_COUNTED

_FORMAT = "mabe trees"
_VERSION = 1
_READ_ROWS = 4_096

Poses = Float[np.ndarray, "time animal keypoint 2"]
Rows = Float[np.ndarray, "row statistic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreesConfig:
    """How many trees of which size, grown on how much."""

    rounds: int = 200
    """One tree for each class a round."""
    learning_rate: float = 0.05
    leaves: int = 15
    min_rows_in_leaf: int = 100
    feature_share: float = 0.2
    """Statistics that a tree may use: neighbours in scale tell nearly the same."""
    row_share: float = 0.7
    l2: float = 5.0
    max_rows: int = 40_000
    """Evenly spaced in time; neighbouring moments tell nearly the same."""
    threads: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rounds", "min_rows_in_leaf", "max_rows", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"trees: {name} is at least 1, got {self}")
        if self.leaves < 2 or self.l2 < 0:
            raise ConfigError(f"trees: leaves >= 2 and l2 >= 0 wanted, got {self}")
        for name in ("learning_rate", "feature_share", "row_share"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"trees: 0 < {name} <= 1 wanted, got {self}")


@dataclass(frozen=True, kw_only=True)
class TreesView:
    """What the trees see of poses."""

    rate_fps: float
    max_gap_s: float
    directed: bool
    rolling: RollingConfig = field(default_factory=RollingConfig)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate_fps) and self.rate_fps > 0):
            raise ConfigError(f"trees: a rate is > 0 frames/s, got {self.rate_fps}")

    @cached_property
    def social(self) -> SocialFeatures:
        """The features of one frame."""
        return SocialFeatures(
            rate_fps=self.rate_fps, max_gap_s=self.max_gap_s, directed=self.directed
        )

    @property
    def block_frames(self) -> int:
        """How many frames are decided on together."""
        return self.rolling.block_frames(self.rate_fps)

    @property
    def names(self) -> tuple[str, ...]:
        """The statistics' names, in order."""
        return self.rolling.names(self.social.names)

    @torch.inference_mode()
    def rows(self, poses: Poses) -> Rows:
        """Return the statistics of every block of a recording."""
        poses_BTAK2 = torch.from_numpy(poses)[None]
        features = self.social(poses_BTAK2)[0].numpy()
        return rolling_statistics(features, self.rate_fps, self.rolling)


@dataclass(frozen=True, slots=True)
class LabelledPoses:
    """One recording to learn from."""

    poses: Poses
    labels: Int[np.ndarray, " time"]
    """A class for each frame, or `NOT_COUNTED`."""


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees that were learned, and what they see."""

    view: TreesView
    classes: tuple[str, ...]
    booster: lgb.Booster

    def probabilities(
        self, poses: Poses, *, threads: int = 2
    ) -> Float[np.ndarray, "time classes"]:
        """Return each class's probability at every frame."""
        rows = self.view.rows(poses)
        found = self.booster.predict(rows, num_threads=threads)
        of_blocks = np.asarray(found, np.float32).reshape(len(rows), -1)
        return of_blocks.repeat(self.view.block_frames, axis=0)[: len(poses)]

    def importance(self) -> dict[str, float]:
        """Return how much each statistic improved the loss, the most useful first."""
        gains = self.booster.feature_importance("gain")
        pairs = zip(self.view.names, gains.tolist(), strict=True)
        return dict(sorted(pairs, key=lambda pair: -pair[1]))


def learn_trees(
    recordings: Iterable[LabelledPoses],
    *,
    view: TreesView,
    classes: tuple[str, ...],
    class_weights: tuple[float, ...],
    counted_frames: int,
    config: TreesConfig,
) -> Trees:
    """Learn from recordings, which are read one after the other and only once.

    `counted_frames` is about how many frames count in all; it spaces the rows. Raises
    `DataError` where fewer than two classes occur.
    """
    blocks = counted_frames / view.block_frames
    every = max(1, math.ceil(blocks / config.max_rows))
    with tempfile.TemporaryDirectory(prefix="mabe-trees-") as folder:
        path = Path(folder) / "rows.f32"
        with path.open("wb") as file:
            kept = [
                _keep_rows(file, recording, view, every=every, offset=number % every)
                for number, recording in enumerate(recordings)
            ]
        labels = np.concatenate([np.empty(0, np.int8), *kept])
        _check_labels(labels, classes)
        data = lgb.Dataset(
            _RowsOnDisk(path, len(view.names)),
            labels,
            weight=np.asarray(class_weights)[labels],
            params={"max_bin": 63, "verbosity": -1},
            free_raw_data=True,
        )
        booster = lgb.train(_parameters(config, len(classes)), data, config.rounds)
    return Trees(view, classes, booster)


def save_trees(trees: Trees, path: Path) -> None:
    """Write the model as one text file, atomically."""
    text = trees.booster.model_to_string(num_iteration=-1)
    card = {
        "format": _FORMAT,
        "version": _VERSION,
        "trees_hash": _hash(text),
        "view": asdict(trees.view),
        "classes": trees.classes,
        "features": trees.view.names,
    }
    write_text(path, json.dumps(card) + "\n" + text)


def load_trees(path: Path) -> Trees:
    """Return the model of a file.

    Raises `RunError` where it is absent, of another kind, or for other features than
    this version makes.
    """
    try:
        first, _, text = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: no trees can be read here ({error})") from error
    card = _read_card(path, first)
    view = _view_of(card["view"])
    if list(view.names) != card["features"]:
        raise RunError(
            f"{path}: learned from other features than this version of mabe makes; "
            "train it again"
        )
    if _hash(text) != card["trees_hash"]:  # of damaged text LightGBM would crash
        raise RunError(f"{path}: the trees are cut off or damaged; get the file again")
    booster = lgb.Booster(model_str=text)
    return Trees(view, tuple(card["classes"]), booster)


class _RowsOnDisk(lgb.Sequence):
    """Rows of a file, for LightGBM to read in pieces."""

    batch_size = _READ_ROWS

    def __init__(self, path: Path, width: int) -> None:
        self._rows = np.memmap(path, np.float32, mode="r").reshape(-1, width)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return np.asarray(self._rows[index], np.float64)


def _keep_rows(
    file: Any, recording: LabelledPoses, view: TreesView, *, every: int, offset: int
) -> Int[np.ndarray, " row"]:
    """Write every so many counted blocks of a recording, and return their labels."""
    size = view.block_frames
    middles = np.arange(0, len(recording.labels), size) + size // 2
    of_blocks = recording.labels[middles.clip(max=len(recording.labels) - 1)]
    kept = np.flatnonzero(of_blocks != NOT_COUNTED)[offset::every]
    if len(kept):
        file.write(np.ascontiguousarray(view.rows(recording.poses)[kept]).data)
    return of_blocks[kept].astype(np.int8)


def _check_labels(labels: Int[np.ndarray, " row"], classes: tuple[str, ...]) -> None:
    counts = np.bincount(labels, minlength=len(classes))
    if (counts > 0).sum() < 2:
        seen = {name: int(n) for name, n in zip(classes, counts, strict=True)}
        raise DataError(
            f"trees need frames of at least two classes to learn from, found {seen}; "
            "are the recordings labelled?"
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _view_of(values: dict[str, Any]) -> TreesView:
    """Return the view of `asdict`, after JSON made lists of its tuples."""
    rolling: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values["rolling"].items()
    }
    return TreesView(**{**values, "rolling": RollingConfig(**rolling)})


def _parameters(config: TreesConfig, classes: int) -> dict[str, Any]:
    return {
        "objective": "multiclass",
        "num_class": classes,
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.min_rows_in_leaf,
        "feature_fraction": config.feature_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "max_bin": 63,
        "num_threads": config.threads,
        "seed": config.seed,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }


def _read_card(path: Path, line: str) -> dict[str, Any]:
    try:
        card = json.loads(line)
    except ValueError as error:
        raise RunError(f"{path}: not a file of trees ({error})") from error
    if not isinstance(card, dict) or card.get("format") != _FORMAT:
        raise RunError(f"{path}: not a file of trees; `mabe train` makes one")
    if card["version"] != _VERSION:
        raise RunError(
            f"{path}: trees of version {card['version']}, this is version {_VERSION}; "
            "train them again"
        )
    return card
