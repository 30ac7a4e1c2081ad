"""The training loop: visible, exact to resume, the same twice.

Windows, augmentation and dropout of step *n* depend on ``(seed, n)`` alone, and the
learning rate on the step and on the history alone; so a stopped run goes on exactly.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mabe.augment import augment, center_scene
from mabe.config import RunConfig
from mabe.errors import RunError
from mabe.models.entry import FittedEntry, PairSocialEntry
from mabe.pair_windows import PairBatch
from mabe.pairs import PairTask
from mabe.recogniser import (
    Network,
    PairRecogniser,
    SceneRecogniser,
    build_recogniser,
)
from mabe.tasks import SceneTask
from mabe.windows import Batch

_FIT_FRAMES = 30_000
"""Frames that tell what is usual."""
_FIT_STREAM = 1 << 40
"""Keeps these windows apart from those of any step."""
_SEED_STRIDE = 1_000_003
"""Keeps the steps of neighbouring seeds apart."""


AnyBatch = Batch | PairBatch
Poses = Float[np.ndarray, "b t a k 2"]


@runtime_checkable
class Question(Protocol):
    """What is asked of a batch; see `mabe.questions`."""

    def split(self, windows: int) -> Sequence["Question"]:
        """Return pieces of at most so many windows."""

    def total(self) -> Tensor:
        """Return the summed weight of what counts."""

    def loss(self, model: nn.Module, poses: Tensor) -> Tensor:
        """Return the summed loss of a model's answers."""


@runtime_checkable
class Lesson(Protocol):
    """What is to be learned: windows to look at, and what is asked of them."""

    @property
    def counted_frames(self) -> int:
        """Number of frames that count."""

    def draw(self, rng: np.random.Generator, windows: int, stretch: float) -> AnyBatch:
        """Draw windows; each shows `stretch` times its length."""

    def question(self, batch: Any, device: torch.device) -> Question:
        """Return what is asked of a batch, on the device."""


@dataclass(slots=True)
class TrainingState:
    """Everything that changes while a run trains."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel
    """The weights to use: averaged over recent steps."""
    step: int = 0
    micro_batch: int = 0
    """Windows that go through the network at once; shrinks when memory is short."""
    epoch_loss: float = 0.0
    """Sum of the losses of this epoch's steps so far."""
    epoch_seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    """One record for each finished epoch."""


def start_state(
    config: RunConfig,
    task: SceneTask | PairTask,
    fabric: Fabric,
    lesson: Lesson | None = None,
) -> TrainingState:
    """Return a fresh model with its optimizer, on the fabric's device.

    The lesson shows what is usual, to scale features by; it is not needed where the
    state of an earlier run will take the place of this one.
    """
    torch.manual_seed(config.seed * _SEED_STRIDE - 1)
    recogniser = build_recogniser(config, task)
    if lesson:
        fit_entry(recogniser, lesson)
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
    optimizer = kinds[config.optimizer](
        recogniser.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
    )
    average = AveragedModel(
        recogniser, multi_avg_fn=_average_towards(config.ema_decay)
    ).to(fabric.device)
    model, optimizer = fabric.setup(recogniser, optimizer)
    return TrainingState(model, optimizer, average, micro_batch=config.batch_size)


