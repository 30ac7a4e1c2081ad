"""What a training run tells the person in front of it, line by line."""

import sys
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from mabe.config import RunConfig
from mabe.lessons import ClassCount

SHOWN_CLASSES = 8
"""Of more than these an epoch's line names the worst and the best."""


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


def part_bar() -> "tqdm[Any]":
    """Return a counter of recordings read for trees; none outside a terminal."""
    return tqdm(desc="Reading", unit="track", leave=False, disable=None)


def group_bar(kind: str) -> "tqdm[Any]":
    """Return a counter of feature groups tried; none outside a terminal."""
    return tqdm(desc=f"Explaining {kind}", unit="group", leave=False, disable=None)


def describe_data(
    counts: Sequence[ClassCount],
    *,
    unit: str,
    learned: int,
    held_out: int,
    left_out: int,
) -> list[str]:
    """Say how many recordings and frames there are, and how rare each class is."""
    total = sum(each.learned for each in counts)
    shares = ", ".join(
        f"{each.name} {each.learned / max(1, total):.1%}" for each in counts
    )
    lines = [
        f"✓ Training recordings: {learned}, {total:,} {unit} that count ({shares})",
        f"✓ Held-out recordings: {held_out}",
    ]
    if left_out:
        lines.append(f"  Left out: {left_out} (no frame that counts, or not asked for)")
    if never := [each.name for each in counts if not each.learned]:
        lines.append(f"! No frame to learn from: {', '.join(never)}")
    if unscored := [each.name for each in counts if not each.held_out]:
        lines.append(f"! No held-out frame, so no score: {', '.join(unscored)}")
    return lines


def describe_model(config: RunConfig, *, parameters: int, steps: int) -> list[str]:
    """Say what will be trained, in the words V1/V2 users know."""
    motion = "Enabled (speed + acceleration)"
    features = (
        "Social features: what two animals are to each other"
        if config.feature_set == "social"
        else f"Motion features: {motion if config.use_motion_features else 'Disabled'}"
    )
    return [
        features,
        f"Input dimension: {config.features}",
        f"Network: {config.model_type}, {parameters:,} parameters",
        f"✓ Training batches: {steps} an epoch, of {config.batch_size} windows of "
        f"{config.sequence_length / config.fps:.1f} s",
    ]


def epoch_line(record: dict[str, Any], *, epochs: int, is_best: bool) -> str:
    """Return one line for a finished epoch; `*` marks the best so far."""
    per_class = _worst_and_best(record["per_class"])
    return (
        f"Epoch {record['epoch']:>3}/{epochs}  "
        f"loss {record['train_loss']:.3f}, held-out {record['val_loss']:.3f}  "
        f"macro F1 {show(record['f1_macro'])}{'*' if is_best else ' '}  "
        f"[{per_class}]  lr {record['learning_rate']:.1e}  {record['seconds']:.0f} s"
    )


def grown_line(record: dict[str, Any]) -> str:
    """Return one line for trees that were grown."""
    return (
        f"Trees: {record['step']} rounds  held-out loss {record['val_loss']:.3f}  "
        f"macro F1 {show(record['f1_macro'])}  "
        f"[{_worst_and_best(record['per_class'])}]  {record['seconds']:.0f} s"
    )


def _worst_and_best(per_class: dict[str, Any]) -> str:
    """Return each class's F1; of many, the three worst and the three best."""
    f1 = {name: scores["f1"] for name, scores in per_class.items()}
    if len(f1) > SHOWN_CLASSES:
        scored = {name: value for name, value in f1.items() if value is not None}
        ranked = sorted(scored, key=lambda name: scored[name])
        f1 = {name: scored[name] for name in (*ranked[:3], *ranked[-3:])}
        return " ".join(f"{name} {show(value)}" for name, value in f1.items()) + " …"
    return "  ".join(f"{name} {show(value)}" for name, value in f1.items())


def show(value: float | None) -> str:
    """Return a score with three digits, or a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"
