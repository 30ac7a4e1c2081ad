"""What a training run prints, line by line."""

from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from mabe.config import RunConfig
from mabe.features.base import Features
from mabe.metrics.summary import ScoreSummary
from mabe.recording import StoredRecording
from mabe.runtime.console import count, format_score, percent, progress_bar
from mabe.runtime.launch_environment import ProcessGroup
from mabe.training.best_epoch import best_epoch
from mabe.training.history import Epoch
from mabe.training.objectives import ClassCount

SHOWN_CLASSES = 8
"""Of more than these an epoch's line names the worst and the best."""


def epoch_bar(*, epoch: int, epochs: int, done: int, steps: int) -> "tqdm[Any]":
    """Return a progress bar over the batches of an epoch."""
    return progress_bar(
        total=steps, initial=done, desc=f"Epoch {epoch}/{epochs}", unit="batch"
    )


def part_bar() -> "tqdm[Any]":
    """Return a counter of recordings read for trees."""
    return progress_bar(desc="Reading", unit="track")


def describe_data(
    counts: Sequence[ClassCount],
    *,
    unit: str,
    learned: int,
    held_out: int,
    left_out: int,
) -> list[str]:
    """Return lines with the numbers of recordings and frames, and class shares."""
    total = sum(each.learned for each in counts)
    shares = ", ".join(
        f"{each.name} {percent(each.learned / max(1, total), digits=1)}"
        for each in counts
    )
    lines = [
        f"✓ Training recordings: {learned}, {total:,} {unit} that count ({shares})",
        f"✓ Held-out recordings: {held_out}",
    ]
    if left_out:
        lines.append(
            f"  Left out: {left_out} (no frame that counts, or beyond max_sequences)"
        )
    if never := [each.name for each in counts if not each.learned]:
        lines.append(f"! No frame to learn from: {', '.join(never)}")
    unscored = [each.name for each in counts if not each.held_out]
    if held_out and unscored:
        lines.append(f"! No held-out frame, so no score: {', '.join(unscored)}")
    return lines


def describe_pretraining(steps: int, used: Sequence[StoredRecording]) -> str:
    """Return a line on the recordings that a network is pretrained on."""
    films = sum(not each.has_labels for each in used)
    hours = sum(each.native_length / each.fps for each in used) / 3600
    return (
        f"✓ Pretraining: {count(steps, 'step')} on the poses of "
        f"{count(len(used), 'recording')} ({hours:.1f} h), {films} of them without "
        "labels; none is held out"
    )


def describe_group(group: ProcessGroup, device: str) -> list[str]:
    """Return a line with the number of processes, if there are several."""
    if group.size == 1:
        return []
    machines = f" on {group.machines} machines" if group.machines > 1 else ""
    return [
        f"Processes: {group.size}{machines} ({device}), started by {group.launcher}"
    ]


def describe_model(
    config: RunConfig,
    features: Features,
    *,
    parameters: int,
    steps: int,
    processes: int = 1,
) -> list[str]:
    """Return lines that describe the model, in the words of V1 and V2."""
    each = f"{processes} processes × " if processes > 1 else ""
    return [
        features.title,
        f"Input dimension: {len(features.names)}",
        f"Network: {config.model_type}, {parameters:,} parameters",
        f"✓ Training batches: {steps} an epoch, of {each}"
        f"{count(config.windows, 'window')} of "
        f"{config.sequence_length / config.fps:.1f} s",
    ]


def epoch_line(history: Sequence[Epoch], *, epochs: int) -> str:
    """Return one line for the last finished epoch; `*` marks a new best."""
    last, best = history[-1], best_epoch(history)
    so_far = (
        "*" if best is last else f" (best {format_score(best.macro_f1)}, {best.number})"
    )
    return (
        f"Epoch {last.number:>3}/{epochs}  "
        f"loss {last.train_loss:.3f}, held-out {last.val_loss:.3f}  "
        f"macro F1 {format_score(last.macro_f1)}{so_far}  "
        f"[{_worst_and_best(last.scores)}]  "
        f"lr {last.learning_rate:.1e}  {last.seconds:.0f} s"
        f"{time_left(history, epochs=epochs)}"
    )


def grown_line(grown: Epoch) -> str:
    """Return one line for trees that were grown."""
    return (
        f"Trees: {count(grown.step, 'round')}  held-out loss {grown.val_loss:.3f}  "
        f"macro F1 {format_score(grown.macro_f1)}  "
        f"[{_worst_and_best(grown.scores)}]  {grown.seconds:.0f} s"
    )


def time_left(history: Sequence[Epoch], *, epochs: int) -> str:
    """Return how long the epochs that are left take; nothing after the last one.

    By the last five: the first ones wait for files.
    """
    left = epochs - len(history)
    if left <= 0 or not history:
        return ""
    recent = [epoch.seconds for epoch in history[-5:]]
    seconds = round(left * sum(recent) / len(recent))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f", {hours} h {minutes:02} min left"
    return f", {minutes}:{seconds % 60:02} left"


def _worst_and_best(scores: ScoreSummary) -> str:
    """Return each class's F1; of many, the three worst and the three best."""
    f1 = {name: each.f1 for name, each in scores.per_class.items()}
    if len(f1) > SHOWN_CLASSES:
        scored = {name: value for name, value in f1.items() if value is not None}
        ranked = sorted(scored, key=lambda name: scored[name])
        f1 = {name: scored[name] for name in (*ranked[:3], *ranked[-3:])}
        return (
            " ".join(f"{name} {format_score(value)}" for name, value in f1.items())
            + " …"
        )
    return "  ".join(f"{name} {format_score(value)}" for name, value in f1.items())