@torch.no_grad()
def fit_entry(recogniser: Network, lesson: Lesson) -> None:
    """Scale features that have no fixed unit by what is usual in some windows."""
    if not isinstance(recogniser.entry, FittedEntry | PairSocialEntry):
        return
    rng = np.random.default_rng([recogniser.config.seed, _FIT_STREAM])
    windows = max(1, _FIT_FRAMES // recogniser.config.sequence_length)
    poses = torch.from_numpy(lesson.draw(rng, windows, 1.0).poses)
    recogniser.entry.fit(recogniser.look(poses).flatten(0, 1))


def averaged_model(state: TrainingState) -> Network:
    """Return the model to use, score and save, ready for prediction."""
    return _unwrapped(state.average).eval()


def take_step(
    state: TrainingState,
    poses: Poses,
    question: Question,
    *,
    config: RunConfig,
    fabric: Fabric,
    learning_rate: float,
) -> float:
    """Learn from one batch and return its loss."""
    torch.manual_seed(config.seed * _SEED_STRIDE + state.step)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate

    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    loss = _accumulate_gradients(state, poses, question, config, fabric)
    if not math.isfinite(loss):
        raise RunError(
            f"step {state.step}: the loss is {loss}; lower learning_rate (now "
            f"{learning_rate:.1e}), or go on from before with --resume"
        )
    if config.grad_clip:
        fabric.clip_gradients(
            state.model,
            state.optimizer,
            max_norm=config.grad_clip,
            error_if_nonfinite=False,
        )
    state.optimizer.step()
    state.average.update_parameters(_unwrapped(state.model))
    state.step += 1
    return loss


def draw_batch(lesson: Lesson, config: RunConfig, step: int) -> AnyBatch:
    """Return the windows of one step; they depend on the seed and the step alone."""
    rng = np.random.default_rng([config.seed, step])
    most = math.log1p(config.augmentation.time_stretch)
    stretch = math.exp(rng.uniform(-most, most))
    return lesson.draw(rng, config.batch_size, stretch)


def steps_in_epoch(counted_frames: int, config: RunConfig) -> int:
    """Return how many steps an epoch has.

    By default as many as show about as many frames as there are that count.
    """
    if config.steps_per_epoch:
        return config.steps_per_epoch
    frames = config.batch_size * config.sequence_length
    return max(1, math.ceil(counted_frames / frames))


def learning_rate(
    config: RunConfig, *, step: int, steps_per_epoch: int, scores: Sequence[float]
) -> float:
    """Return the learning rate of a step, given the macro F1 of the epochs so far."""
    warmup = config.warmup_epochs * steps_per_epoch
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    floor = min(config.min_lr, config.learning_rate)
    if config.scheduler == "cosine":
        done = min(1.0, step / (config.epochs * steps_per_epoch))
        fall = (
            floor + (config.learning_rate - floor) * (1 + math.cos(math.pi * done)) / 2
        )
        return rise * fall
    if config.scheduler == "plateau":
        falls = count_plateaus(scores, patience=config.scheduler_patience)
        return rise * max(floor, config.learning_rate * config.scheduler_factor**falls)
    return rise * config.learning_rate


def count_plateaus(scores: Sequence[float], *, patience: int) -> int:
    """Return how often the score went `patience` epochs without a new best.

    Each plateau starts its count anew, so a run that stands still falls step by step.
    """
    best, waited, plateaus = -math.inf, 0, 0
    for score in scores:
        if score > best:
            best, waited = score, 0
        else:
            waited += 1
        if waited >= patience:
            plateaus, waited = plateaus + 1, 0
    return plateaus


def epochs_since_best(scores: Sequence[float]) -> int:
    """Return how many epochs ago the best score was; the first of equals counts."""
    if not scores:
        return 0
    return len(scores) - 1 - max(range(len(scores)), key=lambda i: (scores[i], -i))


def is_finished(config: RunConfig, scores: Sequence[float]) -> bool:
    """Tell whether all epochs are done, or the score has not risen for too long."""
    patience = config.early_stopping_patience
    stalled = bool(patience) and epochs_since_best(scores) >= patience
    return len(scores) >= config.epochs or stalled


def epoch_scores(history: Sequence[dict[str, Any]]) -> list[float]:
    """Return the macro F1 of each epoch; one that could not be computed ranks last."""
    return [-1.0 if r["f1_macro"] is None else r["f1_macro"] for r in history]


def state_values(state: TrainingState, fabric: Fabric) -> dict[str, Any]:
    """Return the state as tensors and plain values, fit for a weights-only load."""
    return {
        "model": _unwrapped(state.model).state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "average": state.average.state_dict(),
        "step": state.step,
        "micro_batch": state.micro_batch,
        "epoch_loss": state.epoch_loss,
        "epoch_seconds": state.epoch_seconds,
        "history": state.history,
        "precision": fabric.strategy.precision.state_dict(),
    }


def restore_state(state: TrainingState, values: dict[str, Any], fabric: Fabric) -> None:
    """Bring a fresh state to where `state_values` was taken."""
    _unwrapped(state.model).load_state_dict(values["model"])
    state.optimizer.load_state_dict(values["optimizer"])
    state.average.load_state_dict(values["average"])
    state.step = values["step"]
    state.micro_batch = values["micro_batch"]
    state.epoch_loss = values["epoch_loss"]
    state.epoch_seconds = values["epoch_seconds"]
    state.history = values["history"]
    fabric.strategy.precision.load_state_dict(values["precision"])


def train_epoch(
    state: TrainingState,
    lesson: Lesson,
    *,
    config: RunConfig,
    fabric: Fabric,
    after_step: Callable[[float], None],
) -> float:
    """Take the steps that are left of this epoch and return its mean loss.

    `after_step` gets each step's loss; it may save the state or raise to stop.
    """
    steps = steps_in_epoch(lesson.counted_frames, config)
    scores = epoch_scores(state.history)
    end = (len(state.history) + 1) * steps
    while state.step < end:
        began = time.perf_counter()
        rate = learning_rate(
            config, step=state.step, steps_per_epoch=steps, scores=scores
        )
        batch = draw_batch(lesson, config, state.step)
        loss = take_step(
            state,
            batch.poses,
            lesson.question(batch, fabric.device),
            config=config,
            fabric=fabric,
            learning_rate=rate,
        )
        state.epoch_loss += loss
        state.epoch_seconds += time.perf_counter() - began
        after_step(loss)
    return state.epoch_loss / steps


def _accumulate_gradients(
    state: TrainingState,
    poses: Poses,
    question: Question,
    config: RunConfig,
    fabric: Fabric,
) -> float:
    """Send the batch through in pieces that fit; halve them when memory runs out."""
    while True:
        try:
            return _backward_in_pieces(state, poses, question, config, fabric)
        except RuntimeError as error:
            if state.micro_batch == 1 or not _is_out_of_memory(error):
                raise
        # Outside of `except`: the error holds on to the tensors of its stack.
        state.micro_batch = math.ceil(state.micro_batch / 2)
        state.optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(
            f"Out of memory: going on with {state.micro_batch} windows at a time, "
            f"accumulated to the same batch of {config.batch_size}"
        )


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Tell lack of memory from other errors; Apple's MPS has no class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


def _backward_in_pieces(
    state: TrainingState,
    poses: Poses,
    question: Question,
    config: RunConfig,
    fabric: Fabric,
) -> float:
    device = fabric.device
    generator = torch.Generator(device).manual_seed(
        config.seed * _SEED_STRIDE + state.step
    )
    centered = center_scene(torch.from_numpy(poses).to(device))
    changed = augment(centered, config.augmentation, generator)
    total = question.total().clamp(min=1e-6)
    loss = torch.zeros((), device=device)
    pieces = zip(
        changed.split(state.micro_batch), question.split(state.micro_batch), strict=True
    )
    for some_poses, some_questions in pieces:
        piece = some_questions.loss(state.model, some_poses) / total
        fabric.backward(piece)
        loss += piece.detach()
    return loss.item()


def _average_towards(decay: float) -> Callable[..., None]:
    """Return an exponential moving average that is short at first."""

    @torch.no_grad()
    def update(
        averages: Sequence[Tensor], values: Sequence[Tensor], seen: Tensor | int
    ) -> None:
        # Early on the average is short, so that it does not remember the random start.
        share = 1 - min(decay, (1 + int(seen)) / (10 + int(seen)))
        torch._foreach_lerp_(list(averages), list(values), share)

    return update


def _unwrapped(model: nn.Module) -> Network:
    """Return the recogniser inside Fabric's wrapper."""
    module = getattr(model, "module", model)
    assert isinstance(module, SceneRecogniser | PairRecogniser)
    return module
