"""What a training run tells the person in front of it, line by line."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from tqdm import tqdm

from mabe.config import RunConfig


def tell(*lines: str) -> None:
    """Print lines without tearing a progress bar apart."""
    for line in lines:
        tqdm.write(line, file=sys.stdout)
    sys.stdout.flush()


def epoch_bar(*, epoch: int, epochs: int, done: int, steps: int) -> "tqdm[Any]":
    """Return a progress bar over the batches of an epoch; none outside a terminal."""
    return tqdm(
        total=steps,
        initial=done,
        desc=f"Epoch {epoch}/{epochs}",
        unit="batch",
        leave=False,
        disable=None,
    )


def describe_data(
    *,
    classes: Sequence[str],
    counts: Int[np.ndarray, " classes"],
    held_out_counts: Int[np.ndarray, " classes"],
    learned: int,
    held_out: int,
    left_out: int,
) -> list[str]:
    """Say how many recordings and frames there are, and how rare each class is."""
    total = int(counts.sum())
    shares = ", ".join(
        f"{name} {count / total:.1%}"
        for name, count in zip(classes, counts, strict=True)
    )
    lines = [
        f"✓ Training recordings: {learned}, {total:,} frames that count ({shares})",
        f"✓ Held-out recordings: {held_out}",
    ]
    if left_out:
        lines.append(f"  Left out: {left_out} (no frame that counts, or not asked for)")
    if never := _absent(classes, counts):
        lines.append(f"! No frame to learn from: {never}")
    if unscored := _absent(classes, held_out_counts):
        lines.append(f"! No held-out frame, so no score: {unscored}")
    return lines


def _absent(classes: Sequence[str], counts: Int[np.ndarray, " classes"]) -> str:
    return ", ".join(
        name for name, count in zip(classes, counts, strict=True) if not count
    )


def describe_model(config: RunConfig, *, parameters: int, steps: int) -> list[str]:
    """Say what will be trained, in the words V1/V2 users know."""
    motion = config.use_motion_features
    return [
        "Motion features: "
        + ("Enabled (speed + acceleration)" if motion else "Disabled"),
        f"Input dimension: {config.features}",
        f"Network: {config.model_type}, {parameters:,} parameters",
        f"✓ Training batches: {steps} an epoch, of {config.batch_size} windows of "
        f"{config.sequence_length / config.fps:.1f} s",
    ]


def epoch_line(record: dict[str, Any], *, epochs: int, is_best: bool) -> str:
    """Return one line for a finished epoch; `*` marks the best so far."""
    per_class = "  ".join(
        f"{name} {show(scores['f1'])}" for name, scores in record["per_class"].items()
    )
    return (
        f"Epoch {record['epoch']:>3}/{epochs}  "
        f"loss {record['train_loss']:.3f}, held-out {record['val_loss']:.3f}  "
        f"macro F1 {show(record['f1_macro'])}{'*' if is_best else ' '}  "
        f"[{per_class}]  lr {record['learning_rate']:.1e}  {record['seconds']:.0f} s"
    )


def show(value: float | None) -> str:
    """Return a score with three digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"
